"""Few-shot classifiers of others: for each a function from an episode to labels.

Each function takes labelled rows, their classes 0 to 4 and the rows to be classified, all
of length one, and builds all it needs from them, so that its CPU seconds are those of a
user with one new task. The classifiers of scikit-learn that learn from rows without label
get the query rows as such. Those of easyfsl work on images behind a network; features
need none, so it is left out.
"""

import sys
import types
from functools import cache
from importlib.util import find_spec

import numpy as np
import torch
from sklearn.linear_model import LogisticRegression
from sklearn.neighbors import NearestCentroid
from sklearn.semi_supervised import LabelSpreading, SelfTrainingClassifier
from torch import nn


class Peer:
    """A classifier of others.

    Parameters
    ----------
    classify : callable
        ``classify(support, y_support, query, **params)`` returns labels.

    grid : dict
        Values of the parameters to choose from.

    module : str, default="sklearn"
        What has to be installed.

    n_episodes : int or None, default=None
        How many of the test episodes are computed; None for all.

    centered : bool, default=False
        Whether `center`, the mean of the base rows or None, is a parameter.

    own_power : bool, default=False
        Whether it takes roots of the features itself, which it must not do twice.
    """

    def __init__(
        self,
        classify,
        grid,
        module="sklearn",
        *,
        n_episodes=None,
        centered=False,
        own_power=False,
    ):
        self.classify = classify
        self.grid = grid
        self.module = module
        self.n_episodes = n_episodes
        self.centered = centered
        self.own_power = own_power


def nearest_centroid(support, y, query):
    return NearestCentroid().fit(support, y).predict(query)


def logistic_regression(support, y, query, C):
    return LogisticRegression(C=C, max_iter=1000).fit(support, y).predict(query)


def partly_labelled(support, y, query):
    """All rows of an episode, and classes that are -1 for the query."""
    return np.concatenate([support, query]), np.append(y, np.full(len(query), -1))


def label_spreading(support, y, query, **params):
    """Labels of the query rows as the model gives them while it is fitted."""
    model = LabelSpreading(max_iter=100, **params)
    model.fit(*partly_labelled(support, y, query))
    return model.transduction_[len(support) :]


def self_training(support, y, query, C, threshold):
    model = SelfTrainingClassifier(
        LogisticRegression(C=C, max_iter=1000), threshold=threshold
    )
    return model.fit(*partly_labelled(support, y, query)).predict(query)


@cache
def easyfsl_methods():
    """The module ``easyfsl.methods``; its parts for images need torchvision, ours do not."""
    try:
        import torchvision  # noqa: F401
    except (ImportError, RuntimeError):  # missing, or made for another torch
        for name in [name for name in sys.modules if name.startswith("torchvision")]:
            del sys.modules[name]
        for name in ("", ".models", ".models.resnet", ".datasets", ".transforms"):
            stand_in = types.ModuleType(f"torchvision{name}")
            stand_in.__path__ = []
            stand_in.__getattr__ = _any_layer
            sys.modules[stand_in.__name__] = stand_in
    from easyfsl import methods

    return methods


def _any_layer(name):
    if name.startswith("__"):
        raise AttributeError(name)
    return nn.Identity


def easyfsl(name):
    """A function for one of the classes of easyfsl."""

    def classify(support, y, query, center=None, **params):
        if center is not None:
            params |= {
                "feature_centering": torch.from_numpy(center),
                "feature_normalization": 2.0,
            }
        model = getattr(easyfsl_methods(), name)(**params)
        with torch.no_grad():
            model.process_support_set(torch.from_numpy(support), torch.from_numpy(y))
            scores = model(torch.from_numpy(query))
        return scores.argmax(1).numpy()

    return classify


PEERS = {
    "sklearn NearestCentroid": Peer(nearest_centroid, {}),
    "sklearn LogisticRegression": Peer(
        logistic_regression, {"C": [0.1, 1, 10, 100, 1000]}
    ),
    "sklearn LabelSpreading, rbf": Peer(
        label_spreading,
        {
            "kernel": ["rbf"],
            "gamma": [1, 3, 5, 10, 20, 40],
            "alpha": [0.05, 0.2, 0.5, 0.8, 0.95],
        },
    ),
    "sklearn LabelSpreading, knn": Peer(
        label_spreading,
        {
            "kernel": ["knn"],
            "n_neighbors": [3, 5, 7, 10, 15, 25],
            "alpha": [0.05, 0.2, 0.5, 0.8, 0.95],
        },
    ),
    "sklearn SelfTraining(LogisticRegression)": Peer(
        self_training, {"C": [100, 1000], "threshold": [0.3, 0.4, 0.5, 0.6, 0.75, 0.9]}
    ),
    "easyfsl SimpleShot": Peer(easyfsl("SimpleShot"), {}, "easyfsl", centered=True),
    "easyfsl BD-CSPN": Peer(easyfsl("BDCSPN"), {}, "easyfsl", centered=True),
    "easyfsl LaplacianShot": Peer(
        easyfsl("LaplacianShot"),
        {"knn": [3, 5, 10], "lambda_regularization": [0.1, 0.3, 0.7, 1.0]},
        "easyfsl",
        centered=True,
    ),
    "easyfsl TIM": Peer(
        easyfsl("TIM"),
        {
            "fine_tuning_lr": [1e-3, 3e-3],
            "marginal_entropy_weight": [0.03, 0.1, 0.3, 1.0],
            "conditional_entropy_weight": [0.1, 0.5],
        },
        "easyfsl",
    ),
    "easyfsl TransductiveFinetuning": Peer(
        easyfsl("TransductiveFinetuning"),
        {"fine_tuning_lr": [5e-5, 1e-3, 1e-2], "temperature": [1.0, 10.0]},
        "easyfsl",
    ),
    "easyfsl PT-MAP": Peer(
        easyfsl("PTMAP"), {}, "easyfsl", n_episodes=100, own_power=True
    ),
}


def installed_peers():
    """Name -> `Peer` of those whose module is installed."""
    return {name: peer for name, peer in PEERS.items() if find_spec(peer.module)}
