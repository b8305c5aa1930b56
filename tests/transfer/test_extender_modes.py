"""Tests of the choice between rows with one label and sentences with tags."""

import copy
import pickle

import numpy as np
import pytest
from extension_data import fitted_source, four_blobs, quick_extender
from sklearn.base import clone, is_classifier
from sklearn.exceptions import NotFittedError
from sklearn.frozen import FrozenEstimator
from sklearn.model_selection import GridSearchCV, cross_val_score

from skdeep.transfer import AdapterExtender, SequenceTagger
from skdeep.transfer._modes import are_sentences, resolve_mode

X = [
    ["go", "to", "Paris", "now"],
    ["see", "Ann", "in", "Rome"],
    ["Bob", "eats", "rice"],
    ["fly", "to", "Oslo"],
] * 10
Y = [
    ["O", "O", "B-city", "O"],
    ["O", "B-name", "O", "B-city"],
    ["B-name", "O", "B-food"],
    ["O", "O", "B-city"],
] * 10
Y_OLD = [["O" if tag == "B-food" else tag for tag in tags] for tags in Y]
QUICK = {"max_epochs": 6, "random_state": 0, "device": "cpu"}


@pytest.fixture(scope="module")
def tagger():
    return SequenceTagger(**QUICK).fit(X, Y_OLD)


@pytest.fixture(scope="module")
def extended(tagger):
    return AdapterExtender(tagger, **QUICK).fit(X, Y)


def test_sentences_are_told_from_rows():
    assert are_sentences(X)
    assert are_sentences([[], ["a"]])
    assert are_sentences(np.array([["a"], ["b", "c"]], dtype=object))
    for other in (
        np.zeros((2, 3)),
        [[1.0, 2.0]],
        ["some text", "more"],
        [0, 1],
        [],
        iter(X),
        None,
    ):
        assert not are_sentences(other)


def test_mode_comes_from_the_source_before_the_data(tagger):
    class Predicts:
        def predict(self, X):
            return X

    class AlsoWithMarginals(Predicts):
        def predict_marginals(self, X):
            return X

    problem = four_blobs()
    rows = problem.X_new, problem.y_new
    assert resolve_mode(AdapterExtender(tagger), *rows) == "sequence"
    assert resolve_mode(AdapterExtender(FrozenEstimator(tagger)), *rows) == "sequence"
    assert resolve_mode(AdapterExtender(AlsoWithMarginals()), *rows) == "sequence"
    assert resolve_mode(AdapterExtender(fitted_source()), X, Y) == "classifier"
    assert resolve_mode(AdapterExtender(Predicts()), *rows) == "classifier"
    assert resolve_mode(AdapterExtender(Predicts()), X, Y) == "sequence"
    assert resolve_mode(AdapterExtender(Predicts()), X, rows[1]) == "classifier"
    asked = AdapterExtender(Predicts(), mode="sequence")
    assert resolve_mode(asked, *rows) == "sequence"


def test_a_tagger_is_extended_as_a_tagger(tagger, extended):
    assert extended.mode_ == "sequence"
    assert not is_classifier(extended)
    assert not hasattr(extended, "predict_proba")
    assert "B-food" in extended.new_classes_
    assert extended.predict(X[:4]) == Y[:4]
    assert extended.predict_source(X[:4]) == Y_OLD[:4]
    assert extended.score(X, Y) == 1
    assert extended.predict_marginals(X[:2])[0].shape == (4, len(extended.classes_))


def test_copies_of_an_extended_tagger_answer_alike(tagger, extended):
    before = pickle.dumps(tagger)
    for copied in (pickle.loads(pickle.dumps(extended)), copy.deepcopy(extended)):
        assert copied.predict(X) == extended.predict(X)
    assert clone(extended).estimator is tagger
    assert pickle.dumps(tagger) == before


@pytest.mark.slow
def test_taggers_go_through_searches(tagger):
    extender = AdapterExtender(tagger, **QUICK)
    assert cross_val_score(extender, X, Y, cv=2).min() > 0.9
    grid = {"method": ["adapter", "finetune"]}
    assert GridSearchCV(extender, grid, cv=2).fit(X, Y).best_score_ > 0.9


def test_sentences_of_all_calls_are_learned(tagger, extended):
    extender = AdapterExtender(tagger, **QUICK).partial_fit(X[:8], Y[:8])
    extender.partial_fit(X[8:], Y[8:])
    assert extender.predict_marginals(X[:1])[0].tolist() == (
        extended.predict_marginals(X[:1])[0].tolist()
    )
    with pytest.raises(ValueError, match="`X_unlabeled` was given to one call"):
        extender.partial_fit(X, Y, X_unlabeled=X)


def test_without_a_fitted_tagger_the_first_sentences_fit_it(tagger):
    extender = AdapterExtender(SequenceTagger(**QUICK), prefit=False, **QUICK)
    with pytest.raises(NotFittedError):
        extender.predict(X)
    extender.fit(X, Y_OLD)
    assert extender.method_ == "source"
    assert extender.predict(X[:4]) == tagger.predict(X[:4])
    assert extender.score(X, Y_OLD) == 1
    assert len(extender.predict_marginals(X[:1])[0]) == 4
    extender.partial_fit(X, Y)
    assert extender.method_ == "adapter"
    assert extender.score(X, Y) == 1


def test_an_extended_tagger_is_extended_and_collapsed(tagger, extended):
    more = [
        ["B-town" if word == "Rome" else tag for word, tag in zip(*pair)]
        for pair in zip(X, Y)
    ]
    chain = extended.extend(X, more)
    assert chain.estimator is extended
    assert "B-town" in chain.new_classes_
    single = chain.collapse(X)
    assert single.estimator is tagger
    assert single.classes_.tolist() == chain.classes_.tolist()
    assert single.predict(X[:4]) == more[:4]
    with pytest.raises(ValueError, match="no token that the extender takes for 'food'"):
        chain.collapse(X[:2])
    with (
        pytest.raises(ValueError, match="is known already.*use `partial_fit`"),
        pytest.warns(UserWarning, match="no new type"),
    ):
        extended.extend(X, Y)


def test_an_unfitted_tagger_is_refused():
    with pytest.raises(NotFittedError, match="fit `estimator` first"):
        AdapterExtender(SequenceTagger(), **QUICK).fit(X, Y)


def test_rows_stay_rows_after_a_fit():
    problem = four_blobs()
    extender = quick_extender().fit(problem.X_new, problem.y_new)
    assert extender.mode_ == "classifier"
    assert is_classifier(extender)
