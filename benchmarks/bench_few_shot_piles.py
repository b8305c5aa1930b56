"""Is a pile of unlabelled rows safe to use? Accuracy against its size.

The query is never part of the pile. Episodes are the same for all sizes of a row of the
table as far as the class sizes allow; prototypes, which do not look at the pile, are the
baseline. 500 rows a class exist in no bundled set, so these are drawn from overlapping
Gaussian classes.

Usage: python benchmarks/bench_few_shot_piles.py [--quick]
"""

import sys

import numpy as np
import torch
from _few_shot_data import TEST, load
from _tools import report

from skdeep.few_shot import FewShotClassifier
from skdeep.model_selection import few_shot_score

PILES = {"clinc150": (5, 15, 50, 125), "gaussian": (5, 50, 500)}
WAYS = (10, 20)
SHOTS = (1, 5, 10)
BALANCES = ("balanced", 2.0)
N_QUERY = 10
N_EPISODES = 60


def sets():
    """Rows and classes of both sets."""
    rows, _ = load("clinc150")
    test = rows.part == TEST
    yield "clinc150", rows.X[test], rows.y[test]
    rng = np.random.default_rng(0)
    centers = rng.normal(size=(24, 64))
    y = np.repeat(np.arange(24), 600)
    X = centers[y] + rng.normal(scale=2.0, size=(len(y), 64))
    yield "gaussian", X.astype(np.float32), y


def main():
    torch.set_num_threads(1)
    n_episodes = 10 if "--quick" in sys.argv else N_EPISODES
    found = []
    for name, X, y in sets():
        for n_way in WAYS:
            for n_shot in SHOTS:
                for balance in BALANCES:
                    for n_unlabeled in PILES[name]:
                        found.append(
                            measure(
                                name,
                                X,
                                y,
                                n_way,
                                n_shot,
                                balance,
                                n_unlabeled,
                                n_episodes,
                            )
                        )
                        print(found[-1], flush=True)
    report("few_shot_piles", found)


def measure(name, X, y, n_way, n_shot, balance, n_unlabeled, n_episodes):
    """Accuracy with and without the pile, and the interval of the difference."""
    if n_unlabeled >= 500:
        n_episodes = min(n_episodes, 20)
    how = {
        "n_way": n_way,
        "n_shot": n_shot,
        "n_query": N_QUERY,
        "n_episodes": n_episodes,
        "balance": balance,
        "random_state": 0,
    }
    ours = few_shot_score(FewShotClassifier(), X, y, unlabeled=n_unlabeled, **how)
    base = FewShotClassifier(method="prototype")
    base = few_shot_score(base, X, y, unlabeled=n_unlabeled, **how)
    gain = 100 * (ours.scores - base.scores)
    return {
        "data": name,
        "n_way": n_way,
        "n_shot": n_shot,
        "balance": balance if balance == "balanced" else f"dirichlet {balance:g}",
        "pile_per_class": n_unlabeled,
        "ours": f"{100 * ours.mean:.2f}",
        "prototypes": f"{100 * base.mean:.2f}",
        "gain": f"{gain.mean():.2f}",
        "gain_ci95": f"{1.96 * gain.std() / len(gain) ** 0.5:.2f}",
        "ms": f"{1e3 * ours.seconds / n_episodes:.1f}",
    }


if __name__ == "__main__":
    main()
