"""Multi-label classification beside its peers, on the standard split of each data set.

* ``peers``: what scikit-learn (and napkinXC, where it is installed) reaches. Parameters
  are chosen on the training rows alone, by three folds, as the best mean of nDCG@5 and of
  the example F1 at the best common cut; the out-of-fold scores then also choose the cuts:
  one for all labels, for the example F1 or for the subset accuracy, with or without at
  least one label for every row. Rows with ``split=cv`` show the out-of-fold scores at
  these choices (hence a little optimistic), rows with ``split=test`` the test rows after
  a fit to all training rows.

* ``default``: `DynamicChainClassifier()` as it comes, each of its decisions on the test
  rows, mean and standard deviation over three seeds, or nine with fewer than 1,000 rows,
  and the best peer for each measure beside it, peers at a cut of 0.5 and at their cuts
  tuned on training rows.
* ``orders``: the same network and budget with every order of the labels, five seeds; the
  last row is the dynamic order minus the best of the four fixed ones, each measure by
  itself, with the standard deviation of the difference over the seeds.
* ``plain``: the same without a first look and with five ways to learn a dynamic order. Two
  members answer each by itself. Scores are read in three ways, for all orders alike.

Run ``bench_multilabel.py [part ...] [--data name ...] [--peers name ...]``; the data are
downloaded. Rows of the results file that are not computed again are kept.
"""

import argparse
import csv
import tempfile
import time
import warnings
from importlib.util import find_spec

import numpy as np
import scipy.sparse as sp
from _tools import RESULTS, report
from sklearn.base import BaseEstimator, ClassifierMixin, clone
from sklearn.ensemble import (
    ExtraTreesClassifier,
    HistGradientBoostingClassifier,
    RandomForestClassifier,
)
from sklearn.exceptions import ConvergenceWarning
from sklearn.feature_extraction.text import TfidfTransformer
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import accuracy_score, f1_score, hamming_loss
from sklearn.model_selection import KFold, ParameterGrid
from sklearn.multiclass import OneVsRestClassifier
from sklearn.multioutput import ClassifierChain, MultiOutputClassifier
from sklearn.neighbors import KNeighborsClassifier
from sklearn.neural_network import MLPClassifier
from sklearn.pipeline import Pipeline
from sklearn.preprocessing import FunctionTransformer, StandardScaler

from skdeep.datasets import fetch_multilabel
from skdeep.metrics import ndcg_at_k_score, precision_at_k_score
from skdeep.multilabel import DynamicChainClassifier

DATA = ["emotions", "yeast", "medical", "bibtex"]
CUTS = np.linspace(0.01, 0.99, 99)

# 111 CPU seconds for the fit of 20 labels with trees of four leaves
SKIPPED = {
    ("bibtex", "HistGradientBoosting"): "skipped: a fit takes over 10 CPU minutes"
}


def load(name):
    """Training and test samples and 0/1 label matrices of a set."""
    parts = []
    for split in ("train", "test"):
        X, Y = fetch_multilabel(name, split=split, return_X_y=True)
        parts += [X, np.asarray(Y.toarray() if sp.issparse(Y) else Y, dtype=np.int64)]
    return parts


def evaluate(name, scores, labels, y_test):
    """One row: measures of a ranking and of a choice of labels.

    Parameters
    ----------
    name : str
        Name of the model.

    scores : array of shape (n_samples, n_labels)
        Larger for labels that are more likely.

    labels : array of shape (n_samples, n_labels)
        The chosen labels, 0 or 1.

    y_test : array of shape (n_samples, n_labels)
        The true labels. A row without a true and without a chosen label has example F1 1.

    Returns
    -------
    row : dict
    """
    row = {
        "model": name,
        "subset_accuracy": accuracy_score(y_test, labels),
        "example_f1": f1_score(y_test, labels, average="samples", zero_division=1),
        "micro_f1": f1_score(y_test, labels, average="micro"),
        "hamming_loss": hamming_loss(y_test, labels),
    }
    for k in (1, 3, 5):
        row[f"p_at_{k}"] = precision_at_k_score(y_test, scores, k=k)
    for k in (3, 5):
        row[f"ndcg_at_{k}"] = ndcg_at_k_score(y_test, scores, k=k)
    return {key: v if isinstance(v, str) else float(v) for key, v in row.items()}


