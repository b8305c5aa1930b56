"""Layers of the tagger's network against plain versions and layers of torch."""

import numpy as np
import pytest
import torch
from numpy.testing import assert_allclose
from tagging_data import X_NEW, X_OLD, Y_OLD, quick_tagger
from torch import nn
from torch.testing import assert_close

from skdeep.nn import seed_dropout
from skdeep.transfer._sentences import check_sentences
from skdeep.transfer._tagger_modules import (
    Adapter,
    BiLSTM,
    LockedDropout,
    TaggerNetwork,
    WidePath,
    ZeroLinear,
    reorder,
    tokens_inside,
)
from skdeep.transfer._tagging import (
    decode,
    encode,
    learn_vocabulary,
    tag_probabilities,
    tag_scores,
)
from skdeep.transfer._token_batches import make_batch
from skdeep.utils._torch import build

LENGTHS = [5, 3, 3, 1]


def seeded(seed=0):
    return torch.Generator().manual_seed(seed)


def padded_rows(n_features, *, behind=torch.nan):
    """Rows (4, 5, n_features), nonsense behind the ends, and the places turned."""
    rows = torch.randn(4, 5, n_features, generator=seeded())
    turned = []
    for number, length in enumerate(LENGTHS):
        order = [*range(length)[::-1], *range(length, 5)]
        turned += [5 * number + place for place in order]
        rows[number, length:] = behind
    return rows, torch.tensor(turned)


def test_both_directions_are_those_of_a_packed_lstm_of_torch():
    ours = build(lambda: BiLSTM(3, 4), generator=seeded())
    theirs = nn.LSTM(3, 4, batch_first=True, bidirectional=True)
    for name, weight in ours.forth.named_parameters():
        getattr(theirs, name).data = weight.data
    for name, weight in ours.back.named_parameters():
        getattr(theirs, f"{name}_reverse").data = weight.data
    rows, turned = padded_rows(3)
    packed = nn.utils.rnn.pack_padded_sequence(rows, LENGTHS, batch_first=True)
    expected, _ = nn.utils.rnn.pad_packed_sequence(theirs(packed)[0], batch_first=True)
    found = torch.cat(ours(rows, turned), dim=2)
    inside = tokens_inside(torch.tensor(LENGTHS), rows)
    assert_close(found[inside], expected[inside])


def test_turning_twice_gives_the_rows_back():
    rows, turned = padded_rows(2, behind=7.0)
    once = reorder(rows, turned)
    assert torch.equal(once[1, :3], rows[1, :3].flip(0))
    assert torch.equal(once[1, 3:], rows[1, 3:])
    assert torch.equal(reorder(once, turned), rows)


def test_tokens_inside_stand_before_the_end():
    inside = tokens_inside(torch.tensor([2, 3, 1]), torch.zeros(3, 3, 1))
    assert inside.tolist() == [[True, True, False], [True] * 3, [True, False, False]]


def test_locked_dropout_hides_the_same_values_of_all_tokens():
    layer = LockedDropout(0.4).train()
    seed_dropout(layer, seeded())
    found = layer(torch.ones(50, 6, 30))
    assert torch.equal(found, found[:, :1].expand_as(found))
    assert_close(found.unique(), torch.tensor([0, 1 / 0.6]))
    assert (found == 0).float().mean().item() == pytest.approx(0.4, abs=0.03)
    assert not torch.equal(found[0], found[1])  # sentences differ
    rows = torch.randn(2, 3, 4, generator=seeded())
    assert layer.eval()(rows) is rows
    assert LockedDropout(0.0).train()(rows) is rows


def test_layer_that_begins_at_zero_draws_nothing():
    generator = seeded()
    before = generator.get_state()
    layer = build(lambda: ZeroLinear(3, 2), generator=generator)
    assert not layer.weight.any()
    assert layer.bias is None
    assert torch.equal(generator.get_state(), before)


@pytest.fixture
def wide():
    path = WidePath(6, 2, 0.0)
    path.weight.copy_(torch.randn(7, 2, generator=seeded()))
    path.weight[0] = 0
    return path


