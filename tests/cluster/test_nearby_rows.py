"""Rows are put in another order where that is faster, and nothing else changes."""

import numpy as np
import pytest
from crowds import crowd, level_of
from numpy.testing import assert_allclose, assert_array_equal

from skdeep import HiLanderClusterer
from skdeep.cluster import _nearby
from skdeep.cluster._fitting import builtin_networks
from skdeep.cluster._nearby import bring_together
from skdeep.cluster._structural import RowGraph


@pytest.fixture
def level():
    X, _ = crowd(n_classes=5, n_rows=9, n_features=6, noise=0.4)
    return level_of(np.random.RandomState(0).permutation(X), 4)


@pytest.fixture
def tiny_cache(monkeypatch):
    monkeypatch.setattr(_nearby, "_CACHED", 0)


def test_few_rows_stay_where_they_are(level):
    same, place = bring_together(level)
    assert same is level
    assert place is None


def test_graph_over_rows_in_another_order_is_the_same(level, tiny_cache):
    near, place = bring_together(level)
    assert not np.array_equal(place, np.arange(len(level)))
    assert_array_equal(np.sort(place), np.arange(len(level)))
    assert_array_equal(near.features[place], level.features)
    assert_array_equal(near.neighbors[place], place[level.neighbors])
    assert_array_equal(near.similarity[place], level.similarity)
    assert_array_equal(near.nodes, np.arange(len(level)))


def test_neighbours_come_nearer_to_each_other(level, tiny_cache):
    def mean_distance(level):
        return np.abs(level.neighbors - level.nodes[:, None]).mean()

    near, _ = bring_together(level)
    assert mean_distance(near) < mean_distance(level) / 2


def test_links_do_not_depend_on_the_order(level, monkeypatch):
    networks = builtin_networks()
    expected = RowGraph.linked(level, "structural", networks)
    monkeypatch.setattr(_nearby, "_CACHED", 0)
    found = RowGraph.linked(level, "structural", networks)
    assert_allclose(found.probability, expected.probability, atol=1e-5)
    assert found.level is expected.level is level


def test_clusters_do_not_depend_on_the_order(monkeypatch):
    X, _ = crowd(n_classes=5, n_rows=9, n_features=6, noise=0.3)
    X = np.random.RandomState(0).permutation(X)
    expected = HiLanderClusterer(n_neighbors=4).fit_predict(X)
    monkeypatch.setattr(_nearby, "_CACHED", 0)
    assert_array_equal(HiLanderClusterer(n_neighbors=4).fit_predict(X), expected)
