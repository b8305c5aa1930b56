"""Scorer of models that learned new classes, for `GridSearchCV` and `cross_validate`.

Accuracy on the new data would reward forgetting: few of their samples are of old classes.
"""

from skdeep.metrics._extension import (
    extension_scores,
    is_tagging,
    old_classes_of,
    unwrap,
)
from skdeep.metrics._pairs import check_choice

KINDS = ("harmonic", "old", "new", "all", "min")


def make_extension_scorer(kind="harmonic", *, old_classes=None):
    """Make a scorer of old classes, of new ones, or of both at once.

    Parameters
    ----------
    kind : {"harmonic", "old", "new", "all", "min"}, default="harmonic"
        The score on old classes, on new ones, or on all samples; the harmonic mean of
        the scores on old and new classes, or the smaller of the two. A score is an
        accuracy or, where `y` holds tags, an F1 of entities.

    old_classes : list of labels, default=None
        Classes of the source; of tags the types of entities. None: what the estimator
        says, which must then have `classes_` and `old_class_mask_`. Given, any
        classifier or tagger can be scored.

    Returns
    -------
    scorer : callable
        ``scorer(estimator, X, y) -> float``; larger is better.

    See Also
    --------
    extension_report : All numbers at once.

    Notes
    -----
    One `predict`. Where `y` has no sample of an old class and `kind` needs one, or none
    of a new class, the scorer raises a ValueError. Searches of scikit-learn turn that
    into a warning and `error_score`, unless ``error_score="raise"``.

    Examples
    --------
    >>> from sklearn.datasets import load_iris
    >>> from sklearn.model_selection import GridSearchCV
    >>> from sklearn.neighbors import KNeighborsClassifier
    >>> from skdeep.metrics import make_extension_scorer
    >>> search = GridSearchCV(
    ...     KNeighborsClassifier(),
    ...     {"n_neighbors": [1, 5, 75]},
    ...     scoring=make_extension_scorer("min", old_classes=[0, 1]),
    ... )
    >>> search.fit(*load_iris(return_X_y=True)).best_params_
    {'n_neighbors': 5}
    """
    check_choice("kind", kind, KINDS)
    if old_classes is not None:
        if isinstance(old_classes, str):
            raise ValueError(
                f"`old_classes` must be a list of classes; got the str {old_classes!r}."
            )
        old_classes = list(old_classes)
    return _ExtensionScorer(kind, old_classes)


class _ExtensionScorer:
    """Callable with an explicit state: pickles and prints well."""

    def __init__(self, kind, old_classes):
        self.kind = kind
        self.old_classes = old_classes

    def __call__(self, estimator, X, y):
        old_classes = self.old_classes
        y_pred = estimator.predict(X)
        if old_classes is None:
            old_classes = old_classes_of(unwrap(estimator)[0], y)
        scores = extension_scores(y, y_pred, old_classes)
        if self.kind == "min":
            parts = (scores["old"], scores["new"])
            score = None if None in parts else min(parts)
        else:
            score = scores[self.kind]
        if score is None:
            raise _undefined(self.kind, scores, is_tagging(y))
        return score

    def __repr__(self):
        given = "" if self.old_classes is None else f", old_classes={self.old_classes}"
        return f"make_extension_scorer({self.kind!r}{given})"


def _undefined(kind, scores, of_tags):
    """The error for data that do not tell what is asked of them."""
    what = "entity" if of_tags else "sample"
    missing = [name for name in ("old", "new") if scores[f"n_{name}"] == 0]
    classes = " and none of ".join(f"{name} classes" for name in missing)
    return ValueError(
        f"`y` has no {what} of {classes}, so kind={kind!r} has no value. Score on data "
        "that hold both, for example with StratifiedKFold, or choose another `kind`."
    )
