"""Tests of knn_graph against plain searches."""

import subprocess
import sys
import threading
import types

import numpy as np
import psutil
import pytest
from numpy.testing import assert_allclose, assert_array_equal
from scipy.sparse import csr_array
from sklearn import config_context
from sklearn.neighbors import NearestNeighbors

from skdeep import _tiled_search
from skdeep.exceptions import InvalidParameterError
from skdeep.neighbors import knn_graph

METRICS = ["cosine", "euclidean"]


def plain(X, n_neighbors, metric, queries=None):
    """One row after the other in float64; equal float32 values are ties."""
    X = np.asarray(X, float)
    targets = X if queries is None else np.asarray(queries, float)
    ids, values = [], []
    for row, x in enumerate(targets):
        if metric == "euclidean":
            value = np.sqrt(((X - x) ** 2).sum(axis=1)).astype(np.float32)
            order = np.lexsort((np.arange(len(X)), value))
        else:
            lengths = np.linalg.norm(X, axis=1) * np.linalg.norm(x)
            value = X @ x / np.where(lengths > 0, lengths, 1)
            value = value.clip(-1, 1).astype(np.float32)
            order = np.lexsort((np.arange(len(X)), -value))
        if queries is None:
            order = order[order != row]
        ids.append(order[:n_neighbors])
        values.append(value[order[:n_neighbors]])
    return np.array(ids), np.array(values)


@pytest.fixture(scope="module")
def rows():
    X = np.random.RandomState(0).normal(size=(600, 16)).astype(np.float32)
    X.flags.writeable = False
    return X


def assert_proper(indices, values, metric, n_samples):
    """What holds for any data: own row absent, no row twice, sorted, finite."""
    assert indices.dtype == np.int64
    assert values.dtype == np.float32
    assert (indices >= 0).all()
    assert (indices < n_samples).all()
    assert not (indices == np.arange(n_samples)[:, None]).any()
    assert (np.diff(np.sort(indices, axis=1), axis=1) > 0).all()
    assert np.isfinite(values).all()
    step = np.diff(values, axis=1)
    assert (step <= 0 if metric == "cosine" else step >= 0).all()


def test_five_points_counted_by_hand():
    X = [[0.0], [1.0], [3.0], [3.0], [7.0]]
    indices, values = knn_graph(X, 2, metric="euclidean")
    assert indices.tolist() == [[1, 2], [0, 2], [3, 1], [2, 1], [2, 3]]
    assert values.tolist() == [[1, 3], [1, 2], [0, 2], [0, 2], [4, 4]]


@pytest.mark.parametrize("metric", METRICS)
@pytest.mark.parametrize("n_neighbors", [1, 7, 300, 599])
def test_equals_the_plain_search(rows, metric, n_neighbors):
    indices, values = knn_graph(rows, n_neighbors, metric=metric)
    expected, distances = plain(rows, n_neighbors, metric)
    assert_proper(indices, values, metric, 600)
    assert_allclose(values, distances, rtol=1e-6, atol=1e-7)
    assert (indices == expected).mean() > 0.999  # but for ties in the last bit


