"""Tests of the linear-chain conditional random field."""

import itertools
import pathlib
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest
import torch
from torch.testing import assert_close

from skdeep.transfer._crf import LinearChainCRF
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
    if not oracle["logZ_bruteforce"].isnan().any():
        partition = crf.log_partition(scores, lengths)
        assert_close(partition, oracle["logZ_bruteforce"], rtol=1e-10, atol=1e-10)
        marginals = crf.marginals(scores, lengths)
        expected = oracle["marginals_bruteforce"].nan_to_num()  # NaN behind the end
        assert_close(marginals, expected, rtol=0, atol=1e-10)


@pytest.mark.parametrize("scale", [1, 30, 1000], ids=["plain", "double", "logarithms"])
@pytest.mark.parametrize("dtype", [torch.float32, torch.float64], ids=str)
def test_everything_equals_enumeration(scale, dtype):
    crf = make_crf(3, scale=scale, dtype=dtype)
    scores, tags, lengths = make_batch([2, 5, 1, 4, 5], 3, scale=scale, dtype=dtype)
    scores.requires_grad_()
    allowed = torch.rand(scores.shape, generator=torch.Generator().manual_seed(1)) < 0.6
    allowed[..., 1] |= ~allowed.any(2)
    tolerance = {"rtol": 1e-5, "atol": 1e-5} if dtype == torch.float32 else {}
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
