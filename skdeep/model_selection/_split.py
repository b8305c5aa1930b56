"""Splitters for the open world: no class is in both the training and the test part.

Embedders and supervised clusterers have to work on classes never seen. A split over
samples cannot tell whether they do.
"""

from numbers import Integral, Real

import numpy as np
from sklearn.model_selection import BaseCrossValidator
from sklearn.utils import check_random_state, column_or_1d

from skdeep.utils._validation import is_mark, plain_labels


class _ClassDisjointSplit(BaseCrossValidator):
    """Turn sets of test classes into sets of test rows."""

    def _iter_test_indices(self, X=None, y=None, groups=None):
        if y is None:
            raise ValueError(
                f"`y` is required: {type(self).__name__} splits its classes."
            )
        y = column_or_1d(y)
        is_labeled = np.ones(len(y), dtype=bool)
        if self.unlabeled is not None:
            is_labeled = ~is_mark(y, self.unlabeled)
        labeled_rows = np.flatnonzero(is_labeled)
        if not len(labeled_rows):
            raise ValueError(f"All labels are the unlabeled marker {self.unlabeled!r}.")
        labels = plain_labels(y[labeled_rows])
        _, code, sizes = np.unique(labels, return_inverse=True, return_counts=True)
        for test_classes in self._iter_test_classes(sizes):
            yield labeled_rows[np.isin(code, test_classes)]

    def get_n_splits(self, X=None, y=None, groups=None):
        """Number of splits.

        Parameters
        ----------
        X, y, groups : object
            Not used.

        Returns
        -------
        n_splits : int
            The parameter `n_splits`.
        """
        return self.n_splits


class ClassDisjointKFold(_ClassDisjointSplit):
    """K-fold over classes: every class is in the test part of exactly one fold.

    Folds have about the same number of samples, and each has at least two classes with
    two samples, so that there are pairs to score.

    Parameters
    ----------
    n_splits : int, default=5
        Number of folds.

    shuffle : bool, default=False
        Whether classes of equal size are dealt out in random order.

    random_state : int, RandomState instance or None, default=None
        Seeds the order. Only used if `shuffle` is True.

    unlabeled : object, default=-1
        Label that marks rows without a class. They go to every training part. None:
        every label is a class.

    See Also
    --------
    ClassDisjointShuffleSplit : Random classes, any number of times.

    Notes
    -----
    Largest class first, each to the fold with the fewest samples so far: O(n log n).

    Examples
    --------
    >>> from sklearn.datasets import load_digits
    >>> from skdeep.model_selection import ClassDisjointKFold
    >>> X, y = load_digits(return_X_y=True)
    >>> for train, test in ClassDisjointKFold(n_splits=2).split(X, y):
    ...     print(len(train), sorted(set(y[test].tolist())))
    897 [0, 2, 3, 4, 6]
    900 [1, 5, 7, 8, 9]
    """

    def __init__(self, n_splits=5, *, shuffle=False, random_state=None, unlabeled=-1):
        _check_n_splits(n_splits, 2)
        if not shuffle and random_state is not None:
            raise ValueError(
                f"random_state={random_state!r} has no effect without shuffling; use "
                "shuffle=True, or leave it out."
            )
        self.n_splits = n_splits
        self.shuffle = shuffle
        self.random_state = random_state
        self.unlabeled = unlabeled

    def _iter_test_classes(self, sizes):
        n_usable = np.count_nonzero(sizes > 1)
        if n_usable < 2 * self.n_splits:
            raise ValueError(
                f"{self.n_splits} folds need at least {2 * self.n_splits} classes with "
                f"2 samples or more; `y` has {n_usable} of {len(sizes)} classes. Use "
                "fewer splits."
            )
        order = np.arange(len(sizes))
        if self.shuffle:
            check_random_state(self.random_state).shuffle(order)
        order = order[np.argsort(-sizes[order], kind="stable")]
        load = np.zeros(self.n_splits)
        missing = np.full(self.n_splits, 2)
        fold_of = np.empty(len(sizes), dtype=np.intp)
        for place, label in enumerate(order):
            allowed = np.ones(self.n_splits, dtype=bool)
            if n_usable - place == missing.sum():
                allowed = missing > 0  # the last classes that can fill these folds
            fold = np.where(allowed, load, np.inf).argmin()
            fold_of[label] = fold
            load[fold] += sizes[label]
            missing[fold] = max(0, missing[fold] - 1)
        for fold in range(self.n_splits):
            yield np.flatnonzero(fold_of == fold)


