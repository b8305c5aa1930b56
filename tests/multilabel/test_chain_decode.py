"""Greedy paths, drawn chains and beams, against all chains one by one."""

import numpy as np
import pytest
import torch
from numpy.testing import assert_allclose, assert_array_equal
from scipy.stats import chisquare
from tiny_chains import (
    all_chains,
    chain_log_proba,
    random_net,
    random_rows,
    step_log_proba,
)

from skdeep.multilabel._decode import Walk, draw, draw_inclusion, follow, search_beam

L = 3


@pytest.fixture
def nets():
    return [random_net(L, seed=seed, spread=0.4) for seed in (3, 4)]


def start(nets, X, limits=(0, L)):
    return Walk(nets, [net(X) for net in nets], limits)


def start_single(nets, X, limits=(0, L)):
    nets = [net.float() for net in nets]
    return start(nets, X.float(), limits)


def table_of_chains(nets, x, limits=(0, L)):
    """Log-probability of every chain of a row, the likeliest first."""
    found = {
        chain: chain_log_proba(nets, x, chain, limits).item()
        for chain in all_chains(L, *limits)
    }
    return dict(sorted(found.items(), key=lambda item: -item[1]))


def test_greedy_path_by_hand(nets):
    net, X = nets[0], random_rows(6)
    path = follow(start([net], X), L)
    for row, x in enumerate(X):
        context = net(x[None])
        state, labels, before = context.state, [], L
        survival, missed, n_taken, running = 1.0, np.ones(L), 0, True
        for step in range(L):
            state, logits = net.step(context, state, net.label_table()[before][None])
            log_proba = step_log_proba(logits[0], labels, step, (0, L), L)
            proba = log_proba.exp().detach().numpy()
            missed *= 1 - survival * proba[:L]
            before = max(set(range(L)) - set(labels), key=lambda label: proba[label])
            running &= bool(proba[before] >= proba[L])
            n_taken += running
            labels.append(before)
            assert path.labels[row, step] == before
            assert path.proba[row, step].item() == pytest.approx(proba[before])
            assert path.stop_proba[row, step].item() == pytest.approx(proba[L])
            survival *= 1 - proba[L]
        assert path.n_taken[row] == n_taken
        assert_allclose(path.scores[row].detach(), 1 - missed, rtol=1e-9)


@pytest.mark.parametrize("limits", [(0, 1), (1, 2), (2, 2)])
def test_path_goes_on_where_sets_must_end(nets, limits):
    X = random_rows(6)
    path = follow(start(nets, X, limits), L)
    for row, x in enumerate(X):
        table = table_of_chains(nets, x, (limits[0], L))
        chains = {chain: np.exp(value) for chain, value in table.items()}
        before, survival, missed = (), 1.0, np.ones(L)
        for step in range(L):
            begun = [(c[step:], p) for c, p in chains.items() if c[:step] == before]
            shares = [sum(p for c, p in begun if c[:1] == (n,)) for n in range(L)]
            shares = np.array(shares) / sum(p for _, p in begun)
            if step < limits[1]:
                missed *= 1 - survival * shares
            survival *= shares.sum()  # what remains of 1 is the stop
            best = int(shares.argmax())
            assert path.labels[row, step] == best
            assert path.proba[row, step].item() == pytest.approx(shares[best])
            before = (*before, best)
        assert limits[0] <= path.n_taken[row] <= limits[1]
        assert_allclose(path.scores[row].detach(), 1 - missed, rtol=1e-6)


def test_path_scores_stay_between_zero_and_one_when_a_label_is_certain():
    net, X = random_net(L), random_rows(2)
    with torch.no_grad():
        net.output_bias[1] = 60.0
    scores = follow(start([net], X), L).scores
    assert (scores >= 0).all()
    assert (scores <= 1).all()
    assert_allclose(scores[:, 1].detach(), 1, atol=2e-6)


@pytest.mark.parametrize("limits", [(0, L), (1, 2), (2, 2)])
def test_greedy_chain_is_the_beginning_of_the_path(nets, limits):
    X = random_rows(20)
    path = follow(start(nets, X, limits), L)
    symbols, log_proba = draw(start(nets, X, limits), limits[1] + 1)
    for row, x in enumerate(X):
        chain = [label for label in symbols[row].tolist() if label < L]
        assert limits[0] <= len(chain) <= limits[1]
        assert path.labels[row, : path.n_taken[row]].tolist() == chain
        expected = chain_log_proba(nets, x, chain, limits).item()
        assert log_proba[row].item() == pytest.approx(expected)


