"""Links, trees and the recursion over levels."""

import numpy as np
import pytest
from numpy.testing import assert_allclose, assert_array_equal

from skdeep.cluster._levels import (
    Nodes,
    density,
    find_roots,
    group_means,
    grow,
    is_last,
    link,
    make_level,
    merge_nodes,
    tau_of_level,
    true_density,
    unit_rows,
)
from skdeep.neighbors import knn_graph


def random_rows(n_rows, n_columns, seed):
    rows = np.random.default_rng(seed).standard_normal((n_rows, n_columns))
    return unit_rows(rows.astype(np.float32))


def random_graph(n_nodes, k, n_values, seed):
    """Neighbours, probabilities and densities; few values make many ties."""
    rng = np.random.default_rng(seed)
    others = np.array(
        [rng.permutation(np.delete(np.arange(n_nodes), i))[:k] for i in range(n_nodes)]
    )
    proba = rng.integers(0, n_values, (n_nodes, k)) / n_values
    height = rng.integers(0, n_values, n_nodes) / n_values
    return others, proba, height


def link_one_by_one(neighbors, cost, height, tau, break_ties):
    parent = []
    for i, row in enumerate(neighbors):
        best, best_cost = i, np.inf
        for j, c in zip(row, cost[i]):
            mine, theirs = (height[i], -i), (height[j], -j)
            denser = theirs > mine if break_ties else theirs[0] > mine[0]
            if denser and c < 1 - tau and c < best_cost:
                best, best_cost = j, c
        parent.append(best)
    return np.array(parent)


def says(similar):
    """Model of probabilities that follow from the similarity alone."""
    return lambda level: (level.similarity > similar).astype(np.float32)


def same_class(y):
    """Model that knows the classes."""
    return lambda level: (
        y[level.nodes][level.neighbors] == y[level.nodes][:, None]
    ).astype(np.float32)


def test_density_counted_by_hand():
    probability = np.array([[1.0, 0.0], [0.5, 0.75]])
    similarity = np.array([[0.8, 0.2], [1.0, 0.4]])
    # (0.8 - 0.2) / 2 and (0 + 0.2) / 2
    assert_allclose(density(probability, similarity), [0.3, 0.1])


def test_true_density_counts_equal_classes_for_and_others_against():
    neighbors = np.array([[1, 2], [0, 2], [0, 1]])
    similarity = np.array([[0.9, 0.5], [0.9, 0.4], [0.5, 0.4]], np.float32)
    found = true_density(neighbors, similarity, np.array(["a", "a", "b"]))
    assert_allclose(found, [0.2, 0.25, -0.45], rtol=1e-6)


@pytest.mark.parametrize("break_ties", [True, False])
@pytest.mark.parametrize("n_values", [3, 1000])
@pytest.mark.parametrize("tau", [0, 0.5, 1])
def test_links_are_those_of_a_search_one_by_one(break_ties, n_values, tau):
    for case in range(20):
        neighbors, proba, height = random_graph(30, 4, n_values, case)
        parent, parent_proba = link(
            neighbors, proba, height, tau, break_ties=break_ties
        )
        expected = link_one_by_one(neighbors, 1 - proba, height, tau, break_ties)
        assert_array_equal(parent, expected)
        for i in range(30):
            at = np.flatnonzero(neighbors[i] == parent[i])
            assert parent_proba[i] == (proba[i, at[0]] if len(at) else 0)


def test_another_cost_decides_on_the_link_and_is_told_as_its_strength():
    neighbors, proba, height = random_graph(30, 4, 7, 0)
    cost = np.random.default_rng(1).random((30, 4))
    parent, parent_proba = link(neighbors, proba, height, 0.3, cost=cost)
    assert_array_equal(parent, link_one_by_one(neighbors, cost, height, 0.3, True))
    i = np.flatnonzero(parent != np.arange(30))[0]
    assert parent_proba[i] == 1 - cost[i, neighbors[i] == parent[i]][0]