ROWS = torch.tensor([[1, 3, 3], [0, 5, 1], [0, 0, 0]])


def test_wide_path_adds_the_weights_of_the_features(wide):
    expected = torch.stack([sum(wide.weight[row] for row in rows) for rows in ROWS])
    assert_close(wide.eval()(ROWS), expected)
    assert_close(wide.train()(ROWS).detach(), expected)


def test_steps_of_the_wide_path_are_gradient_descent_on_all_weights(wide):
    wide.train()
    dense = wide.weight.clone().requires_grad_()
    for scale in (1.0, -2.0, 0.5):
        target = scale * torch.arange(6.0).view(3, 2)
        nn.functional.mse_loss(wide(ROWS), target).backward()
        wide.step(0.3)
        loss = nn.functional.mse_loss(dense[ROWS].sum(1), target)
        (grad,) = torch.autograd.grad(loss, dense)
        grad[0] = 0  # features never seen have no weight
        dense = (dense - 0.3 * grad).detach().requires_grad_()
        assert_close(wide.weight, dense.detach())
    assert not wide.weight[0].any()
    assert list(wide.parameters()) == []  # no optimizer ever walks over the weights


def test_weights_that_do_not_occur_stay_bit_for_bit(wide):
    wide.train()
    before = wide.weight.clone()
    wide(ROWS).sum().backward()
    wide.step(0.1)
    assert torch.equal(wide.weight[[0, 2, 4, 6]], before[[0, 2, 4, 6]])
    assert not torch.equal(wide.weight[[1, 3, 5]], before[[1, 3, 5]])


def test_dropout_of_the_wide_path_overlooks_whole_features():
    path = WidePath(1, 1, 0.3).train()
    path.weight.copy_(torch.tensor([[0.0], [1.0]]))
    seed_dropout(path, seeded())
    found = path(torch.ones(2000, 4, dtype=torch.int64)).detach()
    assert set(found.flatten().tolist()) == {0.0, 1.0, 2.0, 3.0, 4.0}
    assert found.mean().item() == pytest.approx(4 * 0.7, abs=0.08)
    path.eval()
    assert path(torch.ones(1, 4, dtype=torch.int64)).item() == 4.0


@pytest.mark.parametrize("kind", ["lstm", "conv", "linear"])
@pytest.mark.parametrize("n_layers", [1, 2])
def test_adapter_does_not_read_behind_the_end(kind, n_layers):
    adapter = build(
        lambda: Adapter(3, kind, 4, n_layers, 0.0), generator=seeded()
    ).eval()
    batch = type("Batch", (), {})()
    batch.lengths = torch.tensor(LENGTHS)
    results = []
    for behind in (0.0, 9.0):
        rows, batch.turned = padded_rows(3, behind=behind)
        results.append(adapter(rows, batch))
    inside = tokens_inside(batch.lengths, rows)
    assert results[0].shape == (4, 5, 4)
    assert_close(results[0][inside], results[1][inside])


def test_adapter_adds_the_two_directions():
    adapter = build(lambda: Adapter(3, "lstm", 4, 1, 0.0), generator=seeded()).eval()
    rows, turned = padded_rows(3)
    batch = type("Batch", (), {"lengths": torch.tensor(LENGTHS), "turned": turned})()
    forth, back = adapter.layers[0](rows, turned)
    assert_close(adapter(rows, batch), forth + back, equal_nan=True)


NETWORKS = {
    "all": {},
    "softmax": {"output": "softmax"},
    "wide alone": {"deep": False},
    "deep alone": {"wide": False},
    "word vectors": {"word_vectors": {"Blue": [1.0, -1.0], "dune": [0.5, 2.0]}},
}


@pytest.fixture(scope="module", params=NETWORKS)
def tagger(request):
    return quick_tagger(**NETWORKS[request.param]).fit(X_OLD, Y_OLD)


MIXED = [*X_NEW[:2], ["a"], ["Kind"] * 11, *X_OLD[:3], ["Play"] * 3]


