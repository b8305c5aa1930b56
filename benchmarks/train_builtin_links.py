"""Train the built-in networks of HiLanderClusterer.

What they read does not depend on the embedding, so classes of very different origin can
teach them: handwritten characters, requests in words, synthetic classes with a long tail
of sizes, and Gaussian classes that overlap. Each set is taken as a whole and as draws of
few of its classes, in graphs with few and with many neighbours. Only classes that no
benchmark scores are used.

The weights in the package are older than the centring of the means in `Groups.graph`. What the
script gives since then scores alike where it is trained on, and a little less without
labels, so the earlier ones stayed.

Usage: python benchmarks/train_builtin_links.py [file]
"""

import sys
from pathlib import Path

import numpy as np
from _long_tail import make_long_tail
from safetensors.numpy import save_file
from sklearn.datasets import make_blobs
from sklearn.utils import check_random_state

import skdeep.cluster
from skdeep.cluster import HiLanderClusterer
from skdeep.cluster._fitting import BUILTIN_WEIGHTS, start_networks, train_stages
from skdeep.cluster._rows import prepare
from skdeep.cluster._running import search_of
from skdeep.cluster._structural import RowGraph
from skdeep.cluster._training import Scene
from skdeep.utils._torch import make_generator

DATA = Path(__file__).parent / "data"
NEIGHBORS = (10, 20, 40)
FEW_CLASSES = (4, 8, 16, 32)
SPREADS = (1.0, 1.4, 1.8, 2.2)
SEED = 0


def whole_sets():
    """Labelled rows of several origins."""
    for name in ("omniglot", "clinc150"):
        with np.load(DATA / f"{name}_features.npz") as file:
            X, y, split = file["X"].astype(np.float32), file["y"], file["split"]
        for number in (0, 1):
            yield X[split == number], y[split == number]
    for n_samples in (1_000, 8_000):
        yield make_long_tail(n_samples, random_state=100 + n_samples)


def few_classes(sets, rng):
    """Draws of few classes, with all of their rows or some."""
    for X, y in sets:
        for n_classes in FEW_CLASSES:
            chosen = rng.choice(np.unique(y), n_classes, replace=False)
            rows = np.flatnonzero(np.isin(y, chosen))
            rows = rows[rng.uniform(size=len(rows)) < rng.uniform(0.5, 1)]
            yield X[rows], y[rows]


def blobs(rng):
    """Gaussian classes of unequal sizes, from far apart to overlapping."""
    for n_classes in FEW_CLASSES:
        for spread in SPREADS:
            sizes = rng.randint(20, 300, size=n_classes)
            n_features = int(rng.choice([8, 16, 64]))
            X, y = make_blobs(
                sizes,
                n_features,
                centers=rng.standard_normal((n_classes, n_features)) * 2,
                cluster_std=spread,
                random_state=rng,
            )
            yield X.astype(np.float32), y


def graphs(search, rng):
    """Training graphs of all sets."""
    sets = list(whole_sets())
    for X, y in [*sets, *few_classes(sets, rng), *blobs(rng)]:
        rows, codes = prepare(X), np.unique(y, return_inverse=True)[1]
        for k in NEIGHBORS:
            if len(rows) > 2 * k:
                graph = RowGraph(rows.graph(k, search), "structural")
                yield Scene(graph, codes, np.ones(len(codes), bool))


def train(path):
    """Train as `fit` does, on all graphs at once, and write the weights."""
    est = HiLanderClusterer(init="random", lr=3e-3, random_state=SEED)
    rng = check_random_state(SEED)
    generator = make_generator(rng)
    est._knn_seed, est.device_ = SEED, "cpu"
    est.n_neighbors_, est.tau_, est.resolution_ = NEIGHBORS[0], est.tau, est.resolution
    search = search_of(est)
    scenes = list(graphs(search, rng))
    module = start_networks(est, 0, generator)
    train_stages(est, module, scenes, search, generator, (None, None))
    weights = {name: part.numpy() for name, part in est.module_.state_dict().items()}
    save_file(weights, path)
    return est


if __name__ == "__main__":
    package = Path(skdeep.cluster.__file__).parent
    target = sys.argv[1] if len(sys.argv) > 1 else package / "data" / BUILTIN_WEIGHTS
    trained = train(target)
    for row in trained.history_:
        if row["epoch"] == trained.max_epochs or row["epoch"] == 3 * trained.max_epochs:
            print(f"stage {row['stage']:.0f}: loss {row['train_loss']:.4f}")
