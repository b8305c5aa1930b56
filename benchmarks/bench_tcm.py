"""Quality of TCMEmbedder on classes never seen, beside its peers and its own baseline.

Omniglot (28 x 28 images) and Banking77 (TF-IDF text), each split by class: everything is
chosen on the training classes and measured on the test classes.

* ``default``: recall@1 of ``TCMEmbedder()`` against LDA and NCA of scikit-learn and
  against the losses of pytorch-metric-learning in a plain loop. The loop has the same
  optimizer, schedule, batches and number of steps; for images the same network and the
  same affine augmentation, for text a plain perceptron. Its learning rate is chosen on
  held-out training classes, as are the components in front of LDA and NCA.
* ``consistency``: OPIS with the recommended grid and the constrained refit, against
  ``tcm_weight=0``.
* ``threshold``: false accept rate on new classes at a threshold that was set for 1 % on
  other classes: those of the training, those that ``early_stopping`` holds out, a whole
  alphabet left out of the training, and one half of the test classes for the other, 20
  random halves both ways; the share of runs between half and twice the target.
* ``lda``: how far LDA gets if its rank may be picked on the test classes.
* ``ablation``: the parts of TCM one by one, on two splits of the training classes.

Run ``bench_tcm.py [part ...] [--data name ...] [--seeds n]``; the data are downloaded.
"""

import argparse
import time

import numpy as np
import scipy.sparse as sp
import torch
from _tools import report
from pytorch_metric_learning import losses as pml
from sklearn.decomposition import PCA, TruncatedSVD
from sklearn.discriminant_analysis import LinearDiscriminantAnalysis
from sklearn.feature_extraction.text import TfidfVectorizer
from sklearn.model_selection import GridSearchCV
from sklearn.neighbors import NeighborhoodComponentsAnalysis
from sklearn.pipeline import make_pipeline
from torch import nn

from skdeep.datasets import fetch_banking77, fetch_omniglot
from skdeep.metric_learning import TCMEmbedder
from skdeep.metric_learning._augment import AffineRows
from skdeep.metric_learning._batches import ClassBalancedBatches
from skdeep.metrics import (
    consistency_constrained_refit,
    epsilon_opis_score,
    far_frr_curve,
    neg_opis,
    opis_score,
    recall_at_1,
    recall_at_k_score,
    threshold_at_far,
)
from skdeep.model_selection import ClassDisjointShuffleSplit
from skdeep.nn import ConvEncoder

ZEROS = {"zero_rows": "ignore_direction"}
GRID = [
    {"tcm_weight": [0]},
    {"tcm_weight": [1], "tcm_neg_weight": [0, 0.1]},
    {"tcm_weight": [3], "tcm_neg_weight": [0]},
]


def load(name):
    """Training and test samples and labels of a set, split by class."""
    if name == "omniglot":
        X, y = fetch_omniglot(split="train", flatten=False, return_X_y=True)
        X_test, y_test = fetch_omniglot(split="test", flatten=False, return_X_y=True)
        return X[:, None], y, X_test[:, None], y_test
    X, y = fetch_banking77(split="train_classes", return_X_y=True)
    X_test, y_test = fetch_banking77(split="test_classes", return_X_y=True)
    vectorizer = TfidfVectorizer(
        ngram_range=(1, 2),
        min_df=3,
        max_features=4000,
        sublinear_tf=True,
        dtype=np.float32,
    )
    return vectorizer.fit_transform(X), y, vectorizer.transform(X_test), y_test


def measure(y, embeddings):
    """What is reported of an embedding."""
    details = opis_score(y, embeddings, return_details=True, **ZEROS)
    return {
        "recall_at_1": recall_at_k_score(y, embeddings, **ZEROS),
        "opis": details.opis,
        "epsilon_opis": epsilon_opis_score(y, embeddings, **ZEROS),
        "mean_utility": details.mean_utility,
    }


