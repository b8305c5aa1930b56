"""Tests of the linear-chain conditional random field."""

import itertools
import pathlib
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest
import torch
from torch.testing import assert_close

from skdeep.transfer._crf import LinearChainCRF, _best_sums
from skdeep.transfer._crf_sums import Packing, _LogSums, _recur, log_sums
from skdeep.utils._torch import build

ORACLE = pathlib.Path(__file__).parents[1] / "data" / "transfer" / "crf_oracle.npz"


def make_crf(n_tags, *, scale=1.0, seed=0, dtype=torch.float64):
    crf = LinearChainCRF(n_tags).to(dtype)
    generator = torch.Generator().manual_seed(seed)
    for parameter in crf.parameters():
        torch.nn.init.normal_(parameter, std=scale, generator=generator)
    return crf


def make_batch(lengths, n_tags, *, scale=1.0, seed=0, dtype=torch.float64):
    """Scores, tags and lengths; scores and tags behind the end are nonsense."""
    generator = torch.Generator().manual_seed(seed)
    lengths = torch.tensor(lengths)
    shape = len(lengths), int(lengths.max()) + 1, n_tags
    scores = scale * torch.randn(shape, generator=generator, dtype=dtype)
    tags = torch.randint(n_tags, shape[:2], generator=generator)
    behind = torch.arange(shape[1]) >= lengths[:, None]
    return (
        scores.masked_fill(behind[:, :, None], torch.nan),
        tags.masked_fill(behind, -1),
        lengths,
    )


def enumerate_paths(crf, scores, length):
    """Every tag sequence of one sentence and its score, by the definition."""
    n_tags = scores.shape[-1]
    paths = torch.tensor(list(itertools.product(range(n_tags), repeat=length)))
    total = crf.start[paths[:, 0]] + crf.end[paths[:, -1]]
    for step in range(length):
        total = total + scores[step, paths[:, step]]
    for step in range(length - 1):
        total = total + crf.transitions[paths[:, step], paths[:, step + 1]]
    return paths, total


def gradients(value, crf, scores):
    return torch.autograd.grad(value, [scores, *crf.parameters()], retain_graph=True)


@pytest.mark.parametrize("case", range(5))
def test_equal_to_the_oracle(case):
    with np.load(ORACLE) as arrays:
        oracle = {
            name.partition("_")[2]: torch.from_numpy(arrays[name])
            for name in arrays.files
            if name.startswith(f"case{case}_")
        }
    crf = LinearChainCRF(oracle["emissions"].shape[2]).double()
    for name, parameter in crf.named_parameters():
        parameter.data = oracle[name]
    scores = oracle["emissions"].requires_grad_()
    lengths = oracle["mask"].sum(1)
    value = crf.log_likelihood(scores, oracle["tags"], lengths)
    assert_close(value, oracle["loglik"], rtol=1e-10, atol=1e-10)
    value.sum().backward()
    for name, tensor in {"emissions": scores, **dict(crf.named_parameters())}.items():
        assert_close(tensor.grad, oracle[f"grad_{name}"], rtol=1e-9, atol=1e-9)
    assert torch.equal(crf.decode(scores, lengths), oracle["viterbi"])
    counted = ~oracle["logZ_bruteforce"].isnan()  # short enough to enumerate
    partition = crf.log_partition(scores, lengths)[counted]
    expected = oracle["logZ_bruteforce"][counted]
    assert_close(partition, expected, rtol=1e-10, atol=1e-10)
    marginals = crf.marginals(scores, lengths)[counted]
    expected = oracle["marginals_bruteforce"][counted].nan_to_num()  # NaN: behind
    assert_close(marginals, expected, rtol=0, atol=1e-10)


