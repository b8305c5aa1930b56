"""Train the built-in gradient network of FewShotClassifier.

What it reads, logits and votes of neighbours, does not depend on where the features come
from. So it learns from very different sets: requests in words and handwritten characters,
in features of networks that have not seen the classes of their rows, and Gaussian classes,
in which neighbours tell little. Tasks
have few or many classes, shots and rows without a label, in equal and in unequal shares,
with and without rows that belong to none of the classes. Only classes that no benchmark
scores are used.

Usage: python benchmarks/train_builtin_adapter.py [file] [steps]
"""

import sys
import time
from pathlib import Path

import numpy as np
import torch
from _few_shot_data import load_out_of_fold
from safetensors.numpy import save_file

import skdeep.few_shot
from skdeep.few_shot._batches import EpisodeLoss, as_tasks
from skdeep.few_shot._features import USUAL_POWER, unit_rows
from skdeep.few_shot._training import (
    BUILTIN_ARGS,
    BUILTIN_WEIGHTS,
    make_adapter,
)
from skdeep.model_selection._draw_episodes import draw_episodes, group_rows
from skdeep.utils._torch import build

N_STEPS = 3500
LR = 5e-3
BATCH_SIZE = 16
WAYS = (2, 3, 5, 5, 5, 5, 8, 12, 20)
SHOTS = (1, 1, 1, 2, 3, 5, 5, 5, 10)
QUERIES = (3, 8, 15, 15, 15, 30)
BALANCES = ("balanced", "balanced", 2.0, 2.0, 0.7)
OUTLIERS = (0.0, 0.0, 0.0, 0.0, 0.3)
GAUSSIANS = (
    (32, 1.4),
    (128, 2.5),
)  # features, and spread about the means of variance 1
SEED = 0


def sources():
    """Rows of each fold of each set, with their classes sorted for the draw."""
    for name in ("clinc150", "omniglot"):
        rows = load_out_of_fold(name, power=USUAL_POWER)
        for fold in np.unique(rows.part):
            X, y = rows.X[rows.part == fold], rows.y[rows.part == fold]
            yield X, np.unique(y, return_inverse=True)[1]
    rng = np.random.RandomState(SEED)
    for n_features, spread in GAUSSIANS:
        codes = np.repeat(np.arange(60), 60)
        X = rng.normal(size=(60, n_features))[codes]
        X += rng.normal(scale=spread, size=X.shape)
        yield unit_rows(X.astype(np.float32), USUAL_POWER), codes


def draw(source, rng):
    """A batch of tasks of one kind."""
    X, codes = source
    n_shot, n_query = rng.choice(SHOTS), rng.choice(QUERIES)
    most = np.bincount(codes).min()
    n_shot = min(n_shot, most // 2)
    balance = BALANCES[rng.randint(len(BALANCES))]
    room = most - n_shot if balance == "balanced" else (most - n_shot) // 2
    outliers = rng.choice(OUTLIERS)
    n_way, n_query = rng.choice(WAYS), min(n_query, room)
    episodes = draw_episodes(
        group_rows(codes, n_least=n_shot + 1),
        BATCH_SIZE,
        n_way=int(n_way),
        n_shot=int(n_shot),
        n_query=int(n_query),
        balance=balance,
        rng=rng,
    )
    tasks, targets = as_tasks(X, episodes)
    n_others = int(outliers * targets.shape[1])
    if n_others:  # from classes outside of the task
        strangers = np.stack(
            [
                rng.choice(np.flatnonzero(~np.isin(codes, codes[own])), n_others)
                for own in episodes.support
            ]
        )
        strange = torch.from_numpy(X[strangers])
        tasks = tasks._replace(
            query=torch.cat([tasks.query, strange], dim=1),
            weight=torch.nn.functional.pad(tasks.weight, (0, n_others), value=1.0),
        )
        targets = torch.nn.functional.pad(targets, (0, n_others), value=-1)
    return tasks, targets


def train(n_steps=N_STEPS, seed=SEED):
    """Train an adapter from scratch."""
    rng = np.random.RandomState(seed)
    generator = torch.Generator().manual_seed(seed)
    adapter = build(lambda: make_adapter(**BUILTIN_ARGS), generator=generator)
    optimizer = torch.optim.Adam(adapter.parameters(), lr=LR)
    schedule = torch.optim.lr_scheduler.CosineAnnealingLR(optimizer, n_steps)
    sets, loss_of, start = list(sources()), EpisodeLoss(), time.process_time()
    for step in range(1, n_steps + 1):
        tasks, targets = draw(sets[rng.randint(len(sets))], rng)
        loss = loss_of(adapter(tasks), targets)
        optimizer.zero_grad()
        loss.backward()
        torch.nn.utils.clip_grad_norm_(adapter.parameters(), 1.0)
        optimizer.step()
        schedule.step()
        if step % 500 == 0:
            print(f"{step} steps, {time.process_time() - start:.0f} CPU s", flush=True)
    return adapter.eval()


def main():
    torch.set_num_threads(1)
    default = Path(skdeep.few_shot.__file__).parent / "data" / BUILTIN_WEIGHTS
    path = Path(sys.argv[1]) if len(sys.argv) > 1 else default
    adapter = train(int(sys.argv[2]) if len(sys.argv) > 2 else N_STEPS)
    weights = {name: value.numpy() for name, value in adapter.state_dict().items()}
    save_file(weights, path)


if __name__ == "__main__":
    main()
