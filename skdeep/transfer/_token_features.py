"""What the networks read of a token: numbers of words, affixes, characters, features."""

import re
import zlib
from typing import NamedTuple

import numpy as np

N_BUCKETS = 2**20  # of the hashed features of the wide path
N_AFFIX_ROWS = 2**13  # of the table of affixes and shapes
MAX_CHARACTERS = 24  # of a word; of longer ones both ends are read
MAX_WORD = 64  # longer words are not learned by heart

# places in the list that `describe_word` returns
_WORD, _SUFFIX_2, _SUFFIX_3, _SHAPE, _OUTLINE, _CASE = 0, 6, 7, 9, 10, 11
_AFFIXES = [2, 3, 6, 7, 9, 10, 11]
_BESIDE = [_WORD, _SUFFIX_2, _SUFFIX_3, _SHAPE, _OUTLINE, _CASE]
_FURTHER = [_WORD, _OUTLINE]
_REPEATED = re.compile(r"(.)\1+")


def describe_word(word):
    """Names of what is seen of a word, twelve strings."""
    lower = word.lower()
    shape = "".join(map(_outline, word[:MAX_WORD]))
    case = word.istitle() + 2 * word.isupper() + 4 * word.isdigit()
    return (
        "w" + lower[:MAX_WORD],
        *(f"p{n}{lower[:n]}" for n in (1, 2, 3, 4)),
        *(f"s{n}{lower[-n:]}" for n in (1, 2, 3, 4)),
        "h" + shape[:12],
        "o" + _REPEATED.sub(r"\1", shape)[:12],
        f"c{case}",
    )


def _outline(character):
    if character.isupper():
        return "X"
    if character.islower():
        return "x"
    return "d" if character.isdigit() else character


def _hash(text):
    return zlib.crc32(text.encode("utf-8", "surrogatepass"))


class WordCodes(NamedTuple):
    """What is known of distinct words.

    Attributes
    ----------
    hashes : ndarray of shape (n_words, 12), dtype uint64
        Of the strings of `describe_word`.

    rows : ndarray of shape (n_words,), dtype int64
        Row in the table of words; 1 is an unknown word.

    affixes : ndarray of shape (n_words, 7), dtype int64
        Rows in the table of affixes and shapes.

    characters : ndarray of shape (n_words, MAX_CHARACTERS), dtype int64
        Rows in the table of characters; 0 fills up, 1 is an unknown character.

    sizes : ndarray of shape (n_words,), dtype int64
        Characters of each word that are read, at least 1.
    """

    hashes: np.ndarray
    rows: np.ndarray
    affixes: np.ndarray
    characters: np.ndarray
    sizes: np.ndarray


def wide_buckets(hashes, tokens):
    """Hashed features of each token and its neighbours, up to two places away.

    Parameters
    ----------
    hashes : ndarray of shape (n_words, 12), dtype uint64
        What is seen of each distinct word.

    tokens : Tokens
        The sentences.

    Returns
    -------
    buckets : ndarray of shape (n_tokens, 31), dtype int32
        Numbers below `N_BUCKETS`.

    Notes
    -----
    O(n_tokens) time and memory, 250 bytes a token on the way.
    """
    # two places between sentences, whose hash is that of no word
    place = (
        np.arange(len(tokens.ids))
        + 2
        + 2 * np.repeat(np.arange(len(tokens.lengths)), tokens.lengths)
    )
    padded = np.zeros(len(tokens.ids) + 2 * len(tokens.lengths) + 2, np.int64)
    padded[place] = tokens.ids + 1
    table = np.vstack([np.full_like(hashes[:1], zlib.crc32(b"bound")), hashes])

    def at(offset, columns):
        return table[:, columns][padded[place + offset]]

    before, here, after = (at(offset, [_WORD]) for offset in (-1, 0, 1))
    parts = [at(0, slice(None))]
    for salt, (offset, columns) in enumerate(
        [(-1, _BESIDE), (1, _BESIDE), (-2, _FURTHER), (2, _FURTHER)], 1
    ):
        parts.append(at(offset, columns) * np.uint64(31) + np.uint64(salt))
    for salt, (first, second) in zip(
        (1000003, 1000033, 7919), ((before, here), (here, after), (before, after))
    ):
        parts.append(first * np.uint64(salt) + second)
    return _bucket(np.hstack(parts))


