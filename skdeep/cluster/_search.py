"""Neighbour searches that the clusterer can be given."""

import numpy as np

from skdeep.exceptions import InvalidParameterError
from skdeep.neighbors import knn_graph

NAMES = ("auto", "exact", "pynndescent", "faiss")
_N_CHECKED = 200
_MOST_OFF = 0.05  # of a cosine, on average: searches may round


def make_search(knn, n_jobs, seed):
    """Turn the parameter `knn` into a function.

    Parameters
    ----------
    knn : str or callable
        One of `NAMES`, or ``knn(X, n_neighbors)``.

    n_jobs : int or None
        Threads of our own searches.

    seed : int
        Seed of an approximate search.

    Returns
    -------
    search : callable
        ``search(X, n_neighbors)`` gives indices, dtype int64, and cosine similarities,
        both of shape (n_samples, n_neighbors).
    """
    if callable(knn):
        return lambda X, n_neighbors: check_graph(knn(X, n_neighbors), X, n_neighbors)
    if knn == "faiss":
        import_faiss()
        return search_by_faiss

    def search(X, n_neighbors):
        return knn_graph(
            X, n_neighbors, algorithm=knn, n_jobs=n_jobs, random_state=seed
        )

    return search


def check_graph(graph, X, n_neighbors):
    """Refuse what a search of the user's own must not return."""
    if not isinstance(graph, (tuple, list)) or len(graph) != 2:
        raise InvalidParameterError(
            "`knn` must return a pair, indices and cosine similarities; got "
            f"{type(graph).__name__}."
        )
    neighbors, similarity = (np.asarray(part) for part in graph)
    shape = len(X), n_neighbors
    if neighbors.shape != shape or similarity.shape != shape:
        raise InvalidParameterError(
            f"`knn` must return indices and similarities of shape {shape}, got "
            f"{neighbors.shape} and {similarity.shape}."
        )
    own = np.arange(len(X))[:, None]
    if neighbors.min() < 0 or neighbors.max() >= len(X) or (neighbors == own).any():
        raise InvalidParameterError(
            "`knn` must return rows of X other than the row itself, but some indices "
            f"are out of 0..{len(X) - 1} or name their own row."
        )
    ordered = np.sort(neighbors, axis=1)
    if (ordered[:, 1:] == ordered[:, :-1]).any():
        raise InvalidParameterError(
            "`knn` must return different rows as the neighbors of a row, but some come "
            "twice."
        )
    some = np.linspace(0, len(X) - 1, min(_N_CHECKED, len(X))).astype(int)
    true = np.einsum("nd,nkd->nk", X[some], X[neighbors[some]])
    off = np.abs(true - similarity[some]).mean() if similarity.size else 0.0
    if not np.isfinite(similarity).all() or off > _MOST_OFF:
        raise InvalidParameterError(
            "`knn` must return finite cosine similarities of the rows that it gets, but "
            f"those of some rows are wrong by {off:.2g}; distances have to be turned: "
            "1 - distance."
        )
    order = np.argsort(-similarity, axis=1, kind="stable")
    neighbors, similarity = (
        np.take_along_axis(part, order, axis=1) for part in (neighbors, similarity)
    )
    return neighbors.astype(np.int64), similarity.astype(np.float32)


def import_faiss():
    """The library, or how to get it."""
    try:
        import faiss
    except ModuleNotFoundError as error:
        raise ModuleNotFoundError(
            "knn='faiss' needs the library faiss: pip install skdeep[faiss]."
        ) from error
    return faiss


def search_by_faiss(X, n_neighbors):
    """Exact search of the library faiss, over scalar products of unit rows."""
    faiss = import_faiss()
    index = faiss.IndexFlatIP(X.shape[1])
    index.add(np.ascontiguousarray(X))
    similarity, neighbors = index.search(np.ascontiguousarray(X), n_neighbors + 1)
    own = neighbors == np.arange(len(X))[:, None]
    own[~own.any(axis=1), -1] = True  # behind too many duplicates: drop the last
    shape = len(X), n_neighbors
    return neighbors[~own].reshape(shape), similarity[~own].reshape(shape)


def measure_recall(X, neighbors, seed=0):
    """Share of the true neighbours found, on some rows; ties count as found.

    Parameters
    ----------
    X : ndarray of shape (n_samples, n_features), dtype float32
        Unit rows.

    neighbors : ndarray of shape (n_samples, k)
        What the search has found.

    seed : int, default=0
        Choice of the rows.

    Returns
    -------
    recall : float
    """
    rng = np.random.RandomState(seed)
    rows = rng.choice(len(X), min(_N_CHECKED, len(X)), replace=False)
    k = neighbors.shape[1]
    # the row itself comes first, so the last one is its k-th neighbour
    _, nearest = knn_graph(X, k + 1, queries=X[rows], algorithm="exact")
    found = np.einsum("nd,nkd->nk", X[rows], X[neighbors[rows]])
    return float((found >= nearest[:, -1:] - 1e-6).mean())
