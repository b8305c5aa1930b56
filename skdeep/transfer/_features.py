"""What the extender sees of a row: the source's scores, and features of its own.

Features come from one of four places, which `fit` settles and ``est._feature_place``
remembers: "input" (X itself), "steps" (the source is a pipeline: the output of all its
steps but the last), "chain" (the source is an extender: its features), "transformer"
(given by the user), or None. ``est._with_scores`` says whether scores are features, too.
"""

import numpy as np
import scipy.sparse as sp
from sklearn.exceptions import NotFittedError
from sklearn.pipeline import Pipeline
from sklearn.utils import check_array
from sklearn.utils.validation import validate_data

from skdeep.exceptions import InvalidParameterError
from skdeep.transfer._source_kinds import (
    is_fitted,
    network_of,
    takes_missing,
    takes_sparse,
    takes_text,
    unwrap,
)
from skdeep.transfer._sources import as_signal, class_scores
from skdeep.utils._validation import validate_rows


def settle_features(est, X):
    """Decide where features come from.

    Parameters
    ----------
    est : AdapterExtender
        Gets ``_feature_place`` and ``_with_scores``.

    X : object of length n_samples
        Rows of the fit.
    """
    features = est.features
    est._with_scores = False
    if not isinstance(features, str):
        if not is_fitted(features):
            raise NotFittedError(
                f"The transformer `features` ({type(features).__name__}) is not fitted; "
                "fit it first, the extender never trains it."
            )
        est._feature_place, est._transformer = "transformer", features
        return
    est._with_scores = features in ("scores", "both")
    if features == "scores":
        est._feature_place = None
    elif features == "input":
        est._feature_place = "input"
    else:
        est._feature_place = usual_place(est.estimator_, X)
        est._with_scores |= est._feature_place is None


def usual_place(source, X):
    """Where features come from with ``features="auto"``."""
    inner = unwrap(source, (Pipeline, _extender_type()))
    if isinstance(inner, _extender_type()):
        return "chain" if getattr(inner, "_feature_place", None) else None
    if isinstance(inner, Pipeline) and len(inner.steps) > 1:
        return "steps"
    if has_categories(X) or (is_text(X) and takes_text(source)):
        return None
    if takes_missing(source) and _has_missing(X):
        return None
    return "input"


def _extender_type():
    from skdeep.transfer._extender import AdapterExtender

    return AdapterExtender


def has_categories(X):
    """Whether a frame has columns of categories that are no numbers."""
    kinds = getattr(X, "dtypes", ())
    for kind in getattr(kinds, "values", list)() if isinstance(kinds, dict) else kinds:
        names = getattr(kind, "categories", None)
        if names is not None and names.dtype.kind not in "biuf":
            return True
    return False


def is_text(X):
    """Whether rows are something else than numbers."""
    if sp.issparse(X):
        return False
    if hasattr(X, "dtypes") and hasattr(X, "columns"):
        return any(getattr(kind, "kind", "O") not in "biufc" for kind in X.dtypes)
    dtype = getattr(X, "dtype", None)
    if dtype is not None and getattr(dtype, "kind", "") in "biufc":
        return False
    first = X[0] if isinstance(X, (list, tuple, np.ndarray)) and len(X) else None
    first = next(iter(X), None) if hasattr(X, "to_numpy") else first
    return isinstance(first, (str, bytes))


def _has_missing(X):
    values = np.asarray(X.data if sp.issparse(X) else X)
    return values.dtype.kind == "f" and bool(np.isnan(values).any())


def check_rows(est, X, *, reset):
    """Check rows as far as this can be done without the source.

    Parameters
    ----------
    est : AdapterExtender
        Gets, or is compared with, ``n_features_in_`` and ``feature_names_in_``.

    X : object of length n_samples
        Rows.

    reset : bool
        Whether this is a fit.

    Returns
    -------
    rows : ndarray or CSR matrix of shape (n_samples, n_features), or object
        As float32 where the features are the input itself, else X.
    """
    if est._feature_place != "input":
        if X is None or isinstance(X, (str, bytes, dict)):
            raise TypeError(f"X must hold rows. Got {type(X).__name__}.")
        validate_data(est, X, skip_check_array=True, reset=reset)
        return X
    rows = X
    if network_of(est.estimator_) is not None and np.ndim(X) > 2:
        rows = np.asarray(X)
        rows = rows.reshape(len(rows), -1)
    try:
        sparse = takes_sparse(est.estimator_)
        return validate_rows(est, rows, reset=reset, accept_sparse=sparse)
    except ValueError as error:
        if is_text(X):
            raise ValueError(
                f"{error} If `estimator` itself takes such rows, set `features` to "
                "'scores' or to a fitted transformer."
            ) from error
        raise


def see(est, X, rows):
    """Features and scores of rows.

    Parameters
    ----------
    est : AdapterExtender
        With its source and the place of its features.

    X : object of length n_samples
        Rows as the caller gave them; they are what the source sees.

    rows : object
        What `check_rows` has made of them.

    Returns
    -------
    features : ndarray or CSR matrix of shape (n_samples, n_features), dtype float32
        Of the rows; None where scores are the only features.

    scores : ndarray of shape (n_samples, n_old), dtype float32
        See `skdeep.transfer._sources.class_scores`.
    """
    scores = class_scores(est.estimator_, X, est.base_classes_)
    return own_features(est, X, rows), scores


def own_features(est, X, rows):
    """Features of rows without the scores, or None."""
    place = est._feature_place
    if place is None:
        return None
    if place == "input":
        return rows
    if place == "chain":
        inner = unwrap(est.estimator_, type(est))
        return own_features(inner, X, check_rows(inner, X, reset=False))
    if place == "steps":
        made = unwrap(est.estimator_, Pipeline)[:-1].transform(X)
    else:
        made = est._transformer.transform(X)
    try:
        return check_array(made, accept_sparse="csr", dtype=np.float32)
    except (TypeError, ValueError) as error:
        raise InvalidParameterError(
            f"The features made of X are no finite numbers in rows and columns: {error}. "
            "Set `features` to 'scores' or to another fitted transformer."
        ) from error


def for_method(est, features, scores):
    """Features and scores in the form that the method in use wants.

    Parameters
    ----------
    est : AdapterExtender
        Its method is settled.

    features, scores : from `see`

    Returns
    -------
    features : ndarray or CSR matrix of shape (n_samples, n_features), dtype float32

    scores : ndarray of shape (n_samples, n_old), dtype float32
    """
    scores = as_signal(scores, est._signal)
    if features is None:
        return scores, scores
    if est._with_scores:
        join = sp.hstack if sp.issparse(features) else np.hstack
        features = join([features, scores])
    return sp.csr_matrix(features) if sp.issparse(features) else features, scores
