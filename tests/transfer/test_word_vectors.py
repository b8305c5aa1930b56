"""Word vectors that the user brings along."""

import pathlib
import pickle

import numpy as np
import pytest
import torch
from numpy.testing import assert_array_equal
from refusals import assert_refused, forbid_training
from tagging_data import X_OLD, Y_OLD, quick_extender, quick_tagger

import skdeep
from skdeep.exceptions import InvalidParameterError
from skdeep.transfer._word_vectors import WordVectors, read_vectors

VECTORS = {"Dune": [1.0, 2.0], "dune": [3.0, 4.0], "b00": [5.0, 6.0], "B00": [7.0, 8.0]}


class Keyed:
    """What gensim's keyed vectors look like from outside."""

    vector_size = 2

    def __getitem__(self, word):
        return np.array(VECTORS[word], dtype=np.float32)

    def __contains__(self, word):
        return word in VECTORS


def text_file(folder, content):
    path = folder / "vectors.txt"
    path.write_text(content, encoding="utf-8")
    return path


@pytest.mark.parametrize("source", [VECTORS, Keyed()])
def test_words_are_looked_up_in_four_forms(source):
    vectors = WordVectors(source)
    assert vectors.n_dimensions == 2
    found = vectors(["Dune", "DUNE", "B12", "b99", "C12", ""])
    # as it is; lower-cased; digits as 0; both; unknown
    assert found.tolist() == [[1, 2], [3, 4], [7, 8], [5, 6], [0, 0], [0, 0]]
    assert found.dtype == np.float32


def test_text_file_is_read_with_and_without_a_first_line(tmp_path):
    lines = "dune 1 -2.5 3e-1\né 4 5 6\n"
    for content in (lines, "2 3\n" + lines, lines.replace("\n", " \n")):
        vectors = read_vectors(text_file(tmp_path, content))
        assert list(vectors) == ["dune", "é"]
        assert_array_equal(vectors["dune"], np.float32([1, -2.5, 0.3]))


def test_line_that_is_no_vector_is_refused_by_its_number(tmp_path):
    path = text_file(tmp_path, "dune 1 2\nkind 1 two\n")
    with pytest.raises(ValueError, match=r"line 2 of .*vectors.txt.*'kind 1 two"):
        read_vectors(path)


@pytest.mark.parametrize(
    ("content", "expected"),
    [
        ("a b 1 2\nplay 3 4\n", {"a b": [1, 2], "play": [3, 4]}),
        ("play 3 4\nat 7 1 2\n. . . 5 6\n", {"at 7": [1, 2], ". . .": [5, 6]}),
        ("2 2\nat 7 1 2\nplay 3 4\n", {"at 7": [1, 2], "play": [3, 4]}),
        ("7 1 2\n8 3 4\n", {"7": [1, 2], "8": [3, 4]}),
        ("a 1\nb c 2\n\n", {"a": [1], "b c": [2]}),
    ],
)
def test_words_of_a_text_file_may_hold_spaces(content, expected, tmp_path):
    path = text_file(tmp_path, content)
    vectors = read_vectors(path)
    assert "" not in vectors
    assert {word: vectors[word].tolist() for word in expected} == expected
    assert WordVectors(path).n_dimensions == len(next(iter(expected.values())))


@pytest.mark.parametrize(
    ("content", "number"),
    [
        ("play\t1\t2\nrate\t3\t4\n", 1),
        ("2 2\nplay\t1\t2\n", 2),
        ("play 1 2\nrate\n", 2),
        ("play 1 2\nrate 3\n", 2),
    ],
)
def test_lines_without_numbers_are_refused_by_file_and_line(content, number, tmp_path):
    tagger = quick_tagger(word_vectors=text_file(tmp_path, content))
    words = f"`word_vectors`: line {number} of .*vectors.txt is not a word and its"
    assert_refused(tagger, lambda: tagger.fit(X_OLD, Y_OLD), words, error=ValueError)


@pytest.mark.parametrize("kind", ["dict", "keyed", "path", "text"])
def test_every_kind_of_source_trains_the_same_tagger(kind, tmp_path):
    content = "".join(f"{word} {a} {b}\n" for word, (a, b) in VECTORS.items())
    path = text_file(tmp_path, content)
    source = {"dict": VECTORS, "keyed": Keyed(), "path": path, "text": str(path)}[kind]
    expected = quick_tagger(word_vectors=VECTORS).fit(X_OLD, Y_OLD)
    tagger = quick_tagger(word_vectors=source).fit(X_OLD, Y_OLD)
    for one, other in zip(
        tagger.predict_marginals(X_OLD), expected.predict_marginals(X_OLD)
    ):
        assert_array_equal(one, other)


