"""Training graphs of the published method, and mini-batches of their nodes.

The levels of training come from the classes: nodes link to the most similar neighbour of
larger true density. All levels, for several numbers of neighbours, teach one network.
"""

from dataclasses import dataclass

import numpy as np
import torch

from skdeep.cluster._levels import (
    Level,
    Nodes,
    link,
    make_level,
    merge_nodes,
    true_density,
)
from skdeep.cluster._paper_network import (
    GraphBatch,
    as_tensor,
    edge_weights,
    input_parts,
    neighbor_sum,
)
from skdeep.neighbors import knn_graph


@dataclass
class TrainingGraph:
    """A level and what is true of it.

    Parameters
    ----------
    level : Level
        n nodes with k neighbours each.

    labels : ndarray of shape (n,)
        Class of each node: that of the row that stands for it.

    density : ndarray of shape (n,), dtype float32
        True density.

    same : ndarray of shape (n, k), dtype bool
        Whether a node and its neighbour are of one class.

    usable : ndarray of shape (n, k), dtype bool
        Whether the neighbour is the denser one.
    """

    level: Level
    labels: np.ndarray
    density: np.ndarray
    same: np.ndarray
    usable: np.ndarray

    @classmethod
    def of_level(cls, level, labels):
        """Work out what follows from the classes of the nodes."""
        neighbors = level.neighbors
        density = true_density(neighbors, level.similarity, labels)
        same = labels[neighbors] == labels[:, None]
        return cls(level, labels, density, same, density[neighbors] > density[:, None])


def label_graphs(X, y, n_neighbors, n_levels, *, search=knn_graph, first_level=None):
    """Build the levels that follow from the classes, for one number of neighbours.

    Parameters
    ----------
    X : ndarray of shape (n_samples, n_features), dtype float32
        At least 2 rows, of length one.

    y : ndarray of shape (n_samples,)
        Their classes.

    n_neighbors : int
        Neighbours of a node, not counting itself.

    n_levels : int
        Most levels to build.

    search : callable, default=knn_graph
        See `skdeep.cluster._levels.make_level`.

    first_level : Level or None, default=None
        Level 0 if it is there already.

    Returns
    -------
    graphs : list of TrainingGraph
        Level 0, 1, ...; a level above the first with less than ``n_neighbors + 2`` nodes
        is left out.

    Notes
    -----
    Whether a link is right plays no part, only densities do: from level 1 on a node may
    hold rows of other classes than its own.
    """
    level, labels = first_level, y
    if level is None:
        level = make_level(Nodes.of_rows(X), n_neighbors, search)
    graphs = [TrainingGraph.of_level(level, labels)]
    while len(graphs) < n_levels:
        graph = graphs[-1]
        parent, _ = link(
            level.neighbors,
            level.similarity,
            graph.density,
            tau=0,
            break_ties=False,
        )
        _, nodes, peaks = merge_nodes(level, parent)
        if len(nodes) < n_neighbors + 2 or len(nodes) == len(level):
            break
        level, labels = make_level(nodes, n_neighbors, search), labels[peaks]
        graphs.append(TrainingGraph.of_level(level, labels))
    return graphs


def training_graphs(X, y, fit_neighbors, fit_levels, *, search=knn_graph):
    """Build the levels for several numbers of neighbours.

    Parameters
    ----------
    X : ndarray of shape (n_samples, n_features), dtype float32
        At least 2 rows, of length one.

    y : ndarray of shape (n_samples,)
        Their classes.

    fit_neighbors : sequence of int
        Numbers of neighbours.

    fit_levels : sequence of int
        Most levels for each of them.

    search : callable, default=knn_graph
        See `skdeep.cluster._levels.make_level`.

    Returns
    -------
    graphs : list of TrainingGraph
        At least one for each number of neighbours.

    Notes
    -----
    The rows are searched once, for the largest number of neighbours.
    """
    widest = make_level(Nodes.of_rows(X), max(fit_neighbors), search)
    graphs = []
    for n_neighbors, n_levels in zip(fit_neighbors, fit_levels):
        first = Level(
            **vars(Nodes.of_rows(X)),
            neighbors=np.ascontiguousarray(widest.neighbors[:, :n_neighbors]),
            similarity=np.ascontiguousarray(widest.similarity[:, :n_neighbors]),
        )
        graphs += label_graphs(
            X, y, n_neighbors, n_levels, search=search, first_level=first
        )
    return graphs


