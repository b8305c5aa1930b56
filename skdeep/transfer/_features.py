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
                "fit it first, the extender never trains it. In the grid of a search, "
                "which copies what it lists, put it into a FrozenEstimator."
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
    if hasattr(X, "isna"):
        return bool(np.asarray(X.isna()).any())
    values = np.asarray(X.data if sp.issparse(X) else X)
    if values.dtype == object:
        return any(value is None or value != value for value in values.ravel())
    return values.dtype.kind == "f" and bool(np.isnan(values).any())


def _n_rows(X):
    """Number of rows; None of what holds no rows."""
    if isinstance(X, (str, bytes, dict)):
        return None
    if hasattr(X, "shape"):
        return X.shape[0] if len(X.shape) else None
    return len(X) if hasattr(X, "__len__") else None


def stand_in(est, features):
    """Row whose values take the place of missing ones, or None.

    Parameters
    ----------
    est : AdapterExtender
        With its source and the place of its features.

    features : ndarray or CSR matrix of shape (n_samples, n_features), or None
        Of the rows of the fit.

    Returns
    -------
    row : ndarray of shape (n_features,) or None
        Means; None where the source refuses missing values, or sees other features.
    """
    is_input = est._feature_place == "input" and not sp.issparse(features)
    return features.mean(axis=0) if is_input and takes_missing(est.estimator_) else None


def check_queries(est, X):
    """Check rows that are to be answered: `check_rows`, with a `stand_in`."""
    return check_rows(est, X, reset=False, missing=getattr(est, "_stand_in", None))


def check_rows(est, X, *, reset, missing=None):
    """Check rows as far as this can be done without the source.

    Parameters
    ----------
    est : AdapterExtender
        Gets, or is compared with, ``n_features_in_`` and ``feature_names_in_``.

    X : object of length n_samples
        Rows.

    reset : bool
        Whether this is a fit.

    missing : ndarray of shape (n_features,) or None, default=None
        What takes the place of missing values in dense rows; None refuses them.

    Returns
    -------
    rows : ndarray or CSR matrix of shape (n_samples, n_features), or object
        As float32 where the features are the input itself, else X.
    """
    if est._feature_place != "input":
        n_rows = _n_rows(X)
        if n_rows is None:
            raise TypeError(f"X must hold rows. Got {type(X).__name__}.")
        if not n_rows:
            raise ValueError(
                "Found array with 0 sample(s); X must hold one row or more."
            )
        validate_data(est, X, skip_check_array=True, reset=reset)
        return X
    rows = X
    if network_of(est.estimator_) is not None and np.ndim(X) > 2:
        rows = np.asarray(X)
        rows = rows.reshape(len(rows), -1)
    fills = missing is not None and not sp.issparse(rows)
    checks = {"ensure_all_finite": "allow-nan"} if fills else {}
    try:
        sparse = takes_sparse(est.estimator_)
        rows = validate_rows(est, rows, reset=reset, accept_sparse=sparse, **checks)
        return np.where(np.isnan(rows), missing, rows) if fills else rows
    except ValueError as error:
        if "contains NaN" in str(error) and takes_missing(est.estimator_):
            raise ValueError(
                "Input X contains NaN. `estimator` takes missing values, but the "
                "features beside it are X itself, which must be complete here; set "
                "`features` to 'scores', or to a fitted transformer that fills gaps."
            ) from error
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
        return own_features(inner, X, check_queries(inner, X))
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
        Dense if those of the fit were.

    scores : ndarray of shape (n_samples, n_old), dtype float32
    """
    scores = as_signal(scores, est._signal)
    if features is None:
        return scores, scores
    if est._with_scores:
        join = sp.hstack if sp.issparse(features) else np.hstack
        features = join([features, scores])
    if not sp.issparse(features):
        return features, scores
    if getattr(est, "_is_dense", False):
        return features.toarray(), scores
    return sp.csr_matrix(features), scores
