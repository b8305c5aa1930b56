"""Known classes, new classes and small learners for the tests of few-shot estimators."""

import numpy as np

from skdeep import SemiSupervisedMetaLearner

KNOWN = np.arange(12)
NEW = np.array([20, 21, 22])


def draw(classes, n_rows, seed, noise=0.7):
    """Rows of some of 30 classes around fixed centres in 16 dimensions."""
    rng = np.random.RandomState(seed)
    centres = np.random.RandomState(7).randn(30, 16)
    y = np.repeat(classes, n_rows)
    return centres[y] + noise * rng.randn(len(y), 16), y


def quick_learner(**params):
    """A meta-learner whose training takes a moment."""
    defaults = {
        "max_epochs": 2,
        "episodes_per_epoch": 16,
        "batch_size": 8,
        "n_query": 5,
        "n_validation_episodes": 8,
        "backbone_max_epochs": 2,
        "n_components": 8,
        "hidden_layer_sizes": (16,),
        "device": "cpu",
        "random_state": 0,
    }
    return SemiSupervisedMetaLearner(**{**defaults, **params})


def fitted_learner(**params):
    """The same, fitted on the known classes."""
    return quick_learner(**params).fit(*draw(KNOWN, 12, 0))
