"""Rows with few links into their own cluster are set free."""

import numpy as np
import pytest
from crowds import crowd
from numpy.testing import assert_allclose, assert_array_equal

from skdeep import HiLanderClusterer
from skdeep.cluster._levels import Forest, find_roots
from skdeep.cluster._loose import find_twins, inside_share, set_free
from skdeep.neighbors import knn_graph

NO_EDGES = (np.empty(0, int), np.empty(0, int), np.empty(0, np.float32))


def random_graph(seed, n=60, k=5):
    rng = np.random.RandomState(seed)
    neighbors = np.array(
        [rng.permutation(np.delete(np.arange(n), i))[:k] for i in range(n)]
    )
    return neighbors, rng.rand(n, k).astype(np.float32)


def random_forest(seed, n=60):
    """Trees in which each row hangs on a denser one, after one level."""
    rng = np.random.RandomState(seed)
    density = rng.permutation(n) / n
    denser = [np.flatnonzero(density > density[i]) for i in range(n)]
    own = np.arange(n)
    parent = np.array(
        [
            rng.choice(d) if len(d) and rng.rand() < 0.8 else i
            for i, d in zip(own, denser)
        ]
    )
    roots = np.flatnonzero(parent == own)
    labels = np.searchsorted(roots, find_roots(parent))
    proba = np.where(parent == own, 0, rng.rand(n)).astype(np.float32)
    levels = [labels.copy(), labels]
    return Forest(labels, parent, proba, density, density, levels, [roots, roots], [])


def test_share_of_links_inside_is_that_of_plain_sums():
    neighbors, probability = random_graph(0)
    n = len(neighbors)
    labels = np.random.RandomState(1).randint(0, 3, n)
    P = np.zeros((n, n))
    np.put_along_axis(P, neighbors, probability.astype(float), axis=1)
    links = P + P.T
    together = labels[:, None] == labels
    share = inside_share(labels, neighbors, probability)
    assert_allclose(share, (links * together).sum(1) / links.sum(1), rtol=1e-6)
    assert_array_equal(inside_share(labels, neighbors, 0 * probability), 1)


@pytest.mark.parametrize("seed", range(20))
def test_all_but_the_rows_set_free_stay_together(seed):
    rng = np.random.RandomState(100 + seed)
    forest = random_forest(seed)
    before, parent = forest.labels, forest.parent.copy()
    own, share = np.arange(len(parent)), rng.rand(len(parent))
    limit = rng.choice([0.1, 0.5, 0.9])
    twin = own.copy()
    for one, other in rng.randint(len(own), size=(10, 2)):
        if before[one] == before[other] and twin[one] == one and one < other:
            twin[other] = one
    twin = twin[twin]
    kin = twin[:, None] == twin
    share = kin @ share / kin.sum(1)
    alone = (before[:, None] == before).sum(1) == kin.sum(1)
    loose = (share < limit) & ~alone
    set_free(forest, NO_EDGES, share, limit, twin)
    # the same clusters, but for the rows set free
    same = before[:, None] == before
    expected = (same & ~loose[:, None] & ~loose) | (kin & loose)
    assert_array_equal(forest.labels[:, None] == forest.labels, expected)
    for labels in forest.level_labels:
        assert_array_equal(labels[:, None] == labels, expected)
    # numbered by their roots, each row hangs on a denser one or on the new root
    roots = np.flatnonzero(forest.parent == own)
    assert_array_equal(forest.labels[roots], np.arange(len(roots)))
    assert_array_equal(find_roots(forest.parent), roots[forest.labels])
    assert (forest.parent_proba[roots] == 0).all()
    moved = (forest.parent != parent) & (forest.parent != own) & ~loose
    assert (loose[parent] | ~moved).all()
    assert not loose[forest.parent[~loose]].any()
    sizes = [len(own)] + [labels.max() + 1 for labels in forest.level_labels]
    assert forest.log == [(a, a - b) for a, b in zip(sizes, sizes[1:])]


