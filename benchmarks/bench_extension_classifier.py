"""New classes for a trained classifier.

A source is trained on the old classes. Then ``n_rows`` labelled rows of each class come,
in one of two settings:

* ``some_old``: rows of old and of new classes;
* ``new_only``: rows of new classes alone; the models with a pool have rows of all classes
  without a label beside them.

``digits`` are 8 x 8 images, with 8 and 9 as the new classes; half of the rows of each old
class train the source, a fifth are the new data and the pool, the others the test.
``clinc150`` are texts of 150 intents, 15 drawn at random being new; 60 texts of each old
intent train the source, its TF-IDF vocabulary included, 60 others are the new data and the
pool, and 30 the test.

Accuracy in percent on old classes, on new classes and on all test rows, and the harmonic
mean of the first two; mean and standard deviation over seeds, which draw the rows and the
domain. Every model has one setting for all cases. The constants inside the extender
(penalties, neighbours, quantile, scaling) were compared on these two data sets, the peers
are not tuned: differences of a point say nothing. The weights inside the gate, its quantile,
what it does with rows that the source keeps, the shift of new classes, the mean of two
regressions and the number of epochs were chosen with other digits as the new classes (0 and
1, 2 and 3, 4 and 5, 6 and 7, 1 and 7, 3 and 5, 2 and 6, 4 and 7) and other draws of intents;
that the weights hold for probabilities alone, not for decision values, was settled after a
look at 8 and 9, too. Seconds are those of one CPU thread for fit and prediction.

Run ``bench_extension_classifier.py [--data digits clinc150] [--models name ...]
[--seeds n]``. Rows of the results file that are not computed again are kept. clinc150 is
downloaded on first use.
"""

import argparse
import csv
from typing import Any, NamedTuple

import numpy as np
from _extension_models import OURS, PEERS, run_model
from _tools import RESULTS, report
from sklearn.datasets import load_digits
from sklearn.ensemble import RandomForestClassifier
from sklearn.feature_extraction.text import TfidfVectorizer
from sklearn.linear_model import LogisticRegression
from sklearn.neighbors import KNeighborsClassifier
from sklearn.neural_network import MLPClassifier
from sklearn.svm import SVC
from threadpoolctl import threadpool_limits

from skdeep.datasets import fetch_clinc150

KEYS = ("data", "source", "setting", "n_rows", "model")
SOURCES = {
    "logistic": lambda seed: LogisticRegression(max_iter=2000),
    "forest": lambda seed: RandomForestClassifier(200, random_state=seed),
    "mlp": lambda seed: MLPClassifier((100,), max_iter=300, random_state=seed),
    "svc": lambda seed: SVC(),
    "neighbors": lambda seed: KNeighborsClassifier(3),
}
CELLS = {
    "digits": [("some_old", 5), ("some_old", 20), ("new_only", 40)],
    "clinc150": [("some_old", 5), ("some_old", 20), ("new_only", 40)],
}
OF_SETTING = {
    "some_old": [
        "ours: auto",
        "ours: adapter",
        "ours: stacking",
        "ours: stacking, no skip",
        "ours: finetune",
        *PEERS,
    ],
    "new_only": [
        "ours: auto",
        "ours: gate, knn",
        "ours: gate, mahalanobis",
        "ours: gate, pool",
        "ours: adapter",
        *(name for name in PEERS if name != "stacking by hand"),
    ],
}


class Case(NamedTuple):
    """A source and rows; `is_new` says which test rows are of new classes."""

    source: Any
    X_source: Any
    y_source: np.ndarray
    X_new: Any
    y_new: np.ndarray
    X_pool: Any
    X_test: Any
    y_test: np.ndarray
    is_new: np.ndarray


def parts_of(y, shares, rng):
    """Part of each row; every class is cut in the same way."""
    part = np.full(len(y), len(shares))
    for label in np.unique(y):
        rows = rng.permutation(np.flatnonzero(y == label))
        ends = np.cumsum([int(share * len(rows)) for share in shares])
        for number, rows_of_part in enumerate(np.split(rows, ends)[:-1]):
            part[rows_of_part] = number
    return part


