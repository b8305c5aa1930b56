"""Tests of TCM and of the base losses, against hand counts, oracles and slow versions."""

import pathlib

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from numpy.testing import assert_allclose, assert_array_equal

from skdeep.exceptions import InvalidParameterError
from skdeep.metric_learning import (
    ArcFaceLoss,
    RecallAtKLoss,
    SmoothAPLoss,
    SupConLoss,
    TCMLoss,
    TripletLoss,
)
from skdeep.metric_learning._losses import (
    BASE_LOSSES,
    MetricLoss,
    _hard_pairs,
    _hard_pairs_on_cpu,
    make_base_loss,
)
from skdeep.metric_learning._pair_losses import PairLoss
from skdeep.nn import MLP

ORACLES = pathlib.Path(__file__).parents[1] / "data" / "tcm"
PAIR_LOSSES = [name for name, loss in BASE_LOSSES.items() if issubclass(loss, PairLoss)]
PROXY_LOSSES = [name for name in BASE_LOSSES if name not in PAIR_LOSSES]


def pairs_of(embeddings, y):
    """Similarities, positive and negative pairs of the unit rows of a batch."""
    unit = F.normalize(embeddings, dim=1)
    same = y[:, None] == y
    return unit @ unit.T, same & ~torch.eye(len(y), dtype=torch.bool), ~same


def tcm(pos_margin=0.9, neg_margin=0.5, pos_weight=1.0, neg_weight=1.0):
    return TCMLoss(pos_margin, neg_margin, pos_weight, neg_weight)


ORACLE_PAIR_LOSSES = {
    "tcm_mp0.9_mn0.5_lp1_ln1": tcm(),
    "tcm_mp0.7_mn0.1_lp1_ln1": tcm(0.7, 0.1),
    "tcm_mp0.9_mn0.5_lp0.5_ln2": tcm(0.9, 0.5, 0.5, 2),
    "tcm_mp-0.99_mn0.999_lp1_ln1": tcm(-0.99, 0.999),
    "smoothap_official_tau0.01": SmoothAPLoss(0.01, include_query=True),
    "smoothap_official_tau0.1": SmoothAPLoss(0.1, include_query=True),
    "rsk_official_default": RecallAtKLoss(rank_includes_query=True),
    "multisimilarity_a2_b50_base0.5": BASE_LOSSES["multi_similarity"](),
    "supcon_t0.1": SupConLoss(),
    "contrastive_cos_mp1_mn0.5": BASE_LOSSES["contrastive"](),
    "triplet_cos_m0.1": TripletLoss(),
}
ORACLE_PROXY_LOSSES = {
    "proxyanchor_m0.1_a32": "proxy_anchor",
    "proxynca_scale1": "proxy_nca",
    "arcface_m28.6deg_s64": "arcface",
    "cosface_m0.35_s64": "cosface",
    "normsoftmax_t0.05": "norm_softmax",
}
# the authors' code accumulates Smooth-AP in float32, and CosFace came from float32 too
LOOSE = {"smoothap_official_tau0.01", "smoothap_official_tau0.1", "cosface_m0.35_s64"}


@pytest.mark.parametrize("key", [*ORACLE_PAIR_LOSSES, *ORACLE_PROXY_LOSSES])
@pytest.mark.parametrize("case", ["losses_a", "losses_b"])
def test_value_and_gradient_agree_with_the_oracle(case, key):
    oracle = np.load(ORACLES / f"{case}.npz")
    embeddings = torch.tensor(oracle["E"], requires_grad=True)
    y = torch.tensor(oracle["y"])
    if key in ORACLE_PAIR_LOSSES:
        loss = ORACLE_PAIR_LOSSES[key](*pairs_of(embeddings, y))
    else:
        proxies = torch.tensor(oracle["W"])
        criterion = BASE_LOSSES[ORACLE_PROXY_LOSSES[key]](*proxies.shape).double()
        criterion.proxies.data = proxies
        loss = criterion(F.normalize(embeddings, dim=1), y)
    loss.backward()
    tolerance = 1e-5 if key in LOOSE else 1e-9
    assert loss.item() == pytest.approx(float(oracle[key]), rel=tolerance, abs=1e-12)
    assert_allclose(embeddings.grad, oracle[f"{key}_grad"], atol=tolerance)


