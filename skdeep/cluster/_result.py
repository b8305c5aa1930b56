"""A clustering and what can be asked about it."""

from dataclasses import dataclass
from numbers import Real

import numpy as np
import scipy.sparse as sp
from scipy.sparse.csgraph import connected_components
from sklearn.metrics import normalized_mutual_info_score

from skdeep.exceptions import InvalidParameterError
from skdeep.metrics import bcubed_f_score, pairwise_f_score

# heights of merges that make the clusters are clipped to exactly 1 - tau
_ROUNDING = 1e-9


@dataclass
class ClusterResult:
    """Clusters of a set of rows, the trees behind them, and ways to cut them again.

    Parameters
    ----------
    labels : ndarray of shape (n_samples,), dtype int64
        Cluster of each row: 0, 1, ... in the order of their exemplars.

    parent : ndarray of shape (n_samples,), dtype int64
        Row that each row, or the cluster that it stands for, is linked to. The root of
        a cluster is its own parent.

    parent_proba : ndarray of shape (n_samples,)
        Probability of that link in [0, 1], or its similarity with ``threshold="sim"``;
        0 for a root.

    density : ndarray of shape (n_samples,)
        How much each row is one with its neighbours, in [-1, 1].

    level_labels : list of ndarray of shape (n_samples,)
        Clusters after each level.

    level_sizes : list of (int, int)
        Nodes of each level, and links found there.

    tau : float
        Probability above which clusters were linked.

    open_edges : tuple of three ndarray of shape (n_edges,)
        Rows at both ends, and the probability, of edges between different clusters.

    knn_recall : float, default=1.0
        Share of the true nearest neighbours in the graph, measured on a sample of the
        rows; 1 for an exact search.

    graph : tuple or None, default=None
        Rows, neighbours, similarities and probabilities, to attach further rows to.
    """

    labels: np.ndarray
    parent: np.ndarray
    parent_proba: np.ndarray
    density: np.ndarray
    level_labels: list
    level_sizes: list
    tau: float
    open_edges: tuple
    knn_recall: float = 1.0
    graph: tuple | None = None

    @property
    def n_clusters(self):
        """Number of clusters."""
        return len(self.exemplars)

    @property
    def exemplars(self):
        """Row in the middle of each cluster, its root: ndarray of shape (n_clusters,)."""
        return np.flatnonzero(self.parent == np.arange(len(self.parent)))

    @property
    def outlier_scores(self):
        """``(1 - density) / 2``: 0 for rows amid their like, 1 for rows alone."""
        return (1 - self.density) / 2

    @property
    def hierarchy(self):
        """Linkage matrix (n_samples - 1, 4), as of ``scipy.cluster.hierarchy``.

        The height of a merge is one minus the probability of its link, at most
        ``1 - tau`` within clusters and more between them; what no edge connects is
        merged at height 1. Computed anew at each access, in O(n_samples log n_samples).
        """
        n = len(self.labels)
        ends, others, heights = self._edges()
        order = np.argsort(heights, kind="stable")
        return merge_in_order(n, ends[order], others[order], heights[order])

    def cut(self, tau):
        """Clusters for another threshold, without the network.

        Parameters
        ----------
        tau : float
            Probability in [0, 1]: more cuts links inside clusters, less adds links
            between them. That of the result gives its `labels`.

        Returns
        -------
        labels : ndarray of shape (n_samples,), dtype int64
            Clusters 0, 1, ...

        Notes
        -----
        O(n_samples). The levels are not built again; with another `tau` from the start
        they could differ: communities of rows form without it. At 0 all that an edge
        connects comes together, and no more.
        """
        if not isinstance(tau, Real) or not 0 <= tau <= 1:
            raise InvalidParameterError(
                f"`tau` must be a number in [0, 1], got {tau!r}."
            )
        n = len(self.labels)
        ends, others, heights = self._edges()
        kept = heights <= 1 - tau + _ROUNDING
        ones = np.ones(np.count_nonzero(kept), bool)
        links = sp.coo_array((ones, (ends[kept], others[kept])), (n, n))
        _, component = connected_components(links, directed=False)
        is_root = np.ones(n, bool)
        is_root[ends[kept & self._is_tree_edge()]] = False
        roots = np.flatnonzero(is_root)
        _, first = np.unique(component[roots], return_index=True)
        rank = np.empty(len(first), np.int64)
        rank[np.argsort(roots[first])] = np.arange(len(first))
        return rank[component]

    def tau_path(self, y_true, taus=None):
        """Scores of the clusters for many thresholds.

        Parameters
        ----------
        y_true : array-like of shape (n_samples,)
            True classes.

        taus : array-like of shape (n_taus,), default=None
            Thresholds; None is 0, 0.05, ..., 1.

        Returns
        -------
        path : dict of ndarray of shape (n_taus,)
            ``"tau"``, ``"n_clusters"``, ``"pairwise_f"``, ``"bcubed_f"``, ``"nmi"``.
        """
        taus = np.linspace(0, 1, 21) if taus is None else np.atleast_1d(taus)
        cuts = [self.cut(tau) for tau in taus]
        scores = {
            "pairwise_f": pairwise_f_score,
            "bcubed_f": bcubed_f_score,
            "nmi": normalized_mutual_info_score,
        }
        path = {"tau": taus, "n_clusters": np.array([cut.max() + 1 for cut in cuts])}
        for name, score in scores.items():
            path[name] = np.array([score(y_true, cut) for cut in cuts])
        return path

    def _edges(self):
        """Ends, other ends and heights of all edges: those of the trees come first."""
        linked = np.flatnonzero(self.parent != np.arange(len(self.parent)))
        limit = 1 - self.tau
        inside = np.minimum(1 - self.parent_proba[linked].astype(float), limit)
        ends, others, probability = self.open_edges
        between = np.maximum(1 - probability.astype(float), limit + 2 * _ROUNDING)
        return (
            np.concatenate([linked, ends]),
            np.concatenate([self.parent[linked], others]),
            np.concatenate([inside, between]),
        )

    def _is_tree_edge(self):
        n_tree = len(self.parent) - self.n_clusters
        return np.arange(n_tree + len(self.open_edges[0])) < n_tree


def merge_in_order(n, ends, others, heights):
    """Merge n rows along edges sorted by height.

    Parameters
    ----------
    n : int
        Number of rows.

    ends, others, heights : ndarray of shape (n_edges,)
        Edges; those within a cluster that is one already are passed over.

    Returns
    -------
    linkage : ndarray of shape (n - 1, 4)
        See ``scipy.cluster.hierarchy.linkage``. What the edges leave apart is merged
        at height 1.
    """
    parent = list(range(2 * n - 1))
    sizes = [1] * n + [0] * (n - 1)

    def find(node):
        while parent[node] != node:
            parent[node] = parent[parent[node]]
            node = parent[node]
        return node

    merges = []

    def merge(one, other, height):
        one, other = find(one), find(other)
        if one == other:
            return
        new = n + len(merges)
        parent[one] = parent[other] = new
        sizes[new] = sizes[one] + sizes[other]
        merges.append((min(one, other), max(one, other), height, sizes[new]))

    for edge in zip(ends.tolist(), others.tolist(), heights.tolist()):
        merge(*edge)
    highest = max(1.0, heights.max(initial=0))  # with tau=0 by rounding above 1
    for row in range(1, n):
        merge(0, row, highest)
    return np.array(merges, dtype=float).reshape(n - 1, 4)
