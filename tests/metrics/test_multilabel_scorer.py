"""Tests of the scorers of label rankings."""

import pickle

import numpy as np
import pytest
import scipy.sparse as sp
from sklearn.datasets import make_multilabel_classification
from sklearn.dummy import DummyClassifier
from sklearn.ensemble import RandomForestClassifier
from sklearn.linear_model import LogisticRegression, RidgeClassifier
from sklearn.metrics import coverage_error, label_ranking_average_precision_score
from sklearn.model_selection import GridSearchCV, KFold, cross_validate
from sklearn.multiclass import OneVsRestClassifier
from sklearn.multioutput import ClassifierChain, MultiOutputClassifier
from sklearn.neighbors import KNeighborsClassifier
from sklearn.neural_network import MLPClassifier
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from sklearn.tree import DecisionTreeClassifier

from skdeep.metrics import (
    get_multilabel_scorers,
    make_ranking_scorer,
    ndcg_at_3,
    ndcg_at_k_score,
    precision_at_1,
    precision_at_3,
    precision_at_k_score,
)
from skdeep.metrics._multilabel_scorer import label_scores

LINEAR = LogisticRegression()


@pytest.fixture(scope="module")
def rows():
    X, Y = make_multilabel_classification(60, n_features=6, random_state=0)
    X.flags.writeable = Y.flags.writeable = False
    return X, Y


def test_every_scorer_is_its_metric_on_the_scores(rows):
    X, Y = rows
    model = OneVsRestClassifier(LINEAR).fit(X, Y)
    S = model.decision_function(X)
    expected = {f"precision_at_{k}": precision_at_k_score(Y, S, k=k) for k in (1, 3, 5)}
    expected |= {f"ndcg_at_{k}": ndcg_at_k_score(Y, S, k=k) for k in (3, 5)}
    scorers = get_multilabel_scorers()
    assert list(scorers) == list(expected)
    for name, scorer in scorers.items():
        assert scorer(model, X, Y) == expected[name], name
        assert scorer(model, X, sp.csr_array(Y)) == expected[name], name
        assert isinstance(scorer(model, X, Y), float)


@pytest.mark.parametrize(
    "model",
    [
        RandomForestClassifier(5, random_state=0),
        DecisionTreeClassifier(max_depth=3, random_state=0),
        KNeighborsClassifier(),
        DummyClassifier(strategy="prior"),
        MLPClassifier((4,), max_iter=1500, solver="lbfgs", random_state=0),
        RidgeClassifier(),
        MultiOutputClassifier(LINEAR),
        MultiOutputClassifier(KNeighborsClassifier()),
        ClassifierChain(LINEAR),
        OneVsRestClassifier(LINEAR),
        OneVsRestClassifier(KNeighborsClassifier()),
        make_pipeline(StandardScaler(), KNeighborsClassifier()),
        GridSearchCV(KNeighborsClassifier(), {"n_neighbors": [3, 5]}, cv=2),
    ],
    ids=lambda model: type(model).__name__,
)
def test_multilabel_classifiers_of_scikit_learn_can_be_scored(rows, model):
    X, Y = rows
    model.fit(X[:40], Y[:40])
    scores = label_scores(model, X)
    assert scores.shape == Y.shape
    # an increasing score of presence: above the middle where the label is predicted
    middle = 0.0 if hasattr(model, "decision_function") else 0.5
    agrees = (scores > middle) == (model.predict(X) == 1)
    assert agrees[scores != middle].all()
    assert 0 < precision_at_1(model, X, Y) <= 1


@pytest.mark.parametrize("value", [0, 1])
def test_label_with_one_value_in_training_gets_the_probability_of_presence(rows, value):
    X, Y = rows[0], rows[1].copy()
    Y[:, 2] = value
    for model in (KNeighborsClassifier(), RandomForestClassifier(3, random_state=0)):
        model.fit(X, Y)
        assert model.predict_proba(X)[2].shape == (60, 1)
        assert (label_scores(model, X)[:, 2] == value).all()
        wrapped = make_pipeline(StandardScaler(), model).fit(X, Y)
        assert (label_scores(wrapped, X)[:, 2] == value).all()


def test_first_method_that_the_estimator_has_is_used(rows):
    X, Y = rows
    model = OneVsRestClassifier(LINEAR).fit(X, Y)
    assert (label_scores(model, X) == model.decision_function(X)).all()
    scorer = make_ranking_scorer(_mean_score, response="predict_proba")
    assert scorer(model, X, Y) == model.predict_proba(X).mean()
    scorer = make_ranking_scorer(_mean_score, response=("no_method", "predict"))
    assert scorer(model, X, Y) == model.predict(X).mean()


