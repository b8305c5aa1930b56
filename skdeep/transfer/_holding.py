"""Rows that are held out to judge a method."""

import numpy as np


def hold_out(codes, fraction, rng):
    """Set a share of the rows of each class aside; each class keeps at least one.

    Parameters
    ----------
    codes : ndarray of shape (n_samples,)
        Class of each row.

    fraction : float
        Share of the rows of a class, rounded down; the remainders are made up over the
        classes.

    rng : RandomState

    Returns
    -------
    kept, held : ndarray of int
        Row numbers, in ascending order.
    """
    held = []
    owed = 0.0
    for code in np.unique(codes):
        rows = rng.permutation(np.flatnonzero(codes == code))
        owed += fraction * len(rows)
        count = min(int(owed + 1e-9), len(rows) - 1)
        owed -= count
        held.append(rows[:count])
    held = np.sort(np.concatenate(held))
    return np.setdiff1d(np.arange(len(codes)), held), held


def class_folds(codes, n_folds, rng):
    """Number of the fold of each row; the rows of a class are spread over all folds.

    Parameters
    ----------
    codes : ndarray of shape (n_samples,)
        Class of each row.

    n_folds : int

    rng : RandomState

    Returns
    -------
    fold : ndarray of shape (n_samples,)
        From 0 to n_folds - 1; sizes differ by 1 at most.
    """
    order = rng.permutation(len(codes))
    order = order[np.argsort(codes[order], kind="stable")]
    fold = np.empty(len(codes), dtype=np.int64)
    fold[order] = np.arange(len(codes)) % n_folds
    return fold
