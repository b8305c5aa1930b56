"""Communities: local optima of the constant Potts model, and the trees made of them."""

from itertools import combinations

import numpy as np
import pytest
from crowds import crowd, level_of
from numpy.testing import assert_array_equal

from skdeep.cluster._levels import find_roots
from skdeep.cluster._partition import (
    find_communities,
    find_peaks,
    partition,
)


def graph_of(seed, n_neighbors=6):
    """A graph with link probabilities that follow the classes, with mistakes."""
    X, y = crowd(n_classes=6, n_rows=15, noise=0.4, seed=seed)
    level = level_of(X, n_neighbors)
    rng = np.random.RandomState(seed)
    same = y[level.neighbors] == y[:, None]
    noise = rng.rand(*same.shape)
    return level, np.where(same, 0.4 + 0.6 * noise, 0.5 * noise).astype(np.float32)


def weights_of(neighbors, probability):
    n = len(neighbors)
    P = np.zeros((n, n))
    np.put_along_axis(P, neighbors, probability.astype(float), axis=1)
    return (P**2 + (P**2).T) / 2


def value(labels, W, resolution):
    """Sum of ``w - resolution`` over all pairs that are together."""
    together = labels[:, None] == labels
    np.fill_diagonal(together, False)
    return ((W - resolution) * together).sum() / 2


@pytest.mark.parametrize("resolution", [0.01, 0.05, 0.2])
@pytest.mark.parametrize("seed", range(3))
def test_no_merger_is_a_gain_and_no_move_of_a_node_a_large_one(seed, resolution):
    level, probability = graph_of(seed)
    W = weights_of(level.neighbors, probability)
    labels = find_communities(level.neighbors, probability, resolution).astype(int)
    best, names = value(labels, W, resolution), np.unique(labels)
    for one, other in combinations(names, 2):
        merged = np.where(labels == one, other, labels)
        assert value(merged, W, resolution) <= best + 1e-4
    for node in range(len(labels)):
        for target in [*names, labels.max() + 1]:
            moved = labels.copy()
            moved[node] = target
            assert value(moved, W, resolution) <= 1.02 * best


@pytest.mark.parametrize("seed", range(3))
def test_communities_are_worth_more_than_the_classes_and_than_components(seed):
    level, probability = graph_of(seed)
    W = weights_of(level.neighbors, probability)
    labels = find_communities(level.neighbors, probability, 0.05)
    for other in (np.repeat(np.arange(6), 15), np.zeros(90, int), np.arange(90)):
        assert value(labels, W, 0.05) >= value(other, W, 0.05)


def test_communities_hold_together():
    level, probability = graph_of(0)
    labels = find_communities(level.neighbors, probability, 0.05)
    W = weights_of(level.neighbors, probability)
    for number in np.unique(labels):
        inside = np.flatnonzero(labels == number)
        reached = {inside[0]}
        for _ in inside:
            reached |= {j for i in reached for j in inside if W[i, j] > 0}
        assert reached == set(inside)


def test_larger_resolutions_make_more_communities():
    level, probability = graph_of(0)
    counts = [
        len(np.unique(find_communities(level.neighbors, probability, resolution)))
        for resolution in (1e-4, 0.02, 0.2, 0.9)
    ]
    assert counts == sorted(counts)
    assert counts[0] < counts[-1]


def test_the_same_graph_has_the_same_communities():
    level, probability = graph_of(1)
    runs = [find_communities(level.neighbors, probability, 0.05) for _ in range(20)]
    for labels in runs:
        assert_array_equal(labels, runs[0])


def test_without_links_every_node_is_alone():
    level, _ = graph_of(0)
    zeros = np.zeros(level.neighbors.shape, np.float32)
    assert len(np.unique(find_communities(level.neighbors, zeros, 0.02))) == 90


def test_two_cliques_with_a_weak_bridge_by_hand():
    # 0-1-2 and 3-4-5, and one edge of 0.3 between 2 and 3: its square is 0.09 / 2
    neighbors = np.array([[1, 2], [0, 2], [0, 3], [4, 5], [3, 5], [3, 4]])
    probability = np.array([[1, 1], [1, 1], [1, 0.3], [1, 1], [1, 1], [1, 1]], "f4")
    labels = find_communities(neighbors, probability, 0.05)
    assert [set(np.flatnonzero(labels == labels[i])) for i in (0, 5)] == [
        {0, 1, 2},
        {3, 4, 5},
    ]
    # together they have 9 pairs between them: worth it only below 0.045 / 9
    assert len(set(find_communities(neighbors, probability, 0.004))) == 1
    assert len(set(find_communities(neighbors, probability, 0.006))) == 2


def test_peaks_are_the_densest_and_of_equal_ones_the_first():
    community = np.array([1, 0, 1, 0, 2, 0])
    density = np.array([0.1, 0.5, 0.3, 0.7, -1.0, 0.7])
    assert_array_equal(find_peaks(community, density), [3, 2, 4])


def test_trees_are_the_communities_and_their_roots_the_peaks():
    level, probability = graph_of(2)
    density = np.random.RandomState(0).rand(90).astype(np.float32)
    parent, proba = partition(level.neighbors, probability, density, 0.05)
    community = find_communities(level.neighbors, probability, 0.05)
    roots = find_roots(parent)
    assert_array_equal(np.unique(roots), np.sort(find_peaks(community, density)))
    assert_array_equal(community[roots], community)
    own = np.arange(90)
    linked = parent != own
    assert (density[parent[linked]] >= density[linked]).all()
    assert (proba[~linked] == 0).all()
    for i in np.flatnonzero(linked & (proba > 0)):
        inside = community[level.neighbors[i]] == community[i]
        if parent[i] in level.neighbors[i]:
            place = np.flatnonzero(level.neighbors[i] == parent[i])[0]
            denser = density[level.neighbors[i]] > density[i]
            assert proba[i] == probability[i, place]
            assert proba[i] == probability[i][inside & denser].max()
        else:  # hung onto the peak of the community
            assert proba[i] == probability[i][inside].max()
