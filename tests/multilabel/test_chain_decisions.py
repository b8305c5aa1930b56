"""From chains to sets and scores, against all subsets."""

import numpy as np
import pytest
import torch
from numpy.testing import assert_allclose, assert_array_equal
from tiny_chains import (
    all_chains,
    all_sets,
    as_symbols,
    chain_log_proba,
    make_inference,
    random_net,
    random_rows,
    set_probabilities,
)

from skdeep.multilabel._decisions import (
    best_f1_sets,
    likeliest_sets,
    position_scores,
    sets_of_chains,
    tune_threshold,
    vote,
)
from skdeep.multilabel._decode import Walk, follow
from skdeep.multilabel._tuning import example_f1

L = 4


def as_set(flags):
    return tuple(np.flatnonzero(flags).tolist())


def f1(found, true):
    found, true = set(found), set(true)
    if not found and not true:
        return 1.0
    return 2 * len(found & true) / (len(found) + len(true))


def random_chains(n_rows, n_chains, seed=0):
    """Different chains for each row, weighted; (n_rows, n_chains, L + 1)."""
    rng, pool = np.random.RandomState(seed), all_chains(L)
    chosen = [rng.permutation(len(pool))[:n_chains] for _ in range(n_rows)]
    chains = [[pool[index] for index in row] for row in chosen]
    symbols = [as_symbols([*row, tuple(range(L))], L)[:-1] for row in chains]
    weights = rng.dirichlet(np.full(n_chains, 0.5), size=n_rows)
    return chains, torch.stack(symbols), torch.from_numpy(weights).float()


@pytest.mark.parametrize("n_chains", [1, 2, 5, 12])
def test_f1_decision_is_the_best_of_all_subsets(n_chains):
    chains, symbols, weights = random_chains(40, n_chains, seed=n_chains)
    chosen = best_f1_sets(symbols, weights, L)
    for row in range(40):
        expected = {
            subset: sum(w * f1(subset, c) for w, c in zip(weights[row], chains[row]))
            for subset in all_sets(L)
        }
        found = expected[as_set(chosen[row])]
        assert found.item() == pytest.approx(max(expected.values()).item(), abs=1e-6)


def test_f1_decision_may_choose_a_set_that_no_chain_found():
    symbols = as_symbols([(4, 0), (4, 1), (4, 2), (4, 3)], 5)[None]
    weights = torch.tensor([[0.28, 0.24, 0.24, 0.24]])
    assert as_set(best_f1_sets(symbols, weights, 5)[0]) == (4,)
    assert as_set(best_f1_sets(symbols, weights, 5, least=2)[0]) == (0, 4)


def test_f1_decision_may_be_the_empty_set():
    symbols = as_symbols([(), (0,), (1,)], L)[None]
    weights = torch.tensor([[0.6, 0.2, 0.2]])
    assert as_set(best_f1_sets(symbols, weights, L)[0]) == ()


def test_likeliest_set_adds_up_its_orders():
    symbols = as_symbols([(2,), (0, 1), (1, 0)], L)[None]
    weights = torch.tensor([[0.4, 0.3, 0.3]])
    assert as_set(likeliest_sets(symbols, weights, L)[0]) == (0, 1)
    weights = torch.tensor([[0.7, 0.15, 0.15]])
    assert as_set(likeliest_sets(symbols, weights, L)[0]) == (2,)


def test_likeliest_sets_equal_those_of_a_loop():
    chains, symbols, weights = random_chains(50, 12)
    chosen = likeliest_sets(symbols, weights, L)
    for row in range(50):
        total = {}
        for chain, weight in zip(chains[row], weights[row]):
            key = tuple(sorted(chain))
            total[key] = total.get(key, 0) + weight.item()
        assert as_set(chosen[row]) == max(total, key=total.get)


def test_majority_of_members_outvotes_the_most_certain_one():
    sets = torch.tensor([[[1, 0]], [[1, 0]], [[0, 1]]]) > 0
    log_proba = torch.tensor([[0.1], [0.2], [0.99]]).log()
    assert vote(sets, log_proba).tolist() == [[True, False]]


def test_most_certain_member_decides_a_tie():
    sets = torch.tensor([[[1, 0], [1, 0]], [[0, 1], [0, 1]]]) > 0
    log_proba = torch.tensor([[0.3, 0.5], [0.4, 0.4]]).log()
    assert vote(sets, log_proba).tolist() == [[False, True], [True, False]]


def test_sets_of_chains_know_no_order():
    symbols = torch.tensor([[2, 0, 4], [0, 2, 4], [4, 4, 4]])
    expected = [[True, False, True, False]] * 2 + [[False] * 4]
    assert sets_of_chains(symbols, L).tolist() == expected


