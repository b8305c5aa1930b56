"""A small problem: a source that knows classes 0 and 1 of four, and new data."""

from typing import NamedTuple

import numpy as np
from sklearn.datasets import make_blobs
from sklearn.linear_model import LogisticRegression

from skdeep.transfer import AdapterExtender


class Problem(NamedTuple):
    """Rows of the source, new rows, and rows for a test; labels 0 to 3, 0 and 1 old."""

    X_old: np.ndarray
    y_old: np.ndarray
    X_new: np.ndarray
    y_new: np.ndarray
    X_test: np.ndarray
    y_test: np.ndarray


def four_blobs(n_features=5):
    """Four classes that a line can tell apart."""
    X, y = make_blobs(400, n_features, centers=4, random_state=3, cluster_std=1.0)
    old = np.flatnonzero(y[:160] < 2)
    return Problem(X[old], y[old], X[160:280], y[160:280], X[280:], y[280:])


def fitted_source(names=None, **params):
    """A classifier that knows classes 0 and 1, under these names."""
    problem = four_blobs()
    y = problem.y_old if names is None else np.array(names)[problem.y_old]
    return LogisticRegression(**params).fit(problem.X_old, y)


def quick_extender(source=None, **params):
    """An extender that is fitted in a moment."""
    defaults = {"method": "stacking", "skip_connection": False}
    defaults |= {"random_state": 0, "device": "cpu"}
    source = fitted_source() if source is None else source
    return AdapterExtender(source, **{**defaults, **params})


def small_network(n_outputs=2, last=None):
    """An untrained network of torch with dropout, for rows of five numbers."""
    import torch

    with torch.random.fork_rng():
        torch.manual_seed(0)
        layers = [torch.nn.Linear(5, 8), torch.nn.ReLU(), torch.nn.Dropout(0.5)]
        layers += [torch.nn.Linear(8, n_outputs), *([] if last is None else [last])]
        return torch.nn.Sequential(*layers)
