"""The loss over densities and links."""

import numpy as np
import pytest
import torch

from skdeep.cluster._paper_loss import LanderLoss, balanced_edges


def make_target(n_nodes=5, k=3, seed=0, dtype=torch.float64):
    generator = torch.Generator().manual_seed(seed)
    draw = torch.rand(4, n_nodes, k, generator=generator, dtype=dtype)
    return draw[0], 2 * draw[1, :, 0] - 1, draw[2] < 0.4, draw[3] < 0.7


def make_logits(seed=1, dtype=torch.float64):
    generator = torch.Generator().manual_seed(seed)
    return torch.randn(5, 3, 2, generator=generator, dtype=dtype)


def test_loss_of_two_edges_counted_by_hand():
    logits = torch.tensor([[[0.0, np.log(3)], [0.0, 0.0]]])  # p = 3/4 and 1/2
    similarity = torch.tensor([[0.8, 0.4]])
    same = torch.tensor([[True, False]])
    usable = torch.tensor([[True, False]])
    target = (similarity, torch.tensor([0.5]), same, usable)
    loss, parts = LanderLoss(balance=False)(logits, target)
    # density (0.8 * 0.5 + 0) / 2 = 0.2, off by 0.3; the only usable edge costs log 4/3
    assert parts["density"].item() == pytest.approx(0.09)
    assert parts["link"].item() == pytest.approx(np.log(4 / 3))
    assert loss.item() == pytest.approx(0.09 + np.log(4 / 3))
    _, parts = LanderLoss(balance=False, focal_gamma=2)(logits, target)
    assert parts["link"].item() == pytest.approx(np.log(4 / 3) / 16)


@pytest.mark.parametrize("focal_gamma", [None, 0.5, 2])
def test_loss_gradient_by_finite_differences(focal_gamma):
    target = make_target()
    criterion = LanderLoss(balance=False, focal_gamma=focal_gamma)
    logits = make_logits().requires_grad_()
    assert torch.autograd.gradcheck(lambda x: criterion(x, target)[0], logits)


@pytest.mark.parametrize("focal_gamma", [None, 0.5, 2])
def test_gradient_is_finite_for_certain_edges(focal_gamma):
    logits = (1e4 * make_logits(dtype=torch.float32)).requires_grad_()
    criterion = LanderLoss(balance=False, focal_gamma=focal_gamma)
    criterion(logits, make_target(dtype=torch.float32))[0].backward()
    assert torch.isfinite(logits.grad).all()


@pytest.mark.parametrize("balance", [True, False])
def test_without_usable_edges_only_the_density_counts(balance):
    similarity, density, same, usable = make_target()
    logits = make_logits().requires_grad_()
    criterion = LanderLoss(balance, generator=torch.Generator())
    target = (similarity, density, same, torch.zeros_like(usable))
    loss, parts = criterion(logits, target)
    loss.backward()
    assert parts["link"].item() == 0
    assert loss.item() == parts["density"].item() > 0
    assert logits.grad.abs().sum() > 0


def test_balance_keeps_all_edges_of_the_rarer_kind_and_as_many_others():
    same = torch.tensor([True, False, False, False, True, False, False])
    generator = torch.Generator().manual_seed(0)
    seen = set()
    for _ in range(50):
        kept = balanced_edges(same, generator).tolist()
        assert len(set(kept)) == 4
        assert {0, 4} <= set(kept)
        seen.update(kept)
    assert seen == set(range(7))  # anew each time
    kept = balanced_edges(~same, generator)
    assert len(kept) == 4
    assert len(balanced_edges(torch.ones(5, dtype=torch.bool), generator)) == 0


def test_balanced_loss_is_the_mean_over_both_kinds_alone():
    similarity, density, same, usable = make_target(seed=3)
    logits = make_logits()
    criterion = LanderLoss(generator=torch.Generator().manual_seed(0))
    target = (similarity, density, same, usable)
    found = [criterion(logits, target)[1]["link"].item() for _ in range(500)]
    plain = LanderLoss(balance=False)
    ends = [
        plain(logits, (similarity, density, same, usable & kind))[1]["link"].item()
        for kind in (same, ~same)
    ]
    # 500 draws: the standard error of the mean is their spread / 22
    assert np.mean(found) == pytest.approx(np.mean(ends), abs=4 * np.std(found) / 22)


def test_validation_is_not_balanced():
    criterion = LanderLoss(generator=torch.Generator()).eval()
    plain = LanderLoss(balance=False)
    logits, target = make_logits(), make_target()
    assert criterion(logits, target)[0] == plain(logits, target)[0]
