"""Nearest neighbours shard by shard, on one machine or on many.

The space is cut into cells around the centres of a k-means; each row goes to its few
nearest cells, neighbours are searched inside each cell, and what a row has found in its
cells is merged. The cells have nothing to do with each other, so that any function like
the built-in `map` may run them wherever it likes.
"""

from functools import partial
from numbers import Integral

import numpy as np
from sklearn.cluster import KMeans
from sklearn.utils import check_array
from threadpoolctl import threadpool_limits

from skdeep.exceptions import InvalidParameterError

_ROWS_AT_ONCE = 16_384
_SAMPLE_PER_CELL = 64
_N_ITER = 20


class ShardedSearch:
    """Search for nearest neighbours by cosine similarity, shard by shard.

    A call finds the neighbours of all rows, and an instance serves as the search of a
    clusterer: ``HiLanderClusterer(knn=ShardedSearch())``.

    Parameters
    ----------
    shard_size : int, default=4000
        Rows per cell on average, before each row goes to several. Fewer rows than this
        are searched as a whole.

    n_probes : int, default=2
        Cells that each row goes to. More find more of the true neighbours, for a cost
        that grows with the square. As many as there are cells make the search exact.

    map : callable or None, default=None
        ``map(function, tasks)`` returns the results in the order of the tasks; None is
        the built-in function. Others are
        ``ThreadPoolExecutor().map``, ``ProcessPoolExecutor().map``, or a function of
        your own around joblib, Dask or Ray. Function, tasks and results can be pickled.

    random_state : int, default=0
        Seed of the centres.

    See Also
    --------
    knn_graph : Exact and approximate search in one piece.

    Notes
    -----
    O(n_samples shard_size n_probes^2 n_features) time. The result is the same for each
    `map`. Apart from the tasks under way, memory holds the rows and the result; rows may
    be a memory map of float32.

    Examples
    --------
    >>> from concurrent.futures import ThreadPoolExecutor
    >>> from sklearn.datasets import load_digits
    >>> from skdeep.neighbors import ShardedSearch
    >>> X, _ = load_digits(return_X_y=True)
    >>> with ThreadPoolExecutor() as pool:
    ...     search = ShardedSearch(shard_size=500, map=pool.map)
    ...     indices, similarities = search(X, 10)
    >>> indices.shape
    (1797, 10)
    """

    def __init__(self, shard_size=4000, *, n_probes=2, map=None, random_state=0):
        self.shard_size = shard_size
        self.n_probes = n_probes
        self.map = map
        self.random_state = random_state

    def __call__(self, X, n_neighbors):
        """Find the nearest neighbours of every row.

        Parameters
        ----------
        X : array-like of shape (n_samples, n_features)
            Rows.

        n_neighbors : int
            Neighbours of a row, which is none of its own.

        Returns
        -------
        indices : ndarray of shape (n_samples, n_neighbors), dtype int64
            Nearest first; of two with the same similarity the lower index first.

        similarities : ndarray of shape (n_samples, n_neighbors), dtype float32
            Cosine similarities.
        """
        from skdeep.neighbors import knn_graph

        self._check()
        X = check_array(X, dtype=[np.float32, np.float64], input_name="X")
        n_cells = -(-len(X) // self.shard_size)
        if n_cells <= self.n_probes or n_neighbors >= len(X):
            return knn_graph(X, n_neighbors, algorithm="exact")
        cells = self._assign(X, n_cells)
        ids = np.full((len(X), n_neighbors), len(X))
        values = np.full(ids.shape, -np.inf, np.float32)
        search = partial(search_cell, n_neighbors=n_neighbors)
        for rows, (found, near) in zip(cells, self._run(search, (X[c] for c in cells))):
            ids[rows], values[rows] = merge_lists(
                ids[rows], values[rows], rows[found], near
            )
        lonely = np.flatnonzero(np.isneginf(values[:, -1]))
        if len(lonely):
            ids[lonely], values[lonely] = search_all(X, lonely, n_neighbors)
        return ids, values

    def _run(self, function, tasks):
        return (map if self.map is None else self.map)(function, tasks)

    def _check(self):
        for name in ("shard_size", "n_probes"):
            value = getattr(self, name)
            if not isinstance(value, Integral) or value < 1:
                raise InvalidParameterError(
                    f"`{name}` must be an int of at least 1, got {value!r}."
                )
        if self.map is not None and not callable(self.map):
            raise InvalidParameterError(
                "`map` must be a function like the built-in one, got "
                f"{self.map!r}; of an executor pass its method: map=executor.map."
            )

    def _assign(self, X, n_cells):
        """Rows of each cell, as a list of ascending indices; no cell has a single row."""
        rng = np.random.RandomState(self.random_state)
        n_drawn = min(len(X), _SAMPLE_PER_CELL * n_cells)
        drawn = np.sort(rng.choice(len(X), n_drawn, replace=False))
        centers = find_centers(X[drawn], n_cells, rng)
        n_probes = min(self.n_probes, len(centers))
        nearest = partial(nearest_cells, centers=centers, n_probes=n_probes)
        starts = range(0, len(X), _ROWS_AT_ONCE)
        blocks = (X[start : start + _ROWS_AT_ONCE] for start in starts)
        cell = np.concatenate(list(self._run(nearest, blocks))).ravel()
        rows = np.repeat(np.arange(len(X)), n_probes)
        order = np.argsort(cell, kind="stable")
        ends = np.cumsum(np.bincount(cell))[:-1]
        return [part for part in np.split(rows[order], ends) if len(part) > 1]

    def __sklearn_clone__(self):
        # a pool or a client behind `map` cannot be copied, and is to be shared
        return type(self)(**vars(self))

    def __repr__(self):
        params = (f"{name}={value!r}" for name, value in vars(self).items())
        return f"{type(self).__name__}({', '.join(params)})"


def unit_rows(X):
    """Rows as float32 of length one; rows of zeros stay what they are."""
    lengths = np.sqrt(np.einsum("nd,nd->n", X, X, dtype=np.float64))[:, None]
    return (X / np.where(lengths > 0, lengths, 1)).astype(np.float32)


def find_centers(X, n_cells, rng):
    """Centres of at most `n_cells` cells, fewer if not so many rows differ."""
    different = np.unique(unit_rows(X), axis=0)
    n_cells = min(n_cells, len(different))
    model = KMeans(n_cells, n_init=1, max_iter=_N_ITER, random_state=rng)
    with threadpool_limits(1):  # sums of several threads round anew each time
        return model.fit(different).cluster_centers_


def nearest_cells(X, centers, n_probes):
    """Cells whose centres are nearest to each row, (n, d) -> (n, n_probes)."""
    halves = np.einsum("cd,cd->c", centers, centers) / 2
    scores = halves - unit_rows(X) @ centers.T  # (|x - c|^2 - |x|^2) / 2
    return np.argpartition(scores, n_probes - 1, axis=1)[:, :n_probes]


def search_cell(X, n_neighbors):
    """Neighbours among the rows of a cell: as many as asked for, or all the others."""
    from skdeep.neighbors import knn_graph

    return knn_graph(X, min(n_neighbors, len(X) - 1), algorithm="exact")


def merge_lists(ids, values, more_ids, more_values):
    """Best entries out of two lists of neighbours for each row.

    Parameters
    ----------
    ids, values : ndarray of shape (n, k)
        Neighbours and similarities; a similarity of -inf marks a place that is free.

    more_ids, more_values : ndarray of shape (n, m)
        Others, some of them perhaps the same.

    Returns
    -------
    ids, values : ndarray of shape (n, k)
        Largest similarity first, of equal ones the lower index first.
    """
    k = ids.shape[1]
    ids = np.concatenate([ids, more_ids], axis=1)
    values = np.concatenate([values, more_values], axis=1)
    order = np.argsort(ids, axis=1, kind="stable")
    ids, values = (np.take_along_axis(part, order, 1) for part in (ids, values))
    values[:, 1:][ids[:, 1:] == ids[:, :-1]] = -np.inf
    order = np.argsort(-values, axis=1, kind="stable")[:, :k]
    return tuple(np.take_along_axis(part, order, 1) for part in (ids, values))


def search_all(X, rows, n_neighbors):
    """Neighbours among all rows, for those that found too few in their cells."""
    from skdeep.neighbors import knn_graph

    ids, values = knn_graph(X, n_neighbors + 1, queries=X[rows], algorithm="exact")
    values[ids == rows[:, None]] = -np.inf
    order = np.argsort(-values, axis=1, kind="stable")[:, :n_neighbors]
    return tuple(np.take_along_axis(part, order, 1) for part in (ids, values))