def cut_labels(scores, cut, at_least_one=False):
    """Labels above a cut, if wanted with the best one of a row that has none above."""
    labels = (scores > cut).astype(np.int64)
    if at_least_one:
        labels[np.arange(len(scores)), scores.argmax(axis=1)] = 1
    return labels


def example_f1(Y, labels):
    size = Y.sum(axis=1) + labels.sum(axis=1)
    hits = 2.0 * (Y * labels).sum(axis=1)
    return np.divide(hits, size, out=np.ones(len(Y)), where=size > 0).mean()


def subset_accuracy(Y, labels):
    return (labels == Y).all(axis=1).mean()


def best_cut(measure, Y, scores, at_least_one=False):
    """Cut with the largest measure, and that measure."""
    values = [measure(Y, cut_labels(scores, cut, at_least_one)) for cut in CUTS]
    return CUTS[int(np.argmax(values))], max(values)


def decisions(Y, scores):
    """How to make labels of scores: name -> cut and whether a row may stay empty."""
    rules = {"0.5": (0.5, False)}
    for measure in (example_f1, subset_accuracy):
        for at_least_one in (False, True):
            title = f"cut for {measure.__name__}" + ", at least one" * at_least_one
            cut, _ = best_cut(measure, Y, scores, at_least_one)
            rules[title] = (cut, at_least_one)
    return rules


def fit_scores(model, X, Y, X_new):
    """Scores of new rows, and the CPU seconds of fit and of prediction.

    A label that all training rows have, or none, is left out of the fit and gets that
    constant as its score.
    """
    varied = Y.any(axis=0) & ~Y.all(axis=0)
    scores = np.tile(Y.all(axis=0).astype(float), (X_new.shape[0], 1))
    start = time.process_time()
    model.fit(X, Y[:, varied])
    fitted = time.process_time()
    found = model.predict_proba(X_new)
    if isinstance(found, list):
        found = np.column_stack([part[:, 1] for part in found])
    seconds = (fitted - start, time.process_time() - fitted)
    scores[:, varied] = found
    return scores, seconds


def out_of_fold(model, X, Y):
    """Score of each training row by a model that has not seen it."""
    scores = np.empty(Y.shape)
    for train, held in KFold(3, shuffle=True, random_state=0).split(Y):
        scores[held], _ = fit_scores(clone(model), X[train], Y[train], X[held])
    return scores


def choose(model, grid, X, Y):
    """Best parameters of a grid and the out-of-fold scores with them."""
    best = (-np.inf, None, None)
    for params in ParameterGrid(grid):
        scores = out_of_fold(clone(model).set_params(**params), X, Y)
        quality = ndcg_at_k_score(Y, scores, k=5) + best_cut(example_f1, Y, scores)[1]
        if quality > best[0]:
            best = (quality, params, scores)
    return best[1:]


class ChainEnsemble(ClassifierMixin, BaseEstimator):
    """Mean probability of classifier chains in random orders."""

    def __init__(self, estimator, n_chains=10):
        self.estimator = estimator
        self.n_chains = n_chains

    def fit(self, X, Y):
        self.chains_ = [
            ClassifierChain(clone(self.estimator), order="random", random_state=i)
            for i in range(self.n_chains)
        ]
        for chain in self.chains_:
            chain.fit(X, Y)
        return self

    def predict_proba(self, X):
        return np.mean([chain.predict_proba(X) for chain in self.chains_], axis=0)