@pytest.mark.parametrize("metric", METRICS)
def test_equals_scikit_learn(rows, metric):
    model = NearestNeighbors(n_neighbors=5, metric=metric, algorithm="brute").fit(rows)
    distances, expected = model.kneighbors()
    indices, values = knn_graph(rows, 5, metric=metric)
    assert_array_equal(indices, expected)
    if metric == "cosine":
        values = 1 - values
    assert_allclose(values, distances, rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize("metric", METRICS)
def test_queries_are_searched_in_the_data(rows, metric):
    queries = rows[:10] + 0.1
    indices, values = knn_graph(rows, 4, metric=metric, queries=queries)
    expected, distances = plain(rows, 4, metric, queries)
    assert_array_equal(indices, expected)
    assert_allclose(values, distances, rtol=1e-6)


def test_a_query_that_is_in_the_data_finds_itself(rows):
    indices, _ = knn_graph(rows, 1, metric="euclidean", queries=rows)
    assert_array_equal(indices[:, 0], np.arange(600))
    assert knn_graph(rows, 600, queries=rows[:2])[0].shape == (2, 600)


@pytest.mark.parametrize("metric", METRICS)
def test_self_comes_first_on_request(rows, metric):
    alone, alone_values = knn_graph(rows, 4, metric=metric)
    indices, values = knn_graph(rows, 5, metric=metric, include_self=True)
    assert_array_equal(indices, np.column_stack([np.arange(600), alone]))
    assert_array_equal(values[:, 1:], alone_values)
    assert (values[:, 0] == (metric == "cosine")).all()


@pytest.mark.parametrize("X", [[[2.0, 1.0]], [[0.0, 0.0]]])
def test_a_single_row_has_only_itself(X):
    indices, values = knn_graph(X, 1, include_self=True)
    assert indices.tolist() == [[0]]
    assert values.tolist() == [[float(any(X[0]))]]


@pytest.mark.parametrize("metric", METRICS)
def test_R131_identical_rows_have_the_first_other_rows_as_neighbours(metric):
    X = np.ones((700, 3))
    indices, values = knn_graph(X, 4, metric=metric)
    assert_proper(indices, values, metric, 700)
    expected = [[j for j in range(5) if j != i][:4] for i in range(700)]
    assert_array_equal(indices, expected)
    assert (values == (metric == "cosine")).all()


@pytest.mark.parametrize("metric", METRICS)
@pytest.mark.parametrize("algorithm", ["exact", "auto"])
def test_R131_every_row_twice(rows, metric, algorithm):
    X = np.repeat(rows[:100], 2, axis=0)
    indices, values = knn_graph(X, 3, metric=metric, algorithm=algorithm)
    assert_proper(indices, values, metric, 200)
    assert_array_equal(indices[:, 0], np.arange(200) ^ 1)  # the twin


@pytest.mark.parametrize("metric", METRICS)
def test_R131_ten_distinct_rows_among_many(rows, metric):
    X = rows[np.arange(500) % 10]
    indices, values = knn_graph(X, 60, metric=metric)
    assert_proper(indices, values, metric, 500)
    assert_array_equal(indices, plain(X, 60, metric)[0])


def test_R130_zero_rows_are_similar_to_nothing(rows):
    X = rows[:50].copy()
    X[[3, 7, 8]] = 0
    indices, values = knn_graph(X, 49)
    assert_proper(indices, values, "cosine", 50)
    assert (values[[3, 7, 8]] == 0).all()
    assert not np.signbit(values[[3, 7, 8]]).any()
    assert_array_equal(indices[7], [*range(7), *range(8, 50)])


def test_R130_only_zero_rows():
    indices, values = knn_graph(np.zeros((20, 2)), 3, metric="cosine")
    assert_proper(indices, values, "cosine", 20)
    assert (values == 0).all()


@pytest.mark.parametrize("metric", METRICS)
@pytest.mark.parametrize("scale", [1e-300, 1e-160, 1e-40, 1e-30, 1e30])
def test_R132_scale_of_the_data_does_not_matter(rows, metric, scale):
    X = rows[:80].astype(float)
    indices, values = knn_graph(X * scale, 5, metric=metric)
    expected, distances = plain(X, 5, metric)
    if metric == "cosine":
        # a row below 1e-300 counts as zero
        assert scale <= 1e-300 or (indices == expected).all()
    else:
        assert_array_equal(indices, expected if scale > 1e-45 else indices)
        assert_allclose(values, distances * scale, rtol=1e-5, atol=1e-45)


def test_R132_cosine_of_huge_rows():
    X = np.array([[1e300, 1e300], [1e-200, 1e-200], [1e300, 0]])
    indices, values = knn_graph(X, 2)
    assert indices.tolist() == [[1, 2], [0, 2], [0, 1]]
    assert_allclose(values[0], [1, 0.5**0.5], rtol=1e-6)


def test_R132_huge_distances_are_refused():
    for X in ([[1e300], [0.0]], [[1e308], [-1e308]]):
        with pytest.raises(ValueError, match="too large .* scale the data first"):
            knn_graph(X, 1, metric="euclidean")


@pytest.mark.parametrize("metric", METRICS)
def test_columns_of_very_different_scales(rows, metric):
    X = rows[:80].astype(float) * np.logspace(-12, 12, 16)
    assert_array_equal(knn_graph(X, 5, metric=metric)[0], plain(X, 5, metric)[0])


def test_tight_clusters_far_apart_are_told_apart():
    # in float32 the squares of the distances within a cluster vanish beside 1e8
    rng = np.random.RandomState(0)
    X = np.repeat(1e4 * rng.normal(size=(4, 8)), 60, axis=0)
    X += 1e-3 * rng.normal(size=X.shape)
    indices, values = knn_graph(X, 5, metric="euclidean")
    expected, distances = plain(X, 5, "euclidean")
    assert_array_equal(indices, expected)
    assert_allclose(values, distances, rtol=1e-6)


def test_an_outlier_does_not_spoil_the_others(rows):
    X = np.vstack([rows[:100].astype(float), np.full(16, 1e30)])
    assert_array_equal(
        knn_graph(X, 5, metric="euclidean")[0][:100],
        plain(rows[:100], 5, "euclidean")[0],
    )


@pytest.mark.parametrize("metric", METRICS)
def test_rows_in_order_of_distance(metric):
    # every tile is better than all before it
    X = np.column_stack([np.arange(9000.0), np.ones(9000)])
    indices, values = knn_graph(X, 3, metric=metric, queries=X[-5:])
    expected, distances = plain(X, 3, metric, X[-5:])
    assert_array_equal(values, distances)
    # thousands of these angles are the same in float32
    assert metric == "cosine" or (indices == expected).all()


@pytest.mark.parametrize("metric", METRICS)
@pytest.mark.parametrize(
    "kind", ["random", "twins", "ones", "lattice"], ids=lambda kind: kind
)
def test_R508_result_depends_on_no_tile_and_no_setting(rows, metric, kind, monkeypatch):
    X = {
        "random": rows[:200],
        "twins": np.repeat(rows[:100], 2, axis=0),
        "ones": np.ones((200, 4), np.float32),
        "lattice": np.random.RandomState(0).randint(0, 3, (200, 4)).astype(float),
    }[kind]
    expected = knn_graph(X, 9, metric=metric)
    with config_context(working_memory=1):
        other = knn_graph(X, 9, metric=metric)
    for actual, value in zip(other, expected):
        assert_array_equal(actual, value)
    for n_rows, n_columns in ((1, 128), (32, 64), (200, 256)):
        monkeypatch.setattr(_tiled_search, "_TILE_ROWS", n_rows)
        monkeypatch.setattr(_tiled_search, "_TILE_COLUMNS", n_columns)
        for actual, value in zip(knn_graph(X, 9, metric=metric), expected):
            assert_array_equal(actual, value)


@pytest.mark.parametrize("metric", METRICS)
def test_R408_number_of_threads_does_not_matter(rows, metric):
    expected = knn_graph(rows, 5, metric=metric)
    for actual, value in zip(knn_graph(rows, 5, metric=metric, n_jobs=2), expected):
        assert_array_equal(actual, value)


def test_permuted_rows_have_permuted_neighbours(rows):
    order = np.random.RandomState(1).permutation(600)
    expected, _ = knn_graph(rows, 5)
    actual, _ = knn_graph(rows[order], 5)
    assert_array_equal(order[actual], expected[order])


@pytest.mark.parametrize(
    "convert",
    [
        np.ndarray.tolist,
        np.asfortranarray,
        lambda X: X[::-1][::-1],
        lambda X: X.astype(">f8"),
        lambda X: X.astype(object),
    ],
)
def test_R113_other_containers_give_the_same(rows, convert):
    X = rows[:60].astype(float)
    expected, _ = knn_graph(X, 5)
    assert_array_equal(knn_graph(convert(X), 5)[0], expected)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"n_neighbors": 0}, "`n_neighbors` must be an int of at least 1, got 0"),
        ({"n_neighbors": True}, "`n_neighbors` must be an int"),
        ({"n_neighbors": 2.0}, "`n_neighbors` must be an int .* got 2.0"),
        ({"n_neighbors": 600}, "`n_neighbors` is 600, but X has only 600 samples; use"),
        ({"n_neighbors": 600}, "use n_neighbors <= 599"),
        ({"n_neighbors": 601, "include_self": True}, "use n_neighbors <= 600"),
        (
            {"metric": "l2"},
            r"`metric` must be one of \('cosine', 'euclidean'\), got 'l2'",
        ),
        ({"metric": None}, "`metric` must be one of"),
        ({"metric": ["cosine"]}, "`metric` must be one of"),
        (
            {"algorithm": "kd_tree"},
            "`algorithm` must be one of .*'exact'.* got 'kd_tree'",
        ),
    ],
)
def test_wrong_options_are_named(rows, options, message):
    with pytest.raises(InvalidParameterError, match=message):
        knn_graph(rows, **{"n_neighbors": 3, **options})


