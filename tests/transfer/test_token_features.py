"""Features of tokens against plain loops; vocabularies."""

import pickle
import zlib

import numpy as np
import pytest
from numpy.testing import assert_array_equal

from skdeep.transfer._sentences import check_sentences
from skdeep.transfer._token_features import (
    MAX_CHARACTERS,
    N_AFFIX_ROWS,
    N_BUCKETS,
    Vocabulary,
    describe_word,
    signal_buckets,
    wide_buckets,
)

EMPTY = Vocabulary([], [], np.zeros(0, np.int32))
X = [["Play", "Kind", "of", "Blue"], [], ["rate", "Dune", "5"], ["Play"]]


def test_word_is_described_by_twelve_strings():
    assert describe_word("McKay77") == (
        "wmckay77",
        *("p1m", "p2mc", "p3mck", "p4mcka"),
        *("s17", "s277", "s3y77", "s4ay77"),
        "hXxXxxdd",
        "oXxXxd",
        "c0",
    )


@pytest.mark.parametrize(
    ("word", "case"),
    [("Dune", 1), ("ABBA", 2), ("A", 3), ("1984", 4), ("dune", 0), ("", 0)],
)
def test_case_tells_titles_capitals_and_digits_apart(word, case):
    assert describe_word(word)[-1] == f"c{case}"


def test_hashes_do_not_depend_on_process_or_machine():
    # other numbers would make the taggers useless that somebody has saved
    assert crc32(b"123456789") == 0xCBF43926  # the check value of the standard
    tokens = check_sentences([["Dune", "5"]])
    hashes = EMPTY.word_codes(tokens.words).hashes
    assert hashes[:, 0].tolist() == [2903036627, 1997814253]
    assert hashes[:, 0].tolist() == [crc32(b"wdune"), crc32(b"w5")]
    assert wide_buckets(hashes, tokens)[:, 0].tolist() == [970931, 189808]


def crc32(data):
    """The checksum bit by bit, by its definition."""
    value = 0xFFFFFFFF
    for byte in data:
        value ^= byte
        for _ in range(8):
            value = value >> 1 ^ (0xEDB88320 if value & 1 else 0)
    return value ^ 0xFFFFFFFF


def mix(value):
    """20 of 64 mixed bits, in whole numbers of Python."""
    value %= 2**64
    value ^= value >> 29
    return value * 0x9E3779B97F4A7C15 % 2**64 >> 44


def plain_wide_buckets(X):
    """The features of each token, one after the other."""
    beside, further = [0, 6, 7, 9, 10, 11], [0, 10]
    bound = [zlib.crc32(b"bound")] * 12
    rows = []
    for sentence in X:
        seen = [
            [zlib.crc32(text.encode()) for text in describe_word(w)] for w in sentence
        ]
        seen = [bound, bound, *seen, bound, bound]
        for place in range(2, len(seen) - 2):
            row = list(seen[place])
            for salt, (offset, columns) in enumerate(
                [(-1, beside), (1, beside), (-2, further), (2, further)], 1
            ):
                row += [seen[place + offset][column] * 31 + salt for column in columns]
            before, here, after = (seen[place + offset][0] for offset in (-1, 0, 1))
            row += [before * 1000003 + here, here * 1000033 + after]
            row += [before * 7919 + after]
            rows.append([mix(value) for value in row])
    return np.array(rows)


def buckets_of(X):
    tokens = check_sentences(X)
    return wide_buckets(EMPTY.word_codes(tokens.words).hashes, tokens)


def test_wide_features_are_those_of_a_plain_loop():
    found = buckets_of(X)
    assert found.shape == (8, 31)
    assert found.dtype == np.int32
    assert_array_equal(found, plain_wide_buckets(X))
    assert found.min() >= 0
    assert found.max() < N_BUCKETS


def test_neighbours_are_not_seen_across_the_bounds_of_a_sentence():
    together = buckets_of(X)
    alone = [buckets_of([sentence]) for sentence in X if sentence]
    assert_array_equal(together, np.vstack(alone))
    assert_array_equal(buckets_of(X[::-1]), np.vstack(alone[::-1]))


def test_a_token_at_the_bound_has_other_features_than_one_inside():
    inside = buckets_of([["a", "b", "c"]])[1]
    first = buckets_of([["b", "c"]])[0]
    assert_array_equal(inside[:12], first[:12])  # the token itself
    assert (inside[12:18] != first[12:18]).all()  # the one before
    assert_array_equal(inside[18:24], first[18:24])  # the one behind


