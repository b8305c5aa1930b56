"""The default mode: link probabilities from the structure of the graph.

Rows are looked at twice; the second look sees what the first one found around. Groups of
rows have a network of their own, which also sees how the rows of two groups are linked.
"""

from dataclasses import dataclass, replace

import numpy as np
import scipy.sparse as sp
import torch

from skdeep.cluster._edge_features import (
    N_REFINED,
    EdgeFeatures,
    level_features,
    n_level_features,
    refined_features,
)
from skdeep.cluster._levels import (
    Forest,
    Level,
    density,
    link,
    make_level,
    merge_nodes,
    unit_rows,
)
from skdeep.cluster._loose import find_twins, inside_share, set_free
from skdeep.cluster._nearby import bring_together
from skdeep.cluster._partition import merge_pairs, partition

_N_BETWEEN = 15
# neighbours of a group: there are few groups, and few of them matter
_MOST_GROUP_NEIGHBORS = 10
_LEAST_EVIDENCE = 0.01
_FEW_LINKS = 0.002  # of the nodes: so few mergers are not worth another level
# a network is five times faster while its values stay in the cache
_EDGES_AT_ONCE = 2**14


def n_features(kind, n_coordinates):
    """Features that each of the three networks reads."""
    n = n_level_features(kind, n_coordinates)
    return n, n + N_REFINED, n + _N_BETWEEN


class RowGraph:
    """Level 0 and what is known about its edges.

    Parameters
    ----------
    level : Level
        The graph over rows.

    kind : {"structural", "embedding", "both"}
        See `level_features`.

    Attributes
    ----------
    features : EdgeFeatures
        What the next network to be asked reads.

    probability : ndarray of shape (n, k), dtype float32
        Links, after `look`.

    near : tuple or None
        The same graph with its rows brought together, the links, and where each row is.
    """

    def __init__(self, level, kind):
        from skdeep.cluster._kernels import find_reverse

        self.near = None
        self.level, self.kind = level, kind
        self.reverse = find_reverse(level.neighbors)
        self.features = level_features(level, self.reverse, kind)

    def look(self, network):
        """Ask a network about the links, for the first or for the second time."""
        self.probability = ask(network, self.features)
        return self.probability

    @classmethod
    def linked(cls, level, kind, networks):
        """Graph with the links that the networks for both looks find, and no more."""
        near, place = bring_together(level)
        graph = cls(near, kind)
        graph.look(networks.first)
        graph.refine()
        graph.look(networks.second)
        graph.reverse = graph.features = None  # more memory than all the rest
        if near is not level:
            graph.near = near, graph.probability, place
            graph.level, graph.probability = level, graph.probability[place]
        return graph

    def refine(self):
        """Describe the edges also by the links found so far."""
        refined = refined_features(self.level, self.reverse, self.probability)
        self.features = self.features + refined

    @property
    def density(self):
        return density(self.probability, self.level.similarity)

    def merge(self, decode, tau, resolution):
        """Parents, and their probabilities, of the rows."""
        level, probability, place = self.near or (self.level, self.probability, None)
        graph = level.neighbors, probability, density(probability, level.similarity)
        if decode == "partition":
            parent, parent_proba = partition(*graph, resolution)
        else:
            parent, parent_proba = link(*graph, tau)
        if place is None:
            return parent, parent_proba
        return np.argsort(place)[parent][place], parent_proba[place]