def test_position_scores_fall_with_the_step():
    net, X = random_net(L).float(), random_rows(3).float()
    path = follow(Walk([net], [net(X)], (0, L)), 3)
    scores = position_scores(path)
    for row in range(3):
        assert_allclose(scores[row, path.labels[row]].detach(), [1, 1 / 2, 1 / 3])
        assert sorted(scores[row].tolist())[0] == 0


def test_threshold_is_the_best_of_the_grid():
    rng = np.random.RandomState(0)
    Y = rng.rand(50, 5) < 0.4
    scores = np.clip(Y * 0.4 + rng.rand(50, 5) * 0.6, 0, 1)
    cut = tune_threshold(Y, scores, example_f1)
    values = {c: example_f1(Y, scores > c) for c in np.arange(1, 100) / 100}
    assert values[cut] == max(values.values())


def test_threshold_lies_in_the_middle_of_equally_good_ones():
    Y = np.array([[True, False]])
    assert tune_threshold(Y, np.array([[0.8, 0.205]]), example_f1) == 0.5


def test_example_f1_counts_agreement_on_nothing_as_right():
    Y = np.array([[1, 1, 0], [0, 0, 0], [0, 0, 0]], dtype=bool)
    sets = np.array([[1, 0, 1], [0, 0, 0], [1, 0, 0]], dtype=bool)
    assert example_f1(Y, sets) == pytest.approx((0.5 + 1 + 0) / 3)


# what an ensemble answers


@pytest.fixture
def nets():
    return [random_net(3, seed=seed, spread=0.4) for seed in (3, 4, 5)]


@pytest.fixture
def X():
    return random_rows(5)


def ask(nets, X, method, **options):
    inference = make_inference(nets, **options)
    with torch.no_grad():
        return torch.cat(
            list(inference.ask(X.float().numpy(), getattr(inference, method)))
        )


@pytest.mark.parametrize("limits", [(0, 3), (1, 2), (2, 3)])
def test_wide_beam_of_joint_members_takes_the_likeliest_set(nets, X, limits):
    found = ask(nets, X, "sets", beam_size=40, limits=limits)
    for row, x in enumerate(X):
        proba = set_probabilities(nets, x, limits=limits)
        assert as_set(found[row]) == max(proba, key=proba.get)


def test_wide_beams_of_single_members_take_the_likeliest_set_of_the_mean(nets, X):
    found = ask(nets, X, "sets", beam_size=40, joint=False)
    for row, x in enumerate(X):
        proba = set_probabilities(nets, x, joint=False)
        assert as_set(found[row]) == max(proba, key=proba.get)


@pytest.mark.parametrize("limits", [(0, 3), (1, 2), (2, 3)])
@pytest.mark.parametrize("joint", [True, False])
def test_cheapest_chain_has_the_least_cost_per_symbol(nets, X, joint, limits):
    options = {"decision": "chain", "beam_size": 40, "limits": limits, "joint": joint}
    found = ask(nets, X, "sets", **options)
    for row, x in enumerate(X):
        cost = {}
        for group in [nets] if joint else [[net] for net in nets]:
            for chain in all_chains(3, *limits):
                value = -chain_log_proba(group, x, chain, limits) / (len(chain) + 1)
                key = tuple(sorted(chain))
                cost[key] = min(cost.get(key, np.inf), value.item())
        assert as_set(found[row]) == min(cost, key=cost.get)


@pytest.mark.parametrize("limits", [(0, 3), (1, 2), (2, 3), (2, 2)])
def test_f1_decision_of_an_ensemble_is_the_best_set_within_the_limits(nets, X, limits):
    found = ask(nets, X, "sets", beam_size=40, decision="f1", limits=limits)
    for row, x in enumerate(X):
        proba = set_probabilities(nets, x, limits=limits)
        expected = {
            subset: sum(p * f1(subset, true) for true, p in proba.items())
            for subset in all_sets(3, *limits)
        }
        best = max(expected.values())
        assert expected[as_set(found[row])] == pytest.approx(best, abs=1e-5)


def test_greedy_members_vote(nets, X):
    found = ask(nets, X, "sets", decision="greedy", joint=False)
    alone = [ask([net], X, "sets", decision="greedy") for net in nets]
    for row in range(len(X)):
        answers = [as_set(each[row]) for each in alone]
        votes = {answer: answers.count(answer) for answer in answers}
        if max(votes.values()) > 1:
            assert as_set(found[row]) == max(votes, key=votes.get)
        else:
            assert as_set(found[row]) in answers


