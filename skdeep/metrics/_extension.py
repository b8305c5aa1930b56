"""What a model that learned new classes gained, and what it forgot of the old ones.

The old classes are those of the *source*, the model before the extension. One number over
all samples hides what matters: data with few old samples reward forgetting them.
"""

import numpy as np
from sklearn.pipeline import Pipeline

from skdeep.metrics._extension_counts import scores_of_classes, scores_of_tags
from skdeep.metrics._spans import parse_tag


def extension_report(extender, X, y=None):
    """How well an extended model does on old and new classes, beside its source.

    Parameters
    ----------
    extender : estimator instance
        Fitted model with `predict`, `classes_` and `old_class_mask_`, which marks the
        classes of the source; a tagger may name its types of entities in `old_types_`
        instead. ``predict_source(X)``, if there is one, gives the predictions of the
        source. A Pipeline or a search that ends with such a model will do.

    X : array-like, or list of list of str
        Samples, or the tokens of sentences.

    y : array-like of shape (n_samples,), list of list of str or None, default=None
        Their classes or tags. None: only `retention` is known.

    Returns
    -------
    report : dict
        As returned by `extension_scores`.

    See Also
    --------
    extension_scores : The same from predictions.
    make_extension_scorer : One of the numbers as a scorer.

    Notes
    -----
    One `predict` and one `predict_source`.

    Examples
    --------
    >>> import numpy as np
    >>> from skdeep.metrics import extension_report
    >>> class Rounder:
    ...     classes_, old_class_mask_ = np.arange(4), np.arange(4) < 3
    ...
    ...     def predict(self, X):
    ...         return np.clip(np.round(X[:, 0]), 0, 3)
    ...
    ...     def predict_source(self, X):
    ...         return np.clip(np.round(X[:, 0]), 0, 2)
    >>> X = np.array([[0.1], [1.2], [1.9], [2.6], [3.1], [2.9]])
    >>> report = extension_report(Rounder(), X, [0, 1, 2, 2, 3, 3])
    >>> report["old"], report["new"], report["forgetting"]
    (0.75, 1.0, 0.25)
    """
    if not hasattr(X, "__len__") and not hasattr(X, "shape"):
        X = list(X)  # it is read twice
    model, before = unwrap(extender)
    for transformer in before:
        X = transformer.transform(X)
    y_pred = model.predict(X)
    source_pred = model.predict_source(X) if hasattr(model, "predict_source") else None
    return extension_scores(y, y_pred, old_classes_of(model, y_pred), source_pred)


def extension_scores(y_true, y_pred, old_classes, source_pred=None):
    """How well predictions do on old and new classes, beside those of the source.

    Parameters
    ----------
    y_true : array-like of shape (n_samples,), list of list of str or None
        Right classes; or right tags of sentences, which are then scored by the F1 of
        their entities. Of tags without a prefix, such as parts of speech, each token
        but "O" is an entity. None: only `retention` is known.

    y_pred : array-like of shape (n_samples,) or list of list of str
        Predictions of the extended model, or of any other.

    old_classes : list of labels
        Classes of the source; of tags the types of the entities, such as "city". All
        others are new.

    source_pred : array-like of shape (n_samples,) or list of list of str, default=None
        Predictions of the source.

    Returns
    -------
    scores : dict
        With the keys

        old, new, all : float
            Accuracy on the samples of old classes, of new classes, on all. Of tags the
            F1 of old entities, of new ones, of all.
        harmonic : float
            Harmonic mean of `old` and `new`.
        source_old, forgetting : float
            Score of the source on the old classes, and what of it was lost:
            ``source_old - old``, negative for a gain.
        intrusion : float
            Share of the samples of old classes that are predicted as a new one. Of tags
            the share of the right old entities that a new entity overlaps.
        leak : float
            Share of the samples of new classes that are predicted as an old one, and
            likewise.
        retention : float
            Agreement with the source on all samples that are not predicted as a new
            class. Of tags the F1 of the predicted old entities, where those of the
            source count as right unless a predicted new one overlaps them.
        n_old, n_new : int
            Samples, or right entities, of old and of new classes.
        per_class : dict
            For each class a dict with "precision", "recall", "f1-score", "support",
            "is_new", and the recall of the source as "source_recall"; of tags its F1 as
            "source_f1-score".

        A number that the data do not tell is None, never NaN: `old` without a sample of
        an old class, `retention` without predictions of the source.

    See Also
    --------
    extension_report : The same from a model.
    entity_f1_score : How entities are compared.

    Notes
    -----
    O(n_samples log n_samples) time for classes, O(n_tokens) for tags.

    Examples
    --------
    >>> from skdeep.metrics import extension_scores
    >>> scores = extension_scores(
    ...     ["ant", "ant", "bee", "cow"],
    ...     ["ant", "cow", "bee", "bee"],
    ...     old_classes=["ant", "bee"],
    ...     source_pred=["ant", "ant", "bee", "bee"],
    ... )
    >>> {name: round(scores[name], 2) for name in ("old", "new", "forgetting", "leak")}
    {'old': 0.67, 'new': 0.0, 'forgetting': 0.33, 'leak': 1.0}
    """
    if y_true is None and source_pred is None:
        raise ValueError(
            "`y_true` and `source_pred` are both None, so there is nothing to compare "
            "with; give the right classes, or the predictions of the source."
        )
    if isinstance(old_classes, str):
        raise ValueError(
            f"`old_classes` must be a list of classes; got the str {old_classes!r}."
        )
    given = (y_true, y_pred, source_pred)
    if is_tagging(y_pred if y_true is None else y_true):
        return scores_of_tags(given, set(old_classes))
    return scores_of_classes(given, list(old_classes))


def is_tagging(y):
    """Whether `y` holds tags of sentences rather than one class a sample."""
    if hasattr(y, "ndim") and y.ndim > 1:
        return y.shape[1] != 1
    first = next(iter(y), None)
    return isinstance(first, list | tuple | np.ndarray)


def unwrap(estimator):
    """The model inside searches and pipelines, and the transformers before it."""
    before = []
    while True:
        if hasattr(estimator, "best_estimator_"):
            estimator = estimator.best_estimator_
        elif isinstance(estimator, Pipeline):
            before += [estimator[:-1]] if len(estimator) > 1 else []
            estimator = estimator[-1]
        else:
            return estimator, before


def old_classes_of(model, y):
    """Classes of the source of a model; types of entities if `y` holds tags."""
    if is_tagging(y) and hasattr(model, "old_types_"):
        return list(model.old_types_)
    if not hasattr(model, "classes_") or not hasattr(model, "old_class_mask_"):
        raise TypeError(
            f"{type(model).__name__} does not tell which of its classes are old. Give a "
            "fitted model with `classes_` and `old_class_mask_`, or the predictions and "
            "the old classes to `extension_scores`."
        )
    old = np.asarray(model.classes_)[np.asarray(model.old_class_mask_, dtype=bool)]
    if is_tagging(y):
        parsed = {str(tag): parse_tag(str(tag)) for tag in old}
        return sorted({p[1] if p else tag for tag, p in parsed.items()} - {""})
    return old.tolist()
