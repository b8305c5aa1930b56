"""Tests of the accuracy over few-shot episodes."""

import numpy as np
import pytest
import scipy.sparse as sp
from few_shot_stand_ins import Recorder, Shift, TinyLearner
from numpy.testing import assert_allclose, assert_array_equal
from sklearn.base import clone
from sklearn.dummy import DummyClassifier
from sklearn.feature_extraction.text import CountVectorizer
from sklearn.linear_model import LogisticRegression
from sklearn.neighbors import KNeighborsClassifier
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import FunctionTransformer, StandardScaler
from sklearn.semi_supervised import LabelSpreading, SelfTrainingClassifier

from skdeep.model_selection import EpisodeSampler, few_shot_score

NEAREST = KNeighborsClassifier(1)
SMALL = {"n_way": 3, "n_query": 4, "n_episodes": 12, "random_state": 0}


def numbered_rows(n_classes=6, n_rows=20):
    """Each row holds its number, and its class is the number divided by `n_rows`."""
    X = np.arange(n_classes * n_rows)[:, None].astype(float)
    return X, np.repeat(np.arange(n_classes), n_rows)


def by_brute_force(estimator, X, y, answer, **params):
    """Accuracy of each episode from fits on the original labels."""
    scores = []
    for support, query in EpisodeSampler(**params).split(X, y):
        labels = np.concatenate([y[support], np.full(len(query), -1)])
        rows = np.concatenate([support, query])
        found = answer(clone(estimator).fit(X[rows], labels), X[query])
        scores.append(np.mean(found == y[query]))
    return np.array(scores)


def test_one_neighbor_on_a_table_counted_by_hand():
    X = np.array([[0.0], [11.0], [4.0], [20.0]])
    y = np.array(["a", "a", "b", "b"])
    params = {"n_way": 2, "n_query": 1, "n_episodes": 400, "random_state": 0}
    result = few_shot_score(NEAREST, X, y, **params)
    # support (0, 4): 11 is nearer to 4, wrong, and 20 too, right; (0, 20): both wrong;
    # (11, 4): both wrong; (11, 20): 0 right, 4 wrong
    by_hand = {(0, 4): 0.5, (0, 20): 0.0, (11, 4): 0.0, (11, 20): 0.5}
    supports = [
        tuple(sorted(X[support, 0], key=lambda x: x in (4, 20)))
        for support, _ in EpisodeSampler(**params).split(X, y)
    ]
    assert_array_equal(result.scores, [by_hand[pair] for pair in supports])
    assert set(supports) == set(by_hand)
    assert result.mean == result.scores.mean() == pytest.approx(0.25, abs=0.05)
    # scores are 0 or 0.5
    share = 2 * result.mean
    spread = 0.5 * np.sqrt(share * (1 - share))
    assert result.ci95 == pytest.approx(1.96 * spread / 20)
    assert result.seconds > 0
    assert result.n_way == 2


def test_spreading_is_scored_on_the_labels_of_its_fit(digits):
    X, y = digits
    params = {"n_shot": 2, "n_episodes": 15, "random_state": 0}
    spreading = LabelSpreading(gamma=1)
    expected = by_brute_force(
        spreading, X, y, lambda fitted, _: fitted.transduction_[10:], **params
    )
    assert_array_equal(few_shot_score(spreading, X, y, **params).scores, expected)
    alone = few_shot_score(spreading, X, y, unlabeled="none", **params)
    assert alone.mean < expected.mean()


def test_self_training_is_asked_for_a_prediction(digits):
    X, y = digits
    params = {"n_way": 3, "n_shot": 5, "n_query": 5, "n_episodes": 4, "random_state": 0}
    trained = SelfTrainingClassifier(LogisticRegression(), threshold=0.9)
    expected = by_brute_force(
        trained, X, y, lambda fitted, X: fitted.predict(X), **params
    )
    assert_array_equal(few_shot_score(trained, X, y, **params).scores, expected)


