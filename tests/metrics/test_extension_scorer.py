"""Tests of the scorer of models that learned new classes."""

import pickle

import numpy as np
import pytest
from sklearn.base import BaseEstimator, clone
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import GridSearchCV, KFold, cross_validate
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import FunctionTransformer, StandardScaler

from skdeep.datasets import load_snips
from skdeep.metrics import extension_scores, make_extension_scorer

KINDS = ("harmonic", "old", "new", "all", "min")


class Extender(LogisticRegression):
    """Stands for an extender whose source knows all digits but 8 and 9."""

    @property
    def old_class_mask_(self):
        return self.classes_ < 8


class TagByWord(BaseEstimator):
    """Tagger that remembers the tag of each word."""

    def __init__(self, min_length=0):
        self.min_length = min_length

    def fit(self, X, y):
        self.tag_of_ = {
            token: tag
            for tokens, tags in zip(X, y)
            for token, tag in zip(tokens, tags)
            if len(token) >= self.min_length
        }
        self.classes_ = np.unique(np.concatenate(y))
        self.old_types_ = ["playlist", "city"]
        return self

    def predict(self, X):
        return [[self.tag_of_.get(token, "O") for token in tokens] for tokens in X]


def test_each_kind_is_a_number_of_the_report(digits):
    X, y = digits
    model = Extender(C=0.01).fit(X[:300], y[:300])
    scores = extension_scores(y, model.predict(X), list(range(8)))
    scores["min"] = min(scores["old"], scores["new"])
    for kind in KINDS:
        assert make_extension_scorer(kind)(model, X, y) == scores[kind]
        piped = make_pipeline(FunctionTransformer(), model)
        assert make_extension_scorer(kind)(piped, X, y) == scores[kind]


def test_any_classifier_is_scored_if_the_old_classes_are_given(digits):
    X, y = digits
    plain, extender = (
        cls(C=0.01).fit(X[:300], y[:300]) for cls in (LogisticRegression, Extender)
    )
    given = make_extension_scorer("harmonic", old_classes=range(8))
    assert given(plain, X, y) == make_extension_scorer()(extender, X, y)
    with pytest.raises(TypeError, match="does not tell which of its classes are old"):
        make_extension_scorer()(plain, X, y)


def test_searches_choose_by_the_scorer(digits):
    X, y = digits
    search = GridSearchCV(
        make_pipeline(StandardScaler(), Extender()),
        {"extender__C": [1e-6, 0.1]},
        scoring={kind: make_extension_scorer(kind) for kind in KINDS},
        refit="harmonic",
        cv=2,
        error_score="raise",
    ).fit(X[:400], y[:400])
    assert search.best_params_ == {"extender__C": 0.1}
    for kind in KINDS:
        assert np.isfinite(search.cv_results_[f"mean_test_{kind}"]).all()


def test_taggers_are_scored_by_entities():
    X, y = load_snips("tagging", split="test", return_X_y=True)
    result = cross_validate(
        TagByWord(),
        X,
        y,
        scoring={kind: make_extension_scorer(kind) for kind in KINDS},
        cv=KFold(2, shuffle=True, random_state=0),
        error_score="raise",
        return_estimator=True,
        return_indices=True,
    )
    for i, model in enumerate(result["estimator"]):
        test = result["indices"]["test"][i]
        y_true, y_pred = [y[k] for k in test], model.predict([X[k] for k in test])
        scores = extension_scores(y_true, y_pred, ["playlist", "city"])
        assert result["test_harmonic"][i] == scores["harmonic"]
        assert result["test_min"][i] == min(scores["old"], scores["new"])


def test_data_without_old_or_new_classes_raise_and_never_give_nan(digits):
    X, y = digits
    model = Extender().fit(X[:300], y[:300])
    only_new, only_old = y >= 8, y < 8
    assert make_extension_scorer("new")(model, X[only_new], y[only_new]) > 0.5
    assert make_extension_scorer("all")(model, X[only_new], y[only_new]) > 0.5
    for kind in ("old", "harmonic", "min"):
        with pytest.raises(ValueError, match=f"no sample of old classes.*{kind!r}"):
            make_extension_scorer(kind)(model, X[only_new], y[only_new])
    with pytest.raises(ValueError, match="no sample of new classes, so kind='new'"):
        make_extension_scorer("new")(model, X[only_old], y[only_old])
    tagger = TagByWord().fit([["Oslo"]], [["B-city"]])
    with pytest.raises(
        ValueError, match="no entity of old classes and none of new classes"
    ):
        make_extension_scorer("all")(tagger, [["Oslo"]], [["O"]])


def test_scorer_of_extensions_can_be_sent_copied_and_read():
    scorer = make_extension_scorer("min")
    assert repr(scorer) == "make_extension_scorer('min')"
    given = make_extension_scorer(old_classes=("a", "b"))
    assert repr(given) == "make_extension_scorer('harmonic', old_classes=['a', 'b'])"
    for one in (scorer, given):
        for copy in (pickle.loads(pickle.dumps(one)), clone(one, safe=False)):
            assert repr(copy) == repr(one)


def test_wrong_arguments_of_the_scorer_are_refused_before_any_search():
    with pytest.raises(ValueError, match="`kind` must be one of"):
        make_extension_scorer("mean")
    with pytest.raises(ValueError, match="`old_classes` must be a list"):
        make_extension_scorer(old_classes="ant")
