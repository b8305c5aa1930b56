"""Which rows belong together: what may and what may not change it."""

import copy
import warnings

import numpy as np
import pytest
import scipy.sparse as sp
from crowds import crowd, same_partition, small_clusterer
from numpy.testing import assert_array_equal
from sklearn.cluster import HDBSCAN
from sklearn.datasets import load_digits
from sklearn.neighbors import KNeighborsTransformer
from sklearn.pipeline import make_pipeline

from skdeep import HiLanderClusterer
from skdeep.exceptions import InvalidParameterError
from skdeep.metrics import bcubed_f_score, pairwise_f_score
from skdeep.neighbors import knn_graph


@pytest.fixture(scope="module")
def train():
    return crowd(seed=1)


@pytest.fixture(scope="module")
def clusterer(train):
    return small_clusterer(random_state=0).fit(*train)


@pytest.fixture(scope="module")
def new():
    return crowd(n_classes=10, seed=2)


def test_new_classes_are_found(clusterer, new):
    X, y = new
    assert clusterer.score(X, y) > 0.9
    assert clusterer.score(X, y) == bcubed_f_score(y, clusterer.predict(X))


@pytest.mark.parametrize("offset", [0, 6])
def test_few_clusters_far_from_zero_stay_apart(offset):
    rng = np.random.RandomState(0)
    y = rng.randint(8, size=800)
    X = 2 * rng.normal(size=(8, 16))[y] + rng.normal(size=(800, 16)) + offset
    assert bcubed_f_score(y, HiLanderClusterer().fit_predict(X)) > 0.99


@pytest.mark.parametrize("n_rows", [200, 600, 1797])
def test_digits_without_labels_are_grouped_better_than_by_density(n_rows):
    X, y = (part[:n_rows] for part in load_digits(return_X_y=True))
    by_density = HDBSCAN(copy=True).fit_predict(X)
    alone = by_density < 0
    by_density[alone] = -1 - np.arange(alone.sum())
    found = HiLanderClusterer().fit_predict(X)
    # HDBSCAN with its own settings, noise as clusters of one row
    assert bcubed_f_score(y, found) > 0.75
    assert bcubed_f_score(y, found) > bcubed_f_score(y, by_density)
    assert pairwise_f_score(y, found) > pairwise_f_score(y, by_density)


def test_R406_permuted_rows_are_the_same_partition(clusterer, new):
    X, _ = new
    labels = clusterer.predict(X)
    for seed in range(3):
        order = np.random.RandomState(seed).permutation(len(X))
        assert same_partition(clusterer.predict(X[order]), labels[order])


def test_lengths_of_rows_change_nothing(clusterer, new):
    X, _ = new
    lengths = np.exp2(np.random.RandomState(0).randint(-30, 30, len(X)))[:, None]
    assert_array_equal(clusterer.predict(X * lengths), clusterer.predict(X))


def test_lengths_of_training_rows_change_nothing(train, new):
    X, y = train
    lengths = np.exp2(np.random.RandomState(0).randint(-30, 30, len(X)))[:, None]
    one, other = (small_clusterer().fit(rows, y) for rows in (X, X * lengths))
    assert_array_equal(one.labels_, other.labels_)
    assert_array_equal(one.cluster(new[0]).density, other.cluster(new[0]).density)


def test_R131_duplicates_are_linked(clusterer, new):
    X, _ = new
    labels = clusterer.predict(np.repeat(X, 2, axis=0))
    assert_array_equal(labels[::2], labels[1::2])


def test_R131_many_copies_of_few_rows():
    X = np.repeat(np.eye(4, 10, dtype=np.float32), 30, axis=0)
    labels = HiLanderClusterer(6).fit_predict(X)
    assert same_partition(labels, np.repeat(np.arange(4), 30))


@pytest.mark.parametrize("n", [1, 2, 3, 5, 6, 7, 8])
@pytest.mark.parametrize("mode", ["structural", "paper"])
def test_R218_few_rows(n, mode, train, new):
    model = small_clusterer(mode=mode, hidden_size=8).fit(*train)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", UserWarning)
        result = model.cluster(new[0][:n])
    assert len(result.labels) == n
    assert_array_equal(np.unique(result.labels), range(result.n_clusters))
    assert result.hierarchy.shape == (n - 1, 4)


