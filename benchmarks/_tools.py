"""What the benchmark scripts share: timing, tables, results files."""

import csv
import pathlib
import statistics
import time

RESULTS = pathlib.Path(__file__).parent / "results"


def cpu_seconds(work, repeats=5):
    """Median CPU seconds of calling `work`, after one call that is not counted."""
    work()
    times = []
    for _ in range(repeats):
        start = time.process_time()
        work()
        times.append(time.process_time() - start)
    return statistics.median(times)


def interleaved(works, repeats=7):
    """Median CPU seconds of several callables, measured in turn.

    Parameters
    ----------
    works : dict of str -> callable
        What to compare. Taking turns cancels a drift of the machine's speed.

    repeats : int, default=7
        Counted rounds, after one that is not.

    Returns
    -------
    seconds : dict of str -> float
    """
    times = {name: [] for name in works}
    for turn in range(repeats + 1):
        for name, work in works.items():
            start = time.process_time()
            work()
            if turn:
                times[name].append(time.process_time() - start)
    return {name: statistics.median(values) for name, values in times.items()}


def report(name, rows):
    """Print rows as a table and write them to ``results/<name>.csv``."""
    columns = list(dict.fromkeys(column for row in rows for column in row))
    cells = [columns] + [[_text(row.get(c, "")) for c in columns] for row in rows]
    widths = [max(len(line[i]) for line in cells) for i in range(len(columns))]
    for line in cells:
        print("  ".join(cell.ljust(width) for cell, width in zip(line, widths)))
    RESULTS.mkdir(exist_ok=True)
    with open(RESULTS / f"{name}.csv", "w", newline="") as file:
        writer = csv.writer(file, lineterminator="\n")
        writer.writerows(cells)


def _text(value):
    return f"{value:.4g}" if isinstance(value, float) else str(value)
