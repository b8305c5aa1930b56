"""Which fitted models can be a source, and what is inside of them.

A *source* is a model that somebody else has fitted: an estimator or pipeline of
scikit-learn, a net of skorch, a bare network of torch, another extender. Nothing here
changes it.
"""

import copy

import numpy as np
import torch
from sklearn.base import is_clusterer, is_outlier_detector, is_regressor
from sklearn.exceptions import NotFittedError
from sklearn.frozen import FrozenEstimator
from sklearn.pipeline import Pipeline
from sklearn.utils import get_tags
from sklearn.utils.validation import check_is_fitted
from skorch import NeuralNet


def unwrap(estimator, down_to=()):
    """Take the wrappers of scikit-learn off a model.

    Parameters
    ----------
    estimator : object
        A model, maybe frozen, found by a search, or at the end of a pipeline.

    down_to : type or tuple of types, default=()
        Where to stop early.

    Returns
    -------
    inner : object
        The first one of these types, or the model that has no wrapper left.
    """
    while not (down_to and isinstance(estimator, down_to)):
        if isinstance(estimator, FrozenEstimator):
            estimator = estimator.estimator
        elif isinstance(estimator, Pipeline):
            estimator = estimator.steps[-1][1]
        elif hasattr(estimator, "best_estimator_"):
            estimator = estimator.best_estimator_
        else:
            break
    return estimator


def is_fitted(model):
    """Whether a model can answer, as far as it lets see."""
    if isinstance(model, torch.nn.Module) or not hasattr(model, "fit"):
        return True
    try:
        check_is_fitted(model)
    except NotFittedError:
        return tells_classes(model)
    except AttributeError:  # none of scikit-learn's kind: it has to know itself
        return True
    return True


def check_fitted(estimator):
    """Refuse a model that nobody has fitted."""
    if not is_fitted(estimator):
        raise NotFittedError(
            f"This {type(estimator).__name__} is not fitted. With prefit=True, fit "
            "`estimator` first; the extender never trains it. prefit=False fits a copy "
            "on the first data. In the grid of a search, which copies what it lists, "
            "put it into a FrozenEstimator."
        )


def tells_classes(estimator):
    """Whether a fitted model has names for what it predicts."""
    try:
        return estimator.classes_ is not None
    except (AttributeError, NotFittedError):
        return False


def check_kind(estimator):
    """Refuse what is no classifier of one label for each row."""
    if isinstance(estimator, torch.nn.Module):
        return
    kinds = {
        "regressor": is_regressor,
        "clusterer": is_clusterer,
        "outlier detector": is_outlier_detector,
    }
    name = type(unwrap(estimator)).__name__
    for kind, matches in kinds.items():
        if hasattr(estimator, "__sklearn_tags__") and matches(estimator):
            raise ValueError(
                f"`estimator` is a {kind} ({name}), but only classifiers have classes "
                "that can be extended."
            )


def source_classes(estimator, classes=None):
    """Classes that a fitted model tells apart, in the order of its scores.

    Parameters
    ----------
    estimator : object
        Fitted model.

    classes : array-like of shape (n_classes,) or None, default=None
        Names of its outputs, for a model that has no ``classes_``.

    Returns
    -------
    classes : ndarray of shape (n_classes,)
        Without duplicates; in the order of the model.
    """
    name = type(unwrap(estimator)).__name__
    if tells_classes(estimator):
        found = estimator.classes_
        if isinstance(found, list) and any(np.ndim(part) for part in found):
            raise ValueError(
                f"`estimator` ({name}) has several outputs, but only classifiers with "
                "one label for each row can be extended. Extend each output alone."
            )
    elif classes is None:
        raise ValueError(
            f"`estimator` ({name}) does not tell its classes. Pass `classes=` to fit: "
            "the names of its outputs, in their order."
        )
    else:
        found = classes
    found = np.asarray(found)
    if found.ndim != 1 or not len(found):
        raise ValueError(
            f"The classes of `estimator` ({name}) must be a 1d array of labels. Got "
            f"shape {found.shape}."
        )
    if len(set(found.tolist())) < len(found):
        raise ValueError(f"A class of `estimator` ({name}) occurs twice: {found}.")
    return found


def settled(estimator):
    """The model itself, or a copy in evaluation mode of a network in training.

    In training mode the dropout of a network is on, and to switch it off would change
    the network for its owner.
    """
    network = network_of(estimator)
    if network is None or not any(part.training for part in network.modules()):
        return estimator
    estimator = copy.deepcopy(estimator)
    network_of(estimator).eval()
    return estimator


def network_of(estimator):
    """The network of torch inside a source, or None."""
    inner = unwrap(estimator)
    if isinstance(inner, torch.nn.Module):
        return inner
    return getattr(inner, "module_", None) if isinstance(inner, NeuralNet) else None


def takes_sparse(estimator):
    """Whether a source says that it takes sparse rows."""
    return _input_tag(estimator, "sparse", network_of(estimator) is not None)


def takes_missing(estimator):
    """Whether a source says that it takes rows with NaN."""
    return _input_tag(estimator, "allow_nan", False)


def takes_text(estimator):
    """Whether a source may know what to do with something else than numbers."""
    if not hasattr(estimator, "__sklearn_tags__") or not hasattr(
        estimator, "get_params"
    ):
        return True
    nested = any("__" in name for name in estimator.get_params())
    tags = ("string", "categorical", "no_validation")
    return nested or any(_input_tag(estimator, name, False) for name in tags)


def _input_tag(estimator, name, default):
    if default or not hasattr(estimator, "__sklearn_tags__"):
        return default
    tags = get_tags(estimator)
    return bool(getattr(tags if hasattr(tags, name) else tags.input_tags, name))
