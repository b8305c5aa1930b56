"""Tests of few-shot episodes and their splitter."""

import time
import warnings
from itertools import combinations

import numpy as np
import pytest
import sklearn
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.testing import assert_allclose, assert_array_equal
from sklearn.base import clone
from sklearn.dummy import DummyClassifier
from sklearn.model_selection import cross_val_score
from sklearn.neighbors import KNeighborsClassifier

from skdeep.model_selection import EpisodeSampler
from skdeep.model_selection._draw_episodes import (
    draw_distinct,
    draw_episodes,
    draw_shares,
    group_rows,
    share_out,
)

LABELS = np.random.RandomState(0).permutation(np.repeat(np.arange(8), 30))


def splits(sampler, y, groups=None):
    return list(sampler.split(None, y, groups))


@pytest.mark.parametrize("balance", ["balanced", 2.0])
def test_support_and_query_are_different_rows_of_the_same_classes(balance):
    sampler = EpisodeSampler(4, 3, 6, n_episodes=50, balance=balance, random_state=0)
    for support, query in splits(sampler, LABELS):
        assert len(support) == 12
        assert len(query) == 24
        assert len(set(support) | set(query)) == 36
        classes, counts = np.unique(LABELS[support], return_counts=True)
        assert_array_equal(counts, [3, 3, 3, 3])
        assert set(LABELS[query]) <= set(classes)
        if balance == "balanced":
            assert_array_equal(np.unique(LABELS[query], return_counts=True)[1], 6)
    assert sampler.get_n_splits() == 50


def test_rows_of_a_class_lie_together_in_the_order_of_the_support():
    sampler = EpisodeSampler(3, 2, 4, n_episodes=20, random_state=0)
    for support, query in splits(sampler, LABELS):
        names = LABELS[support][::2]
        assert_array_equal(LABELS[support], np.repeat(names, 2))
        assert_array_equal(LABELS[query], np.repeat(names, 4))


def test_every_class_row_and_order_comes_up_equally_often():
    y = np.repeat(np.arange(3), 4)
    table = group_rows(y, n_least=4)
    n = 30000
    rng = np.random.RandomState(0)
    drawn = draw_episodes(table, n, n_way=2, n_shot=1, n_query=2, rng=rng)
    # six ordered pairs of three classes
    pairs = np.bincount(drawn.classes @ [3, 1], minlength=9) / n
    assert_allclose(pairs[[1, 2, 3, 5, 6, 7]], 1 / 6, atol=0.01)
    assert pairs[[0, 4, 8]].sum() == 0
    # 12 rows, each of them in the support of a sixth of the episodes, query a third
    assert_allclose(np.bincount(drawn.support.ravel()) / n, 1 / 6, atol=0.01)
    assert_allclose(np.bincount(drawn.query.ravel()) / n, 1 / 3, atol=0.01)


def test_distinct_numbers_are_drawn_with_equal_chances():
    sizes, counts = np.array([5] * 20000 + [3]), np.array([3] * 20000 + [1])
    numbers = draw_distinct(sizes, counts, np.random.RandomState(0))
    assert numbers.shape == (20001, 3)
    assert (numbers < sizes[:, None]).all()
    assert numbers.min() == 0
    ordered = numbers[:-1] @ [25, 5, 1]
    expected = [
        25 * a + 5 * b + c
        for triple in combinations(range(5), 3)
        for a, b, c in (triple, triple[::-1])
    ]
    values, hits = np.unique(ordered, return_counts=True)
    assert len(values) == 60  # all ordered triples of different numbers
    assert set(expected) <= set(values)
    assert_allclose(hits / 20000, 1 / 60, atol=0.004)


@given(
    room=st.lists(st.integers(0, 30), min_size=2, max_size=6),
    n_rows=st.integers(0, 100),
    seed=st.integers(0, 99),
)
@settings(max_examples=80, deadline=None, derandomize=True)
def test_shares_become_whole_numbers_within_the_room(room, n_rows, seed):
    shares = np.random.RandomState(seed).dirichlet(np.ones(len(room)), size=1)
    counts = share_out(shares, np.array([room]), n_rows)
    assert (counts >= 0).all()
    assert (counts <= room).all()
    assert counts.sum() == min(n_rows, sum(room))
    if (shares * n_rows + 1 <= room).all():
        assert (abs(counts - shares * n_rows) < 1).all()


def test_rows_that_a_class_has_not_are_given_by_the_others():
    shares = np.array([[0.8, 0.1, 0.1]])
    # 8, 1, 1 wanted; the first has 4, and the others share 4 more as 2:6 of their room
    assert_array_equal(share_out(shares, np.array([[4, 3, 7]]), 10), [[4, 2, 4]])


@pytest.mark.parametrize("alpha", [0.5, 2.0, 10.0])
def test_dirichlet_shares_have_their_mean_and_variance(alpha):
    shares = draw_shares((20000, 5), alpha, np.random.RandomState(0))
    assert_allclose(shares.sum(axis=1), 1)
    assert_allclose(shares.mean(axis=0), 0.2, atol=0.01)
    variance = 0.2 * 0.8 / (5 * alpha + 1)
    assert_allclose(shares.var(axis=0), variance, rtol=0.05)