def summary(name, data, runs, **extra):
    """One row: mean and standard deviation over the seeds."""
    row = {"data": data, "model": name, "n_seeds": len(runs), **extra}
    for key in runs[0]:
        values = [run[key] for run in runs]
        row[key] = float(np.mean(values))
        row[f"{key}_sd"] = float(np.std(values, ddof=1)) if len(values) > 1 else 0.0
    return row


def recall(model, X, y):
    """Scorer for the peers; a text without a known word may be embedded at zero."""
    return recall_at_k_score(y, model.transform(X), **ZEROS)


def rows_of(X):
    return X if sp.issparse(X) else X.reshape(len(X), -1)


def linear_peers(name, X, y):
    """LDA and NCA behind a projection, whose size the training classes choose."""
    project = TruncatedSVD if sp.issparse(X) else PCA
    sizes = (50, 100, 200, 400, 800) if sp.issparse(X) else (30, 60, 120)
    folds = ClassDisjointShuffleSplit(2, test_size=0.3, random_state=0)
    small = min(sizes, key=lambda size: abs(size - 64))
    peers = {
        "sklearn LDA": (LinearDiscriminantAnalysis(), sizes),
        "sklearn NCA": (
            NeighborhoodComponentsAnalysis(max_iter=30, random_state=0),
            (small,),
        ),
    }
    for peer, (model, candidates) in peers.items():
        search = GridSearchCV(
            make_pipeline(project(random_state=0), model),
            {f"{project.__name__.lower()}__n_components": candidates},
            scoring=recall,
            cv=folds,
        )
        yield f"{peer} on {project.__name__}", search.fit(rows_of(X), y).best_estimator_


def plain_network(X):
    if sp.issparse(X):
        return nn.Sequential(
            nn.Linear(X.shape[1], 512),
            nn.BatchNorm1d(512),
            nn.ReLU(),
            nn.Dropout(0.5),
            nn.Linear(512, 128),
        )
    network = ConvEncoder(X.shape[1:], 128)
    for part in network.modules():
        if hasattr(part, "reset_parameters"):
            part.reset_parameters()
    return network


def plain_loop(make_loss, X, y, lr, seed, n_epochs):
    """What a user of pytorch-metric-learning writes by hand."""
    torch.manual_seed(seed)
    classes, y = np.unique(y, return_inverse=True)
    network, loss = plain_network(X), make_loss(len(classes))
    groups = [{"params": network.parameters(), "lr": lr}]
    if list(loss.parameters()):
        groups.append({"params": loss.parameters(), "lr": 10 * lr})
    optimizer = torch.optim.AdamW(groups, weight_decay=1e-4, fused=True)
    batches = ClassBalancedBatches(
        rows_of(X),
        y.astype(np.int64),
        32,
        4,
        generator=torch.Generator().manual_seed(seed),
        augment=None if sp.issparse(X) else AffineRows(X.shape[1:]),
    )
    schedule = torch.optim.lr_scheduler.CosineAnnealingLR(
        optimizer, n_epochs * len(batches)
    )
    network.train()
    for _ in range(n_epochs):
        for rows, codes in batches:
            optimizer.zero_grad()
            loss(nn.functional.normalize(network(rows)), codes).backward()
            nn.utils.clip_grad_norm_(network.parameters(), 10)
            optimizer.step()
            schedule.step()
    network.eval()

    def transform(X):
        X = rows_of(X)
        with torch.inference_mode():
            parts = []
            for start in range(0, X.shape[0], 256):
                part = X[start : start + 256]
                part = part.toarray() if sp.issparse(part) else part
                parts.append(nn.functional.normalize(network(torch.from_numpy(part))))
            return torch.cat(parts).numpy()

    return transform


PML_LOSSES = {
    "ProxyAnchor": lambda n: pml.ProxyAnchorLoss(n, 128),
    "ArcFace": lambda n: pml.ArcFaceLoss(n, 128),
    "NormalizedSoftmax": lambda n: pml.NormalizedSoftmaxLoss(n, 128),
    "MultiSimilarity": lambda n: pml.MultiSimilarityLoss(),
    "SupCon": lambda n: pml.SupConLoss(),
}


