"""Class scores out of any fitted model.

A *source* is a model that somebody else has fitted: an estimator or pipeline of
scikit-learn, a net of skorch, a bare network of torch, another extender. Nothing here
changes it.
"""

import copy

import numpy as np
import scipy.sparse as sp
import torch
from scipy.special import log_softmax, softmax
from sklearn.base import is_clusterer, is_outlier_detector, is_regressor
from sklearn.exceptions import NotFittedError
from sklearn.frozen import FrozenEstimator
from sklearn.pipeline import Pipeline
from sklearn.utils import get_tags
from sklearn.utils.validation import check_is_fitted
from skorch import NeuralNet

LEAST_PROBA = 1e-6
_SLICE = 1024


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
    return True


def check_fitted(estimator):
    """Refuse a model that nobody has fitted."""
    if not is_fitted(estimator):
        raise NotFittedError(
            f"This {type(estimator).__name__} is not fitted. With prefit=True, fit "
            "`estimator` first; the extender never trains it. prefit=False fits a copy "
            "on the first data."
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


def find_signal(estimator):
    """Name of the method that tells most about the classes; "forward" of a module."""
    if isinstance(estimator, torch.nn.Module):
        return "forward"
    for name in ("predict_proba", "decision_function", "predict"):
        if hasattr(estimator, name):
            return name
    raise ValueError(
        f"`estimator` ({type(estimator).__name__}) has none of the methods "
        "`predict_proba`, `decision_function` and `predict`."
    )


def class_scores(estimator, X, classes):
    """What a fitted model says about rows, as one number for each of its classes.

    Parameters
    ----------
    estimator : object
        Fitted model.

    X : object of length n_samples
        Rows as the model takes them.

    classes : ndarray of shape (n_classes,)
        Its classes, in its order.

    Returns
    -------
    scores : ndarray of shape (n_samples, n_classes), dtype float32
        Logs of probabilities, clipped at 1e-6; the decision values of a model without
        probabilities; or the logs of zeros and ones, with the same clip, of a model
        that only predicts.
    """
    answer, are_proba = _answer(estimator, X, classes)
    bad = ~np.isfinite(answer).all(axis=1)
    if bad.any():
        raise ValueError(
            f"`estimator` produced non-finite scores for {bad.sum()} of {len(bad)} "
            "samples; look at its own predictions for them."
        )
    if are_proba:
        answer = np.log(np.clip(answer, LEAST_PROBA, 1))
    return answer.astype(np.float32)


def as_signal(scores, kind):
    """Scores in the form in which a method is to see them.

    Parameters
    ----------
    scores : ndarray of shape (n_samples, n_classes)
        From `class_scores`.

    kind : {"logits", "proba", "hard"}
        As they are, their softmax, or the largest alone, as logs of zeros and ones
        that are clipped at 1e-6.

    Returns
    -------
    signal : ndarray of shape (n_samples, n_classes), dtype float32
    """
    if kind == "proba":
        return softmax(scores, axis=1).astype(np.float32)
    if kind == "hard":
        signal = np.full(scores.shape, np.log(LEAST_PROBA), dtype=np.float32)
        signal[np.arange(len(scores)), scores.argmax(axis=1)] = 0
        return signal
    return scores


def _answer(estimator, X, classes):
    """Scores (n, n_classes) in float64, and whether they are probabilities."""
    signal = find_signal(estimator)
    if signal == "forward":
        answer = outputs(estimator, X)
        if isinstance(_last_layer(estimator), torch.nn.Softmax):
            return _checked(answer.astype(np.float64), classes, signal), True
        return log_softmax(_columns(answer, classes), axis=1), False
    X = as_source_input(estimator, X)
    answer = getattr(estimator, signal)(X)
    if signal == "predict":
        return _one_hot(answer, classes), True
    if isinstance(answer, list):
        raise ValueError(
            f"`{signal}` of `estimator` gives a list, as models with several outputs do; "
            "only those with one label for each row can be extended."
        )
    answer = np.asarray(answer, dtype=np.float64)
    if signal == "predict_proba":
        if answer.ndim == 1 or answer.shape[1] == 1 < len(classes):
            answer = np.column_stack([1 - answer.ravel(), answer.ravel()])
        return _checked(answer, classes, signal), True
    inner = unwrap(estimator)
    n_pairs = len(classes) * (len(classes) - 1) // 2
    votes = getattr(inner, "decision_function_shape", None) == "ovo"
    if votes and answer.ndim == 2 and answer.shape[1] == n_pairs:
        return votes_of_pairs(answer, len(classes)), False
    return _checked(_columns(answer, classes), classes, signal), False


def _last_layer(module):
    """Layer that comes last among those of a network."""
    return list(module.modules())[-1]


def _columns(answer, classes):
    """Scores of two classes from a single one, which is their difference."""
    answer = np.asarray(answer, dtype=np.float64)
    if answer.ndim == 1 or answer.shape[1] == 1 < len(classes):
        half = answer.reshape(len(answer)) / 2
        answer = np.column_stack([-half, half])
    return _checked(answer, classes, "forward")


def _checked(answer, classes, signal):
    if answer.ndim != 2 or answer.shape[1] != len(classes):
        raise ValueError(
            f"`{signal}` of `estimator` gives an array of shape {answer.shape} for its "
            f"{len(classes)} classes; expected (n_samples, {len(classes)})."
        )
    return answer


def _one_hot(labels, classes):
    labels = np.asarray(labels)
    hits = labels.reshape(len(labels), -1)[:, :1] == classes[None, :]
    known = hits.any(axis=1)
    if not known.all():
        raise ValueError(
            f"`estimator` predicts {labels[~known].tolist()[0]!r}, which is none of its classes "
            f"{classes.tolist()}."
        )
    return hits.astype(np.float64)


def votes_of_pairs(answer, n_classes):
    """One score a class out of those of all pairs of classes.

    Parameters
    ----------
    answer : ndarray of shape (n_samples, n_classes * (n_classes - 1) / 2)
        Positive where the first class of the pair wins; pairs (0, 1), (0, 2), ...

    n_classes : int
        Number of classes.

    Returns
    -------
    scores : ndarray of shape (n_samples, n_classes)
        Pairs won, and between -1/3 and 1/3 for the margins of the pairs.
    """
    wins = np.zeros((len(answer), n_classes))
    margins = np.zeros((len(answer), n_classes))
    first, second = np.triu_indices(n_classes, 1)
    for column, (one, other) in enumerate(zip(first, second)):
        wins[:, one] += answer[:, column] > 0
        wins[:, other] += answer[:, column] <= 0
        margins[:, one] += answer[:, column]
        margins[:, other] -= answer[:, column]
    return wins + margins / (3 * (np.abs(margins) + 1))


def without_tensors(X):
    """Rows as an array if they are a tensor, else as they are."""
    if hasattr(X, "detach") and hasattr(X, "cpu") and X.device.type != "meta":
        return X.detach().cpu().numpy()
    return X


def as_source_input(estimator, X):
    """Rows as the source wants them: networks take dense float32."""
    if network_of(estimator) is None:
        return X
    if sp.issparse(X):
        X = X.toarray()
    elif hasattr(X, "to_numpy"):
        X = X.to_numpy()
    elif isinstance(X, list) and len(X) and not isinstance(X[0], str):
        X = np.asarray(X)
    is_double = getattr(X, "dtype", None) == np.float64
    return X.astype(np.float32) if is_double else X


def outputs(module, X):
    """Outputs of a bare network for rows, a slice at a time.

    Parameters
    ----------
    module : torch.nn.Module
        In evaluation mode.

    X : array-like of shape (n_samples, ...)
        Rows; floats become float32, integers int64.

    Returns
    -------
    output : ndarray of shape (n_samples, n_outputs)
    """
    X = np.asarray(as_source_input(module, X))
    X = X.astype(np.int64 if X.dtype.kind in "biu" else np.float32)
    weight = next(module.parameters(), torch.empty(0))
    if weight.is_floating_point() and X.dtype == np.int64 and not _embeds(module):
        X = X.astype(np.float32)
    parts = []
    with torch.inference_mode():
        for start in range(0, len(X), _SLICE):
            rows = X[start : start + _SLICE]
            try:
                answer = module(torch.from_numpy(rows).to(weight.device))
            except RuntimeError as error:
                raise ValueError(
                    f"`estimator` ({type(module).__name__}) does not take rows of shape "
                    f"{X.shape[1:]}: {error}"
                ) from error
            parts.append(answer.float().cpu().numpy())
    return np.concatenate(parts)


def _embeds(module):
    kinds = (torch.nn.Embedding, torch.nn.EmbeddingBag)
    return any(isinstance(part, kinds) for part in module.modules())


def takes_sparse(estimator):
    """Whether a source says that it takes sparse rows."""
    return _input_tag(estimator, "sparse", network_of(estimator) is not None)


def takes_missing(estimator):
    """Whether a source says that it takes rows with NaN."""
    return _input_tag(estimator, "allow_nan", False)


def _input_tag(estimator, name, default):
    if default or not hasattr(estimator, "__sklearn_tags__"):
        return default
    return bool(getattr(get_tags(estimator).input_tags, name))
