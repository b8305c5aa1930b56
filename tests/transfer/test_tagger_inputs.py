"""Token sequences of every kind, at every entrance: read, or refused with their place.

Identifiers such as R351 name a promise; the table of promises is that of all estimators.
"""

import os
import resource
import time
import warnings

import numpy as np
import pytest
from numpy.testing import assert_array_equal
from refusals import assert_refused, forbid_training
from sklearn.base import clone
from tagging_data import (
    X_NEW,
    X_OLD,
    Y_NEW,
    Y_OLD,
    quick_extender,
    quick_tagger,
)

TAGGER = quick_tagger().fit(X_OLD, Y_OLD)
EXTENDER = quick_extender(TAGGER).fit(X_NEW, Y_NEW)
FITTED = {"tagger": TAGGER, "extender": EXTENDER}
DATA = {"tagger": (X_OLD, Y_OLD), "extender": (X_NEW, Y_NEW)}


@pytest.fixture(params=FITTED)
def kind(request):
    return request.param


@pytest.fixture
def estimator(kind):
    """A fitted estimator; nothing in these tests may change it."""
    return FITTED[kind]


@pytest.fixture
def data(kind):
    X, y = DATA[kind]
    return list(X), list(y)


def assert_fit_refused(estimator, X, y, *words, monkeypatch):
    forbid_training(monkeypatch)
    assert_refused(estimator, lambda: estimator.fit(X, y), *words)


@pytest.mark.parametrize("change", [-1, 1])
def test_R351_tags_of_another_number_than_tokens(change, estimator, data, monkeypatch):
    X, y = data
    y[4] = [*y[4], "O"] if change > 0 else y[4][:-1]
    assert_fit_refused(
        estimator,
        X,
        y,
        f"Sentence 4 has {len(X[4])} tokens",
        f"{len(X[4]) + change} tags",
        monkeypatch=monkeypatch,
    )


@pytest.mark.parametrize("change", [-1, 1])
def test_R352_tag_lists_of_another_number_than_sentences(
    change, estimator, data, monkeypatch
):
    X, y = data
    y = [*y, y[0]] if change > 0 else y[:-1]
    assert_fit_refused(
        estimator,
        X,
        y,
        f"{len(X)} sentences",
        f"{len(y)} lists",
        monkeypatch=monkeypatch,
    )


@pytest.mark.parametrize(
    ("X", "y", "words"),
    [
        ([], [], "no sentence"),
        ([[]], [[]], "empty sentences only"),
        ([[], []], [[], []], "empty sentences only"),
    ],
)
def test_R353_nothing_to_learn_from(X, y, words, estimator, monkeypatch):
    assert_fit_refused(estimator, X, y, words, monkeypatch=monkeypatch)


def test_R353_no_sentence_at_predict(estimator):
    for ask in (estimator.predict, estimator.predict_marginals):
        assert_refused(estimator, lambda: ask([]), "X holds no sentence")  # noqa: B023


def test_R354_empty_sentences_have_empty_answers(estimator, kind):
    X, y = DATA[kind]
    mixed = [[], X[0], [], [], X[1], []]
    assert estimator.predict(mixed)[::2] == [[], [], estimator.predict([X[1]])[0]]
    assert estimator.predict([[], []]) == [[], []]
    shapes = [part.shape for part in estimator.predict_marginals(mixed)]
    assert shapes == [(len(x), len(estimator.classes_)) for x in mixed]
    with_empty = [[], *X[:5], [], *X[5:], []], [[], *y[:5], [], *y[5:], []]
    again = clone(estimator).fit(*with_empty)
    plain = estimator.predict_marginals(X)
    for one, other in zip(again.predict_marginals(X), plain):
        assert_array_equal(one, other)


