"""Rows, piles and names in the many forms in which they come."""

import numpy as np
import pandas as pd
import pytest
import scipy.sparse as sp
from extension_data import fitted_source, four_blobs, quick_extender, small_network
from numpy.testing import assert_allclose, assert_array_equal
from refusals import assert_refused
from sklearn.ensemble import RandomForestClassifier
from sklearn.feature_extraction.text import TfidfVectorizer
from sklearn.frozen import FrozenEstimator
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import GridSearchCV
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from tagging_data import X_NEW, X_OLD, Y_NEW, Y_OLD, quick_tagger
from tagging_data import quick_extender as quick_tag_extender

from skdeep.transfer import AdapterExtender, compare_extensions


@pytest.fixture(scope="module")
def problem():
    return four_blobs()


@pytest.mark.parametrize("method", ["adapter", "stacking", "gate"])
def test_sparse_rows_are_answered_after_a_fit_to_dense_ones(method, problem):
    extender = quick_extender(method=method, max_epochs=3)
    extender.fit(problem.X_new, problem.y_new)
    rows = sp.coo_matrix(problem.X_test)
    assert_allclose(
        extender.predict_proba(rows), extender.predict_proba(problem.X_test), atol=1e-6
    )
    assert_allclose(
        extender.transform(rows), extender.transform(problem.X_test), atol=1e-6
    )


def test_a_pile_may_be_sparse_where_rows_are_dense(problem):
    new = problem.y_new > 1
    one, other = (
        AdapterExtender(fitted_source(), new_annotation="new_only").fit(
            problem.X_new[new], problem.y_new[new], X_unlabeled=pile
        )
        for pile in (problem.X_test, sp.csr_array(problem.X_test))
    )
    assert_allclose(
        one.predict_proba(problem.X_test),
        other.predict_proba(problem.X_test),
        atol=1e-5,
    )


PILES = {
    "NaN": (lambda X: X * np.nan, "contains NaN"),
    "narrow": (lambda X: X[:, :3], "3 features"),
    "empty": (lambda X: X[:0], "0 sample"),
    "text": (lambda X: "text", "Got str"),
}


@pytest.mark.parametrize("row", PILES)
def test_a_bad_pile_is_refused_by_its_name(row, problem):
    spoil, words = PILES[row]
    extender, new = AdapterExtender(fitted_source()), problem.y_new > 1
    rows, pile = (problem.X_new[new], problem.y_new[new]), spoil(problem.X_test)
    assert_refused(
        extender,
        lambda: extender.fit(*rows, X_unlabeled=pile),
        "`X_unlabeled`",
        words,
    )


GAPS = {
    "nan": lambda frame: frame,
    "NA": lambda frame: frame.astype("Float64"),
    "None": lambda frame: frame.astype(object).where(frame.notna(), None),
}


@pytest.mark.parametrize("kind", GAPS)
def test_missing_values_are_found_in_frames_of_any_kind(kind, problem):
    frame = pd.DataFrame(problem.X_new, columns=list("abcde"))
    rows = frame.mask(np.arange(600).reshape(120, 5) % 11 == 0)
    old = pd.DataFrame(problem.X_old, columns=list("abcde"))
    forest = RandomForestClassifier(10, random_state=0).fit(old, problem.y_old)
    given = GAPS[kind](rows)
    extender = quick_extender(forest).fit(given, problem.y_new)
    expected = quick_extender(forest).fit(rows, problem.y_new)
    assert_array_equal(extender.predict_proba(given), expected.predict_proba(rows))
    complete = quick_extender(forest).fit(frame, problem.y_new)
    assert_array_equal(complete.predict_proba(given), complete.predict_proba(rows))
    assert_refused(
        complete,
        lambda: complete.partial_fit(given, problem.y_new),
        "`estimator` takes missing values.*set `features` to 'scores'",
    )


def test_no_rows_of_text_are_refused(problem):
    texts = [f"word{label}" for label in problem.y_new]
    source = make_pipeline(TfidfVectorizer(), LogisticRegression())
    source.fit(texts, problem.y_new % 2)
    extender = quick_extender(source).fit(texts, problem.y_new)
    for rows in ([], np.array([], dtype=str)):
        assert_refused(extender, lambda: extender.predict(rows), "0 sample")  # noqa: B023
    for rows in (5, np.array(5), object(), "text"):
        assert_refused(extender, lambda: extender.predict(rows), "must hold rows")  # noqa: B023


