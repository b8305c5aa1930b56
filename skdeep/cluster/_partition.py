"""How the default mode merges: rows by communities, clusters by pairs."""

import numpy as np
import scipy.sparse as sp
from scipy.sparse.csgraph import connected_components

from skdeep.cluster._levels import link

_LEAST_WEIGHT = 1e-9
_AS_GOOD = 0.005  # probabilities that differ by less are alike


def partition(neighbors, probability, density, resolution):
    r"""Cut a graph into communities, and make a tree of each.

    The communities come from the Leiden algorithm under the constant Potts model [1]_:
    they maximise :math:`\sum_{ij \text{ together}} (w_{ij} - \gamma)`, where
    :math:`w_{ij}` is the mean of :math:`p_{ij}^2` and :math:`p_{ji}^2`.

    Parameters
    ----------
    neighbors : ndarray of shape (n, k), dtype int64
        Graph of a level.

    probability : ndarray of shape (n, k)
        Probability that a node and its neighbour belong together.

    density : ndarray of shape (n,)
        Density of the nodes.

    resolution : float
        :math:`\gamma`: two groups are merged if the mean weight between their members,
        missing edges counted as 0, is above it.

    Returns
    -------
    parent : ndarray of shape (n,), dtype int64
        As in `link`: the most probable of the denser neighbours of the same community.
        The densest node is the peak of its community, and the parent of the nodes
        without such a neighbour.

    parent_proba : ndarray of shape (n,)
        Probability of the edge to the parent; if there is none, of the most probable
        edge into the community. 0 for a peak.

    References
    ----------
    .. [1] Traag, Waltman, van Eck, "From Louvain to Leiden: guaranteeing well-connected
       communities", Scientific Reports 9, 2019.
    """
    community = find_communities(neighbors, probability, resolution)
    return plant_trees(community, neighbors, probability, density)


def merge_pairs(neighbors, probability, density, tau, reverse):
    """Merge nodes that are the best offer to each other.

    A node goes together with its most probable neighbour, unless that one has a better
    offer: after the merge its links are weighed anew, which a chain of links found in
    one go would never be. Where both directions of an edge are there, its probability
    is the mean of the two.

    Parameters
    ----------
    neighbors, probability, density
        As in `partition`.

    tau : float
        Least probability.

    reverse : ndarray of shape (n, k), dtype int64
        From `find_reverse`.

    Returns
    -------
    parent, parent_proba
        As in `partition`.
    """
    n = len(neighbors)
    own = np.arange(n)
    back = np.where(reverse >= 0, probability.ravel()[reverse], probability)
    offer = (probability + back) / 2
    best = offer.argmax(axis=1)
    partner, mine = neighbors[own, best], offer[own, best]
    theirs = mine.copy()
    np.maximum.at(theirs, neighbors.ravel(), offer.ravel())
    taken = (mine > tau) & (mine >= theirs[partner] - _AS_GOOD)
    pairs = sp.coo_array((np.ones(n)[taken], (own[taken], partner[taken])), (n, n))
    _, group = connected_components(pairs, directed=False)
    return plant_trees(group, neighbors, probability, density)


def plant_trees(group, neighbors, probability, density):
    """Make a tree of each group of nodes, rooted in its densest one; see `partition`."""
    inside = group[neighbors] == group[:, None]
    parent, parent_proba = link(
        neighbors, np.where(inside, probability, -1), density, tau=0
    )
    peak = find_peaks(group, density)[group]
    orphan = (parent == np.arange(len(parent))) & (peak != parent)
    best = np.where(inside, probability, 0).max(axis=1, initial=0)
    return np.where(orphan, peak, parent), np.where(orphan, best, parent_proba)


def find_communities(neighbors, probability, resolution):
    """Communities of the nodes, int32 numbers; see `partition`."""
    from skdeep.cluster._communities import leiden

    n, k = neighbors.shape
    weights = (probability.astype(np.float32, copy=False) ** 2 / 2).ravel()
    weights[weights < _LEAST_WEIGHT] = 0
    columns = neighbors.ravel().astype(np.int32)
    starts = np.arange(0, n * k + 1, k, dtype=np.int32)
    out = sp.csr_array((weights, columns, starts), (n, n))
    graph = (out + out.T.tocsr()).tocsr()
    graph.eliminate_zeros()
    return leiden(graph.indptr, graph.indices, graph.data, resolution)


def find_peaks(community, density):
    """Densest node of each community; of equally dense ones, the first."""
    order = np.lexsort([np.arange(len(density)), -density, community])
    _, first = np.unique(community[order], return_index=True)
    return order[first]