def test_signals_are_those_of_a_plain_loop():
    classes, lengths = ["B-x", "I-x", "O"], np.array([3, 0, 1, 2])
    codes = np.array([2, 0, 1, 2, 0, 2])
    names = [zlib.crc32(tag.encode()) for tag in classes]
    rows, start = [], 0
    for length in lengths:
        row = [names[code] for code in codes[start : start + length]]
        seen = [0, 0, *row, 0, 0]
        for place in range(2, len(seen) - 2):
            parts = [
                (seen[place + offset] * 31 + 1009 + offset) % 2**64
                for offset in (-2, -1, 0, 1, 2)
            ]
            parts.append(parts[2] * 1000003 + parts[1])
            parts.append(parts[2] * 1000003 + parts[3])
            rows.append([mix(value * 2654435761) for value in parts])
        start += length
    assert_array_equal(signal_buckets(classes, codes, lengths), rows)


def test_signals_of_a_tag_are_the_same_wherever_it_stands_among_the_tags():
    one = signal_buckets(["B-x", "O"], np.array([0, 1]), np.array([2]))
    other = signal_buckets(["A", "B-x", "I-x", "O"], np.array([1, 3]), np.array([2]))
    assert_array_equal(one, other)


def test_rows_of_words_and_characters_follow_the_vocabulary():
    vocabulary = Vocabulary(["dune", "play"], ["D", "e", "n"], np.zeros(0, np.int32))
    codes = vocabulary.word_codes(["Dune", "DUNE", "blue"])
    assert codes.rows.tolist() == [2, 2, 1]
    # "D", an unknown "u", "n", "e"; then filled up
    assert codes.characters[0, :5].tolist() == [2, 1, 4, 3, 0]
    assert codes.sizes.tolist() == [4, 4, 4]
    assert codes.affixes.max() < N_AFFIX_ROWS
    assert codes.affixes.shape == (3, 7)


def test_of_long_words_both_ends_are_read():
    letters = [chr(ord("a") + number) for number in range(26)]
    vocabulary = Vocabulary([], letters, np.zeros(0, np.int32))
    (row,) = vocabulary.word_codes(["".join(letters) + "zzzz"]).characters
    assert row.tolist() == [*range(2, 14), *range(20, 28), 27, 27, 27, 27]
    assert vocabulary.word_codes(["x" * 100_000]).sizes.tolist() == [MAX_CHARACTERS]


def test_vocabulary_holds_what_occurs_sorted_and_in_lower_case():
    tokens = check_sentences([["Play", "play", "X" * 64, "Z" * 100_000]])
    vocabulary = Vocabulary.of(tokens, np.array([[7, 3], [3, 9]], np.int32))
    assert vocabulary.words == ["play"]  # the long ones are not learned by heart
    assert vocabulary.characters == sorted(set("PlaypXZ"))
    assert vocabulary.buckets.tolist() == [3, 7, 9]
    assert vocabulary.wide_rows(np.array([9, 4, 3])).tolist() == [3, 0, 1]


def test_words_that_no_sentence_holds_any_more_are_not_learned():
    tokens = check_sentences([["a"], ["b"]]).take(np.array([False, True]))
    assert Vocabulary.of(tokens, np.zeros(0, np.int32)).words == ["b"]


def test_grown_vocabulary_keeps_its_rows_and_adds_the_others_behind():
    one = Vocabulary(["m", "p"], ["m"], np.array([5, 8], np.int32))
    other = Vocabulary(["a", "p"], ["a", "m"], np.array([1, 8, 9], np.int32))
    both = one.grown(other)
    assert both.words == ["m", "p", "a"]
    assert both.characters == ["m", "a"]
    assert both.buckets.tolist() == [5, 8, 1, 9]
    assert both.wide_rows(np.array([5, 8, 1, 9, 2])).tolist() == [1, 2, 3, 4, 0]
    assert one.words == ["m", "p"]


@pytest.mark.parametrize(
    "copy",
    [
        lambda vocabulary: pickle.loads(pickle.dumps(vocabulary)),
        lambda vocabulary: Vocabulary.from_arrays(vocabulary.to_arrays()),
    ],
)
def test_copied_vocabulary_encodes_alike(copy):
    vocabulary = Vocabulary(["a", "b"], ["a"], np.array([5, 8], np.int32))
    copied = copy(vocabulary)
    for one, other in zip(
        vocabulary.word_codes(["a", "é"]), copied.word_codes(["a", "é"])
    ):
        assert_array_equal(one, other)
    assert copied.wide_rows(np.array([8])).tolist() == [2]


@pytest.mark.parametrize("word", ["", "日本", "a\u200bb", "\udc80", "\U0001f600", "İ"])
def test_R359_odd_words_have_codes(word):
    codes = EMPTY.word_codes([word])
    assert codes.sizes[0] == max(1, len(word))
    assert (codes.hashes > 0).any()
