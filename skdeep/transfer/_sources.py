"""Class scores out of any fitted model; see `skdeep.transfer._source_kinds`."""

import numpy as np
import scipy.sparse as sp
import torch
from scipy.special import log_softmax, softmax
from sklearn.pipeline import Pipeline
from sklearn.utils import _safe_indexing

from skdeep.transfer._source_kinds import network_of, unwrap

LEAST_PROBA = 1e-6
_SLICE = 1024


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


def check_one_label(estimator, X):
    """Refuse a model that answers with a set of labels for each row.

    Parameters
    ----------
    estimator : object
        Fitted model.

    X : object of length n_samples
        Rows as the model takes them; it is asked about the first one.
    """
    if network_of(estimator) is not None or not hasattr(estimator, "predict"):
        return
    X = X.tocsr() if sp.issparse(X) else X
    answer = estimator.predict(_safe_indexing(X, [0]))
    if sp.issparse(answer) or (np.ndim(answer) == 2 and np.shape(answer)[1] > 1):
        raise ValueError(
            f"`estimator` ({type(unwrap(estimator)).__name__}) predicts several labels "
            "for a row, but only classifiers with one label for each row can be "
            "extended. Extend a classifier for each label alone."
        )


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
        last = _last_layer(estimator)
        if isinstance(last, torch.nn.Sigmoid):
            return _of_two(answer, classes, signal), True
        if isinstance(last, torch.nn.Softmax):
            return _checked(answer.astype(np.float64), classes, signal), True
        return log_softmax(_columns(answer, classes, signal), axis=1), False
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
        if (np.abs(answer - 0.5) > 0.5 + LEAST_PROBA).any():  # NaN is reported later
            return _of_logits(estimator, answer, classes), False
        return _of_two(answer, classes, signal), True
    inner = unwrap(estimator)
    n_pairs = len(classes) * (len(classes) - 1) // 2
    votes = getattr(inner, "decision_function_shape", None) == "ovo"
    if votes and answer.ndim == 2 and answer.shape[1] == n_pairs:
        return votes_of_pairs(answer, len(classes)), False
    return _columns(answer, classes, signal), False


def _last_layer(module):
    """Layer that comes last among those of a network."""
    return list(module.modules())[-1]


def _of_two(answer, classes, signal):
    """Probabilities of two classes from that of the second one."""
    answer = np.asarray(answer, dtype=np.float64)
    if answer.ndim == 1 or answer.shape[1] == 1 < len(classes):
        answer = np.column_stack([1 - answer.ravel(), answer.ravel()])
    return _checked(answer, classes, signal)


def _of_logits(estimator, answer, classes):
    """Logs of probabilities, where `predict_proba` of a network gives logits."""
    if network_of(estimator) is None:
        raise ValueError(
            f"`predict_proba` of `estimator` ({type(unwrap(estimator)).__name__}) gives "
            f"numbers from {answer.min():.3g} to {answer.max():.3g}, which are no "
            "probabilities."
        )
    return log_softmax(_columns(answer, classes, "predict_proba"), axis=1)


def _columns(answer, classes, signal):
    """Scores of two classes from a single one, which is their difference."""
    answer = np.asarray(answer, dtype=np.float64)
    if answer.ndim == 1 or answer.shape[1] == 1 < len(classes):
        half = answer.reshape(len(answer)) / 2
        answer = np.column_stack([-half, half])
    return _checked(answer, classes, signal)


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
    """Rows as the source wants them: networks take dense float32.

    What is in front of a network in a pipeline gets tables and sparse rows as they are.
    """
    if network_of(estimator) is None:
        return X
    inner = unwrap(estimator, Pipeline)
    has_steps = isinstance(inner, Pipeline) and len(inner.steps) > 1
    if has_steps and (sp.issparse(X) or hasattr(X, "to_numpy")):
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