def test_vectors_tell_unknown_words_apart():
    ones = ["aq", "aw", "ae", "ar", "at", "ay", "au"]
    twos = ["bq", "bw", "be", "br", "bt", "by", "bu"]
    table = {
        **dict.fromkeys([*ones, "xs"], [1.0]),
        **dict.fromkeys([*twos, "ys"], [-1.0]),
    }
    tagger = quick_tagger(word_vectors=table, wide=False, max_epochs=60, dropout=0.0)
    tagger.fit([[word] for word in ones + twos], [["B-one"]] * 7 + [["B-two"]] * 7)
    # of neither of the words has a letter or an affix been seen
    one, two = tagger.predict_marginals([["xs"], ["ys"]])
    columns = [tagger.classes_.tolist().index(tag) for tag in ("B-one", "B-two")]
    assert (one[0, columns] > two[0, columns]).tolist() == [True, False]


def test_vectors_are_part_of_pickles_and_of_extensions():
    tagger = quick_tagger(word_vectors=VECTORS).fit(X_OLD, Y_OLD)
    copied = pickle.loads(pickle.dumps(tagger))
    for one, other in zip(
        copied.predict_marginals(X_OLD), tagger.predict_marginals(X_OLD)
    ):
        assert_array_equal(one, other)
    X, y = (
        [["see", "Dune"], ["by", "Frank"]] * 4,
        [["O", "B-book"], ["O", "B-artist"]] * 4,
    )
    extender = quick_extender(tagger).fit(X, y)
    assert extender.module_.encoder.vectors.weight.shape == (8, 2)
    assert extender.score(X, y) > 0.5


def test_vectors_are_refused_by_save_with_the_way_out(tmp_path):
    tagger = quick_tagger(word_vectors=VECTORS).fit(X_OLD, Y_OLD)
    with pytest.raises(TypeError, match="_vectors.*Pickle"):
        skdeep.save(tagger, tmp_path / "tagger.skdeep")
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    ("wrong", "words"),
    [
        ({}, "must map words to 1-d arrays"),
        ({"play": 1.0}, "must map words to 1-d arrays"),
        ({"play": "text"}, "must map words to 1-d arrays"),
        ({"play": []}, "must map words to 1-d arrays"),
        ([[1.0, 2.0]], "must map words to 1-d arrays"),
        ({"play": [[1.0], [2.0, 3.0]]}, "must map words to 1-d arrays"),
        (torch.zeros(2, 2, requires_grad=True), "must map words to 1-d arrays"),
        ("no such file", "'no such file' cannot be read.*No such file"),
        (pathlib.Path("no such file"), "'no such file' cannot be read"),
        (pathlib.Path("/"), "'/' cannot be read"),
    ],
)
def test_wrong_sources_are_refused_before_any_training(wrong, words, monkeypatch):
    forbid_training(monkeypatch)
    tagger = quick_tagger(word_vectors=wrong)
    assert_refused(
        tagger,
        lambda: tagger.fit(X_OLD, Y_OLD),
        "word_vectors",
        words,
        error=InvalidParameterError,
    )


@pytest.mark.parametrize(
    "vector",
    [
        *([1.0], [1.0, 2.0, 3.0], [1.0, np.nan], [1.0, np.inf], ["a", "b"], None, 3.0),
        torch.zeros(2, requires_grad=True),
    ],
)
def test_wrong_vectors_are_refused_with_the_word(vector, monkeypatch):
    forbid_training(monkeypatch)
    tagger = quick_tagger(word_vectors={"first": [0.0, 1.0], "Dune": vector})
    assert_refused(
        tagger, lambda: tagger.fit(X_OLD, Y_OLD), "word_vectors", "'Dune'.*2 finite"
    )


def test_vectors_that_require_a_gradient_are_to_be_detached():
    vectors = WordVectors({"Dune": torch.ones(2, requires_grad=True)})
    with pytest.raises(ValueError, match=r"'Dune'.*give `tensor.detach\(\)`"):
        vectors(["Dune"])
    vectors = WordVectors({"Dune": torch.ones(2)})
    assert vectors(["Dune"]).tolist() == [[1, 1]]


@pytest.mark.parametrize("size", ["x", 0, -2, 2.0, True])
def test_wrong_sizes_of_vectors_are_refused(size):
    keyed = Keyed()
    keyed.vector_size = size
    tagger = quick_tagger(word_vectors=keyed)
    assert_refused(
        tagger,
        lambda: tagger.fit(X_OLD, Y_OLD),
        f"`word_vectors` must have an int .*`vector_size`; got {size!r}",
        error=InvalidParameterError,
    )


def test_file_that_is_no_text_is_refused_by_its_name(tmp_path):
    path = tmp_path / "vectors.bin"
    path.write_bytes(b"dune \xff\xfe\n")
    tagger = quick_tagger(word_vectors=path)
    assert_refused(
        tagger,
        lambda: tagger.fit(X_OLD, Y_OLD),
        "word_vectors",
        "vectors.bin.*cannot be read",
        error=InvalidParameterError,
    )
