"""Labels of which some may be missing."""

import warnings

import numpy as np

from skdeep.utils._validation import encode_labels


def encode_partly(estimator, y, unlabeled, *, two_classes=True):
    """Turn labels into codes, and the mark of unlabelled rows into -1.

    Parameters
    ----------
    estimator : estimator
        Named in the errors.

    y : array-like of shape (n_samples,)
        Labels. Text may stand beside a mark that is none.

    unlabeled : object
        The mark.

    two_classes : bool, default=True
        Whether labels -1 and 1 alone are two classes, an old custom, even if one of them
        is the mark.

    Returns
    -------
    classes : ndarray of shape (n_classes,)
        Sorted labels without the mark.

    codes : ndarray of shape (n_samples,), dtype int64
        -1 for rows without a label.
    """
    marked = _marked_beside_text(y, unlabeled)
    try:
        if marked.any():
            filled = np.array(y, dtype=object)
            # any label will do; all keep their place in what is refused
            filled[marked] = filled[~marked][0]
            classes, codes = encode_labels(estimator, filled)
            return classes, np.where(marked, -1, codes)
        classes, codes = encode_labels(estimator, y)
    except ValueError as error:
        if "contains NaN" not in str(error):
            raise
        raise ValueError(
            f"{error} Rows without a label are marked by unlabeled_label, here "
            f"{unlabeled!r}."
        ) from error
    is_text = classes.dtype.kind in "OU" and not isinstance(unlabeled, str)
    if is_text and len(classes) > 2 and str(unlabeled) in classes.tolist():
        warnings.warn(
            f"{str(unlabeled)!r} in y is text, and so a class like the others. If it "
            f"marks rows without a label, set unlabeled_label={str(unlabeled)!r}.",
            UserWarning,
            stacklevel=4,
        )
    is_mark = np.array([_same(label, unlabeled) for label in classes.tolist()], bool)
    is_binary = two_classes and classes.tolist() == [-1, 1]
    if not is_mark.any() or is_binary:
        return classes, codes
    number = np.where(is_mark, -1, np.cumsum(~is_mark) - 1)
    return classes[~is_mark], number[codes]


def _marked_beside_text(y, mark):
    """Where an array of text and other things holds the mark."""
    values = y.to_numpy() if hasattr(y, "to_numpy") else y
    is_array = hasattr(values, "dtype")
    if isinstance(mark, str) or (is_array and values.dtype != np.dtype(object)):
        return np.zeros(0, bool)
    values = np.asarray(values, dtype=object)
    if values.ndim != 1 or not any(isinstance(value, str) for value in values):
        return np.zeros(0, bool)
    return np.array([_same(value, mark) for value in values])


def _same(label, mark):
    # False == 0 for Python, but a mark of 0 is not meant for booleans
    if isinstance(label, bool) != isinstance(mark, bool):
        return False
    equal = isinstance(label, str) == isinstance(mark, str) and label == mark
    return isinstance(equal, (bool, np.bool_)) and bool(equal)  # NA equals nobody knows
