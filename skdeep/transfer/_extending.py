"""The fit of the extender in classifier mode, from top to bottom."""

import warnings
from typing import Any, NamedTuple

import numpy as np
import scipy.sparse as sp
from sklearn.base import clone
from sklearn.pipeline import Pipeline
from sklearn.utils import check_consistent_length, check_random_state
from sklearn.utils.validation import has_fit_parameter

from skdeep.exceptions import InvalidParameterError
from skdeep.transfer._features import check_rows, for_method, see, settle_features
from skdeep.transfer._heads import fit_head, pick_method
from skdeep.transfer._labels import (
    check_weights,
    class_factors,
    merge_classes,
    one_kind,
    row_weights,
)
from skdeep.transfer._rows import NewRows
from skdeep.transfer._settings import setting
from skdeep.transfer._sources import (
    check_fitted,
    check_kind,
    settled,
    source_classes,
    tells_classes,
)
from skdeep.utils._validation import encode_labels

# frames between a warning and the caller of `fit`
_STACK = 7


class Seen(NamedTuple):
    """All new data of the fits so far, as they were read.

    Attributes
    ----------
    features : ndarray, CSR matrix or None
        Features of the rows.

    scores : ndarray of shape (n_samples, n_old)
        Scores of the source.

    labels : ndarray of shape (n_samples,)

    weight : ndarray of shape (n_samples,) or None
        Weights that the caller gave.

    pool : (features, scores) or None
        The same of rows without a label.
    """

    features: Any
    scores: np.ndarray
    labels: np.ndarray
    weight: Any
    pool: Any

    def plus(self, other):
        """These rows and others behind them."""
        weights = self.weight, other.weight
        if weights != (None, None) and any(part is None for part in weights):
            weights = [
                np.ones(len(seen.labels)) if part is None else part
                for seen, part in zip((self, other), weights)
            ]
        pools = [seen.pool for seen in (self, other) if seen.pool is not None]
        pool = pools[0] if len(pools) == 1 else None
        if len(pools) == 2:
            pool = tuple(_stack(*parts) for parts in zip(*pools))
        return Seen(
            _stack(self.features, other.features),
            _stack(self.scores, other.scores),
            np.concatenate(one_kind(self.labels, other.labels)),
            None if weights[0] is None else np.concatenate(weights),
            pool,
        )


def _stack(one, other):
    if one is None:
        return None
    if sp.issparse(one) or sp.issparse(other):
        return sp.vstack([sp.csr_matrix(one), sp.csr_matrix(other)], "csr")
    return np.concatenate([one, other])


def adopt_source(est, source, classes=None):
    """Take a fitted model for the source.

    Parameters
    ----------
    est : AdapterExtender
        Gets ``estimator_`` and ``base_classes_``.

    source : object
        Any model of which `source_classes` finds the classes.

    classes : array-like or None, default=None
        Names of its outputs, if it does not tell them.
    """
    check_kind(source)
    check_fitted(source)
    est.base_classes_ = source_classes(source, classes)
    est.estimator_ = settled(source)


def fit_source(est, X, y, sample_weight):
    """Fit a copy of `estimator`; the extender then answers like it."""
    check_kind(est.estimator)
    if not hasattr(est.estimator, "fit"):
        raise InvalidParameterError(
            f"prefit=False fits a copy of `estimator`, but {type(est.estimator).__name__} "
            "has no `fit`; set prefit=True."
        )
    est.estimator_ = est.estimator
    settle_features(est, X)
    check_rows(est, X, reset=True)
    classes, codes = encode_labels(est, y)
    check_consistent_length(X, codes)
    weight = check_weights(sample_weight, len(codes))
    if not (isinstance(est.class_weight, str) and est.class_weight == "auto"):
        factors = class_factors(est.class_weight, classes, codes)[codes]
        if est.class_weight is not None:
            weight = factors if weight is None else weight * factors
    adopt_source(est, fitted_copy(est.estimator, X, classes[codes], weight), classes)
    settle_features(est, X)
    est._seen = None
    be_the_source(est)


