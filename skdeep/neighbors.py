"""Nearest neighbours of every row, exact or approximate.

The exact search collects by float32 matrix products a few more neighbours than asked
for, ranks them again by their exact distances, and bounds the rounding error: rows for
which a neighbour may have been missed are searched again in float64. The approximate
search is that of pynndescent, with its gaps filled.
"""

import warnings
from numbers import Integral

import numpy as np
from joblib import effective_n_jobs
from sklearn.utils import check_array, check_random_state
from threadpoolctl import threadpool_limits

from skdeep._metric_spaces import CosineSpace, EuclideanSpace, slices
from skdeep._sharded_search import ShardedSearch
from skdeep._tiled_search import largest_products
from skdeep.exceptions import InvalidParameterError

__all__ = ["ShardedSearch", "knn_graph"]

_SPACES = {"cosine": CosineSpace, "euclidean": EuclideanSpace}
_ALGORITHMS = ("auto", "exact", "pynndescent")
# where an exact search costs as much as the compilation that pynndescent starts with
_EXACT_MAX_PAIRS = 80_000**2


def knn_graph(
    X,
    n_neighbors,
    *,
    metric="cosine",
    include_self=False,
    algorithm="auto",
    queries=None,
    n_jobs=None,
    random_state=None,
):
    """Find the nearest neighbours of every row.

    Parameters
    ----------
    X : array-like of shape (n_samples, n_features)
        Rows to search in. They are also the rows searched for, unless `queries` is
        given.

    n_neighbors : int
        Neighbours of a row. At most ``n_samples - 1``, as a row is no neighbour of
        itself; at most ``n_samples`` with `queries` or `include_self`.

    metric : {"cosine", "euclidean"}, default="cosine"
        What "near" means. The cosine similarity of a row of zeros with any row is 0.

    include_self : bool, default=False
        Whether each row comes first in its own list, as one of the `n_neighbors`.

    algorithm : {"auto", "exact", "pynndescent"}, default="auto"
        "exact" compares all pairs. "pynndescent" is approximate and faster for many
        rows, but compiles for most of a minute first. "auto" is exact up to 80,000 x
        80,000 pairs.

    queries : array-like of shape (n_queries, n_features), default=None
        Rows searched for, when they are others than `X`.

    n_jobs : int, default=None
        Threads. None means 1; matrix products then use those of their library.

    random_state : int, RandomState instance or None, default=None
        Seed of "pynndescent"; "exact" is not random.

    Returns
    -------
    indices : ndarray of shape (n_queries, n_neighbors), dtype int64
        Rows of `X`, nearest first; of two with the same value the lower index first.
        No row appears twice in a list, however many duplicates `X` holds.

    values : ndarray of shape (n_queries, n_neighbors), dtype float32
        Cosine similarities in [-1, 1], descending, or Euclidean distances, ascending.

    Notes
    -----
    "exact" takes O(n_queries n_samples n_features) time. Its memory is a float32 copy
    of `X` and of `queries` (and a float64 copy if some rows are too close to tell apart
    in float32), the result, and about 16 MiB for each thread, whatever the size of the
    data and the ``working_memory`` of scikit-learn. The result is the same bit for bit
    for any number of threads.

    "pynndescent" takes roughly O(n_samples^1.14) time. Its result depends on
    `random_state` and on the number of threads. Distances are exact all the same, and
    rows for which too few neighbours were found are searched exactly.

    Examples
    --------
    >>> from skdeep.neighbors import knn_graph
    >>> X = [[0.0, 1.0], [0.0, 2.0], [1.0, 1.0], [1.0, 0.0]]
    >>> indices, similarities = knn_graph(X, n_neighbors=2)
    >>> indices
    array([[1, 2],
           [0, 2],
           [0, 1],
           [2, 0]])
    >>> similarities.round(2)
    array([[1.  , 0.71],
           [1.  , 0.71],
           [0.71, 0.71],
           [0.71, 0.  ]], dtype=float32)
    """
    _check_options(n_neighbors, metric, algorithm)
    X, queries = _check_rows(X, queries, include_self)
    _check_count(n_neighbors, len(X), queries, include_self)
    own = np.arange(len(X)) if queries is None else None
    space = _SPACES[metric](X, X if queries is None else queries)
    n_others = n_neighbors - bool(include_self)
    if algorithm == "auto":
        n_pairs = len(space.queries) * len(X)
        algorithm = "exact" if n_pairs <= _EXACT_MAX_PAIRS else "pynndescent"
    if n_others == 0:
        candidates = np.empty((len(X), 0), np.int64)
    elif algorithm == "exact":
        candidates = _exact(space, own, n_others, n_jobs)
    else:
        candidates = _approximate(space, own, n_others, n_jobs, random_state)
    indices, values = _rank(space, candidates, n_others)
    if include_self:
        indices = np.column_stack([own, indices])
        values = np.column_stack([space.self_values(), values])
    return indices, values


def _check_options(n_neighbors, metric, algorithm):
    is_count = isinstance(n_neighbors, Integral) and not isinstance(n_neighbors, bool)
    if not is_count or n_neighbors < 1:
        raise InvalidParameterError(
            f"`n_neighbors` must be an int of at least 1, got {n_neighbors!r}."
        )
    if metric not in tuple(_SPACES):
        raise InvalidParameterError(
            f"`metric` must be one of {tuple(_SPACES)}, got {metric!r}."
        )
    if algorithm not in _ALGORITHMS:
        raise InvalidParameterError(
            f"`algorithm` must be one of {_ALGORITHMS}, got {algorithm!r}."
        )


