"""The order of rows in memory, which most of the time goes into once they are many."""

import numpy as np
import scipy.sparse as sp
from scipy.sparse.csgraph import reverse_cuthill_mckee

from skdeep.cluster._levels import Level, Nodes

_CACHED = 2**24  # bytes of rows that the cache about holds: their order does not matter


def bring_together(level):
    """Order rows so that neighbours lie near each other.

    Parameters
    ----------
    level : Level
        Level 0.

    Returns
    -------
    level : Level
        The same graph over rows in another order, or `level` if its rows are few.

    place : ndarray of shape (n,), dtype int64, or None
        Where each row has gone.

    Notes
    -----
    O(n k) for the reverse Cuthill-McKee order [1]_, and a copy of the rows.

    References
    ----------
    .. [1] Cuthill, McKee, "Reducing the bandwidth of sparse symmetric matrices", ACM
       National Conference 1969.
    """
    if level.features.nbytes <= _CACHED:
        return level, None
    n, k = level.neighbors.shape
    starts = np.arange(0, n * k + 1, k)
    graph = sp.csr_matrix(
        (np.ones(n * k, np.int8), level.neighbors.ravel(), starts), (n, n)
    )
    order = reverse_cuthill_mckee(graph)
    place = np.empty(n, np.int64)
    place[order] = np.arange(n)
    nodes = Nodes.of_rows(level.features[order])
    neighbors = place[level.neighbors[order]]
    similarity = level.similarity[order]
    return Level(**vars(nodes), neighbors=neighbors, similarity=similarity), place