def test_scores_of_a_sentence_do_not_depend_on_its_batch(tagger):
    sentences = tagger._encode(check_sentences(MIXED))
    together = tag_probabilities(tagger.module_, sentences, "cpu", raw=True)
    alone = [
        tag_probabilities(
            tagger.module_, tagger._encode(check_sentences([x])), "cpu", raw=True
        )
        for x in MIXED
    ]
    assert_allclose(together, np.vstack(alone), atol=1e-5)


def test_answers_come_in_the_order_of_the_sentences(tagger):
    order = np.random.RandomState(0).permutation(len(MIXED))
    answers, marginals = tagger.predict(MIXED), tagger.predict_marginals(MIXED)
    mixed = [MIXED[place] for place in order]
    assert tagger.predict(mixed) == [answers[place] for place in order]
    for place, found in zip(order, tagger.predict_marginals(mixed)):
        assert_allclose(found, marginals[place], atol=1e-5)


def test_probabilities_of_softmax_are_those_of_the_scores():
    tagger = quick_tagger(output="softmax").fit(X_OLD, Y_OLD)
    assert tagger.module_.crf is None
    sentences = tagger._encode(check_sentences(MIXED))
    scores = tag_probabilities(tagger.module_, sentences, "cpu", raw=True)
    proba = np.vstack(tagger.predict_marginals(MIXED))
    expected = np.exp(scores) / np.exp(scores).sum(axis=1, keepdims=True)
    assert_allclose(proba, expected, atol=1e-6)
    free = decode(tagger.module_, sentences, "cpu")
    assert free.tolist() == scores.argmax(axis=1).tolist()


def test_marginals_of_the_random_field_are_those_of_all_sequences():
    tagger = quick_tagger(deep=False).fit(X_OLD, Y_OLD)
    sentences = tagger._encode(check_sentences([["Kind", "of"]]))
    ((_, _, (scores, _, crf)),) = tag_scores(tagger.module_, sentences, "cpu")
    n_tags = len(tagger.classes_)
    total = np.zeros((n_tags, n_tags))
    with torch.inference_mode():
        for one in range(n_tags):
            for two in range(n_tags):
                total[one, two] = (
                    crf.start[one]
                    + scores[0, 0, one]
                    + crf.transitions[one, two]
                    + scores[0, 1, two]
                    + crf.end[two]
                )
    joint = np.exp(total) / np.exp(total).sum()
    (proba,) = tagger.predict_marginals([["Kind", "of"]])
    assert_allclose(proba, [joint.sum(1), joint.sum(0)], atol=1e-5)


def test_memory_is_spared_by_smaller_batches_when_it_is_short(monkeypatch):
    tagger = quick_tagger(deep=False).fit(X_OLD, Y_OLD)
    X = X_NEW * 30
    expected = tagger.predict(X)
    forward, limit = TaggerNetwork.forward, 64

    def narrow(self, batch):
        if len(batch.lengths) * int(batch.lengths[0]) > limit:
            raise torch.OutOfMemoryError("the accelerator is full")
        return forward(self, batch)

    monkeypatch.setattr(TaggerNetwork, "forward", narrow)
    assert tagger.predict(X) == expected
    limit = 1
    with pytest.raises(torch.OutOfMemoryError):
        tagger.predict(X)


def test_spelling_of_a_word_does_not_depend_on_longer_words_beside_it():
    tagger = quick_tagger().fit(X_OLD, Y_OLD)
    encoder = tagger.module_.encoder
    vocabulary = tagger._lookup
    results = []
    for X in ([["of"]], [["of", "Thriller-Thriller"]]):
        tokens = check_sentences(X)
        batch, _ = make_batch(encode(tokens, vocabulary), np.array([0]))
        with torch.inference_mode():
            results.append(encoder(batch)[0])
    assert_close(results[0], results[1])


def test_vocabulary_without_a_wide_path_has_no_features():
    tokens = check_sentences(X_OLD)
    assert len(learn_vocabulary(tokens, wide=False).buckets) == 0
    assert encode(tokens, learn_vocabulary(tokens, False), wide=False).wide.shape == (
        60,
        0,
    )
