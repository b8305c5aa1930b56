"""Sentences as the networks take them: encoded once, batched by length."""

import math
from typing import NamedTuple

import numpy as np
import torch

_SHUFFLE_WIDTH = 3.0  # tokens by which lengths are blurred, so that batches vary


class Sentences(NamedTuple):
    """Encoded sentences.

    Attributes
    ----------
    tokens : Tokens
        Distinct words, and their places in the sentences.

    codes : WordCodes
        Of the distinct words.

    wide : ndarray of shape (n_tokens, n_wide), dtype int32
        Rows of the wide path; no column if there is none.

    vectors : ndarray of shape (n_words, n_dimensions) or None
        Vectors given by the user.

    signal : ndarray of shape (n_tokens, n_signals) or None
        What the source says of each token.

    targets : ndarray of shape (n_tokens,) or (n_tokens, n_tags), or None
        Tag of each token, or the tags that it may have.

    soft : ndarray of shape (n_tokens, n_tags) or None
        Probabilities of the tags of each token, beside the targets.
    """

    tokens: tuple
    codes: tuple
    wide: np.ndarray
    vectors: np.ndarray = None
    signal: np.ndarray = None
    targets: np.ndarray = None
    soft: np.ndarray = None

    def take(self, chosen):
        """The sentences in a mask of shape (n_sentences,)."""
        inside = self.tokens.inside(chosen)

        def part(values):
            return None if values is None else values[inside]

        return self._replace(
            tokens=self.tokens.take(chosen),
            wide=self.wide[inside],
            signal=part(self.signal),
            targets=part(self.targets),
            soft=part(self.soft),
        )


class SentenceBatch(NamedTuple):
    """B sentences of N tokens in all and L at most, the longest first.

    Attributes
    ----------
    lengths : Tensor of shape (B,)
        Tokens of each sentence.

    place : Tensor of shape (N,)
        Place of each token in the flat array of B x L.

    turned : Tensor of shape (B * L,)
        Place there of the tokens of each sentence in reversed order.

    word : Tensor of shape (B, L)
        Number of the distinct word in this batch; 0 behind the end.

    rows, affixes, characters : Tensor of shape (n_words, ...)
        See `WordCodes`.

    vectors : Tensor of shape (n_words, n_dimensions) or None
        Vectors of the distinct words given by the user.

    wide : Tensor of shape (N, n_wide)
        Rows of the wide path.

    signal : Tensor of shape (B, L, n_signals) or None
        What the source says; 0 behind the end.
    """

    lengths: torch.Tensor
    place: torch.Tensor
    turned: torch.Tensor
    word: torch.Tensor
    rows: torch.Tensor
    affixes: torch.Tensor
    characters: torch.Tensor
    vectors: torch.Tensor
    wide: torch.Tensor
    signal: torch.Tensor

    def to(self, device):
        """Copy to a device."""
        return SentenceBatch(
            *(part if part is None else part.to(device) for part in self)
        )


class LengthSortedBatches:
    """Batches of sentences that are about equally long.

    Parameters
    ----------
    sentences : Sentences
        Encoded, with targets. Empty sentences are left out.

    batch_size : int
        Sentences of a batch.

    rng : RandomState or None, default=None
        Shuffles the batches; None goes from long to short ones.

    word_dropout : float, default=0
        Probability of treating a word that occurred once as unknown; of one that
        occurred n times, 2 / (1 + n) of it.
    """

    def __init__(self, sentences, batch_size, rng=None, word_dropout=0.0):
        self.sentences = sentences
        self.batch_size = batch_size
        self.rng = rng
        self.present = np.flatnonzero(sentences.tokens.lengths)
        self.unknown = None
        if word_dropout:
            rows = sentences.codes.rows
            token_rows = rows[sentences.tokens.ids]
            count = np.bincount(token_rows, minlength=rows.max() + 1)
            self.unknown = word_dropout * 2 / (1 + np.maximum(count, 1))

    def __len__(self):
        return math.ceil(len(self.present) / self.batch_size)

    def groups(self):
        """Numbers of the sentences of each batch."""
        length = -self.sentences.tokens.lengths[self.present].astype(float)
        if self.rng is not None:
            length += self.rng.uniform(0, _SHUFFLE_WIDTH, len(length))
        order = self.present[np.argsort(length, kind="stable")]
        starts = np.arange(0, len(order), self.batch_size)
        if self.rng is not None:
            self.rng.shuffle(starts)
        return [order[start : start + self.batch_size] for start in starts]

    def __iter__(self):
        for numbers in self.groups():
            batch, targets = make_batch(self.sentences, numbers)
            if self.unknown is not None:
                hidden = self.rng.random_sample(len(batch.rows))
                hidden = hidden < self.unknown[batch.rows.numpy()]
                batch.rows[torch.from_numpy(hidden)] = 1
            yield batch, targets


def make_batch(sentences, numbers):
    """Cut some sentences out, and order them by length.

    Returns
    -------
    batch : SentenceBatch

    targets : Tensor of shape (B, L) or (B, L, n_tags), or None
        0 (False) behind the end. With soft tags, a pair of both.
    """
    lengths = sentences.tokens.lengths[numbers]
    order = np.argsort(-lengths, kind="stable")
    numbers, lengths = numbers[order], lengths[order]
    shape = len(numbers), int(lengths[0])
    column = np.arange(shape[1])
    inside = column < lengths[:, None]
    turned = np.where(inside, lengths[:, None] - 1 - column, column)
    turned += shape[1] * np.arange(shape[0])[:, None]
    starts = sentences.tokens.starts[numbers]
    token = (starts[:, None] + column)[inside]
    words, word = np.unique(sentences.tokens.ids[token], return_inverse=True)
    codes = sentences.codes

    def padded(values):
        """Values of tokens as an array (B, L, ...)."""
        grid = np.zeros((*shape, *values.shape[1:]), values.dtype)
        grid[inside] = values
        return torch.from_numpy(grid)

    def given(values, select):
        return None if values is None else select(values)

    batch = SentenceBatch(
        lengths=torch.from_numpy(lengths),
        place=torch.from_numpy(np.flatnonzero(inside)),
        turned=torch.from_numpy(turned.ravel()),
        word=padded(word),
        rows=torch.from_numpy(codes.rows[words]),
        affixes=torch.from_numpy(codes.affixes[words]),
        characters=torch.from_numpy(
            codes.characters[words, : codes.sizes[words].max()]
        ),
        vectors=given(sentences.vectors, lambda v: torch.from_numpy(v[words])),
        wide=torch.from_numpy(sentences.wide[token].astype(np.int64)),
        signal=given(sentences.signal, lambda v: padded(v[token])),
    )
    targets = given(sentences.targets, lambda v: padded(v[token]))
    if sentences.soft is not None:
        targets = targets, padded(sentences.soft[token])
    return batch, targets