def test_R218_fewer_rows_than_neighbours_are_told(clusterer, new):
    with pytest.warns(UserWarning, match="n_neighbors=6, but there are only 5 rows"):
        clusterer.predict(new[0][:5])


def test_a_single_row_is_a_cluster(clusterer, new):
    result = clusterer.cluster(new[0][:1])
    assert result.labels.tolist() == [0]
    assert result.parent.tolist() == [0]
    assert result.cut(0).tolist() == [0]


def test_R219_strangers_stay_apart(clusterer):
    # every row in a direction of its own
    labels = clusterer.predict(np.eye(10, dtype=np.float32))
    assert_array_equal(labels, range(10))


def test_R219_rows_of_one_class_may_be_one_cluster():
    rng = np.random.RandomState(0)
    X = rng.normal(size=16) + 0.01 * rng.normal(size=(40, 16))
    assert_array_equal(HiLanderClusterer().fit_predict(X), np.zeros(40))


@pytest.mark.parametrize("decode", ["tree", "partition"])
def test_with_tau_1_clusters_are_not_merged(decode, train, new):
    X, _ = new
    model = small_clusterer(tau=1.0, decode=decode).fit(*train)
    result = model.cluster(X)
    if decode == "tree":
        assert_array_equal(result.labels, range(len(X)))
    else:  # communities of the rows are cut out by the resolution
        assert_array_equal(result.labels, result.level_labels[0])


def test_with_tau_0_everything_near_is_one(train, new):
    one = small_clusterer(tau=0.0, decode="tree").fit(*train).cluster(new[0])
    other = small_clusterer(tau=0.9, decode="tree").fit(*train).cluster(new[0])
    assert one.n_clusters < other.n_clusters


def test_R130_rows_of_zeros_are_clusters_of_their_own(clusterer, new):
    X, _ = new
    with_zeros = np.insert(X, [0, 40, 120], 0, axis=0)
    zero = ~with_zeros.any(axis=1)
    with pytest.warns(UserWarning, match="3 of 123 rows hold zeros only"):
        result = clusterer.cluster(with_zeros)
    labels = result.labels
    assert same_partition(labels[~zero], clusterer.predict(X))
    assert len(set(labels[zero])) == 3
    assert not set(labels[zero]) & set(labels[~zero])
    assert (result.density[zero] == 0).all()
    assert_array_equal(labels[result.exemplars], range(result.n_clusters))
    assert result.hierarchy.shape == (122, 4)
    for level in result.level_labels:
        assert len(level) == 123
        assert same_partition(level[~zero], level[~zero])


def test_R130_rows_of_zeros_in_the_training_are_left_out(train, new):
    X, y = train
    with_zeros, labels = np.insert(X, [0, 50], 0, axis=0), np.insert(y, [0, 50], 0)
    with pytest.warns(UserWarning, match="2 of 98 rows hold zeros only"):
        model = small_clusterer().fit(with_zeros, labels)
    assert len(model.labels_) == 98
    plain = small_clusterer().fit(X, y)
    assert_array_equal(model.predict(new[0]), plain.predict(new[0]))


@pytest.mark.parametrize("kind", [sp.csr_array, sp.csc_matrix, sp.coo_array])
def test_sparse_rows_are_grouped_like_dense_ones(kind, clusterer, new):
    X, _ = new
    assert_array_equal(clusterer.predict(kind(X)), clusterer.predict(X))


def test_wide_sparse_rows_are_never_made_dense(train):
    X, y = train
    columns = 10**6 * np.arange(10)
    wide = sp.csr_array((np.ravel(X), np.tile(columns, 96), np.arange(97) * 10))
    assert wide.shape == (96, 9 * 10**6 + 1)
    model = small_clusterer().fit(wide[:, :: 10**4], y)
    assert model.n_features_in_ == 901
    assert model.score(wide[:, :: 10**4], y) > 0.8


