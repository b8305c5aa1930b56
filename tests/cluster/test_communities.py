"""Communities under the constant Potts model, beside all partitions of tiny graphs."""

import numpy as np
import pytest
import scipy.sparse as sp
from scipy.sparse.csgraph import connected_components

from skdeep.cluster._communities import leiden, merge, refine, renumber
from skdeep.cluster._partition import find_communities


def as_graph(dense):
    graph = sp.csr_array(np.asarray(dense, np.float32))
    return graph.indptr, graph.indices, graph.data


def random_graph(n, density, seed):
    rng = np.random.RandomState(seed)
    upper = np.triu(rng.uniform(size=(n, n)) * (rng.uniform(size=(n, n)) < density), 1)
    return (upper + upper.T).astype(np.float32)


def value(dense, labels, resolution):
    """What the model says a partition is worth, pair by pair."""
    together = np.triu(labels[:, None] == labels[None, :], 1)
    return float((dense - resolution)[together].sum())


def partitions(n):
    """All partitions of n nodes, as labels."""

    def extend(labels):
        if len(labels) == n:
            yield np.array(labels)
            return
        for label in range(max(labels, default=-1) + 2):
            yield from extend([*labels, label])

    return extend([])


@pytest.mark.parametrize("seed", range(8))
def test_tiny_graphs_are_cut_nearly_as_well_as_possible(seed):
    dense = random_graph(7, 0.5, seed)
    best = max(value(dense, labels, 0.3) for labels in partitions(7))
    found = value(dense, leiden(*as_graph(dense), 0.3), 0.3)
    assert 0.9 * best <= found <= best + 1e-6


def test_cliques_in_a_ring_are_found():
    dense = np.kron(np.eye(6), np.ones((5, 5)))
    np.fill_diagonal(dense, 0)
    for clique in range(6):
        one, other = 5 * clique, (5 * clique + 9) % 30
        dense[one, other] = dense[other, one] = 1
    labels = leiden(*as_graph(dense), 0.5)
    assert len(np.unique(labels)) == 6
    assert all(len(set(labels[5 * i : 5 * i + 5])) == 1 for i in range(6))


@pytest.mark.parametrize("resolution", [0.001, 0.02, 0.3])
def test_communities_are_connected_and_worth_more_than_single_nodes(resolution):
    dense = random_graph(120, 0.05, 0)
    labels = leiden(*as_graph(dense), resolution)
    for label in np.unique(labels):
        inside = dense[np.ix_(labels == label, labels == label)]
        assert connected_components(inside)[0] == 1
    assert value(dense, labels, resolution) > 0
    assert set(labels) == set(range(labels.max() + 1))


def test_communities_do_not_depend_on_earlier_calls():
    graph = as_graph(random_graph(200, 0.05, 1))
    first = leiden(*graph, 0.1)
    np.testing.assert_array_equal(leiden(*graph, 0.1), first)


def test_parts_lie_within_communities():
    dense = random_graph(60, 0.2, 2)
    labels = np.arange(60, dtype=np.int32) % 3
    parts = refine(*as_graph(dense), np.ones(60, np.int32), labels, 0.05)
    for part in np.unique(parts):
        assert len(set(labels[parts == part])) == 1
    assert len(np.unique(parts)) < 60


def test_merged_graph_holds_the_weights_between_parts():
    dense = random_graph(40, 0.3, 3)
    parts, n_parts = renumber(np.random.RandomState(0).randint(0, 40, 40) // 6)
    starts, columns, weights = merge(*as_graph(dense), parts.astype(np.int32), n_parts)
    merged = sp.csr_array((weights, columns, starts), (n_parts, n_parts)).toarray()
    member = np.eye(n_parts)[parts]
    expected = member.T @ dense @ member
    np.fill_diagonal(expected, 0)
    np.testing.assert_allclose(merged, expected, rtol=1e-5)


def test_numbers_of_communities_have_no_gaps():
    labels, n_communities = renumber(np.array([7, 3, 7, 0, 8, 3, 3, 0, 0]))
    np.testing.assert_array_equal(labels, [2, 1, 2, 0, 3, 1, 1, 0, 0])
    assert n_communities == 4


def test_nodes_without_likely_links_stay_alone():
    neighbors = np.array([[1], [0], [3], [2]])
    probability = np.array([[0.9], [0.9], [0.0], [0.0]], np.float32)
    labels = find_communities(neighbors, probability, 0.02)
    assert labels[0] == labels[1]
    assert len(set(labels[1:])) == 3
