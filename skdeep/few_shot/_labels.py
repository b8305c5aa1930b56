"""Labels of which some may be missing."""

import numpy as np

from skdeep.utils._validation import encode_labels


def encode_partly(estimator, y, unlabeled):
    """Turn labels into codes, and the mark of unlabelled rows into -1.

    Parameters
    ----------
    estimator : estimator
        Named in the errors.

    y : array-like of shape (n_samples,)
        Labels.

    unlabeled : object
        The mark.

    Returns
    -------
    classes : ndarray of shape (n_classes,)
        Sorted labels without the mark. Labels -1 and 1 alone are two classes.

    codes : ndarray of shape (n_samples,), dtype int64
        -1 for rows without a label.
    """
    classes, codes = encode_labels(estimator, y)
    is_mark = np.array([_same(label, unlabeled) for label in classes.tolist()], bool)
    is_binary = classes.tolist() == [-1, 1]  # an old custom: two classes and no mark
    if not is_mark.any() or is_binary:
        return classes, codes
    number = np.where(is_mark, -1, np.cumsum(~is_mark) - 1)
    return classes[~is_mark], number[codes]


def _same(label, mark):
    # False == 0 for Python, but a mark of 0 is not meant for booleans
    if isinstance(label, bool) != isinstance(mark, bool):
        return False
    return isinstance(label, str) == isinstance(mark, str) and label == mark
