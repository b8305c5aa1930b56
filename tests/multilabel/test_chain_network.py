"""The recurrent chain: its equations, its probabilities, its gradients."""

import pytest
import scipy.sparse as sp
import torch
from numpy.testing import assert_allclose
from tiny_chains import (
    all_chains,
    as_symbols,
    chain_log_proba,
    random_net,
    random_rows,
)

from skdeep.multilabel._decode import Walk, mask_logits
from skdeep.multilabel._modules import Context, Scaler
from skdeep.multilabel._objectives import alive_steps, taken_before
from skdeep.nn import SparseRows

LIMITS = [(0, 3), (1, 3), (0, 2), (1, 2), (2, 2), (3, 3)]


def walk_log_proba(nets, X, chains, limits):
    """Log-probability of chains, one for each row, as a `Walk` gives them."""
    walk = Walk(nets, [net(X) for net in nets], limits)
    total, stop = 0.0, walk.stop
    stopped = torch.zeros(len(chains), dtype=torch.bool)
    for symbols in chains.T:
        gain = walk.log_proba().gather(1, symbols[:, None])[:, 0]
        total = total + gain.masked_fill(stopped, 0)
        stopped = stopped | (symbols == stop)
        walk.take(symbols)
    return total


@pytest.mark.parametrize("skip", [True, False])
def test_step_is_the_recurrent_cell_of_torch_and_the_deep_output(skip):
    net, X = random_net(4, seed=1, label_skip=skip), random_rows(3)
    size, n_gates = net.hidden_size, 3 * net.hidden_size
    cell = torch.nn.GRUCell(8 + X.shape[1], size).double()
    with torch.no_grad():
        cell.weight_ih[:, :8] = net.label_weight[:n_gates]
        cell.weight_ih[:, 8:] = net.context_weight[:n_gates]
        cell.bias_ih[:] = net.context_bias[:n_gates]
        cell.weight_hh[:] = net.state_weight
        cell.bias_hh[:] = net.state_bias
    of_sample = X @ net.context_weight.T + net.context_bias
    state = torch.tanh(of_sample[:, n_gates + 8 :])
    head = X @ net.head_weight.T + net.head_bias
    context, own_state = net(X), net(X).state
    assert_allclose(context.head.detach(), head.detach())
    for label in (4, 2, 0):  # nothing before the first step
        vector = net.embedding[label] if label < 4 else torch.zeros(8).double()
        state = cell(torch.cat([vector.expand(3, -1), X], 1), state)
        hidden = torch.tanh(
            state @ net.readout_weight.T
            + net.label_weight[n_gates:] @ vector
            + of_sample[:, n_gates : n_gates + 8]
        )
        logits = hidden @ net.output_weight.T + net.output_bias
        if skip:
            logits[:, :4] += head
        part = net.label_table()[label].expand(3, -1)
        own_state, own_logits = net.step(context, own_state, part)
        assert_allclose(own_state.detach(), state.detach())
        assert_allclose(own_logits.detach(), logits.detach())


@pytest.mark.parametrize("n_labels", [3, 40])  # with a table of all labels, and without
def test_teacher_forcing_equals_one_step_after_the_other(n_labels):
    net, X = random_net(n_labels), random_rows(2)
    symbols = torch.tensor([[2, 0, 1, n_labels], [1, n_labels, n_labels, n_labels]])
    context = net(X)
    logits, states = net.teacher_force(context, symbols)
    state, before = context.state, torch.tensor([n_labels, n_labels])
    for step in range(4):
        state, expected = net.step(context, state, net.label_table()[before])
        assert_allclose(logits[:, step].detach(), expected.detach(), rtol=1e-12)
        assert_allclose(states[:, step].detach(), state.detach(), rtol=1e-12)
        before = symbols[:, step]


@pytest.mark.parametrize("limits", LIMITS)
@pytest.mark.parametrize("n_members", [1, 3])
def test_probabilities_of_all_chains_add_up_to_one(n_members, limits):
    nets = [random_net(3, seed=seed) for seed in range(n_members)]
    chains = as_symbols(all_chains(3, *limits), 3)
    for x in random_rows(2):
        total = walk_log_proba(nets, x.expand(len(chains), -1), chains, limits)
        assert total.exp().sum().item() == pytest.approx(1, abs=1e-12)
        expected = [
            chain_log_proba(nets, x, [s for s in chain if s < 3], limits).item()
            for chain in chains.tolist()
        ]
        assert_allclose(total.detach(), expected, rtol=1e-9)


@pytest.mark.parametrize("limits", LIMITS)
def test_teacher_forced_probabilities_of_all_chains_add_up_to_one(limits):
    net = random_net(3)
    chains = as_symbols(all_chains(3, *limits), 3)
    context = net(random_rows(1).expand(len(chains), -1))
    logits, _ = net.teacher_force(context, chains)
    log_proba = mask_logits(
        logits, taken_before(chains, 3), torch.arange(chains.shape[1]), limits
    )
    gain = log_proba.gather(2, chains[..., None])[..., 0]
    total = gain.masked_fill(~alive_steps(chains, 3), 0).sum(1)
    assert total.exp().sum().item() == pytest.approx(1, abs=1e-12)


def test_stop_is_masked_only_below_the_least_number_of_labels():
    logits = torch.zeros(1, 4)
    taken = torch.tensor([[True, True, True, True]])
    assert_allclose(mask_logits(logits, taken, 3, (0, 3)).exp(), [[0, 0, 0, 1]])
    taken = torch.tensor([[True, False, False, False]])
    found = mask_logits(logits, taken, 1, (2, 3)).exp()
    assert_allclose(found, [[0, 0.5, 0.5, 0]])
    assert_allclose(mask_logits(logits, taken, 1, (0, 1)).exp(), [[0, 0, 0, 1]])


def test_mask_of_many_steps_is_that_of_each_step():
    logits = torch.randn(2, 3, 4, generator=torch.Generator().manual_seed(0))
    taken = taken_before(torch.tensor([[0, 1, 3], [2, 3, 3]]), 3)
    together = mask_logits(logits, taken, torch.arange(3), (1, 2))
    for step in range(3):
        alone = mask_logits(logits[:, step], taken[:, step], step, (1, 2))
        assert_allclose(together[:, step], alone)


def test_context_of_some_rows_is_the_context_of_these_rows():
    net, X = random_net(3), random_rows(4)
    rows = torch.tensor([3, 1, 1])
    for part, expected in zip(net(X).take(rows), net(X[rows])):
        assert_allclose(part.detach(), expected.detach())
    assert not any(part.requires_grad for part in net(X).detach())
    assert isinstance(net(X).detach(), Context)


def test_scaler_shifts_dense_rows_and_only_stretches_sparse_ones():
    dense, sparse = Scaler(2, sparse=False), Scaler(2, sparse=True)
    for scaler in (dense, sparse):
        scaler.init_weights(None)
        scaler.factor.fill_(2)
    dense.shift.copy_(torch.tensor([1.0, -1.0]))
    X = torch.tensor([[0.0, 3.0], [1.0, 0.0]])
    assert_allclose(dense(X), [[-2, 8], [0, 2]])
    rows = SparseRows.from_csr(sp.csr_array(X.numpy()))
    assert_allclose(sparse(rows).values, [6, 2])