def fitted_copy(estimator, X, y, weight):
    """Fit a copy of a model."""
    estimator = clone(estimator)
    if weight is None:
        return estimator.fit(X, y)
    last, name = estimator, "sample_weight"
    while isinstance(last, Pipeline):
        step, last = last.steps[-1]
        name = f"{step}__{name}"
    if not has_fit_parameter(last, "sample_weight"):
        raise ValueError(
            f"`estimator` ({type(last).__name__}) takes no `sample_weight`; leave out "
            "`sample_weight` and `class_weight`."
        )
    return estimator.fit(X, y, **{name: weight})


def be_the_source(est):
    """Set what is known without any new data."""
    est.classes_, layout = merge_classes(est.base_classes_, est.base_classes_)
    reset_attributes(est, layout)
    est.annotation_ = "full"
    est.method_, est._signal, est._head = "source", "logits", None
    est.gamma_, est.retention_, est.n_parameters_ = 1.0, 1.0, 0


def reset_attributes(est, layout):
    """Set attributes that follow from the classes, and forget the last training."""
    est.old_class_mask_ = np.isin(np.arange(layout.n_classes), layout.old)
    est.new_classes_ = est.classes_[layout.new]
    est._layout = layout
    go_on = est.warm_start and hasattr(est, "module_")
    if not go_on:
        for name in ("module_", "net_", "_module_args", "_optimizer_state"):
            vars(est).pop(name, None)
        est.history_, est.n_iter_, est.best_epoch_ = [], 0, 0


def read_new_data(est, X, y, X_unlabeled, sample_weight, classes, *, reset):
    """Look at new data through the source.

    Returns
    -------
    seen : Seen
        Rows without a weight of zero.
    """
    found, codes = encode_labels(est, y)
    rows = check_rows(est, X, reset=reset)
    if reset:
        check_width(est)
    check_consistent_length(rows, codes)
    one_kind(est.base_classes_, found)
    check_expected(est, found, classes)
    weight = check_weights(sample_weight, len(codes))
    features, scores = see(est, X, rows)
    labels = found[codes]
    if weight is not None and not weight.all():
        keep = np.flatnonzero(weight)
        labels, scores, weight = labels[keep], scores[keep], weight[keep]
        features = None if features is None else features[keep]
        if not len(keep):
            raise ValueError("All rows have weight zero; nothing can be learned.")
    pool = None
    if X_unlabeled is not None:
        pool = see(est, X_unlabeled, check_rows(est, X_unlabeled, reset=False))
    return Seen(features, scores, labels, weight, pool)


def check_width(est):
    """Compare the number of features with that of the source's own data."""
    expected = getattr(est.estimator_, "n_features_in_", None)
    found = getattr(est, "n_features_in_", expected)
    if expected is not None and found != expected and est._feature_place != "chain":
        raise ValueError(
            f"X has {found} features, but {type(est).__name__} is expecting {expected} "
            "features as input, like `estimator`."
        )


def check_expected(est, found, classes):
    """Refuse labels that are not among those that the caller expects."""
    if classes is None or not tells_classes(est.estimator_):
        return
    expected = np.asarray(classes).tolist()
    for label in found.tolist():
        if label not in expected:
            raise ValueError(
                f"y holds {label!r}, which is not among `classes` {expected}."
            )


