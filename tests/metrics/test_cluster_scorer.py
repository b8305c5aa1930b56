"""Tests of the scorers of clusterers."""

import inspect
import pickle
import warnings

import numpy as np
import pytest
from sklearn.base import BaseEstimator, ClusterMixin
from sklearn.cluster import DBSCAN, KMeans
from sklearn.metrics import normalized_mutual_info_score
from sklearn.model_selection import GridSearchCV, KFold, cross_validate
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import FunctionTransformer, StandardScaler

from skdeep.metrics import (
    bcubed_f,
    bcubed_f_score,
    cluster_scores,
    nmi,
    pairwise_f,
    pairwise_f_score,
)
from skdeep.model_selection import ClassDisjointKFold

SCORERS = {"pairwise_f": pairwise_f, "bcubed_f": bcubed_f, "nmi": nmi}


class GridClusterer(ClusterMixin, BaseEstimator):
    """Rows of one cell of a grid are one cluster; knows the classes of its training."""

    n_calls = 0

    def __init__(self, width=1.0, supervised=True):
        self.width = width
        self.supervised = supervised

    def fit(self, X, y=None):
        self.classes_ = np.unique(y) if self.supervised else None
        self.labels_ = self.predict(X)
        return self

    def predict(self, X):
        type(self).n_calls += 1
        cells = np.floor(np.asarray(X) / self.width)
        return np.unique(cells, axis=0, return_inverse=True)[1]


@pytest.fixture(scope="module")
def rows():
    """Eight classes of ten rows around whole numbers, shifted into their cells."""
    rng = np.random.RandomState(0)
    y = np.arange(80) % 8
    X = np.c_[y + 0.5, -y - 0.5] + 0.25 * rng.randn(80, 2)
    X.flags.writeable = y.flags.writeable = False
    return X, y


def new_classes(rows):
    """A clusterer fitted on half of the classes, and the rows of the others."""
    X, y = rows
    is_new = y >= 4
    return GridClusterer().fit(X[~is_new], y[~is_new]), X[is_new], y[is_new]


def test_every_scorer_is_its_metric_on_the_predicted_clusters(rows):
    clusterer, X, y = new_classes(rows)
    labels = clusterer.predict(X)
    expected = {
        "pairwise_f": pairwise_f_score(y, labels),
        "bcubed_f": bcubed_f_score(y, labels),
        "nmi": normalized_mutual_info_score(y, labels),
    }
    assert 0 < min(expected.values()) < max(expected.values()) < 1
    found = {name: scorer(clusterer, X, y) for name, scorer in SCORERS.items()}
    assert found == pytest.approx(expected)
    assert cluster_scores(clusterer, X, y) == found
    assert all(type(score) is float for score in found.values())


def test_all_scores_together_cost_one_clustering(rows):
    clusterer, X, y = new_classes(rows)
    before = GridClusterer.n_calls
    cluster_scores(clusterer, X, y)
    assert GridClusterer.n_calls == before + 1


@pytest.mark.parametrize("pipeline", [False, True])
def test_cross_validate_on_new_classes_says_nothing(rows, pipeline):
    model = GridClusterer()
    if pipeline:
        model = make_pipeline(FunctionTransformer(), model)
    cv = ClassDisjointKFold(4)
    each = cross_validate(model, *rows, scoring=SCORERS, cv=cv)
    together = cross_validate(model, *rows, scoring=cluster_scores, cv=cv)
    for name in SCORERS:
        assert len(each[f"test_{name}"]) == 4
        assert (each[f"test_{name}"] > 0.5).all()
        np.testing.assert_array_equal(each[f"test_{name}"], together[f"test_{name}"])


@pytest.mark.parametrize("scoring", [SCORERS, cluster_scores], ids=["dict", "one"])
def test_grid_search_finds_the_width_of_the_cells(rows, scoring):
    search = GridSearchCV(
        make_pipeline(FunctionTransformer(), GridClusterer()),
        {"gridclusterer__width": [0.2, 1.0, 6.0]},
        scoring=scoring,
        refit="bcubed_f",
        cv=ClassDisjointKFold(4, shuffle=True, random_state=0),
    ).fit(*rows)
    assert search.best_params_ == {"gridclusterer__width": 1.0}
    for name in SCORERS:
        assert np.isfinite(search.cv_results_[f"mean_test_{name}"]).all()


@pytest.mark.parametrize("scorer", [*SCORERS.values(), cluster_scores])
def test_known_classes_are_told(rows, scorer):
    X, y = rows
    names = np.array(list("stuvwxyz"))[y]
    known = y < 5
    clusterer = GridClusterer().fit(X[known], names[known])
    with pytest.warns(UserWarning, match="3 of the 6 classes .*ClassDisjointKFold"):
        scorer(clusterer, X[y > 1], names[y > 1])
    model = make_pipeline(FunctionTransformer(), GridClusterer()).fit(X, names)
    with pytest.warns(UserWarning, match="8 of the 8 classes .* Pipeline was fitted"):
        scorer(model, X, names.tolist())


def test_warning_points_at_the_caller(rows):
    clusterer = GridClusterer().fit(*rows)
    for scorer in (*SCORERS.values(), cluster_scores):
        with pytest.warns(UserWarning, match="8 of the 8") as record:
            scorer(clusterer, *rows)
        assert record[0].filename == __file__


def test_split_over_rows_is_told(rows):
    with pytest.warns(UserWarning, match="8 of the 8 classes to be scored"):
        cross_validate(
            GridClusterer(),
            *rows,
            scoring=cluster_scores,
            cv=KFold(2, shuffle=True, random_state=0),
        )


@pytest.mark.parametrize(
    "model",
    [
        GridClusterer(supervised=False),
        make_pipeline(FunctionTransformer(), GridClusterer(supervised=False)),
        KMeans(8, n_init=1, random_state=0),
        make_pipeline(StandardScaler(), KMeans(8, n_init=1, random_state=0)),
    ],
    ids=["classes_ is None", "the same, last step", "no classes_", "none, last step"],
)
def test_clusterer_without_classes_is_scored_on_any_rows(rows, model):
    model.fit(*rows)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert min(cluster_scores(model, *rows).values()) > 0.4


def test_numbers_and_their_text_are_different_classes(rows):
    X, y = rows
    clusterer = GridClusterer().fit(X, y.astype(str))
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        bcubed_f(clusterer, X, y)


def test_estimator_without_predict_is_refused(rows):
    with pytest.raises(TypeError, match="DBSCAN has no `predict`.*`labels_`"):
        pairwise_f(DBSCAN().fit(rows[0]), *rows)


def test_scorers_take_no_sample_weight():
    for scorer in (*SCORERS.values(), cluster_scores):
        assert list(inspect.signature(scorer).parameters) == ["estimator", "X", "y"]


def test_scorers_survive_pickling(rows):
    clusterer, X, y = new_classes(rows)
    for scorer in (*SCORERS.values(), cluster_scores):
        copy = pickle.loads(pickle.dumps(scorer))
        assert copy(clusterer, X, y) == scorer(clusterer, X, y)