@pytest.mark.parametrize("n_members", [1, 2])
def test_drawn_chains_come_as_often_as_their_probability_says(nets, n_members):
    x, n_draws = random_rows(1)[0], 20_000
    walk = start(nets[:n_members], x.expand(n_draws, -1))
    symbols, log_proba = draw(walk, L + 1, torch.Generator().manual_seed(0))
    drawn = [tuple(s for s in row if s < L) for row in symbols.tolist()]
    expected = table_of_chains(nets[:n_members], x)
    counts = [drawn.count(chain) for chain in expected]
    frequencies = n_draws * np.exp(list(expected.values()))
    assert sum(counts) == n_draws
    assert min(frequencies) > 10
    assert chisquare(counts, frequencies).pvalue > 0.01
    assert_allclose(log_proba[:50].detach(), [expected[c] for c in drawn[:50]])


def test_draws_end_within_the_given_steps(nets):
    symbols, _ = draw(start(nets, random_rows(50)), 2, torch.Generator().manual_seed(0))
    assert symbols.shape == (50, 2)
    assert (symbols < L).all(1).any()  # some have not stopped


def test_inclusion_sums_the_probabilities_along_a_drawn_chain(nets):
    X = random_rows(20)
    symbols, _ = draw(start(nets, X), L + 1, torch.Generator().manual_seed(5))
    generator = torch.Generator().manual_seed(5)
    found = draw_inclusion(start(nets, X), L + 1, generator, n_draws=len(X))
    for row, x in enumerate(X):
        chain = [label for label in symbols[row].tolist() if label < L]
        expected = torch.zeros(L).double()
        walk = start(nets, x[None])
        for symbol in [*chain, L]:  # at each step before its symbol is known
            expected += walk.log_proba()[0, :L].exp()
            walk.take(torch.tensor([symbol]))
        assert_allclose(found[row].detach(), expected.detach())


def test_mean_inclusion_is_the_probability_to_be_in_the_set(nets):
    x, n_draws = random_rows(1)[0], 5000
    walk = start(nets, x.expand(n_draws, -1))
    generator = torch.Generator().manual_seed(0)
    found = draw_inclusion(walk, L + 1, generator, n_draws).detach()
    chains = table_of_chains(nets, x).items()
    for label in range(L):
        exact = sum(np.exp(value) for chain, value in chains if label in chain)
        error = found[:, label].std() / n_draws**0.5
        assert abs(found[:, label].mean() - exact) < 4 * error
        assert found[:, label].var() < exact * (1 - exact)  # than of counted labels


def test_nothing_but_stops_follows_a_stop(nets):
    symbols, _ = draw(
        start(nets, random_rows(200)), 4, torch.Generator().manual_seed(0)
    )
    stopped = (symbols == L).cummax(1).values
    assert (symbols[stopped] == L).all()
    for row in symbols.tolist():
        labels = [symbol for symbol in row if symbol < L]
        assert len(set(labels)) == len(labels)


@pytest.mark.parametrize("limits", [(0, L), (1, 2), (2, L)])
@pytest.mark.parametrize("n_members", [1, 2])
def test_wide_beam_finds_all_chains_with_their_probabilities(nets, limits, n_members):
    X, n_chains = random_rows(3), len(all_chains(L, *limits))
    tables = [table_of_chains(nets[:n_members], x, limits) for x in X]
    walk = start_single(nets[:n_members], X, limits)
    beam = search_beam(walk, 40, limits[1] + 1)
    for row, table in enumerate(tables):
        order = beam.log_proba[row].argsort(descending=True)[:n_chains]
        chains = [tuple(s for s in c if s < L) for c in beam.symbols[row].tolist()]
        found = {chains[i]: beam.log_proba[row, i].item() for i in order.tolist()}
        assert found.keys() == table.keys()
        for chain, value in found.items():
            assert value == pytest.approx(table[chain], abs=1e-4)
            assert beam.n_symbols[row, chains.index(chain)] == len(chain) + 1
        assert (beam.log_proba[row] > -torch.inf).sum() == n_chains


def test_beam_of_one_is_the_greedy_chain(nets):
    X = random_rows(30)
    beam = search_beam(start_single(nets, X), 1, L + 1)
    symbols, log_proba = draw(start_single(nets, X), L + 1)
    width = symbols.shape[1]
    assert_array_equal(beam.symbols[:, 0, :width], symbols)
    assert_allclose(beam.log_proba[:, 0].detach(), log_proba.detach(), rtol=1e-5)


def test_beam_of_a_row_does_not_depend_on_the_other_rows(nets):
    X = random_rows(5)
    together = search_beam(start_single(nets, X), 3, L + 1)
    for row in range(5):
        alone = search_beam(start_single(nets, X[row : row + 1]), 3, L + 1)
        width = alone.symbols.shape[2]
        assert_array_equal(together.symbols[row, :, :width], alone.symbols[0])
        assert_array_equal(together.n_symbols[row], alone.n_symbols[0])
        assert_allclose(
            together.log_proba[row].detach(), alone.log_proba[0].detach(), rtol=1e-5
        )
