"""Utility curves from a sample of the negative pairs, for very many rows.

All pairs of n rows cost O(n^2). A class with m rows has only m^2 / 2 positive pairs,
and its specificity is a mean that some thousand random negative pairs pin down. The
draws are split into ten parts; curves that leave out one part each give the standard
error of any score (a delete-a-group jackknife).
"""

import numpy as np

from skdeep.metrics._opis import N_REPLICATES
from skdeep.metrics._select import draw_negative_pairs, draw_positive_pairs

N_RANGE_DRAWS = 1_000_000


def sampled_distances(pairs, rng, *, positive=False):
    """Distances of random pairs in ascending order, to set a threshold."""
    draw = draw_positive_pairs if positive else draw_negative_pairs
    return np.sort(pairs.distance(*draw(pairs, N_RANGE_DRAWS, rng)))


def sample_accepted(pairs, thresholds, max_negatives, rng):
    """Count accepted pairs of each class: all positives, some negatives.

    Parameters
    ----------
    pairs : Pairs
        The pairs.

    thresholds : ndarray of shape (n_thresholds,)
        Distances in ascending order.

    max_negatives : int
        Negative pairs drawn for a class; a class with no more than that has all
        of them counted.

    rng : RandomState
        Source of the draws.

    Returns
    -------
    positive, negative : ndarray of shape (n_classes, n_thresholds)
        Accepted pairs.

    n_drawn : ndarray of shape (n_classes,)
        Negative pairs looked at.

    parts : ndarray of shape (n_replicates, n_classes, n_thresholds)
        Accepted draws of each part; zero for a class whose pairs were all counted.

    part_sizes : ndarray of shape (n_replicates, n_classes)
        Draws of each part.

    Notes
    -----
    O((sum_c n_c^2 + n_classes max_negatives) n_components) time, and
    O(10 n_classes n_thresholds) memory.
    """
    ascending = (pairs.bound(thresholds) - pairs.slack)[::-1]
    n_bins = len(thresholds) + 1
    n_classes = len(pairs.class_sizes)
    positive = np.zeros((n_classes, n_bins), dtype=np.int64)
    negative = np.zeros((n_classes, n_bins), dtype=np.int64)
    parts = np.zeros((N_REPLICATES, n_classes, n_bins), dtype=np.int32)
    part_sizes = np.zeros((N_REPLICATES, n_classes), dtype=np.int64)
    n_drawn = np.zeros(n_classes, dtype=np.int64)

    def bins_of(i, j):
        found = np.searchsorted(ascending, pairs.closeness(i, j), side="right")
        return n_bins - 1 - found

    start = 0
    for label, size in enumerate(pairs.class_sizes):
        members = np.arange(start, start + size)
        for k in range(1, size):  # pairs (i, i + k): no size x size matrix
            found = bins_of(members[:-k], members[k:])
            positive[label] += np.bincount(found, minlength=n_bins)
        i, j, is_drawn = _negatives(members, pairs.n_samples, max_negatives, rng)
        found = bins_of(i, j)
        negative[label] = np.bincount(found, minlength=n_bins)
        n_drawn[label] = len(i)
        if is_drawn:
            part = np.arange(len(i)) % N_REPLICATES
            counts = np.bincount(part * n_bins + found, minlength=parts[:, 0].size)
            parts[:, label] = counts.reshape(N_REPLICATES, n_bins)
            part_sizes[:, label] = np.bincount(part, minlength=N_REPLICATES)
        start += size
    return (
        np.cumsum(positive[:, :-1], axis=1),
        np.cumsum(negative[:, :-1], axis=1),
        n_drawn,
        np.cumsum(parts[:, :, :-1], axis=2),
        part_sizes,
    )


def _negatives(members, n_samples, max_negatives, rng):
    """Pairs of a class with other rows: all, or draws with replacement."""
    size = len(members)
    n_others = n_samples - size
    if size * n_others <= max_negatives:
        i = np.repeat(members, n_others)
        j = np.tile(np.arange(n_others), size)
    else:
        i = members[rng.randint(size, size=max_negatives)]
        j = rng.randint(n_others, size=max_negatives)
    j = j + size * (j >= members[0])  # rows are sorted by class: skip its own
    return i, j, size * n_others > max_negatives
