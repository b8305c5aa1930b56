"""From link probabilities to clusters, level by level.

A level is a k-nearest-neighbour graph over nodes. Level 0 holds the rows. A model gives
each edge the probability that both ends belong together; from the edges around a node
follows its density, and each node links to the neighbour that it most probably belongs
to among those that are denser. Nodes without such a neighbour are peaks: the roots of
trees, which are the nodes of the next level.

Edges are kept as (n, k) arrays beside ``neighbors``: entry (i, j) is about node i and its
j-th neighbour, and nothing ever grows beyond O(n k) or O(n d).
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
import scipy.sparse as sp

from skdeep.neighbors import knn_graph

_COLUMNS_AT_ONCE = 32  # of a float64 copy


@dataclass
class Nodes:
    """What a level is about: n clusters of original rows, of one row each at first.

    Parameters
    ----------
    nodes : ndarray of shape (n,), dtype int64
        Original row that stands for the node: the peak of its tree. Ascending.

    features : ndarray of shape (n, d), dtype float32
        Row of length one on which the graph is built.

    means : ndarray of shape (n, d), dtype float32
        Mean over the original rows inside, each of length one. Not scaled again.

    sizes : ndarray of shape (n,), dtype int64
        Number of original rows inside.

    depth : int
        Number of the level, from 0.
    """

    nodes: np.ndarray
    features: np.ndarray
    means: np.ndarray
    sizes: np.ndarray
    depth: int

    def __len__(self):
        return len(self.nodes)

    @classmethod
    def of_rows(cls, X):
        """Nodes of level 0, from rows of length one."""
        n_rows = len(X)
        return cls(np.arange(n_rows), X, X, np.ones(n_rows, np.int64), 0)


@dataclass
class Level(Nodes):
    """Nodes and the graph over them.

    Parameters
    ----------
    neighbors : ndarray of shape (n, k), dtype int64
        The nearest other nodes of each node, nearest first, as indices into this level.

    similarity : ndarray of shape (n, k), dtype float32
        Cosine similarity to them, clipped to [0, 1].
    """

    neighbors: np.ndarray
    similarity: np.ndarray


def make_level(nodes, n_neighbors, search=knn_graph):
    """Build the graph over nodes.

    Parameters
    ----------
    nodes : Nodes
        What to connect.

    n_neighbors : int
        Neighbours of a node, k; all others if there are fewer. A single node gets a
        graph without edges.

    search : callable, default=knn_graph
        ``search(features, n_neighbors)`` returns indices and cosine similarities, both
        of shape (n, n_neighbors), nearest first and without the node itself.

    Returns
    -------
    level : Level
        Shares the arrays of `nodes`.
    """
    k = min(n_neighbors, len(nodes) - 1)
    if k == 0:
        neighbors, similarity = np.empty((1, 0), np.int64), np.empty((1, 0), np.float32)
    else:
        neighbors, similarity = search(nodes.features, k)
    return Level(
        **vars(nodes),
        neighbors=neighbors,
        similarity=np.clip(similarity, 0, 1).astype(np.float32, copy=False),
    )


def density(probability, similarity):
    r"""Tell how much the neighbourhood of each node is one with the node.

    .. math::
        \hat d_i = \frac{1}{k} \sum_j a_{ij} (2 p_{ij} - 1)

    Parameters
    ----------
    probability : ndarray or tensor of shape (n, k)
        Probability :math:`p_{ij}` that a node and its neighbour belong together.

    similarity : ndarray or tensor of shape (n, k)
        Their similarity :math:`a_{ij}` in [0, 1].

    Returns
    -------
    density : ndarray or tensor of shape (n,)
        In [-1, 1].
    """
    return (similarity * (2 * probability - 1)).mean(-1)


def true_density(neighbors, similarity, labels):
    """Density of each node if the probabilities were known: 1 for equal labels, else 0.

    Parameters
    ----------
    neighbors, similarity : ndarray of shape (n, k)
        Graph of a level.

    labels : ndarray of shape (n,)
        Class of each node.

    Returns
    -------
    density : ndarray of shape (n,), dtype float32
        In [-1, 1].
    """
    same = labels[neighbors] == labels[:, None]
    return density(same.astype(np.float32), similarity)


def link(neighbors, probability, density, tau, *, break_ties=True, cost=None):
    """Link each node to a denser neighbour, or make it a peak.

    Parameters
    ----------
    neighbors : ndarray of shape (n, k), dtype int64
        Graph of a level.

    probability : ndarray of shape (n, k)
        Probability that a node and its neighbour belong together.

    density : ndarray of shape (n,)
        Density of the nodes.

    tau : float
        Only edges with ``cost < 1 - tau`` may link.

    break_ties : bool, default=True
        Whether, of two nodes with equal densities, the one with the lower index counts
        as denser. Otherwise neither does, and identical rows stay apart.

    cost : ndarray of shape (n, k) or None, default=None
        What the chosen edge has the least of; of equal ones, the one to the nearer
        neighbour is chosen. None is ``1 - probability``.

    Returns
    -------
    parent : ndarray of shape (n,), dtype int64
        Node that each node links to; a peak is its own parent.

    parent_proba : ndarray of shape (n,)
        Probability of the link, or 1 minus its `cost`; 0 for a peak.

    Notes
    -----
    O(n k). Links go up in density, and down in the index where densities are equal, so
    that they never close a circle.
    """
    own = np.arange(len(neighbors))
    if cost is None:
        cost, strength = 1 - probability, probability
    else:
        strength = 1 - cost
    theirs, mine = density[neighbors], density[:, None]
    allowed = theirs > mine
    if break_ties:
        allowed |= (theirs == mine) & (neighbors < own[:, None])
    allowed &= cost < 1 - float(tau)  # a float takes the precision of the costs
    best = np.where(allowed, cost, np.inf).argmin(axis=1)
    linked = allowed[own, best]
    parent = np.where(linked, neighbors[own, best], own)
    return parent, np.where(linked, strength[own, best], 0)


def find_roots(parent):
    """Follow parents up to the root of each node.

    Parameters
    ----------
    parent : ndarray of shape (n,)
        Index of the parent; a root is its own parent.

    Returns
    -------
    root : ndarray of shape (n,)
        Index of the root.

    Notes
    -----
    O(n log depth): each step halves the way that is left.
    """
    while True:
        above = parent[parent]
        if np.array_equal(above, parent):
            return parent
        parent = above


def merge_nodes(level, parent, node_feature="peak"):
    """Turn the trees of a level into the nodes of the next one.

    Parameters
    ----------
    level : Nodes
        Nodes that were linked.

    parent : ndarray of shape (n,), dtype int64
        From `link`.

    node_feature : {"peak", "mean"}, default="peak"
        Whether the feature of a tree is that of its peak, or the mean over its original
        rows, scaled to length one.

    Returns
    -------
    group : ndarray of shape (n,), dtype int64
        New node that each node has become part of.

    nodes : Nodes
        One for each peak, in the order of the peaks.

    peaks : ndarray of shape (n_peaks,), dtype int64
        The peaks as indices into `level`, ascending.
    """
    is_peak = parent == np.arange(len(parent))
    peaks = np.flatnonzero(is_peak)
    group = (np.cumsum(is_peak) - 1)[find_roots(parent)]
    means, sizes = group_means(level.means, level.sizes, group, len(peaks))
    features = level.features[peaks] if node_feature == "peak" else unit_rows(means)
    nodes = Nodes(level.nodes[peaks], features, means, sizes, level.depth + 1)
    return group, nodes, peaks


def group_means(values, sizes, group, n_groups):
    """Average rows that are averages themselves.

    Parameters
    ----------
    values : ndarray of shape (n, d)
        Rows.

    sizes : ndarray of shape (n,), dtype int64
        How often each row counts.

    group : ndarray of shape (n,), dtype int64
        Where each row belongs to. No group is empty.

    n_groups : int
        Number of groups.

    Returns
    -------
    means : ndarray of shape (n_groups, d), same dtype as `values`
        Weighted means, summed up in double precision.

    total : ndarray of shape (n_groups,), dtype int64
        Sum of the sizes in each group.
    """
    n_rows, n_columns = values.shape
    total = np.bincount(group, sizes, n_groups)
    starts = np.arange(n_rows + 1)
    member = sp.csc_array((sizes.astype(float), group, starts), (n_groups, n_rows))
    means = np.empty((n_groups, n_columns), values.dtype)
    for start in range(0, n_columns, _COLUMNS_AT_ONCE):
        columns = slice(start, start + _COLUMNS_AT_ONCE)
        means[:, columns] = (member @ values[:, columns]) / total[:, None]
    return means, total.astype(np.int64)


def unit_rows(X):
    """Scale rows to length one; rows of zeros stay what they are."""
    lengths = np.linalg.norm(X, axis=1, keepdims=True)
    return X / np.where(lengths > 0, lengths, 1)


@dataclass
class Forest:
    """What the recursion leaves behind, in terms of the n original rows.

    Parameters
    ----------
    labels : ndarray of shape (n,), dtype int64
        Clusters 0, 1, ... in the order of their root rows.

    parent : ndarray of shape (n,), dtype int64
        Row that each row, or the cluster that it stood for, was linked to; a root is its
        own parent.

    parent_proba : ndarray of shape (n,)
        Probability of that link; 0 for a root.

    density : ndarray of shape (n,)
        Density of each row in level 0; 0 for a row that is alone in the data.

    last_density : ndarray of shape (n,)
        Density of each row in the last level in which it was a node.

    level_labels : list of ndarray of shape (n,)
        Labels after each level.

    peaks : list of ndarray
        Rows that were peaks after each level, ascending.

    log : list of (int, int)
        Nodes and new links of each level.
    """

    labels: np.ndarray
    parent: np.ndarray
    parent_proba: np.ndarray
    density: np.ndarray
    last_density: np.ndarray
    level_labels: list
    peaks: list
    log: list

    @classmethod
    def of_rows(cls, n_rows):
        """Each row by itself, before any level."""
        own, zeros = np.arange(n_rows), np.zeros(n_rows, np.float32)
        return cls(own, own.copy(), zeros, zeros.copy(), zeros.copy(), [], [], [])

    def add_level(self, level, parent, parent_proba, density, group, peaks):
        """Take over the links of one more level."""
        rows = level.nodes
        self.parent[rows] = rows[parent]
        self.parent_proba[rows] = parent_proba
        if level.depth == 0:
            self.density[:] = density
        self.last_density[rows] = density
        self.labels = group[self.labels]
        self.level_labels.append(self.labels)
        self.peaks.append(rows[peaks])
        self.log.append((len(rows), len(rows) - len(peaks)))


def grow(
    X,
    model,
    *,
    n_neighbors,
    tau,
    max_levels=10,
    early_stop=False,
    min_nodes=2,
    threshold="prob",
    break_ties=True,
    node_feature="peak",
    search=knn_graph,
    first_level=None,
):
    """Cluster rows: build a graph, link, merge, and again until nothing is linked.

    Parameters
    ----------
    X : ndarray of shape (n_samples, n_features), dtype float32
        Rows of length one; at least one row.

    model : callable
        ``model(level)`` returns the probability (n, k) that each node of a `Level` and
        each of its neighbours belong together.

    n_neighbors : int
        Neighbours of a node, not counting itself.

    tau : float, sequence of float, or callable
        Probability that a link needs. A sequence is for level 0, 1, ..., its last item
        for all further levels; a callable gets the number of the level.

    max_levels : int, default=10
        Most levels to go through.

    early_stop : bool, default=False
        Whether to stop after a level, but the first, whose number of links exceeds one
        `n_neighbors`-th of that of the level before.

    min_nodes : int, default=2
        Stop before a level, but the first, with fewer nodes than this. The published
        method takes ``n_neighbors + 2``.

    threshold : {"prob", "sim"}, default="prob"
        Whether `tau` and the choice of the link are about probabilities or similarities.

    break_ties : bool, default=True
        See `link`.

    node_feature : {"peak", "mean"}, default="peak"
        See `merge_nodes`.

    search : callable, default=knn_graph
        See `make_level`.

    first_level : Level or None, default=None
        Level 0 if it is there already.

    Returns
    -------
    forest : Forest
        Clusters, links and densities.

    Notes
    -----
    Without search and model O(n_samples (n_neighbors + n_features)) for a level, and the
    next one has fewer nodes.

    References
    ----------
    .. [1] Xing et al., "Learning Hierarchical Graph Neural Networks for Image
       Clustering", ICCV 2021, Algorithm 1.

    Examples
    --------
    >>> import numpy as np
    >>> from skdeep.cluster._levels import grow
    >>> X = np.array([[1, 0], [0.96, 0.28], [0, 1], [0.28, 0.96]], dtype=np.float32)
    >>> forest = grow(X, lambda level: level.similarity, n_neighbors=2, tau=0.7)
    >>> forest.labels
    array([0, 0, 1, 1])
    >>> forest.log
    [(4, 2), (2, 0)]
    """
    forest, nodes = Forest.of_rows(len(X)), Nodes.of_rows(X)
    while nodes.depth < max_levels and len(nodes) > 1:
        if nodes.depth > 0 and len(nodes) < min_nodes:
            break
        level = first_level if nodes.depth == 0 else None
        if level is None:
            level = make_level(nodes, n_neighbors, search)
        proba = model(level)
        height = density(proba, level.similarity)
        cost = 1 - level.similarity if threshold == "sim" else None
        limit = tau_of_level(tau, level.depth)
        links = link(
            level.neighbors, proba, height, limit, break_ties=break_ties, cost=cost
        )
        group, nodes, peaks = merge_nodes(level, links[0], node_feature)
        forest.add_level(level, *links, height, group, peaks)
        if is_last(forest.log, n_neighbors if early_stop else 0):
            break
    return forest


def tau_of_level(tau, depth):
    """Threshold of one level, out of what `grow` takes as `tau`."""
    if isinstance(tau, Callable):
        return tau(depth)
    if isinstance(tau, (Sequence, np.ndarray)):
        return tau[min(depth, len(tau) - 1)]
    return tau


def is_last(log, least_ratio):
    """Whether the levels end with the present one.

    They do if it has added no link, or if the level before has added less than
    `least_ratio` times as many.
    """
    n_added = log[-1][1]
    return n_added == 0 or len(log) > 1 and log[-2][1] / n_added < least_ratio
