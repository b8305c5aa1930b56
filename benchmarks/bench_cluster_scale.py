"""What clustering costs against the number of rows.

``HiLanderClusterer(n_neighbors=10).fit(X)``, with the built-in networks, on synthetic rows
with 64 columns and a long tail of class sizes. CPU seconds of one thread, split into the
search for neighbours, the features of the edges, the networks, the communities, all
further levels, and the rest (most of it the check of the search's recall). Memory is the
largest that the process had, with Python and torch (about 500 MB) and the rows. Compilation
comes before and is not counted. Beside it HDBSCAN of scikit-learn, up to 30,000 rows.

    OMP_NUM_THREADS=1 NUMBA_NUM_THREADS=1 python benchmarks/bench_cluster_scale.py

Without arguments up to 300,000 rows; name others to run them alone. Rows of the results
file that are not computed again are kept. Each line is a process of its own.
"""

import argparse
import csv
import json
import pathlib
import resource
import subprocess
import sys
import tempfile
import time

import numpy as np
from _long_tail import make_long_tail
from _tools import RESULTS, report

NAME = "cluster_scale"
SIZES = [10_000, 30_000, 100_000, 300_000]
LARGEST_PEER = 30_000
N_NEIGHBORS = 10


class Shares:
    """CPU seconds inside some functions, those of functions called by them apart."""

    def __init__(self):
        self.seconds = {}
        self._inner = []

    def watch(self, owner, name, share, outermost=False):
        """Count the calls of ``owner.name`` to a share.

        With `outermost` a call inside another watched function counts to that one.
        """
        work = getattr(owner, name)

        def watched(*args, **kwargs):
            if outermost and self._inner:
                return work(*args, **kwargs)
            self._inner.append(0.0)
            start = time.process_time()
            result = work(*args, **kwargs)
            spent = time.process_time() - start
            self.add(share, spent - self._inner.pop())
            if self._inner:
                self._inner[-1] += spent
            return result

        setattr(owner, name, watched)

    def add(self, share, seconds):
        self.seconds[share] = self.seconds.get(share, 0.0) + seconds


def watch_steps():
    """Shares of the steps of a fit without labels."""
    from skdeep.cluster import _running, _search, _structural
    from skdeep.cluster._structural import RowGraph

    shares = Shares()
    shares.watch(_search, "knn_graph", "knn", outermost=True)
    shares.watch(_structural, "bring_together", "features")
    shares.watch(RowGraph, "__init__", "features")
    shares.watch(RowGraph, "refine", "features")
    shares.watch(RowGraph, "look", "networks")
    shares.watch(RowGraph, "merge", "communities")
    shares.watch(_running, "cluster", "further_levels")
    shares.watch(_running, "measure_recall", "rest")
    return shares


def run_ours(X):
    from skdeep import HiLanderClusterer

    clusterer = HiLanderClusterer(n_neighbors=N_NEIGHBORS, random_state=0)
    some = X[:: max(1, len(X) // 5000)]
    clusterer.fit(some)  # compiles
    if len(X) > 80_000:
        clusterer.set_params(knn="pynndescent").fit(some)
        clusterer.set_params(knn="auto")
    shares = watch_steps()
    start = time.process_time()
    clusterer.fit(X)
    total = time.process_time() - start
    shares.add("rest", total - sum(shares.seconds.values()))
    after = total - shares.seconds["knn"]
    return clusterer.labels_, {
        "cpu_seconds": total,
        "after_knn": after,
        **shares.seconds,
        "knn_recall": clusterer.knn_recall_,
    }


def run_hdbscan(X):
    from sklearn.cluster import HDBSCAN

    start = time.process_time()
    labels = HDBSCAN(copy=True).fit_predict(X)
    seconds = time.process_time() - start
    noise = labels < 0  # each a cluster of its own
    labels[noise] = labels.max() + 1 + np.arange(noise.sum())
    return labels, {"cpu_seconds": seconds}


MODELS = {"HiLanderClusterer": run_ours, "HDBSCAN": run_hdbscan}


def run_alone(model, path):
    """One line of the table, by a process that does nothing else."""
    import torch

    from skdeep.metrics import bcubed_f_score, pairwise_f_score

    torch.set_num_threads(1)
    with np.load(path) as file:
        X, y = file["X"], file["y"]
    labels, found = MODELS[model](X)
    found["peak_mb"] = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss // 1024
    start = time.process_time()
    found["pairwise_f"] = float(pairwise_f_score(y, labels))
    found["bcubed_f"] = float(bcubed_f_score(y, labels))
    found["both_metrics"] = time.process_time() - start
    found["n_clusters"] = int(labels.max()) + 1
    print(json.dumps({"n_samples": len(X), "model": model, **found}))


def measure(sizes):
    """Rows of the table."""
    for n in sizes:
        with tempfile.TemporaryDirectory() as folder:
            path = pathlib.Path(folder) / "rows.npz"
            X, y = make_long_tail(n, 0)
            np.savez(path, X=X, y=y)
            del X, y
            for model in MODELS:
                if model == "HDBSCAN" and n > LARGEST_PEER:
                    continue
                command = [sys.executable, __file__, "--model", model, "--rows", path]
                answer = subprocess.run(command, check=True, stdout=subprocess.PIPE)
                yield json.loads(answer.stdout)


def keep_others(rows):
    """The rows of the results file that are not computed again, and the new ones."""
    path = RESULTS / f"{NAME}.csv"
    old = []
    if path.exists():
        with open(path, newline="") as file:
            old = list(csv.DictReader(file))
    new = {(str(row["n_samples"]), row["model"]) for row in rows}
    old = [row for row in old if (row["n_samples"], row["model"]) not in new]
    return sorted(rows + old, key=lambda row: (row["model"], int(row["n_samples"])))


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("sizes", nargs="*", type=int, default=SIZES)
    parser.add_argument("--model", choices=list(MODELS), help=argparse.SUPPRESS)
    parser.add_argument("--rows", help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.model:
        run_alone(options.model, options.rows)
        return
    for row in measure(options.sizes):
        report(NAME, keep_others([row]))


if __name__ == "__main__":
    main()