@pytest.mark.parametrize("limits", [(0, 3), (1, 3), (2, 3), (0, 1), (2, 2)])
@pytest.mark.parametrize("threshold", [0.0, 0.5, 1.0])
def test_cut_keeps_to_the_limits(nets, X, limits, threshold):
    options = {"limits": limits, "threshold": threshold}
    found = ask(nets, X, "sets", decision="marginal", **options)
    scores = ask(nets, X, "scores", **options)
    for row in range(len(X)):
        order = sorted(range(3), key=lambda label: -scores[row, label])
        above = [label for label in order if scores[row, label] > threshold]
        size = min(max(len(above), limits[0]), limits[1])
        assert as_set(found[row]) == tuple(sorted(order[:size]))


def test_beam_score_is_the_share_of_the_sets_with_the_label(nets, X):
    scores = ask(nets, X, "scores", proba="beam", beam_size=40)
    for row, x in enumerate(X):
        proba = set_probabilities(nets, x)
        expected = [sum(p for s, p in proba.items() if k in s) for k in range(3)]
        assert_allclose(scores[row], expected, atol=1e-5)


def test_narrow_beam_is_normalised(nets, X):
    scores = ask(nets, X, "scores", proba="beam", beam_size=1)
    assert_array_equal(scores > 0, ask(nets, X, "sets", decision="greedy"))
    assert ((scores == 0) | (scores == 1)).all()


@pytest.mark.parametrize("joint", [True, False])
def test_sampled_score_is_close_to_the_share_of_the_sets_with_the_label(nets, joint):
    X = random_rows(3)
    scores = ask(nets, X, "scores", proba="sample", n_draws=2500, joint=joint)
    for row, x in enumerate(X):
        proba = set_probabilities(nets, x, joint)
        expected = [sum(p for s, p in proba.items() if k in s) for k in range(3)]
        assert_allclose(scores[row], expected, atol=0.02)


def test_sampled_score_of_few_draws_stays_between_zero_and_one(nets, X):
    for n_draws in (1, 2, 3):  # members without a draw have no say
        scores = ask(nets, X, "scores", proba="sample", n_draws=n_draws, joint=False)
        assert ((scores > 0) & (scores <= 1)).all()


@pytest.mark.parametrize("n_draws", [1, 2, 3, 7])
def test_members_draw_in_turn(nets, X, n_draws):
    inference = make_inference(nets, joint=False)
    with torch.no_grad():
        found = inference.ask(X.float().numpy(), lambda c: inference.sample(c, n_draws))
        sets = torch.cat(list(found))
    assert sets.shape == (5, n_draws, 3)
    assert ((sets == 0) | (sets == 1)).all()


def test_head_score_is_the_mean_of_the_heads(nets, X):
    scores = ask(nets, X, "scores", proba="head")
    heads = [torch.sigmoid(net(X).head) for net in nets]
    assert_allclose(scores, sum(heads).detach() / 3, rtol=1e-4)


@pytest.mark.parametrize("joint", [True, False])
def test_auto_score_is_the_mean_of_its_parts(nets, X, joint):
    shares = (0.5, 0.0, 0.25, 0.25)
    parts = {
        name: ask(nets, X, "scores", proba=name, joint=joint)
        for name in ("path", "position", "head", "beam")
    }
    expected = sum(w * part for w, part in zip(shares, parts.values()))
    options = {"proba": "auto", "score_weights": shares, "joint": joint}
    assert_allclose(ask(nets, X, "scores", **options), expected, rtol=1e-5)
    for part in parts.values():
        assert (part >= 0).all()
        assert (part <= 1).all()


def test_rescoring_adds_the_logits_of_the_head(nets, X):
    found = ask(nets[:1], X, "sets", beam_size=40, rescore_weight=0.8)
    for row, x in enumerate(X):
        head, total = nets[0](x[None]).head[0], {}
        for chain in all_chains(3):
            value = chain_log_proba(nets[:1], x, chain)
            value = value + 0.8 * sum(head[label] for label in chain)
            key = tuple(sorted(chain))
            total[key] = total.get(key, 0) + value.exp().item()
        assert as_set(found[row]) == max(total, key=total.get)


def test_scores_of_one_class_a_row_add_up_to_one(nets, X):
    for proba in ("path", "head", "beam"):
        scores = ask(nets, X, "scores", proba=proba, limits=(1, 1), n_steps=1)
        assert_allclose(scores.sum(1), 1, rtol=1e-5)


def test_answers_do_not_depend_on_how_rows_are_sliced(nets):
    X = random_rows(50)
    for method in ("sets", "scores"):
        together = ask(nets, X, method)
        for rows in (slice(0, 1), slice(3, 10), slice(10, 50)):
            assert_array_equal(ask(nets, X[rows], method), together[rows])
        order = torch.randperm(50, generator=torch.Generator().manual_seed(0))
        assert_array_equal(ask(nets, X[order], method), together[order])
