"""Clusters of rows whose classes nobody has seen, beside what clusterers of others find.

Classes are disjoint between all parts of a set. Parameters are chosen on the fit rows, as
the point of a grid with the largest mean of pairwise and BCubed F, and reported on the
test rows, whose labels serve the score alone.

* ``omniglot``: features of characters, 344 test classes of 20 rows.
* ``clinc150``: features of short texts, 50 test classes of 150 rows.
* ``long_tail``: synthetic rows, classes of 1 to some thousands; 10,000 rows to fit, tests
  of 20,000 and of 50,000 rows, all of different classes.
* ``digits``: pixels of digits, all of them and draws of 200 to 1,000, for what works
  without any labels; nothing is chosen or learned on them.

The last table shows what our models gain over the methods that one would try first: mean
pairwise F of DBSCAN, HDBSCAN and KMeans with a guessed number.

Rows that DBSCAN and HDBSCAN call noise count as clusters of one row. CPU seconds are those
of one thread for the test rows, from the rows to the labels, k-NN graph included.

Run ``bench_cluster.py [--data name ...] [--models name ...]``. The peers beside
scikit-learn need ``igraph``, ``infomap``, ``finch-clust`` and ``scikit-network``; those that
are not installed are left out. Rows of the results file that are not computed again are
kept.
"""

import argparse
import csv
import pathlib
import time
import warnings
from collections import namedtuple

import numpy as np
from _cluster_peers import LARGEST_DENSE, counted_peers, tuned_peers
from _long_tail import make_long_tail
from _tools import RESULTS, report
from sklearn.datasets import load_digits
from sklearn.metrics import normalized_mutual_info_score
from sklearn.model_selection import ParameterGrid
from threadpoolctl import threadpool_limits

from skdeep.cluster import HiLanderClusterer
from skdeep.metrics import bcubed_f_score, pairwise_f_score

DATA = pathlib.Path(__file__).parent / "data"
SETS = ["omniglot", "clinc150", "long_tail", "digits"]
FIRST_TRIED = ["DBSCAN", "HDBSCAN", "KMeans, sqrt(n / 2)"]

# Problem.encoder: rows of the classes behind the features; Problem.fit: rows of other
# known classes; both pairs of X and y, or None. Problem.tests: name -> pair of X and y
Problem = namedtuple("Problem", "encoder fit tests")


SEEDS = (0, 1, 2)
# the recipe of the published program in fewer epochs, with the rate that learns in them
PAPER = {
    "mode": "paper",
    "optimizer": "sgd",
    "optimizer_params": {"momentum": 0.9},
    "weight_decay": 1e-5,
    "lr": 0.1,
    "max_grad_norm": 5.0,
    "max_epochs": 30,
}


def default(problem, seed):
    """Our defaults; the number of neighbours is chosen by `fit`."""
    return HiLanderClusterer(random_state=seed).fit(*problem.fit)


def without_labels(problem, seed):
    """The built-in networks."""
    rows, _ = problem.fit or next(iter(problem.tests.values()))
    return HiLanderClusterer(random_state=seed).fit(rows[:100])


def from_scratch(problem, seed):
    """Our defaults without the built-in networks to start from."""
    return HiLanderClusterer(init="random", random_state=seed).fit(*problem.fit)


def tree(problem, seed):
    """Trees instead of communities."""
    return HiLanderClusterer(decode="tree", random_state=seed).fit(*problem.fit)


def paper(problem, seed):
    """The published method; its threshold chosen on one half of the fit classes."""
    X, y = problem.fit
    half = y % 2 == 0
    model = HiLanderClusterer(random_state=seed, **PAPER).fit(X[half], y[half])
    values = {}
    for tau in np.arange(1, 10) / 10:
        labels = model.set_params(tau=tau).predict(X[~half])
        values[tau] = quality(y[~half], labels)
    best = max(values, key=values.get)
    return HiLanderClusterer(random_state=seed, **{**PAPER, "tau": best}).fit(X, y)


ours = {
    "HiLanderClusterer": default,
    "no labels: built-in networks": without_labels,
    "networks from scratch": from_scratch,
    'decode="tree"': tree,
    'mode="paper"': paper,
}


def load(name):
    """Rows and classes of a set, as a `Problem`."""
    if name == "long_tail":
        tests = {f"{name}_{n}": make_long_tail(n, 0) for n in (20_000, 50_000)}
        return Problem(None, make_long_tail(10_000, 1), tests)
    if name == "digits":
        X, y = load_digits(return_X_y=True)
        order = np.random.RandomState(0).permutation(len(y))
        sizes = (200, 400, 600, 1000, len(y))
        return Problem(
            None, None, {f"{name}_{n}": (X[order[:n]], y[order[:n]]) for n in sizes}
        )
    with np.load(DATA / f"{name}_features.npz") as file:
        X, y, split = file["X"].astype(np.float32), file["y"], file["split"]
    X /= np.linalg.norm(X, axis=1, keepdims=True)  # float16 has rounded the lengths
    encoder, fit, test = ((X[split == part], y[split == part]) for part in range(3))
    return Problem(encoder, fit, {name: test})


