"""Orders of the labels: fixed ones, random ones, and the model's own."""

from itertools import permutations

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.testing import assert_array_equal
from scipy.stats import chisquare
from tiny_chains import random_net, random_rows

from skdeep.multilabel._decode import Walk, draw
from skdeep.multilabel._orders import (
    check_permutation,
    fixed_order,
    keys_of_fixed_order,
    keys_of_rollout,
    targets_from_keys,
)


def generator(seed=0):
    return torch.Generator().manual_seed(seed)


def targets_of_rollout(rollout, Y, seed=0):
    return targets_from_keys(keys_of_rollout(rollout, Y, generator(seed)))


def test_example_of_kept_and_missing_labels_by_hand():
    Y = torch.zeros(1, 10, dtype=torch.bool)
    Y[0, 1:6] = True
    rollout = torch.tensor([[9, 3, 7, 1, 8]])
    tails = set()
    for seed in range(50):
        symbols, alive = targets_of_rollout(rollout, Y, seed)
        chain = symbols[0].tolist()
        assert chain[:2] == [3, 1]
        assert sorted(chain[2:5]) == [2, 4, 5]
        assert chain[5:] == [10]
        assert alive.all()
        tails.add(tuple(chain[2:5]))
    assert tails == set(permutations([2, 4, 5]))


@given(
    n_labels=st.integers(1, 8),
    n_rows=st.integers(1, 6),
    n_steps=st.integers(0, 8),
    seed=st.integers(0, 2**31),
)
@settings(max_examples=100, deadline=None, derandomize=True)
def test_kept_labels_lead_and_missing_ones_follow(n_labels, n_rows, n_steps, seed):
    rng = np.random.RandomState(seed)
    Y = rng.rand(n_rows, n_labels) < rng.rand()
    n_steps = min(n_steps, n_labels)
    rollout = np.full((n_rows, n_steps), n_labels)
    for row in range(n_rows):
        length = rng.randint(n_steps + 1)
        rollout[row, :length] = rng.permutation(n_labels)[:length]
    symbols, alive = targets_of_rollout(
        torch.from_numpy(rollout), torch.from_numpy(Y), seed
    )
    assert symbols.shape == alive.shape == (n_rows, Y.sum(1).max() + 1)
    for row in range(n_rows):
        true = set(np.flatnonzero(Y[row]))
        kept = [label for label in rollout[row] if label in true]
        chain, size = symbols[row].tolist(), len(true)
        assert chain[: len(kept)] == kept
        assert set(chain[:size]) == true
        assert set(chain[size:]) == {n_labels}
        assert alive[row].tolist() == [step <= size for step in range(len(chain))]


def test_without_rollout_all_orders_of_a_set_are_equally_likely():
    Y = torch.tensor([[True, False, True, True]]).expand(6000, -1)
    rollout = torch.empty(6000, 0, dtype=torch.long)
    symbols, _ = targets_of_rollout(rollout, Y)
    found, counts = np.unique(symbols.numpy(), axis=0, return_counts=True)
    assert_array_equal(found, [[*chain, 4] for chain in permutations([0, 2, 3])])
    assert chisquare(counts).pvalue > 0.01


def test_short_rollout_sets_the_first_places_and_leaves_the_rest_to_chance():
    Y = torch.ones(6000, 4, dtype=torch.bool)
    symbols, _ = targets_of_rollout(torch.tensor([[2]]).expand(6000, -1), Y)
    found, counts = np.unique(symbols.numpy(), axis=0, return_counts=True)
    assert_array_equal(found, [[2, *tail, 4] for tail in permutations([0, 1, 3])])
    assert chisquare(counts).pvalue > 0.01


def test_long_rollout_leaves_nothing_to_chance():
    net, X = random_net(5), random_rows(20)
    walk = Walk([net], [net(X)], (5, 5))
    rollout, _ = draw(walk, 5)
    Y = torch.rand(20, 5, generator=generator()) < 0.5
    one, _ = targets_of_rollout(rollout, Y, 0)
    other, _ = targets_of_rollout(rollout, Y, 1)
    assert_array_equal(one, other)


def test_sets_without_labels_have_the_stop_alone():
    symbols, alive = targets_of_rollout(
        torch.tensor([[1, 0], [3, 3]]), torch.zeros(2, 3, dtype=torch.bool)
    )
    assert symbols.tolist() == [[3], [3]]
    assert alive.tolist() == [[True], [True]]


def test_fixed_orders_follow_the_frequency_and_ties_the_index():
    frequency, rng = np.array([3, 7, 0, 3, 7]), np.random.RandomState(0)
    assert fixed_order("frequent", frequency, rng).tolist() == [1, 4, 0, 3, 2]
    assert fixed_order("rare", frequency, rng).tolist() == [2, 0, 3, 1, 4]
    assert fixed_order((4, 0, 1, 3, 2), frequency, rng).tolist() == [4, 0, 1, 3, 2]


def test_random_orders_are_uniform():
    rng, frequency = np.random.RandomState(0), np.zeros(3)
    found = [tuple(fixed_order("random", frequency, rng)) for _ in range(1200)]
    counts = [found.count(order) for order in permutations(range(3))]
    assert sum(counts) == 1200
    assert chisquare(counts).pvalue > 0.01


def test_fixed_order_puts_every_set_into_that_order():
    order, rng = [3, 0, 4, 1, 2], np.random.RandomState(0)
    Y = rng.rand(20, 5) < 0.5
    keys = keys_of_fixed_order(torch.tensor(order), torch.from_numpy(Y))
    symbols, _ = targets_from_keys(keys)
    for row in range(20):
        expected = [label for label in order if Y[row, label]]
        assert symbols[row, : len(expected)].tolist() == expected
        assert set(symbols[row, len(expected) :].tolist()) == {5}


@pytest.mark.parametrize(
    ("order", "words"),
    [
        ([0, 1, 1], "3 labels.*missing: .2., repeated.*: .1."),
        ([0, 1], "3 labels.*2 entries.*missing: .2."),
        ([0, 1, 2, 3], "3 labels.*4 entries.*out of range: .3."),
        ([-1, 0, 1], "missing: .2., .*out of range: .-1."),
        ([], "3 labels.*0 entries"),
        ([0.0, 1.0, 2.0], "float64"),
        ([True, False, True], "bool"),
        ([[0, 1, 2]], r"shape \(1, 3\)"),
        (["a", "b", "c"], "dtype|<U1"),
    ],
)
def test_order_that_is_no_permutation_is_refused(order, words):
    with pytest.raises(ValueError, match=f"'order' parameter.*{words}"):
        check_permutation(order, 3)


def test_permutations_of_any_container_are_taken():
    for order in ([2, 0, 1], (2, 0, 1), np.array([2, 0, 1], dtype=np.uint8)):
        check_permutation(order, 3)
