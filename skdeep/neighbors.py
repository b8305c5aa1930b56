"""Nearest neighbours of every row, exact in tiles or approximate.

The exact search walks over the data in tiles of a fixed shape. A tile of scores comes
from one matrix product in float32; a score is larger for a closer pair:

    cosine:     <x, y> / (|x| |y|)
    euclidean:  <x, y> - |y|^2 / 2  =  (|x|^2 - |x - y|^2) / 2

From a tile only the entries that beat the best ones of the earlier tiles are kept. A few
more neighbours than asked for are collected, ranked again by their exact distances, and
a bound on the rounding error tells for which rows a neighbour may have been missed all
the same; these rows alone are searched again in float64.
"""

import warnings
from numbers import Integral

import numpy as np
from joblib import Parallel, delayed, effective_n_jobs
from sklearn.utils import check_array, check_random_state
from threadpoolctl import threadpool_limits

from skdeep.exceptions import InvalidParameterError

__all__ = ["knn_graph"]

_METRICS = ("cosine", "euclidean")
_ALGORITHMS = ("auto", "exact", "pynndescent")
_EXACT_MAX_PAIRS = 50_000**2
_TILE_ROWS = 128
_TILE_COLUMNS = 4096  # a float32 tile of 2 MiB stays in the cache
_SLICE_VALUES = 2**18  # float64 values handled at a time: 2 MiB


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
        rows. "auto" is exact up to 50,000 x 50,000 pairs.

    queries : array-like of shape (n_queries, n_features), default=None
        Rows searched for, when they are others than `X`.

    n_jobs : int, default=None
        Threads. None means 1. The result does not depend on it.

    random_state : int, RandomState instance or None, default=None
        Seed of "pynndescent"; "exact" is not random.

    Returns
    -------
    indices : ndarray of shape (n_queries, n_neighbors), dtype int64
        Rows of `X`, nearest first; of two at the same distance the lower index first.
        No row appears twice in a list, however many duplicates `X` holds.

    values : ndarray of shape (n_queries, n_neighbors), dtype float32
        Cosine similarities in [-1, 1], descending, or Euclidean distances, ascending.

    Notes
    -----
    "exact" takes O(n_queries n_samples n_features) time. Memory is one float32 copy of
    the data (and a float64 copy if rows were too close to tell apart in float32), the
    result, and about 16 MiB, less than any sensible ``working_memory`` of scikit-learn.
    Tiles have the same shape for every input, so the result is the same bit for bit
    whatever the number of threads.

    "pynndescent" takes roughly O(n_samples^1.14) time. Its distances are computed
    again exactly; rows for which it found too few neighbours are searched exactly.

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
    n_candidates = min(n_others + max(8, n_others // 2), len(X) - (own is not None))
    if algorithm == "auto":
        n_pairs = len(space.queries) * len(X)
        algorithm = "exact" if n_pairs <= _EXACT_MAX_PAIRS else "pynndescent"
    if n_others == 0:
        candidates = np.empty((len(X), 0), np.int64)
    elif algorithm == "exact":
        candidates = _exact(space, own, n_others, n_candidates, n_jobs)
    else:
        candidates = _approximate(space, own, n_candidates, n_jobs, random_state)
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
    if metric not in _METRICS:
        raise InvalidParameterError(
            f"`metric` must be one of {_METRICS}, got {metric!r}."
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


class _CosineSpace:
    """Rows compared by the angle between them."""

    descending = True

    def __init__(self, X, queries):
        self.X, self.queries = X, queries
        self.X_factors = _inverse_lengths(X)
        self.query_factors = (
            self.X_factors if queries is X else _inverse_lengths(queries)
        )

    def vectors(self, dtype):
        """Points and queries whose inner products are the scores."""
        points = _scaled(self.X, self.X_factors, dtype)
        if self.queries is self.X:
            return points, points
        return points, _scaled(self.queries, self.query_factors, dtype)

    def positions(self, vectors):
        return vectors

    def needs_exact(self):
        """Queries without a direction: all points are equally near to them."""
        return self.query_factors == 0

    def score_errors(self, queries, kth_scores):
        """Bound on the rounding error of a float32 score, for each query."""
        return np.full(len(queries), (queries.shape[1] + 8) * 2.0**-23)

    def pair_values(self, rows, columns):
        """Exact similarities of the queries `rows` to the points `columns`."""
        queries = self.queries[rows] * self.query_factors[rows, None]  # (R, D)
        points = self.X[columns] * self.X_factors[columns][..., None]  # (R, C, D)
        return np.clip(np.einsum("rd,rcd->rc", queries, points), -1, 1)

    def self_values(self):
        return (self.X_factors > 0).astype(np.float32)


class _EuclideanSpace:
    """Rows compared by their straight distance.

    The data are centred and divided by one number. This changes no order of distances,
    keeps the squares in the range of float32 and makes them small where the bulk of
    the data lies; the median is the centre because outliers do not move it.
    """

    descending = False

    def __init__(self, X, queries):
        self.X, self.queries = X, queries
        self.center = np.median(X[:: max(1, len(X) // 1000)], axis=0).astype(float)
        self.scale = max(self._spread(X), self._spread(queries)) or 1.0
        if not self.scale * X.shape[1] ** 0.5 < np.finfo(np.float32).max / 4:
            raise ValueError(
                "X or `queries` holds values too large for Euclidean distances in "
                f"float32 (spread {self.scale:.3g}); scale the data first."
            )

    def _spread(self, X):
        with np.errstate(over="ignore"):
            spread = np.maximum(
                X.max(axis=0) - self.center, self.center - X.min(axis=0)
            )
        return float(spread.max())

    def vectors(self, dtype):
        """Points and queries whose inner products are the scores.

        One more column carries -|y|^2 / 2 on the side of the points and 1 on the side
        of the queries.
        """
        points, queries = (
            self._centered(self.X, dtype),
            self._centered(self.queries, dtype),
        )
        queries[:, -1] = 1
        return points, queries

    def _centered(self, X, dtype):
        result = np.empty((len(X), X.shape[1] + 1), dtype)
        for rows in _slices(*X.shape):
            centered = (X[rows] - self.center) / self.scale
            result[rows, :-1] = centered
            result[rows, -1] = -0.5 * np.einsum("nd,nd->n", centered, centered)
        return result

    def positions(self, vectors):
        return np.ascontiguousarray(vectors[:, :-1])

    def needs_exact(self):
        return np.zeros(len(self.queries), bool)

    def score_errors(self, queries, kth_scores):
        """Bound on the rounding error of a float32 score, for each query.

        Only points at most as far as the k-th neighbour matter; they are no longer
        than the query and that distance together.
        """
        n_features = queries.shape[1] - 1
        positions = queries[:, :-1].astype(np.float64)
        lengths = np.sqrt(np.einsum("nd,nd->n", positions, positions))
        reach = np.sqrt(np.maximum(lengths**2 - 2 * kth_scores, 0))
        longest = lengths + reach
        error = (n_features + 8) * 2.0**-23 * (lengths * longest + longest**2 / 2)
        return error + n_features * 2.0**-125  # where squares vanish in float32

    def pair_values(self, rows, columns):
        """Exact distances of the queries `rows` to the points `columns`."""
        queries = self.queries[rows].astype(np.float64)
        differences = (queries[:, None] - self.X[columns]) / self.scale  # (R, C, D)
        return self.scale * np.sqrt(np.einsum("rcd,rcd->rc", differences, differences))

    def self_values(self):
        return np.zeros(len(self.X), np.float32)


_SPACES = {"cosine": _CosineSpace, "euclidean": _EuclideanSpace}


def _inverse_lengths(X):
    """One over the length of each row in float64; 0 for a row of zeros."""
    largest = np.abs(X).max(axis=1).astype(np.float64)
    is_zero = largest < 1e-300  # one over such a length is beyond float64
    largest[is_zero] = 1
    lengths = np.empty(len(X))
    for rows in _slices(*X.shape):
        scaled = X[rows] / largest[rows, None]  # no overflow in the squares
        lengths[rows] = np.sqrt(np.einsum("nd,nd->n", scaled, scaled))
    lengths[is_zero] = 1
    factors = 1 / lengths / largest
    factors[is_zero] = 0
    return factors


def _scaled(X, factors, dtype):
    result = np.empty(X.shape, dtype)
    for rows in _slices(*X.shape):
        result[rows] = X[rows] * factors[rows, None]
    return result


def _slices(n_rows, n_values_each):
    """Slices over `n_rows` rows that hold about `_SLICE_VALUES` values each."""
    step = max(1, _SLICE_VALUES // max(1, n_values_each))
    return [slice(start, start + step) for start in range(0, n_rows, step)]


def _exact(space, own, n_neighbors, n_candidates, n_jobs):
    """Candidates of every query that hold its true neighbours."""
    points, queries = space.vectors(np.float32)
    ids, scores = _search(points, queries, own, n_candidates, n_jobs)
    if n_candidates == len(points) - (own is not None):
        return ids
    # A point left out has a float32 score of at most scores[:, -1].
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
    return _search(points, queries[rows], own, n_candidates, n_jobs)[0]


def _search(points, queries, own, n_candidates, n_jobs):
    """Points with the largest inner products, best first, lower index first in ties.

    `own` holds for each query the index of the point that is the query itself, or is
    None.
    """
    n_jobs = effective_n_jobs(n_jobs)
    blas_threads = 1 if n_jobs > 1 else None
    starts = range(0, len(queries), _TILE_ROWS)
    with threadpool_limits(blas_threads, user_api="blas"):
        parts = Parallel(n_jobs, prefer="threads")(
            delayed(_search_rows)(
                points,
                queries[start : start + _TILE_ROWS],
                None if own is None else own[start : start + _TILE_ROWS],
                n_candidates,
            )
            for start in starts
        )
    ids, scores = zip(*parts)
    return np.concatenate(ids), np.concatenate(scores)


def _search_rows(points, queries, own, n_candidates):
    """Search for at most `_TILE_ROWS` queries, one tile of points after the other."""
    n_rows, n_points = len(queries), len(points)
    n_columns = min(_TILE_COLUMNS, -(-n_points // 64) * 64)
    queries = _padded(queries, _TILE_ROWS)
    tile = np.empty((_TILE_ROWS, n_columns), points.dtype)
    ids = np.full((n_rows, n_candidates), n_points)
    best = np.full((n_rows, n_candidates), -np.inf, points.dtype)
    for start in range(0, n_points, n_columns):
        block = points[start : start + n_columns]
        np.matmul(queries, _padded(block, n_columns).T, out=tile)
        scores = tile[:n_rows, : len(block)]
        if own is not None:
            inside = np.flatnonzero((own >= start) & (own < start + len(block)))
            scores[inside, own[inside] - start] = -np.inf
        ids, best = _keep_best(ids, best, scores, start)
    return ids, best


def _padded(rows, n_rows):
    """Add rows of zeros: products of one shape round alike wherever a row stands."""
    if len(rows) == n_rows:
        return rows
    result = np.zeros((n_rows, rows.shape[1]), rows.dtype)
    result[: len(rows)] = rows
    return result


def _keep_best(ids, best, scores, start):
    """Merge the scores of the points from `start` on into the best ones so far."""
    n_rows, n_candidates = ids.shape
    n_columns = scores.shape[1]
    keep = scores > best[:, -1:]  # a tie is won by the earlier, lower index
    if n_columns > n_candidates and keep.sum() > 4 * ids.size:
        cut = n_columns - n_candidates
        keep &= scores >= np.partition(scores, cut, axis=1)[:, cut, None]
    rows, columns = np.divmod(np.flatnonzero(keep), n_columns)
    if rows.size == 0:
        return ids, best
    counts = np.bincount(rows, minlength=n_rows)
    places = n_candidates + np.arange(rows.size)
    places -= np.repeat(np.cumsum(counts) - counts, counts)
    width = n_candidates + counts.max()
    all_scores = np.full((n_rows, width), -np.inf, scores.dtype)
    all_ids = np.full((n_rows, width), np.iinfo(np.int64).max)
    all_scores[:, :n_candidates], all_ids[:, :n_candidates] = best, ids
    all_scores[rows, places], all_ids[rows, places] = (
        scores[rows, columns],
        start + columns,
    )
    order = np.argsort(-all_scores, axis=1, kind="stable")[:, :n_candidates]
    return np.take_along_axis(all_ids, order, 1), np.take_along_axis(
        all_scores, order, 1
    )


def _approximate(space, own, n_candidates, n_jobs, random_state):
    """Candidates of every query from a nearest-neighbour descent."""
    from pynndescent import NNDescent

    points, queries = space.vectors(np.float32)
    n_asked = n_candidates + (own is not None)
    seed = check_random_state(random_state).randint(np.iinfo(np.int32).max)
    with warnings.catch_warnings():
        # rows it gave up are searched exactly below
        warnings.simplefilter("ignore")
        index = NNDescent(
            space.positions(points),
            metric="euclidean",  # on unit rows the same order as cosine
            n_neighbors=n_asked,
            random_state=seed,
            n_jobs=effective_n_jobs(n_jobs),
        )
        if own is None:
            ids, _ = index.query(space.positions(queries), k=n_asked)
        else:
            ids, _ = index.neighbor_graph
    ids, complete = _clean(ids.astype(np.int64), own, n_candidates)
    rows = np.flatnonzero(~complete | space.needs_exact())
    ids[rows] = _search_precisely(space, rows, own, n_candidates, n_jobs)
    return ids


def _clean(ids, own, n_candidates):
    """Drop missing entries (-1), repeated ones and the row itself.

    Returns the first `n_candidates` of each row and whether there are as many.
    """
    by_id = np.argsort(ids, axis=1, kind="stable")
    in_order = np.take_along_axis(ids, by_id, 1)
    bad = np.zeros(ids.shape, bool)
    bad[:, 1:] = in_order[:, 1:] == in_order[:, :-1]
    bad |= in_order < 0
    if own is not None:
        bad |= in_order == own[:, None]
    is_bad = np.empty_like(bad)
    np.put_along_axis(is_bad, by_id, bad, 1)
    order = np.argsort(is_bad, axis=1, kind="stable")[:, :n_candidates]
    complete = (~is_bad).sum(axis=1) >= n_candidates
    return np.take_along_axis(ids, order, 1), complete


def _rank(space, candidates, n_neighbors):
    """Order candidates by exact values, equal ones by index; keep `n_neighbors`."""
    ids = np.sort(candidates, axis=1)  # the stable sort by value below keeps this order
    values = np.empty(ids.shape, np.float32)
    for rows in _slices(len(ids), ids.shape[1] * space.X.shape[1]):
        values[rows] = space.pair_values(rows, ids[rows])
    keys = -values if space.descending else values
    order = np.argsort(keys, axis=1, kind="stable")[:, :n_neighbors]
    return np.take_along_axis(ids, order, 1), np.take_along_axis(values, order, 1)
