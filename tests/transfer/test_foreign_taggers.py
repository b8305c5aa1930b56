"""Sources that are wrapped, or that somebody else has written."""

import numpy as np
import pytest
from numpy.testing import assert_allclose, assert_array_equal
from refusals import assert_refused, forbid_training
from sklearn.frozen import FrozenEstimator
from sklearn.model_selection import GridSearchCV
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import FunctionTransformer
from tagging_data import (
    X_NEW,
    X_OLD,
    Y_NEW,
    Y_OLD,
    quick_extender,
    quick_tagger,
)

ALL_TAGS = ["B-album", "B-artist", "B-book", "I-album", "I-artist", "I-book", "O"]
X_TEST = [*X_OLD[:3], [], *X_NEW[:2], ["unheard", "of"]]


@pytest.fixture(scope="module")
def source():
    """A tagger of albums and books; tests must not change it."""
    return quick_tagger(max_epochs=20).fit(X_OLD, Y_OLD)


@pytest.fixture(scope="module")
def fitted(source):
    return quick_extender(source).fit(X_NEW, Y_NEW)


@pytest.fixture(scope="module")
def expected(fitted):
    return fitted.predict_marginals(X_TEST)


def assert_answers(extender, expected):
    for one, other in zip(extender.predict_marginals(X_TEST), expected):
        assert_array_equal(one, other)


class Foreign:
    """A tagger that nobody of us has written: it knows the titles by heart."""

    known = {"Thriller": "B-album", "Blue": "B-album", "Dune": "B-book"}

    def predict(self, X):
        return [[self.known.get(token, "O") for token in sentence] for sentence in X]


class WithDicts(Foreign):
    """It tells probabilities as dicts, as wrappers of CRFsuite do."""

    classes_ = ["O", "B-book", "B-album"]

    def predict_marginals(self, X):
        return [
            [{tag: 0.8 if tag == own else 0.1 for tag in self.classes_} for own in tags]
            for tags in self.predict(X)
        ]


class WithArrays(WithDicts):
    """It tells them as arrays, in the order of its classes."""

    def predict_marginals(self, X):
        return [
            np.array([[row[tag] for tag in self.classes_] for row in rows]).reshape(
                -1, 3
            )
            for rows in super().predict_marginals(X)
        ]


@pytest.mark.parametrize("kind", [Foreign, WithDicts, WithArrays])
def test_taggers_of_others_are_extended(kind):
    extender = quick_extender(kind(), max_epochs=20).fit(X_NEW, Y_NEW)
    assert extender.mode_ == "sequence"
    assert extender.base_classes_.tolist() == [
        *("B-album", "B-book", "I-album", "I-book", "O")
    ]
    assert extender.classes_.tolist() == ALL_TAGS
    assert extender.predict(X_NEW) == Y_NEW
    assert extender.predict_source(X_NEW) == kind().predict(X_NEW)


def test_dicts_and_arrays_say_the_same():
    one, other = (
        quick_extender(kind(), source_signal="proba").fit(X_NEW, Y_NEW)
        for kind in (WithDicts, WithArrays)
    )
    for a, b in zip(one.predict_marginals(X_TEST), other.predict_marginals(X_TEST)):
        assert_allclose(a, b, atol=1e-6)
    hard = quick_extender(Foreign(), source_signal="proba").fit(X_NEW, Y_NEW)
    assert any(
        (a != b).any()
        for a, b in zip(one.predict_marginals(X_TEST), hard.predict_marginals(X_TEST))
    )


def test_tags_of_a_source_without_classes_can_be_named():
    X = [["by", "Jackson"]] * 6
    y = [["O", "B-artist"]] * 6
    extender = quick_extender(Foreign(), new_annotation="full").fit(X, y)
    with pytest.raises(ValueError, match=r"'B-book'.*`classes=`"):
        extender.predict([["rate", "Dune"]])
    extender.fit(X, y, classes=["B-album", "B-book", "O"])
    assert extender.old_types_ == ["album", "book"]
    assert len(extender.predict([["rate", "Dune"]])[0]) == 2


WRONG_SOURCES = {
    "too few sentences": (lambda tags: tags[:-1], "17 lists of tags for 18"),
    "too few tags": (lambda tags: [tags[0][:-1], *tags[1:]], "4 tags.*5 tokens.*0"),
    "odd tags": (lambda tags: [["LOC"] * 5, *tags[1:]], "'LOC'"),
    "nothing": (lambda tags: None, "list of tags.*got NoneType for sentences 0 to 17"),
    "no tags": (lambda tags: [*tags[:2], None, *tags[3:]], "got None for sentence 2"),
    "a text": (lambda tags: [tags[0], "OOOO", *tags[2:]], "got 'OOOO' for sentence 1"),
}


