"""Grown networks know what the trained ones knew, and nothing of it is misplaced."""

import numpy as np
import pytest
import torch
from numpy.testing import assert_array_equal
from tagging_data import X_NEW, X_OLD, Y_OLD, quick_tagger

from skdeep.transfer._growing import grow
from skdeep.transfer._sentences import check_sentences
from skdeep.transfer._tagging import encode, learn_vocabulary, tag_probabilities
from skdeep.transfer._token_batches import make_batch


def seeded(seed=0):
    return torch.Generator().manual_seed(seed)


NETWORKS = {
    "all": {},
    "softmax": {"output": "softmax"},
    "wide alone": {"deep": False},
    "deep alone": {"wide": False},
}
# new tags before, between and behind the old ones, and the other way round
ORDERS = {
    "in front": ["B-a", "I-a", "B-album", "B-book", "I-album", "I-book", "O"],
    "between": ["B-album", "B-artist", "B-book", "I-album", "I-artist", "I-book", "O"],
    "behind": ["B-album", "B-book", "I-album", "I-book", "O", "P", "Q"],
    "reversed": ["O", "I-book", "new", "I-album", "B-book", "other", "B-album"],
}


@pytest.fixture(scope="module", params=NETWORKS)
def tagger(request):
    return quick_tagger(**NETWORKS[request.param]).fit(X_OLD, Y_OLD)


def larger(tagger, tags, adapter=None):
    """Arguments, vocabulary and places of a network with more tags and words."""
    more = learn_vocabulary(check_sentences(X_NEW), tagger.wide)
    vocabulary = tagger._lookup.grown(more)
    arguments = {
        **tagger._module_args,
        "n_tags": len(tags),
        "n_words": len(vocabulary.words) + 2,
        "n_characters": len(vocabulary.characters) + 2,
        "n_wide": len(vocabulary.buckets),
        "n_signals": 2 if adapter else 0,
        "adapter": adapter,
    }
    places = [tags.index(tag) for tag in tagger.classes_]
    return arguments, vocabulary, places


@pytest.mark.parametrize("order", ORDERS)
def test_without_a_step_old_tags_have_the_scores_of_the_source(order, tagger):
    arguments, vocabulary, places = larger(tagger, ORDERS[order])
    state = tagger.module_.state_dict()
    module = grow(arguments, state, places, seeded()).eval()
    tokens = check_sentences(X_OLD[:3] + [["rate", "Tune"]])
    before = tag_probabilities(tagger.module_, tagger._encode(tokens), "cpu", raw=True)
    # an unknown word of known letters; new words have rows that the source cannot know
    after = tag_probabilities(
        module, encode(tokens, vocabulary, wide=tagger.wide), "cpu", raw=True
    )
    # the same sums, but over wider rows: equal up to the rounding of one product
    np.testing.assert_allclose(after[:, places], before, rtol=1e-6, atol=1e-6)
    if not tagger.deep:
        assert_array_equal(after[:, places], before)


@pytest.mark.parametrize("kind", ["lstm", "conv", "linear"])
def test_without_a_step_an_adapter_that_is_joined_changes_nothing(kind):
    tagger = quick_tagger().fit(X_OLD, Y_OLD)
    adapter = {
        "kind": kind,
        "hidden_size": 5,
        "n_layers": 1,
        "dropout": 0.0,
        "combine": "concat",
    }
    arguments, vocabulary, places = larger(tagger, ORDERS["between"], adapter)
    module = grow(arguments, tagger.module_.state_dict(), places, seeded()).eval()
    tokens = check_sentences(X_OLD[:3])
    signal = np.random.RandomState(0).randn(len(tokens.ids), 2).astype(np.float32)
    sentences = encode(tokens, vocabulary, signal=signal)
    after = tag_probabilities(module, sentences, "cpu", raw=True)
    before = tag_probabilities(tagger.module_, tagger._encode(tokens), "cpu", raw=True)
    np.testing.assert_allclose(after[:, places], before, rtol=1e-6, atol=1e-6)
    # and yet it learns from the first step on
    batch, _ = make_batch(sentences, np.array([0]))
    module(batch).scores.sum().backward()
    assert module.join.weight.grad.abs().sum() > 0


@pytest.mark.parametrize("order", ORDERS)
def test_transitions_starts_and_ends_are_copied_by_name(order):
    tagger = quick_tagger().fit(X_OLD, Y_OLD)
    tags = ORDERS[order]
    arguments, _, places = larger(tagger, tags)
    old, new = tagger.module_.crf, None
    module = grow(arguments, tagger.module_.state_dict(), places, seeded())
    new = module.crf
    classes = tagger.classes_.tolist()
    for i, one in enumerate(classes):
        assert new.start[tags.index(one)] == old.start[i]
        assert new.end[tags.index(one)] == old.end[i]
        assert module.bias[tags.index(one)] == tagger.module_.bias[i]
        for j, other in enumerate(classes):
            found = new.transitions[tags.index(one), tags.index(other)]
            assert found == old.transitions[i, j]


