"""Numbers about edges, against slow plain versions on a small graph."""

import numpy as np
import pytest
from crowds import crowd, level_of
from numpy.testing import assert_allclose, assert_array_equal

from skdeep.cluster._edge_features import (
    N_REFINED,
    N_STRUCTURAL,
    Graph,
    at_reverse,
    level_features,
    n_level_features,
    refined_features,
    shared_neighbors,
    structural_features,
)
from skdeep.cluster._kernels import average_rows, cosines_at, find_reverse, products_at

K = 4


@pytest.fixture(scope="module")
def level():
    X, _ = crowd(n_classes=4, n_rows=7, n_features=5, noise=0.4)
    return level_of(X, K)


@pytest.fixture(scope="module")
def reverse(level):
    return find_reverse(level.neighbors)


@pytest.fixture(scope="module")
def dense(level):
    """Larger of both directions of the similarities, to the fourth power, (n, n)."""
    n = len(level)
    A = np.zeros((n, n))
    for i in range(n):
        for e, j in enumerate(level.neighbors[i]):
            A[i, j] = level.similarity[i, e]
    return np.maximum(A, A.T) ** 4


def along_edges(M, neighbors):
    """Entries of an (n, n) array along the edges, (n, k)."""
    return np.take_along_axis(M, neighbors, axis=1)


def test_reverse_edges_lead_back(level, reverse):
    n_back = 0
    for i, row in enumerate(level.neighbors.tolist()):
        for e, j in enumerate(row):
            there = i in level.neighbors[j]
            assert (reverse[i, e] >= 0) == there
            if there:
                assert divmod(reverse[i, e], K)[0] == j
                assert level.neighbors.ravel()[reverse[i, e]] == i
            n_back += there
    assert 0 < n_back < level.neighbors.size


def test_values_at_reverse_edges_are_zero_where_there_is_none(level, reverse):
    found = at_reverse(level.similarity, reverse)
    expected = np.zeros_like(found)
    for i, row in enumerate(level.neighbors.tolist()):
        for e, j in enumerate(row):
            for back in range(K):
                if level.neighbors[j, back] == i:
                    expected[i, e] = level.similarity[j, back]
    assert_array_equal(found, expected)


def test_shared_neighbors_are_a_jaccard_index_of_sets_with_the_node_itself(level):
    lists = [{i, *row} for i, row in enumerate(level.neighbors.tolist())]
    expected = [
        [len(lists[i] & lists[j]) / len(lists[i] | lists[j]) for j in row]
        for i, row in enumerate(level.neighbors.tolist())
    ]
    assert_allclose(shared_neighbors(level.neighbors), expected, rtol=1e-6)


def test_graph_without_directions_holds_each_edge_both_ways(level, reverse, dense):
    weights = along_edges(dense, level.neighbors).astype(np.float32)
    graph = Graph(level.neighbors, weights, reverse)
    assert_allclose(graph.matrix.toarray(), dense, rtol=1e-5)
    assert_allclose(graph.degrees, dense.sum(1), rtol=1e-5)
    assert_allclose(graph.squares(), (dense**2).sum(1), rtol=1e-5)


def test_walks_of_one_or_two_steps_are_powers_of_the_transition_matrix(
    level, reverse, dense
):
    weights = along_edges(dense, level.neighbors).astype(np.float32)
    overlap, steps = Graph(level.neighbors, weights, reverse).overlap_and_steps()
    W = dense / dense.sum(1, keepdims=True)
    walk = (W + W @ W) / 2
    assert_allclose(overlap, along_edges(dense @ dense, level.neighbors), rtol=1e-4)
    there, back = (along_edges(M, level.neighbors) for M in (walk, walk.T))
    assert_allclose(steps[0], np.log(there + 1e-4), rtol=1e-4)
    assert_allclose(steps[1], np.log(back + 1e-4), rtol=1e-4)


@pytest.mark.parametrize("keep", [0, 1])
def test_smoothing_averages_neighbours_and_scales(keep, level, reverse, dense):
    weights = along_edges(dense, level.neighbors).astype(np.float32)
    found = Graph(level.neighbors, weights, reverse).smooth(level.features, keep)
    mean = dense / dense.sum(1, keepdims=True) @ level.features + keep * level.features
    mean /= np.linalg.norm(mean, axis=1, keepdims=True)
    assert_allclose(found, mean, atol=1e-6)


def test_cosines_are_taken_along_edges(level):
    X = level.features
    expected = along_edges(X @ X.T, level.neighbors)
    assert_allclose(cosines_at(X, level.neighbors), expected, atol=1e-6)


