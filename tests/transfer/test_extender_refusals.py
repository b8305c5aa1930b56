"""What the extender refuses or warns of, and with which words."""

import re
import warnings

import numpy as np
import pandas as pd
import pytest
import torch
from extension_data import fitted_source, four_blobs, quick_extender, small_network
from refusals import assert_refused
from sklearn.cluster import KMeans
from sklearn.ensemble import IsolationForest, RandomForestClassifier
from sklearn.exceptions import ConvergenceWarning, NotFittedError
from sklearn.frozen import FrozenEstimator
from sklearn.linear_model import (
    LinearRegression,
    LogisticRegression,
    RidgeClassifier,
)
from sklearn.multiclass import OneVsRestClassifier
from sklearn.neighbors import KNeighborsClassifier
from sklearn.neural_network import MLPClassifier
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from test_reliability_x import REFUSED as BAD_ROWS
from test_reliability_y import REFUSED as BAD_LABELS

from skdeep.exceptions import InvalidParameterError
from skdeep.transfer import AdapterExtender


class Broken:
    classes_ = np.array([0, 1])

    def predict_proba(self, X):
        return np.where(np.arange(len(X))[:, None] < 7, np.nan, 0.5) * np.ones((1, 2))


class Words:
    fitted_ = True

    def fit(self, X, y=None):
        return self

    def transform(self, X):
        return np.full((len(X), 1), "a")


class Reads:
    classes_ = np.array([0, 1])

    def predict(self, X):
        return np.arange(len(X)) % 2


@pytest.fixture(scope="module")
def problem():
    return four_blobs()


@pytest.fixture(scope="module")
def source():
    return fitted_source()


def refused(source, X, y, *words, error=(ValueError, TypeError), fit=None, **params):
    extender = quick_extender(source, **params)
    assert_refused(
        extender, lambda: extender.fit(X, y, **(fit or {})), *words, error=error
    )


@pytest.mark.parametrize(
    "unfitted",
    [
        LogisticRegression(),
        FrozenEstimator(LogisticRegression()),
        make_pipeline(StandardScaler(), LogisticRegression()),
        AdapterExtender(LogisticRegression()),
    ],
    ids=lambda model: type(model).__name__,
)
def test_an_unfitted_source_is_refused(unfitted, problem):
    refused(
        unfitted,
        problem.X_new,
        problem.y_new,
        "fit `estimator` first; the extender never trains it",
        error=NotFittedError,
    )


NO_CLASSIFIERS = {
    "regressor": lambda X, y: LinearRegression().fit(X, y),
    "clusterer": lambda X, y: KMeans(2, n_init=1).fit(X),
    "outlier detector": lambda X, y: IsolationForest(n_estimators=5).fit(X),
}


@pytest.mark.parametrize("kind", NO_CLASSIFIERS)
def test_what_is_no_classifier_is_refused(kind, problem):
    source = NO_CLASSIFIERS[kind](problem.X_old, problem.y_old)
    words = f"`estimator` is a {kind} \\({type(source).__name__}\\)"
    refused(source, problem.X_new, problem.y_new, words, error=ValueError)


def test_several_outputs_are_refused(problem):
    Y = np.column_stack([problem.y_old, 1 - problem.y_old])
    for source in (RandomForestClassifier(2), KNeighborsClassifier(1)):
        refused(
            source.fit(problem.X_old, Y),
            problem.X_new,
            problem.y_new,
            "has several outputs",
            type(source).__name__,
        )


def test_sets_of_labels_are_refused(problem):
    Y = np.column_stack([problem.y_old == 0, problem.X_old[:, 0] > 0])
    for source in (
        OneVsRestClassifier(LogisticRegression()),
        MLPClassifier(2, max_iter=5),
        RidgeClassifier(),
        make_pipeline(StandardScaler(), OneVsRestClassifier(LogisticRegression())),
    ):
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", ConvergenceWarning)
            source.fit(problem.X_old, Y.astype(int))
        y_new = np.full(len(problem.y_new), 9)
        refused(source, problem.X_new, y_new, "predicts several labels for a row")


def test_what_does_not_predict_is_refused_as_a_parameter(problem):
    source = StandardScaler().fit(problem.X_old)
    refused(
        source,
        problem.X_new,
        problem.y_new,
        "'estimator' parameter of AdapterExtender must be an object with 'predict'",
        error=InvalidParameterError,
    )


def test_a_network_needs_names_for_its_outputs(problem):
    network = small_network().eval()
    refused(network, problem.X_new, problem.y_new, "Pass `classes=` to fit")
    refused(
        network,
        problem.X_new,
        problem.y_new,
        r"shape \(120, 2\) for its 3 classes",
        fit={"classes": [0, 1, 2]},
    )


def test_labels_beyond_those_expected_are_refused(source, problem):
    refused(
        source,
        problem.X_new,
        problem.y_new,
        "y holds 3, which is not among `classes`",
        fit={"classes": [0, 1, 2]},
    )


