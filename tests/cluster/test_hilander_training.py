"""Batches, scenes, clusters of rows and their owners, counted by hand."""

import numpy as np
import pytest
import torch
from crowds import crowd, level_of
from numpy.testing import assert_allclose, assert_array_equal

from skdeep.cluster._batches import EdgeBatches
from skdeep.cluster._edge_features import EdgeFeatures
from skdeep.cluster._levels import Level, Nodes, merge_nodes
from skdeep.cluster._modules import LinkNetwork, LinkNetworks
from skdeep.cluster._structural import Groups, RowGraph, ask, n_features
from skdeep.cluster._training import Scene, example, owners
from skdeep.utils._torch import build


def numbered_edges(n, k, start):
    """Features whose only number is that of the edge."""
    neighbors = (np.arange(n)[:, None] + np.arange(1, k + 1)) % n
    number = np.arange(start, start + n * k, dtype=np.float32).reshape(n, k)
    return EdgeFeatures(neighbors, [number], []), (number % 2).astype(np.float32)


@pytest.fixture
def generator():
    return torch.Generator().manual_seed(0)


@pytest.mark.parametrize("batch_size", [1, 7, 12, 1000])
def test_batches_cover_each_edge_once_an_epoch(batch_size, generator):
    graphs = [numbered_edges(11, 3, 0), numbered_edges(5, 4, 33)]
    batches = EdgeBatches(graphs, batch_size, generator)
    orders = []
    for _ in range(2):
        parts = list(batches)
        assert len(parts) == len(batches)
        for features, same in parts:
            assert features.shape == (*same.shape, 1)
            assert len(same) == 1 or same.numel() <= batch_size
            assert_array_equal(features[..., 0] % 2, same)
        orders.append([int(v) for part, _ in parts for v in part.flatten()])
        assert sorted(orders[-1]) == list(range(53))
    if batch_size < 1000:
        assert orders[0] != orders[1]


def test_batches_without_generator_keep_the_order():
    batches = EdgeBatches([numbered_edges(6, 2, 0)], 4, None)
    values = [int(v) for part, _ in batches for v in part.flatten()]
    assert values == list(range(12))


def test_graphs_without_edges_are_left_out(generator):
    empty = EdgeFeatures(np.empty((1, 0), int), [np.empty((1, 0))], [])
    graphs = [(empty, np.empty((1, 0), np.float32)), numbered_edges(3, 2, 0)]
    assert len(EdgeBatches(graphs, 2, generator)) == 3
    assert len(EdgeBatches(graphs[:1], 2, generator)) == 0


def test_moments_are_those_of_all_edges(generator):
    graphs = [numbered_edges(11, 3, 0), numbered_edges(5, 4, 33)]
    mean, scale = EdgeBatches(graphs, 4, generator).moments()
    assert_allclose(mean, [np.arange(53).mean()])
    assert_allclose(scale, [np.arange(53).std()])


def test_constant_features_are_not_scaled(generator):
    features, same = numbered_edges(4, 2, 0)
    features.of_edges[0][:] = 3
    mean, scale = EdgeBatches([(features, same)], 4, generator).moments()
    assert (mean[0], scale[0]) == (3, 1)


def test_truth_about_edges_and_the_part_that_is_taught():
    neighbors = np.array([[1, 2], [0, 2], [3, 1], [2, 0]])
    y, taught = np.array([0, 0, 1, 1]), np.array([True, False, False, True])
    features = EdgeFeatures(neighbors, [np.arange(8.0).reshape(4, 2)], [])
    unit = np.eye(4, dtype=np.float32)
    level = Level(**vars(Nodes.of_rows(unit)), neighbors=neighbors, similarity=None)
    all_features, same = example(level, features, y, np.ones(4, bool))
    assert all_features is features
    assert same.tolist() == [[1, 0], [1, 0], [1, 0], [1, 0]]
    part, same = example(level, features, y, taught)
    assert same.tolist() == [[1, 0], [1, 0]]
    assert part.n_features == 1
    assert part.take(np.array([1, 0]))[..., 0].tolist() == [[6, 7], [0, 1]]


def test_owner_of_a_cluster_is_its_most_frequent_class():
    y = np.array([2, 2, 0, 1, 1, 1, 0])
    group = np.array([0, 0, 0, 1, 1, 2, 2])
    taught = np.array([1, 0, 0, 1, 1, 1, 0], bool)
    owner, is_taught = owners(Scene(None, y, taught), group, 3)
    # 2, 2, 0 -> 2; 1, 1 -> 1; 1, 0 -> the lower of two that are equally frequent
    assert owner.tolist() == [2, 1, 0]
    # one of three, two of two, one of two: more than half is wanted
    assert is_taught.tolist() == [False, True, False]


