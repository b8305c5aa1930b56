"""The projection of probabilities on given shares of the classes."""

import numpy as np
import plain_rules as plain
import pytest
import torch
from numpy.testing import assert_allclose, assert_array_equal

from skdeep.few_shot._balanced_rules import sinkhorn


@pytest.fixture
def problem(seed):
    """Logits (2, 12, 4), shares (2, 4) and weights (2, 12) of two tasks."""
    generator = torch.Generator().manual_seed(seed)
    options = {"generator": generator, "dtype": torch.float64}
    logits = 3 * torch.randn(2, 12, 4, **options)
    weight = torch.rand(2, 12, **options)
    weight[:, 3] = 0
    return logits, torch.rand(2, 4, **options) + 0.1, weight


def test_columns_follow_the_shares_and_rows_sum_to_1(problem):
    logits, shares, weight = problem
    proba, _ = sinkhorn(logits, shares, weight, n_rounds=500)
    found = (weight[:, :, None] * proba).sum(dim=1) / weight.sum(dim=1)[:, None]
    assert_allclose(found, shares / shares.sum(dim=1)[:, None], rtol=1e-6)
    assert_allclose(proba.sum(dim=2), np.ones((2, 12)), rtol=1e-12)


def test_agrees_with_scaling_of_rows_and_columns_in_turn(problem):
    logits, shares, weight = problem
    proba, _ = sinkhorn(logits, shares, weight)
    for i in range(2):
        real = weight[i] > 0
        parts = (part.numpy() for part in (logits[i][real], weight[i][real], shares[i]))
        assert_allclose(proba[i][real], plain.transport(*parts, 2000), rtol=1e-8)


def test_the_bias_gives_the_probabilities(problem):
    logits, shares, weight = problem
    proba, bias = sinkhorn(logits, shares, weight)
    assert_allclose(proba, (logits + bias[:, None]).softmax(dim=2), rtol=1e-12)


def test_probabilities_that_have_the_shares_stay_as_they_are():
    proba = torch.tensor([[[0.9, 0.1], [0.3, 0.7]]], dtype=torch.float64)
    weight = torch.ones(1, 2, dtype=torch.float64)
    found, bias = sinkhorn(
        proba.log(), torch.tensor([[1.2, 0.8]], dtype=torch.float64), weight
    )
    assert_allclose(found, proba, rtol=1e-12)
    assert_allclose(bias, [[0, 0]], atol=1e-12)


def test_two_rows_worked_out_by_hand():
    # odds 9 and 4 for the first class: divided by 6 they are 3/2 and 2/3
    logits = torch.tensor([[[9.0, 1.0], [4.0, 1.0]]], dtype=torch.float64).log()
    ones = torch.ones(1, 2, dtype=torch.float64)
    proba, _ = sinkhorn(logits, ones, ones, n_rounds=200)
    assert_allclose(proba[0], [[0.6, 0.4], [0.4, 0.6]], rtol=1e-10)


@pytest.mark.parametrize("n_rows", [1, 3, 40])
def test_sharp_logits_come_close_in_30_rounds(n_rows, seed):
    generator = torch.Generator().manual_seed(seed)
    logits = 100 * torch.rand(200, n_rows, 5, generator=generator)
    shares, weight = torch.rand(200, 5, generator=generator) + 0.05, torch.ones(200, 1)
    proba, _ = sinkhorn(logits, shares, weight.expand(-1, n_rows), n_rounds=30)
    error = proba.mean(dim=1) - shares / shares.sum(dim=1, keepdim=True)
    # plain rounds leave errors up to 0.2 here
    assert error.abs().max() < 0.05


def test_a_class_with_share_0_gets_nothing(problem):
    logits, shares, weight = problem
    shares[0, 2] = 0
    proba, _ = sinkhorn(logits, shares, weight)
    assert_array_equal(proba[0, :, 2], np.zeros(12))
    assert torch.isfinite(proba).all()


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_huge_logits_do_not_overflow(dtype):
    logits = torch.tensor([[[1e4, 0, -1e4], [1e4, -1e4, 0], [1e4, 0, 0]]], dtype=dtype)
    ones = torch.ones(1, 3, dtype=dtype)
    proba, bias = sinkhorn(logits, ones, ones)
    assert torch.isfinite(proba).all()
    assert torch.isfinite(bias).all()


def test_tasks_without_a_row_keep_their_logits(problem):
    logits, shares, weight = problem
    weight[1] = 0
    proba, bias = sinkhorn(logits, shares, weight)
    assert_array_equal(bias[1], np.zeros(4))
    assert_allclose(proba[1], logits[1].softmax(dim=1), rtol=1e-12)
    none, bias = sinkhorn(logits[:, :0], shares, weight[:, :0])
    assert none.shape == (2, 0, 4)
    assert_array_equal(bias, np.zeros((2, 4)))