@pytest.mark.parametrize("break_ties", [True, False])
def test_links_never_close_a_circle(break_ties):
    for case in range(20):
        neighbors, proba, height = random_graph(40, 5, 2, case)
        parent, _ = link(neighbors, proba, height, 0, break_ties=break_ties)
        for node in range(40):
            for _ in range(40):
                node = parent[node]
            assert parent[node] == node  # a root, after as many steps as nodes


def test_equal_densities_link_down_in_the_index_or_not_at_all():
    neighbors = np.array([[1, 2], [2, 0], [0, 1]])
    ones, flat = np.ones((3, 2)), np.zeros(3)
    assert link(neighbors, ones, flat, 0.5)[0].tolist() == [0, 0, 0]
    apart = link(neighbors, ones, flat, 0.5, break_ties=False)[0]
    assert apart.tolist() == [0, 1, 2]


def test_of_equal_probabilities_the_nearer_neighbour_is_the_parent():
    neighbors = np.array([[2, 1], [0, 2], [0, 1]])
    parent, _ = link(neighbors, np.full((3, 2), 0.9), np.array([0.0, 1.0, 2.0]), 0.5)
    assert parent.tolist() == [2, 2, 2]


def test_roots_of_a_long_chain_and_of_a_random_forest():
    chain = np.maximum(np.arange(1000) - 1, 0)
    assert_array_equal(find_roots(chain), np.zeros(1000))
    rng = np.random.default_rng(0)
    parent = (rng.random(200) * (np.arange(200) + 1)).astype(int)  # at most itself
    expected = []
    for node in range(200):
        while parent[node] != node:
            node = parent[node]
        expected.append(node)
    assert_array_equal(find_roots(parent), expected)


def test_a_level_has_clipped_similarities_of_others_only():
    X = np.array([[1, 0], [-1, 0], [0.6, 0.8]], dtype=np.float32)
    level = make_level(Nodes.of_rows(X), 2)
    assert level.neighbors.tolist() == [[2, 1], [2, 0], [0, 1]]
    assert_allclose(level.similarity, [[0.6, 0], [0, 0], [0.6, 0]], rtol=1e-6)
    assert level.similarity.dtype == np.float32
    assert level.neighbors.dtype == np.int64


def test_too_few_nodes_are_all_neighbours_of_each_other():
    level = make_level(Nodes.of_rows(random_rows(4, 3, 0)), 9)
    assert np.sort(level.neighbors, 1).tolist() == [
        [1, 2, 3],
        [0, 2, 3],
        [0, 1, 3],
        [0, 1, 2],
    ]
    assert make_level(Nodes.of_rows(random_rows(1, 3, 0)), 9).neighbors.shape == (1, 0)


def test_a_search_of_the_caller_is_used():
    def search(features, n_neighbors):
        indices, values = knn_graph(features, n_neighbors)
        return indices[:, ::-1], values[:, ::-1]

    nodes = Nodes.of_rows(random_rows(9, 3, 0))
    given, usual = make_level(nodes, 3, search), make_level(nodes, 3)
    assert_array_equal(given.neighbors, usual.neighbors[:, ::-1])


@pytest.mark.parametrize("node_feature", ["peak", "mean"])
def test_merged_nodes_hold_means_and_sizes_of_all_rows_inside(node_feature):
    X = random_rows(60, 40, 3)
    first = make_level(Nodes.of_rows(X), 3)
    rng = np.random.default_rng(0)
    labels = np.arange(60)
    nodes = first
    for _ in range(2):
        parent = (rng.random(len(nodes)) * (np.arange(len(nodes)) + 1)).astype(int)
        group, nodes, peaks = merge_nodes(nodes, parent, node_feature)
        labels = group[labels]
        assert_array_equal(group[peaks], np.arange(len(peaks)))
    assert nodes.depth == 2
    assert_array_equal(nodes.sizes, np.bincount(labels))
    means = np.array([X[labels == c].mean(axis=0) for c in range(len(nodes))])
    assert_allclose(nodes.means, means, atol=1e-6)
    scaled = means / np.linalg.norm(means, axis=1, keepdims=True)
    features = X[nodes.nodes] if node_feature == "peak" else scaled
    assert_allclose(nodes.features, features, atol=1e-6)
    assert nodes.features.dtype == nodes.means.dtype == np.float32