def signal_buckets(classes, codes, lengths):
    """Hashed features of a tag for each token, and of those of its neighbours.

    Parameters
    ----------
    classes : sequence of str
        The tags of a source. Their names are hashed, so that the same tags of the next
        source have the same features.

    codes : ndarray of shape (n_tokens,), dtype int64
        Place of the tag that the source predicts among them.

    lengths : ndarray of shape (n_sentences,), dtype int64
        Tokens of each sentence.

    Returns
    -------
    buckets : ndarray of shape (n_tokens, 7), dtype int32
        Numbers below `N_BUCKETS`: five places, and the pairs of neighbours.
    """
    place = np.arange(len(codes)) + 2 + 2 * np.repeat(np.arange(len(lengths)), lengths)
    padded = np.zeros(len(codes) + 2 * len(lengths) + 2, np.uint64)
    padded[place] = np.array([_hash(str(tag)) for tag in classes], np.uint64)[codes]
    parts = [
        padded[place + offset] * np.uint64(31) + np.uint64(1009 + offset)
        for offset in (-2, -1, 0, 1, 2)
    ]
    for first, second in ((2, 1), (2, 3)):
        parts.append(parts[first] * np.uint64(1000003) + parts[second])
    return _bucket(np.stack(parts, axis=1) * np.uint64(2654435761))


def _bucket(values):
    """Mix the bits of 64-bit numbers, and keep 20 of them."""
    values = (values ^ (values >> np.uint64(29))) * np.uint64(0x9E3779B97F4A7C15)
    return (values >> np.uint64(44)).astype(np.int32)


class Vocabulary:
    """Words, characters and features of the training data, with their rows in tables.

    Parameters
    ----------
    words : sequence of str
        Lower-cased words, in the order of their rows, which begin with 2.

    characters : sequence of str
        Characters, likewise.

    buckets : ndarray of shape (n_features,), dtype int32
        Buckets of the wide path that are in use, in the order of their rows, which
        begin with 1; row 0 stands for all others.
    """

    def __init__(self, words, characters, buckets):
        self.words, self.characters, self.buckets = words, characters, buckets
        self._word_rows = {word: row for row, word in enumerate(words, 2)}
        self._character_rows = {letter: row for row, letter in enumerate(characters, 2)}
        self._wide_rows = np.zeros(N_BUCKETS, np.int32)
        self._wide_rows[buckets] = np.arange(1, len(buckets) + 1)

    @classmethod
    def of(cls, tokens, buckets):
        """Vocabulary of sentences whose wide features are in `buckets`."""
        present = [tokens.words[place][:MAX_WORD] for place in np.unique(tokens.ids)]
        words = sorted({word.lower() for word in present if len(word) < MAX_WORD})
        characters = sorted(set("".join(present)))
        return cls(words, characters, np.unique(buckets))

    def grown(self, other):
        """This vocabulary, with what only the other has in rows behind its own."""

        def joined(own, more):
            known = set(own)
            return [*own, *(item for item in more if item not in known)]

        more = other.buckets[self._wide_rows[other.buckets] == 0]
        return Vocabulary(
            joined(self.words, other.words),
            joined(self.characters, other.characters),
            np.concatenate([self.buckets, more]),
        )

    def word_codes(self, words):
        """Encode distinct words, as `WordCodes`."""
        n_words = len(words)
        hashes = np.zeros((n_words, 12), np.uint64)
        rows = np.ones(n_words, np.int64)
        characters = np.zeros((n_words, MAX_CHARACTERS), np.int64)
        sizes = np.ones(n_words, np.int64)
        known = self._character_rows
        for place, word in enumerate(words):
            hashes[place] = [_hash(text) for text in describe_word(word)]
            rows[place] = self._word_rows.get(word.lower(), 1)
            if len(word) > MAX_CHARACTERS:
                half = MAX_CHARACTERS // 2
                word = word[:half] + word[-half:]
            sizes[place] = max(1, len(word))
            characters[place, : len(word)] = [known.get(letter, 1) for letter in word]
        affixes = (hashes[:, _AFFIXES] % np.uint64(N_AFFIX_ROWS)).astype(np.int64)
        return WordCodes(hashes, rows, affixes, characters, sizes)

    def wide_rows(self, buckets):
        """Rows of the wide path for buckets."""
        return self._wide_rows[buckets]

    def __reduce__(self):
        return Vocabulary, (self.words, self.characters, self.buckets)

    def to_arrays(self):
        """Plain arrays from which `from_arrays` makes this vocabulary again."""
        return {
            "words": self.words,
            "characters": self.characters,
            "buckets": self.buckets,
        }

    @classmethod
    def from_arrays(cls, arrays):
        """Undo `to_arrays`."""
        return cls(**arrays)
