"""Rows with one label, or sentences with a tag for each token."""

from sklearn.base import is_classifier

from skdeep.transfer._source_kinds import takes_sparse, unwrap


def mode_of(est):
    """Mode of an extender, as far as it is known before `fit`.

    Parameters
    ----------
    est : AdapterExtender

    Returns
    -------
    mode : {"classifier", "sequence"}
    """
    if hasattr(est, "mode_"):
        return est.mode_
    if isinstance(est.mode, str) and est.mode != "auto":
        return est.mode
    return "sequence" if is_tagger(est.estimator) else "classifier"


def is_tagger(estimator):
    """Whether a model says of itself that it tags tokens."""
    return hasattr(unwrap(estimator), "predict_marginals")


def resolve_mode(est, X, y):
    """Mode of a fit.

    Parameters
    ----------
    est : AdapterExtender

    X, y : object
        What `fit` was called with.

    Returns
    -------
    mode : {"classifier", "sequence"}
    """
    if est.mode != "auto":
        return est.mode
    if is_tagger(est.estimator):
        return "sequence"
    if hasattr(est.estimator, "__sklearn_tags__") and is_classifier(est.estimator):
        return "classifier"
    return "sequence" if are_sentences(X) and are_sentences(y) else "classifier"


def are_sentences(data):
    """Whether this is a sequence of sequences of text; iterators are not used up."""
    if hasattr(data, "__next__"):
        return False
    try:
        first = next((part for part in data if len(part)), None)
    except TypeError:  # numbers, or nothing to go through
        return False
    if isinstance(first, (str, bytes, dict)) or not hasattr(first, "__getitem__"):
        return False
    return isinstance(next(iter(first)), str)


def source_tags(est, tags):
    """Tags of an extender, of which some are those of its source.

    Parameters
    ----------
    est : AdapterExtender

    tags : sklearn.utils.Tags
        Of a classifier.

    Returns
    -------
    tags : sklearn.utils.Tags
    """
    tags.target_tags.required = True
    if mode_of(est) == "sequence":
        # splitters would take tag lists for several labels of a row
        tags.estimator_type = None
        tags.classifier_tags = tags.transformer_tags = None
        tags.input_tags.two_d_array = False
        tags.input_tags.string = True
        return tags
    tags.input_tags.sparse = takes_sparse(est.estimator)
    tags.transformer_tags.preserves_dtype = ["float32"]
    return tags