def test_means_of_many_rows_do_not_lose_digits():
    values = np.full((100_000, 1), 0.1, dtype=np.float32)
    sizes, group = np.ones(100_000, np.int64), np.zeros(100_000, np.int64)
    means, total = group_means(values, sizes, group, 1)
    assert_allclose(means, np.float32(0.1), rtol=1e-7)
    assert total.tolist() == [100_000]


def test_rows_of_zeros_stay_zero():
    assert_array_equal(unit_rows(np.array([[0, 0], [3, 4.0]])), [[0, 0], [0.6, 0.8]])


def test_recursion_joins_what_single_levels_leave_apart():
    # on a circle, 10 degrees apart within a class: one neighbour is not enough to
    # join a class at once
    angle = np.deg2rad(np.r_[0:60:10, 120:180:10, 240:300:10].astype(np.float32))
    X = np.column_stack([np.cos(angle), np.sin(angle)])
    y = np.repeat([0, 1, 2], 6)
    forest = grow(X, same_class(y), n_neighbors=1, tau=0.5)
    assert len(forest.log) > 2
    assert_array_equal(forest.labels, y)
    assert_array_equal(forest.level_labels[-1], y)


def test_labels_are_ranks_of_the_roots_and_follow_the_links():
    X = random_rows(80, 4, 0)
    forest = grow(X, says(0.8), n_neighbors=4, tau=0.5)
    roots, labels = np.unique(find_roots(forest.parent), return_inverse=True)
    assert_array_equal(forest.labels, labels)
    assert_array_equal(forest.peaks[-1], roots)
    n_linked = [added for _, added in forest.log]
    assert sum(n_linked) == 80 - len(roots)
    is_root = forest.parent == np.arange(80)
    assert (forest.parent_proba[is_root] == 0).all()
    assert (forest.parent_proba[~is_root] > 0.5).all()


def test_last_density_is_that_of_the_last_level_with_the_row_as_a_node():
    X = random_rows(80, 4, 0)
    found = []

    def model(level):
        proba = says(0.8)(level)
        found.append((level.nodes, density(proba, level.similarity)))
        return proba

    forest = grow(X, model, n_neighbors=4, tau=0.5)
    assert_array_equal(forest.density, found[0][1])
    expected = np.empty(80)
    for nodes, height in found:
        expected[nodes] = height
    assert_allclose(forest.last_density, expected)
    assert (forest.last_density != forest.density).any()


@pytest.mark.parametrize("n_rows", [1, 2, 3, 4])
def test_fewer_rows_than_neighbours(n_rows):
    X = np.tile(np.float32([[1, 0]]), (n_rows, 1))
    forest = grow(X, says(0), n_neighbors=3, tau=0.5)
    assert forest.labels.tolist() == [0] * n_rows
    assert forest.parent.tolist() == [0] * n_rows
    assert forest.labels.dtype == forest.parent.dtype == np.int64
    assert forest.density.shape == (n_rows,)


def test_a_single_row_needs_no_level():
    forest = grow(np.float32([[1, 0]]), None, n_neighbors=3, tau=0.5)
    assert forest.log == forest.level_labels == forest.peaks == []
    assert forest.density.tolist() == [0]


def test_certainty_asked_for_leaves_all_rows_apart():
    X = random_rows(30, 3, 0)
    forest = grow(X, says(-1), n_neighbors=3, tau=1)
    assert_array_equal(forest.labels, np.arange(30))
    assert forest.log == [(30, 0)]