def _mean_score(y_true, y_score):
    return y_score.mean()


def test_losses_and_metrics_of_scikit_learn_can_be_scorers(rows):
    X, Y = rows
    model = KNeighborsClassifier().fit(X, Y)
    S = np.column_stack([p[:, 1] for p in model.predict_proba(X)])
    scorer = make_ranking_scorer(coverage_error, greater_is_better=False)
    assert scorer(model, X, Y) == -coverage_error(Y, S)
    scorer = make_ranking_scorer(label_ranking_average_precision_score)
    assert scorer(model, X, Y) == label_ranking_average_precision_score(Y, S)


class _Given:
    """Estimator that gives back the scores it was made with."""

    def __init__(self, scores):
        self.scores = scores

    def decision_function(self, X):
        return self.scores


def test_sparse_scores_stay_sparse_and_a_vector_is_one_column():
    S = sp.csr_array([[0, 0.5, 0], [0.1, 0, 0]])
    assert label_scores(_Given(S), None) is S
    assert precision_at_1(_Given(S), None, [[0, 1, 0], [0, 0, 1]]) == 0.5
    assert precision_at_1(_Given(np.array([0.3, 0.1])), None, [[1], [0]]) == 0.5
    columns = [np.array([0.3, 0.1]), np.array([0.2, 0.4])]
    assert precision_at_1(_Given(columns), None, [[1, 0], [0, 1]]) == 1


def test_estimators_without_usable_scores_are_refused(rows):
    with pytest.raises(TypeError, match="StandardScaler has no decision_function or p"):
        precision_at_1(StandardScaler().fit(rows[0]), *rows)
    with pytest.raises(TypeError, match="`metric` must be callable; got 'ndcg'"):
        make_ranking_scorer("ndcg")
    several = [np.ones((2, 3)), np.ones((2, 3))]
    with pytest.raises(ValueError, match="gives 3 scores for one label where 2 are"):
        precision_at_1(_Given(several), None, np.eye(2))


def test_scorers_survive_pickling_and_print_their_state(rows):
    X, Y = rows
    model = KNeighborsClassifier().fit(X, Y)
    made = make_ranking_scorer(precision_at_k_score, k=2)
    for scorer in (made, *get_multilabel_scorers().values()):
        copy = pickle.loads(pickle.dumps(scorer))
        assert copy(model, X, Y) == scorer(model, X, Y)
    assert repr(made) == (
        "make_ranking_scorer(precision_at_k_score, greater_is_better=True, "
        "response=('decision_function', 'predict_proba'), k=2)"
    )


def test_cross_validate_takes_all_scorers_at_once(rows):
    X, Y = rows
    scorers = get_multilabel_scorers()
    found = cross_validate(KNeighborsClassifier(), X, Y, scoring=scorers, cv=KFold(3))
    train, test = next(KFold(3).split(X))
    model = KNeighborsClassifier().fit(X[train], Y[train])
    for name, scorer in scorers.items():
        assert found[f"test_{name}"][0] == scorer(model, X[test], Y[test])


def test_grid_search_takes_sparse_labels(rows):
    X, Y = rows
    model = OneVsRestClassifier(LINEAR)
    search = GridSearchCV(model, {"estimator__C": [0.1, 1]}, scoring=ndcg_at_3, cv=2)
    dense = search.fit(X, Y).cv_results_["mean_test_score"]
    sparse = search.fit(X, sp.csr_array(Y)).cv_results_["mean_test_score"]
    np.testing.assert_array_equal(dense, sparse)


def test_grid_search_chooses_by_the_scorer(rows):
    grid = {"n_neighbors": [1, 5, 15]}
    search = GridSearchCV(
        KNeighborsClassifier(),
        grid,
        scoring={"p": precision_at_3, "n": ndcg_at_3},
        refit="n",
        cv=KFold(3),
    ).fit(*rows)
    one = GridSearchCV(KNeighborsClassifier(), grid, scoring=ndcg_at_3, cv=KFold(3))
    assert one.fit(*rows).best_params_ == search.best_params_
    assert one.best_score_ == search.cv_results_["mean_test_n"].max()


@pytest.mark.slow
def test_grid_search_in_two_processes_equals_one(rows):
    search = GridSearchCV(
        KNeighborsClassifier(),
        {"n_neighbors": [1, 5, 15]},
        scoring=make_ranking_scorer(ndcg_at_k_score, k=4),
        cv=KFold(3),
    )
    one = search.fit(*rows).cv_results_["mean_test_score"]
    two = search.set_params(n_jobs=2).fit(*rows).cv_results_["mean_test_score"]
    np.testing.assert_array_equal(one, two)