def test_new_weights_are_drawn_around_those_of_the_old_tags():
    tagger = quick_tagger().fit(X_OLD, Y_OLD)
    tags = [*tagger.classes_, *(f"B-{number}" for number in range(60))]
    arguments, _, places = larger(tagger, tags)
    state = tagger.module_.state_dict()
    module = grow(arguments, state, places, seeded())
    grown = module.state_dict()
    for name in ("bias", "top.weight", "crf.start", "crf.end", "crf.transitions"):
        old, new = state[name], grown[name][len(tagger.classes_) :]
        mean, std = old.mean(), old.std()
        assert (new - mean).abs().max() <= 2 * std * (1 + 1e-6)
        assert new.std() > 0.5 * std  # the normal distribution cut at 2: 0.88
        # the mean of n numbers is off by no more than four deviations of a mean
        assert (new.mean() - mean).abs() < 4 * std / new.numel() ** 0.5
    assert not grown["wide.weight"][:, len(tagger.classes_) :].any()


def test_a_single_old_tag_is_no_distribution_to_draw_from():
    tagger = quick_tagger().fit([["a", "b"]] * 3, [["O", "O"]] * 3)
    arguments, _, places = larger(tagger, ["B-x", "O"])
    module = grow(arguments, tagger.module_.state_dict(), places, seeded())
    assert torch.isfinite(module.crf.transitions).all()
    assert module.crf.start[0] == module.crf.start[1]


def test_rows_of_old_words_and_features_are_copies_and_new_ones_follow():
    tagger = quick_tagger().fit(X_OLD, Y_OLD)
    arguments, vocabulary, places = larger(tagger, ORDERS["between"])
    state = tagger.module_.state_dict()
    grown = grow(arguments, state, places, seeded()).state_dict()
    for name in ("encoder.words.weight", "encoder.characters.weight"):
        n_old = len(state[name])
        assert len(grown[name]) > n_old
        assert torch.equal(grown[name][:n_old], state[name])
        assert grown[name][n_old:].any(1).all()  # drawn, not zero
    n_old = len(state["wide.weight"])
    assert len(grown["wide.weight"]) == len(vocabulary.buckets) + 1 > n_old
    assert torch.equal(grown["wide.weight"][:n_old, places], state["wide.weight"])
    assert not grown["wide.weight"][n_old:].any()
    for name in ("lstm.forth.weight_ih_l0", "hidden.weight", "encoder.affixes.weight"):
        assert torch.equal(grown[name], state[name])


def test_the_trained_network_is_not_touched():
    tagger = quick_tagger().fit(X_OLD, Y_OLD)
    state = tagger.module_.state_dict()
    before = {name: weight.clone() for name, weight in state.items()}
    arguments, _, places = larger(tagger, ORDERS["between"])
    module = grow(arguments, state, places, seeded())
    with torch.no_grad():
        for weight in module.state_dict().values():
            weight.fill_(7.0)
    for name, weight in tagger.module_.state_dict().items():
        assert torch.equal(weight, before[name])


def test_growing_is_repeatable():
    tagger = quick_tagger().fit(X_OLD, Y_OLD)
    arguments, _, places = larger(tagger, ORDERS["between"])
    state = tagger.module_.state_dict()
    one, same, other = (
        grow(arguments, state, places, seeded(number)).state_dict()
        for number in (1, 1, 2)
    )
    assert all(torch.equal(one[name], same[name]) for name in one)
    assert not all(torch.equal(one[name], other[name]) for name in one)


def test_an_adapter_of_the_trained_network_is_not_taken_over():
    tagger = quick_tagger().fit(X_OLD, Y_OLD)
    adapter = {"kind": "lstm", "n_layers": 1, "dropout": 0.0, "combine": "concat"}
    arguments, _, places = larger(
        tagger, ORDERS["between"], {**adapter, "hidden_size": 9}
    )
    first = grow(arguments, tagger.module_.state_dict(), places, seeded())
    torch.nn.init.ones_(first.join.weight)
    smaller = {**arguments, "adapter": {**adapter, "hidden_size": 4}}
    module = grow(smaller, first.state_dict(), range(7), seeded())
    assert module.join.weight.shape == (7, 4)
    assert not module.join.weight.any()
    assert torch.equal(module.top.weight, first.top.weight)
