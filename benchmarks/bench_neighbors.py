"""Compare `knn_graph` with scikit-learn's searches and with pynndescent itself.

CPU seconds of one self-join (every row against all rows) with 30 neighbours, on clustered
data, and the recall against scikit-learn in float64. Run it with one thread:

    OMP_NUM_THREADS=1 NUMBA_NUM_THREADS=1 python benchmarks/bench_neighbors.py

`--quick` leaves out the sizes above 10,000 rows. Compilation by numba is done before and
shown in a line of its own.
"""

import argparse
import csv
import time
from pathlib import Path

import numpy as np
from pynndescent import NNDescent
from sklearn.datasets import make_blobs
from sklearn.neighbors import NearestNeighbors

from skdeep.neighbors import knn_graph

N_NEIGHBORS = 30
N_CHECKED = 500
SIZES = ((2_000, 64), (10_000, 8), (10_000, 64), (10_000, 128), (50_000, 64))
RESULTS = Path(__file__).parent / "results" / "neighbors.csv"


def make_data(n_samples, n_features):
    """Clusters of 500 rows in 12 dimensions, turned into `n_features` with some noise."""
    rng = np.random.RandomState(0)
    hidden, _ = make_blobs(n_samples, 12, centers=n_samples // 500, random_state=rng)
    X = hidden @ rng.normal(size=(12, n_features))
    return (X + 0.1 * rng.normal(size=X.shape)).astype(np.float32)


def ours(X, metric, algorithm):
    return knn_graph(
        X, N_NEIGHBORS, metric=metric, algorithm=algorithm, random_state=0
    )[0]


def scikit_learn(X, metric, algorithm):
    model = NearestNeighbors(
        n_neighbors=N_NEIGHBORS, metric=metric, algorithm=algorithm
    ).fit(X)
    return model.kneighbors(return_distance=False)


def pynndescent(X, metric, n_asked):
    index = NNDescent(X, metric=metric, n_neighbors=n_asked, random_state=0)
    return index.neighbor_graph[0][:, 1 : N_NEIGHBORS + 1]


def competitors(n_samples, n_features, metric):
    """Names and functions of the searches that are sensible at this size."""
    yield "knn_graph exact", lambda X: ours(X, metric, "exact")
    yield "sklearn brute", lambda X: scikit_learn(X, metric, "brute")
    if metric == "euclidean" and n_samples <= 10_000:
        yield "sklearn kd_tree", lambda X: scikit_learn(X, metric, "kd_tree")
        yield "sklearn ball_tree", lambda X: scikit_learn(X, metric, "ball_tree")
    if n_samples >= 10_000:
        yield "knn_graph pynndescent", lambda X: ours(X, metric, "pynndescent")
        yield "pynndescent", lambda X: pynndescent(X, metric, N_NEIGHBORS + 1)


def recall(X, metric, indices):
    """Share of the neighbours found that are as near as the true ones."""
    rows = np.random.RandomState(0).choice(len(X), N_CHECKED, replace=False)
    model = NearestNeighbors(
        n_neighbors=N_NEIGHBORS + 1, metric=metric, algorithm="brute"
    ).fit(X.astype(np.float64))
    _, true = model.kneighbors(X[rows].astype(np.float64))
    true = [list(ids[ids != row][:N_NEIGHBORS]) for ids, row in zip(true, rows)]
    found = [len(set(ids) & set(indices[row])) for ids, row in zip(true, rows)]
    return sum(found) / (N_CHECKED * N_NEIGHBORS)


def measure(sizes):
    for n_samples, n_features in sizes:
        X = make_data(n_samples, n_features)
        for metric in ("cosine", "euclidean"):
            reference = None
            for name, search in competitors(n_samples, n_features, metric):
                start = time.process_time()
                indices = search(X)
                seconds = time.process_time() - start
                reference = reference or seconds
                yield {
                    "n_samples": n_samples,
                    "n_features": n_features,
                    "metric": metric,
                    "search": name,
                    "cpu_seconds": round(seconds, 3),
                    "times_knn_graph_exact": round(seconds / reference, 2),
                    "recall": round(recall(X, metric, indices), 4),
                }


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--quick", action="store_true")
    quick = parser.parse_args().quick
    start = time.process_time()
    for metric in ("cosine", "euclidean"):  # the methods of large data
        pynndescent(make_data(20_000, 8), metric, 31)
    print(f"compilation of pynndescent: {time.process_time() - start:.1f} CPU s")
    rows = []
    for row in measure([size for size in SIZES if not quick or size[0] <= 10_000]):
        rows.append(row)
        if len(rows) == 1:
            print("  ".join(row))
        print("  ".join(f"{value!s:>{len(key)}}" for key, value in row.items()))
    with open(RESULTS, "w", newline="") as file:
        writer = csv.DictWriter(file, rows[0])
        writer.writeheader()
        writer.writerows(rows)


if __name__ == "__main__":
    main()
