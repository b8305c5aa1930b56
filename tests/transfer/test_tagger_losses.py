"""Losses of the tagger, by enumeration of all tag sequences."""

import itertools

import pytest
import torch
from torch.testing import assert_close

from skdeep.transfer._crf import LinearChainCRF
from skdeep.transfer._tagger_losses import TaggingLoss, expected_score
from skdeep.transfer._tagger_modules import TagScores

LENGTHS = torch.tensor([3, 2, 1])
N_TAGS = 3


@pytest.fixture
def crf():
    field = LinearChainCRF(N_TAGS).double()
    generator = torch.Generator().manual_seed(1)
    for weights in field.parameters():
        torch.nn.init.normal_(weights, generator=generator)
    return field


@pytest.fixture
def scores():
    generator = torch.Generator().manual_seed(2)
    return torch.randn(3, 3, N_TAGS, generator=generator, dtype=torch.float64)


TAGS = torch.tensor([[0, 2, 1], [1, 1, 0], [2, 0, 0]])


@pytest.fixture
def soft():
    generator = torch.Generator().manual_seed(3)
    soft = torch.rand(3, 3, N_TAGS, generator=generator, dtype=torch.float64)
    return soft / soft.sum(2, keepdim=True)


def paths(crf, scores, row):
    """All tag sequences of a sentence with their scores."""
    length = int(LENGTHS[row])
    for path in itertools.product(range(N_TAGS), repeat=length):
        score = crf.start[path[0]] + crf.end[path[-1]]
        score = score + sum(scores[row, place, tag] for place, tag in enumerate(path))
        score = score + sum(crf.transitions[pair] for pair in zip(path, path[1:]))
        yield path, score


def log_sum(crf, scores, row, keep=lambda path: True):
    return torch.stack(
        [score for path, score in paths(crf, scores, row) if keep(path)]
    ).logsumexp(0)


def chance(soft, row, path):
    """Probability of a sequence whose tags are drawn independently."""
    return torch.stack([soft[row, place, tag] for place, tag in enumerate(path)]).prod()


def test_expected_score_is_the_mean_over_all_drawn_sequences(crf, scores, soft):
    expected = torch.stack(
        [
            sum(
                chance(soft, row, path) * score
                for path, score in paths(crf, scores, row)
            )
            for row in range(3)
        ]
    )
    assert_close(expected_score(crf, scores, soft, LENGTHS), expected)


def test_expected_score_reads_nothing_behind_the_ends(crf, scores, soft):
    expected = expected_score(crf, scores, soft, LENGTHS)
    behind = torch.arange(3) >= LENGTHS[:, None]
    spoilt = soft.masked_fill(behind[..., None], 7.0)
    assert_close(expected_score(crf, scores, spoilt, LENGTHS), expected)


def test_loss_is_minus_the_mean_log_probability_of_the_tags(crf, scores):
    expected = []
    for row in range(3):
        tags = tuple(TAGS[row, : LENGTHS[row]].tolist())
        expected.append(
            log_sum(crf, scores, row) - log_sum(crf, scores, row, lambda p: p == tags)  # noqa: B023
        )
    found = TaggingLoss()(TagScores(scores, LENGTHS, crf), TAGS)
    assert_close(found, torch.stack(expected).mean())


def allowed_mask():
    allowed = torch.zeros(3, 3, N_TAGS, dtype=torch.bool)
    allowed.scatter_(2, TAGS[..., None], True)
    allowed[0, 1] = True
    allowed[1, 0, 2] = True
    return allowed


def test_of_several_allowed_tags_any_one_will_do(crf, scores):
    allowed = allowed_mask()
    expected = []
    for row in range(3):

        def fits(path):
            return all(allowed[row, place, tag] for place, tag in enumerate(path))  # noqa: B023

        expected.append(log_sum(crf, scores, row) - log_sum(crf, scores, row, fits))
    found = TaggingLoss()(TagScores(scores, LENGTHS, crf), allowed)
    assert_close(found, torch.stack(expected).mean())


def test_mask_with_one_tag_each_is_the_ordinary_loss(crf, scores):
    mask = torch.nn.functional.one_hot(TAGS, N_TAGS).bool()
    for field in (crf, None):
        outputs = TagScores(scores, LENGTHS, field)
        assert_close(TaggingLoss()(outputs, mask), TaggingLoss()(outputs, TAGS))


@pytest.mark.parametrize("weight", [0.5, 2.0])
def test_distillation_adds_the_cross_entropy_of_drawn_sequences(
    weight, crf, scores, soft
):
    distance = []
    for row in range(3):
        log_partition = log_sum(crf, scores, row)
        distance.append(
            sum(
                chance(soft, row, path) * (log_partition - score)
                for path, score in paths(crf, scores, row)
            )
        )
    outputs = TagScores(scores, LENGTHS, crf)
    plain = TaggingLoss()(outputs, TAGS)
    found = TaggingLoss(weight)(outputs, (TAGS, soft))
    assert_close(found, plain + weight * torch.stack(distance).mean())


def test_softmax_counts_tokens_rather_than_sentences(scores, soft):
    outputs = TagScores(scores, LENGTHS, None)
    log_proba = scores.log_softmax(2)
    tokens = [(row, place) for row in range(3) for place in range(LENGTHS[row])]
    nll = [-log_proba[token][TAGS[token]] for token in tokens]
    assert_close(TaggingLoss()(outputs, TAGS), sum(nll) / 6)
    allowed = allowed_mask()
    partial = [-log_proba[token].exp()[allowed[token]].sum().log() for token in tokens]
    assert_close(TaggingLoss()(outputs, allowed), sum(partial) / 6)
    distance = [-(soft[token] * log_proba[token]).sum() for token in tokens]
    expected = sum(nll) / 6 + 0.7 * sum(distance) / 6
    assert_close(TaggingLoss(0.7)(outputs, (TAGS, soft)), expected)


@pytest.mark.parametrize("kind", ["tags", "mask", "soft"])
@pytest.mark.parametrize("field", [True, False])
def test_gradient_by_finite_differences(kind, field, crf, scores, soft):
    targets = {"tags": TAGS, "mask": allowed_mask(), "soft": (TAGS, soft)}[kind]
    crf = crf if field else None

    def loss(values):
        return TaggingLoss(0.5)(TagScores(values, LENGTHS, crf), targets)

    assert torch.autograd.gradcheck(loss, scores.requires_grad_())


def test_nothing_behind_the_ends_has_a_gradient(crf, scores, soft):
    scores.requires_grad_()
    for targets in (TAGS, allowed_mask(), (TAGS, soft)):
        for field in (crf, None):
            outputs = TagScores(scores, LENGTHS, field)
            (grad,) = torch.autograd.grad(TaggingLoss(1.0)(outputs, targets), scores)
            behind = torch.arange(3) >= LENGTHS[:, None]
            assert not grad[behind].any()
            assert grad[~behind].any(1).all()
