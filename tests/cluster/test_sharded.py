"""Search for neighbours shard by shard: `ShardedSearch`, and faiss as another one."""

import pickle
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest
from sklearn.base import clone
from sklearn.datasets import make_blobs

import skdeep
from skdeep._sharded_search import merge_lists, unit_rows
from skdeep.cluster import HiLanderClusterer
from skdeep.cluster._search import measure_recall, search_by_faiss
from skdeep.exceptions import InvalidParameterError
from skdeep.neighbors import ShardedSearch, knn_graph


@pytest.fixture(scope="module")
def X():
    """Rows of 40 classes."""
    rows, _ = make_blobs(1200, 16, centers=40, center_box=(-4, 4), random_state=0)
    rows += np.random.RandomState(0).normal(size=rows.shape)
    return unit_rows(rows)


def assert_same(one, other):
    for mine, theirs in zip(one, other):
        np.testing.assert_array_equal(mine, theirs)


def test_as_many_probes_as_cells_make_the_search_exact(X):
    found = ShardedSearch(300, n_probes=4)(X, 7)
    assert_same(found, knn_graph(X, 7, algorithm="exact"))


def test_few_rows_are_searched_as_a_whole(X):
    assert_same(ShardedSearch()(X, 7), knn_graph(X, 7, algorithm="exact"))


def test_most_neighbours_are_found_and_more_probes_find_more(X):
    recalls = []
    for n_probes in (1, 2, 4):
        search = ShardedSearch(100, n_probes=n_probes)
        recalls.append(measure_recall(X, search(X, 7)[0]))
    assert recalls[0] < recalls[1] < recalls[2]
    assert recalls[1] > 0.9
    assert recalls[2] > 0.99


def test_similarities_are_those_of_an_exact_search(X):
    indices, similarities = ShardedSearch(100)(X, 7)
    expected = np.einsum("nd,nkd->nk", X, X[indices])
    np.testing.assert_allclose(similarities, expected, atol=1e-6)
    assert indices.dtype == np.int64
    assert similarities.dtype == np.float32
    assert (np.diff(similarities, axis=1) <= 0).all()
    own = np.arange(len(X))[:, None]
    assert not (indices == own).any()
    assert all(len(set(row)) == 7 for row in indices.tolist())


def test_result_is_the_same_for_any_map_and_any_length_of_the_rows(X):
    expected = ShardedSearch(100)(X, 7)
    assert_same(ShardedSearch(100)(X, 7), expected)
    with ThreadPoolExecutor(2) as pool:
        assert_same(ShardedSearch(100, map=pool.map)(X, 7), expected)
    indices, _ = ShardedSearch(100)(4 * X, 7)
    np.testing.assert_array_equal(indices, expected[0])


def test_rows_in_small_cells_are_searched_everywhere(X):
    # 30 neighbours of cells with about 20 rows
    indices, similarities = ShardedSearch(20, n_probes=1)(X, 30)
    assert np.isfinite(similarities).all()
    assert indices.max() < len(X)
    assert all(len(set(row)) == 30 for row in indices.tolist())


def test_equal_rows_need_no_cells_of_their_own():
    X = np.repeat(np.eye(3, dtype=np.float32), 20, axis=0)
    indices, similarities = ShardedSearch(10)(X, 5)
    np.testing.assert_array_equal(similarities, 1)
    assert (indices // 20 == np.arange(60)[:, None] // 20).all()


def test_lists_are_merged_without_doubles():
    ids, values = merge_lists(
        np.array([[5, 2, 9]]),
        np.array([[0.9, 0.5, -np.inf]], np.float32),
        np.array([[7, 5, 1]]),
        np.array([[0.95, 0.9, 0.5]], np.float32),
    )
    np.testing.assert_array_equal(ids, [[7, 5, 1]])
    np.testing.assert_array_equal(values, np.float32([[0.95, 0.9, 0.5]]))


@pytest.mark.parametrize("params", [{"shard_size": 0}, {"n_probes": 1.5}, {"map": 3}])
def test_bad_parameters_are_named(X, params):
    with pytest.raises(InvalidParameterError, match=f"`{next(iter(params))}` must"):
        ShardedSearch(**params)(X, 7)


def test_rows_are_clustered_by_way_of_shards(X):
    expected = HiLanderClusterer(n_neighbors=7, random_state=0).fit(X)
    sharded = clone(expected).set_params(knn=ShardedSearch(100)).fit(X)
    assert 0.9 < sharded.knn_recall_ < 1
    assert abs(sharded.n_clusters_ - expected.n_clusters_) <= 5


def test_an_estimator_with_a_pool_behind_its_search_can_be_cloned(X):
    with ThreadPoolExecutor(2) as pool:
        search = ShardedSearch(100, n_probes=3, map=pool.map, random_state=5)
        cloned = clone(HiLanderClusterer(knn=search)).knn
    assert cloned is not search
    assert vars(cloned) == vars(search)
    assert "shard_size=100, n_probes=3" in repr(cloned)


def test_a_search_can_be_pickled(X):
    search = ShardedSearch(100)
    assert_same(pickle.loads(pickle.dumps(search))(X[:300], 5), search(X[:300], 5))


def test_saving_refuses_a_search_of_its_own_and_says_what_to_do(X, tmp_path):
    clusterer = HiLanderClusterer(7, knn=ShardedSearch(), random_state=0).fit(X[:200])
    with pytest.raises(TypeError, match="`knn`.*allow_partial=True"):
        skdeep.save(clusterer, tmp_path / "model")


def test_faiss_finds_the_same_neighbours(X):
    pytest.importorskip("faiss", reason="needs faiss-cpu", exc_type=ImportError)
    indices, similarities = search_by_faiss(X, 7)
    expected = knn_graph(X, 7, algorithm="exact")
    np.testing.assert_allclose(similarities, expected[1], atol=1e-6)
    assert (indices == expected[0]).mean() > 0.999
    labels = [
        HiLanderClusterer(7, knn=knn, random_state=0).fit(X).labels_
        for knn in ("faiss", "exact")
    ]
    np.testing.assert_array_equal(*labels)


@pytest.mark.slow
def test_dask_gives_the_labels_of_a_single_process(X):
    distributed = pytest.importorskip("distributed")
    with (
        distributed.LocalCluster(
            n_workers=2, processes=True, threads_per_worker=1, dashboard_address=None
        ) as cluster,
        distributed.Client(cluster) as client,
    ):

        def run(function, tasks):
            return client.gather(client.map(function, list(tasks), pure=False))

        def fit(**params):
            search = ShardedSearch(100, **params)
            return HiLanderClusterer(7, knn=search, random_state=0).fit(X[:1000])

        alone, spread = fit(), fit(map=run)
        np.testing.assert_array_equal(spread.labels_, alone.labels_)
        # rows that come later are a map over blocks
        blocks = np.split(X[1000:], 4)
        expected = [alone.partial_predict(block) for block in blocks]
        for found, labels in zip(run(alone.partial_predict, blocks), expected):
            np.testing.assert_array_equal(found, labels)
