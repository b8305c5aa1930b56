"""Rewards of chains, against a loop over their steps."""

import numpy as np
import pytest
import torch
from numpy.testing import assert_allclose, assert_array_equal
from refusals import forbid_training
from tiny_chains import all_chains, all_sets, as_symbols, few_rows, indicator, small

from skdeep.exceptions import InvalidParameterError
from skdeep.multilabel._objectives import alive_steps, returns_to_go
from skdeep.multilabel._rewards import REWARDS, action_rewards, rewards_of_chains

CHAINS = all_chains(3)
SETS = all_sets(3)


@pytest.fixture(scope="module")
def pairs():
    """Every chain of three labels beside every set of them."""
    chains = [chain for chain in CHAINS for _ in SETS]
    sets = SETS * len(CHAINS)
    Y = torch.from_numpy(indicator(sets, 3) > 0)
    return chains, sets, as_symbols(chains, 3), Y


def f1(found, true):
    found, true = set(found), set(true)
    if not found and not true:
        return 1.0
    return 2 * len(found & true) / (len(found) + len(true))


def reward_by_steps(reward, chain, true, width):
    """What each step is worth, one after the other; the stop is a step too."""
    values = []
    for step in range(width):
        label = chain[step] if step < len(chain) else None
        is_stop = step == len(chain)
        if reward == "hamming":
            values.append(0 if label is None else 1 if label in true else -1)
        elif reward == "f1":
            before = f1(chain[:step], true) if step else 0
            values.append(f1(chain[: step + 1], true) - before)
        elif reward == "subset":
            values.append(float(is_stop and set(chain) == set(true)))
        else:
            gain = 1 / np.log2(step + 2) if label in true else 0
            ideal = sum(1 / np.log2(t + 2) for t in range(max(1, len(true))))
            values.append(gain / ideal)
    return values


@pytest.mark.parametrize("reward", REWARDS)
def test_rewards_equal_those_of_a_loop(reward, pairs):
    chains, sets, symbols, Y = pairs
    found = rewards_of_chains(reward, symbols, Y)
    expected = [
        reward_by_steps(reward, chain, true, symbols.shape[1])
        for chain, true in zip(chains, sets)
    ]
    assert_allclose(found, expected, atol=1e-6)


def test_f1_rewards_add_up_to_the_f1_score_of_the_set(pairs):
    chains, sets, symbols, Y = pairs
    total = rewards_of_chains("f1", symbols, Y).sum(1)
    expected = [f1(chain, true) for chain, true in zip(chains, sets)]
    assert_allclose(total, expected, atol=1e-6)
    assert expected[0] == 1  # nothing true and nothing taken


def test_f1_rewards_of_chains_without_a_stop_add_up_too():
    symbols, Y = torch.tensor([[2, 0]]), torch.tensor([[True, True, False]])
    assert rewards_of_chains("f1", symbols, Y).sum().item() == pytest.approx(0.5)


def test_hamming_rewards_count_right_minus_wrong(pairs):
    chains, sets, symbols, Y = pairs
    total = rewards_of_chains("hamming", symbols, Y).sum(1)
    expected = [len({*c} & {*s}) - len({*c} - {*s}) for c, s in zip(chains, sets)]
    assert_array_equal(total, expected)


def test_subset_reward_is_one_for_the_whole_set_alone(pairs):
    chains, sets, symbols, Y = pairs
    total = rewards_of_chains("subset", symbols, Y).sum(1)
    assert_array_equal(total, [set(c) == set(s) for c, s in zip(chains, sets)])


def test_ndcg_rewards_add_up_to_one_for_a_perfect_ranking():
    Y = torch.tensor([[True, False, True, False]])
    symbols = torch.tensor([[2, 0, 1, 3], [1, 2, 0, 3]])
    total = rewards_of_chains("ndcg", symbols, Y.expand(2, -1)).sum(1)
    ideal = 1 + 1 / np.log2(3)
    assert_allclose(total, [1, (1 / np.log2(3) + 0.5) / ideal], rtol=1e-6)


def test_callable_gets_hits_life_and_size_and_nothing_counts_behind_the_stop(pairs):
    _, _, symbols, Y = pairs
    seen = {}

    def own(hits, alive, n_true):
        seen.update(hits=hits, alive=alive, n_true=n_true)
        return torch.ones(hits.shape)

    found = rewards_of_chains(own, symbols, Y)
    alive = alive_steps(symbols, 3)
    assert_array_equal(seen["alive"], alive)
    assert_array_equal(seen["n_true"], Y.sum(1))
    assert_array_equal(found, alive)
    hits = [[bool(s < 3 and y[s]) for s in chain] for chain, y in zip(symbols, Y)]
    assert_array_equal(seen["hits"], hits)


@pytest.mark.parametrize("reward", REWARDS)
def test_rewards_of_all_actions_hold_those_of_the_chain(reward, pairs):
    _, _, symbols, Y = pairs
    every = action_rewards(reward, symbols, Y)
    assert every.shape == (*symbols.shape, 4)
    chosen = every.gather(2, symbols[..., None])[..., 0]
    alive = alive_steps(symbols, 3)
    expected = rewards_of_chains(reward, symbols, Y)
    assert_allclose(chosen[alive], expected[alive], atol=1e-6)


@pytest.mark.parametrize("reward", REWARDS)
def test_rewards_of_all_actions_are_those_of_the_chains_that_take_them(reward, pairs):
    _, _, symbols, Y = pairs
    every = action_rewards(reward, symbols, Y)
    for step in range(3):
        for action in range(4):
            row_is_free = (symbols[:, :step] != action).all(1)
            row_is_free &= alive_steps(symbols, 3)[:, step]
            other = symbols[row_is_free].clone()
            other[:, step] = action
            other[:, step + 1 :] = 3
            expected = rewards_of_chains(reward, other, Y[row_is_free])[:, step]
            assert_allclose(every[row_is_free][:, step, action], expected, atol=1e-6)


def test_returns_are_discounted_sums_of_what_follows():
    reward = torch.tensor([[1.0, -1.0, 2.0, 0.0]])
    assert_allclose(returns_to_go(reward, 1.0), [[2, 1, 2, 0]])
    assert_allclose(returns_to_go(reward, 0.5), [[1, 0, 2, 0]])
    assert_allclose(returns_to_go(reward, 0.0), reward)


WRONG = {
    "sum of the steps": (lambda hits, alive, n_true: hits.sum(1), r"shape \(2,\)"),
    "one number": (lambda hits, alive, n_true: 1.0, "a float"),
    "nothing": (lambda hits, alive, n_true: None, "a NoneType"),
    "a step less": (lambda hits, alive, n_true: hits[:, 1:], r"shape \(2, 2\)"),
    "an array": (lambda hits, alive, n_true: hits.numpy(), "a ndarray"),
}


@pytest.mark.parametrize("row", WRONG)
def test_reward_of_another_shape_is_refused_before_training(row, monkeypatch):
    forbid_training(monkeypatch)
    reward, word = WRONG[row]
    estimator, expected = small(training="reinforce", reward=reward), r"here \(2, 3\)"
    with pytest.raises(
        InvalidParameterError, match=f"(?s)`reward`.*{expected}.*{word}"
    ):
        estimator.fit(*few_rows())
    assert not hasattr(estimator, "module_")


def test_reward_of_whole_numbers_is_taken():
    def hits_of_a_chain(hits, alive, n_true):
        return hits.long()

    how = {"training": "reinforce", "rl_start": 0, "max_epochs": 2}
    estimator = small(reward=hits_of_a_chain, **how).fit(*few_rows())
    assert "train_reward" in estimator.history_[-1]