@pytest.mark.parametrize("scale", [1, 30, 1000], ids=["plain", "double", "logarithms"])
@pytest.mark.parametrize("dtype", [torch.float32, torch.float64], ids=str)
@pytest.mark.parametrize("small_step", [0, 2**18], ids=["torch", "numpy"])
def test_everything_equals_enumeration(scale, dtype, small_step, monkeypatch):
    monkeypatch.setattr("skdeep.transfer._crf_sums._SMALL_STEP", small_step)
    crf = make_crf(3, scale=scale, dtype=dtype)
    scores, tags, lengths = make_batch([2, 5, 1, 4, 5], 3, scale=scale, dtype=dtype)
    scores.requires_grad_()
    allowed = torch.rand(scores.shape, generator=torch.Generator().manual_seed(1)) < 0.6
    allowed[..., 1] |= ~allowed.any(2)
    exact = make_crf(3, scale=scale, dtype=dtype).double()
    found = {
        "likelihood": crf.log_likelihood(scores, tags, lengths),
        "allowed": crf.log_likelihood_of_allowed(scores, allowed, lengths),
        "partition": crf.log_partition(scores, lengths),
    }
    marginals = crf.marginals(scores, lengths)
    decoded = crf.decode(scores, lengths)
    wanted = {name: [] for name in found}
    wide = scores.detach().double().requires_grad_()
    for row, length in enumerate(lengths.tolist()):
        paths, total = enumerate_paths(exact, wide[row], length)
        log_sum = total.logsumexp(0)
        hit = (paths == tags[row, :length]).all(1)
        inside = allowed[row, torch.arange(length), paths].all(1)
        wanted["partition"].append(log_sum)
        wanted["likelihood"].append((total[hit] - log_sum).sum())
        wanted["allowed"].append(total[inside].logsumexp(0) - log_sum)
        assert torch.equal(decoded[row, :length], paths[total.argmax()])
        assert (decoded[row, length:] == -1).all()
        shares = (total - log_sum).exp()
        for tag in range(3):
            share = shares @ (paths == tag).to(shares)
            assert_close(
                marginals[row, :length, tag].double(), share, rtol=1e-5, atol=1e-6
            )
        assert (marginals[row, length:] == 0).all()
    weights = torch.linspace(0.5, 2, len(lengths), dtype=torch.float64)
    for name, values in wanted.items():
        values = torch.stack(values)
        assert_close(found[name].double(), values, rtol=1e-5, atol=1e-5)
        ours = gradients((found[name] * weights).sum(), crf, scores)
        theirs = gradients((values * weights).sum(), exact, wide)
        for one, other in zip(ours, theirs):
            assert one.dtype == dtype
            assert_close(one.double(), other.nan_to_num(), rtol=1e-4, atol=1e-5)


class Values(torch.nn.Module):
    """All differentiable values of a CRF, as gradcheck wants them."""

    def __init__(self, crf, tags, allowed, lengths):
        super().__init__()
        self.crf = crf
        self.arguments = tags, allowed, lengths

    def forward(self, scores):
        tags, allowed, lengths = self.arguments
        return (
            self.crf.log_likelihood(scores, tags, lengths),
            self.crf.log_likelihood_of_allowed(scores, allowed, lengths),
            self.crf.log_partition(scores, lengths),
        )


@pytest.mark.parametrize("scale", [1, 300], ids=["probabilities", "logarithms"])
def test_gradients_by_finite_differences(scale):
    crf = make_crf(3)
    with torch.no_grad():
        crf.transitions[0, 1] -= scale
    scores, tags, lengths = make_batch([3, 1, 4], 3)
    allowed = torch.ones(scores.shape, dtype=torch.bool)
    allowed[0, 1, 2] = allowed[2, 0, :2] = allowed[1, 0, 0] = False
    values = Values(crf, tags, allowed, lengths)
    names = [f"crf.{name}" for name, _ in crf.named_parameters()]

    def call(scores, *parameters):
        named = dict(zip(names, parameters))
        return torch.func.functional_call(values, named, (scores,))

    inputs = scores.nan_to_num().requires_grad_(), *crf.parameters()
    assert torch.autograd.gradcheck(call, inputs)


def test_gradient_of_a_gradient_is_refused():
    crf = make_crf(3)
    scores, tags, lengths = make_batch([3, 1], 3)
    scores.requires_grad_()
    value = crf.log_likelihood(scores, tags, lengths).sum()
    with pytest.raises(RuntimeError, match="create_graph=False"):
        torch.autograd.grad(value, scores, create_graph=True)


def test_all_allowed_is_certain_and_one_allowed_is_the_likelihood():
    crf = make_crf(4)
    scores, tags, lengths = make_batch([3, 1, 6], 4)
    everything = torch.ones(scores.shape, dtype=torch.bool)
    certain = crf.log_likelihood_of_allowed(scores, everything, lengths)
    assert_close(certain, torch.zeros(3, dtype=torch.float64), rtol=0, atol=1e-12)
    one = torch.nn.functional.one_hot(tags.clamp(min=0), 4).bool()
    found = crf.log_likelihood_of_allowed(scores, one, lengths)
    assert_close(found, crf.log_likelihood(scores, tags, lengths))


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64], ids=str)
def test_decoding_with_forbidden_moves_equals_enumeration(dtype):
    crf = make_crf(4, dtype=dtype)
    scores, _, lengths = make_batch([1, 2, 5, 4, 6, 1], 4, dtype=dtype)
    start = torch.tensor([False, True, False, True])
    moves = torch.tensor(
        [[0, 1, 0, 1], [0, 0, 0, 1], [1, 0, 0, 1], [0, 1, 1, 0]]
    ).bool()
    end = torch.tensor([False, False, True, False])
    decoded = crf.decode(scores, lengths, (start, moves, end))
    for row, length in enumerate(lengths.tolist()):
        paths, total = enumerate_paths(crf, scores[row], length)
        illegal = start[paths[:, 0]] | end[paths[:, -1]]
        illegal |= moves[paths[:, :-1], paths[:, 1:]].any(1)
        best = total.masked_fill(illegal, -torch.inf).argmax()
        assert torch.equal(decoded[row, :length], paths[best])


