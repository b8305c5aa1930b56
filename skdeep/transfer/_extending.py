"""The extension of a source in classifier mode, from top to bottom."""

import warnings

import numpy as np
import scipy.sparse as sp
from sklearn.utils import check_random_state

from skdeep.exceptions import InvalidParameterError
from skdeep.transfer._adopting import reset_attributes
from skdeep.transfer._features import for_method, stand_in
from skdeep.transfer._heads import fit_head, pick_method
from skdeep.transfer._labels import merge_classes, one_kind, row_weights
from skdeep.transfer._rows import NewRows
from skdeep.transfer._settings import setting

# frames between a warning and the caller of `fit`
_STACK = 7


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
    est._stand_in = stand_in(est, seen.features)
    est._is_dense = not sp.issparse(seen.features)
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
    row = rows.features[:1], rows.scores[:1]
    est._n_features_out = represent(est, *row).shape[1]
    est.gamma_ = getattr(est._head, "gamma", None)
    est.n_parameters_ = int(getattr(est._head, "n_parameters", 0))
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
        old = est.classes_.tolist()[codes[np.isin(codes, layout.old)][0]]
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


def retention(est, seen, is_old):
    """Share of the rows of old classes where source and extender agree."""
    if not is_old.any():
        return None
    keep = np.flatnonzero(is_old)
    features = None if seen.features is None else seen.features[keep]
    log_proba = head_log_proba(est, features, seen.scores[keep])
    source = est._layout.old[seen.scores[keep].argmax(axis=1)]
    return float((log_proba.argmax(axis=1) == source).mean())


def represent(est, features, scores):
    """What is below the output layer; with nothing but the source, its scores.

    Parameters
    ----------
    est : AdapterExtender

    features, scores : from `for_method`

    Returns
    -------
    representation : ndarray or CSR matrix of shape (n_samples, n_components)
    """
    if est._head is None:
        return scores
    return est._head.represent(est, features, scores)


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
        log_proba = est._head.log_proba(est, *for_method(est, features, scores))
        return log_proba.astype(np.float32, copy=False)
    scores = scores - scores.max(axis=1, keepdims=True)
    scores = scores - np.log(np.exp(scores).sum(axis=1, keepdims=True))
    log_proba = np.empty_like(scores)
    log_proba[:, est._layout.old] = scores
    return log_proba
