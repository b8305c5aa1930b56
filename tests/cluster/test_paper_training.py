"""Training graphs of the published method, and a training with them."""

import numpy as np
import pytest
import torch
from numpy.testing import assert_array_equal
from sklearn.datasets import make_blobs
from sklearn.metrics import roc_auc_score

from skdeep._engine import Net, run
from skdeep.cluster._levels import unit_rows
from skdeep.cluster._paper_graphs import label_graphs, training_graphs
from skdeep.cluster._paper_inference import link_probability
from skdeep.cluster._paper_training import PaperSettings, set_up_training
from skdeep.neighbors import knn_graph

SMALL = PaperSettings(hidden_size=16, batch_size=64)


@pytest.fixture(scope="module", autouse=True)
def _compiler_is_loaded():
    # torch imports its compiler with the first optimizer, which takes seconds
    torch.optim.SGD([torch.zeros(1, requires_grad=True)])


@pytest.fixture(scope="module")
def rows():
    """200 rows of 14 classes; of the nearest neighbours a quarter is of another."""
    X, y = make_blobs(200, n_features=8, centers=14, cluster_std=4.0, random_state=0)
    return unit_rows(X.astype(np.float32)), y


def set_up(rows, settings=SMALL, seed=0):
    generator = torch.Generator().manual_seed(seed)
    return set_up_training(*rows, settings, generator=generator)


def test_levels_follow_the_most_similar_denser_neighbour(rows):
    X, y = rows
    first, second = label_graphs(X, y, 5, 2)
    neighbors, similarity = knn_graph(X, 5)
    similarity = similarity.clip(0, 1)
    sign = np.where(y[neighbors] == y[:, None], 1, -1)
    height = (sign * similarity).mean(axis=1)
    peaks = []
    for i in range(len(X)):
        denser = [
            a for j, a in zip(neighbors[i], similarity[i]) if height[j] > height[i]
        ]
        if not denser or max(denser) <= 0:
            peaks.append(i)
    assert_array_equal(second.level.nodes, peaks)
    assert_array_equal(second.labels, y[peaks])
    assert second.level.depth == 1
    assert second.level.sizes.sum() == len(X)
    assert first.usable.sum() > 0


def test_usable_edges_lead_to_denser_neighbours(rows):
    for graph in label_graphs(*rows, 5, 2):
        for i, row in enumerate(graph.level.neighbors):
            for e, j in enumerate(row):
                assert graph.usable[i, e] == (graph.density[j] > graph.density[i])
                assert graph.same[i, e] == (graph.labels[j] == graph.labels[i])


def test_one_search_serves_all_numbers_of_neighbours(rows):
    sizes = []

    def search(features, n_neighbors):
        sizes.append((len(features), n_neighbors))
        return knn_graph(features, n_neighbors)

    graphs = training_graphs(*rows, (9, 4, 2), (2, 3, 4), search=search)
    assert [n for n, _ in sizes].count(len(rows[0])) == 1
    alone = [
        graph
        for k, n in [(9, 2), (4, 3), (2, 4)]
        for graph in label_graphs(*rows, k, n)
    ]
    assert len(graphs) == len(alone)
    for graph, expected in zip(graphs, alone):
        assert_array_equal(graph.level.nodes, expected.level.nodes)
        assert_array_equal(graph.level.neighbors, expected.level.neighbors)
        assert_array_equal(graph.usable, expected.usable)


def test_levels_with_too_few_nodes_are_left_out(rows):
    X, y = rows
    graphs = label_graphs(X, y, 3, 99)
    assert all(len(graph.level) >= 5 for graph in graphs)
    few = label_graphs(X[:3], y[:3], 9, 2)
    assert [graph.level.neighbors.shape for graph in few] == [(3, 2)]


def test_levels_end_when_nothing_is_linked():
    X = np.eye(12, dtype=np.float32)  # no row is like another
    assert len(label_graphs(X, np.arange(12), 3, 4)) == 1


def test_training_reduces_the_loss_and_finds_the_right_edges(rows):
    module, criterion, batches = set_up(rows)
    net = Net(
        module,
        criterion=criterion,
        optimizer=torch.optim.Adam,
        lr=0.01,
        callbacks__train_loss=None,
        callbacks__valid_loss=None,
        callbacks__print_log=None,
    ).initialize()
    run(net, batches, None, 12, [])
    losses = [epoch["train_loss"] for epoch in net.history]
    assert losses[-1] < 0.7 * losses[0]
    first = net.history[0]
    parts = first["train_density"] + first["train_link"]
    assert first["train_loss"] == pytest.approx(parts, rel=1e-5)
    graph = training_graphs(*rows, (9,), (1,))[0]
    found = link_probability(net.module_.eval(), graph.level)[graph.usable]
    same, similarity = graph.same[graph.usable], graph.level.similarity[graph.usable]
    assert roc_auc_score(same, found) > roc_auc_score(same, similarity)


@pytest.mark.parametrize(
    "changed",
    [{}, {"n_layers": 3}, {"attention": True, "n_heads": 2}, {"focal_gamma": 2.0}],
)
def test_the_same_seed_gives_the_same_training(rows, changed):
    settings = SMALL._replace(**changed)
    results = []
    for seed in (0, 0, 1):
        module, criterion, batches = set_up(rows, settings, seed)
        losses = [criterion(module(batch), target)[0] for batch, target in batches]
        results.append([loss.item() for loss in losses])
    assert len(results[0]) == len(batches)
    assert results[0] == results[1]
    assert results[0] != results[2]


def test_classes_of_one_row_each_can_be_trained_on():
    X, _ = make_blobs(40, n_features=5, random_state=0)
    X = unit_rows(X.astype(np.float32))
    module, criterion, batches = set_up((X, np.arange(40)))
    for batch, target in batches:
        loss, parts = criterion(module(batch), target)
        assert torch.isfinite(loss)
        assert parts["link"] == 0  # no edge of the other kind to balance with


def test_two_rows_are_enough():
    X = unit_rows(np.array([[1.0, 0.1], [1.0, 0.2]], dtype=np.float32))
    module, criterion, batches = set_up((X, np.array([0, 0])))
    assert len(batches) == 3
    for batch, target in batches:
        assert torch.isfinite(criterion(module(batch), target)[0])


def test_defaults_of_the_settings_are_those_of_the_published_programs():
    settings = PaperSettings()
    assert settings.fit_neighbors == (9, 4, 2)
    assert settings.fit_levels == (2, 3, 4)
    assert settings.batch_size == 4096
    assert settings.network_args(7)["n_features"] == 7
