"""Sentences and tag schemes: what is read, what is turned into what, what is refused."""

import itertools

import numpy as np
import pytest

from skdeep.transfer._sentences import (
    check_sentences,
    check_tags,
    detect_scheme,
    encode_tags,
    entity_types,
    forbidden_moves,
    from_bio,
    split_rows,
    to_bio,
)

# the same two entities, of three tokens and of one, in each scheme
BIO = ["O", "B-x", "I-x", "I-x", "O", "B-y", "B-x", "I-x"]
BIOES = ["O", "B-x", "I-x", "E-x", "O", "S-y", "B-x", "E-x"]
BILOU = ["O", "B-x", "I-x", "L-x", "O", "U-y", "B-x", "L-x"]
IO = ["O", "I-x", "I-x", "I-x", "O", "I-y", "I-x", "I-x"]
PLAIN = ["DET", "NOUN", "O", "NOUN"]
SCHEMES = {"BIO": BIO, "BIOES": BIOES, "BILOU": BILOU, "IO": IO, "plain": PLAIN}


@pytest.mark.parametrize("scheme", SCHEMES)
def test_scheme_is_detected_from_the_tags_that_occur(scheme):
    assert detect_scheme(SCHEMES[scheme]) == scheme


@pytest.mark.parametrize("scheme", ["BIO", "BIOES", "BILOU"])
def test_schemes_of_spans_become_bio_and_back(scheme):
    assert to_bio(SCHEMES[scheme], scheme) == BIO
    assert from_bio(BIO, scheme) == SCHEMES[scheme]


@pytest.mark.parametrize("scheme", ["IO", "plain"])
def test_tags_without_bounds_stay_as_they_are(scheme):
    assert to_bio(SCHEMES[scheme], scheme) == SCHEMES[scheme]
    assert from_bio(SCHEMES[scheme], scheme) == SCHEMES[scheme]


def test_every_legal_bio_tagging_survives_a_round_trip_through_each_scheme():
    tags = ["O", "B-x", "I-x", "B-y", "I-y"]
    n_legal = 0
    for row in map(list, itertools.product(tags, repeat=4)):
        if to_bio(row, "BIO") != row:  # an I- that goes on with nothing
            continue
        n_legal += 1
        for scheme in ("BIOES", "BILOU"):
            assert to_bio(from_bio(row, scheme), scheme) == row
    assert n_legal == _count_legal(4)


def _count_legal(length):
    """O, B-x and B-y follow any tag; I- follows the two marks of its own type."""
    outside, inside = 1, 2
    for _ in range(length - 1):
        outside, inside = outside + inside, 2 * (outside + inside) + inside
    return outside + inside


@pytest.mark.parametrize(
    ("tags", "repaired"),
    [
        (["I-x", "I-x"], ["B-x", "I-x"]),
        (["O", "I-x"], ["O", "B-x"]),
        (["B-x", "I-y", "I-y"], ["B-x", "B-y", "I-y"]),
        (["B-x", "O", "I-x"], ["B-x", "O", "B-x"]),
        (["B-x-y", "I-x"], ["B-x-y", "B-x"]),
        ([], []),
    ],
)
def test_R358_stray_inside_tags_begin_an_entity(tags, repaired):
    assert to_bio(tags, "BIO") == repaired


def test_stray_marks_of_finer_schemes_begin_an_entity_too():
    assert to_bio(["E-x", "O", "S-x", "E-x"], "BIOES") == ["B-x", "O", "B-x", "I-x"]


@pytest.mark.parametrize(
    ("tags", "odd"),
    [
        (["B-LOC", "LOC"], "'LOC'"),
        (["B-LOC", "I-"], "'I-'"),
        (["B-LOC", "O-LOC"], "'O-LOC'"),
        (["B-LOC", "b-LOC"], "'b-LOC'"),
        (["B-LOC", ""], "''"),
        (["S-x", "U-x"], "'S', 'U'"),
        (["E-x", "L-x"], "'E', 'L'"),
    ],
)
def test_mixed_schemes_are_refused_with_the_tag(tags, odd):
    with pytest.raises(ValueError, match=odd):
        detect_scheme(tags)


def test_no_tag_but_outside_counts_as_bio():
    assert detect_scheme(["O", "O"]) == detect_scheme([]) == "BIO"
    classes, codes, scheme = encode_tags([["O"], [], ["O", "O"]])
    assert (classes.tolist(), codes.tolist(), scheme) == (["O"], [0, 0, 0], "BIO")


def test_tags_are_numbered_in_order_and_both_marks_are_there():
    classes, codes, scheme = encode_tags([["S-y", "O"], [], ["B-x", "E-x"]])
    assert scheme == "BIOES"
    assert classes.tolist() == ["B-x", "B-y", "I-x", "I-y", "O"]
    assert classes[codes].tolist() == ["B-y", "O", "B-x", "I-x"]


def test_plain_tags_are_those_that_occur_and_no_more():
    classes, codes, scheme = encode_tags([["N", "V"], ["N"]])
    assert scheme == "plain"
    assert classes.tolist() == ["N", "V"]
    assert codes.tolist() == [0, 1, 0]