class NapkinXC(ClassifierMixin, BaseEstimator):
    """Probabilistic label tree (or one linear model per label) of napkinXC."""

    def __init__(self, kind="PLT", C=10.0):
        self.kind = kind
        self.C = C

    def fit(self, X, Y):
        from napkinxc import models

        self.folder_ = tempfile.TemporaryDirectory()
        options = {"liblinear_c": self.C, "threads": 1, "verbose": 0, "seed": 0}
        self.model_ = getattr(models, self.kind)(self.folder_.name, **options)
        self.model_.fit(sp.csr_matrix(X), [np.flatnonzero(row).tolist() for row in Y])
        self.n_labels_ = Y.shape[1]
        return self

    def predict_proba(self, X):
        scores = np.zeros((X.shape[0], self.n_labels_))
        found = self.model_.predict_proba(sp.csr_matrix(X), top_k=self.n_labels_)
        for row, pairs in enumerate(found):
            for label, score in pairs:
                scores[row, label] = score
        return scores


def _toarray(X):
    return X.toarray()


def peers(sparse, large):
    """Name -> model and grid; linear models and networks get a fitting input."""
    inputs = ["passthrough", TfidfTransformer()] if sparse else [StandardScaler()]
    dense = FunctionTransformer(_toarray, accept_sparse=True)
    dense = [dense] if sparse else ["passthrough"]
    logistic = LogisticRegression(
        solver="liblinear" if sparse else "lbfgs", max_iter=1000, random_state=0
    )
    linear = {
        "input": inputs,
        "model__estimator__C": [0.1, 1, 10, 100, 1000]
        if sparse
        else [0.001, 0.01, 0.1, 1],
    }
    trees = {"n_estimators": 100 if large else 300, "random_state": 0}
    forest = {
        "input": dense,
        "model__max_features": ["sqrt", 0.1] if large else ["sqrt", 0.3, 0.6],
        "model__min_samples_leaf": [1, 3],
    }
    napkin = {
        "input": inputs,
        "model__C": [1, 10, 100, 1000] if sparse else [0.01, 0.1, 1, 10],
    }
    table = {
        "OneVsRest logistic": (OneVsRestClassifier(logistic), linear),
        "ClassifierChain logistic": (ClassifierChain(logistic), linear),
        "RandomForest": (RandomForestClassifier(**trees), forest),
        "ExtraTrees": (ExtraTreesClassifier(**trees), forest),
        "ClassifierChain logistic x 10": (
            ChainEnsemble(logistic),
            {**linear, "model__estimator__C": [1, 10]} if large else linear,
        ),
        "MLPClassifier": (
            MLPClassifier((256,), batch_size=64, random_state=0),
            {
                "input": inputs,
                "model__alpha": [0.01, 0.1] if large else [0.03, 0.1, 1, 3],
                "model__max_iter": [10, 30] if large else [20, 60, 200],
            },
        ),
        "KNeighbors": (
            KNeighborsClassifier(metric="cosine" if sparse else "euclidean"),
            {
                "input": inputs,
                "model__n_neighbors": [5, 10, 20, 40],
                "model__weights": ["uniform", "distance"],
            },
        ),
        "HistGradientBoosting": (
            MultiOutputClassifier(
                HistGradientBoostingClassifier(early_stopping=False, random_state=0)
            ),
            {
                "input": dense,
                "model__estimator__learning_rate": [0.1] if sparse else [0.03, 0.1],
                "model__estimator__max_leaf_nodes": [4, 16],
                "model__estimator__min_samples_leaf": [2, 20] if sparse else [20],
            },
        ),
        "napkinXC BR": (NapkinXC("BR"), napkin),
        "napkinXC PLT": (NapkinXC("PLT"), napkin),
    }
    return {
        name: (Pipeline([("input", "passthrough"), ("model", model)]), grid)
        for name, (model, grid) in table.items()
    }


def describe(params):
    """Chosen parameters in a word each."""
    words = []
    for key, value in params.items():
        value = type(value).__name__ if isinstance(value, BaseEstimator) else value
        words.append(f"{key.split('__')[-1]}={value}")
    return " ".join(words)