def best_lr(make_loss, X, y, n_epochs):
    """Learning rate with the best recall on held-out training classes."""
    folds = ClassDisjointShuffleSplit(1, test_size=0.3, random_state=0)
    train, held = next(folds.split(rows_of(X), y))
    scores = {}
    for lr in (3e-4, 1e-3, 3e-3):
        transform = plain_loop(make_loss, X[train], y[train], lr, 0, n_epochs // 3)
        embeddings = transform(X[held])
        scores[lr] = recall_at_k_score(
            y[held], embeddings, zero_rows="ignore_direction"
        )
    return max(scores, key=scores.get)


def default_part(name, n_seeds):
    """Rows of the comparison of the defaults with the peers."""
    X, y, X_test, y_test = load(name)
    n_epochs = TCMEmbedder().max_epochs
    yield summary("input", name, [measure(y_test, rows_of(_dense(X_test)))])
    for peer, model in linear_peers(name, X, y):
        yield summary(peer, name, [measure(y_test, model.transform(rows_of(X_test)))])
    for peer, make_loss in PML_LOSSES.items():
        lr = best_lr(make_loss, X, y, n_epochs)
        runs = []
        for seed in range(n_seeds):
            start = time.process_time()
            transform = plain_loop(make_loss, X, y, lr, seed, n_epochs)
            seconds = time.process_time() - start
            runs.append({**measure(y_test, transform(X_test)), "cpu_seconds": seconds})
        yield summary(f"pytorch-metric-learning {peer}, lr={lr}", name, runs)
    for title, params in (("TCMEmbedder()", {}), ("tcm_weight=0", {"tcm_weight": 0})):
        runs = []
        for seed in range(n_seeds):
            start = time.process_time()
            embedder = TCMEmbedder(random_state=seed, **params).fit(X, y)
            seconds = time.process_time() - start
            runs.append(
                {**measure(y_test, embedder.transform(X_test)), "cpu_seconds": seconds}
            )
        yield summary(title, name, runs)


def _dense(X):
    return X.toarray() if sp.issparse(X) else X


def consistency_part(name, n_seeds):
    """Rows of the grid with the constrained refit, against no TCM."""
    X, y, X_test, y_test = load(name)
    baseline, chosen, choices = [], [], []
    for seed in range(n_seeds):
        search = GridSearchCV(
            TCMEmbedder(random_state=seed),
            GRID,
            scoring={"recall_at_1": recall_at_1, "neg_opis": neg_opis},
            refit=consistency_constrained_refit(),
            cv=ClassDisjointShuffleSplit(2, test_size=0.3, random_state=seed),
        ).fit(X, y)
        choices.append(search.best_params_)
        chosen.append(measure(y_test, search.transform(X_test)))
        plain = TCMEmbedder(random_state=seed, tcm_weight=0).fit(X, y)
        baseline.append(measure(y_test, plain.transform(X_test)))
    yield summary("tcm_weight=0", name, baseline)
    row = summary("chosen by the constrained refit", name, chosen)
    before = np.mean([run["opis"] for run in baseline])
    row["opis_change_percent"] = 100 * (row["opis"] / before - 1)
    before = np.mean([run["recall_at_1"] for run in baseline])
    row["recall_change_points"] = 100 * (row["recall_at_1"] - before)
    row["choices"] = " | ".join(
        " ".join(f"{key}={value}" for key, value in choice.items())
        for choice in choices
    )
    yield row


def threshold_part(name, n_seeds):
    """Rows of the false accept rate that a threshold for 1 % has on new classes."""
    X, y, X_test, y_test = load(name)
    rng = np.random.RandomState(0)
    runs = {}

    def add(title, far, frr):
        run = {"far_percent": 100 * far, "frr": frr}
        runs.setdefault(title, []).append(run)

    def add_report(title, embedder):
        result = embedder.threshold_report(X_test, y_test)
        add(title, result["far"], result["frr"])

    alphabets = _alphabets() if name == "omniglot" else None
    for seed in range(n_seeds):
        embedder = TCMEmbedder(random_state=seed).fit(X, y)
        add_report("training classes", embedder)
        embeddings = embedder.transform(X_test)
        for _ in range(20):
            half = np.isin(y_test, rng.permutation(np.unique(y_test))[::2])
            for known, new in ((half, ~half), (~half, half)):
                threshold = threshold_at_far(
                    y_test[known], embeddings[known], target_far=0.01, **ZEROS
                )
                far, frr, _ = far_frr_curve(
                    y_test[new], embeddings[new], thresholds=[threshold], **ZEROS
                )
                add("half of the new classes", far[0], frr[0])
        embedder = TCMEmbedder(
            early_stopping=True, n_iter_no_change=1000, random_state=seed
        ).fit(X, y)
        add_report("classes held out by early_stopping", embedder)
        if alphabets is not None:
            held = alphabets == np.unique(alphabets)[seed % 4]
            embedder = TCMEmbedder(random_state=seed).fit(X[~held], y[~held])
            embedder.calibrate_threshold(X[held], y[held])
            add_report("a held-out training alphabet", embedder)
    for title, results in runs.items():
        far = np.array([run["far_percent"] for run in results])
        yield summary(
            f"threshold from {title}",
            name,
            results,
            n_runs=len(results),
            within_factor_2=np.mean((far >= 0.5) & (far <= 2)),
            median_far_percent=np.median(far),
        ) | {"n_seeds": n_seeds}


def _alphabets():
    return np.asarray(fetch_omniglot(split="train").alphabet)


ABLATION = {
    "no TCM": {"tcm_weight": 0},
    "default: weights 1 and 0.1, warm-up": {},
    "positive side only, warm-up": {"tcm_neg_weight": 0},
    "positive side only, no warm-up": {"tcm_neg_weight": 0, "tcm_warmup": 0},
    "paper: weights 1 and 1, no warm-up": {"tcm_neg_weight": 1, "tcm_warmup": 0},
    "weights 1 and 1, warm-up": {"tcm_neg_weight": 1},
    "weights 1 and 1, neg_margin 0.7, warm-up": {
        "tcm_neg_weight": 1,
        "neg_margin": 0.7,
    },
}


def ablation_part(name, n_seeds):
    """Rows of the parts of TCM, on held-out training classes."""
    X, y, _, _ = load(name)
    folds = list(
        ClassDisjointShuffleSplit(2, test_size=0.3, random_state=1).split(X, y)
    )
    for title, params in ABLATION.items():
        runs = []
        for seed, (train, held) in enumerate(folds):
            embedder = TCMEmbedder(random_state=seed, **params).fit(X[train], y[train])
            runs.append(measure(y[held], embedder.transform(X[held])))
        yield summary(title, name, runs)


def lda_part(name, n_seeds):
    """Rows of shrunk LDA at several ranks: the best of them is picked on the test."""
    X, y, X_test, y_test = load(name)
    project = TruncatedSVD if sp.issparse(X) else PCA
    for rank in (400, 800, 1200, 1600, 2000) if sp.issparse(X) else (30, 60, 120):
        model = make_pipeline(
            project(rank, random_state=0),
            LinearDiscriminantAnalysis(solver="eigen", shrinkage=0.3),
        ).fit(rows_of(X), y)
        run = measure(y_test, model.transform(rows_of(X_test)))
        yield summary(
            f"sklearn LDA, shrinkage=0.3, {project.__name__}({rank})", name, [run]
        )


PARTS = {
    "default": default_part,
    "consistency": consistency_part,
    "threshold": threshold_part,
    "ablation": ablation_part,
    "lda": lda_part,
}


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("parts", nargs="*", default=list(PARTS))
    parser.add_argument("--data", nargs="*", default=["omniglot", "banking77"])
    parser.add_argument("--seeds", type=int, default=3)
    options = parser.parse_args()
    torch.set_num_threads(1)
    for part in options.parts:
        for name in options.data:
            report(f"tcm_{part}_{name}", list(PARTS[part](name, options.seeds)))


if __name__ == "__main__":
    main()
