"""Retrieval scores: is the nearest row of another sample of the same class?

Queries are taken in blocks, each against the whole gallery. Both sides are sorted by
class, so that the matches of a query are one slice. Similarities are in double
precision; those that differ by no more than its rounding error are tied, and ranked
in the order of the gallery.
"""

import numpy as np
from sklearn import get_config

from skdeep.metrics._curves import check_count
from skdeep.metrics._pairs import (
    METRICS,
    centred_rows,
    check_choice,
    check_embeddings,
    check_flag,
    product_factors,
    unit_rows,
)


def recall_at_k_score(
    y_true,
    embeddings,
    *,
    k=1,
    gallery_embeddings=None,
    gallery_y=None,
    metric="euclidean",
    normalize=True,
    zero_rows="raise",
    block_size="auto",
):
    """Share of queries with a row of their class among the k nearest.

    Parameters
    ----------
    y_true : array-like of shape (n_samples,)
        Class of each query.

    embeddings : array-like of shape (n_samples, n_components)
        The queries.

    k : int, default=1
        Number of neighbours looked at.

    gallery_embeddings : array-like of shape (n_gallery, n_components), default=None
        Rows to search. None: the other queries.

    gallery_y : array-like of shape (n_gallery,), default=None
        Class of each row of the gallery.

    metric : {"euclidean", "cosine"}, default="euclidean"
        Distance that ranks the gallery. Both rank alike if rows are normalised.

    normalize : bool, default=True
        Whether to scale rows to length one first. The cosine distance does not
        depend on it.

    zero_rows : {"raise", "ignore_direction"}, default="raise"
        What to do with a zero row: refuse it, or let its cosine with every other
        row be 0.

    block_size : int or "auto", default="auto"
        Queries taken at a time. It changes time and memory, not the result.

    Returns
    -------
    score : float
        Recall in [0, 1]. A query whose class has no (other) row in the gallery
        counts as a miss.

    See Also
    --------
    map_at_r_score : Looks at all rows of the class, not at the best one.

    Notes
    -----
    O(n_samples n_gallery n_components) time and O(block_size n_gallery) memory.

    Examples
    --------
    >>> from skdeep.metrics import recall_at_k_score
    >>> embeddings = [[1, 0], [0.9, 0.1], [0, 1], [0.8, 0.3]]
    >>> recall_at_k_score([0, 0, 1, 1], embeddings)
    0.75
    >>> recall_at_k_score([0, 0, 1, 1], embeddings, k=3)
    1.0
    """
    check_count("k", k, 1)
    search = _Search(
        y_true,
        embeddings,
        gallery_y,
        gallery_embeddings,
        metric=metric,
        normalize=normalize,
        zero_rows=zero_rows,
        block_size=block_size,
    )
    n_hits = 0
    for similarity, runs in search.blocks():
        best = np.full(len(similarity), -np.inf)
        first = np.zeros(len(similarity), dtype=np.intp)
        for rows, matches in runs:
            if matches.start < matches.stop:
                found = similarity[rows, matches]
                best[rows] = found.max(axis=1)
                is_best = found >= (best[rows] - search.slack)[:, None]
                place = search.place[matches]
                first[rows] = np.where(is_best, place, search.n_gallery).min(axis=1)
                found[...] = -np.inf
        n_closer = _n_ranked_before(similarity, best, first, search)
        n_hits += np.count_nonzero((n_closer < k) & (best > -np.inf))
    return float(n_hits / search.n_queries)


def _n_ranked_before(similarity, best, first, search):
    """Number of other rows ranked before the best match of each query."""
    n_closer = np.count_nonzero(similarity > (best + search.slack)[:, None], axis=1)
    n_reached = np.count_nonzero(similarity >= (best - search.slack)[:, None], axis=1)
    for query in np.flatnonzero((n_reached > n_closer) & (best > -np.inf)):
        is_tied = np.abs(similarity[query] - best[query]) <= search.slack
        n_closer[query] += np.count_nonzero(search.place[is_tied] < first[query])
    return n_closer