@pytest.mark.parametrize(
    ("value", "name"),
    [
        (None, "NoneType None"),
        (3, "int 3"),
        (float("nan"), "float nan"),
        (b"a", "bytes"),
        (["a"], "list"),
    ],
)
def test_R355_values_that_are_no_text(value, name, estimator, data, monkeypatch):
    X, y = data
    bad = [*X[:3], [X[3][0], value], *X[4:]]
    tags = [*y[:3], ["O", "O"], *y[4:]]
    place = r"X\[3\]\[1\].*token.*"
    assert_fit_refused(estimator, bad, tags, place + name, monkeypatch=monkeypatch)
    for ask in (estimator.predict, estimator.predict_marginals):
        assert_refused(estimator, lambda: ask(bad), place + name)  # noqa: B023
    bad = [[*y[0][:-1], value], *y[1:]]
    last = len(y[0]) - 1
    assert_fit_refused(
        estimator, X, bad, rf"y\[0\]\[{last}\].*tag.*{name}", monkeypatch=monkeypatch
    )


def test_R356_sentence_as_one_text(estimator, data, monkeypatch):
    X, y = data
    bad = [X[0], "play it", *X[2:]]
    words = r"X\[1\].*expected a list of tokens.*got str; split"
    assert_fit_refused(estimator, bad, y, words, monkeypatch=monkeypatch)
    for ask in (estimator.predict, estimator.predict_marginals):
        assert_refused(estimator, lambda: ask(bad), words)  # noqa: B023
        assert_refused(estimator, lambda: ask("play it"), "list of sentences.*str")  # noqa: B023
    bad = ["O O O", *y[1:]]
    assert_fit_refused(estimator, X, bad, r"y\[0\].*got str", monkeypatch=monkeypatch)


def test_R356_score_refuses_what_fit_refuses(estimator, data):
    X, y = data
    assert_refused(estimator, lambda: estimator.score(["play it"], y[:1]), "got str")
    assert_refused(estimator, lambda: estimator.score(X, y[:-1]), str(len(y) - 1))
    assert_refused(estimator, lambda: estimator.score(X, None), "y|None")


def test_R357_single_tag_type():
    X = [["a", "b"], ["c"]] * 3
    for tag in ("O", "N"):
        tagger = quick_tagger().fit(X, [[tag, tag], [tag]] * 3)
        assert tagger.predict([["a", "z"]]) == [[tag, tag]]
        assert tagger.score(X, [[tag, tag], [tag]] * 3) == (1.0 if tag == "N" else 0.0)
    tagger = quick_tagger().fit(X, [["B-x", "B-x"], ["B-x"]] * 3)
    assert tagger.classes_.tolist() == ["B-x", "I-x", "O"]


def test_R358_stray_inside_tags_are_read_as_beginnings():
    X = [["play", "Kind", "of"], ["rate", "Dune"]] * 5
    stray = [["O", "I-album", "I-album"], ["O", "I-book"]] * 5
    stray[0] = ["O", "B-album", "I-album"]  # one B-, so that the scheme is BIO
    right = [["O", "B-album", "I-album"], ["O", "B-book"]] * 5
    one, other = (quick_tagger().fit(X, y) for y in (stray, right))
    assert one.classes_.tolist() == other.classes_.tolist()
    for a, b in zip(one.predict_marginals(X), other.predict_marginals(X)):
        assert_array_equal(a, b)


FORMS = {
    "tuples": lambda X: tuple(tuple(sentence) for sentence in X),
    "object array": lambda X: np.array([*X, None], dtype=object)[:-1],
    "arrays of text": lambda X: [np.array(sentence) for sentence in X],
    "generator": lambda X: (sentence for sentence in X),
    "iterator": iter,
    "text of numpy": lambda X: [[np.str_(token) for token in row] for row in X],
}