def ask(network, features):
    """Link probabilities of all edges, a slice at a time.

    Parameters
    ----------
    network : LinkNetwork
        In evaluation mode.

    features : EdgeFeatures
        Of a graph with n nodes and k neighbours.

    Returns
    -------
    probability : ndarray of shape (n, k), dtype float32
    """
    device = network.mean.device
    n, k = features.neighbors.shape
    answer = np.empty((n, k), np.float32)
    size = max(1, _EDGES_AT_ONCE // max(k, 1))
    start = 0
    with torch.inference_mode():
        while start < n:
            rows = slice(start, start + size)
            part = torch.from_numpy(features.take(rows))
            try:
                answer[rows] = torch.sigmoid(network(part.to(device))).cpu().numpy()
            except torch.OutOfMemoryError:
                if size == 1:
                    raise
                size = max(1, size // 2)
                continue
            start += size
    answer[features.of_edges[0] <= 0] = 0  # rows at right angles or beyond are no kin
    return answer


class Groups:
    """Clusters of rows found so far, and the links between them.

    Parameters
    ----------
    graph : RowGraph
        Graph over the rows, with probabilities.

    nodes : Nodes
        The clusters.

    group : ndarray of shape (n_rows,), dtype int64
        Cluster of each row.
    """

    def __init__(self, graph, nodes, group):
        neighbors, probability = graph.level.neighbors, graph.probability
        n, k = neighbors.shape
        self.nodes, self.n_neighbors, self.kind = nodes, k, graph.kind
        ends = np.repeat(group, k), group[neighbors].ravel()
        shape = len(nodes), len(nodes)
        ones = np.ones(n * k, np.float32)
        self.counts = sp.csr_array((ones, ends), shape=shape)
        self.links = sp.csr_array((probability.ravel(), ends), shape=shape)

    def merge(self, group, nodes):
        """Clusters of clusters."""
        n = len(self.nodes)
        starts = np.arange(n + 1)
        member = sp.csr_array((np.ones(n, np.float32), group, starts), (n, len(nodes)))
        self.counts = (member.T @ self.counts @ member).tocsr()
        self.links = (member.T @ self.links @ member).tocsr()
        self.nodes = nodes

    def graph(self, search):
        """Graph over the clusters, with the features of its edges.

        Clusters are looked at from the mean of all rows: what all rows have in common, as
        counts and pixels do, would make any two clusters alike.
        """
        from skdeep.cluster._kernels import find_reverse

        nodes = self.nodes
        k = min(self.n_neighbors, _MOST_GROUP_NEIGHBORS, len(nodes) - 2)
        center = np.average(nodes.means, axis=0, weights=nodes.sizes)
        seen = replace(nodes, features=unit_rows(nodes.features - center))
        level = make_level(seen, max(1, k), search)
        reverse = find_reverse(level.neighbors)
        between, evidence = self._between(level.neighbors)
        features = level_features(level, reverse, self.kind) + between
        level = replace(level, features=nodes.features)
        return GroupGraph(level, features, reverse, evidence)

    def _between(self, neighbors):
        """How the rows of two clusters are linked, beside what their sizes allow.

        Returns
        -------
        features : EdgeFeatures

        evidence : ndarray of shape (n, k)
            Links between two clusters, as a share of what two halves of one cluster
            would have.
        """
        sizes = self.nodes.sizes.astype(np.float32)
        edges = sizes * self.n_neighbors  # that start in a cluster
        mine, theirs = edges[:, None], edges[neighbors]
        # what two halves of one cluster would have between them in both directions
        expected = 2 * mine * theirs / (mine + theirs)
        counts, links = (_both_ways(M, neighbors) for M in (self.counts, self.links))
        n_edges, n_links = sum(counts), sum(links)
        of_edges = [
            _log(counts[0] / mine),
            _log(counts[1] / theirs),
            _log(links[0] / mine),
            _log(links[1] / theirs),
            n_links / np.maximum(n_edges, 1),
            _log(n_links),
            _log(n_edges / expected),
            _log(n_links / expected),
            np.log(np.minimum(mine, theirs)),
        ]
        inside = [M.diagonal() / edges for M in (self.counts, self.links)]
        features = EdgeFeatures(neighbors, of_edges, [np.log(sizes), *inside])
        return features, n_links / expected


@dataclass
class GroupGraph:
    """Graph over clusters.

    Parameters
    ----------
    level : Level
        The graph.

    features : EdgeFeatures
        What the network reads about its edges.

    reverse : ndarray of shape (n, k), dtype int64
        From `find_reverse`.

    evidence : ndarray of shape (n, k)
        Links between the rows of two clusters, from `Groups`.

    probability : ndarray of shape (n, k), dtype float32
        Links, after `merge`; 0 where next to no rows are linked, whatever the network
        makes of the means.
    """

    level: Level
    features: EdgeFeatures
    reverse: np.ndarray
    evidence: np.ndarray
    probability: np.ndarray | None = None

    @property
    def density(self):
        return density(self.probability, self.level.similarity)

    def merge(self, network, decode, tau):
        """Ask the network; parents, and their probabilities, of the clusters."""
        self.probability = ask(network, self.features)
        self.probability[self.evidence < _LEAST_EVIDENCE] = 0
        what = self.level.neighbors, self.probability, self.density, tau
        return (
            merge_pairs(*what, self.reverse) if decode == "partition" else link(*what)
        )


def _both_ways(matrix, neighbors):
    """Entries of a matrix along the edges of a graph, and against them."""
    rows = np.arange(len(neighbors)).repeat(neighbors.shape[1])
    columns = neighbors.ravel()
    matrix = sp.csr_array(matrix)
    there, back = matrix[rows, columns], matrix[columns, rows]
    return [np.asarray(part).reshape(neighbors.shape) for part in (there, back)]


def _log(ratio):
    return np.log(ratio + 1e-3)


def cluster(
    graph,
    networks,
    *,
    tau,
    decode,
    resolution,
    min_inside,
    max_levels,
    node_feature,
    search,
):
    """Cluster rows by three trained networks.

    Parameters
    ----------
    graph : RowGraph
        Level 0, looked at twice.

    networks : LinkNetworks
        In evaluation mode.

    tau, decode, resolution, min_inside, max_levels, node_feature
        Parameters of the estimator.

    search : callable
        See `make_level`.

    Returns
    -------
    forest : Forest
        Clusters, links and densities.

    rest : tuple of three ndarray
        Edges between the clusters that remain: both root rows, and the probability.
    """
    forest, rows = Forest.of_rows(len(graph.level)), graph
    links = graph.merge(decode, tau, resolution)
    group, nodes, peaks = merge_nodes(graph.level, links[0], node_feature)
    forest.add_level(graph.level, *links, graph.density, group, peaks)
    groups = Groups(graph, nodes, group)
    while (
        nodes.depth < max_levels
        and len(nodes) > 2
        and forest.log[-1][1] > _FEW_LINKS * len(nodes)
    ):
        graph = groups.graph(search)
        links = graph.merge(networks.groups, decode, tau)
        group, nodes, peaks = merge_nodes(graph.level, links[0], node_feature)
        forest.add_level(graph.level, *links, graph.density, group, peaks)
        groups.merge(group, nodes)
    rest = open_edges(graph.level, graph.probability, forest)
    if decode == "partition" and min_inside > 0:
        edges = forest.labels, rows.level.neighbors
        share = inside_share(*edges, rows.probability)
        twin = find_twins(*edges, rows.level.similarity)
        rest = set_free(forest, rest, share, min_inside, twin)
    return forest, rest


def open_edges(level, probability, forest):
    """Edges of the last level between nodes that did not come together."""
    ends = np.repeat(level.nodes, level.neighbors.shape[1])
    others = level.nodes[level.neighbors].ravel()
    apart = forest.labels[ends] != forest.labels[others]
    roots = forest.peaks[-1]
    ends, others = (roots[forest.labels[part[apart]]] for part in (ends, others))
    return ends, others, probability.ravel()[apart]