def make_case(X, y, part, new, make_source, setting, n_rows, rng):
    """Train the source and draw the new data.

    Rows of part 0 are for the source, of part 1 for the new data and the pool, of part 2
    for the test. New classes may use part 0 as well.
    """
    is_new = np.isin(y, new)
    train = np.flatnonzero((part == 0) & ~is_new)
    source = make_source().fit(X[train], y[train])
    chosen = []
    for label in np.unique(y):
        if setting == "new_only" and label not in new:
            continue
        usable = (part < 2) if label in new else (part == 1)
        chosen.append(rng.permutation(np.flatnonzero(usable & (y == label)))[:n_rows])
    chosen = np.concatenate(chosen)
    pool = np.setdiff1d(np.flatnonzero(part == 1), chosen)
    test = np.flatnonzero(part == 2)
    return Case(
        source,
        X[train],
        y[train],
        X[chosen],
        y[chosen],
        X[pool],
        X[test],
        y[test],
        is_new[test],
    )


def digits_case(source, setting, n_rows, seed):
    X, y = load_digits(return_X_y=True)
    rng = np.random.RandomState(seed)
    part = parts_of(y, (0.5, 0.2), rng)
    make = SOURCES[source]
    return make_case(X, y, part, [8, 9], lambda: make(seed), setting, n_rows, rng)


def clinc150_case(source, setting, n_rows, seed):
    texts = fetch_clinc150()
    rng = np.random.RandomState(seed)
    y, names = texts.target, texts.target_names
    new = rng.permutation(len(names))[:15]
    part = np.where(texts.split == "test", 2, 1)
    train = np.flatnonzero(texts.split == "train")
    part[train[parts_of(y[train], (0.6,), rng) == 0]] = 0
    known = np.flatnonzero((part == 0) & ~np.isin(y, new))
    vectorizer = TfidfVectorizer(sublinear_tf=True, ngram_range=(1, 2), min_df=2)
    vectorizer.fit(texts.data[known])
    X = vectorizer.transform(texts.data).astype(np.float32)

    def make():
        return LogisticRegression(C=10, max_iter=300)

    return make_case(X, y, part, new, make, setting, n_rows, rng)


CASES = {"digits": digits_case, "clinc150": clinc150_case}


def accuracies(labels, case):
    """Percent right on old, new and all test rows, and the harmonic mean."""
    right = np.asarray(labels) == case.y_test
    old, new = right[~case.is_new].mean(), right[case.is_new].mean()
    mean = 0.0 if old * new == 0 else 2 * old * new / (old + new)
    return np.array([old, new, right.mean(), mean]) * 100


def rows_of(data, source, setting, n_rows, names, n_seeds):
    """One row of the table for each model."""
    found = {name: [] for name in names}
    for seed in range(n_seeds):
        case = CASES[data](source, setting, n_rows, seed)
        for name in names:
            labels, seconds = run_model(name, case, seed)
            found[name].append([*accuracies(labels, case), seconds])
    for name, values in found.items():
        mean, spread = np.mean(values, axis=0), np.std(values, axis=0)
        row = dict(zip(KEYS, (data, source, setting, n_rows, name)))
        for place, column in enumerate(("old", "new", "all", "harmonic")):
            row[column] = round(mean[place], 1)
            row[f"{column}_std"] = round(spread[place], 1)
        yield {**row, "cpu_s": round(mean[4], 2), "n_seeds": n_seeds}


def keep_others(rows):
    """The rows of the results file that are not computed again, and the new ones."""
    path = RESULTS / "extension_classifier.csv"
    if not path.exists():
        return rows

    def key_of(row):
        return tuple(str(row[key]) for key in KEYS)

    new = {key_of(row) for row in rows}
    with open(path, newline="") as file:
        old = [row for row in csv.DictReader(file) if key_of(row) not in new]
    return sorted([*old, *rows], key=lambda row: key_of(row)[:4])


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--data", nargs="*", default=list(CASES))
    parser.add_argument("--sources", nargs="*", default=list(SOURCES))
    parser.add_argument("--settings", nargs="*", default=list(OF_SETTING))
    parser.add_argument("--models", nargs="*")
    parser.add_argument("--seeds", type=int, default=5)
    args = parser.parse_args()
    unknown = set(args.models or ()) - {*PEERS, *(f"ours: {name}" for name in OURS)}
    if unknown:
        parser.error(f"unknown models {sorted(unknown)}")
    rows = []
    with threadpool_limits(1):
        for data in args.data:
            for source in args.sources if data == "digits" else ["logistic"]:
                for setting, n_rows in CELLS[data]:
                    if setting not in args.settings:
                        continue
                    names = [
                        name
                        for name in OF_SETTING[setting]
                        if not args.models or name in args.models
                        if (source, name) != ("svc", "stacking by hand")
                    ]
                    rows += rows_of(data, source, setting, n_rows, names, args.seeds)
                    report("extension_classifier", keep_others(rows))


if __name__ == "__main__":
    main()
