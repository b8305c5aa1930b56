"""How many pairs of each class are accepted at each threshold.

A tile entry is looked up in a table of 2**15 cells of closeness. Nearly every cell
lies between two thresholds and knows its answer; entries of a cell that a threshold
crosses are compared in double precision. One `bincount` a tile and class side adds
the answers up.
"""

import numpy as np

N_CELLS = 2**15


class AcceptedPairs:
    """Numbers of accepted pairs at each of K thresholds.

    Attributes
    ----------
    positive, negative : ndarray of shape (n_groups, n_thresholds), dtype int64
        Pairs of one class, and of two classes, with an end in the group.

    all_positive, all_negative : ndarray of shape (n_thresholds,), dtype int64
        The same over all pairs, each counted once.
    """

    def __init__(self, positive, negative, all_positive, all_negative):
        self.positive = positive
        self.negative = negative
        self.all_positive = all_positive
        self.all_negative = all_negative


def count_accepted(pairs, thresholds, group, n_groups):
    """Count pairs at distance <= each threshold, per group and in all.

    Parameters
    ----------
    pairs : Pairs
        The pairs.

    thresholds : ndarray of shape (n_thresholds,)
        Distances in ascending order.

    group : ndarray of shape (n_samples,)
        Group of each sorted row, 0..n_groups-1. A pair counts once for the group of
        each of its ends, and once only if both ends are in the same group.

    n_groups : int
        Number of groups.

    Returns
    -------
    accepted : AcceptedPairs
        The counts.

    Notes
    -----
    O(n_samples^2 n_components) multiplications, one comparison a pair, and a
    look-up for each pair accepted at the largest threshold. Memory
    O(block_size^2 + n_groups n_thresholds) beside the rows.
    """
    lookup = _Lookup(pairs, thresholds)
    n_bins = len(thresholds) + 1  # the last bin holds pairs that no threshold accepts
    positive = np.zeros((n_groups, n_bins), dtype=np.int64)
    negative = np.zeros((n_groups, n_bins), dtype=np.int64)
    total = np.zeros((2, n_bins), dtype=np.int64)
    for tile in pairs.tiles():
        flat = np.flatnonzero(tile.closeness > lookup.lowest)
        if not len(flat):
            continue
        bins = lookup(tile, flat)
        height, width = tile.closeness.shape
        row = flat // width
        col = flat - row * width
        row_group = group[tile.row : tile.row + height][row]
        col_group = group[tile.col : tile.col + width][col]
        if tile.same is None:
            _add(negative, total[1], row_group, col_group, bins)
            continue
        same = tile.same.ravel()[flat]
        for counts, in_all, kind in (
            (positive, total[0], True),
            (
                negative,
                total[1],
                False,
            ),
        ):
            part = np.flatnonzero(same == kind)
            if len(part):
                _add(counts, in_all, row_group[part], col_group[part], bins[part])
    return AcceptedPairs(
        np.cumsum(positive[:, :-1], axis=1),
        np.cumsum(negative[:, :-1], axis=1),
        *np.cumsum(total[:, :-1], axis=1),
    )


def _add(counts, total, row_group, col_group, bins):
    """Add pairs in `bins`, whose ends are in the given groups, to both groups."""
    total += np.bincount(bins, minlength=len(total))
    _add_side(counts, row_group, bins)
    other = np.flatnonzero(row_group != col_group)
    if len(other) == len(bins):
        _add_side(counts, col_group, bins)
    elif len(other):
        _add_side(counts, col_group[other], bins[other])


def _add_side(counts, group, bins):
    # only the groups of this tile: the counts stay in the cache
    first, last = group.min(), group.max()
    n_bins = counts.shape[1]
    key = group - first
    key *= n_bins
    key += bins
    found = np.bincount(key, minlength=(last - first + 1) * n_bins)
    counts[first : last + 1] += found.reshape(-1, n_bins)


class _Lookup:
    """Index of the smallest threshold that accepts a pair."""

    def __init__(self, pairs, thresholds):
        self.pairs = pairs
        # descending in closeness; a pair tied with a threshold is accepted
        bounds = pairs.bound(thresholds) - pairs.slack
        self.ascending = bounds[::-1]
        # error of a tile, and of the arithmetic that finds the cell
        margin = pairs.tolerance + 4 * np.finfo(pairs.dtype).eps
        finite = bounds[np.isfinite(bounds)]
        self.lowest = float(bounds[-1] - margin) if len(finite) else np.inf
        span = finite.max() + margin - self.lowest if len(finite) else 1.0
        self.width = span / (N_CELLS - 4)
        # the cell number is rounded too, by less than 2 % of a cell
        margin += 0.02 * self.width
        edge = self.lowest + self.width * np.arange(N_CELLS)
        self.table = self._bin(edge - margin).astype(np.int16)
        uncertain = self.table != self._bin(edge + self.width + margin)
        self.table[uncertain] = -1
        self.table[-1] = self._bin(np.array(2.0**60))  # closer than all thresholds

    def _bin(self, closeness):
        # number of thresholds that refuse
        return len(self.ascending) - np.searchsorted(
            self.ascending, closeness, side="right"
        )

    def __call__(self, tile, flat):
        cell = tile.closeness.ravel()[flat]
        cell -= self.lowest
        cell *= 1 / self.width
        np.clip(cell, 0, N_CELLS - 1, out=cell)
        bins = self.table[cell.astype(np.int32)].astype(np.intp)
        uncertain = np.flatnonzero(bins < 0)
        if len(uncertain):
            bins[uncertain] = self._bin(self.pairs.exact(tile, flat[uncertain]))
        return bins
