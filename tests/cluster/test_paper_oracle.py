"""The published method against numbers of its official program.

The cases in tests/data/hilander were made by dmlc/dgl, examples/pytorch/hilander, commit
3d16000b4170, with DGL 1.1.3 and torch 2.13 on a CPU. Numbers only. The official k counts
the node itself, so that each node has k - 1 edges; edges are sorted by (target, source).
"""

import json
from functools import partial
from pathlib import Path

import numpy as np
import pytest
import torch
from numpy.testing import assert_allclose, assert_array_equal

from skdeep.cluster._levels import density, grow
from skdeep.cluster._paper_graphs import NodeSampler, label_graphs
from skdeep.cluster._paper_inference import link_probability
from skdeep.cluster._paper_loss import LanderLoss
from skdeep.cluster._paper_network import LanderNetwork, edge_weights

FOLDER = Path(__file__).parent.parent / "data" / "hilander"
CASES = ["case0_plain", "case1_clusterfeat", "case2_gat", "case3_omniglot"]

NAMES = {
    "conv.0.gcn_layer.mlp.weight": "layers.0.linear.weight",
    "conv.0.gcn_layer.mlp.bias": "layers.0.linear.bias",
    "conv.0.gcn_layer.fc.weight": "layers.0.weight",
    "conv.0.gcn_layer.attn_l": "layers.0.source",
    "conv.0.gcn_layer.attn_r": "layers.0.target",
    "conv.0.gcn_layer.bias": "layers.0.bias",
    "conv.0.bias": "layers.0.outer_bias",
    "src_mlp.weight": "source.weight",
    "src_mlp.bias": "source.bias",
    "dst_mlp.weight": "target.weight",
    "dst_mlp.bias": "target.bias",
    "classifier_conn.0.weight": "head.0.weight",
    "classifier_conn.1.weight": "head.1.weight",
    "classifier_conn.1.bias": "head.1.bias",
    "classifier_conn.2.weight": "head.2.weight",
    "classifier_conn.3.weight": "head.3.weight",
    "classifier_conn.3.bias": "head.3.bias",
}


class Case:
    """One oracle case: its numbers, its settings, and the network with its weights."""

    def __init__(self, name):
        with np.load(FOLDER / f"{name}.npz") as file:
            self.numbers = dict(file)
        self.config = json.loads(str(self.numbers["config"]))
        self.X, self.y = self.numbers["X"], self.numbers["y"]
        self.n_neighbors = self.config["k"] - 1
        self.module = LanderNetwork(
            self.X.shape[1],
            self.config["hidden"],
            self.config["num_conv"],
            self.config["gat"],
            self.config["heads"],
            use_cluster_features=self.config["use_cluster_feat"],
        ).eval()
        shapes = {name: p.shape for name, p in self.module.named_parameters()}
        weights = {
            NAMES[key[2:]]: torch.from_numpy(value)
            for key, value in self.numbers.items()
            if key.startswith("w_")
        }
        weights = {name: w.reshape(shapes[name]) for name, w in weights.items()}
        self.module.load_state_dict(weights)
        self.graphs = label_graphs(self.X, self.y, self.n_neighbors, 2)

    def edges(self, depth, name):
        """Official numbers of the edges as (n, k, ...), neighbours in rising order."""
        n_nodes = self.numbers["train_levels"][depth]
        values = self.numbers[f"train{depth}_{name}"]
        return values.reshape(n_nodes, self.n_neighbors, *values.shape[1:])


@pytest.fixture(scope="module", params=CASES)
def case(request):
    return Case(request.param)


@pytest.fixture(params=[0, 1])
def depth(request):
    return request.param


def in_rising_order(graph, values):
    """Values of the edges, of each node in the order of its neighbours' indices."""
    order = np.argsort(graph.level.neighbors, axis=1)
    order = order.reshape(order.shape + (1,) * (values.ndim - 2))
    return np.take_along_axis(np.asarray(values), order, 1)


def whole_batch(case, depth):
    graph = case.graphs[depth]
    return NodeSampler(graph, case.module).take(np.arange(len(graph.level)))


def test_levels_have_the_official_numbers_of_nodes(case):
    found = [len(graph.level) for graph in case.graphs]
    assert found == case.numbers["train_levels"].tolist()


def test_graphs_have_the_official_edges(case, depth):
    graph = case.graphs[depth]
    neighbors = in_rising_order(graph, graph.level.neighbors)
    assert_array_equal(neighbors, case.edges(depth, "src"))
    targets = np.broadcast_to(np.arange(len(neighbors))[:, None], neighbors.shape)
    assert_array_equal(targets, case.edges(depth, "dst"))