def extend_source(est, seen, *, quiet=False):
    """Learn the new classes beside the source.

    Parameters
    ----------
    est : AdapterExtender
        With its source.

    seen : Seen
        All new data.

    quiet : bool, default=False
        Whether to leave out warnings that the caller has had before.
    """
    rng = check_random_state(est.random_state)
    est._seen = seen
    est.classes_, layout = merge_classes(est.base_classes_, seen.labels)
    labels = one_kind(est.classes_, seen.labels)[1]
    codes = np.searchsorted(est.classes_, labels).astype(np.int64)
    reset_attributes(est, layout)
    est.annotation_ = find_annotation(est, layout, codes, seen.pool, quiet)
    weight = row_weights(est, est.classes_, codes, layout, seen.weight)
    est._signal = setting(est, "source_signal")
    if est._signal == "gold":
        raise InvalidParameterError(
            "source_signal='gold' is for taggers: a row of a new class has no old one. "
            "Take 'logits', 'proba' or 'hard'."
        )
    rows = NewRows(*for_method(est, seen.features, seen.scores), codes, weight)
    pool = None if seen.pool is None else for_method(est, *seen.pool)
    est.method_ = pick_method(est, rows, layout, rng, pool)
    if est.method_ == "source":
        est._head, est._signal = None, "logits"
    else:
        if est.method_ == "gate" and est._signal != "logits":
            est._signal = "logits"  # it compares scores of different rows
            rows = NewRows(*for_method(est, seen.features, seen.scores), codes, weight)
            pool = None if pool is None else for_method(est, *seen.pool)
        est._head = fit_head(est, rows, layout, rng, pool)
    est.gamma_ = getattr(est._head, "gamma", None)
    est.n_parameters_ = count_parameters(est)
    is_old = np.isin(codes, layout.old)
    est.retention_ = retention(est, seen, is_old)


def find_annotation(est, layout, codes, pool, quiet):
    """Whether the new data hold rows of old classes; say so if nobody has asked."""
    n_old = int(np.isin(codes, layout.old).sum())
    if not len(layout.new) and not quiet:
        warnings.warn(
            "y holds no class that `estimator` does not know: the extender only adapts "
            "to the new rows.",
            UserWarning,
            stacklevel=_STACK,
        )
    if est.new_annotation == "new_only" and n_old:
        old = est.classes_[codes[np.isin(codes, layout.old)][0]]
        raise ValueError(
            f"new_annotation='new_only' says that y holds new classes alone, but {n_old} "
            f"rows have old ones, such as {old!r}; set new_annotation='full'."
        )
    if est.new_annotation != "auto" or n_old:
        return "full" if est.new_annotation == "auto" else est.new_annotation
    if pool is None and not quiet:
        warnings.warn(
            "y holds no row of a class that `estimator` knows, so that new rows have to "
            "be told by their distance from others (new_annotation='new_only'). Rows of "
            "normal traffic without a label, X_unlabeled, or some rows of old classes "
            "make a better model. Set new_annotation='new_only' to silence this.",
            UserWarning,
            stacklevel=_STACK,
        )
    return "new_only"


def count_parameters(est):
    """Numbers that the extender has learned, those of the source left out."""
    if hasattr(est, "module_"):
        return sum(part.numel() for part in est.module_.parameters())
    return int(getattr(est._head, "n_parameters", 0))


def retention(est, seen, is_old):
    """Share of the rows of old classes where source and extender agree."""
    if not is_old.any():
        return None
    keep = np.flatnonzero(is_old)
    features = None if seen.features is None else seen.features[keep]
    log_proba = head_log_proba(est, features, seen.scores[keep])
    source = est._layout.old[seen.scores[keep].argmax(axis=1)]
    return float((log_proba.argmax(axis=1) == source).mean())


def head_log_proba(est, features, scores):
    """Log probabilities of all classes out of what `see` gives.

    Parameters
    ----------
    est : AdapterExtender

    features, scores : from `see`

    Returns
    -------
    log_proba : ndarray of shape (n_samples, n_classes), dtype float32
    """
    if est._head is not None:
        return est._head.log_proba(est, *for_method(est, features, scores))
    scores = scores - scores.max(axis=1, keepdims=True)
    scores = scores - np.log(np.exp(scores).sum(axis=1, keepdims=True))
    log_proba = np.empty_like(scores)
    log_proba[:, est._layout.old] = scores
    return log_proba