def test_all_structural_features_in_their_order(level, reverse, dense):
    features = structural_features(level, reverse).take(slice(None))
    n = len(level)
    assert features.shape == (n, K, N_STRUCTURAL)
    assert features.dtype == np.float32
    a, X, neighbors = level.similarity, level.features.astype(float), level.neighbors
    shared = shared_neighbors(neighbors)
    W = dense / dense.sum(1, keepdims=True)
    walk, smooth = (W + W @ W) / 2, []
    for _ in range(2):
        X = W @ X + X
        X /= np.linalg.norm(X, axis=1, keepdims=True)
        smooth.append(along_edges(X @ X.T, neighbors))
    in_degree = np.array([(neighbors == i).sum() for i in range(n)])
    of_nodes = [a.mean(1), a[:, -1], shared.mean(1), np.log(1 + in_degree)]
    expected = [
        a,
        shared,
        reverse >= 0,
        a - a[:, :1],
        a - a[neighbors, 0],
        np.tile(np.arange(K) / K, (n, 1)),
        np.log(along_edges(walk, neighbors) + 1e-4),
        np.log(along_edges(walk.T, neighbors) + 1e-4),
        *smooth,
        *(values - values.max(1, keepdims=True) for values in smooth),
    ]
    for values in of_nodes:
        expected += [np.tile(values[:, None], K)]
    for values in of_nodes:
        expected += [values[neighbors]]
    order = [*range(12), 12, 13, 14, 15, 16, 17, 18, 19]
    assert_allclose(features, np.stack(expected, -1)[..., order], atol=2e-5)


def test_features_of_the_second_look_are_about_the_first_one(level, reverse):
    rng = np.random.RandomState(0)
    p = rng.rand(*level.neighbors.shape).astype(np.float32)
    features = refined_features(level, reverse, p)
    found, n = features.take(slice(None)), len(level)
    assert found.shape == (n, K, N_REFINED)
    P = np.zeros((n, n))
    np.put_along_axis(P, level.neighbors, p, axis=1)
    S = (P + P.T) / 2
    overlap, strength = S @ S, (S**2).sum(1)
    alike = overlap / (strength[:, None] + strength - overlap)
    W = S / S.sum(1, keepdims=True)
    walk, X, smooth = (W + W @ W) / 2, level.features.astype(float), []
    for _ in range(2):
        X = W @ X
        X /= np.linalg.norm(X, axis=1, keepdims=True)
        smooth.append(X @ X.T)
    of_edges = [P.T, alike, overlap, np.log(walk + 1e-4), np.log(walk.T + 1e-4)]
    for column, values in enumerate([*of_edges, *smooth], 1):
        expected = along_edges(values, level.neighbors)
        assert_allclose(found[..., column], expected, rtol=1e-3, atol=1e-5)
    assert_allclose(found[..., 0], np.log(p / (1 - p)), atol=1e-3)
    density = (level.similarity * (2 * p - 1)).mean(1)
    for column, values in enumerate([S.sum(1), p.mean(1), p.max(1), density], 8):
        assert_allclose(found[:, 0, column], values, rtol=1e-5)
        assert_allclose(found[..., column + 4], values[level.neighbors], rtol=1e-5)


def test_features_are_finite_without_any_link(level, reverse):
    for p in (0.0, 1.0):
        probability = np.full(level.neighbors.shape, p, np.float32)
        features = refined_features(level, reverse, probability).take(slice(None))
        assert np.isfinite(features).all()


def test_features_do_not_depend_on_the_coordinates(level, reverse):
    rng = np.random.RandomState(0)
    turn = np.linalg.qr(rng.randn(9, 9))[0][:5]
    turned = level_of((level.features @ turn).astype(np.float32), K)
    assert_array_equal(turned.neighbors, level.neighbors)
    one, other = (structural_features(each, reverse) for each in (level, turned))
    assert_allclose(one.take(slice(None)), other.take(slice(None)), atol=1e-4)


@pytest.mark.parametrize("kind", ["structural", "embedding", "both"])
def test_kinds_of_features_have_their_numbers_and_products(kind, level, reverse):
    features = level_features(level, reverse, kind)
    assert features.n_features == n_level_features(kind, 5)
    rows = np.array([3, 0])
    found = features.take(rows)
    assert found.shape == (2, K, features.n_features)
    assert_allclose(found[..., 0], level.similarity[rows])
    if kind != "structural":
        X = level.features
        expected = X[rows][:, None] * X[level.neighbors[rows]]
        assert_array_equal(found[..., -5:], expected)


def test_products_and_averages_of_a_matrix_of_two_rows():
    # S = [[0, 2], [2, 0]], an edge each way; rows share no column
    neighbors = np.array([[1], [0]])
    starts, columns = np.array([0, 1, 2]), np.array([1, 0])
    values = np.array([2, 2], np.float32)
    reverse = find_reverse(neighbors)
    plain, weighted = products_at(neighbors, reverse, starts, columns, values, values)
    assert plain.tolist() == weighted.tolist() == [[0], [0]]
    X = np.array([[3, 4], [0, 0]], np.float32)
    means = average_rows(starts, columns, values, X, np.float32(0))
    # row 0 takes row 1, which is zero; row 1 takes row 0, of length 5
    assert_allclose(means, [[0, 0], [0.6, 0.8]], rtol=1e-6)
