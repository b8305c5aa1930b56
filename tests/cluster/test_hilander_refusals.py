"""Bad arguments of the clusterer are refused before any training, and by name."""

import copy

import numpy as np
import pytest
import scipy.sparse as sp
from crowds import crowd, small_clusterer
from refusals import assert_refused, forbid_training
from sklearn.exceptions import NotFittedError

from skdeep import HiLanderClusterer
from skdeep.exceptions import InvalidParameterError


@pytest.fixture(scope="module")
def rows():
    return crowd(n_classes=5)


@pytest.fixture(scope="module")
def fitted(rows):
    return small_clusterer().fit(*rows)


LABELS = {
    "one class": (lambda y: np.zeros_like(y), "1 class only", "at least 2 classes"),
    "all alone": (lambda y: np.arange(len(y)), "60 classes", "no positive pair"),
    "too short": (lambda y: y[:-1], "inconsistent numbers of samples", "59"),
    "fractions": (lambda y: y + 0.5, "continuous"),
}


@pytest.mark.parametrize("row", LABELS)
def test_labels_that_teach_nothing_are_refused(row, fitted, rows, monkeypatch):
    forbid_training(monkeypatch)
    spoil, *words = LABELS[row]
    estimator = copy.copy(fitted)
    assert_refused(estimator, lambda: estimator.fit(rows[0], spoil(rows[1])), *words)


COMBINATIONS = {
    "paper of graphs": ({"mode": "paper", "metric": "precomputed"}, "metric"),
    "coordinates of graphs": (
        {"edge_features": "both", "metric": "precomputed"},
        "metric='precomputed'.*edge_features='structural'",
    ),
    "paper of two dimensions": (
        {"mode": "paper", "allow_other_dim": True},
        "allow_other_dim=True.*mode='structural'",
    ),
    "coordinates of two dimensions": (
        {"edge_features": "embedding", "allow_other_dim": True},
        "allow_other_dim=True.*edge_features='structural'",
    ),
    "unequal lists": (
        {"mode": "paper", "fit_levels": (2,)},
        "fit_neighbors.*fit_levels.*3 and 1",
    ),
    "empty lists": (
        {"mode": "paper", "fit_levels": (), "fit_neighbors": ()},
        "fit_neighbors.*not empty",
    ),
    "tau above 1": ({"tau": 1.5}, r"'tau'.*\[0, 1\].*'auto'.*1\.5"),
    "tau below 0": ({"tau": -0.1}, r"'tau'"),
    "resolution of 0": ({"resolution": 0.0}, r"'resolution'.*\(0, 1\)"),
    "no neighbours": ({"n_neighbors": 0}, r"'n_neighbors'.*\[1"),
    "no threads": ({"n_jobs": 0}, "'n_jobs'"),
    "five layers": ({"n_layers": 5}, r"'n_layers'.*\[1, 4\]"),
    "unknown metric": ({"metric": "euclidean"}, "'metric'.*cosine.*precomputed"),
    "unknown search": ({"knn": "annoy"}, "'knn'.*auto.*exact.*faiss.*pynndescent"),
    "unknown decoder": ({"decode": "infomap"}, "'decode'.*partition.*tree"),
    "unknown mode": ({"mode": "lander"}, "'mode'.*paper.*structural"),
    "all dropped": ({"dropout": 1.0}, "'dropout'"),
}


@pytest.mark.parametrize("row", COMBINATIONS)
def test_parameters_are_refused_by_name(row, rows, monkeypatch):
    forbid_training(monkeypatch)
    params, *words = COMBINATIONS[row]
    estimator = small_clusterer(**params)
    assert_refused(
        estimator, lambda: estimator.fit(*rows), *words, error=InvalidParameterError
    )


@pytest.mark.parametrize(
    "params",
    [{"mode": "paper"}, {"edge_features": "embedding"}, {"edge_features": "both"}],
)
def test_networks_that_read_coordinates_need_labels(params, rows):
    estimator = small_clusterer(**params)
    assert estimator.__sklearn_tags__().target_tags.required
    assert_refused(
        estimator,
        lambda: estimator.fit(rows[0]),
        "HiLanderClusterer requires y to be passed",
        "built-in networks",
    )