def test_similarities_and_weights_are_the_official_affinities(case, depth):
    graph = case.graphs[depth]
    similarity = in_rising_order(graph, graph.level.similarity)
    assert_allclose(similarity, case.edges(depth, "raw_affine"), atol=1e-5)
    weight = in_rising_order(graph, edge_weights(graph.level).numpy())
    assert_allclose(weight, case.edges(depth, "affine"), atol=1e-5)


def test_nodes_have_the_official_features_labels_and_densities(case, depth):
    graph, numbers = case.graphs[depth], case.numbers
    assert_array_equal(graph.labels, numbers[f"train{depth}_labels"])
    for found, name in [
        (graph.level.features, "features"),
        (graph.level.means, "cluster_features"),
        (graph.density, "density"),
    ]:
        assert_allclose(found, numbers[f"train{depth}_{name}"], atol=1e-5)


def test_edges_have_the_official_labels_and_mask(case, depth):
    graph = case.graphs[depth]
    same = in_rising_order(graph, graph.same)
    assert_array_equal(same, case.edges(depth, "labels_conn"))
    usable = in_rising_order(graph, graph.usable)
    assert_array_equal(usable, case.edges(depth, "mask_conn"))


def test_network_returns_the_official_logits(case, depth):
    batch, _ = whole_batch(case, depth)
    with torch.no_grad():
        logits = in_rising_order(case.graphs[depth], case.module(batch))
    assert_allclose(logits, case.edges(depth, "pred_conn"), atol=1e-5)


def test_inference_returns_the_official_probabilities_and_densities(case, depth):
    graph = case.graphs[depth]
    probability = link_probability(case.module, graph.level)
    expected = case.edges(depth, "prob_conn")[..., 1]
    assert_allclose(in_rising_order(graph, probability), expected, atol=1e-5)
    found = density(probability, graph.level.similarity)
    assert_allclose(found, case.numbers[f"train{depth}_pred_den"], atol=1e-5)


def test_loss_and_its_parts_are_the_official_ones(case, depth):
    batch, target = whole_batch(case, depth)
    loss, parts = LanderLoss(balance=False)(case.module(batch), target)
    found = [loss.item(), parts["density"].item(), parts["link"].item()]
    assert_allclose(found, case.numbers[f"train{depth}_loss"], atol=1e-5)


def test_focal_loss_is_the_official_one(case, depth):
    batch, target = whole_batch(case, depth)
    criterion = LanderLoss(balance=False, focal_gamma=2)
    _, parts = criterion(case.module(batch), target)
    expected = case.numbers[f"train{depth}_focal"]
    assert_allclose(parts["link"].item(), expected, atol=1e-5)


def official_growth(case, levels):
    def model(level):
        levels.append(level)
        return link_probability(case.module, level)

    return grow(
        case.X,
        model,
        n_neighbors=case.n_neighbors,
        tau=case.config["tau"],
        early_stop=case.config["early_stop"],
        min_nodes=case.config["k"] + 1,
        break_ties=False,
    )


def test_recursion_finds_the_official_clusters(case):
    forest = official_growth(case, [])
    numbers = case.numbers
    assert_array_equal(forest.labels, numbers["labels"])
    assert_array_equal(forest.log, numbers["infer_log"])
    children = np.flatnonzero(forest.parent != np.arange(len(case.X)))
    order = np.argsort(numbers["edge_dst"])
    assert_array_equal(children, numbers["edge_dst"][order])
    assert_array_equal(forest.parent[children], numbers["edge_src"][order])


def test_each_level_of_the_recursion_is_the_official_one(case):
    levels = []
    forest = official_growth(case, levels)
    nodes_before = np.arange(len(case.X))
    for depth, level in enumerate(levels):
        numbers = partial(_of_level, case.numbers, depth)
        assert_array_equal(level.nodes, nodes_before)
        if depth > 0:
            assert_allclose(level.means, numbers("cluster_features"), atol=1e-5)
        found = density(link_probability(case.module, level), level.similarity)
        assert_allclose(found, numbers("pred_den"), atol=1e-5)
        assert_array_equal(forest.peaks[depth], numbers("peaks"))
        assert_array_equal(forest.level_labels[depth], numbers("labels"))
        nodes_before = forest.peaks[depth]


def _of_level(numbers, depth, name):
    return numbers[f"infer{depth}_{name}"]