@pytest.mark.parametrize("row", WRONG_SOURCES)
def test_wrong_answers_of_a_source_are_refused(row, monkeypatch):
    forbid_training(monkeypatch)
    spoil, words = WRONG_SOURCES[row]

    class Wrong(Foreign):
        def predict(self, X):
            return spoil(super().predict(X))

    class Named(Wrong):
        classes_ = ["O", "B-book", "B-album"]

    for source in (Wrong(), Named()):
        extender = quick_extender(source, mode="sequence")
        with pytest.raises(ValueError, match=words):
            extender.fit(X_NEW, Y_NEW)


WRONG_MARGINALS = {
    "nothing": (lambda parts: None, "got NoneType for sentences 0 to 17"),
    "too few": (lambda parts: parts[:-1], "tells of 17 sentences.*18.*sentence 17"),
    "none of one": (
        lambda parts: [*parts[:2], None, *parts[3:]],
        "4 tokens of sentence 2; got None",
    ),
    "too short": (
        lambda parts: [parts[0], parts[1][:-1], *parts[2:]],
        "4 tokens of sentence 1; got 3 rows",
    ),
    # as many rows in all as there are tokens
    "shifted": (
        lambda parts: [parts[0][:-1], [*parts[1], parts[0][-1]], *parts[2:]],
        "5 tokens of sentence 0; got 4 rows",
    ),
    "rows of none": (
        lambda parts: [parts[0], [None] * 4, *parts[2:]],
        "wrong about sentence 1",
    ),
}


@pytest.mark.parametrize("kind", [WithDicts, WithArrays])
@pytest.mark.parametrize("row", WRONG_MARGINALS)
def test_marginals_that_do_not_fit_the_tags_are_refused(row, kind, monkeypatch):
    forbid_training(monkeypatch)
    spoil, words = WRONG_MARGINALS[row]

    class Wrong(kind):
        def predict_marginals(self, X):
            return spoil(super().predict_marginals(X))

    extender = quick_extender(Wrong(), source_signal="proba")
    with pytest.raises(ValueError, match=f"`predict_marginals`.*{words}"):
        extender.fit(X_NEW, Y_NEW)


def test_probabilities_that_are_none_are_refused(monkeypatch):
    forbid_training(monkeypatch)

    class Wrong(WithArrays):
        def predict_marginals(self, X):
            return [part * np.nan for part in super().predict_marginals(X)]

    with pytest.raises(ValueError, match="non-finite scores for 78 of 78 tokens"):
        quick_extender(Wrong(), source_signal="proba").fit(X_NEW, Y_NEW)

    class Narrow(WithArrays):
        def predict_marginals(self, X):
            return [part[:, :2] for part in super().predict_marginals(X)]

    with pytest.raises(ValueError, match="3 tags"):
        quick_extender(Narrow(), source_signal="proba").fit(X_NEW, Y_NEW)


def lower(X):
    return [[token.lower() for token in sentence] for sentence in X]


@pytest.mark.slow
def test_sources_in_wrappers_are_found(source, expected):
    frozen = quick_extender(FrozenEstimator(source)).fit(X_NEW, Y_NEW)
    assert_answers(frozen, expected)
    search = GridSearchCV(quick_tagger(), {"max_epochs": [20]}, cv=2).fit(X_OLD, Y_OLD)
    found = quick_extender(search, trainable="top").fit(X_NEW, Y_NEW)
    assert found.module_.lstm.forth.hidden_size == 8
    pipeline = make_pipeline(FunctionTransformer(lower), quick_tagger(max_epochs=20))
    behind = quick_extender(pipeline.fit(X_OLD, Y_OLD), max_epochs=15)
    assert behind.fit(X_NEW, Y_NEW).predict(X_NEW) == Y_NEW
    assert_refused(
        behind.set_params(trainable="top"), lambda: behind.fit(X_NEW, Y_NEW), "Pipeline"
    )


def test_tags_of_a_foreign_source_are_named_as_it_gives_them():
    class Beyond(Foreign):
        """It gives tags that are not among its classes."""

        classes_ = ["O", "S-album", "B-album", "E-album"]
        known = {"Thriller": "S-album", "Blue": "S-place", "Dune": "UNKNOWN"}

    with pytest.raises(
        ValueError, match=r"tags \['S-place', 'UNKNOWN'\], which are not"
    ):
        quick_extender(Beyond()).fit(X_NEW, Y_NEW)

    class Mixed(Foreign):
        known = {"Thriller": "B-album", "Dune": "LOC"}

    with pytest.raises(ValueError, match="'LOC' in the classes of `estimator`"):
        quick_extender(Mixed()).fit(X_NEW, Y_NEW)