def test_duplicates_link_only_with_ties_broken():
    X = np.repeat(random_rows(10, 8, 0), 3, axis=0)
    forest = grow(X, says(0.99), n_neighbors=4, tau=0.5)
    assert_array_equal(forest.labels, np.repeat(np.arange(10), 3))
    strict = grow(X, says(0.99), n_neighbors=4, tau=0.5, break_ties=False)
    assert_array_equal(strict.labels, np.arange(30))


def test_the_number_of_levels_is_bounded():
    X = random_rows(80, 2, 0)
    forest = grow(X, says(0), n_neighbors=2, tau=0.5, max_levels=1)
    assert len(forest.log) == 1
    longer = grow(X, says(0), n_neighbors=2, tau=0.5)
    assert len(longer.log) > 1
    assert_array_equal(longer.level_labels[0], forest.labels)


def test_small_levels_can_be_left_out_but_not_the_first():
    X = random_rows(80, 2, 0)
    full = grow(X, says(0), n_neighbors=2, tau=0.5)
    n_nodes = full.log[-1][0]
    short = grow(X, says(0), n_neighbors=2, tau=0.5, min_nodes=n_nodes + 1)
    assert short.log == [entry for entry in full.log if entry[0] > n_nodes]
    assert len(grow(X, says(0), n_neighbors=2, tau=0.5, min_nodes=99).log) == 1


@pytest.mark.parametrize(
    ("n_added", "stops"),
    [([8, 3], True), ([9, 3], False), ([8, 0], True), ([1], False)],
)
def test_early_stop_compares_the_links_of_two_levels(n_added, stops):
    assert is_last([(0, n) for n in n_added], 3) is stops


def test_without_early_stop_only_a_level_without_links_is_the_last():
    assert not is_last([(9, 2), (7, 6)], 0)
    assert is_last([(9, 2), (7, 0)], 0)


def test_tau_of_each_level():
    assert [tau_of_level(0.3, depth) for depth in range(3)] == [0.3, 0.3, 0.3]
    assert [tau_of_level([0.3, 0.6], depth) for depth in range(3)] == [0.3, 0.6, 0.6]
    assert tau_of_level(lambda depth: depth / 10, 2) == 0.2
    X = random_rows(80, 2, 0)
    forest = grow(X, says(0), n_neighbors=2, tau=np.array([0.5, 1.0]))
    assert [added > 0 for _, added in forest.log] == [True, False]


def test_similarity_can_take_the_place_of_probability():
    X = np.array([[1, 0], [0.96, 0.28], [0, 1], [0.28, 0.96]], dtype=np.float32)
    model = says(-1)  # everything belongs together
    assert grow(X, model, n_neighbors=2, tau=0.7).labels.tolist() == [0, 0, 0, 0]
    forest = grow(X, model, n_neighbors=2, tau=0.7, threshold="sim")
    assert forest.labels.tolist() == [0, 0, 1, 1]


def test_a_graph_that_is_there_is_not_built_again():
    X = random_rows(30, 3, 0)
    calls = []

    def search(features, n_neighbors):
        calls.append(len(features))
        return knn_graph(features, n_neighbors)

    first = make_level(Nodes.of_rows(X), 3)
    forest = grow(
        X, says(0.9), n_neighbors=3, tau=0.5, search=search, first_level=first
    )
    assert 30 not in calls
    usual = grow(X, says(0.9), n_neighbors=3, tau=0.5)
    assert_array_equal(forest.labels, usual.labels)


def test_order_of_the_rows_changes_nothing_but_names():
    X = random_rows(100, 4, 5)
    order = np.random.default_rng(0).permutation(100)
    plain = grow(X, says(0.85), n_neighbors=5, tau=0.5, break_ties=False).labels
    mixed = grow(X[order], says(0.85), n_neighbors=5, tau=0.5, break_ties=False).labels
    pairs = set(zip(plain[order].tolist(), mixed.tolist()))
    assert len(pairs) == plain.max() + 1 == mixed.max() + 1