def test_tiny_concentration_is_one_class_and_huge_one_is_equal():
    rng = np.random.RandomState(0)
    assert_allclose(draw_shares((500, 5), 1e-6, rng).max(axis=1), 1)
    assert_allclose(draw_shares((500, 5), 1e9, rng), 0.2, atol=1e-3)
    mixed = draw_shares((500, 5), "mixed", rng)
    assert (mixed[::2] == 0.2).all()
    assert mixed[1::2].std() > 0.1


def test_unequal_query_is_filled_whatever_the_shares():
    y = np.repeat(np.arange(5), 16)
    sampler = EpisodeSampler(n_episodes=200, balance=0.05, random_state=0)
    for support, query in splits(sampler, y):
        assert len(set(query) - set(support)) == 75  # all that there are
    y = np.repeat(np.arange(5), 90)
    counts = [
        np.bincount(y[query], minlength=5).max() for _, query in splits(sampler, y)
    ]
    assert max(counts) == 75  # a single class; others have no query row


def test_small_classes_are_left_out():
    y = np.repeat(["a", "b", "c", "d"], [6, 5, 30, 6])
    sampler = EpisodeSampler(3, 2, 4, n_episodes=30, random_state=0)
    seen = {label for support, _ in splits(sampler, y) for label in y[support]}
    assert seen == {"a", "c", "d"}


def test_too_few_classes_lower_n_way_under_a_warning():
    sampler = EpisodeSampler(n_way=10, n_episodes=3, random_state=0)
    message = "n_way=10 is lowered to 8: no more classes have the 16 rows"
    with pytest.warns(UserWarning, match=message) as record:
        found = splits(sampler, LABELS)
    assert record[0].filename == __file__
    assert len(found[0][0]) == 8


def test_one_class_is_refused_with_the_sizes():
    y = np.repeat([3, 1, 2], [16, 15, 4])
    with pytest.raises(ValueError, match="classes have 16, 15, 4 rows. Use fewer"):
        splits(EpisodeSampler(), y)
    with pytest.raises(ValueError, match=r"have 1, 1, .* 1, \.\.\. rows"):
        splits(EpisodeSampler(), np.arange(99))
    with pytest.raises(ValueError, match="have 50 rows.*-1 count as unlabelled"):
        splits(EpisodeSampler(), np.repeat([-1, 1], 50))
    with pytest.raises(ValueError, match="EpisodeSampler requires y"):
        splits(EpisodeSampler(), None)


@pytest.mark.parametrize("marker", [-1, ""])
def test_unlabelled_rows_are_never_drawn(marker):
    y = LABELS if marker == -1 else LABELS.astype(str)
    is_marked = np.arange(len(y)) % 3 == 0
    y = np.where(is_marked, marker, y)
    sampler = EpisodeSampler(n_query=5, n_episodes=50, random_state=0, unlabeled=marker)
    drawn = np.concatenate([np.concatenate(pair) for pair in splits(sampler, y)])
    assert not is_marked[drawn].any()
    every = EpisodeSampler(n_query=5, n_episodes=50, random_state=0, unlabeled=None)
    drawn = np.concatenate([np.concatenate(pair) for pair in splits(every, y)])
    assert is_marked[drawn].any()


def test_episodes_stay_within_a_group():
    # labels 0 to 3 in both groups, of which the second has two more
    y = np.concatenate([np.repeat(np.arange(4), 10), np.repeat(np.arange(6), 10)])
    groups = np.repeat(["x", "y"], [40, 60])
    sampler = EpisodeSampler(4, 1, 5, n_episodes=2000, random_state=0)
    of_group = []
    for support, query in splits(sampler, y, groups):
        (name,) = set(groups[support]) | set(groups[query])
        of_group.append(name)
        assert len(set(y[support])) == 4
    # as often as there are classes
    assert of_group.count("x") / 2000 == pytest.approx(0.4, abs=0.03)
    big = EpisodeSampler(6, 1, 5, n_episodes=20, random_state=0)
    assert all(set(groups[support]) == {"y"} for support, _ in splits(big, y, groups))
    with pytest.warns(UserWarning, match="n_way=7 is lowered to 6: .* in one group"):
        splits(EpisodeSampler(7, 1, 5, n_episodes=2), y, groups)
    with pytest.raises(ValueError, match="inconsistent numbers of samples"):
        splits(sampler, y, groups[1:])


def test_a_group_of_one_class_is_never_drawn_from():
    groups = np.where(LABELS == 0, 0, 1)
    sampler = EpisodeSampler(2, n_episodes=200, random_state=0)
    drawn = np.concatenate([support for support, _ in splits(sampler, LABELS, groups)])
    assert (LABELS[drawn] > 0).all()
    with pytest.raises(ValueError, match="at least 2 classes in one group"):
        splits(sampler, LABELS, LABELS)


