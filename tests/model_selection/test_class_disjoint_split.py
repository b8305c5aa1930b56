"""Tests of the splitters over classes."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.testing import assert_array_equal
from sklearn.base import clone
from sklearn.decomposition import PCA
from sklearn.model_selection import GridSearchCV, cross_val_score

from skdeep.metrics import recall_at_1
from skdeep.model_selection import ClassDisjointKFold, ClassDisjointShuffleSplit

SPLITTERS = [
    ClassDisjointKFold(3),
    ClassDisjointKFold(3, shuffle=True, random_state=0),
    ClassDisjointShuffleSplit(4, test_size=0.3, random_state=0),
]


def usable_classes(labels):
    return np.count_nonzero(np.unique(labels, return_counts=True)[1] > 1)


def two_of_each(n_classes, extra):
    return np.concatenate([np.repeat(np.arange(n_classes), 2), extra])


@given(
    extra=st.lists(st.integers(0, 20), max_size=80),
    n_splits=st.integers(2, 4),
    shuffle=st.booleans(),
)
@settings(max_examples=30, deadline=None, derandomize=True)
def test_folds_are_disjoint_in_classes_and_cover_all_rows(extra, n_splits, shuffle):
    y = two_of_each(8, extra)
    splitter = ClassDisjointKFold(
        n_splits, shuffle=shuffle, random_state=0 if shuffle else None
    )
    tested = []
    for train, test in splitter.split(np.zeros((len(y), 1)), y):
        assert not set(y[train]) & set(y[test])
        assert len(train) + len(test) == len(y)
        assert usable_classes(y[test]) >= 2
        tested.extend(test)
    assert_array_equal(np.sort(tested), np.arange(len(y)))


@given(
    extra=st.lists(st.integers(0, 20), max_size=60),
    test_size=st.one_of(st.integers(2, 7), st.floats(0.3, 0.85)),
    seed=st.integers(0, 9),
)
@settings(max_examples=30, deadline=None, derandomize=True)
def test_random_splits_are_disjoint_and_have_pairs_to_score(extra, test_size, seed):
    y = two_of_each(8, extra)
    n_classes = len(set(y))
    splitter = ClassDisjointShuffleSplit(3, test_size=test_size, random_state=seed)
    for train, test in splitter.split(np.zeros((len(y), 1)), y):
        assert not set(y[train]) & set(y[test])
        assert len(train) + len(test) == len(y)
        assert usable_classes(y[test]) >= 2
        expected = test_size if test_size >= 2 else np.ceil(test_size * n_classes)
        assert len(set(y[test])) == expected


def test_one_large_class_does_not_take_a_fold_for_itself():
    y = np.repeat(np.arange(4), [1000, 2, 2, 2])
    folds = [set(y[test]) for _, test in ClassDisjointKFold(2).split(y, y)]
    assert all(len(classes) == 2 for classes in folds)


def test_folds_have_about_the_same_number_of_rows():
    y = np.repeat(np.arange(30), np.arange(2, 32))
    sizes = [len(test) for _, test in ClassDisjointKFold(5).split(y, y)]
    assert max(sizes) - min(sizes) <= 3
    random = ClassDisjointShuffleSplit(20, test_size=0.2, random_state=0)
    sizes = [len(test) for _, test in random.split(y, y)]
    # six of thirty classes, one of each stratum of five sizes
    assert abs(np.mean(sizes) - len(y) / 5) < 8
    assert max(sizes) - min(sizes) <= 24


def test_two_classes_that_alone_have_pairs_are_both_tested():
    y = np.array([0, 0, 1, 1, 2, 3, 4, 5, 6, 7])
    splitter = ClassDisjointShuffleSplit(5, test_size=4, random_state=0)
    for _, test in splitter.split(y, y):
        assert {0, 1} < set(y[test])
        assert len(set(y[test])) == 4


@pytest.mark.parametrize("splitter", SPLITTERS, ids=repr)
def test_rows_without_a_label_go_to_every_training_part(splitter):
    y = np.repeat(np.arange(-1, 8), 3)
    for mark in (-1, np.nan, None):
        marked = splitter if mark == -1 else clone_with(splitter, unlabeled=mark)
        labels = y if mark == -1 else np.where(y == -1, mark, y)
        if mark is None:
            labels = y - y.min()
        for train, test in marked.split(y, labels):
            if mark is None:
                assert set(labels[train]) | set(labels[test]) == set(labels)
                continue
            assert set(np.flatnonzero(y == -1)) <= set(train)
            assert -1 not in y[test]


@pytest.mark.parametrize("splitter", SPLITTERS, ids=repr)
def test_missing_labels_that_mark_nothing_are_refused(splitter):
    y = np.repeat([np.nan, *range(8)], 3)
    with pytest.raises(ValueError, match="Input y contains NaN"):
        list(splitter.split(y, y))


@pytest.mark.parametrize("splitter", SPLITTERS, ids=repr)
def test_string_labels_split_as_numbers_do(splitter):
    y = np.repeat(np.arange(9), 4)
    names = np.array([f"class {label}" for label in y])
    for labels in (names, names.astype(object)):
        for (_, found), (_, expected) in zip(
            splitter.split(y, labels), splitter.split(y, y)
        ):
            assert_array_equal(found, expected)
    mixed = np.array([*names[4:], *([-1] * 4)], dtype=object)
    for train, test in clone_with(splitter, unlabeled=-1).split(mixed, mixed):
        assert set(range(32, 36)) <= set(train)
        assert len(test) > 0


def clone_with(splitter, **parameters):
    names = [
        name
        for name in ("n_splits", "shuffle", "test_size", "random_state")
        if hasattr(splitter, name)
    ]
    given = {name: getattr(splitter, name) for name in names}
    return type(splitter)(**{**given, **parameters})


@pytest.mark.parametrize("splitter", SPLITTERS, ids=repr)
def test_same_seed_same_splits(splitter):
    y = np.repeat(np.arange(9), 4)
    for first, second in zip(splitter.split(y, y), splitter.split(y, y)):
        assert_array_equal(first[1], second[1])


def test_shuffling_changes_the_folds():
    y = np.repeat(np.arange(12), 4)
    plain = [set(y[test]) for _, test in ClassDisjointKFold(3).split(y, y)]
    mixed = ClassDisjointKFold(3, shuffle=True, random_state=1)
    assert plain != [set(y[test]) for _, test in mixed.split(y, y)]


def test_splitters_print_their_parameters_and_count_their_splits():
    assert repr(ClassDisjointKFold(4)) == (
        "ClassDisjointKFold(n_splits=4, random_state=None, shuffle=False, unlabeled=-1)"
    )
    assert "test_size=0.3" in repr(SPLITTERS[2])
    assert [splitter.get_n_splits() for splitter in SPLITTERS] == [3, 3, 4]


@pytest.mark.parametrize("splitter", SPLITTERS, ids=repr)
def test_splitters_work_in_a_search(splitter):
    rng = np.random.RandomState(0)
    y = np.repeat(np.arange(9), 6)
    X = rng.randn(9, 4)[y] + 0.3 * rng.randn(54, 4)
    scores = cross_val_score(PCA(2), X, y, scoring=recall_at_1, cv=splitter)
    assert np.isfinite(scores).all()
    grid = {"n_components": [1, 3]}
    search = GridSearchCV(PCA(), grid, scoring=recall_at_1, cv=splitter).fit(X, y)
    assert search.best_params_ == {"n_components": 3}
    assert clone(search).cv.get_n_splits() == splitter.get_n_splits()


@pytest.mark.parametrize(
    ("make", "y", "message"),
    [
        (lambda: ClassDisjointKFold(1), None, "`n_splits` must be at least 2; got 1"),
        (lambda: ClassDisjointKFold(2), None, "`y` is required"),
        (
            lambda: ClassDisjointKFold(random_state=3),
            None,
            "random_state=3 has no effect without shuffling",
        ),
        (
            lambda: ClassDisjointKFold(2),
            [0, 0, 1, 1, 2, 2, 3],
            "2 folds need at least 4 classes with 2 samples or more; `y` has 3 of 4",
        ),
        (
            lambda: ClassDisjointKFold(2, unlabeled=-1),
            [-1, -1, -1],
            "All labels are the unlabeled marker -1",
        ),
        (
            lambda: ClassDisjointShuffleSplit(test_size=0.2),
            [0, 0, 1, 1, 2, 2],
            "test_size=0.2 takes 1 of 3 classes",
        ),
        (
            lambda: ClassDisjointShuffleSplit(test_size=2),
            [0, 0, 1, 2],
            "1 of which have 2 samples",
        ),
        (
            lambda: ClassDisjointShuffleSplit(test_size=3),
            [0, 0, 1, 1, 2, 2],
            "leaves none for training",
        ),
        (
            lambda: ClassDisjointShuffleSplit(test_size=1.5),
            [0, 0, 1, 1, 2, 2],
            "`test_size` must be a share",
        ),
        (
            lambda: ClassDisjointShuffleSplit(n_splits=0),
            [0, 0, 1, 1, 2, 2],
            "`n_splits` must be at least 1; got 0",
        ),
    ],
)
def test_impossible_splits_are_refused_with_the_reason(make, y, message):
    with pytest.raises(ValueError, match=message):
        list(make().split(np.zeros((len(y or [0]), 1)), y))


@pytest.mark.parametrize(
    "splitter_class", [ClassDisjointKFold, ClassDisjointShuffleSplit]
)
def test_number_of_splits_that_is_no_integer_is_refused(splitter_class):
    with pytest.raises(TypeError, match="`n_splits` must be an int; got 2.5"):
        splitter_class(2.5)