def all_decisions(name, held, Y, scores, Y_test):
    """Rows of a model: every decision, out of fold and on the test rows.

    Parameters
    ----------
    name : str
        Name of the model.

    held : array of shape (n_train, n_labels)
        Out-of-fold scores of the training rows; they choose the cuts.

    Y, scores, Y_test : arrays
        True labels of the training rows; scores and true labels of the test rows.

    Yields
    ------
    row : dict
    """
    rules = decisions(Y, held)
    for split, found, truth in (("cv", held, Y), ("test", scores, Y_test)):
        for title, rule in rules.items():
            row = evaluate(name, found, cut_labels(found, *rule), truth)
            yield {"split": split, "decision": title, "cut": float(rule[0]), **row}


def peers_part(data, only=None):
    """Rows of the peers."""
    X, Y, X_test, Y_test = load(data)
    for name, (model, grid) in peers(sp.issparse(X), Y.size > 100_000).items():
        if only and name not in only:
            continue
        if name.startswith("napkinXC") and find_spec("napkinxc") is None:
            continue
        if (data, name) in SKIPPED:
            yield {"data": data, "model": name, "params": SKIPPED[data, name]}
            continue
        params, held = choose(model, grid, X, Y)
        scores, seconds = fit_scores(model.set_params(**params), X, Y, X_test)
        about = {
            "cpu_seconds_fit": seconds[0],
            "cpu_seconds_predict": seconds[1],
            "params": describe(params),
        }
        for row in all_decisions(name, held, Y, scores, Y_test):
            yield {"data": data, **row, **about}


MEASURES = [
    "subset_accuracy",
    "example_f1",
    "p_at_1",
    "p_at_3",
    "p_at_5",
    "ndcg_at_3",
    "ndcg_at_5",
]
FIXED = ["frequent", "rare", "random", "instance_random"]
ORDERS = [*FIXED, "dynamic", None]
# of the chain without a first look; epochs and learning rates chosen on training rows
PLAIN = {
    "first_look": None,
    "n_estimators": 2,
    "joint_decoding": False,
    "early_stopping": False,
    "n_draws": 64,
}
PLAIN_OF_DATA = {
    "emotions": {"max_epochs": 20},
    "yeast": {"max_epochs": 12},
    "medical": {"max_epochs": 20, "lr": 2e-3},
    "bibtex": {"max_epochs": 8, "lr": 2e-3},
}
TRAININGS = {
    "permutation": {},
    "mixed": {"rollout": "sample", "rl_weight": 0.5, "ml_weight": 1.0},
    "ocd": {},
    "pla": {},
    "mla": {},
}


def best_peers(data):
    """The best value of any peer on the test rows: title -> measure -> value and name."""
    with open(RESULTS / "multilabel_peers.csv", newline="") as file:
        rows = [r for r in csv.DictReader(file) if r["data"] == data]
    rows = [r for r in rows if r.get("split") == "test"]
    chosen = {
        "best peer, cut 0.5": [r for r in rows if r["decision"] == "0.5"],
        "best peer, tuned cut": [r for r in rows if r["decision"] != "0.5"],
    }
    found = {}
    for title, candidates in chosen.items():
        best = {m: max(candidates, key=lambda r: float(r[m])) for m in MEASURES}
        found[title] = {
            m: f"{float(row[m]):.3f} ({row['model']})" for m, row in best.items()
        }
    return found


def mean_and_spread(rows):
    """One row of texts "mean +- standard deviation" out of several seeds."""
    out = {}
    for key, first in rows[0].items():
        values = [row[key] for row in rows]
        is_number = isinstance(first, float)
        out[key] = (
            f"{np.mean(values):.3f} +- {np.std(values):.3f}" if is_number else first
        )
    return out


def default_part(data, only=None):
    """Our default, all its decisions, and the best peers."""
    X, Y, X_test, Y_test = load(data)
    seeds = 9 if len(Y) < 1000 else 3  # the smaller the set, the more they differ
    found = {}
    for seed in range(seeds):
        chain = DynamicChainClassifier(random_state=seed, device="cpu")
        start = time.process_time()
        chain.fit(X, Y)
        middle = time.process_time()
        scores = chain.predict_proba(X_test)
        for decision in ("beam", "chain", "greedy", "f1", "marginal"):
            labels = chain.set_decision(decision).predict(X_test)
            row = evaluate("DynamicChainClassifier()", scores, labels, Y_test)
            row["cpu_seconds_fit"] = middle - start
            found.setdefault(decision, []).append(row)
    for decision, rows in found.items():
        row = mean_and_spread(rows)
        yield {"data": data, "model": row.pop("model"), "decision": decision, **row}
    for title, row in best_peers(data).items():
        yield {"data": data, "model": title, "decision": "of each measure", **row}