def test_a_single_row_has_no_neighbour():
    with pytest.raises(
        ValueError, match="only 1 sample; a single row has no neighbour"
    ):
        knn_graph([[1.0, 2.0]], 1)


@pytest.mark.parametrize(
    ("X", "message"),
    [
        ([[np.nan, 1], [1, 2]], "X contains NaN"),
        ([[np.inf, 1], [1, 2]], "X contains infinity"),
        ([1.0, 2.0], "Expected 2D array"),
        (np.zeros((0, 2)), "0 sample"),
        (np.zeros((2, 0)), "0 feature"),
        (csr_array(np.eye(3)), "[Ss]parse"),
    ],
)
def test_bad_rows_are_refused(X, message):
    with pytest.raises((ValueError, TypeError), match=message):
        knn_graph(X, 1)


def test_bad_queries_are_refused(rows):
    with pytest.raises(ValueError, match="`queries` has 3 features, but X has 16"):
        knn_graph(rows, 2, queries=np.zeros((2, 3)))
    with pytest.raises(ValueError, match="queries contains NaN"):
        knn_graph(rows, 2, queries=np.full((2, 16), np.nan))
    with pytest.raises(
        ValueError, match="`include_self` has no meaning with `queries`"
    ):
        knn_graph(rows, 2, queries=rows[:2], include_self=True)