def _check_rows(X, queries, include_self):
    dtypes = [np.float64, np.float32]
    X = check_array(X, dtype=dtypes, input_name="X")
    if queries is None:
        return X, None
    if include_self:
        raise ValueError(
            "`include_self` has no meaning with `queries`: they are not rows of X. "
            "Leave one of the two out."
        )
    queries = check_array(queries, dtype=dtypes, input_name="queries")
    if queries.shape[1] != X.shape[1]:
        raise ValueError(
            f"`queries` has {queries.shape[1]} features, but X has {X.shape[1]}; "
            "both must come from the same space."
        )
    return X, queries


def _check_count(n_neighbors, n_samples, queries, include_self):
    n_allowed = n_samples - (queries is None and not include_self)
    if n_neighbors > n_allowed:
        remedy = (
            f"use n_neighbors <= {n_allowed}"
            if n_allowed
            else "a single row has no neighbour"
        )
        raise InvalidParameterError(
            f"`n_neighbors` is {n_neighbors}, but X has only {n_samples} "
            f"{'sample' if n_samples == 1 else 'samples'}; {remedy}."
        )


def _exact(space, own, n_neighbors, n_jobs):
    """Candidates of every query, its true neighbours among them."""
    points, queries = space.vectors(np.float32)
    n_available = len(points) - (own is not None)
    n_candidates = min(n_neighbors + max(8, n_neighbors // 2), n_available)
    ids, scores = largest_products(points, queries, own, n_candidates, n_jobs)
    if n_candidates == n_available:
        return ids
    # No point left out has a float32 score above scores[:, -1]; if the k-th score is
    # better by more than what rounding can do, none of them is a neighbour.
    kth = scores[:, n_neighbors - 1].astype(np.float64)
    errors = space.score_errors(queries, kth)
    doubtful = np.flatnonzero(kth - scores[:, -1] <= 2 * errors)
    ids[doubtful] = _search_precisely(space, doubtful, own, n_candidates, n_jobs)
    return ids


def _search_precisely(space, rows, own, n_candidates, n_jobs):
    """Search for some of the queries only, in float64."""
    if rows.size == 0:
        return np.empty((0, n_candidates), np.int64)
    points, queries = space.vectors(np.float64)
    own = None if own is None else own[rows]
    return largest_products(points, queries[rows], own, n_candidates, n_jobs)[0]


def _approximate(space, own, n_neighbors, n_jobs, random_state):
    """Neighbours of every query from a nearest-neighbour descent."""
    import numba
    from pynndescent import NNDescent

    points, queries = space.vectors(np.float32)
    # a descent that keeps few neighbours loses some; the lists are cut afterwards
    n_asked = min(max(3 * n_neighbors, 30) + (own is not None), len(points))
    n_threads = min(effective_n_jobs(n_jobs), numba.config.NUMBA_NUM_THREADS)
    seed = check_random_state(random_state).randint(np.iinfo(np.int32).max)
    # numba sets the thread counts of other libraries, and they are put back; the
    # warnings are about rows that the search gave up, and that are searched below
    with threadpool_limits(limits=None), warnings.catch_warnings():
        warnings.simplefilter("ignore")
        index = NNDescent(
            space.positions(points),
            metric="euclidean",  # on unit rows the same order as cosine
            n_neighbors=n_asked,
            random_state=seed,
            n_jobs=n_threads,
        )
        if own is None:
            ids, _ = index.query(space.positions(queries), k=n_asked)
        else:
            ids, _ = index.neighbor_graph
    del index  # many times as large as what it has found
    ids, complete = _clean(ids, own, n_neighbors)
    rows = np.flatnonzero(~complete | space.needs_exact())
    ids[rows] = _search_precisely(space, rows, own, n_neighbors, n_jobs)
    return ids


def _clean(ids, own, n_neighbors):
    """Drop missing entries (-1), repeated ones and the row itself.

    Returns the first `n_neighbors` of each row and whether there are as many.
    """
    kept = np.empty((len(ids), n_neighbors), np.int64)
    complete = np.empty(len(ids), bool)
    for rows in slices(*ids.shape):
        is_bad = _find_bad(ids[rows], None if own is None else own[rows])
        order = np.argsort(is_bad, axis=1, kind="stable")[:, :n_neighbors]
        kept[rows] = np.take_along_axis(ids[rows], order, 1)
        complete[rows] = (~is_bad).sum(axis=1) >= n_neighbors
    return kept, complete


def _find_bad(ids, own):
    """Tell missing entries, repeated ones and the row itself from neighbours."""
    by_id = np.argsort(ids, axis=1, kind="stable")
    in_order = np.take_along_axis(ids, by_id, 1)
    bad = np.zeros(ids.shape, bool)
    bad[:, 1:] = in_order[:, 1:] == in_order[:, :-1]
    bad |= in_order < 0
    if own is not None:
        bad |= in_order == own[:, None]
    is_bad = np.empty_like(bad)
    np.put_along_axis(is_bad, by_id, bad, 1)
    return is_bad


def _rank(space, candidates, n_neighbors):
    """Order candidates by exact values, equal ones by index; keep `n_neighbors`."""
    ids = np.sort(candidates, axis=1)  # the stable sort by value below keeps this order
    values = np.empty(ids.shape, np.float32)
    for rows in slices(len(ids), ids.shape[1] * space.X.shape[1]):
        values[rows] = space.pair_values(rows, ids[rows])
    keys = -values if space.descending else values
    order = np.argsort(keys, axis=1, kind="stable")[:, :n_neighbors]
    return np.take_along_axis(ids, order, 1), np.take_along_axis(values, order, 1)