class GraphBatches:
    """Mini-batches of nodes, from several graphs in turn.

    Parameters
    ----------
    graphs : list of TrainingGraph
        The first one has as many batches in a pass as it takes to see all its nodes; so
        have the others, of which smaller ones are begun again when they are used up.

    module : LanderNetwork
        Network that the batches are for: it decides what a batch has to hold.

    batch_size : int
        Centres of a batch.

    shuffle : bool, default=True
        Whether nodes come in random order. Passes go on then where the last one has
        ended in a graph; otherwise each pass is like the first.

    generator : torch.Generator or None, default=None
        Source of the order; needed with `shuffle`.

    Notes
    -----
    All neighbours of all nodes are in the batch, up to the depth of the network: its
    output for a centre is that for the whole graph. With one layer a batch takes
    O(batch_size k D).
    """

    def __init__(self, graphs, module, batch_size, *, shuffle=True, generator=None):
        self.shuffle = shuffle
        self.n_rounds = -(-len(graphs[0].level) // batch_size)
        self.passes = [
            _EndlessPass(NodeSampler(graph, module), batch_size, shuffle, generator)
            for graph in graphs
        ]

    def __len__(self):
        return self.n_rounds * len(self.passes)

    def __iter__(self):
        if not self.shuffle:
            for one in self.passes:
                one.rest = one.rest[:0]
        for _ in range(self.n_rounds):
            for one in self.passes:
                yield one.next_batch()


class _EndlessPass:
    """Takes nodes of one graph in turn, and begins again when they are used up."""

    def __init__(self, sampler, batch_size, shuffle, generator):
        self.sampler = sampler
        self.batch_size = batch_size
        self.shuffle, self.generator = shuffle, generator
        self.rest = np.empty(0, np.int64)

    def next_batch(self):
        if len(self.rest) == 0:
            n_nodes = len(self.sampler)
            if self.shuffle:
                self.rest = torch.randperm(n_nodes, generator=self.generator).numpy()
            else:
                self.rest = np.arange(n_nodes)
        nodes, self.rest = np.split(self.rest, [self.batch_size])
        return self.sampler.take(nodes)


class NodeSampler:
    """Cuts batches out of one graph.

    Parameters
    ----------
    graph : TrainingGraph
        Graph with n nodes.

    module : LanderNetwork
        Network that the batches are for.
    """

    def __init__(self, graph, module):
        self.neighbors = graph.level.neighbors
        self.n_hops = module.n_hops
        weight = edge_weights(graph.level)
        self.weight = weight.numpy()
        # kept apart: features and means of level 0 are one array, shared by its graphs
        self.parts = input_parts(graph.level, module.use_cluster_features)
        if module.sums_first:
            neighbors = as_tensor(self.neighbors)
            sums = {}
            for part in self.parts:
                if part.data_ptr() not in sums:
                    sums[part.data_ptr()] = neighbor_sum(part, neighbors, weight)
            self.parts += tuple(sums[part.data_ptr()] for part in self.parts)
        self.targets = (
            graph.level.similarity,
            graph.density,
            graph.same,
            graph.usable,
        )
        self.position = np.zeros(len(self.neighbors), np.int64)

    def __len__(self):
        return len(self.neighbors)

    def take(self, centers):
        """Batch of some nodes.

        Parameters
        ----------
        centers : ndarray of shape (B,), dtype int64
            Nodes, none twice.

        Returns
        -------
        batch : GraphBatch
            Input of the network.

        target : tuple of tensors
            Second argument of `LanderLoss`.
        """
        # one hop for the edges to the centres, the others for the layers
        sets = [centers]
        for _ in range(self.n_hops + 1):
            sets.append(self._with_neighbors(sets[-1]))
        self.position[sets[-1]] = np.arange(len(sets[-1]))
        hops = [self._edges_to(nodes) for nodes in reversed(sets[1:-1])]
        nodes = torch.from_numpy(sets[-1])
        inputs = torch.cat([part.index_select(0, nodes) for part in self.parts], 1)
        neighbors, _ = self._edges_to(centers)
        target = tuple(torch.from_numpy(values[centers]) for values in self.targets)
        return GraphBatch(inputs, hops, neighbors), target

    def _with_neighbors(self, nodes):
        """Some nodes, and behind them their neighbours as far as they are others."""
        is_new = np.zeros(len(self), bool)
        is_new[self.neighbors[nodes]] = True
        is_new[nodes] = False
        return np.concatenate([nodes, np.flatnonzero(is_new)])

    def _edges_to(self, nodes):
        """Positions of the neighbours of some nodes, and weights of the edges."""
        return (
            torch.from_numpy(self.position[self.neighbors[nodes]]),
            torch.from_numpy(self.weight[nodes]),
        )
