"""A split without a common class."""

import numpy as np
import pytest
from numpy.testing import assert_array_equal

from skdeep.datasets import class_disjoint_split

NAMES = np.array(list("abcdefghij"))


@pytest.fixture
def y():
    # class a once, b twice, ..., j ten times, shuffled
    return np.random.RandomState(0).permutation(np.repeat(NAMES, np.arange(1, 11)))


@pytest.mark.parametrize("seed", range(5))
def test_each_row_is_on_one_side_and_no_class_on_both(y, seed):
    train, test = class_disjoint_split(y, random_state=seed)
    assert (train.dtype, test.dtype) == (bool, bool)
    assert_array_equal(train, ~test)
    assert not set(y[train]) & set(y[test])


@pytest.mark.parametrize(
    ("test_classes", "n_expected"),
    [(0.3, 3), (0.31, 4), (0.05, 1), (0.9, 9), (1, 1), (9, 9), (np.int64(4), 4)],
)
def test_the_number_of_test_classes_is_as_asked(y, test_classes, n_expected):
    _, test = class_disjoint_split(y, test_classes=test_classes, random_state=0)
    assert len(set(y[test])) == n_expected


def test_a_fraction_that_is_whole_but_for_rounding_is_not_rounded_up():
    assert 0.55 * 100 > 55
    _, test = class_disjoint_split(np.arange(100), test_classes=0.55)
    assert test.sum() == 55


def test_the_seed_decides_and_labels_only_name_the_classes(y):
    first = class_disjoint_split(y, random_state=3)
    assert_array_equal(first, class_disjoint_split(list(y), random_state=3))
    codes = np.searchsorted(NAMES, y)
    assert_array_equal(first, class_disjoint_split(codes, random_state=3))


def test_every_class_gets_its_turn(y):
    tests = [set(y[class_disjoint_split(y, random_state=i)[1]]) for i in range(30)]
    assert set.union(*tests) == set(NAMES)


def test_the_global_generator_is_left_alone(y):
    before = np.random.get_state()[1:3]  # noqa: NPY002
    class_disjoint_split(y, random_state=0)
    for now, then in zip(np.random.get_state()[1:3], before):  # noqa: NPY002
        assert_array_equal(now, then)


@pytest.mark.parametrize("test_classes", [0.0, 1.0, -0.1, 1.5, True, "0.3", None])
def test_what_is_no_fraction_and_no_number_is_refused(y, test_classes):
    with pytest.raises(ValueError, match="`test_classes` is .*fraction"):
        class_disjoint_split(y, test_classes=test_classes)


@pytest.mark.parametrize("test_classes", [0, 10, -2, 0.95])
def test_an_empty_side_is_refused(y, test_classes):
    with pytest.raises(ValueError, match="`test_classes` is .*leave 1 to 9"):
        class_disjoint_split(y, test_classes=test_classes)


def test_one_class_is_refused():
    with pytest.raises(ValueError, match="y has 1 class"):
        class_disjoint_split(["a", "a"])


@pytest.mark.parametrize("y", [[0.5, 1.5, 2.0], [0.0, 1.0, np.nan]])
def test_what_is_no_class_is_refused(y):
    with pytest.raises(ValueError, match="not whole, or NaN"):
        class_disjoint_split(y)


def test_whole_numbers_stored_as_floats_are_classes():
    train, test = class_disjoint_split([0.0, 1.0, 1.0], random_state=0)
    assert train.sum() + test.sum() == 3