def map_at_r_score(
    y_true,
    embeddings,
    *,
    gallery_embeddings=None,
    gallery_y=None,
    metric="euclidean",
    normalize=True,
    zero_rows="raise",
    block_size="auto",
):
    r"""Mean average precision at R, R being the number of matches of a query.

    .. math::
        \mathrm{MAP@R} = \operatorname{mean}_q \frac{1}{R_q}
        \sum_{i=1}^{R_q} \mathrm{rel}_q(i) \, \mathrm{precision}_q(i)

    Parameters
    ----------
    y_true : array-like of shape (n_samples,)
        Class of each query.

    embeddings : array-like of shape (n_samples, n_components)
        The queries.

    gallery_embeddings : array-like of shape (n_gallery, n_components), default=None
        Rows to search. None: the other queries.

    gallery_y : array-like of shape (n_gallery,), default=None
        Class of each row of the gallery.

    metric : {"euclidean", "cosine"}, default="euclidean"
        Distance that ranks the gallery. Both rank alike if rows are normalised.

    normalize : bool, default=True
        Whether to scale rows to length one first. The cosine distance does not
        depend on it.

    zero_rows : {"raise", "ignore_direction"}, default="raise"
        What to do with a zero row: refuse it, or let its cosine with every other
        row be 0.

    block_size : int or "auto", default="auto"
        Queries taken at a time. It changes time and memory, not the result.

    Returns
    -------
    score : float
        In [0, 1]. A query whose class has no (other) row in the gallery counts as 0.

    See Also
    --------
    recall_at_k_score : Looks at the best match only.

    Notes
    -----
    O(n_samples n_gallery n_components) time and O(block_size n_gallery) memory.

    References
    ----------
    .. [1] K. Musgrave, S. Belongie, S.-N. Lim, "A Metric Learning Reality Check",
           ECCV 2020, section 3.2.

    Examples
    --------
    >>> from skdeep.metrics import map_at_r_score
    >>> embeddings = [[1, 0], [0.9, 0.1], [0, 1], [0.1, 0.9]]
    >>> map_at_r_score([0, 0, 1, 1], embeddings)
    1.0
    """
    search = _Search(
        y_true,
        embeddings,
        gallery_y,
        gallery_embeddings,
        metric=metric,
        normalize=normalize,
        zero_rows=zero_rows,
        block_size=block_size,
    )
    precisions = np.zeros(search.n_queries)
    start = 0
    for similarity, runs in search.blocks():
        for rows, matches in runs:
            n_matches = matches.stop - matches.start - search.is_own_gallery
            if n_matches > 0:
                nearest = _nearest(similarity[rows], n_matches, search)
                queries = slice(start + rows.start, start + rows.stop)
                precisions[queries] = _average_precisions(nearest, matches)
        start += len(similarity)
    return float(precisions.mean())


def _nearest(similarity, n_nearest, search):
    """Nearest columns, closest first, (m, n_gallery) -> (m, n_nearest)."""
    cut = similarity.shape[1] - n_nearest
    nearest = np.argpartition(similarity, cut, axis=1)[:, cut:]
    value = np.take_along_axis(similarity, nearest, axis=1)
    order = np.argsort(-value, axis=1)
    nearest = np.take_along_axis(nearest, order, axis=1)
    value = np.take_along_axis(value, order, axis=1)
    last = value[:, -1:] - search.slack
    is_tied = np.count_nonzero(similarity >= last, axis=1) > n_nearest
    is_tied |= (value[:, :-1] - value[:, 1:] <= search.slack).any(axis=1)
    for query in np.flatnonzero(is_tied):
        columns = np.flatnonzero(similarity[query] >= last[query])
        columns = columns[np.argsort(-similarity[query, columns], kind="stable")]
        drops = -np.diff(similarity[query, columns]) > search.slack
        group = np.concatenate([[0], np.cumsum(drops)])  # tied columns share a group
        order = np.lexsort((search.place[columns], group))
        nearest[query] = columns[order[:n_nearest]]
    return nearest