@pytest.fixture(scope="module")
def groups():
    """Six rows in three clusters, two neighbours each; links counted below."""
    neighbors = np.array([[1, 2], [0, 3], [3, 0], [2, 4], [5, 3], [4, 0]])
    X = crowd(3, 2, n_features=4)[0]
    level = Level(
        **vars(Nodes.of_rows(X)),
        neighbors=neighbors,
        similarity=np.ones((6, 2), np.float32),
    )
    graph = RowGraph(level, "structural")
    graph.probability = np.arange(1, 13, dtype=np.float32).reshape(6, 2) / 16
    group, nodes, _ = merge_nodes(level, np.array([0, 0, 2, 2, 4, 4]), "mean")
    return Groups(graph, nodes, group)


def test_edges_and_links_between_clusters_are_counted(groups):
    # from {0, 1}: 0-1, 0-2, 1-0, 1-3; from {2, 3}: 2-3, 2-0, 3-2, 3-4; from {4, 5}: ...
    assert groups.counts.toarray().tolist() == [[2, 2, 0], [1, 2, 1], [1, 1, 2]]
    links = np.array([[1 + 3, 2 + 4, 0], [6, 5 + 7, 8], [12, 10, 9 + 11]]) / 16
    assert_allclose(groups.links.toarray(), links)


def test_numbers_between_clusters_by_hand(groups):
    neighbors = np.array([[1], [2], [0]])
    features, evidence = groups._between(neighbors)
    features = features.take(slice(None))
    # cluster 0 and 1: 2 of 4 edges go there, 1 of 4 comes back; links 6/16 both ways
    n_edges, n_links, expected = 3, 12 / 16, 2 * 4 * 4 / (4 + 4)
    by_hand = [
        np.log(2 / 4 + 1e-3),
        np.log(1 / 4 + 1e-3),
        np.log(6 / 16 / 4 + 1e-3),
        np.log(6 / 16 / 4 + 1e-3),
        n_links / n_edges,
        np.log(n_links + 1e-3),
        np.log(n_edges / expected + 1e-3),
        np.log(n_links / expected + 1e-3),
        np.log(4),
        *(np.log(2), 2 / 4, 4 / 16 / 4),
        *(np.log(2), 2 / 4, 12 / 16 / 4),
    ]
    assert_allclose(features[0, 0], by_hand, rtol=1e-5)
    assert_allclose(evidence[0, 0], n_links / expected)


def test_clusters_of_clusters_add_up_their_counts(groups):
    nodes = groups.nodes
    group, merged, _ = merge_nodes(nodes, np.array([0, 0, 2]), "mean")
    both = Groups.__new__(Groups)
    vars(both).update(vars(groups))
    both.merge(group, merged)
    assert both.counts.toarray().tolist() == [[7, 1], [2, 2]]
    assert both.links.sum() == pytest.approx(groups.links.sum())
    assert both.nodes.sizes.tolist() == [4, 2]


def small_networks(generator):
    sizes = n_features("structural", 0)
    return build(lambda: LinkNetworks(sizes, (4,)), generator=generator).eval()


def test_answers_in_slices_are_those_at_once(generator, monkeypatch):
    X, _ = crowd(4, 10)
    graph = RowGraph(level_of(X, 5), "structural")
    network = small_networks(generator).first
    whole = ask(network, graph.features)
    assert whole.shape == (40, 5)
    monkeypatch.setattr("skdeep.cluster._structural._EDGES_AT_ONCE", 35)
    assert_allclose(ask(network, graph.features), whole, atol=1e-6)


def test_answers_come_in_smaller_slices_when_memory_is_short(generator):
    X, _ = crowd(4, 10)
    graph = RowGraph(level_of(X, 5), "structural")
    network = small_networks(generator).first
    whole = ask(network, graph.features)

    class Small(torch.nn.Module):
        mean = network.mean

        def __call__(self, features):
            if len(features) > limit:
                raise torch.OutOfMemoryError("the accelerator is full")
            return network(features)

    limit = 3
    assert_allclose(ask(Small(), graph.features), whole, atol=1e-6)
    limit = 0
    with pytest.raises(torch.OutOfMemoryError):
        ask(Small(), graph.features)


def test_the_second_look_reads_what_the_first_has_found(generator):
    X, _ = crowd(4, 10)
    graph = RowGraph(level_of(X, 5), "structural")
    networks = small_networks(generator)
    first = graph.look(networks.first).copy()
    graph.refine()
    assert graph.features.n_features == n_features("structural", 0)[1]
    odds = graph.features.take(slice(None))[..., 12]
    assert_allclose(odds, np.log(first / (1 - first)), atol=1e-3)


def test_features_far_out_are_cut_off():
    network = LinkNetwork(1, ())
    near, far = (network(torch.full((1, 1, 1), value)) for value in (10.0, 1e9))
    assert torch.equal(near, far)
