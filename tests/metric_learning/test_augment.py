"""Tests of the random changes of images."""

import torch

from skdeep.metric_learning._augment import AffineRows, random_affine


def test_amounts_of_zero_change_nothing():
    images = torch.rand(5, 2, 9, 9, generator=torch.Generator().manual_seed(0))
    still = random_affine(
        images, torch.Generator(), degrees=0, shift=0, log_scale=0, shear=0
    )
    assert torch.allclose(still, images, atol=1e-5)


def test_small_changes_keep_the_ink_near_its_place():
    images = torch.zeros(200, 1, 28, 28)
    images[:, :, 12:16, 12:16] = 1
    moved = random_affine(images, torch.Generator().manual_seed(1))
    total = moved.sum(dim=(1, 2, 3))
    assert ((total > 8) & (total < 26)).all()  # 16 pixels, zoomed by up to 1.26 a side
    assert (moved[:, :, 6:22, 6:22].sum(dim=(1, 2, 3)) > 0.9 * total).all()
    assert not torch.equal(moved[0], moved[1])


def test_quarter_turns_turn_the_image():
    rows = torch.zeros(4, 16)
    rows[:, 0] = 1  # the corner at the top left of 4 x 4 pixels
    augment = AffineRows((1, 4, 4))
    corners = []
    for n_turns in range(4):
        turned = augment(
            rows, torch.Generator().manual_seed(2), torch.full((4,), n_turns)
        )
        ink = turned.mean(dim=0).view(4, 4)
        halves = ink[:, :2].sum() > ink[:, 2:].sum(), ink[:2].sum() > ink[2:].sum()
        corners.append(tuple(bool(half) for half in halves))
    # counterclockwise: top left, bottom left, bottom right, top right
    assert corners == [(True, True), (True, False), (False, False), (False, True)]