def test_groups_without_labels_are_refused(rows):
    estimator = small_clusterer()
    groups = np.zeros(60)
    assert_refused(
        estimator, lambda: estimator.fit(rows[0], groups=groups), "groups", "`y`"
    )


@pytest.mark.parametrize("shape", [(59,), (60, 1), ()])
def test_groups_need_one_entry_a_row(shape, fitted, rows, monkeypatch):
    forbid_training(monkeypatch)
    estimator, groups = copy.copy(fitted), np.zeros(shape)
    assert_refused(
        estimator,
        lambda: estimator.fit(*rows, groups=groups),
        "`groups` must hold one entry per row, 60",
    )


def test_groups_of_a_single_row_are_refused(fitted, rows):
    groups = np.arange(60) == 7
    estimator = copy.copy(fitted)
    assert_refused(
        estimator, lambda: estimator.fit(*rows, groups=groups), "at least 2 rows"
    )


def test_weights_of_samples_are_no_argument(fitted, rows):
    with pytest.raises(TypeError, match="sample_weight"):
        fitted.fit(*rows, sample_weight=np.ones(60))


def test_fit_predict_does_not_forget_the_labels(fitted, rows):
    assert_refused(
        fitted, lambda: fitted.fit_predict(rows[0]), "predict", "forget", "clone"
    )
    assert small_clusterer().fit_predict(*rows).tolist() == fitted.labels_.tolist()


def test_fit_predict_without_labels_may_be_repeated(rows):
    model = HiLanderClusterer(6)
    first = model.fit_predict(rows[0])
    assert model.fit_predict(rows[0]).tolist() == first.tolist()
    assert model.classes_ is None


@pytest.mark.parametrize("ask", ["predict", "cluster", "partial_predict"])
def test_questions_before_the_fit_are_refused(ask, rows):
    with pytest.raises(NotFittedError, match="HiLanderClusterer"):
        getattr(HiLanderClusterer(), ask)(rows[0])


@pytest.mark.parametrize("name", ["labels_", "hierarchy_", "result_", "n_clusters_"])
def test_attributes_before_the_fit_are_missing(name):
    assert not hasattr(HiLanderClusterer(), name)


@pytest.mark.parametrize("ask", ["predict", "cluster"])
def test_other_numbers_of_features_are_refused(ask, fitted, rows):
    for X in (rows[0][:, 1:], sp.csr_array(rows[0][:, 1:])):
        assert_refused(
            fitted,
            lambda: getattr(fitted, ask)(X),  # noqa: B023
            "X has 9 features.*expecting 10",
            "allow_other_dim|features",
        )


def test_extending_needs_the_rows_of_the_clusters(fitted, rows):
    X, _ = rows
    assert_refused(fitted, lambda: fitted.partial_predict(X), "result=", "cluster")
    with pytest.raises(TypeError, match="`result` must be a ClusterResult.* ndarray"):
        fitted.partial_predict(X, fitted.labels_)
    other = fitted.cluster(X)
    model = small_clusterer(allow_other_dim=True).fit(X, rows[1])
    with pytest.raises(ValueError, match="dense rows with 10 features"):
        model.partial_predict(X[:, :5], result=other)
    with pytest.raises(ValueError, match="precomputed.*no rows"):
        copy.copy(fitted).set_params(metric="precomputed").partial_predict(X, other)


def test_early_stopping_needs_enough_classes(rows, monkeypatch):
    forbid_training(monkeypatch)
    X, y = rows
    estimator = small_clusterer(early_stopping=True)
    assert_refused(
        estimator,
        lambda: estimator.fit(X[:36], y[:36]),
        "early_stopping=True",
        "3 such classes",
    )


def test_going_on_with_another_network_is_refused(rows):
    X, y = rows
    for params in ({"hidden_layer_sizes": (4,)}, {"edge_features": "both"}):
        model = small_clusterer(warm_start=True).fit(X, y).set_params(**params)
        assert_refused(
            model,
            lambda: model.fit(X, y),  # noqa: B023
            "warm_start=True",
            "warm_start=False",
            error=InvalidParameterError,
        )
    model = small_clusterer(warm_start=True).fit(X, y)
    with pytest.raises(ValueError, match="X has 9 features"):
        model.fit(X[:, 1:], y)