def test_transitions_like_walls_are_exact():
    crf = make_crf(5, dtype=torch.float32)
    with torch.no_grad():
        crf.transitions[0, 1:] = crf.transitions[3, :4] = -1e4
        crf.start[2] = -1e4
    scores, tags, lengths = make_batch([30, 1, 12], 5, scale=300, dtype=torch.float32)
    exact = LinearChainCRF(5).double()
    exact.load_state_dict(crf.state_dict())
    scores = scores.nan_to_num().requires_grad_()
    wide = scores.detach().double().requires_grad_()
    value = crf.log_likelihood(scores, tags, lengths)
    wanted = plain_log_likelihood(exact, wide, tags, lengths)
    assert_close(value.double(), wanted, rtol=1e-5, atol=1e-4)
    ours = gradients(value.sum(), crf, scores)
    for one, other in zip(ours, gradients(wanted.sum(), exact, wide)):
        assert_close(one.double(), other, rtol=1e-4, atol=1e-4)


def plain_log_likelihood(crf, scores, tags, lengths):
    """The definition, one sentence and one token at a time."""
    values = []
    for row, length in enumerate(lengths.tolist()):
        y, s = tags[row, :length], scores[row]
        sums = crf.start + s[0]
        score = crf.start[y[0]] + crf.end[y[-1]] + s[torch.arange(length), y].sum()
        for step in range(1, length):
            sums = (sums[:, None] + crf.transitions).logsumexp(0) + s[step]
            score = score + crf.transitions[y[step - 1], y[step]]
        values.append(score - (sums + crf.end).logsumexp(0))
    return torch.stack(values)


@pytest.mark.parametrize("spread", [0.5, 4, 12, 100], ids=str)
def test_probabilities_equal_logarithms(spread):
    # many tags, peaked scores, and every period of rescaling
    crf = make_crf(40, scale=spread / 6)
    scores, tags, lengths = make_batch([60, 3, 25, 60, 1], 40, scale=30)
    packing = Packing(lengths, *scores.shape[:2], scores.device)
    weights = torch.rand(len(packing.tokens), dtype=torch.float64)
    parameters = [p.detach() for p in crf.parameters()]
    plain = _LogSums(packing.pack(scores), *parameters, packing)
    for dtype in (torch.float32, torch.float64):
        inputs = (tensor.to(dtype) for tensor in (packing.pack(scores), *parameters))
        fast = log_sums(*inputs, packing)
        assert not isinstance(fast, _LogSums)
        tolerance = {"rtol": 1e-4, "atol": 1e-5}
        if dtype == torch.float64:
            tolerance = {"rtol": 1e-9, "atol": 1e-11}
        sums = packing.row_sums(fast.terms)
        assert_close(sums, packing.row_sums(plain.terms), **tolerance)
        marginals, pairs = fast.marginals(), fast.pairs(weights.to(fast.moves.dtype))
        assert_close(marginals.double(), plain.marginals(), **tolerance)
        assert_close(pairs.double(), plain.pairs(weights), **tolerance)


def test_long_sentences_in_single_precision():
    crf = make_crf(5, scale=2, dtype=torch.float32)
    scores, tags, lengths = make_batch([5000, 1], 5, scale=20, dtype=torch.float32)
    exact = LinearChainCRF(5).double()
    exact.load_state_dict(crf.state_dict())
    likelihood = crf.log_likelihood(scores, tags, lengths)
    wanted = exact.log_likelihood(scores.double(), tags, lengths)
    assert_close(likelihood.double(), wanted, rtol=1e-6, atol=1e-4)
    marginals = crf.marginals(scores, lengths)
    wanted = exact.marginals(scores.double(), lengths)
    assert_close(marginals.double(), wanted, rtol=0, atol=1e-4)
    assert torch.equal(
        crf.decode(scores, lengths), exact.decode(scores.double(), lengths)
    )


