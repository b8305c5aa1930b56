"""From what the user gives to rows of length one and the graph over them."""

import warnings
from dataclasses import dataclass

import numpy as np
import scipy.sparse as sp
from sklearn.neighbors import NearestNeighbors

from skdeep.cluster._levels import Level, Nodes, make_level, unit_rows

# columns that stand for wide sparse rows, or for the rows of a graph
_N_PROJECTED = 128
_SEED = 0


@dataclass
class Rows:
    """Rows to cluster.

    Parameters
    ----------
    features : ndarray of shape (n, d), dtype float32
        Rows of length one. For sparse rows of many columns, and for graphs, a random
        projection that about keeps their angles.

    graph : callable
        ``graph(n_neighbors, search)`` returns level 0.

    n_samples : int
        Number of rows given, with those of zeros.

    kept : ndarray of int or None
        Indices of the rows that are not zero; None if all are.

    is_dense : bool
        Whether the features are the rows themselves.
    """

    features: np.ndarray
    graph: object
    n_samples: int
    kept: np.ndarray | None = None
    is_dense: bool = False

    def __len__(self):
        return len(self.features)


def prepare(X):
    """Rows of an array or of a CSR matrix, without those of zeros.

    Rows of zeros have no direction: they are like nothing.
    """
    n = X.shape[0]
    if sp.issparse(X):
        full = np.flatnonzero(np.diff(X.indptr))
    else:
        full = np.flatnonzero(X.any(axis=1))
    kept = None
    if len(full) < n:
        warnings.warn(
            f"{n - len(full)} of {n} rows hold zeros only, so they are similar to no "
            "other row; each becomes a cluster of its own.",
            UserWarning,
            stacklevel=5,
        )
        X, kept = X[full], full
    make = sparse_graph if sp.issparse(X) and X.shape[1] > _N_PROJECTED else dense_graph
    if sp.issparse(X) and make is dense_graph:
        X = X.toarray()
    features, graph = make(X)
    return Rows(features, graph, n, kept, is_dense=make is dense_graph)


def dense_graph(X):
    """Features, and a function for the graph, of the rows of an array."""
    X = np.ascontiguousarray(X)
    # in double precision: a row of tiny or huge numbers has a length too
    lengths = np.sqrt(np.einsum("ij,ij->i", X, X, dtype=np.float64))[:, None]
    features = np.empty(X.shape, np.float32)
    np.divide(X, lengths, out=features, casting="same_kind")

    def graph(n_neighbors, search):
        return make_level(Nodes.of_rows(features), n_neighbors, search)

    return features, graph


def sparse_graph(X):
    """The same for a CSR matrix: neighbours of the rows as they are."""
    features = project(X)

    def graph(n_neighbors, search):
        finder = NearestNeighbors(
            n_neighbors=n_neighbors, metric="cosine", algorithm="brute"
        )
        distances, neighbors = finder.fit(X).kneighbors()
        return level_zero(features, neighbors, 1 - distances)

    return features, graph


def graph_rows(distances, n_most):
    """Rows that are known by their cosine distances to some others only.

    Parameters
    ----------
    distances : CSR matrix of shape (n, n)
        Stored entries are distances; a row may list itself.

    n_most : int
        Neighbours of a row that may be asked for.
    """
    n = distances.shape[0]
    neighbors, values = nearest_entries(distances, n_most)
    similarity = np.clip(1 - values, 0, 1)
    k = neighbors.shape[1]
    ends = np.arange(n).repeat(k), neighbors.ravel()
    matrix = sp.csr_array((similarity.ravel(), ends), (n, n)) + sp.eye_array(n)
    features = project((matrix + matrix.T).tocsr())

    def graph(n_neighbors, search):
        k = min(n_neighbors, neighbors.shape[1])
        return level_zero(features, neighbors[:, :k], similarity[:, :k])

    return Rows(features, graph, n)


def nearest_entries(distances, n_most):
    """Stored entries of each row as arrays, nearest first, without the row itself.

    Returns
    -------
    neighbors : ndarray of shape (n, k), dtype int64
        k is the largest number of entries that a row has, but not above `n_most`. Rows
        with fewer are filled up with others, to which they are at right angles.

    values : ndarray of shape (n, k), dtype float32
    """
    n = distances.shape[0]
    entries = sp.coo_array(distances)
    rows, columns = entries.coords
    keep = rows != columns
    rows, columns, values = rows[keep], columns[keep], entries.data[keep]
    order = np.lexsort([columns, values, rows])
    counts = np.bincount(rows, minlength=n)
    k = min(n - 1, n_most, max(1, int(counts.max())))
    place = np.arange(len(order)) - np.repeat(np.cumsum(counts) - counts, counts)
    order, place = order[place < k], place[place < k]
    neighbors, nearest = np.empty((n, k), np.int64), np.ones((n, k), np.float32)
    neighbors[rows[order], place] = columns[order]
    nearest[rows[order], place] = values[order]
    for row in np.flatnonzero(counts < k):
        others = (row + 1 + np.arange(k)) % n
        missing = np.setdiff1d(others, neighbors[row, : counts[row]])
        neighbors[row, counts[row] :] = missing[: k - counts[row]]
    return neighbors, nearest


def level_zero(features, neighbors, similarity):
    """Level 0 with a graph that is there already."""
    return Level(
        **vars(Nodes.of_rows(features)),
        neighbors=np.ascontiguousarray(neighbors, dtype=np.int64),
        similarity=np.clip(similarity, 0, 1).astype(np.float32),
    )


def project(X):
    """Map sparse rows to few columns, and scale them to length one."""
    rng = np.random.RandomState(_SEED)
    directions = rng.standard_normal((X.shape[1], _N_PROJECTED)).astype(np.float32)
    return unit_rows(np.asarray(X @ directions, dtype=np.float32))