def test_a_pipeline_is_fitted_on_the_query_rows_too(digits):
    X, y = digits
    params = {"n_shot": 2, "n_episodes": 5, "random_state": 0}
    model = make_pipeline(StandardScaler(), LabelSpreading("knn", n_neighbors=5))
    expected = by_brute_force(
        model, X, y, lambda fitted, _: fitted[-1].transduction_[10:], **params
    )
    assert_array_equal(few_shot_score(model, X, y, **params).scores, expected)


def test_modes_decide_which_rows_come_without_label():
    X, y = numbered_rows()
    for unlabeled, n_pile in (("auto", 12), ("query", 12), ("none", 0), (5, 15)):
        log = []
        few_shot_score(Recorder(log), X, y, n_shot=2, unlabeled=unlabeled, **SMALL)
        assert len(log) == 12
        for rows, labels in log:
            assert_array_equal(labels, [0, 0, 1, 1, 2, 2, *[-1] * n_pile])
            assert len(set(rows)) == len(rows)
            assert set(y[rows[:6]]) >= set(y[rows])
            assert (y[rows[:6:2]] == y[rows[1:6:2]]).all()


def test_further_rows_are_not_in_the_query():
    X, y = numbered_rows(3, 8)
    queries = []

    class Watcher(Recorder):
        def predict(self, X):
            queries.append(np.ravel(X).astype(int))
            return super().predict(X)

    log = []
    few_shot_score(Watcher(log), X, y, n_shot=1, unlabeled=3, **SMALL)
    for (rows, _), query in zip(log, queries):
        # of each class 1 + 3 + 4 rows, which is all of them
        assert_array_equal(np.sort(np.concatenate([rows, query])), np.arange(24))
        assert_array_equal(np.bincount(y[query]), [4, 4, 4])


def test_further_rows_have_the_class_shares_of_the_query():
    X, y = numbered_rows(3, 60)
    log = []
    params = {**SMALL, "n_episodes": 60}
    few_shot_score(Recorder(log), X, y, unlabeled=10, balance=0.3, **params)
    counts = [np.bincount(y[rows[3:]], minlength=3) for rows, _ in log]
    assert (np.sum(counts, axis=1) == 30).all()
    assert np.std(counts) > 5


def test_names_of_classes_are_in_random_order():
    X, y = numbered_rows(3)
    log = []
    few_shot_score(Recorder(log), X, y, **{**SMALL, "n_episodes": 200})
    firsts = np.bincount([y[rows[0]] for rows, _ in log]) / 200
    assert_allclose(firsts, 1 / 3, atol=0.1)
    result = few_shot_score(DummyClassifier(), X, y, **SMALL)
    assert_allclose(result.scores, 1 / 3)


def test_plain_classifiers_get_no_rows_without_label(digits):
    X, y = digits
    params = {"n_episodes": 5, "random_state": 0}
    auto, none = (
        few_shot_score(NEAREST, X, y, unlabeled=unlabeled, **params)
        for unlabeled in ("auto", "none")
    )
    assert_array_equal(auto.scores, none.scores)
    for unlabeled in ("query", 5):
        model = make_pipeline(StandardScaler(), NEAREST)
        with pytest.raises(
            ValueError, match='KNeighborsClassifier takes -1.*use unlabeled="none"'
        ):
            few_shot_score(model, X, y, unlabeled=unlabeled, **params)


def test_rows_may_be_sparse_or_a_frame_or_text(digits):
    pd = pytest.importorskip("pandas")
    X, y = digits
    params = {"n_episodes": 5, "random_state": 0}
    expected = few_shot_score(NEAREST, X, y, **params).scores
    for rows in (sp.csr_array(X), sp.coo_matrix(X), pd.DataFrame(X), X.tolist()):
        assert_array_equal(few_shot_score(NEAREST, rows, y, **params).scores, expected)
    names = np.array([f"class {label}" for label in y])
    assert_array_equal(few_shot_score(NEAREST, X, names, **params).scores, expected)
    texts = [f"word{label} and others" for label in y]
    model = make_pipeline(CountVectorizer(), NEAREST)
    assert few_shot_score(model, texts, y, **params).mean == 1