def orders_part(data, only=None, seeds=5):
    """All orders with the same network, number of members and steps."""
    models = {f"order={order}": {"order": order} for order in ORDERS}
    yield from order_rows(data, models, ["path"], seeds)


def plain_part(data, only=None, seeds=5):
    """All orders, and ways to learn the dynamic one, of a chain without a first look."""
    base = {**PLAIN, **PLAIN_OF_DATA[data]}
    models = {f"order={order}": {**base, "order": order} for order in FIXED}
    for training, params in TRAININGS.items():
        params = {**base, **params, "training": training}
        models[f"order=dynamic, training={training}"] = params
    yield from order_rows(data, models, ["sample", "path", "position"], seeds)


def order_rows(data, models, probas, seeds):
    """Rows of the orders for each kind of scores, and what the dynamic ones gain.

    Parameters
    ----------
    data : str
        Name of the set.

    models : dict of str to dict
        Name and parameters of each; the first four are the fixed orders.

    probas : list of str
        Values of `proba`.

    seeds : int
        Number of fits.

    Yields
    ------
    row : dict
    """
    X, Y, X_test, Y_test = load(data)
    found = {proba: {name: [] for name in models} for proba in probas}
    for name, params in models.items():
        for seed in range(seeds):
            chain = DynamicChainClassifier(random_state=seed, device="cpu")
            chain.set_params(proba=probas[0], threshold=0.5, **params)
            labels = chain.fit(X, Y).predict(X_test)
            for proba in probas:
                scores = chain.set_params(proba=proba).predict_proba(X_test)
                row = evaluate(name, scores, labels, Y_test)
                row = {key: row[key] for key in ("model", *MEASURES)}
                found[proba][name].append(row)
    for proba, rows in found.items():
        about = {"data": data, "scores": proba}
        for name in models:
            yield {**about, **mean_and_spread(rows[name])}
        for name in models:
            if "dynamic" in name:
                model = f"{name}, minus the best fixed"
                yield {**about, "model": model, **gains(rows, name)}


def gains(rows, name):
    """Mean and standard deviation over the seeds of what a model gains.

    It is compared with the fixed order that is the best one by the mean, each measure by
    itself.
    """
    found = {}
    for measure in MEASURES:
        values = {n: np.array([row[measure] for row in r]) for n, r in rows.items()}
        best = max((values[f"order={order}"] for order in FIXED), key=np.mean)
        gain = values[name] - best
        found[measure] = f"{gain.mean():+.4f} +- {gain.std():.4f}"
    return found


PARTS = {
    "peers": peers_part,
    "default": default_part,
    "orders": orders_part,
    "plain": plain_part,
}


def keep_others(name, rows):
    """Rows of a results file about other pairs of data and model, and the new ones."""
    path = RESULTS / f"{name}.csv"
    if not path.exists():
        return rows
    new = {(row["data"], row["model"]) for row in rows}
    with open(path, newline="") as file:
        old = [r for r in csv.DictReader(file) if (r["data"], r["model"]) not in new]
    return old + rows


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("parts", nargs="*", default=list(PARTS))
    parser.add_argument("--data", nargs="*", default=DATA)
    parser.add_argument("--peers", nargs="*")
    options = parser.parse_args()
    warnings.filterwarnings("ignore", category=ConvergenceWarning)
    for part in options.parts:
        for data in options.data:
            rows = list(PARTS[part](data, options.peers))
            report(f"multilabel_{part}", keep_others(f"multilabel_{part}", rows))


if __name__ == "__main__":
    main()