def _average_precisions(nearest, matches):
    """AP@R of queries with the same R matches, (m, R) -> (m,)."""
    n_matches = nearest.shape[1]
    hit = (nearest >= matches.start) & (nearest < matches.stop)
    precision = np.cumsum(hit, axis=1) / np.arange(1, n_matches + 1)
    return (hit * precision).sum(axis=1) / n_matches


class _Search:
    """Queries and gallery, both sorted by class."""

    def __init__(
        self, y, X, gallery_y, gallery, *, metric, normalize, zero_rows, block_size
    ):
        check_choice("metric", metric, METRICS)
        check_flag("normalize", normalize)
        X, y = check_embeddings(X, y)
        self.is_own_gallery = gallery is None
        if (gallery is None) != (gallery_y is None):
            raise ValueError(
                "`gallery_embeddings` and `gallery_y` belong together: give both or "
                "neither."
            )
        if gallery is not None:
            gallery, gallery_y = check_embeddings(
                gallery, gallery_y, name="gallery_embeddings", y_name="gallery_y"
            )
            if gallery.shape[1] != X.shape[1]:
                raise ValueError(
                    f"`gallery_embeddings` has {gallery.shape[1]} columns, but "
                    f"`embeddings` has {X.shape[1]}."
                )
        n = self.n_queries = len(X)
        is_unit = normalize or metric == "cosine"
        both = X if gallery is None else np.vstack([X, gallery])
        labels = y if gallery is None else np.concatenate([y, gallery_y])
        both = unit_rows(both, zero_rows)[0] if is_unit else centred_rows(both)[0]
        left, right = product_factors(both, is_unit)
        code = np.unique(labels, return_inverse=True)[1]
        own = slice(0, n)
        searched = own if gallery is None else slice(n, None)
        order = np.argsort(code[own], kind="stable")
        self.code = code[own][order]
        self.queries = left[own][order]
        order = np.argsort(code[searched], kind="stable")
        self.place = order  # position of each sorted row in the input
        self.n_gallery = len(order)
        self.gallery = right[searched][order]
        classes = np.arange(code.max() + 1)
        self.start = np.searchsorted(code[searched][order], classes, side="left")
        self.stop = np.searchsorted(code[searched][order], classes, side="right")
        n_matches = self.stop[self.code] - self.start[self.code] - self.is_own_gallery
        if not n_matches.any():
            raise ValueError(
                "There is no positive pair: no query has a row of its class to find."
            )
        self.slack = 8 * (both.shape[1] + 4) * 2.0**-53
        self.block_size = _n_rows(block_size, len(self.gallery))

    def blocks(self):
        """Yield similarities (h, n_gallery) and, per class, its rows and matches."""
        for start in range(0, self.n_queries, self.block_size):
            stop = min(start + self.block_size, self.n_queries)
            similarity = self.queries[start:stop] @ self.gallery.T
            if self.is_own_gallery:
                row = np.arange(stop - start)
                similarity[row, row + start] = -np.inf
            code = self.code[start:stop]
            edges = np.flatnonzero(np.diff(code)) + 1
            bounds = [0, *edges.tolist(), len(code)]
            yield (
                similarity,
                [
                    (slice(a, b), slice(self.start[code[a]], self.stop[code[a]]))
                    for a, b in zip(bounds, bounds[1:])
                ],
            )


def _n_rows(block_size, n_gallery):
    if isinstance(block_size, str) and block_size == "auto":
        memory = min(32, get_config()["working_memory"] / 4) * 2**20
        return int(max(1, memory // (8 * n_gallery)))
    check_count("block_size", block_size, 1)
    return block_size