def test_input_is_not_modified(rows):
    X = rows.copy()
    knn_graph(X, 3)
    knn_graph(X, 3, metric="euclidean", queries=X)
    assert_array_equal(X, rows)


# the approximate search and what is done about its gaps


def fake_pynndescent(monkeypatch, graph):
    """An index that answers with `graph`."""

    class NNDescent:
        def __init__(self, data, **options):
            assert options["metric"] == "euclidean"
            self.neighbor_graph = np.asarray(graph, np.int32), None

        def query(self, rows, k):
            return self.neighbor_graph[0][:, :k], None

    module = types.ModuleType("pynndescent")
    module.NNDescent = NNDescent
    monkeypatch.setitem(sys.modules, "pynndescent", module)


LINE = np.array([[1.0], [2.0], [4.0], [8.0], [16.0]])


def test_R131_gaps_and_repetitions_are_filled(monkeypatch):
    graph = [
        [0, 1, 2],  # as it should be
        [0, 2, 3],  # own row missing
        [2, 1, 1],  # a row twice
        [3, -1, -1],  # nothing found
        [-1, 4, 3],  # a gap in front
    ]
    fake_pynndescent(monkeypatch, graph)
    indices, values = knn_graph(
        LINE, 2, metric="euclidean", algorithm="pynndescent", random_state=0
    )
    assert indices.tolist() == [[1, 2], [0, 2], [1, 0], [2, 1], [3, 2]]
    assert values.tolist() == [[1, 3], [1, 2], [2, 3], [4, 6], [8, 12]]


