"""Tests of the scorers of embedders."""

import pickle

import numpy as np
import pytest
from sklearn.base import clone
from sklearn.decomposition import PCA
from sklearn.model_selection import GridSearchCV, cross_validate
from sklearn.neighbors import KNeighborsClassifier
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from skdeep.metrics import (
    consistency_constrained_refit,
    epsilon_opis_score,
    far_frr_curve,
    get_embedding_scorers,
    make_embedding_scorer,
    map_at_r_score,
    neg_opis,
    opis_score,
    recall_at_1,
    recall_at_k_score,
    threshold_at_far,
    verification_frr_scorer,
)
from skdeep.model_selection import ClassDisjointKFold


@pytest.fixture(scope="module")
def rows():
    rng = np.random.RandomState(0)
    y = np.arange(120) % 12
    X = rng.randn(12, 6)[y] + 0.5 * rng.randn(120, 6)
    X.flags.writeable = y.flags.writeable = False
    return X, y


def test_every_scorer_is_its_metric_on_the_embedded_rows(rows):
    X, y = rows
    embedder = PCA(3).fit(X)
    Z = embedder.transform(X)
    threshold = threshold_at_far(y, Z, target_far=0.01)
    expected = {
        "recall_at_1": recall_at_k_score(y, Z),
        "map_at_r": map_at_r_score(y, Z),
        "mean_utility": opis_score(y, Z, return_details=True).mean_utility,
        "neg_opis": -opis_score(y, Z),
        "neg_epsilon_opis": -epsilon_opis_score(y, Z),
        "neg_verification_frr": -far_frr_curve(y, Z, thresholds=[threshold])[1][0],
    }
    scorers = get_embedding_scorers()
    assert list(scorers) == list(expected)
    for name, scorer in scorers.items():
        assert scorer(embedder, X, y) == pytest.approx(expected[name]), name
        assert isinstance(scorer(embedder, X, y), float)


def test_classifier_at_the_end_of_a_pipeline_is_left_out(rows):
    X, y = rows
    embedder = make_pipeline(StandardScaler(), PCA(3, random_state=0)).fit(X, y)
    classifier = make_pipeline(
        StandardScaler(), PCA(3, random_state=0), KNeighborsClassifier()
    ).fit(X, y)
    for scorer in (recall_at_1, neg_opis):
        assert scorer(classifier, X, y) == pytest.approx(scorer(embedder, X, y))


def test_response_names_another_method(rows):
    X, y = rows
    classifier = KNeighborsClassifier().fit(X, y)
    scorer = make_embedding_scorer(recall_at_k_score, response="predict_proba")
    expected = recall_at_k_score(y, classifier.predict_proba(X))
    assert scorer(classifier, X, y) == expected


@pytest.mark.parametrize(
    "estimator", [KNeighborsClassifier(), make_pipeline(KNeighborsClassifier())]
)
def test_estimator_without_embeddings_is_refused(rows, estimator):
    with pytest.raises(TypeError, match="has no `transform`"):
        recall_at_1(estimator.fit(*rows), *rows)


def test_wrong_response_and_metric_are_refused(rows):
    scorer = make_embedding_scorer(recall_at_k_score, response="embed")
    with pytest.raises(TypeError, match="response='embed' is not a method of PCA"):
        scorer(PCA(2).fit(rows[0]), *rows)
    with pytest.raises(TypeError, match="`metric` must be callable; got 'recall'"):
        make_embedding_scorer("recall")
    with pytest.raises(TypeError, match="`response` must be 'auto' or a method's name"):
        make_embedding_scorer(recall_at_k_score, response=3)


def test_scorers_survive_pickling_and_print_their_state(rows):
    X, y = rows
    embedder = PCA(3).fit(X)
    for scorer in get_embedding_scorers().values():
        copy = pickle.loads(pickle.dumps(scorer))
        assert copy(embedder, X, y) == scorer(embedder, X, y)
    assert repr(verification_frr_scorer(0.1)) == (
        "make_embedding_scorer(_frr_at_far, greater_is_better=False, "
        "response='auto', metric_params={'target_far': 0.1})"
    )


def test_cross_validate_on_new_classes_with_all_scorers(rows):
    results = cross_validate(
        PCA(3), *rows, scoring=get_embedding_scorers(), cv=ClassDisjointKFold(3)
    )
    for name in get_embedding_scorers():
        assert np.isfinite(results[f"test_{name}"]).all()
        assert len(results[f"test_{name}"]) == 3


@pytest.mark.slow
def test_grid_search_in_two_processes_equals_one(rows):
    search = GridSearchCV(
        make_pipeline(StandardScaler(), PCA(random_state=0)),
        {"pca__n_components": [2, 3, 5]},
        scoring={"recall_at_1": recall_at_1, "neg_opis": neg_opis},
        refit=consistency_constrained_refit(tolerance=0.05),
        cv=ClassDisjointKFold(3, shuffle=True, random_state=0),
    )
    one = clone(search).fit(*rows)
    two = clone(search).set_params(n_jobs=2).fit(*rows)
    for name in ("mean_test_recall_at_1", "mean_test_neg_opis"):
        np.testing.assert_array_equal(one.cv_results_[name], two.cv_results_[name])
    assert one.best_index_ == two.best_index_
    assert pickle.loads(pickle.dumps(one)).best_index_ == one.best_index_


RESULTS = {
    "mean_test_recall_at_1": np.array([0.90, 0.895, 0.89, 0.5, np.nan]),
    "mean_test_neg_opis": np.array([-0.03, -0.02, -0.01, -0.001, -0.0]),
}


@pytest.mark.parametrize(
    ("tolerance", "expected"), [(0, 0), (0.005, 1), (0.01, 2), (0.3, 2), (0.5, 3)]
)
def test_refit_takes_the_lowest_opis_within_the_tolerance(tolerance, expected):
    assert consistency_constrained_refit(tolerance=tolerance)(RESULTS) == expected


def test_refit_refuses_what_it_cannot_choose_from():
    with pytest.raises(ValueError, match=r"no score 'map_at_r', only \['recall_at_1'"):
        consistency_constrained_refit(accuracy="map_at_r")(RESULTS)
    failed = {name: np.full(2, np.nan) for name in RESULTS}
    with pytest.raises(ValueError, match="Every candidate failed"):
        consistency_constrained_refit()(failed)
    with pytest.raises(ValueError, match="`tolerance` must be a number >= 0; got -1"):
        consistency_constrained_refit(tolerance=-1)
    with pytest.raises(ValueError, match="`target_far` must be a number in"):
        verification_frr_scorer("a")
