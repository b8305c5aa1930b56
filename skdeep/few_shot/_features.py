"""From rows of a table to the unit vectors that the rules compare."""

import numpy as np
import scipy.sparse as sp
from sklearn.base import clone
from torch import nn

from skdeep.nn import make_module

BUILT_IN = {"mlp": "mlp", "conv4": "conv"}
POWERS = 0.35, 0.5, 0.7, 1.0  # tried where there are classes to try them on
USUAL_POWER = 0.5
_ENTRIES_IN_CACHE = 2**16


def is_transformer(backbone):
    """Whether a backbone is a transformer of scikit-learn."""
    return hasattr(backbone, "transform") and not isinstance(backbone, type)


def make_backbone(module, **sizes):
    """Make the network that `backbone` names, or that of the user."""
    network = make_module(BUILT_IN.get(module, module), **sizes)
    # what is never negative has a root, and most of it is zero
    return nn.Sequential(network, nn.ReLU()) if module in list(BUILT_IN) else network


def fit_transformer(backbone, X, y):
    """Fit a copy of the user's transformer."""
    return clone(backbone).fit(X, y)


def transformed(transformer, X):
    """Features (n_samples, n_components) of a fitted transformer, in float32."""
    features = transformer.transform(X)
    features = features.tocsr() if sp.issparse(features) else np.asarray(features)
    return features.astype(np.float32, copy=False)


def usual_power(features):
    """The root for features that are never negative, as after a ReLU; else none.

    The signed root makes much of coordinates that are next to nothing, such as the last
    ones of a principal component analysis.
    """
    values = features.data if sp.issparse(features) else features
    return USUAL_POWER if values.min(initial=0) >= 0 else 1.0


def unit_rows(features, power=1.0, mean=None, overwrite=False):
    """Raise features to a power, keep their signs, and bring rows to length 1.

    Parameters
    ----------
    features : ndarray or CSR matrix of shape (n_samples, n_features), dtype float32

    power : float, default=1.0
        Of the magnitudes; 0.5 is the signed root.

    mean : ndarray of shape (n_features,) or None, default=None
        Subtracted from rows of length 1, which get length 1 again. Sparse rows become
        dense by it.

    overwrite : bool, default=False
        Whether a dense `features` may be used for the result.

    Returns
    -------
    rows : ndarray or CSR matrix of shape (n_samples, n_features), dtype float32
        Zeros stay zeros.
    """
    if not sp.issparse(features):
        rows = features if overwrite else np.empty(features.shape, np.float32)
        size = max(1, _ENTRIES_IN_CACHE // max(1, features.shape[1]))
        for start in range(0, len(rows), size):
            part = _signed_power(features[start : start + size], power)
            rows[start : start + size] = _of_length_one(part)
    else:
        rows = features.copy()
        rows.data = _signed_power(rows.data, power)
        rows = _divided(rows, abs(rows).max(axis=1).toarray().ravel())
        square = np.asarray(rows.multiply(rows).sum(axis=1)).ravel()
        rows = _divided(rows, np.sqrt(square))
    if mean is None:
        return rows
    rows = rows.toarray() if sp.issparse(rows) else rows
    return _of_length_one((rows - mean) * rows.any(axis=1, keepdims=True))


def _signed_power(values, power):
    if power == 1:
        return values
    size = np.abs(values)
    if power == 0.5:
        np.sqrt(size, out=size)
    else:  # twice as fast as a power
        with np.errstate(divide="ignore"):  # exp(-inf) is the zero that is wanted
            np.log(size, out=size)
        size *= np.float32(power)
        np.exp(size, out=size)
    return np.copysign(size, values, out=size)


def _of_length_one(rows):
    # squares of what is divided by its maximum neither overflow nor vanish
    peak = np.abs(rows).max(axis=1, keepdims=True)
    rows = rows / np.where(peak == 0, 1, peak)
    length = np.linalg.norm(rows, axis=1, keepdims=True)
    return rows / np.where(length == 0, 1, length)


def _divided(rows, divisor):
    """Divide CSR rows by positive numbers; zeros stay zeros."""
    divisor = np.repeat(np.where(divisor == 0, 1, divisor), np.diff(rows.indptr))
    rows.data = rows.data / divisor.astype(np.float32)
    return rows


def class_means(rows, codes, n_classes):
    """Mean of the rows of each class, a dense array of shape (n_classes, n_features)."""
    counts = np.bincount(codes, minlength=n_classes)[:, None].astype(np.float32)
    if not sp.issparse(rows) and len(codes) * n_classes < 2**20:
        return np.eye(n_classes, dtype=np.float32)[codes].T @ rows / counts
    ones = np.ones(len(codes), np.float32)
    shape = n_classes, len(codes)
    members = sp.csr_array((ones, (codes, np.arange(len(codes)))), shape=shape)
    total = members @ rows
    total = total.toarray() if sp.issparse(total) else np.asarray(total)
    return total / counts
