"""From rows of a table to the unit vectors that the rules compare."""

import numpy as np
import scipy.sparse as sp
from sklearn.base import clone
from torch import nn

from skdeep.base import forward
from skdeep.nn import make_module

BUILT_IN = {"mlp": "mlp", "conv4": "conv"}
_BYTES_AT_ONCE = 2**26


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


def backbone_features(X, *, transformer=None, module=None, device="cpu"):
    """Features of rows: those of a transformer, of a network, or the rows themselves.

    Parameters
    ----------
    X : ndarray or CSR matrix of shape (n_samples, n_features)
        Rows.

    transformer : fitted transformer or None, default=None

    module : torch.nn.Module or None, default=None

    device : str, default="cpu"
        Where the module is.

    Returns
    -------
    features : ndarray or CSR matrix of shape (n_samples, n_components), dtype float32
    """
    if transformer is not None:
        features = transformer.transform(X)
        sparse = sp.issparse(features)
        features = features.tocsr() if sparse else np.asarray(features)
        return features.astype(np.float32, copy=False)
    if module is None:
        return X
    return forward(module, X, device)


def unit_rows(features, power=1.0, mean=None):
    """Raise features to a power, keep their signs, and bring rows to length 1.

    Parameters
    ----------
    features : ndarray or CSR matrix of shape (n_samples, n_features), dtype float32

    power : float, default=1.0
        Of the magnitudes; 0.5 is the signed root.

    mean : ndarray of shape (n_features,) or None, default=None
        Subtracted after the power; sparse rows become dense by it.

    Returns
    -------
    rows : ndarray or CSR matrix of shape (n_samples, n_features), dtype float32
        Zeros stay zeros.
    """
    rows = features
    if sp.issparse(rows) and mean is None:
        rows = rows.copy()
        rows.data = _signed_power(rows.data, power)
        length = np.sqrt(np.asarray(rows.multiply(rows).sum(axis=1)).ravel())
        length[length == 0] = 1
        return (sp.diags_array((1 / length).astype(np.float32)) @ rows).tocsr()
    rows = _signed_power(rows.toarray() if sp.issparse(rows) else rows, power)
    if mean is not None:
        rows = rows - mean
    length = np.linalg.norm(rows, axis=1, keepdims=True)
    return rows / np.where(length == 0, 1, length)


def _signed_power(values, power):
    if power == 1:
        # a factor that keeps the squares of the largest values finite
        peak = np.abs(values).max(initial=0)
        return values / peak if peak > 1e9 else values
    return np.sign(values) * np.abs(values) ** np.float32(power)


def class_means(rows, codes, n_classes):
    """Mean of the rows of each class, a dense array of shape (n_classes, n_features)."""
    ones = np.ones(len(codes), np.float32)
    shape = n_classes, len(codes)
    members = sp.csr_array((ones, (codes, np.arange(len(codes)))), shape=shape)
    total = members @ rows
    total = total.toarray() if sp.issparse(total) else np.asarray(total)
    return total / np.bincount(codes, minlength=n_classes)[:, None].astype(np.float32)


def row_slices(rows):
    """Slices of rows that are small when dense."""
    size = max(1, _BYTES_AT_ONCE // (4 * max(1, rows.shape[1])))
    for start in range(0, rows.shape[0], size):
        yield slice(start, start + size)
