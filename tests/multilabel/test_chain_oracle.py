"""Beam search, order-free losses and alignments against numbers of published code.

beam_search.json: JinseokNam/mlc2seq, commit 4d7227ec; order_free_losses.json:
jackyyy0228/Order-free-Learning-Alleviating-Exposure-Bias-in-Multi-label-Classification,
commit 895a5739; alignment_pla_mla.json: voyazici/orderless-rnn-classification, commit
51f6f3ee. Numbers only.
"""

import json
from pathlib import Path

import numpy as np
import pytest
import torch
from scipy.special import log_softmax

from skdeep.multilabel._alignment import align_all, align_predicted
from skdeep.multilabel._decisions import cheapest_chains
from skdeep.multilabel._decode import search_beam
from skdeep.multilabel._objectives import alive_steps, still_missing, token_mean

FOLDER = Path(__file__).parent.parent / "data" / "chain"


def cases(name):
    return json.loads((FOLDER / name).read_text(encoding="utf-8"))


class MarkovWalk:
    """The walk of a table: the next symbol depends on the last one alone.

    The table has the stop in front, the package has it at the end; labels may repeat.
    """

    def __init__(self, transition, start_row, n_rows=1):
        table = torch.tensor(transition).log().roll(-1, dims=1)
        n_symbols = table.shape[1]
        self.table = torch.cat([table[1:n_symbols], table[:1], table[n_symbols:]])
        self.stop = n_symbols - 1
        assert start_row == n_symbols
        self.symbols = torch.full((n_rows,), start_row)

    def log_proba(self):
        return self.table[self.symbols]

    def take(self, symbols):
        self.symbols = symbols

    def keep(self, rows):
        self.symbols = self.symbols[rows]


@pytest.fixture(params=cases("beam_search.json"), ids=lambda case: f"k={case['beam']}")
def beam_case(request):
    return request.param


@pytest.mark.parametrize("n_rows", [1, 3])
def test_beam_search_finds_the_published_chains_in_their_order(beam_case, n_rows):
    walk = MarkovWalk(beam_case["transition"], beam_case["start_row"], n_rows)
    beam = search_beam(walk, beam_case["beam"], beam_case["max_len"])
    expected = beam_case["expected"]
    for row in range(n_rows):
        n_symbols = beam.n_symbols[row].tolist()
        chains = [
            [(symbol + 1) % (walk.stop + 1) for symbol in chain[:length].tolist()]
            for chain, length in zip(beam.symbols[row], n_symbols)
        ]
        assert chains == expected["sequences"]
        assert (-beam.log_proba[row]).tolist() == pytest.approx(
            expected["neg_log_prob"], abs=2e-6
        )


def test_least_cost_per_symbol_chooses_the_published_set(beam_case):
    walk = MarkovWalk(beam_case["transition"], beam_case["start_row"])
    beam = search_beam(walk, beam_case["beam"], beam_case["max_len"])
    found = cheapest_chains(beam.symbols, beam.log_proba, walk.stop)
    labels = (torch.nonzero(found[0])[:, 0] + 1).tolist()
    assert labels == beam_case["expected"]["selected_set"]


@pytest.fixture(params=cases("order_free_losses.json"), ids=list("abc"))
def loss_case(request):
    case = request.param
    log_proba = torch.tensor(case["logits"]).log_softmax(-1).transpose(0, 1)
    stop = case["eos"]
    assert log_proba.shape[-1] == stop + 1
    Y = torch.tensor(case["targets"])[:, :stop] > 0
    return log_proba, Y, torch.tensor(case["symbols"]).T, case["expected"]


def divergence(target, log_proba):
    """Kullback-Leibler divergence as published: mean over the symbols, not the sum."""
    return (target * ((target + 1e-8).log() - log_proba)).mean(-1)


def test_uniform_target_is_completion_distillation_at_temperature_zero(loss_case):
    log_proba, Y, symbols, expected = loss_case
    wanted = still_missing(symbols, Y).float()
    loss = divergence(wanted / wanted.sum(-1, keepdim=True), log_proba)
    alive = alive_steps(symbols, Y.shape[1])
    found = token_mean(loss, alive, torch.ones(len(Y), dtype=torch.bool))
    assert found.item() == pytest.approx(expected["ocd_T1e-07"], rel=1e-4)


@pytest.mark.parametrize("temperature", [0.5, 1])
def test_softer_targets_come_from_the_same_right_symbols(loss_case, temperature):
    log_proba, Y, symbols, expected = loss_case
    right = still_missing(symbols, Y)
    value = right.float() - 1
    # the published code adds 1 to the stop again at each step that has nothing left
    value[..., -1] += (right[..., -1].cumsum(1) - 1).clamp(min=0)
    loss = divergence((value / temperature).softmax(-1), log_proba)
    alive = alive_steps(symbols, Y.shape[1])
    found = token_mean(loss, alive, torch.ones(len(Y), dtype=torch.bool))
    assert found.item() == pytest.approx(expected[f"ocd_T{temperature}"], rel=1e-4)


def test_likeliest_label_left_at_each_step_is_the_order_free_loss(loss_case):
    log_proba, Y, symbols, expected = loss_case
    taken = torch.zeros_like(symbols)
    for step in range(symbols.shape[1]):
        right = still_missing(taken[:, : step + 1], Y)[:, step]
        taken[:, step] = log_proba[:, step].masked_fill(~right, -torch.inf).argmax(-1)
    gain = log_proba.masked_fill(~still_missing(taken, Y), -torch.inf).amax(-1)
    everywhere = torch.ones_like(taken, dtype=torch.bool)  # the published mask cancels
    found = -token_mean(gain, everywhere, torch.ones(len(Y), dtype=torch.bool))
    assert found.item() == pytest.approx(expected["order_free"], rel=1e-4)


@pytest.mark.parametrize("case", cases("alignment_pla_mla.json"), ids=list("abc"))
def test_labels_are_aligned_with_the_published_steps(case):
    for scores, labels, pla, mla in zip(
        case["scores"], case["target_sets"], case["pla"], case["mla"]
    ):
        cost, labels = -log_softmax(scores, axis=1), np.array(labels)
        assert align_all(cost, labels).tolist() == mla
        assert align_predicted(cost, np.argmax(scores, axis=1), labels).tolist() == pla
