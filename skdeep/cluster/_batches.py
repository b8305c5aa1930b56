"""Mini-batches of nodes with all their edges."""

import numpy as np
import torch


class EdgeBatches:
    """Nodes of several graphs in random order, a graph at a time in each batch.

    Parameters
    ----------
    graphs : list of (EdgeFeatures, ndarray of shape (n, k))
        Features of a graph, and whether the ends of each edge are of one class, as
        float32.

    batch_size : int
        Edges a batch, rounded to whole nodes.

    generator : torch.Generator or None
        Source of the order; None keeps the nodes in order.
    """

    def __init__(self, graphs, batch_size, generator):
        self.graphs = [graph for graph in graphs if graph[1].size]
        self.n_nodes = [
            max(1, int(batch_size) // same.shape[1]) for _, same in self.graphs
        ]
        self.generator = generator

    def __len__(self):
        return sum(
            -(-len(graph[1]) // size) for graph, size in zip(self.graphs, self.n_nodes)
        )

    def __iter__(self):
        parts = [
            (index, rows)
            for index, (graph, size) in enumerate(zip(self.graphs, self.n_nodes))
            for rows in self._shuffled(len(graph[1])).split(size)
        ]
        for place in self._shuffled(len(parts)).tolist():
            index, rows = parts[place]
            features, same = self.graphs[index]
            rows = rows.numpy()
            yield torch.from_numpy(features.take(rows)), torch.from_numpy(same[rows])

    def _shuffled(self, n):
        if self.generator is None:
            return torch.arange(n)
        return torch.randperm(n, generator=self.generator)

    def moments(self, n_nodes=20_000):
        """Mean and standard deviation of the features over some nodes of each graph."""
        parts = []
        for features, same in self.graphs:
            rows = np.unique(np.linspace(0, len(same) - 1, n_nodes, dtype=int))
            parts.append(features.take(rows).reshape(-1, features.n_features))
        values = np.concatenate(parts)
        mean = values.mean(axis=0, dtype=float)
        scale = values.std(axis=0, dtype=float)
        return mean, np.where(scale > 1e-6, scale, 1.0)
