"""Which tasks the known classes give: groups of rows, small classes, held-out ones."""

import numpy as np
import pytest
from new_classes import draw, quick_learner
from refusals import assert_refused, forbid_training
from sklearn.base import BaseEstimator, TransformerMixin
from sklearn.discriminant_analysis import LinearDiscriminantAnalysis
from sklearn.preprocessing import MinMaxScaler

from skdeep.few_shot import _training
from skdeep.few_shot._episode_plan import EpisodePlan, most_shots


def repeated_labels(n_tasks, n_labels, n_rows=10):
    """Rows whose labels 0, 1, ... are other classes in each task."""
    X, classes = draw(np.arange(n_tasks * n_labels), n_rows, 0)
    return X, classes % n_labels, classes // n_labels


# labels that repeat from task to task


@pytest.mark.parametrize("backbone", ["mlp", MinMaxScaler()])
@pytest.mark.parametrize("n_labels", [3, 5])
def test_backbone_takes_labels_that_repeat_across_tasks(backbone, n_labels):
    X, y, tasks = repeated_labels(6, n_labels)
    learner = quick_learner(backbone=backbone, n_way=2).fit(X, y, tasks=tasks)
    assert learner.classes_.tolist() == list(range(n_labels))
    assert learner.method_ == "sib"
    assert learner.predict(X).shape == (len(y),)


class Recorder(TransformerMixin, BaseEstimator):
    """A transformer that writes down the sets of rows of each class it was fitted on."""

    log = []

    def fit(self, X, y=None):
        self.log.append({tuple(sorted(X[y == label, 0])) for label in np.unique(y)})
        self.fitted_ = True
        return self

    def transform(self, X):
        return X


def test_class_of_a_backbone_is_a_label_in_a_task():
    X, y, tasks = repeated_labels(6, 3)
    pairs = 3 * tasks + y
    rows = {tuple(sorted(X[pairs == p, 0].astype(np.float32))) for p in range(18)}
    Recorder.log.clear()
    quick_learner(backbone=Recorder(), n_way=2).fit(X, y, tasks=tasks)
    first, second, last = Recorder.log
    assert len(first) == len(second) == 9  # whole tasks, three each
    assert first | second == last == rows


def test_tasks_are_parted_where_a_backbone_would_know_one_class_only(known):
    X, y = known
    learner = quick_learner(backbone=LinearDiscriminantAnalysis(), n_way=2)
    assert learner.fit(X, y, tasks=y > 0).method_ == "sib"


def test_other_names_of_labels_in_tasks_give_the_same_learner():
    X, y, tasks = repeated_labels(6, 3)
    support, pile = draw([20, 21, 22], 3, 1), draw([20, 21, 22], 10, 2)[0]
    found = []
    for labels in (y, 3 * tasks + y):  # repeated, and a name for each class
        learner = quick_learner(backbone=MinMaxScaler(), n_way=2, cross_fit=0)
        learner.fit(X, labels, tasks=tasks)
        found.append(learner.adapt(*support, pile).predict_proba(pile))
    np.testing.assert_array_equal(*found)


# tasks that are none


BAD_TASKS = {
    "None": ([None] * 3 + [1] * 141, "NaN or None"),
    "NaN": ([np.nan] * 3 + [1.0] * 141, "NaN or None"),
    "NaN in an array": (np.r_[np.nan, np.ones(143)], "NaN"),
    "mixed": (["a"] + [1] * 143, "mixed types"),
    "mixed objects": (np.array(["a"] + [1] * 143, dtype=object), "mixed types"),
    "matrix": (np.ones((144, 2)), "1d array"),
    "one name": ("abc", "1d array"),
    "no date": (np.array(["NaT"] * 144, dtype="M8[D]"), "datetime"),
}


@pytest.mark.parametrize("kind", BAD_TASKS)
def test_tasks_that_name_no_task_are_refused(kind, known, monkeypatch):
    forbid_training(monkeypatch)
    tasks, word = BAD_TASKS[kind]
    learner = quick_learner()
    assert_refused(learner, lambda: learner.fit(*known, tasks=tasks), "tasks", word)


