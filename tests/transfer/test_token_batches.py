"""Batches of sentences: what stands where, and in what order they come."""

import numpy as np
import pytest
import torch
from numpy.testing import assert_array_equal

from skdeep.transfer._sentences import check_sentences
from skdeep.transfer._tagging import encode, learn_vocabulary
from skdeep.transfer._token_batches import LengthSortedBatches, make_batch

X = [["a", "b"], [], ["c", "a", "d"], ["b"], ["d", "d"]]
TAGS = np.array([1, 2, 3, 4, 5, 6, 7, 8])


@pytest.fixture
def sentences():
    tokens = check_sentences(X)
    encoded = encode(tokens, learn_vocabulary(tokens, wide=True))
    return encoded._replace(targets=TAGS, signal=TAGS[:, None].astype(np.float32))


def words_of(sentences, batch):
    """Tokens of each row of a batch, read back through its numbers."""
    row_of = {
        row: word for word, row in zip(sentences.tokens.words, sentences.codes.rows)
    }
    rows = batch.rows.numpy()
    return [
        [row_of[rows[word]] for word in line[:length]]
        for line, length in zip(batch.word.tolist(), batch.lengths.tolist())
    ]


def test_batch_holds_the_longest_sentence_first_and_zeros_behind_the_ends(sentences):
    batch, targets = make_batch(sentences, np.array([0, 2, 3, 4]))
    assert words_of(sentences, batch) == [X[2], X[0], X[4], X[3]]
    assert batch.lengths.tolist() == [3, 2, 2, 1]
    assert targets.tolist() == [[3, 4, 5], [1, 2, 0], [7, 8, 0], [6, 0, 0]]
    assert batch.signal[..., 0].tolist() == targets.tolist()
    assert batch.place.tolist() == [0, 1, 2, 3, 4, 6, 7, 9]
    assert batch.turned.view(4, 3).tolist() == [
        [2, 1, 0],
        [4, 3, 5],
        [7, 6, 8],
        [9, 10, 11],
    ]


def test_features_of_the_wide_path_stand_in_the_order_of_the_tokens(sentences):
    batch, _ = make_batch(sentences, np.array([4, 2]))
    assert_array_equal(batch.wide.numpy(), sentences.wide[[2, 3, 4, 6, 7]])
    assert batch.wide.dtype == torch.int64


def test_each_distinct_word_is_there_once(sentences):
    batch, _ = make_batch(sentences, np.array([4]))
    assert len(batch.rows) == len(batch.affixes) == len(batch.characters) == 1
    assert batch.word.tolist() == [[0, 0]]
    assert batch.characters.shape[1] == 1


def test_masks_of_allowed_and_soft_tags_are_filled_with_zeros(sentences):
    allowed = np.ones((8, 2), bool)
    soft = np.full((8, 2), 0.5, np.float32)
    both = sentences._replace(targets=allowed, soft=soft)
    _, (mask, proba) = make_batch(both, np.array([0, 3]))
    assert mask.tolist() == [[[True] * 2] * 2, [[True] * 2, [False] * 2]]
    assert proba.tolist() == [[[0.5] * 2] * 2, [[0.5] * 2, [0.0] * 2]]


def test_part_of_the_sentences_keeps_what_belongs_to_them(sentences):
    chosen = np.array([True, True, False, False, True])
    part = sentences.take(chosen)
    assert part.tokens.sentences() == [X[0], [], X[4]]
    assert part.targets.tolist() == [1, 2, 7, 8]
    assert part.signal[:, 0].tolist() == [1, 2, 7, 8]
    assert_array_equal(part.wide, sentences.wide[[0, 1, 6, 7]])
    assert part.soft is None


def test_every_sentence_but_the_empty_ones_comes_once_an_epoch(sentences):
    for rng in (None, np.random.RandomState(0)):
        for batch_size in (1, 2, 3, 9):
            batches = LengthSortedBatches(sentences, batch_size, rng)
            groups = batches.groups()
            assert len(groups) == len(batches) == -(-4 // batch_size)
            assert sorted(np.concatenate(groups)) == [0, 2, 3, 4]
            assert all(len(group) <= batch_size for group in groups)


def test_without_a_generator_batches_go_from_long_to_short(sentences):
    groups = LengthSortedBatches(sentences, 2).groups()
    assert [group.tolist() for group in groups] == [[2, 0], [4, 3]]


def test_batches_hold_sentences_of_about_one_length():
    rng = np.random.RandomState(0)
    lengths = rng.permutation(np.repeat(np.arange(1, 41), 8))
    tokens = check_sentences([["a"] * length for length in lengths])
    sentences = encode(tokens, learn_vocabulary(tokens, wide=False), wide=False)
    first, second = (LengthSortedBatches(sentences, 8, rng).groups() for _ in "ab")
    spread = [np.ptp(lengths[group]) for group in first]
    assert max(spread) <= 5
    assert not all(map(np.array_equal, first, second))  # and they vary


def test_same_seed_same_batches(sentences):
    one, other = (
        list(LengthSortedBatches(sentences, 2, np.random.RandomState(3), 0.5))
        for _ in range(2)
    )
    for (batch, targets), (again, same) in zip(one, other):
        assert torch.equal(targets, same)
        assert torch.equal(batch.rows, again.rows)


def test_rare_words_are_hidden_more_often():
    # "rare" once, "common" three times: 1/2 and 1/2 * 2 / (1 + 3) = 1/4
    tokens = check_sentences([["rare", "common", "common", "common"]])
    sentences = encode(tokens, learn_vocabulary(tokens, wide=False), wide=False)
    batches = LengthSortedBatches(sentences, 1, np.random.RandomState(0), 0.5)
    hidden = np.zeros(2)
    for _ in range(2000):
        ((batch, _),) = batches
        hidden += batch.rows.numpy() == 1
    np.testing.assert_allclose(hidden / 2000, [0.5, 0.25], atol=0.04)
    assert (sentences.codes.rows > 1).all()  # the sentences themselves are not touched