def test_edges_lead_to_the_clusters_as_they_are_now():
    # 0 <- 1 <- 2, 0 <- 3; 4 <- 5; the root 0 is set free, and so is 5
    forest = random_forest(0, n=6)
    forest.parent[:] = [0, 0, 1, 0, 4, 4]
    forest.labels = np.array([0, 0, 0, 0, 1, 1])
    forest.level_labels[:] = [forest.labels]
    forest.peaks[:] = [np.array([0, 4])]
    forest.density[:] = [0.9, 0.5, 0.4, 0.6, 0.8, 0.7]
    share = np.array([0.1, 1, 1, 1, 1, 0.2])
    rest = (np.array([0]), np.array([4]), np.array([0.3], np.float32))
    ends, others, probability = set_free(forest, rest, share, 0.4, np.arange(6))
    assert_array_equal(forest.parent, [0, 3, 1, 3, 4, 5])
    assert_array_equal(forest.labels, [0, 1, 1, 1, 2, 3])
    assert_array_equal(ends, [3, 0, 5])
    assert_array_equal(others, [4, 3, 4])
    assert_allclose(probability, [0.3, 0.1, 0.2])


def test_twins_are_identical_rows_of_one_cluster():
    neighbors = np.array([[1, 3], [4, 2], [1, 0], [4, 5], [3, 5], [0, 3]])
    similarity = np.array([[1, 0.9, 1, 0.9, 0.8, 1], [0, 1, 0, 0, 0, 0]], np.float32).T
    similarity[1] = 1
    labels = np.array([0, 0, 0, 1, 1, 1])
    assert_array_equal(find_twins(labels, neighbors, similarity), [0, 0, 0, 3, 4, 5])
    assert_array_equal(find_twins(labels, neighbors, 0 * similarity), np.arange(6))


@pytest.fixture(scope="module")
def noisy():
    return crowd(n_classes=8, n_rows=25, noise=0.9, seed=3)


def test_clusterer_sets_rows_free_and_cuts_bring_them_back(noisy):
    X, _ = noisy
    model = HiLanderClusterer(random_state=0, min_inside=0.0, device="cpu").fit(X)
    whole = model.result_
    model.set_params(min_inside=0.6)
    result = model.cluster(X)
    share = inside_share(whole.labels, *[whole.graph[i] for i in (1, 3)])
    sizes = np.bincount(whole.labels)[whole.labels]
    loose = (share < 0.6) & (sizes > 1)
    assert 0 < loose.sum() < len(X)
    assert_array_equal(np.bincount(result.labels)[result.labels][loose], 1)
    assert result.n_clusters == len(np.unique(result.labels))
    assert_array_equal(result.cut(result.tau), result.labels)
    assert_array_equal(result.labels[result.exemplars], np.arange(result.n_clusters))
    # whoever was set free is back as soon as the threshold is below its share
    low = result.cut(float(share[loose].min()) / 2)
    for row in np.flatnonzero(loose):
        mates = np.flatnonzero(whole.labels == whole.labels[row])
        assert len(np.unique(low[mates])) == 1
    assert result.hierarchy.shape == (len(X) - 1, 4)


def test_trees_and_the_published_method_keep_all_rows(noisy):
    X, _ = noisy
    trees = HiLanderClusterer(decode="tree", random_state=0, device="cpu").fit(X)
    labels = trees.labels_
    assert_array_equal(trees.set_params(min_inside=1.0).predict(X), labels)


def test_many_new_rows_join_the_clusters_of_few():
    X, _ = crowd(n_classes=6, n_rows=60, noise=0.4, seed=0)
    model = HiLanderClusterer(random_state=0, device="cpu").fit(X[::6])
    result = model.result_
    later = np.delete(np.arange(len(X)), np.arange(0, len(X), 6))
    joined = []
    for min_inside in (0.0, 0.4):
        labels = model.set_params(min_inside=min_inside).partial_predict(X[later])
        joined.append((labels < result.n_clusters).mean())
    assert joined[0] >= joined[1] > 0.95 * joined[0] > 0.8


def test_no_more_neighbours_are_searched_than_may_be_chosen():
    X, y = crowd(n_classes=10, n_rows=15, noise=0.4, seed=0)
    asked = []

    def search(X, n_neighbors):
        asked.append(n_neighbors)
        return knn_graph(X, n_neighbors)

    HiLanderClusterer(knn=search, max_epochs=1, random_state=0, device="cpu").fit(X, y)
    assert max(asked) <= 10