def test_tasks_may_be_dates(known):
    X, y = known
    days = np.datetime64("2020-01-01") + y // 4
    one = quick_learner(n_way=2).fit(X, y, tasks=days)
    two = quick_learner(n_way=2).fit(X, y, tasks=y // 4)
    np.testing.assert_array_equal(one.predict_proba(X), two.predict_proba(X))


# classes of which some are small


def sizes_of(*sizes):
    codes = np.repeat(np.arange(len(sizes)), sizes)
    return codes, np.zeros(len(codes), np.int64)


@pytest.mark.parametrize(
    ("sizes", "n_way", "n_shot", "expected"),
    [
        ([20] * 30, (2, 10), (1, 5), 5),  # enough rows everywhere
        ([3] * 100 + [10] * 2, (2, 10), (1, 5), 2),
        ([3] * 100 + [10] * 9, (2, 10), (1, 5), 2),
        ([3] * 100 + [10] * 10, (2, 10), (1, 5), 5),  # as many as a task can have
        ([4] * 3 + [10] * 3, (2, 10), (1, 5), 3),
        ([4] * 3 + [10] * 3, (2, 2), (1, 5), 5),
        ([3] * 100 + [10] * 2, (2, 10), (5, 5), 5),  # nothing less was asked for
        ([3] * 100 + [10] * 2, (5, 5), (5, 5), 2),  # but n_way cannot be kept
        ([12] * 12, (2, 10), (50, 50), 11),
        ([1] * 5, (2, 10), (1, 5), 5),
    ],
)
def test_shots_are_lowered_until_there_are_classes_enough(
    sizes, n_way, n_shot, expected
):
    assert most_shots(*sizes_of(*sizes), n_way, n_shot) == expected


def test_classes_that_are_left_out_are_told():
    X, y = draw(np.arange(22), 10, 0)
    few = (y >= 2) & (np.arange(len(y)) % 10 >= 3)
    learner = quick_learner(early_stopping=False).fit(X[~few], y[~few])
    assert learner.method_ == "sib"
    plan = EpisodePlan(learner, y[~few], 0 * y[~few], np.random.RandomState(0))
    assert len(plan.train.sizes) == 22
    assert plan.how["n_shot"] == (1, 2)
    with pytest.warns(UserWarning, match="20 of 22 classes have fewer than 6 rows"):
        quick_learner(n_shot=5, early_stopping=False).fit(X[~few], y[~few])


# classes held out


@pytest.mark.parametrize(
    ("n_classes", "n_way", "is_on"),
    [
        (14, 5, False),  # 9 would be left, fewer than 2 * 5
        (15, 5, True),
        (19, (2, 10), False),  # 9 would be left, fewer than half
        (20, (2, 10), True),
        (20, (6, 10), False),  # 10 would be left, fewer than 2 * 6
        (22, (6, 10), True),
        (60, (2, 10), True),
    ],
)
def test_early_stopping_needs_twice_the_classes_of_a_task(n_classes, n_way, is_on):
    codes, groups = sizes_of(*[10] * n_classes)
    learner = quick_learner(n_way=n_way)
    plan = EpisodePlan(learner, codes, groups, np.random.RandomState(0))
    assert (plan.valid is not None) == is_on
    learner.set_params(early_stopping=True)
    if is_on:
        EpisodePlan(learner, codes, groups, np.random.RandomState(0))
    else:
        with pytest.warns(UserWarning, match="early_stopping is switched off.*n_way"):
            EpisodePlan(learner, codes, groups, np.random.RandomState(0))


def test_held_out_fraction_may_be_large_where_classes_are_many():
    codes, groups = sizes_of(*[10] * 100)
    learner = quick_learner(n_way=5, validation_fraction=0.6)
    plan = EpisodePlan(learner, codes, groups, np.random.RandomState(0))
    assert len(plan.train.sizes) == 40
    assert len(plan.valid.sizes) == 60


# features of several backbones in one table


@pytest.mark.parametrize("widths", [(3, 3), (3, 5)])
def test_features_of_folds_come_to_their_rows(widths):
    import scipy.sparse as sp

    rng = np.random.RandomState(0)
    places = rng.permutation(9)
    parts = [rng.rand(n, width).astype(np.float32) for n, width in zip((4, 5), widths)]
    expected = np.zeros((9, max(widths)), np.float32)
    for part, at in zip(parts, (places[:4], places[4:])):
        expected[at, : part.shape[1]] = part
    found = _training._in_one_table(parts, places)
    np.testing.assert_array_equal(found, expected)
    sparse = _training._in_one_table([sp.csr_array(part) for part in parts], places)
    assert sp.issparse(sparse)
    np.testing.assert_array_equal(sparse.toarray(), expected)
    mixed = _training._in_one_table([parts[0], sp.csr_array(parts[1])], places)
    np.testing.assert_array_equal(mixed, expected)