def test_another_number_of_features_is_refused(source, problem):
    words = "X has 4 features, but AdapterExtender is expecting 5 features as input"
    refused(source, problem.X_new[:, :4], problem.y_new, words)
    extender = quick_extender(source).fit(problem.X_new, problem.y_new)
    for name in ("predict", "predict_proba", "predict_source", "decision_function"):
        ask = getattr(extender, name)
        assert_refused(extender, lambda: ask(problem.X_test[:, :4]), words)  # noqa: B023


KINDS = {
    "text for numbers": (None, ["0", "1", "2", "3"], "numbers", "text", "'0'"),
    "numbers for text": (["a", "b", "c", "d"], [0, 1, 2, 3], "text", "numbers", "'a'"),
    "bytes for text": (["a", "b", "c", "d"], [b"a", b"b", b"c", b"d"], "text", "bytes"),
}


@pytest.mark.parametrize("row", KINDS)
def test_old_and_new_labels_of_two_kinds_are_refused(row, problem):
    old, new, *words = KINDS[row]
    refused(
        fitted_source(old),
        problem.X_new,
        np.array(new)[problem.y_new],
        "of one kind",
        *words,
        error=TypeError,
    )


def test_missing_labels_are_refused(source, problem):
    for missing in (np.nan, None):
        y = problem.y_new.astype(object)
        y[3] = missing
        refused(source, problem.X_new, y, "Input y contains NaN or None")


def test_no_labels_are_refused_before_anything_else(source):
    refused(source, object(), None, "requires y to be passed, but the target y is None")


def test_scores_that_are_not_finite_are_refused(problem):
    refused(
        Broken(),
        problem.X_new,
        problem.y_new,
        "`estimator` produced non-finite scores for 7 of 120 samples",
    )


def test_rows_and_labels_of_different_number_are_refused(source, problem):
    refused(source, problem.X_new, problem.y_new[:-1], "inconsistent numbers", "119")


WEIGHTS = {
    "too few": (np.ones(3), r"sample_weight.shape == \(3,\), expected \(120,\)"),
    "negative": (-np.ones(120), "negative numbers"),
    "NaN": (np.full(120, np.nan), "NaN"),
    "text": (["a"] * 120, "must hold numbers"),
    "all zero": (np.zeros(120), "All rows have weight zero"),
}


@pytest.mark.parametrize("row", WEIGHTS)
def test_bad_weights_are_refused(row, source, problem):
    weight, words = WEIGHTS[row]
    refused(source, problem.X_new, problem.y_new, words, fit={"sample_weight": weight})


def test_bad_class_weights_are_refused(source, problem):
    refused(
        source,
        problem.X_new,
        problem.y_new,
        "`class_weight` names 9, which is no class",
        class_weight={9: 1.0},
        error=InvalidParameterError,
    )


@pytest.mark.parametrize("prefit", [True, False])
@pytest.mark.parametrize(
    "weight", [-1.0, np.nan, np.inf, None, True, np.True_, "2", [1.0], np.float32(-1)]
)
def test_class_weights_that_are_no_weights_are_refused(weight, prefit, source, problem):
    refused(
        source if prefit else LogisticRegression(),
        problem.X_new,
        problem.y_new,
        "`class_weight` gives the class 2 the weight",
        f"{re.escape(repr(weight))}; it must be a finite number of at least 0",
        class_weight={0: np.float32(0.5), 1: np.int64(2), 2: weight},
        prefit=prefit,
        error=InvalidParameterError,
    )


def test_a_transformer_that_is_not_fitted_is_refused(source, problem):
    refused(
        source,
        problem.X_new,
        problem.y_new,
        "transformer `features` .StandardScaler. is not fitted",
        features=StandardScaler(),
        error=NotFittedError,
    )


def test_features_that_are_no_numbers_are_refused(source, problem):
    refused(
        source,
        problem.X_new,
        problem.y_new,
        "features made of X are no finite numbers",
        features=Words(),
    )


def test_text_cannot_be_features(problem):
    texts = [f"text {number}" for number in range(120)]
    refused(
        Reads(),
        texts,
        problem.y_new,
        "X holds text.*Set `features` to 'scores' or to a fitted transformer",
        features="input",
    )
    assert quick_extender(Reads()).fit(texts, problem.y_new).classes_.tolist() == [
        *range(4)
    ]


def test_gold_labels_are_for_taggers(source, problem):
    refused(
        source,
        problem.X_new,
        problem.y_new,
        "source_signal='gold' is for taggers",
        source_signal="gold",
        error=InvalidParameterError,
    )


def test_new_only_is_refused_if_there_are_old_labels(source, problem):
    refused(
        source,
        problem.X_new,
        problem.y_new,
        "new_annotation='new_only' says .* 61 rows have old ones, such as 0",
        new_annotation="new_only",
    )


def test_the_gate_needs_five_samples_of_each_new_class(source, problem):
    few = np.r_[
        np.flatnonzero(problem.y_new == 2), np.flatnonzero(problem.y_new == 3)[:4]
    ]
    refused(
        source,
        problem.X_new[few],
        problem.y_new[few],
        "new class 3 has 4 samples",
        "novelty=None",
        method="auto",
        new_annotation="new_only",
    )
    refused(
        source,
        problem.X_new,
        problem.y_new,
        "`novelty` is None",
        method="gate",
        novelty=None,
        error=InvalidParameterError,
    )


