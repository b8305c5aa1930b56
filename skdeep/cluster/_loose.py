"""Rows that hang between clusters, and are better alone."""

import numpy as np
import scipy.sparse as sp
from scipy.sparse.csgraph import connected_components

from skdeep.cluster._levels import find_roots

_SAME = 1e-6  # identical rows may miss a cosine of 1 by that


def inside_share(labels, neighbors, probability):
    r"""Share of the links of each row, out and in, that stays in its cluster.

    With :math:`C(i)` the cluster of row i, and 0 for missing edges,

    .. math::
        \sum_{j \in C(i)} (p_{ij} + p_{ji}) / \sum_{j} (p_{ij} + p_{ji}) .

    Parameters
    ----------
    labels : ndarray of shape (n,)
        Clusters.

    neighbors : ndarray of shape (n, k), dtype int64
        Graph of the rows.

    probability : ndarray of shape (n, k)
        Probability that a row and its neighbour belong together.

    Returns
    -------
    share : ndarray of shape (n,), dtype float64
        1 for rows without links.
    """
    n = len(neighbors)
    stays = probability * (labels[neighbors] == labels[:, None])
    inside, all_links = (
        links.sum(axis=1, dtype=np.float64)
        + np.bincount(neighbors.ravel(), links.ravel(), minlength=n)
        for links in (stays, probability)
    )
    return np.divide(inside, all_links, out=np.ones(n), where=all_links > 0)


def find_twins(labels, neighbors, similarity):
    """First of the identical rows of its cluster that each row is one of: (n,) indices."""
    own = np.arange(len(neighbors))
    rows = np.flatnonzero(similarity[:, 0] > 1 - _SAME)  # the nearest come first
    if not len(rows):
        return own
    near, places = np.nonzero(similarity[rows] > 1 - _SAME)
    rows = rows[near]
    others = neighbors[rows, places]
    alike = labels[rows] == labels[others]
    pairs = np.ones(alike.sum(), bool), (rows[alike], others[alike])
    _, group = connected_components(sp.coo_array(pairs, (len(own), len(own))), False)
    return np.unique(group, return_index=True)[1][group]


def set_free(forest, rest, share, min_inside, twin):
    """Make clusters of their own out of rows with few links into theirs.

    What hung below such a row goes to what it hung on; below a root, to the densest of
    the rows that it leaves behind. A row that hangs elsewhere now keeps the probability
    of the link that it had. Identical rows stay together.

    Parameters
    ----------
    forest : Forest
        Changed in place.

    rest : tuple of three ndarray
        Edges between the clusters: both roots, and the probability.

    share : ndarray of shape (n,)
        From `inside_share`.

    min_inside : float
        Least share of a row that stays.

    twin : ndarray of shape (n,), dtype int64
        From `find_twins`.

    Returns
    -------
    rest : tuple of three ndarray
        Edges between the clusters as they are now; a row set free has one to the cluster
        it was in, with its share for a probability.
    """
    own, was = np.arange(len(share)), forest.peaks[-1][forest.labels]
    n_twins = np.bincount(twin, minlength=len(own))[twin]
    share = np.bincount(twin, share, len(own))[twin] / n_twins
    is_part = n_twins < np.bincount(forest.labels)[forest.labels]
    loose = (share < min_inside) & is_part
    parent = find_roots(np.where(loose, forest.parent, own))[forest.parent]
    # without a root: rows right below a root set free; one of them takes its place
    top = np.flatnonzero(~loose & loose[parent])
    order = top[np.lexsort([top, -forest.density[top], parent[top]])]
    old, first = np.unique(parent[order], return_index=True)
    root = np.where(loose, twin, own)
    root[old] = order[first]
    parent[top] = root[parent[top]]
    parent[loose] = twin[loose]
    forest.parent = parent
    forest.parent_proba[loose] = 1  # of twins
    forest.parent_proba[parent == own] = 0
    roots = np.flatnonzero(parent == own)
    forest.labels = np.searchsorted(roots, find_roots(parent))
    for level, labels in enumerate(forest.level_labels):
        apart = np.where(loose, labels.max() + 1 + twin, labels)
        forest.level_labels[level] = np.unique(apart, return_inverse=True)[1]
    forest.level_labels[-1] = forest.labels
    sizes = [len(own), *(int(labels.max()) + 1 for labels in forest.level_labels)]
    forest.log = [(size, size - after) for size, after in zip(sizes, sizes[1:])]
    ends, others, probability = rest
    freed = np.flatnonzero(loose & (twin == own) & (root[was] != own))
    return (
        np.concatenate([root[ends], freed]),
        np.concatenate([root[others], root[was[freed]]]),
        np.concatenate([probability, share[freed].astype(probability.dtype)]),
    )