@pytest.mark.parametrize("n_features", [3, 30])
def test_rows_of_another_dimension_are_taken_if_allowed(n_features, train):
    X, y = crowd(n_classes=6, n_features=n_features, seed=3, noise=0.1)
    model = small_clusterer(allow_other_dim=True).fit(*train)
    assert model.score(X, y) > 0.8
    assert model.n_features_in_ == 10
    with pytest.raises(ValueError, match=f"X has {n_features} features.*expecting 10"):
        model.set_params(allow_other_dim=False).predict(X)


def test_precomputed_distances_give_the_clusters_of_the_rows(train, new):
    graph = KNeighborsTransformer(n_neighbors=6, mode="distance", metric="cosine")
    X, y = train
    model = small_clusterer(metric="precomputed").fit(graph.fit_transform(X), y)
    distances = graph.fit_transform(new[0])
    assert bcubed_f_score(new[1], model.predict(distances)) > 0.9
    assert model.fit(distances, new[1]).n_features_in_ == len(new[0])


def test_precomputed_distances_work_in_a_pipeline(train):
    X, y = train
    graph = KNeighborsTransformer(n_neighbors=6, mode="distance", metric="cosine")
    model = make_pipeline(graph, HiLanderClusterer(6, metric="precomputed"))
    assert bcubed_f_score(y, model.fit_predict(X)) > 0.7


PRECOMPUTED = {
    "array": (np.eye(5), "square sparse matrix.*an array.*KNeighborsTransformer"),
    "not square": (sp.csr_array(np.eye(5, 4)), r"square sparse.*\(5, 4\)"),
    "negative": (sp.csr_array(-np.eye(5)), "finite and not negative"),
    "NaN": (sp.csr_array(np.full((5, 5), np.nan)), "finite and not negative"),
    "another metric": (
        sp.csr_array(np.full((5, 5), 2.5)),
        "up to 2.5, but cosine distances are at most 2.*metric='cosine'",
    ),
    "no row": (sp.csr_array((0, 0)), r"0 sample\(s\)"),
}


@pytest.mark.parametrize("row", PRECOMPUTED)
def test_other_things_than_a_graph_are_refused_by_precomputed(row):
    X, message = PRECOMPUTED[row]
    with pytest.raises(ValueError, match=message):
        HiLanderClusterer(2, metric="precomputed").fit(X)


def test_rows_with_few_neighbours_take_none_from_the_others(train):
    X, y = train
    graph = KNeighborsTransformer(n_neighbors=12, mode="distance", metric="cosine")
    full = graph.fit_transform(X).tolil()
    model = HiLanderClusterer(10, metric="precomputed")
    before = model.fit_predict(full.tocsr())
    full[3, :] = 0
    full[:, 3] = 0
    after = model.fit_predict(full.tocsr())
    others = np.arange(len(X)) != 3
    assert (after == after[3]).sum() == 1
    assert bcubed_f_score(before[others], after[others]) > 0.9
    assert HiLanderClusterer(metric="precomputed").fit_predict(
        sp.csr_array((1, 1))
    ).tolist() == [0]