class ClassDisjointShuffleSplit(_ClassDisjointSplit):
    """Random classes for the test part, the others for the training part.

    Classes are drawn from strata of similar size, so that the test part has about its
    share of the samples; at least two of them have two samples.

    Parameters
    ----------
    n_splits : int, default=10
        Number of splits.

    test_size : float or int, default=0.2
        Share, or number, of the classes that are for testing.

    random_state : int, RandomState instance or None, default=None
        Seeds the draws.

    unlabeled : object, default=-1
        Label that marks rows without a class. They go to every training part. None:
        every label is a class.

    See Also
    --------
    ClassDisjointKFold : Every class is tested once.

    Examples
    --------
    >>> from sklearn.datasets import load_digits
    >>> from skdeep.model_selection import ClassDisjointShuffleSplit
    >>> X, y = load_digits(return_X_y=True)
    >>> splitter = ClassDisjointShuffleSplit(1, test_size=0.3, random_state=0)
    >>> train, test = next(splitter.split(X, y))
    >>> sorted(set(y[test].tolist()))
    [0, 3, 7]
    """

    def __init__(self, n_splits=10, *, test_size=0.2, random_state=None, unlabeled=-1):
        _check_n_splits(n_splits, 1)
        self.n_splits = n_splits
        self.test_size = test_size
        self.random_state = random_state
        self.unlabeled = unlabeled

    def _iter_test_classes(self, sizes):
        n_test = self._n_test_classes(len(sizes))
        usable = np.flatnonzero(sizes > 1)
        if n_test < 2 or len(usable) < 2:
            raise ValueError(
                f"A test part needs at least 2 classes with 2 samples or more; "
                f"test_size={self.test_size!r} takes {n_test} of {len(sizes)} classes, "
                f"{len(usable)} of which have 2 samples."
            )
        rng = check_random_state(self.random_state)
        for _ in range(self.n_splits):
            order = rng.permutation(len(sizes))
            order = order[np.argsort(-sizes[order], kind="stable")]
            strata = np.array_split(order, n_test)
            # the two largest strata give a usable class each: fewer would be no test
            first_two = [stratum[sizes[stratum] > 1] for stratum in strata[:2]]
            if not len(first_two[1]):
                yield np.concatenate(
                    [
                        rng.choice(usable, size=2, replace=False),
                        [rng.choice(stratum) for stratum in strata[2:]],
                    ]
                ).astype(np.intp)
                continue
            yield np.array(
                [rng.choice(stratum) for stratum in [*first_two, *strata[2:]]]
            )

    def _n_test_classes(self, n_classes):
        size = self.test_size
        if isinstance(size, Integral) and not isinstance(size, bool):
            n_test = int(size)
        elif isinstance(size, Real) and 0 < size < 1:
            n_test = int(np.ceil(size * n_classes * (1 - 1e-12)))
        else:
            raise ValueError(
                "`test_size` must be a share in (0, 1) or a number of classes; got "
                f"{size!r}."
            )
        if not 1 <= n_test < n_classes:
            raise ValueError(
                f"test_size={size!r} takes {n_test} of {n_classes} classes and leaves "
                "none for training."
            )
        return n_test


def _check_n_splits(n_splits, low):
    if isinstance(n_splits, bool) or not isinstance(n_splits, Integral):
        raise TypeError(f"`n_splits` must be an int; got {n_splits!r}.")
    if n_splits < low:
        raise ValueError(f"`n_splits` must be at least {low}; got {n_splits}.")
