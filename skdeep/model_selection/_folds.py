"""Folds for cross fitting: whole classes, and every row tested once."""

from numbers import Integral

import numpy as np
from sklearn.model_selection import check_cv

from skdeep.model_selection._split import ClassDisjointKFold
from skdeep.utils._params import Interval, check_param


def class_folds(cv, X, classes, codes, split_params):
    """Split rows so that no class is in both parts of a fold.

    Parameters
    ----------
    cv : int, splitter, iterable of (train, test) or None
        As in `CrossFitTransformer`.

    X : indexable of length n_samples
        Only for the splitter.

    classes : ndarray of shape (n_classes,)
        Labels.

    codes : ndarray of shape (n_samples,)
        Position of the label of each row in `classes`.

    split_params : dict
        Metadata for the splitter.

    Returns
    -------
    folds : list of (train, test)
        Row numbers. A single fold holds all rows in both parts: the classes are too few
        for any folds.
    """
    every = np.arange(len(codes))
    splitter = _make_splitter(cv, codes)
    if splitter is None:
        return [(every, every)]
    folds = [
        (every[train], every[test])  # masks become row numbers
        for train, test in splitter.split(X, classes[codes], **split_params)
    ]
    _check_classes(folds, classes, codes)
    _check_rows(folds, len(codes))
    return folds


def _make_splitter(cv, codes):
    """The splitter, or None if the classes are too few for any."""
    if cv is None:
        n_splits = min(3, np.count_nonzero(np.bincount(codes) > 1) // 2)
        return ClassDisjointKFold(n_splits, unlabeled=None) if n_splits > 1 else None
    if isinstance(cv, Integral):
        rule = Interval(Integral, 2, None, closed="left")
        check_param("cv", cv, [rule], owner="CrossFitTransformer")
        return ClassDisjointKFold(cv, unlabeled=None)
    return check_cv(cv)


def _check_classes(folds, classes, codes):
    """Refuse folds that leak a class."""
    for number, (train, test) in enumerate(folds):
        leaked = np.intersect1d(codes[train], codes[test])
        if len(leaked):
            raise ValueError(
                f"Class {classes[leaked[0]].item()!r} is in the training part and in "
                f"the test part of fold {number} of `cv`: its features would come from "
                "an estimator that has seen it. Use folds of whole classes, such as "
                "ClassDisjointKFold."
            )


def _check_rows(folds, n_samples):
    """Refuse folds that do not test each row exactly once."""
    counts = np.zeros(n_samples, dtype=np.intp)
    for _, test in folds:
        np.add.at(counts, test, 1)
    wrong = np.flatnonzero(counts != 1)
    if len(wrong):
        raise ValueError(
            "The test parts of `cv` must hold each row exactly once; row "
            f"{wrong[0]} is in {counts[wrong[0]]} of them, the first of {len(wrong)} "
            "such rows. Use a partition of all rows, such as ClassDisjointKFold "
            "without `unlabeled`."
        )
