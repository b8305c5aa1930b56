"""Rows of many classes on a sphere, and graphs over them, for the tests of clusters."""

import numpy as np

from skdeep import HiLanderClusterer
from skdeep.cluster._levels import Nodes, make_level, unit_rows


def crowd(n_classes=8, n_rows=12, n_features=10, noise=0.2, seed=0):
    """Rows around random directions, class by class.

    Returns
    -------
    X : ndarray of shape (n_classes * n_rows, n_features), dtype float32
    y : ndarray of shape (n_classes * n_rows,)
    """
    rng = np.random.RandomState(seed)
    centers = unit_rows(rng.randn(n_classes, n_features))
    y = np.repeat(np.arange(n_classes), n_rows)
    X = centers[y] + noise * rng.randn(len(y), n_features)
    return unit_rows(X.astype(np.float32)), y


def level_of(X, n_neighbors):
    """Graph over rows of length one."""
    return make_level(Nodes.of_rows(X), n_neighbors)


def small_clusterer(**params):
    """A clusterer that trains in a moment."""
    settings = {"n_neighbors": 6, "max_epochs": 2, "hidden_layer_sizes": (8,)}
    settings |= {"tau": 0.6, "resolution": 0.02}
    settings |= {"random_state": 0, "device": "cpu", **params}
    return HiLanderClusterer(**settings)


def same_partition(one, other):
    """Whether two label vectors are equal up to the names of the clusters."""
    pairs = set(zip(one.tolist(), other.tolist()))
    return len(pairs) == len(set(one.tolist())) == len(set(other.tolist()))


def is_finer(one, other):
    """Whether each cluster of `one` is inside one of `other`."""
    return len(set(zip(one.tolist(), other.tolist()))) == len(set(one.tolist()))