@pytest.mark.parametrize("form", FORMS)
def test_R359_every_form_of_sentences_gives_the_same(form, estimator, kind):
    X, y = DATA[kind]
    change = FORMS[form]
    expected = estimator.predict_marginals(X)
    again = clone(estimator).fit(change(X), change(y))
    for found in (again.predict_marginals(X), estimator.predict_marginals(change(X))):
        for one, other in zip(found, expected):
            assert_array_equal(one, other)
    tags = estimator.predict(change(X))
    assert tags == estimator.predict(X)
    assert all(type(tag) is str for row in tags for tag in row)
    assert again.score(change(X), change(y)) == estimator.score(X, y)


def test_R359_array_of_equal_lengths_is_a_list_of_sentences(estimator):
    X = np.array([["play", "Dune"], ["rate", "Blue"]])
    assert estimator.predict(X) == estimator.predict(X.tolist())
    assert_refused(
        estimator, lambda: estimator.predict(X[None]), r"X\[0\].*shape \(2, 2\)"
    )


def test_R359_pool_without_labels_may_be_a_generator_too():
    one, other = (
        quick_extender(TAGGER).fit(X_NEW, Y_NEW, X_unlabeled=pool)
        for pool in (X_OLD, (sentence for sentence in X_OLD))
    )
    for a, b in zip(one.predict_marginals(X_OLD), other.predict_marginals(X_OLD)):
        assert_array_equal(a, b)


@pytest.mark.parametrize(
    ("pool", "words"),
    [
        (["play it"], r"X_unlabeled\[0\].*got str"),
        (5, "X_unlabeled must be a list"),
        ("play", "X_unlabeled must be a list"),
        ([], "X_unlabeled holds no sentence"),
        ([[None]], r"X_unlabeled\[0\]\[0\].*NoneType"),
    ],
)
def test_R356_pool_without_labels_is_checked_too(pool, words, monkeypatch):
    forbid_training(monkeypatch)
    assert_refused(
        EXTENDER, lambda: EXTENDER.fit(X_NEW, Y_NEW, X_unlabeled=pool), words
    )


ODD = {
    "letters": "naïve",
    "script": "日本語",
    "right to left": "\u202bשלום",
    "combined": "e\u0301",
    "zero width": "a\u200bb\ufeff",
    "emoji": "\U0001f468\u200d\U0001f469",
    "lone surrogate": "\udc80\ud800",
    "control": "\x00\n\t",
    "blank": " ",
    "nothing": "",
    "long": "x" * 100_000,
    "capital that grows": "İ" * 30,
}


@pytest.mark.parametrize("row", ODD)
def test_R359_odd_tokens_are_learned_and_tagged(row, tmp_path):
    token = ODD[row]
    X = [["see", token], ["see", "Dune"], [token]] * 6
    y = [["O", "B-odd"], ["O", "B-book"], ["B-odd"]] * 6
    tagger = quick_tagger(max_epochs=15).fit(X, y)
    assert tagger.score(X, y) == 1.0
    assert [len(tags) for tags in TAGGER.predict(X)] == [2, 2, 1] * 6
    assert [len(tags) for tags in EXTENDER.predict(X)] == [2, 2, 1] * 6
    extender = quick_extender(TAGGER, max_epochs=15).fit(X, y)
    assert extender.new_types_ == ["odd"]
    assert extender.predict([[token]]) == [["B-odd"]]


def test_R359_sentence_of_5000_tokens(kind):
    X, y = DATA[kind]
    rest = 5000 // len(X[0])
    long_X, long_y = [*X, X[0] * rest], [*y, y[0] * rest]
    estimator = FITTED[kind]
    start = time.process_time()
    tags = estimator.predict(long_X)
    assert time.process_time() - start < 10
    assert len(tags[-1]) == len(long_X[-1])
    assert tags[:-1] == estimator.predict(X)
    short = clone(estimator).set_params(max_epochs=1)
    assert len(short.fit(long_X, long_y).predict(X)) == len(X)