@pytest.mark.parametrize("unlabeled", ["auto", "none", 3])
def test_meta_learner_adapts_in_batches_and_is_left_alone(digits, unlabeled):
    X, y = digits
    learner = TinyLearner()
    params = {"n_shot": 2, "n_episodes": 230, "n_query": 5, "random_state": 0}
    result = few_shot_score(learner, X, y, unlabeled=unlabeled, **params)
    assert [len(batch) for batch in learner.batches] == [100, 100, 30]
    asked = {task.n_predicted for batch in learner.batches for task in batch}
    assert asked == ({0} if unlabeled == "auto" else {1})
    has_pile = hasattr(learner.batches[0][0], "transduction_")
    assert has_pile == (unlabeled != "none")
    if unlabeled != 3:  # the same draws, so the same answers as of class means
        expected = [
            np.mean(
                [
                    np.argmin(
                        [
                            ((x - X[support][i : i + 2].mean(0)) ** 2).sum()
                            for i in range(0, 10, 2)
                        ]
                    )
                    == place // 5
                    for place, x in enumerate(X[query])
                ]
            )
            for support, query in EpisodeSampler(**{**params}).split(X, y)
        ]
        assert_allclose(result.scores, expected)


def test_pipeline_with_a_meta_learner_transforms_once(digits):
    X, y = digits
    shift, learner = Shift().fit(X), TinyLearner()
    pipeline = make_pipeline(shift, FunctionTransformer(), learner)
    params = {"n_episodes": 120, "random_state": 0}
    result = few_shot_score(pipeline, X, y, **params)
    assert shift.n_calls == 1
    assert len(learner.batches) == 2
    plain = few_shot_score(make_pipeline(TinyLearner()), X, y, **params)
    assert_array_equal(result.scores, plain.scores)  # distances stay the same


def test_groups_and_lowered_ways_are_those_of_the_sampler(digits):
    X, y = digits
    groups = np.where(y < 4, 0, 1)
    with pytest.warns(UserWarning, match="n_way=8 is lowered to 6") as record:
        result = few_shot_score(
            NEAREST, X, y, n_way=8, n_episodes=5, groups=groups, random_state=0
        )
    assert record[0].filename == __file__
    assert result.n_way == 6
    rows, labels = numbered_rows()
    log = []
    few_shot_score(Recorder(log), rows, labels, groups=labels % 2, **SMALL)
    assert all(len(set(labels[rows_] % 2)) == 1 for rows_, _ in log)


def test_rows_marked_minus_one_are_not_drawn():
    X, y = numbered_rows()
    y[::4] = -1
    log = []
    few_shot_score(Recorder(log), X, y, **SMALL)
    assert all((y[rows] >= 0).all() for rows, _ in log)


def test_same_seed_same_scores(digits):
    X, y = digits
    one, other = (
        few_shot_score(NEAREST, X, y, n_episodes=5, random_state=7) for _ in range(2)
    )
    assert_array_equal(one.scores, other.scores)


def test_wrong_arguments_are_refused(digits):
    X, y = digits
    for unlabeled in ("all", 0, 1.5, True, None):
        with pytest.raises(ValueError, match="The 'unlabeled' parameter of few_shot"):
            few_shot_score(NEAREST, X, y, unlabeled=unlabeled)
    with pytest.raises(ValueError, match="inconsistent numbers of samples"):
        few_shot_score(NEAREST, X[1:], y)
    with pytest.raises(ValueError, match="requires y"):
        few_shot_score(NEAREST, X, None)
    with pytest.raises(ValueError, match="The 'n_shot' parameter"):
        few_shot_score(NEAREST, X, y, n_shot=0)
