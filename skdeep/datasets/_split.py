"""Split samples so that no class is on both sides."""

from math import ceil
from numbers import Integral, Real

import numpy as np
from sklearn.utils import check_random_state, column_or_1d


def class_disjoint_split(y, *, test_classes=0.3, random_state=None):
    """Split samples into train and test without a common class.

    A model that is to recognise classes it has never seen has to be measured on classes
    it has never seen; a split by rows would leave every test class in the training part.

    Parameters
    ----------
    y : array-like of shape (n_samples,)
        Class of each sample, of two classes or more.

    test_classes : float or int, default=0.3
        A float in (0, 1) is the fraction of the classes for the test part, rounded up;
        an int is their number.

    random_state : int, RandomState instance or None, default=None
        Draws the test classes.

    Returns
    -------
    train : ndarray of shape (n_samples,), dtype bool
        Rows of the training part.

    test : ndarray of shape (n_samples,), dtype bool
        All other rows.

    Notes
    -----
    O(n_samples log n_samples) time. Classes are drawn with equal probability whatever
    their size, so the parts hold the wanted share of the classes, not of the rows.

    Examples
    --------
    >>> import numpy as np
    >>> from skdeep.datasets import class_disjoint_split
    >>> y = np.array(["ant", "bee", "cow", "bee", "ant", "dog"])
    >>> train, test = class_disjoint_split(y, test_classes=2, random_state=0)
    >>> len(set(y[test])), set(y[train]) & set(y[test])
    (2, set())
    """
    y = column_or_1d(y)
    if y.dtype.kind == "f" and not np.array_equal(y, np.floor(y)):
        raise ValueError(
            "y holds numbers that are not whole, or NaN; give the class of each sample."
        )
    classes, codes = np.unique(y, return_inverse=True)
    n_test = _count_test_classes(test_classes, len(classes))
    drawn = check_random_state(random_state).permutation(len(classes))[:n_test]
    test = np.isin(codes, drawn)
    return ~test, test


def _count_test_classes(test_classes, n_classes):
    if n_classes < 2:
        raise ValueError(
            f"y has {n_classes} class; a split without a common class needs 2 or more."
        )
    is_number = isinstance(test_classes, Real) and not isinstance(test_classes, bool)
    if is_number and isinstance(test_classes, Integral):
        n_test = int(test_classes)
    elif is_number and 0 < test_classes < 1:
        # 0.55 * 100 is a little above 55 in floating point
        n_test = ceil(test_classes * n_classes - 1e-9)
    else:
        raise ValueError(
            f"`test_classes` is {test_classes!r}; give a fraction in (0, 1) or a number "
            "of classes."
        )
    if not 1 <= n_test < n_classes:
        raise ValueError(
            f"`test_classes` is {test_classes!r}, which puts {n_test} of the {n_classes} "
            f"classes of y into the test part; leave 1 to {n_classes - 1} for it."
        )
    return n_test
