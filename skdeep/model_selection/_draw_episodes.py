"""Few-shot episodes as arrays of row numbers, all of them drawn at once.

An episode is a small problem: a few classes, for each of them support rows to learn from
and query rows to be classified. `group_rows` sorts the rows of a table by class once;
`draw_episodes` then draws any number of episodes without a loop over rows or episodes.
"""

from typing import NamedTuple

import numpy as np
from scipy.special import softmax

MIXED = 2.0  # concentration of the unequal half of balance="mixed"


class ClassRows(NamedTuple):
    """Rows sorted by class, and classes sorted by group.

    Attributes
    ----------
    rows : ndarray of shape (n_rows,)
        Row numbers, those of a class beside each other.

    starts, sizes : ndarray of shape (n_classes,)
        Place of the first row of each class in `rows`, and number of its rows.

    first_class, n_classes : ndarray of shape (n_groups,)
        First class of each group, and number of its classes.
    """

    rows: np.ndarray
    starts: np.ndarray
    sizes: np.ndarray
    first_class: np.ndarray
    n_classes: np.ndarray


class Episodes(NamedTuple):
    """B episodes with C classes each, as row numbers.

    Attributes
    ----------
    support : ndarray of shape (B, C * n_shot)
        Rows with label; those of class 0 of an episode first, then those of class 1.

    query : ndarray of shape (B, n)
        Rows to be classified, in the order of their classes; -1 fills up.

    targets : ndarray of shape (B, n)
        Classes 0, ..., C - 1 of the query rows; -1 fills up.

    extra : ndarray of shape (B, m)
        Further rows of these classes, in the order of their classes; -1 fills up.

    classes : ndarray of shape (B, C)
        Which classes of the table these are.
    """

    support: np.ndarray
    query: np.ndarray
    targets: np.ndarray
    extra: np.ndarray
    classes: np.ndarray

    @property
    def support_targets(self):
        """Classes 0, ..., C - 1 of the support rows of any episode, (C * n_shot,)."""
        n_way = self.classes.shape[1]
        return np.repeat(np.arange(n_way), self.support.shape[1] // n_way)


def group_rows(codes, groups=None, *, n_least=2):
    """Sort rows by class.

    Parameters
    ----------
    codes : ndarray of shape (n_samples,), dtype int
        Class of each row; rows with a negative one are left out.

    groups : ndarray of shape (n_samples,), dtype int, default=None
        Group of each row, from 0 on. A class in two groups is two classes.

    n_least : int, default=2
        Classes with fewer rows are left out.

    Returns
    -------
    table : ClassRows
        May be empty.
    """
    rows = np.flatnonzero(codes >= 0)
    keys = codes[rows].astype(np.int64)
    n_codes = keys.max(initial=0) + 1
    if groups is not None:
        keys += n_codes * groups[rows]
    order = np.argsort(keys, kind="stable")
    keys, starts, sizes = np.unique(keys[order], return_index=True, return_counts=True)
    kept = sizes >= n_least
    group_of_class = keys[kept] // n_codes
    _, first, counts = np.unique(group_of_class, return_index=True, return_counts=True)
    return ClassRows(rows[order], starts[kept], sizes[kept], first, counts)


def draw_episodes(
    table, n_episodes, *, n_way, n_shot, n_query, n_extra=0, balance="balanced", rng
):
    """Draw episodes, all of the same number of classes and of shots.

    Parameters
    ----------
    table : ClassRows
        Rows by class; each class must have more rows than the largest `n_shot`.

    n_episodes : int
        Number of episodes, B.

    n_way : int or pair of int
        Number of classes C, or lowest and highest number, one of which is drawn for all
        episodes. The largest group limits it; smaller groups than C are not drawn from.

    n_shot : int or tuple of int
        Support rows of each class, or numbers, one of which is drawn for all episodes.

    n_query : int
        Query rows a class: the episode has ``C * n_query``.

    n_extra : int, default=0
        Further rows a class, in the same shares as the query rows.

    balance : {"balanced", "mixed"} or float, default="balanced"
        Shares of the classes in the query: equal; drawn from a Dirichlet distribution
        with this concentration; or equal and Dirichlet(2) in turn. What a class has not
        got the others give; if they have not either, the query is filled up with -1.

    rng : RandomState
        Source of everything random.

    Returns
    -------
    episodes : Episodes
        Each class of a group is equally likely, in random order; so are groups, but for
        their number of classes: all classes come up equally often.

    Notes
    -----
    With k rows drawn from a class O(B C k^2) comparisons of integers, in k steps,
    however many rows the class has.
    """
    n_way = _one_of_range(n_way, int(table.n_classes.max()), rng)
    n_shot = _one_of_choices(n_shot, rng)
    group = _draw_groups(table.n_classes, n_episodes, n_way, rng)
    few = np.full(n_episodes, n_way)
    inside = draw_distinct(table.n_classes[group], few, rng)  # (B, C)
    classes = table.first_class[group][:, None] + inside

    shares = draw_shares(classes.shape, balance, rng)
    room = table.sizes[classes] - n_shot
    query = share_out(shares, room, n_way * n_query)  # (B, C)
    extra = share_out(shares, room - query, n_way * n_extra)

    n_drawn = n_shot + query + extra
    places = draw_distinct(table.sizes[classes].ravel(), n_drawn.ravel(), rng)
    places = places.reshape(n_episodes, n_way, -1)  # (B, C, k)
    rows = table.rows[table.starts[classes][:, :, None] + places]
    column = np.arange(rows.shape[2])
    past = n_shot + query[:, :, None]
    in_query = (column >= n_shot) & (column < past)
    in_extra = (column >= past) & (column < n_drawn[:, :, None])
    label = np.broadcast_to(np.arange(n_way)[:, None], rows.shape)
    return Episodes(
        rows[:, :, :n_shot].reshape(n_episodes, -1),
        _padded(rows, in_query),
        _padded(label, in_query),
        _padded(rows, in_extra),
        classes,
    )


def draw_distinct(sizes, counts, rng):
    """Draw different numbers below a bound, in random order, for many bounds at once.

    Parameters
    ----------
    sizes : ndarray of shape (R,)
        Bounds.

    counts : ndarray of shape (R,)
        How many numbers to draw, at most the bound.

    rng : RandomState
        Source of randomness.

    Returns
    -------
    numbers : ndarray of shape (R, counts.max())
        Those from column ``counts[r]`` on have no meaning, but are below the bound.

    References
    ----------
    .. [1] J. Bentley and R. Floyd, "A sample of brilliance", Communications of the ACM
       30(9), 1987: a number that was drawn before is replaced by the largest one that
       could not have been.
    """
    width = int(counts.max(initial=0))
    step = np.arange(width)[:, None]
    last = np.minimum(sizes - counts + step, sizes - 1)  # (k, R)
    numbers = (rng.random_sample(last.shape) * (last + 1)).astype(np.intp)
    for k in range(1, width):
        repeated = (numbers[:k] == numbers[k]).any(axis=0)
        np.copyto(numbers[k], last[k], where=repeated)
    # large numbers come late, so the order is not random yet
    keys = rng.random_sample(last.shape)
    keys[step >= counts] = 2
    return np.take_along_axis(numbers, keys.argsort(axis=0), axis=0).T


def draw_shares(shape, balance, rng):
    """Share of each class in each episode, (B, C); rows sum to 1."""
    equal = np.full(shape, 1 / shape[1])
    if balance == "balanced":
        return equal
    alpha = MIXED if balance == "mixed" else balance
    # G(alpha) = G(alpha + 1) U^(1 / alpha); in logarithms even the smallest are not 0
    u = 1 - rng.random_sample(shape)
    shares = softmax(np.log(rng.gamma(alpha + 1, size=shape)) + np.log(u) / alpha, 1)
    if balance == "mixed":
        shares[::2] = equal[::2]
    return shares


def share_out(shares, room, n_rows):
    """Whole numbers close to ``shares * n_rows``, none of them above its room.

    Parameters
    ----------
    shares : ndarray of shape (B, C)
        Rows sum to 1.

    room : ndarray of shape (B, C)
        Largest numbers.

    n_rows : int
        What each row of the result sums to, if there is room.

    Returns
    -------
    counts : ndarray of shape (B, C), dtype int
        What has no room is shared out among the others, in proportion to theirs.
    """
    counts = np.minimum(_rounded(shares * n_rows), room)
    left = room - counts
    total = left.sum(axis=1, keepdims=True)
    missing = np.minimum(n_rows - counts.sum(axis=1, keepdims=True), total)
    return counts + _rounded(left * (missing / np.maximum(total, 1)))


def _rounded(parts):
    """Round (B, C) so that the sum of each row is kept; no part moves by 1 or more."""
    sums = np.floor(parts.cumsum(axis=1) + 0.5).astype(np.intp)
    return np.diff(sums, axis=1, prepend=0)


def _draw_groups(n_classes, n_episodes, n_way, rng):
    """Groups with enough classes, as often as they have classes."""
    if len(n_classes) == 1:
        return np.zeros(n_episodes, dtype=np.intp)
    ends = np.where(n_classes >= n_way, n_classes, 0).cumsum()
    return np.searchsorted(ends, rng.randint(ends[-1], size=n_episodes), side="right")


def _padded(values, chosen):
    """Chosen values of each episode side by side: (B, C, k) -> (B, n), filled with -1."""
    lengths = chosen.sum(axis=(1, 2))
    table = np.full((len(values), lengths.max(initial=0)), -1, dtype=np.intp)
    table[np.arange(table.shape[1]) < lengths[:, None]] = values[chosen]
    return table


def _one_of_range(bounds, limit, rng):
    low, high = bounds if isinstance(bounds, (tuple, list)) else (bounds, bounds)
    low, high = min(low, limit), min(high, limit)
    return low if low == high else int(rng.randint(low, high + 1))


def _one_of_choices(choices, rng):
    if not isinstance(choices, (tuple, list)):
        return choices
    return choices[rng.randint(len(choices))]
