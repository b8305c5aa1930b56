"""Tests of the scorer for few-shot classification."""

import pickle

import numpy as np
import pytest
from sklearn.base import BaseEstimator, clone
from sklearn.decomposition import PCA
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import GridSearchCV, cross_val_score
from sklearn.neighbors import KNeighborsClassifier
from sklearn.pipeline import make_pipeline
from sklearn.semi_supervised import LabelSpreading

from skdeep.metrics import make_few_shot_scorer
from skdeep.model_selection import ClassDisjointKFold, few_shot_score

QUICK = {"n_episodes": 20, "random_state": 0}


class OneNeighborLearner(BaseEstimator):
    """Stands for a meta-learner: it learns which classes exist, and adapts to others."""

    def __init__(self, n_neighbors=1):
        self.n_neighbors = n_neighbors

    def fit(self, X, y):
        self.classes_ = np.unique(y)
        return self

    def adapt_many(self, tasks):
        return [Adapted(X, y, X_unlabeled) for X, y, X_unlabeled in tasks]


class Adapted:
    def __init__(self, X, y, X_unlabeled):
        self.transduction_ = KNeighborsClassifier(1).fit(X, y).predict(X_unlabeled)


def test_score_is_the_mean_of_few_shot_score(digits):
    X, y = digits
    for params in ({"n_way": 3}, {"n_shot": 4, "balance": 2.0, "unlabeled": "none"}):
        expected = few_shot_score(LabelSpreading(gamma=1), X, y, **params, **QUICK).mean
        scorer = make_few_shot_scorer(**params, **QUICK)
        assert scorer(LabelSpreading(gamma=1), X, y) == expected
    groups = y % 2
    expected = few_shot_score(
        LabelSpreading(gamma=1), X, y, groups=groups, **QUICK
    ).mean
    assert (
        make_few_shot_scorer(**QUICK)(LabelSpreading(gamma=1), X, y, groups) == expected
    )


def test_search_scores_candidates_on_the_same_episodes_of_new_classes(digits):
    X, y = digits
    scorer = make_few_shot_scorer(n_shot=2, **QUICK)
    cv = ClassDisjointKFold(2)
    search = GridSearchCV(
        KNeighborsClassifier(1), {"p": [2, 2, 1]}, scoring=scorer, cv=cv
    ).fit(X, y)
    same, again, other = search.cv_results_["mean_test_score"]
    assert same == again
    assert same != other
    for fold, (_, test) in enumerate(cv.split(X, y)):
        expected = scorer(KNeighborsClassifier(1), X[test], y[test])
        assert search.cv_results_[f"split{fold}_test_score"][0] == expected


def test_fitted_steps_and_the_meta_learner_of_a_pipeline_are_used(digits):
    X, y = digits
    model = make_pipeline(PCA(10, random_state=0), OneNeighborLearner())
    cv = ClassDisjointKFold(2)
    scorer = make_few_shot_scorer(**QUICK)
    scores = cross_val_score(model, X, y, cv=cv, scoring=scorer)
    for score, (train, test) in zip(scores, cv.split(X, y)):
        embedding = PCA(10, random_state=0).fit(X[train]).transform(X[test])
        assert score == scorer(KNeighborsClassifier(1), embedding, y[test])


def test_scorer_can_be_sent_copied_and_read():
    scorer = make_few_shot_scorer(n_shot=2, random_state=3)
    assert repr(scorer) == (
        "make_few_shot_scorer(n_way=5, n_shot=2, n_query=15, n_episodes=600, "
        "balance='balanced', random_state=3, unlabeled='auto')"
    )
    for copy in (pickle.loads(pickle.dumps(scorer)), clone(scorer, safe=False)):
        assert repr(copy) == repr(scorer)
    search = clone(GridSearchCV(LogisticRegression(), {}, scoring=scorer))
    assert repr(search.scoring) == repr(scorer)


@pytest.mark.parametrize(
    ("name", "value"), [("n_shot", 0), ("unlabeled", "all"), ("balance", -1.0)]
)
def test_wrong_arguments_are_refused_before_any_search(name, value):
    with pytest.raises(ValueError, match=f"The '{name}' parameter"):
        make_few_shot_scorer(**{name: value})