def test_tags_that_are_not_known_are_refused_by_name():
    known = np.array(["B-x", "I-x", "O"])
    classes, codes, _ = encode_tags([["B-x", "O"]], known)
    assert classes is known
    assert codes.tolist() == [0, 2]
    with pytest.raises(ValueError, match=r"\['B-y'\].*AdapterExtender"):
        encode_tags([["B-y", "O"]], known)


def test_types_of_entities_are_sorted_and_without_marks():
    assert entity_types(["O", "B-y", "I-y", "B-x-z"], "BIO") == ["x-z", "y"]
    assert entity_types(["V", "N", "O"], "plain") == ["N", "V"]


def test_forbidden_are_the_moves_that_no_legal_tagging_holds():
    tags = ["B-x", "B-y", "I-x", "I-y", "O"]
    start, moves = forbidden_moves(tags, "BIO")
    assert start.tolist() == [False, False, True, True, False]
    for (i, one), (j, other) in itertools.product(enumerate(tags), repeat=2):
        assert moves[i, j] == (to_bio([one, other], "BIO")[1] != other)
    for scheme in ("IO", "plain"):
        start, moves = forbidden_moves(["I-x", "O"], scheme)
        assert not start.any()
        assert not moves.any()


def test_sentences_are_flattened_and_come_back():
    X = [["a", "b", "a"], [], ["c"], ["b", "c"]]
    tokens = check_sentences(X)
    assert tokens.words == ["a", "b", "c"]
    assert tokens.ids.tolist() == [0, 1, 0, 2, 1, 2]
    assert tokens.lengths.tolist() == [3, 0, 1, 2]
    assert tokens.starts.tolist() == [0, 3, 3, 4]
    assert tokens.sentences() == X
    chosen = np.array([True, True, False, True])
    assert tokens.take(chosen).sentences() == [["a", "b", "a"], [], ["b", "c"]]
    assert tokens.inside(chosen).tolist() == [True] * 3 + [False] + [True] * 2


FORMS = {
    "lists": list,
    "tuple": tuple,
    "iterator": iter,
    "generator": lambda X: (sentence for sentence in X),
    "tuples": lambda X: [tuple(sentence) for sentence in X],
    "arrays": lambda X: [np.array(sentence, dtype=object) for sentence in X],
    "arrays of str": lambda X: [np.array(sentence, dtype=str) for sentence in X],
    "object array": lambda X: np.array([*X, None], dtype=object)[:-1],
}


@pytest.mark.parametrize("form", FORMS)
def test_R359_every_form_of_sentences_is_read_alike(form):
    X = [["a", "b"], [], ["é"]]
    tokens = check_sentences(FORMS[form](X))
    assert tokens.sentences() == X
    assert check_tags(tokens, FORMS[form]([["O", "O"], [], ["B-x"]])) == [
        ["O", "O"],
        [],
        ["B-x"],
    ]


REFUSED = {
    "None": (None, "X must be a list of sentences.*NoneType"),
    "number": (5, "X must be a list of sentences.*int"),
    "text": ("play it", "X must be a list of sentences.*str"),
    "bytes": (b"play it", "X must be a list of sentences.*bytes"),
    "dict": ({"a": ["b"]}, "X must be a list of sentences.*dict"),
    "scalar array": (np.array("a"), "X must be a list of sentences.*scalar"),
    "sentence as text": ([["a"], "play it"], r"X\[1\].*got str; split"),
    "sentence as bytes": ([b"play"], r"X\[0\].*got bytes"),
    "sentence as set": ([{"a", "b"}], r"X\[0\].*got set"),
    "sentence as dict": ([{"a": 1}], r"X\[0\].*got dict"),
    "sentence as iterator": ([iter("ab")], r"X\[0\].*list of tokens"),
    "sentence as None": ([["a"], None], r"X\[1\].*NoneType"),
    "number as token": ([["a", 3]], r"X\[0\]\[1\].*int 3"),
    "None as token": ([["a"], ["b", None]], r"X\[1\]\[1\].*NoneType None"),
    "NaN as token": ([[float("nan")]], r"X\[0\]\[0\].*float nan"),
    "bytes as token": ([[b"a"]], r"X\[0\]\[0\].*bytes"),
    "matrix": (np.zeros((3, 2)), r"X\[0\]\[0\].*float64"),
    "cube": (np.full((2, 2, 2), "a"), r"X\[0\].*shape \(2, 2\)"),
    "no sentence": ([], "X holds no sentence"),
    "no generated sentence": (iter([]), "X holds no sentence"),
}


@pytest.mark.parametrize("row", REFUSED)
def test_what_is_no_list_of_sentences_is_refused_with_its_place(row):
    data, words = REFUSED[row]
    with pytest.raises(ValueError, match=words):
        check_sentences(data)
    with pytest.raises(ValueError, match=words.replace("X", "X_pool")):
        check_sentences(data, "X_pool")


def test_flat_list_is_cut_into_rows():
    assert split_rows(list("abc"), np.array([0, 2, 0, 1])) == [
        [],
        ["a", "b"],
        [],
        ["c"],
    ]