def test_a_row_does_not_depend_on_its_batch():
    crf = make_crf(6)
    scores, tags, lengths = make_batch([4, 9, 1, 7, 9], 6)
    together = crf.log_likelihood(scores, tags, lengths)
    marginals, decoded = crf.marginals(scores, lengths), crf.decode(scores, lengths)
    for row, length in enumerate(lengths.tolist()):
        alone = scores[row : row + 1, :length], lengths[row : row + 1]
        value = crf.log_likelihood(alone[0], tags[row : row + 1, :length], alone[1])
        assert_close(value[0], together[row], rtol=1e-12, atol=1e-12)
        assert_close(crf.marginals(*alone)[0], marginals[row, :length])
        assert torch.equal(crf.decode(*alone)[0], decoded[row, :length])


def test_zero_parameters_make_tokens_independent():
    crf = build(lambda: LinearChainCRF(7), generator=torch.Generator())
    scores, _, lengths = make_batch([1, 1, 1, 8], 7, dtype=torch.float32)
    shares = scores.softmax(2).nan_to_num()
    assert_close(crf.marginals(scores, lengths), shares)
    alive = ~scores.isnan().any(2)
    assert torch.equal(
        crf.decode(scores, lengths)[alive], scores.nan_to_num().argmax(2)[alive]
    )


def test_one_tag_is_certain():
    crf = make_crf(1)
    scores, tags, lengths = make_batch([3, 1], 1)
    assert_close(crf.log_likelihood(scores, tags, lengths), torch.zeros(2).double())
    assert (crf.decode(scores, lengths)[0] == torch.tensor([0, 0, 0, -1])).all()


def test_inference_mode_and_threads_give_the_same():
    crf = make_crf(9, dtype=torch.float32)
    scores, tags, lengths = make_batch([12, 5, 1, 8], 9, dtype=torch.float32)
    wanted = (
        crf.log_likelihood(scores, tags, lengths).detach(),
        crf.marginals(scores, lengths),
        crf.decode(scores, lengths),
    )

    def work(_):
        with torch.inference_mode():
            inputs = scores.clone(), lengths.clone()  # inference tensors
            likelihood = crf.log_likelihood(inputs[0], tags, inputs[1])
            return likelihood, crf.marginals(*inputs), crf.decode(*inputs)

    with ThreadPoolExecutor(4) as pool:
        for found in pool.map(work, range(16)):
            assert all(torch.equal(one, other) for one, other in zip(found, wanted))


@pytest.mark.parametrize("rows_inside", [False, True])
def test_loops_of_numpy_and_torch_are_equal(rows_inside):
    generator = torch.Generator().manual_seed(0)
    packing = Packing(torch.tensor([5, 2, 9]), 3, 9, "cpu")
    shapes = (2, 16, 4), (2, 16, 4), (2, 4, 4), (2, 16, 1), (4, 16), (4, 4, 1), (48,)
    tensors = [torch.rand(shape, generator=generator).double() for shape in shapes]
    arrays = [tensor.numpy().copy() for tensor in tensors]
    _recur(torch, *tensors[:4], packing.steps, 3)
    _recur(np, *arrays[:4], packing.steps, 3)
    _best_sums(torch, *tensors[4:], packing.steps, rows_inside)
    _best_sums(np, *arrays[4:], packing.steps, not rows_inside)
    for tensor, array in zip(tensors[:6], arrays):
        assert_close(tensor, torch.from_numpy(array))


@pytest.mark.parametrize("lengths", [[2, 0], [2, 4], [2]], ids=str)
def test_lengths_that_do_not_fit_are_refused(lengths):
    with pytest.raises(ValueError, match="between 1 and 3 for each of the 2 rows"):
        LinearChainCRF(2).decode(torch.zeros(2, 3, 2), torch.tensor(lengths))


def test_a_token_without_allowed_tag_is_refused():
    scores, allowed = torch.zeros(3, 2, 2), torch.ones(3, 2, 2, dtype=torch.bool)
    allowed[1, 1] = False
    crf = LinearChainCRF(2)
    crf.log_likelihood_of_allowed(scores, allowed, torch.tensor([2, 1, 2]))
    with pytest.raises(ValueError, match="`allowed` leaves a token no tag in row 1"):
        crf.log_likelihood_of_allowed(scores, allowed, torch.tensor([1, 2, 2]))


def test_a_sentence_without_legal_tags_is_refused():
    nothing = torch.zeros(2, dtype=torch.bool)
    moves = torch.ones(2, 2, dtype=torch.bool)
    with pytest.raises(ValueError, match="no tag sequence, in row 1"):
        LinearChainCRF(2).decode(
            torch.zeros(2, 20, 2), torch.tensor([1, 20]), (nothing, moves, nothing)
        )
