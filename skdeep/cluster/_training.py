"""Training of the default mode: rows, rows once more, then groups of rows."""

from dataclasses import dataclass

import numpy as np
import torch

from skdeep.cluster._batches import EdgeBatches
from skdeep.cluster._levels import merge_nodes
from skdeep.cluster._structural import Groups, RowGraph

# cuts of the training rows from which links between groups are learned: coarser and
# finer than the one in use, so that any mistake of it has been seen
_RESOLUTION_FACTORS = (0.5, 1, 2, 4, 8)
_TAUS = (0.4, 0.5, 0.6, 0.7)


@dataclass
class Scene:
    """Labelled rows in a graph of their own.

    Parameters
    ----------
    graph : RowGraph
        Graph over the rows.

    y : ndarray of shape (n_samples,), dtype int64
        Codes of their classes.

    taught : ndarray of shape (n_samples,), dtype bool
        Rows whose edges are learned from. The others are there, as they would be among
        new rows, but nobody tells the network about them.
    """

    graph: RowGraph
    y: np.ndarray
    taught: np.ndarray

    def example(self):
        """What `EdgeBatches` takes."""
        return example(self.graph.level, self.graph.features, self.y, self.taught)

    def held_out(self):
        """The same about the rows that are not taught."""
        return example(self.graph.level, self.graph.features, self.y, ~self.taught)


def example(level, features, y, taught):
    """Features of the edges around the taught nodes, and the truth about them."""
    neighbors = level.neighbors
    same = (y[neighbors] == y[:, None]).astype(np.float32)
    if taught.all():
        return features, same
    return Part(features, np.flatnonzero(taught)), same[taught]


@dataclass
class Part:
    """Features of some nodes of a graph."""

    features: object
    nodes: np.ndarray

    @property
    def n_features(self):
        return self.features.n_features

    def take(self, rows):
        return self.features.take(self.nodes[rows])


def train_networks(networks, scenes, train, *, settings, search, generator):
    """Train the three networks one after the other.

    Parameters
    ----------
    networks : LinkNetworks
        With fresh weights.

    scenes : list of Scene
        Training graphs; their probabilities are those of the last look afterwards.

    train : callable
        ``train(network, batches, epochs_factor, held_out)`` fits one network; the last
        argument is batches of rows that are not taught, or None.

    settings : dict
        ``batch_size``, ``decode``, ``resolution``, ``tau``, ``node_feature``, and
        ``group_factor``, by which passes over groups outnumber those over rows.

    search : callable
        See `make_level`.

    generator : torch.Generator
        Source of the order of the batches.
    """
    size = settings["batch_size"]
    for network in (networks.first, networks.second):
        batches = EdgeBatches([scene.example() for scene in scenes], size, generator)
        held_out = [scene.held_out() for scene in scenes if not scene.taught.all()]
        held_out = EdgeBatches(held_out, size, None) if held_out else None
        fit_network(network, batches, held_out, train, 1)
        for scene in scenes:
            scene.graph.look(network)
            if network is networks.first:
                scene.graph.refine()
    cuts = [cut for scene in scenes for cut in cut_rows(scene, settings)]
    examples = group_examples(cuts, None, settings, search)
    if not examples:
        return
    # at first about clusters of rows, then also about clusters that it makes of them
    for network in (None, networks.groups):
        if network is not None:
            examples = group_examples(cuts, network, settings, search)
        batches = EdgeBatches(examples, size, generator)
        fit_network(networks.groups, batches, None, train, settings["group_factor"])


def fit_network(network, batches, held_out, train, epochs_factor):
    """Set the scale of the features, unless the network has one; then train."""
    if not network.mean.any():
        mean, scale = batches.moments()
        network.mean.copy_(torch.from_numpy(mean))
        network.scale.copy_(torch.from_numpy(scale))
    train(network.train(), batches, epochs_factor, held_out)
    network.eval()


def cut_rows(scene, settings):
    """Cluster the rows of a scene coarser and finer than later.

    Yields
    ------
    scene : Scene

    nodes : Nodes
        Clusters of its rows.

    group : ndarray of shape (n_samples,), dtype int64
        Cluster of each row.
    """
    graph = scene.graph
    if settings["decode"] == "partition":
        cuts = [{"resolution": f * settings["resolution"]} for f in _RESOLUTION_FACTORS]
    else:
        cuts = [{"tau": tau} for tau in _TAUS]
    chosen = {name: settings[name] for name in ("decode", "tau", "resolution")}
    for cut in cuts:
        parent, _ = graph.merge(**{**chosen, **cut})
        group, nodes, _ = merge_nodes(graph.level, parent, settings["node_feature"])
        yield scene, nodes, group


def group_examples(cuts, network, settings, search):
    """Training examples about the links between clusters of rows.

    Parameters
    ----------
    cuts : list of (Scene, Nodes, ndarray)
        From `cut_rows`.

    network : LinkNetwork or None
        What merges the clusters for further examples: all probable links at once, so
        that wrong ones are among them. Networks that learned from merges in the
        careful way of `merge_pairs` merged too much.

    settings, search
        See `train_networks`.

    Returns
    -------
    examples : list
        What `EdgeBatches` takes.
    """
    examples = []
    for scene, nodes, group in cuts:
        if len(nodes) < 3:
            continue
        groups = Groups(scene.graph, nodes, group)
        graph = groups.graph(search)
        examples.append(groups_example(scene, graph, group))
        if network is None:
            continue
        parent, _ = graph.merge(network, "tree", tau=0.5)
        step, nodes, _ = merge_nodes(graph.level, parent, settings["node_feature"])
        groups.merge(step, nodes)
        if len(nodes) >= 3:
            graph = groups.graph(search)
            examples.append(groups_example(scene, graph, step[group]))
    return examples


def groups_example(scene, graph, group):
    """What `EdgeBatches` takes, about the graph over the clusters of a scene."""
    owner, taught = owners(scene, group, len(graph.level))
    return example(graph.level, graph.features, owner, taught)


def owners(scene, group, n_groups):
    """Most frequent class of each cluster, and whether most of its rows are taught."""
    n_classes = scene.y.max() + 1
    pairs, counts = np.unique(group * n_classes + scene.y, return_counts=True)
    order = np.lexsort([-counts, pairs // n_classes])
    _, first = np.unique(pairs[order] // n_classes, return_index=True)
    taught = np.bincount(group, scene.taught, n_groups) * 2 > np.bincount(group)
    return pairs[order][first] % n_classes, taught
