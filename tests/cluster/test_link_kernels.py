"""Compiled loops over the edges of a graph, beside plain versions."""

import numpy as np
import pytest
import scipy.sparse as sp

from skdeep.cluster._kernels import (
    average_rows,
    cosines_at,
    count_common,
    find_reverse,
    products_at,
)
from skdeep.cluster._levels import unit_rows


@pytest.fixture(scope="module")
def neighbors():
    """Six neighbours of each of 50 nodes."""
    rng = np.random.RandomState(0)
    others = [rng.choice(49, 6, replace=False) for _ in range(50)]
    return np.array([ids + (ids >= node) for node, ids in enumerate(others)])


@pytest.fixture(scope="module")
def matrix():
    return sp.random_array(
        (50, 50), density=0.2, format="csr", dtype=np.float32, random_state=0
    )


def test_the_edge_back_is_found_where_there_is_one(neighbors):
    reverse = find_reverse(neighbors)
    for node, ids in enumerate(neighbors):
        for place, other in enumerate(ids):
            back = reverse[node, place]
            if node in neighbors[other]:
                assert divmod(back, 6)[0] == other
                assert neighbors.ravel()[back] == node
            else:
                assert back == -1


def test_common_neighbours_are_counted_with_both_ends(neighbors):
    around = [{node, *ids} for node, ids in enumerate(neighbors.tolist())]
    expected = [[len(around[i] & around[j]) for j in neighbors[i]] for i in range(50)]
    np.testing.assert_array_equal(count_common(neighbors), expected)


def test_products_are_those_of_rows_of_the_matrix(neighbors, matrix):
    weights = np.random.RandomState(1).uniform(size=50).astype(np.float32)
    parts = matrix.indptr, matrix.indices, matrix.data
    S, nodes = matrix.toarray(), np.arange(50)[:, None]
    products = products_at(neighbors, find_reverse(neighbors), *parts, weights)
    for found, middle in zip(products, (np.ones(50), weights)):
        expected = (S * middle) @ S.T
        np.testing.assert_allclose(found, expected[nodes, neighbors], rtol=1e-5)


@pytest.mark.parametrize("own_weight", [0, 1])
def test_rows_are_averaged_over_the_matrix(matrix, own_weight):
    X = np.random.RandomState(2).normal(size=(50, 7)).astype(np.float32)
    S = matrix.toarray()
    expected = unit_rows(S @ X / S.sum(1, keepdims=True) + own_weight * X)
    parts = matrix.indptr, matrix.indices, matrix.data
    found = average_rows(*parts, X, np.float32(own_weight))
    np.testing.assert_allclose(found, expected, atol=1e-5)


def test_average_over_nothing_is_zero():
    X = np.ones((2, 3), np.float32)
    nothing = np.zeros(3, np.int32), np.zeros(0, np.int32), np.zeros(0, np.float32)
    np.testing.assert_array_equal(average_rows(*nothing, X, np.float32(0)), 0 * X)


def test_cosines_are_scalar_products_along_edges(neighbors):
    X = np.random.RandomState(3).normal(size=(50, 7)).astype(np.float32)
    expected = np.einsum("nd,nkd->nk", X, X[neighbors])
    np.testing.assert_allclose(cosines_at(X, neighbors), expected, rtol=1e-4, atol=1e-5)