def test_precomputed_graphs_of_groups_are_cut_apart(train):
    X, y = train
    graph = KNeighborsTransformer(n_neighbors=12, mode="distance", metric="cosine")
    model = HiLanderClusterer(6, metric="precomputed", max_epochs=1, random_state=0)
    model.fit(graph.fit_transform(X), y, groups=np.arange(len(y)) % 2)
    assert len(model.labels_) == len(y)
    with pytest.raises(ValueError, match="Input groups contains NaN or None"):
        model.fit(graph.fit_transform(X), y, groups=[None, *"ab" * (len(y) // 2)][:-1])


def test_parameters_set_after_the_fit_are_checked(train):
    model = small_clusterer().fit(*train).set_params(n_neighbors=0)
    with pytest.raises(InvalidParameterError, match="n_neighbors"):
        model.predict(train[0])
    with pytest.raises(InvalidParameterError, match="tau"):
        model.set_params(n_neighbors=5, tau=2).predict(train[0])


def test_cut_at_similarities_uses_similarities(train):
    model = small_clusterer(mode="paper", threshold="sim", tau=0.9).fit(*train)
    result = model.cluster(train[0])
    assert_array_equal(result.cut(0.9), result.labels)
    linked = result.parent != np.arange(len(result.parent))
    assert (result.parent_proba[linked] > 0.9).all()


def test_precomputed_connections_without_distances_are_worth_a_warning(train):
    graph = KNeighborsTransformer(n_neighbors=6, mode="connectivity", metric="cosine")
    with pytest.warns(UserWarning, match="1 or more.*a graph of ones"):
        model = HiLanderClusterer(5, metric="precomputed").fit(
            graph.fit_transform(train[0])
        )
    assert model.n_clusters_ == len(train[0])


def test_search_of_the_user_is_asked_with_unit_rows(train, new):
    asked = []

    def search(X, n_neighbors):
        asked.append((X.shape, n_neighbors))
        np.testing.assert_allclose(np.linalg.norm(X, axis=1), 1, rtol=1e-5)
        return knn_graph(X, n_neighbors)

    model = small_clusterer(knn=search).fit(*train)
    assert asked[0] == ((96, 10), 6)
    plain = small_clusterer().fit(*train)
    assert_array_equal(model.predict(3 * new[0]), plain.predict(new[0]))
    assert model.knn_recall_ == 1.0


def shifted(X, n_neighbors):
    """The neighbours in the list, whoever they are."""
    others = (np.arange(len(X))[:, None] + np.arange(1, n_neighbors + 1)) % len(X)
    return others, np.einsum("id,ijd->ij", X, X[others])


def test_recall_tells_about_a_search_that_misses_neighbours(train):
    model = small_clusterer(knn=shifted).fit(*train)
    assert 0 < model.knn_recall_ < 0.9


BAD_SEARCHES = {
    "shape": (lambda X, k: (np.ones((2, k), int), np.ones((2, k))), "shape"),
    "own row": (
        lambda X, k: (np.zeros((len(X), k), int), np.ones((len(X), k))),
        "name their own row",
    ),
    "out of range": (
        lambda X, k: (np.full((len(X), k), len(X)), np.ones((len(X), k))),
        "out of 0..95",
    ),
    "twice": (
        lambda X, k: (twice(*knn_graph(X, k)), np.ones((len(X), k))),
        "come twice",
    ),
    "NaN": (
        lambda X, k: (knn_graph(X, k)[0], np.full((len(X), k), np.nan)),
        "finite cosine similarities",
    ),
    "distances": (
        lambda X, k: (lambda i, s: (i, 1 - s))(*knn_graph(X, k)),
        "wrong by .*1 - distance",
    ),
    "nothing": (lambda X, k: None, "a pair.*NoneType"),
}


def twice(neighbors, similarity):
    return np.where(np.arange(neighbors.shape[1]) == 1, neighbors[:, :1], neighbors)


def test_neighbours_of_a_search_may_come_in_any_order(train):
    def backwards(X, k):
        return tuple(part[:, ::-1] for part in knn_graph(X, k))

    one, other = (
        small_clusterer(knn=knn, random_state=0).fit(*train)
        for knn in ("exact", backwards)
    )
    assert_array_equal(one.labels_, other.labels_)


@pytest.mark.parametrize("row", BAD_SEARCHES)
def test_wrong_answers_of_a_search_are_refused(row, train):
    search, message = BAD_SEARCHES[row]
    with pytest.raises(ValueError, match=f"`knn` must return.*{message}"):
        small_clusterer(knn=search).fit(*train)


@pytest.mark.slow
def test_approximate_search_groups_alike_and_tells_its_recall(train):
    X, _ = crowd(n_classes=40, n_rows=20, seed=4)
    exact = small_clusterer().fit(*train)
    model = copy.deepcopy(exact).set_params(knn="pynndescent")
    result = model.cluster(X)
    assert result.knn_recall > 0.9
    assert bcubed_f_score(exact.predict(X), result.labels) > 0.9
    assert_array_equal(model.predict(X), result.labels)


@pytest.mark.parametrize("dtype", [np.float16, np.float32, np.float64])
def test_numbers_of_any_precision(dtype, train, new):
    X, y = train
    model = small_clusterer().fit(X.astype(dtype), y)
    assert model.score(new[0].astype(dtype), new[1]) > 0.9


def test_read_only_rows(clusterer, new):
    X = new[0].copy()
    X.flags.writeable = False
    assert_array_equal(clusterer.predict(X), clusterer.predict(new[0]))