@pytest.mark.slow
def test_R359_memory_grows_with_the_tokens_and_not_with_their_square():
    tagger = quick_tagger(deep=False).fit(X_OLD, Y_OLD)
    tagger.predict([["play", "Dune"] * 1000])
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    tagger.predict([["play", "Dune"] * 50_000])
    grown = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before
    # 100 000 tokens; features, scores and sums take some hundred bytes each
    assert grown < 400 * 1024


def test_R360_unseen_tokens_and_characters_are_tagged(estimator):
    X = [["play", "Ωmega"], ["ζ"], ["zzz", "qqq"]]
    for tags, x in zip(estimator.predict(X), X):
        assert len(tags) == len(x)
        assert all(tag == "O" or tag in estimator.classes_ for tag in tags)
    for proba in estimator.predict_marginals(X):
        np.testing.assert_allclose(proba.sum(axis=1), 1, rtol=1e-5)


def test_R360_affixes_and_neighbours_speak_for_an_unseen_word():
    cities = ["Fooville", "Barville", "Bazville", "Quxville", "Corgeville"]
    names = ["Alison", "Benson", "Carson", "Dawson", "Edison"]
    X = [["see", word] for word in cities + names] * 2
    y = [["O", "B-city"]] * 5 + [["O", "B-person"]] * 5
    tagger = quick_tagger(max_epochs=40).fit(X, y * 2)
    assert tagger.predict([["see", "Waldoville"], ["see", "Jackson"]]) == [
        ["O", "B-city"],
        ["O", "B-person"],
    ]


@pytest.mark.parametrize(
    "X",
    [
        np.zeros((18, 3)),
        np.zeros((18, 3), dtype=int),
        np.zeros(18),
        np.float64(3),
        7,
        None,
        object(),
        {"a": ["b"]},
        b"play it",
    ],
    ids=lambda X: type(X).__name__ + str(getattr(X, "shape", "")),
)
def test_R361_what_is_no_list_of_sentences(X, estimator, data, monkeypatch):
    _, y = data
    assert_fit_refused(estimator, X, y, "X", "list|str", monkeypatch=monkeypatch)
    for ask in (estimator.predict, estimator.predict_marginals):
        assert_refused(estimator, lambda: ask(X), "X", "list|str")  # noqa: B023


@pytest.mark.parametrize(
    "y", [None, 7, "O O", np.zeros(18), np.zeros((18, 3)), {"a": ["O"]}, object()]
)
def test_R361_what_is_no_list_of_tag_lists(y, estimator, data, monkeypatch):
    X, _ = data
    assert_fit_refused(estimator, X, y, "y", monkeypatch=monkeypatch)


@pytest.mark.parametrize(
    ("tags", "words"),
    [
        (["LOC", "B-LOC"], "'LOC'.*'B-LOC'"),
        (["B-LOC", "S-LOC"], None),
        (["U-LOC", "S-LOC"], r"\['S', 'U'\]"),
    ],
)
def test_mixed_schemes_are_refused_with_the_tag(tags, words, monkeypatch):
    y = [tags, *[["O"] * len(x) for x in X_OLD[1:]]]
    X = [["a", "b"], *X_OLD[1:]]
    if words is None:
        assert quick_tagger().fit(X, y).scheme_ == "BIOES"
        return
    for estimator in (TAGGER, EXTENDER):
        assert_fit_refused(estimator, X, y, words, monkeypatch=monkeypatch)


def test_R509_answers_after_a_fork():
    expected = EXTENDER.predict(X_OLD)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)
        child = os.fork()
    if not child:
        same = EXTENDER.predict(X_OLD) == expected
        os._exit(0 if same else 1)
    deadline = time.monotonic() + 20
    while time.monotonic() < deadline:
        done, status = os.waitpid(child, os.WNOHANG)
        if done:
            assert status == 0
            return
        time.sleep(0.05)
    os.kill(child, 9)
    os.waitpid(child, 0)
    pytest.fail("the child did not answer")