@pytest.mark.parametrize("form", ["coo", "csc"])
def test_sparse_rows_of_any_form_make_one_extender_of_many(form, problem):
    first = quick_extender().fit(problem.X_new[:60], problem.y_new[:60])
    rows = sp.csr_matrix(problem.X_new).asformat(form)
    assert first.collapse(rows).score(problem.X_test, problem.y_test) > 0.9


BAD_NAMES = {
    "a number": (5, "`classes` must be a 1d array of labels. Got int"),
    "text": ("ab", "`classes` must be a 1d array of labels. Got str"),
    "none": ([], "`classes` must be a 1d array"),
    "two axes": ([[0, 1]], r"shape \(1, 2\)"),
    "NaN": ([0, np.nan], "classes contains NaN"),
}


@pytest.mark.parametrize("row", BAD_NAMES)
def test_classes_that_are_no_labels_are_refused(row, problem):
    names, words = BAD_NAMES[row]
    for extender in (
        quick_extender(fitted_source()),
        quick_extender(small_network().eval()),
        quick_extender(LogisticRegression(), prefit=False),
    ):
        fit = lambda: extender.fit(problem.X_new, problem.y_new, classes=names)  # noqa: B023, E731
        assert_refused(extender, fit, words)
    tagger = quick_tag_extender(quick_tagger(), prefit=False)
    assert_refused(tagger, lambda: tagger.fit(X_OLD, Y_OLD, classes=names), words)


def test_labels_beyond_those_expected_are_refused_for_a_new_source_too(problem):
    extender = quick_extender(LogisticRegression(), prefit=False)
    assert_refused(
        extender,
        lambda: extender.fit(problem.X_new, problem.y_new, classes=[0, 1]),
        r"y holds 2, which is not among `classes` \[0, 1\]",
    )
    extender.fit(problem.X_old, problem.y_old, classes=[0, 1, 2])
    assert extender.classes_.tolist() == [0, 1]


def test_models_in_a_grid_are_frozen_or_the_message_says_so(problem):
    models = [fitted_source(), fitted_source(C=1e-4)]
    extender = quick_extender()
    grid = {"estimator": [FrozenEstimator(model) for model in models]}
    search = GridSearchCV(extender, grid, cv=2, error_score="raise")
    search.fit(problem.X_new, problem.y_new)
    assert search.best_estimator_.estimator.estimator in models
    scaler = StandardScaler().fit(problem.X_old)
    for grid in ({"estimator": models}, {"features": [scaler]}):
        search = GridSearchCV(extender, grid, cv=2, error_score="raise")
        with pytest.raises(ValueError, match="put it into a FrozenEstimator"):
            search.fit(problem.X_new, problem.y_new)


def test_tags_that_are_missing_are_refused_in_a_score(problem):
    extender = quick_tag_extender(quick_tagger(), prefit=False).fit(X_OLD, Y_OLD)
    assert_refused(extender, lambda: extender.score(X_OLD, None), "y is None")
    assert_refused(extender, lambda: extender.score(X_OLD, Y_OLD[1:]), "18 sentences")
    assert extender.score(iter(X_OLD), iter(Y_OLD)) == extender.score(X_OLD, Y_OLD)
    for rows in (None, "text", 5):
        assert_refused(extender, lambda: extender.collapse(rows), "list of sentences")  # noqa: B023


def test_a_tag_of_another_scheme_is_named():
    extender = quick_tag_extender(quick_tagger().fit(X_OLD, Y_OLD))
    y = [["LOC"] * len(tags) for tags in Y_NEW]
    assert_refused(extender, lambda: extender.fit(X_NEW, y), "'LOC'.*'plain'.*'BIO'")


BAD_COMPARISONS = {
    "no labels": ({"y": None}, "`y` is None"),
    "no test labels": ({"y_test": None}, "`y_test` is None"),
    "no parameters": ({"methods": {"mine": 5}}, "dict of parameters for 'mine'.*int"),
    "no seed": ({"random_state": "a"}, "'a' cannot be used to seed"),
    "no classes": ({"classes": 5}, "`classes` must be a 1d array"),
}


@pytest.mark.parametrize("row", BAD_COMPARISONS)
def test_a_comparison_of_nothing_is_refused(row, problem):
    params, words = BAD_COMPARISONS[row]
    data = {"X": problem.X_new, "y": problem.y_new}
    data |= {"X_test": problem.X_test, "y_test": problem.y_test}
    data |= {"methods": ["stacking"], **params}
    with pytest.raises(ValueError, match=words):
        compare_extensions(fitted_source(), **data)