def test_extend_is_for_new_classes(source, problem):
    extender = quick_extender(source).fit(problem.X_new, problem.y_new)
    assert_refused(
        extender,
        lambda: extender.extend(problem.X_new, problem.y_new),
        "Class 0 is known already",
        "use `partial_fit`",
    )


def test_collapse_needs_rows_of_all_classes(source, problem):
    extender = quick_extender(source).fit(problem.X_new, problem.y_new)
    rows = problem.X_test[problem.y_test < 2][:3]
    assert_refused(
        extender, lambda: extender.collapse(rows), "no row that the extender takes for"
    )


def test_unlabelled_rows_are_not_for_the_source(problem):
    extender = AdapterExtender(LogisticRegression(), prefit=False)
    assert_refused(
        extender,
        lambda: extender.fit(problem.X_old, problem.y_old, X_unlabeled=problem.X_new),
        "prefit=False the first call fits the source",
    )


def test_a_source_that_cannot_be_fitted_or_weighted_is_refused(problem):
    extender = AdapterExtender(small_network(), prefit=False)
    assert_refused(
        extender,
        lambda: extender.fit(problem.X_old, problem.y_old),
        "Sequential has no `fit`",
    )
    extender = AdapterExtender(KNeighborsClassifier(1), prefit=False)
    assert_refused(
        extender,
        lambda: extender.fit(
            problem.X_old, problem.y_old, sample_weight=np.ones(len(problem.y_old))
        ),
        "takes no `sample_weight`",
        "KNeighborsClassifier",
    )


def test_predict_before_fit_is_refused(source, problem):
    for name in ("predict", "predict_proba", "predict_source", "decision_function"):
        with pytest.raises(NotFittedError):
            getattr(AdapterExtender(source), name)(problem.X_test)
    with pytest.raises(NotFittedError):
        AdapterExtender(source).extend(problem.X_new, problem.y_new)
    with pytest.raises(NotFittedError):
        AdapterExtender(source).collapse(problem.X_new)


def test_new_classes_alone_are_told_of_once_in_the_caller_s_file(source, problem):
    new = problem.y_new > 1
    X, y = problem.X_new[new], problem.y_new[new]
    extender = quick_extender(source, method="auto")
    with pytest.warns(UserWarning, match="X_unlabeled") as caught:
        extender.fit(X, y)
    assert len(caught) == 1
    assert caught[0].filename == __file__
    assert extender.annotation_ == "new_only"
    assert extender.method_ == "gate"
    assert extender.retention_ is None
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        quick_extender(source, method="gate", new_annotation="new_only").fit(X, y)


def test_R216_old_classes_alone_are_told_of_once_in_the_caller_s_file(source, problem):
    old = problem.y_new < 2
    X, y = problem.X_new[old], problem.y_new[old]
    with pytest.warns(
        UserWarning, match="no class that `estimator` does not"
    ) as caught:
        extender = quick_extender(source).fit(X, y)
    assert len(caught) == 1
    assert caught[0].filename == __file__
    assert extender.classes_.tolist() == [0, 1]
    assert extender.decision_function(X).ndim == 1
    with pytest.warns(UserWarning, match="only adapts"):
        extender.fit(X[y == 1], y[y == 1])
    assert extender.method_ == "source"
    np.testing.assert_array_equal(
        extender.predict(problem.X_test), source.predict(problem.X_test)
    )


def test_column_of_a_frame_that_holds_text_is_refused(source, problem):
    frame = pd.DataFrame(problem.X_new).assign(word="red")
    frame.columns = frame.columns.astype(str)
    extender = quick_extender(source)
    with pytest.raises(ValueError, match="red|feature"):
        extender.fit(frame, problem.y_new)


def test_a_tensor_on_a_foreign_device_is_refused(source, problem):
    rows = torch.empty(problem.X_new.shape, device="meta")
    refused(source, rows, problem.y_new, "meta", "device")


@pytest.mark.parametrize("row", BAD_ROWS)
def test_bad_rows_are_refused_at_fit_and_afterwards(row, source, problem):
    spoil, *words = BAD_ROWS[row]
    extender = quick_extender(source).fit(problem.X_new, problem.y_new)
    assert_refused(
        extender, lambda: extender.fit(spoil(problem.X_new), problem.y_new), *words
    )
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", "X has feature names")
        for name in ("predict", "predict_proba", "predict_source"):
            ask = getattr(extender, name)
            assert_refused(extender, lambda: ask(spoil(problem.X_test)), *words)  # noqa: B023


@pytest.mark.parametrize("row", BAD_LABELS)
def test_bad_labels_are_refused(row, source, problem):
    spoil, *words = BAD_LABELS[row]
    known = problem.y_new < 3  # the table counts 90 rows of three classes
    X, y = (
        np.tile(part[known], (2,) + (1,) * (part.ndim - 1))[:90]
        for part in problem[2:4]
    )
    extender = quick_extender(source).fit(problem.X_new, problem.y_new)
    assert_refused(extender, lambda: extender.fit(X, spoil(y)), *words)