def test_tcm_counts_only_the_hard_pairs():
    similarity = torch.tensor([[1.0, 0.95, 0.8], [0.95, 1.0, 0.2], [0.8, 0.2, 1.0]])
    y = torch.tensor([0, 0, 1])
    same = y[:, None] == y
    loss, parts = TCMLoss().with_parts(similarity, same & ~torch.eye(3).bool(), ~same)
    # the positive pair at 0.95 is free; of the negatives only the one at 0.8 is hard
    assert loss.item() == pytest.approx(0.8 - 0.5)
    assert parts["hard_pos"] == 0
    assert parts["hard_neg"] == pytest.approx(0.5)


def test_tcm_gradient_is_one_over_the_number_of_hard_pairs():
    similarity = torch.tensor([[1.0, 0.1, 0.6], [0.1, 1.0, 0.7], [0.6, 0.7, 1.0]])
    similarity.requires_grad_()
    y = torch.tensor([0, 0, 1])
    same = y[:, None] == y
    TCMLoss()(similarity, same & ~torch.eye(3).bool(), ~same).backward()
    expected = np.array([[0, -1 / 2, 1 / 4], [-1 / 2, 0, 1 / 4], [1 / 4, 1 / 4, 0]])
    assert_allclose(similarity.grad, expected)


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_tcm_finds_the_same_pairs_on_every_device(dtype):
    generator = torch.Generator().manual_seed(0)
    embeddings = torch.randn(24, 3, generator=generator, dtype=dtype)
    pairs = pairs_of(embeddings, torch.arange(24) // 4)
    *masks, numbers = _hard_pairs(*pairs, 0.7, 0.2)  # as on a GPU
    *own_masks, own_numbers = _hard_pairs_on_cpu(*pairs, 0.7, 0.2)
    for mask, own in zip(masks, own_masks):
        assert 0 < own.sum() < own.size
        assert own.dtype == mask.numpy().dtype
        assert_array_equal(own, mask)
    assert_allclose(own_numbers, numbers, rtol=1e-6)


def test_tcm_takes_a_gallery_of_references():
    # 2 samples against 3 references, as with a memory of earlier batches
    similarity = torch.tensor([[0.7, 0.6, 0.1], [0.2, 0.9, 0.8]])
    is_pos = torch.tensor([[True, False, False], [False, True, False]])
    loss = TCMLoss()(similarity, is_pos, ~is_pos)
    pos = ((0.9 - 0.7) + 0) / 2  # a pair just at the margin counts as hard
    neg = ((0.6 - 0.5) + (0.8 - 0.5)) / 2
    assert loss.item() == pytest.approx(pos + neg)


@pytest.mark.parametrize("name", [*PAIR_LOSSES, "tcm"])
def test_pair_loss_gradient_by_finite_differences(name):
    generator = torch.Generator().manual_seed(3)
    rows = torch.randn(7, 4, dtype=torch.float64, generator=generator)
    y = torch.tensor([0, 1, 0, 2, 1, 0, 1])
    make = BASE_LOSSES.get(name, TCMLoss)
    wide = {"temperature": 0.3} if name in ("smooth_ap", "recall_at_k") else {}
    criterion = make(**wide)

    def loss(rows):
        return criterion(*pairs_of(rows, y))

    assert torch.autograd.gradcheck(loss, (rows.requires_grad_(),))


@pytest.mark.parametrize("name", PROXY_LOSSES)
def test_proxy_loss_gradient_by_finite_differences(name):
    generator = torch.Generator().manual_seed(4)
    rows = torch.randn(5, 4, dtype=torch.float64, generator=generator)
    criterion = make_base_loss(
        name, {}, n_classes=3, n_components=4, generator=generator
    ).double()
    y = torch.tensor([0, 2, 1, 0, 0])

    def loss(rows):
        return criterion(F.normalize(rows, dim=1), y)

    assert torch.autograd.gradcheck(loss, (rows.requires_grad_(),))


@pytest.mark.parametrize("name", [*PAIR_LOSSES, "tcm"])
@pytest.mark.parametrize(
    "y", [[0, 0, 0], [0, 1, 2], [0, 0, 1]], ids=["no negative", "no positive", "mixed"]
)
def test_pair_loss_is_finite_whatever_kind_of_pair_is_missing(name, y):
    embeddings = torch.eye(3).requires_grad_()
    criterion = BASE_LOSSES.get(name, TCMLoss)()
    criterion(*pairs_of(embeddings, torch.tensor(y))).backward()
    assert torch.isfinite(embeddings.grad).all()


@pytest.mark.parametrize("name", list(BASE_LOSSES))
def test_loss_does_not_depend_on_the_order_of_the_samples(name):
    generator = torch.Generator().manual_seed(5)
    rows = F.normalize(torch.randn(12, 6, generator=generator).double(), dim=1)
    y = torch.tensor([0, 0, 0, 0, 0, 1, 1, 2, 2, 2, 3, 3])  # unequal counts
    criterion = make_base_loss(
        name, {}, n_classes=4, n_components=6, generator=generator
    ).double()
    order = torch.randperm(12, generator=generator)

    def loss(rows, y):
        if isinstance(criterion, PairLoss):
            return criterion(*pairs_of(rows, y)).item()
        return criterion(rows, y).item()

    assert loss(rows[order], y[order]) == pytest.approx(loss(rows, y), rel=1e-12)


def plain_smooth_ap(S, y, temperature, include_query):
    """Smooth-AP by its definition, one query and one positive at a time."""
    S, y = S.numpy(), y.numpy()
    total, n_queries = 0.0, 0
    for q in range(len(y)):
        others = [z for z in range(len(y)) if include_query or z != q]
        positives = [z for z in others if y[z] == y[q]]
        if len(positives) <= include_query:
            continue
        value = 0.0
        for i in positives:
            step = {
                z: 1 / (1 + np.exp(-(S[q, z] - S[q, i]) / temperature))
                for z in others
                if z != i
            }
            among_positives = sum(step[z] for z in positives if z != i)
            value += (1 + among_positives) / (1 + sum(step.values()))
        total, n_queries = total + value / len(positives), n_queries + 1
    return 1 - total / n_queries


@pytest.mark.parametrize("include_query", [False, True])
def test_smooth_ap_equals_its_definition_for_unequal_classes(include_query):
    generator = torch.Generator().manual_seed(6)
    rows = torch.randn(11, 5, generator=generator, dtype=torch.float64)
    y = torch.tensor([2, 0, 1, 0, 2, 2, 1, 0, 0, 2, 1])
    S, is_pos, is_neg = pairs_of(rows, y)
    loss = SmoothAPLoss(0.1, include_query)(S, is_pos, is_neg)
    expected = plain_smooth_ap(S, y, 0.1, include_query)
    assert loss.item() == pytest.approx(expected, rel=1e-9)


def test_smooth_ap_of_a_perfect_ranking_is_zero():
    rows = torch.tensor([[1.0, 0.0], [1.0, 0.1], [0.0, 1.0], [0.1, 1.0]])
    loss = SmoothAPLoss()(*pairs_of(rows, torch.tensor([0, 0, 1, 1])))
    assert loss.item() == pytest.approx(0, abs=1e-6)


def plain_recall_at_k(S, y, k, temperature):
    S, y = S.numpy(), y.numpy()
    values = []
    for q in range(len(y)):
        others = [z for z in range(len(y)) if z != q]
        positives = [z for z in others if y[z] == y[q]]
        found = 0.0
        for i in positives:
            rank = 1 + sum(
                1 / (1 + np.exp(-(S[q, z] - S[q, i]) / temperature))
                for z in others
                if z != i
            )
            found += 1 / (1 + np.exp(-(k - rank) / k))
        values.append(min(k, found) / min(k, len(positives)))
    return 1 - np.mean(values)


def test_recall_at_k_equals_its_definition():
    generator = torch.Generator().manual_seed(7)
    rows = torch.randn(9, 4, generator=generator, dtype=torch.float64)
    y = torch.tensor([0, 1, 0, 1, 2, 2, 1, 0, 2])
    S, is_pos, is_neg = pairs_of(rows, y)
    loss = RecallAtKLoss((1, 3), temperature=0.1)(S, is_pos, is_neg)
    expected = np.mean([plain_recall_at_k(S, y, k, 0.1) for k in (1, 3)])
    assert loss.item() == pytest.approx(expected, rel=1e-9)


def test_step_loss_is_the_base_loss_plus_weighted_tcm():
    generator = torch.Generator().manual_seed(8)
    rows = F.normalize(torch.randn(6, 3, generator=generator), dim=1)
    y = torch.tensor([0, 0, 1, 1, 2, 2])
    pairs = pairs_of(rows, y)
    loss, parts = MetricLoss(SupConLoss(), TCMLoss(), tcm_weight=0.5)(rows, y)
    expected = SupConLoss()(*pairs) + 0.5 * TCMLoss()(*pairs)
    assert loss.item() == pytest.approx(expected.item())
    assert parts["base_loss"].item() == pytest.approx(SupConLoss()(*pairs).item())


def test_weight_of_tcm_rises_during_the_warm_up():
    rows = torch.tensor([[1.0, 0.0], [0.0, 1.0], [1.0, 0.0], [0.0, 1.0]])
    y = torch.tensor([0, 0, 1, 1])
    criterion = MetricLoss(SupConLoss(), TCMLoss(), n_warmup_steps=4)
    base = SupConLoss()(*pairs_of(rows, y)).item()
    shares = [criterion(rows, y)[0].item() - base for _ in range(6)]
    full = TCMLoss()(*pairs_of(rows, y)).item()
    assert_allclose(
        shares, [0, full / 4, full / 2, 3 * full / 4, full, full], rtol=1e-5
    )


def test_losses_of_pytorch_metric_learning_fit_in():
    losses = pytest.importorskip("pytorch_metric_learning.losses")
    generator = torch.Generator().manual_seed(9)
    rows = F.normalize(torch.randn(8, 4, generator=generator), dim=1)
    y = torch.tensor([0, 0, 1, 1, 2, 2, 3, 3])
    sizes = {"n_classes": 4, "n_components": 4, "generator": generator}
    theirs = losses.MultiSimilarityLoss()
    loss, _ = MetricLoss(make_base_loss(theirs, None, **sizes), TCMLoss(), 0)(rows, y)
    assert loss.item() == pytest.approx(theirs(rows, y).item())
    made = make_base_loss(losses.ProxyAnchorLoss, None, **sizes)
    assert made.proxies.shape == (4, 4)


def test_unknown_argument_of_a_base_loss_is_refused_by_name():
    with pytest.raises(InvalidParameterError, match="base_loss_params.*supcon.*margin"):
        make_base_loss(
            "supcon",
            {"margin": 1},
            n_classes=2,
            n_components=2,
            generator=torch.Generator(),
        )


def test_modules_made_by_hand_draw_their_weights_like_those_of_torch():
    def make():
        torch.manual_seed(0)
        return ArcFaceLoss(7, 300), MLP(300, (200,), 100)

    (loss, network), (same_loss, same_network) = make(), make()
    state = network.state_dict()
    assert_allclose(loss.proxies.std().item(), 1, atol=0.1)
    bound = 300**-0.5
    assert 0.9 * bound < state["first.weight"].abs().max() <= bound
    assert torch.equal(loss.proxies, same_loss.proxies)
    for name, value in same_network.state_dict().items():
        assert torch.equal(state[name], value)
