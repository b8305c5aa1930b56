"""Cost of OPIS against the number of rows, beside the brute force.

Rows are 128-dimensional, ten a class. Each run is a process of its own with one
thread; memory is its peak resident size less the size with the data in place, so that
the data themselves and the imports do not count (Linux only).

Run: python benchmarks/bench_opis.py [--quick]
"""

import argparse
import csv
import json
import os
import subprocess
import sys
import time
from pathlib import Path

SIZES = (1000, 2000, 5000, 10_000, 20_000, 50_000)
BRUTE_FORCE_LIMIT = 10_000
RESULTS = Path(__file__).parent / "results" / "opis.csv"


def make_data(n_samples, n_components=128):
    """Float32 rows about random class centres, and their classes."""
    import numpy as np

    rng = np.random.RandomState(0)
    y = rng.randint(n_samples // 10, size=n_samples)
    centres = rng.standard_normal((n_samples // 10, n_components)).astype(np.float32)
    noise = rng.standard_normal((n_samples, n_components)).astype(np.float32)
    return y, centres[y] + 1.5 * noise


def brute_force_opis(y, X):
    """OPIS from the full matrix of distances, sorted class by class."""
    import numpy as np
    from scipy.spatial.distance import cdist

    X = X.astype(np.float64)
    X /= np.linalg.norm(X, axis=1, keepdims=True)
    order = np.argsort(y, kind="stable")
    X, y = X[order], y[order]
    distance = cdist(X, X)
    classes, start, size = np.unique(y, return_index=True, return_counts=True)
    negative = [distance[a : a + m, a + m :].ravel() for a, m in zip(start, size)]
    negative = np.sort(np.concatenate(negative))
    ends = negative[[int(np.ceil(a * len(negative))) - 1 for a in (0.01, 0.1)]]
    thresholds = np.linspace(*ends, 101)
    thresholds[[0, -1]] = ends
    curves = []
    for a, m in zip(start, size):
        rows = distance[a : a + m]
        inside = np.sort(rows[:, a : a + m][np.triu_indices(m, 1)])
        others = np.sort(np.delete(rows, np.s_[a : a + m], axis=1).ravel())
        if m > 1:
            psi = np.searchsorted(inside, thresholds, side="right") / len(inside)
            phi = 1 - np.searchsorted(others, thresholds, side="right") / len(others)
            curves.append(2 * phi * psi / np.maximum(phi + psi, 1e-300))
    variance = np.var(curves, axis=0)
    return float((variance.sum() - (variance[0] + variance[-1]) / 2) / 100)


def measure(method, n_samples):
    """Score, CPU seconds and extra peak memory, in this process."""
    import psutil

    from skdeep.metrics import opis_score

    score = {"brute force": brute_force_opis, "opis_score": opis_score}[method]
    score(*make_data(200))  # pay for lazy imports beforehand
    y, X = make_data(n_samples)
    before = psutil.Process().memory_info().rss
    with open("/proc/self/clear_refs", "w") as file:
        file.write("5")  # start the peak anew: making the data may have peaked above
    start = time.process_time()
    value = score(y, X)
    seconds = time.process_time() - start
    status = Path("/proc/self/status").read_text()
    peak = int(status.partition("VmHWM:")[2].split()[0]) * 1024
    return {"opis": value, "seconds": seconds, "extra_mb": (peak - before) / 2**20}


def measure_in_process(method, n_samples):
    """The same in a fresh process with one thread."""
    threads = dict.fromkeys(
        ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS"), "1"
    )
    command = [sys.executable, __file__, "--one", method, str(n_samples)]
    output = subprocess.run(
        command, env={**os.environ, **threads}, check=True, capture_output=True
    ).stdout
    return json.loads(output)


def main(sizes):
    rows = []
    header = f"{'n':>7}{'CPU s':>9}{'MB':>8}{'brute CPU s':>13}{'MB':>8}{'ratio':>8}"
    print(header)
    for n_samples in sizes:
        ours = measure_in_process("opis_score", n_samples)
        row = {
            "n_samples": n_samples,
            "cpu_s": round(ours["seconds"], 3),
            "extra_mb": round(ours["extra_mb"], 1),
            "opis": ours["opis"],
        }
        line = f"{n_samples:>7}{row['cpu_s']:>9.2f}{row['extra_mb']:>8.0f}"
        if n_samples <= BRUTE_FORCE_LIMIT:
            brute = measure_in_process("brute force", n_samples)
            row["brute_cpu_s"] = round(brute["seconds"], 3)
            row["brute_extra_mb"] = round(brute["extra_mb"], 1)
            row["ratio"] = round(brute["seconds"] / ours["seconds"], 1)
            row["difference"] = abs(brute["opis"] - ours["opis"])
            line += f"{row['brute_cpu_s']:>13.2f}{row['brute_extra_mb']:>8.0f}"
            line += f"{row['ratio']:>8.1f}"
        print(line, flush=True)
        rows.append(row)
    return rows


def write(rows, path):
    names = list(dict.fromkeys(name for row in rows for name in row))
    with open(path, "w", newline="") as file:
        writer = csv.DictWriter(file, names, lineterminator="\n")
        writer.writeheader()
        writer.writerows(rows)


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--quick", action="store_true", help="small sizes, no file")
    parser.add_argument("--one", nargs=2, metavar=("METHOD", "N"))
    arguments = parser.parse_args()
    if arguments.one:
        print(json.dumps(measure(arguments.one[0], int(arguments.one[1]))))
    elif arguments.quick:
        main(SIZES[:3])
    else:
        write(main(SIZES), RESULTS)