def test_approximate_neighbours_are_ranked_by_exact_distance(monkeypatch):
    fake_pynndescent(
        monkeypatch, [[0, 4, 1], [1, 3, 0], [2, 4, 3], [3, 0, 1], [4, 0, 3]]
    )
    indices, _ = knn_graph(LINE, 2, metric="euclidean", algorithm="pynndescent")
    assert indices.tolist() == [[1, 4], [0, 3], [3, 4], [1, 0], [3, 0]]


def test_R130_zero_rows_are_searched_exactly(monkeypatch):
    X = np.array([[1.0, 0], [0, 0], [1, 1], [0, 1]])
    fake_pynndescent(monkeypatch, [[0, 3, 2], [1, 3, 2], [2, 0, 3], [3, 2, 0]])
    indices, values = knn_graph(X, 2, algorithm="pynndescent")
    assert indices[1].tolist() == [0, 2]
    assert values[1].tolist() == [0, 0]


def test_gaps_of_queries_are_filled(monkeypatch):
    fake_pynndescent(monkeypatch, [[1, -1], [0, 1]])
    indices, _ = knn_graph(
        LINE, 2, metric="euclidean", algorithm="pynndescent", queries=[[4.1], [0.0]]
    )
    assert indices.tolist() == [[2, 1], [0, 1]]


def test_large_data_take_the_approximate_search(monkeypatch):
    fake_pynndescent(monkeypatch, [[i, (i + 1) % 5, (i + 2) % 5] for i in range(5)])
    monkeypatch.setattr("skdeep.neighbors._EXACT_MAX_PAIRS", 24)
    indices, _ = knn_graph(LINE, 2, metric="euclidean")
    assert indices[3].tolist() == [0, 4]
    assert knn_graph(LINE, 2, metric="euclidean", algorithm="exact")[0][3].tolist() == [
        2,
        1,
    ]


@pytest.mark.slow
@pytest.mark.parametrize("metric", METRICS)
def test_pynndescent_finds_nearly_all(metric):
    rng = np.random.RandomState(0)
    X = rng.normal(size=(3000, 6)) @ rng.normal(size=(6, 32))
    X[100:200] = X[100]  # near-duplicates are its known trouble
    X[200:300] = X[200] + 1e-6 * rng.normal(size=(100, 32))
    X[300:303] = 0
    state = np.random.get_state()[1].copy()  # noqa: NPY002
    indices, values = knn_graph(
        X, 10, metric=metric, algorithm="pynndescent", random_state=0
    )
    assert_array_equal(np.random.get_state()[1], state)  # noqa: NPY002
    assert_proper(indices, values, metric, 3000)
    _, exact = knn_graph(X, 10, metric=metric, algorithm="exact")
    close = np.isclose(values, exact, rtol=1e-5, atol=1e-6)
    assert close.mean() > 0.97
    again = knn_graph(X, 10, metric=metric, algorithm="pynndescent", random_state=0)
    assert_array_equal(again[0], indices)


@pytest.mark.slow
def test_R508_memory_does_not_grow_with_the_number_of_pairs():
    X = np.random.RandomState(0).normal(size=(20_000, 16)).astype(np.float32)
    knn_graph(X[:5000], 10)
    process = psutil.Process()
    done, peak, before = threading.Event(), [0], process.memory_info().rss

    def watch():
        while not done.wait(0.005):
            peak[0] = max(peak[0], process.memory_info().rss)

    watcher = threading.Thread(target=watch)
    watcher.start()
    knn_graph(X, 10, metric="euclidean")
    done.set()
    watcher.join()
    # all pairs would be 1,600 MB
    assert peak[0] - before < 64e6


@pytest.mark.slow  # a new process
def test_importing_it_costs_neither_torch_nor_pynndescent():
    script = (
        "import sys; from skdeep.neighbors import knn_graph; "
        "knn_graph([[1.0], [2.0], [4.0]], 1); "
        "print(*{'torch', 'pynndescent', 'numba'} & set(sys.modules))"
    )
    done = subprocess.run(
        [sys.executable, "-c", script], capture_output=True, text=True, timeout=60
    )
    assert done.stdout.strip() == "", done.stderr
