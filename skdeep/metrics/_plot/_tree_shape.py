"""Which merges of a linkage matrix to draw, so that thousands of rows stay readable.

A branch is drawn for each of the largest clusters, and a fork for each merge inside one
of them that joins two large parts. Every other merge adds a few rows to a branch and is
not drawn; its rows are counted with the largest leaf of that branch.
"""

from dataclasses import dataclass

import numpy as np


@dataclass
class TreeShape:
    """The part of a dendrogram that is drawn.

    Parameters
    ----------
    forks : list of (int, int, float, bool)
        Both parts, height, and whether the parts are clusters. Fork i has the number
        ``n_leaves + i``, and its parts have lower numbers. Leaves are numbered from top
        to bottom.

    leaf_heights : ndarray of shape (n_leaves,)
        Height at which the rows of a leaf are together.

    leaf_of_row : ndarray of shape (n_samples,), dtype int64
        Leaf of each row; -1 in clusters that are not drawn.
    """

    forks: list
    leaf_heights: np.ndarray
    leaf_of_row: np.ndarray

    @property
    def n_leaves(self):
        return len(self.leaf_heights)


def tree_shape(linkage, labels, max_leaves):
    """Choose what to draw of a dendrogram.

    Parameters
    ----------
    linkage : ndarray of shape (n_samples - 1, 4)
        As of ``scipy.cluster.hierarchy``.

    labels : ndarray of shape (n_samples,), dtype int64
        Clusters 0, 1, ..., each of them a subtree.

    max_leaves : int
        Largest number of leaves. What is large comes first: clusters by their rows,
        merges by the rows of their smaller part. A part that is less than half of what
        the average leaf would have is not drawn by itself.

    Returns
    -------
    shape : TreeShape

    Notes
    -----
    O(n_samples log n_samples).
    """
    cluster = clusters_of_nodes(linkage, labels)
    is_drawn, is_fork = _choose(linkage, labels, cluster, max_leaves)
    branches = _Branches(labels, is_drawn)
    for merge, (one, other, height, _) in enumerate(linkage.tolist()):
        parts = int(one), int(other)
        if cluster[len(labels) + merge] < 0:
            branches.join_clusters(*parts, height)
        elif is_fork[merge]:
            branches.fork(*parts, height, False)
        else:
            branches.absorb(*parts, height)
    return branches.shape()


def clusters_of_nodes(linkage, labels):
    """Cluster of each row and merge; -1 for merges of several clusters."""
    cluster = labels.tolist()
    for one, other in linkage[:, :2].astype(np.int64).tolist():
        cluster.append(cluster[one] if cluster[one] == cluster[other] else -1)
    n_subtrees = len(labels) - sum(c >= 0 for c in cluster[len(labels) :])
    if n_subtrees != labels.max() + 1:
        raise ValueError(
            f"The {labels.max() + 1} clusters of `labels` are not subtrees of the "
            "linkage; give labels that a cut of the same linkage has made, such as "
            "those of scipy.cluster.hierarchy.fcluster."
        )
    return cluster


def _choose(linkage, labels, cluster, max_leaves):
    """Clusters to draw, (n_clusters,), and merges to draw as forks, (n_samples - 1,)."""
    n = len(labels)
    rows = np.bincount(labels)
    sizes = np.concatenate([np.ones(n), linkage[:, 3]])
    smaller_part = sizes[linkage[:, :2].astype(np.int64)].min(axis=1)
    smaller_part[np.array(cluster[n:], dtype=np.int64) < 0] = 0
    smaller_part[smaller_part < n / (2 * max_leaves)] = 0
    # a cluster is larger than any smaller part in it, so no fork comes without it
    value = np.concatenate([rows, smaller_part])
    best = np.argsort(-value, kind="stable")[:max_leaves]
    chosen = np.zeros(len(value), bool)
    chosen[best] = value[best] > 0
    return np.split(chosen, [len(rows)])


class _Branches:
    """Branches while one goes through the merges from the rows up.

    A branch is what is drawn of a node: a leaf, called by one of its rows, or a fork,
    called by a number from n_samples on.
    """

    def __init__(self, labels, is_drawn):
        self.n = n = len(labels)
        self.is_drawn = is_drawn[labels]
        self.branch = [row if is_drawn[c] else None for row, c in enumerate(labels)]
        self.leaf = list(range(n))  # largest leaf of each node
        self.size = [1] * n
        self.home = np.arange(n)  # leaf, or the way to it, of each row
        self.heights = np.zeros(n)
        self.forks = []

    def absorb(self, one, other, height):
        """Add the rows of the smaller part to the other one."""
        forked = [self._is_fork(part) for part in (one, other)]
        if (forked[1], self.size[other]) > (forked[0], self.size[one]):
            one, other = other, one
        self.home[self.leaf[other]] = self.leaf[one]
        if not self._is_fork(one):
            self.heights[self.leaf[one]] = height
        self._add(one, other, self.branch[one], self.leaf[one])

    def fork(self, one, other, height, of_clusters):
        """Draw a fork of two parts, the larger one on top."""
        if self.size[other] > self.size[one]:
            one, other = other, one
        self.forks.append((self.branch[one], self.branch[other], height, of_clusters))
        number = self.n + len(self.forks) - 1
        self._add(one, other, number, self.leaf[one])

    def join_clusters(self, one, other, height):
        """Draw a fork if both sides are drawn."""
        if self.branch[one] is None or self.branch[other] is None:
            kept = other if self.branch[one] is None else one
            self._add(one, other, self.branch[kept], self.leaf[kept])
        else:
            self.fork(one, other, height, True)

    def shape(self):
        """The picture, all merges being made."""
        leaves = self._leaves_from_top()
        place = {leaf: position for position, leaf in enumerate(leaves)}
        place |= {self.n + i: len(leaves) + i for i in range(len(self.forks))}
        forks = [(place[one], place[other], *rest) for one, other, *rest in self.forks]
        home = self.home
        while (home[home] != home).any():
            home = home[home]
        position = np.full(self.n, -1)
        position[leaves] = np.arange(len(leaves))
        leaf_of_row = np.where(self.is_drawn, position[home], -1)
        return TreeShape(forks, self.heights[leaves], leaf_of_row)

    def _leaves_from_top(self):
        waiting, leaves = [self.branch[-1]], []
        while waiting:
            branch = waiting.pop()
            if branch < self.n:
                leaves.append(branch)
            else:
                one, other, *_ = self.forks[branch - self.n]
                waiting += [other, one]
        return leaves

    def _is_fork(self, node):
        return self.branch[node] is not None and self.branch[node] >= self.n

    def _add(self, one, other, branch, leaf):
        self.branch.append(branch)
        self.leaf.append(leaf)
        self.size.append(self.size[one] + self.size[other])
