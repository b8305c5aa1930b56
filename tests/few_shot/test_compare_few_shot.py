"""Tests of the comparison of few-shot classifiers."""

import numpy as np
import pytest
from sklearn.linear_model import LogisticRegression
from sklearn.neighbors import KNeighborsClassifier
from sklearn.semi_supervised import LabelSpreading

from skdeep.few_shot._compare import compare_few_shot
from skdeep.model_selection import few_shot_score

ESTIMATORS = {
    "logistic": LogisticRegression(max_iter=20, tol=0.1),
    "spreading": LabelSpreading(gamma=1, alpha=0.5),
    "nearest": KNeighborsClassifier(1),
}
QUICK = {"n_shot": 2, "n_episodes": 25, "random_state": 0}


@pytest.mark.parametrize("baseline", [None, "nearest"])
def test_rows_are_scores_on_the_same_episodes_and_their_differences(digits, baseline):
    X, y = digits
    rows = compare_few_shot(ESTIMATORS, X, y, baseline=baseline, **QUICK)
    alone = {
        name: few_shot_score(estimator, X, y, **QUICK)
        for name, estimator in ESTIMATORS.items()
    }
    reference = alone["logistic" if baseline is None else baseline].scores
    assert [row["name"] for row in rows] == list(ESTIMATORS)
    for row in rows:
        result = alone[row["name"]]
        assert (row["mean"], row["ci95"]) == (result.mean, result.ci95)
        differences = result.scores - reference
        assert row["difference"] == pytest.approx(differences.mean())
        half = 1.96 * np.sqrt(np.mean((differences - differences.mean()) ** 2) / 25)
        assert row["difference_ci95"] == pytest.approx(half)
        assert 0 < row["seconds"] < 1
    own = next(row for row in rows if row["name"] == (baseline or "logistic"))
    assert own["difference"] == own["difference_ci95"] == 0


def test_episodes_are_shared_without_a_seed_too(digits):
    X, y = digits
    twins = {"one": ESTIMATORS["nearest"], "other": ESTIMATORS["nearest"]}
    for random_state in (None, np.random.RandomState(0)):
        params = {**QUICK, "random_state": random_state}
        assert compare_few_shot(twins, X, y, **params)[1]["difference"] == 0


def test_one_estimator_with_and_without_the_pile(digits):
    X, y = digits
    spreading = ESTIMATORS["spreading"]
    alone, pile = compare_few_shot(
        {"alone": spreading, "pile": spreading},
        X,
        y,
        unlabeled={"alone": "none"},
        **QUICK,
    )
    expected = few_shot_score(spreading, X, y, unlabeled="none", **QUICK)
    assert alone["mean"] == expected.mean
    assert pile["mean"] == few_shot_score(spreading, X, y, **QUICK).mean


def test_further_rows_are_for_those_that_learn_from_them(digits):
    X, y = digits
    logistic, spreading, _ = compare_few_shot(ESTIMATORS, X, y, unlabeled=10, **QUICK)
    expected = few_shot_score(ESTIMATORS["spreading"], X, y, unlabeled=10, **QUICK)
    assert spreading["mean"] == expected.mean
    assert logistic["mean"] > 0.6  # and is not refused
    with pytest.raises(ValueError, match="LogisticRegression takes -1"):
        compare_few_shot(ESTIMATORS, X, y, unlabeled={"logistic": 10}, **QUICK)


def test_lowered_ways_are_told_once(digits):
    X, y = digits
    with pytest.warns(UserWarning, match="n_way=20 is lowered to 10") as record:
        compare_few_shot(ESTIMATORS, X, y, n_way=20, **{**QUICK, "n_episodes": 2})
    assert len(record) == 1
    assert record[0].filename == __file__


def test_wrong_arguments_are_refused(digits):
    X, y = digits
    with pytest.raises(ValueError, match="`baseline` must be one of .*got 'forest'"):
        compare_few_shot(ESTIMATORS, X, y, baseline="forest")
    with pytest.raises(ValueError, match="`estimators` must be a dict"):
        compare_few_shot([LogisticRegression()], X, y)
    with pytest.raises(ValueError, match=r"names \['forest'\], which `estimators`"):
        compare_few_shot(ESTIMATORS, X, y, unlabeled={"forest": "none"})
    with pytest.raises(ValueError, match="The 'unlabeled' parameter"):
        compare_few_shot(ESTIMATORS, X, y, unlabeled={"nearest": "all"})
    with pytest.raises(ValueError, match=r"has the numbers \[3, 5\]"):
        compare_few_shot(ESTIMATORS, X, y, unlabeled={"nearest": 3, "spreading": 5})