def evaluate(y, labels):
    """What is reported of a clustering."""
    return {
        "pairwise_f": float(pairwise_f_score(y, labels)),
        "bcubed_f": float(bcubed_f_score(y, labels)),
        "nmi": float(normalized_mutual_info_score(y, labels)),
        "n_clusters": len(np.unique(labels)),
    }


def quality(y, labels):
    """What parameters are chosen by."""
    return (pairwise_f_score(y, labels) + bcubed_f_score(y, labels)) / 2


def choose(cluster, grid, X, y):
    """Best point of a grid and its quality."""
    if not grid:
        return "", {}
    best = (-np.inf, None)
    for params in ParameterGrid(grid):
        value = float(quality(y, cluster(X, **params)))
        if value > best[0]:
            best = (value, params)
    return best


def describe(params):
    return " ".join(f"{key}={value}" for key, value in params.items())


def timed(data, name, cluster, X, y, params, **extra):
    """One row of the table: a clustering of test rows."""
    about = {"data": data, "model": name}
    if name.startswith("Agglomerative") and len(X) > LARGEST_DENSE:
        return {**about, "params": "skipped: needs all pairs in memory"}
    start = time.process_time()
    labels = cluster(X, **params)
    seconds = time.process_time() - start
    scores = evaluate(y, labels)
    return {
        **about,
        **scores,
        "cpu_seconds": seconds,
        "params": describe(params),
        **extra,
    }


def peer_rows(problem, wanted):
    """Rows of the clusterers of others."""
    for name, (cluster, grid) in tuned_peers().items():
        if wanted(name) and (problem.fit or not grid):
            value, params = choose(cluster, grid, *problem.fit or (None, None))
            for data, (X, y) in problem.tests.items():
                yield timed(
                    data, name, cluster, X, y, params, quality_on_fit_rows=value
                )
    if problem.fit is None:
        return
    for data, (X, y) in problem.tests.items():
        for name, (cluster, params) in counted_peers(problem.fit[1], X, y).items():
            if wanted(name):
                yield timed(data, name, cluster, X, y, params)


def our_rows(problem, wanted):
    """Rows of our own estimators: means over the seeds, and standard deviations."""
    for name, fit in ours.items():
        if not wanted(name) or problem.fit is None and fit is not without_labels:
            continue
        found = {data: [] for data in problem.tests}
        for seed in SEEDS:
            start = time.process_time()
            model = fit(problem, seed)
            seconds = time.process_time() - start
            for data, (X, y) in problem.tests.items():
                row = timed(data, name, model.predict, X, y, {})
                row |= {"cpu_seconds_fit": seconds}
                row["params"] = f"n_neighbors={model.n_neighbors_} tau={model.tau_}"
                found[data].append(row)
        for rows in found.values():
            yield summary(rows)


def summary(rows):
    """Means of the numbers in rows of several seeds, and deviations of the scores."""
    last = rows[-1]
    row = {
        key: float(np.mean([row[key] for row in rows])) if is_number(value) else value
        for key, value in last.items()
    }
    for key in ("pairwise_f", "bcubed_f", "nmi"):
        row[f"{key}_sd"] = float(np.std([row[key] for row in rows], ddof=1))
    return row


def is_number(value):
    return isinstance(value, (int, float))


def keep_others(name, rows):
    """The rows of a results file that are not computed again, and the new ones."""
    path = RESULTS / f"{name}.csv"
    if not path.exists():
        return rows
    with open(path, newline="") as file:
        old = list(csv.DictReader(file))
    # a row that is computed again keeps its place
    kept = {(row["data"], row["model"]): row for row in [*old, *rows]}
    return sorted(kept.values(), key=lambda row: row["data"])


def gain_rows():
    """What our models gain over the first methods tried, from the results files."""
    rows = []
    for name in ("cluster_peers", "cluster"):
        with open(RESULTS / f"{name}.csv", newline="") as file:
            rows += csv.DictReader(file)
    found = {(row["data"], row["model"]): row["pairwise_f"] for row in rows}
    found = {key: float(value) for key, value in found.items() if value}
    for data in sorted({data for data, _ in found}):
        tried = [found.get((data, name)) for name in FIRST_TRIED]
        if None in tried or (data, "HiLanderClusterer") not in found:
            continue
        mean, ours = np.mean(tried), found[data, "HiLanderClusterer"]
        paper = found.get((data, 'mode="paper"'))
        yield {
            "data": data,
            "first tried": f"{mean:.3f}",
            "HiLanderClusterer": f"{ours:.3f}",
            "gain": f"{ours / mean - 1:+.0%}",
            'mode="paper"': f"{paper:.3f}" if paper else "",
            "gain over it": f"{ours / paper - 1:+.0%}" if paper else "",
        }


PARTS = {"cluster_peers": peer_rows, "cluster": our_rows}


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--data", nargs="*", default=SETS)
    parser.add_argument("--models", nargs="*")
    options = parser.parse_args()
    warnings.filterwarnings("ignore", category=FutureWarning)

    def wanted(name):
        return not options.models or name in options.models

    with threadpool_limits(1):
        for data in options.data:
            problem = load(data)
            for part, rows_of in PARTS.items():
                for row in rows_of(problem, wanted):  # kept at once: some take long
                    report(part, keep_others(part, [row]))
    report("cluster_gain", list(gain_rows()))


if __name__ == "__main__":
    main()