def test_same_seed_same_episodes_and_no_seed_others():
    fixed = EpisodeSampler(n_episodes=5, random_state=3)
    first, again = splits(fixed, LABELS), splits(clone(fixed, safe=False), LABELS)
    assert_array_equal(np.hstack(first[0]), np.hstack(again[0]))
    free = EpisodeSampler(n_episodes=5)
    assert not np.array_equal(
        np.hstack(splits(free, LABELS)[0]), np.hstack(splits(free, LABELS)[0])
    )


def test_batches_for_training_draw_ways_and_shots_and_fill_up():
    y = np.repeat(np.arange(9), 12)
    groups = np.repeat([0, 1], [4 * 12, 5 * 12])
    table = group_rows(y, groups, n_least=6)
    rng = np.random.RandomState(0)
    ways, shots = set(), set()
    for _ in range(100):
        drawn = draw_episodes(
            table,
            7,
            n_way=(2, 8),
            n_shot=(1, 5),
            n_query=10,
            n_extra=1,
            balance="mixed",
            rng=rng,
        )
        n_way = drawn.classes.shape[1]
        n_shot = drawn.support.shape[1] // n_way
        ways.add(n_way)
        shots.add(n_shot)
        expected = drawn.classes[:, drawn.support_targets]
        assert_array_equal(y[drawn.support], expected)
        is_row = drawn.query >= 0
        assert_array_equal(is_row, drawn.targets >= 0)
        for b in range(7):
            kept = drawn.query[b][is_row[b]]
            names = drawn.classes[b][drawn.targets[b][is_row[b]]]
            assert_array_equal(y[kept], names)
            extra = drawn.extra[b][drawn.extra[b] >= 0]
            everything = np.concatenate([drawn.support[b], kept, extra])
            assert len(set(everything)) == len(everything)
            assert len(kept) == min(10, 12 - n_shot) * n_way
    assert ways == {2, 3, 4, 5}  # no group has more
    assert shots == {1, 5}


def test_query_of_other_length_is_filled_up_with_minus_one():
    table = group_rows(np.repeat([0, 1, 2], [3, 3, 9]), n_least=2)
    rng = np.random.RandomState(0)
    drawn = draw_episodes(table, 60, n_way=2, n_shot=1, n_query=4, rng=rng)
    # classes 0 and 1 have 2 rows each left, class 2 has 8
    has_large = (drawn.classes == 2).any(axis=1)
    assert_array_equal((drawn.query >= 0).sum(axis=1), np.where(has_large, 8, 4))
    assert (drawn.query[~has_large, 4:] == -1).all()
    assert (drawn.targets[~has_large, 4:] == -1).all()


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("n_way", 1),
        ("n_way", 2.5),
        ("n_shot", 0),
        ("n_shot", True),
        ("n_query", -1),
        ("n_episodes", 0),
        ("balance", 0),
        ("balance", "equal"),
        ("balance", np.inf),
        ("random_state", "seed"),
    ],
)
def test_wrong_parameters_are_refused(name, value):
    with pytest.raises(ValueError, match=f"The '{name}' parameter of EpisodeSampler"):
        EpisodeSampler(**{name: value})


def test_cross_validation_is_a_few_shot_evaluation(digits):
    X, y = digits
    episodes = EpisodeSampler(n_episodes=40, random_state=0)
    scores = cross_val_score(KNeighborsClassifier(1), X, y, cv=episodes)
    assert len(scores) == 40
    assert scores.mean() > 0.6
    by_chance = cross_val_score(DummyClassifier(), X, y, cv=episodes)
    assert_allclose(by_chance, 0.2)


def test_groups_reach_the_splitter_with_metadata_routing(digits):
    X, y = digits
    groups = np.where(y < 5, "low", "high")
    episodes = EpisodeSampler(n_way=6, n_episodes=3, random_state=0)
    with (
        sklearn.config_context(enable_metadata_routing=True),
        pytest.warns(UserWarning, match="lowered to 5"),
    ):
        scores = cross_val_score(
            KNeighborsClassifier(1), X, y, cv=episodes, params={"groups": groups}
        )
    assert len(scores) == 3


def test_episodes_are_drawn_fast():
    y = np.repeat(np.arange(150), 150)
    table = group_rows(y, n_least=20)
    rng = np.random.RandomState(0)

    def seconds(function, n_calls):
        times = []
        for _ in range(n_calls):
            start = time.process_time()
            function()
            times.append(time.process_time() - start)
        return min(times)

    sizes = {"n_way": 5, "n_shot": (1, 5), "n_query": 15, "balance": "mixed"}
    assert seconds(lambda: draw_episodes(table, 16, **sizes, rng=rng), 20) < 2e-3
    sampler = EpisodeSampler(random_state=0)
    assert seconds(lambda: splits(sampler, y), 5) < 0.05


def test_split_says_nothing_when_all_is_well():
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert len(splits(EpisodeSampler(n_episodes=2), LABELS)) == 2
