"""Bad and odd labels, one for each sample.

Identifiers such as R201 name a promise, as in `test_reliability_x.py`.
"""

import copy

import numpy as np
import pandas as pd
import polars as pl
import pytest
import torch
from estimators import CASES, answers, assert_same_answers, assert_valid_answers
from refusals import assert_refused, forbid_training
from sklearn.base import is_classifier
from sklearn.exceptions import DataConversionWarning
from sklearn.utils import get_tags

SINGLE = [case for case in CASES if case.target == "single"]


@pytest.fixture(scope="module", params=SINGLE, ids=[case.id for case in SINGLE])
def case(request):
    return request.param


@pytest.fixture(scope="module")
def fitted(case):
    return case.fitted()


def one(value, dtype=object):
    """Make a copy of y that holds `value` in one place."""

    def make(y):
        y = y.astype(dtype)
        y[3] = value
        return y

    return make


def one_hot(y):
    return np.eye(3, dtype=int)[y]


def nullable(y):
    series = pd.Series(y).astype("Int64")
    series[4] = pd.NA
    return series


REFUSED = {
    "R201 None": (lambda y: None, "requires y to be passed, but the target y is None"),
    "R202 too short": (
        lambda y: y[:-1],
        "inconsistent numbers? of samples",
        "90",
        "89",
    ),
    "R202 too long": (lambda y: np.r_[y, 0], "inconsistent numbers? of samples", "91"),
    "R202 empty": (lambda y: y[:0], "inconsistent numbers? of samples", r"\b0\b"),
    "R203 NaN": (one(np.nan, float), "Input y contains NaN"),
    "R203 infinity": (one(np.inf, float), "Input y contains infinity"),
    "R203 None among integers": (one(None), "y", "None"),
    "R203 None among text": (lambda y: one(None)(y.astype(str)), "y", "None"),
    "R203 NaN among text": (lambda y: one(np.nan)(y.astype(str)), "y", "NaN"),
    "R203 pandas NA": (nullable, "y", "NaN|NA"),
    "R203 missing category": (
        lambda y: pd.Categorical.from_codes(np.r_[-1, y[1:]], list("abc")),
        "y",
        "NaN",
    ),
    "R203 not a time": (lambda y: np.full(len(y), "NaT", "M8[s]"), "y"),
    "R204 fractions": (lambda y: y + 0.5, "Unknown label type: continuous"),
    "R206 text and integers": (one("cat"), "mixed types|uniformly strings or integers"),
    "R206 bytes and text": (
        lambda y: np.array([b"a", "b"] * (len(y) // 2), dtype=object),
        "mixed types|labels represented as bytes",
    ),
    "R208 one-hot": (one_hot, "1d array", "multi-label"),
    "R208 one-hot frame": (
        lambda y: pd.DataFrame(one_hot(y)),
        "1d array",
        "multi-label",
    ),
    "R208 lists of labels": (lambda y: [[int(code), 1] for code in y], "multi-label"),
    "R208 ragged lists": (
        lambda y: [[1]] + [[int(code), 1] for code in y[1:]],
        r"\by\b",
        "inhomogeneous|multi-label|1d array",
    ),
    "R208 three dimensions": (lambda y: y[:, None, None], r"\by\b", "1d array|dim"),
    "R209 complex": (lambda y: y + 1j, "complex data not supported"),
    "R209 generator": (lambda y: (code for code in y), "y", "generator"),
    "R209 scalar": (lambda y: 1, "y", r"\bint\b|scalar"),
    "R209 array without axis": (lambda y: np.array(1), "y", r"0|scalar|shape \(\)"),
    "R209 str": (lambda y: "cat" * 30, "y", r"\bstr\b"),
    "R209 dict": (lambda y: dict(enumerate(y)), "y", "dict"),
    "R209 dicts": (lambda y: [{}] * len(y), "y", "dict"),
    "R209 dates": (lambda y: y.astype("M8[D]"), "Unknown label type", "datetime64"),
    "R209 records": (
        lambda y: np.array([(code, 1) for code in y], dtype="i4,i4"),
        "Unknown label type|dtype",
    ),
}


@pytest.mark.parametrize("row", REFUSED)
def test_bad_labels_are_refused(row, case, fitted, monkeypatch):
    tags = get_tags(case.estimator).classifier_tags
    if "R208" in row and tags is not None and tags.multi_label:
        return  # not bad for this one; its own tests tell which sets it takes
    if "R201" in row and not get_tags(case.estimator).target_tags.required:
        return  # it works without labels
    forbid_training(monkeypatch)
    X, y, _ = case.make_data()
    spoil, *words = REFUSED[row]
    estimator = copy.copy(fitted)
    assert_refused(estimator, lambda: estimator.fit(X, spoil(y)), *words)


CODES = {
    "R205 integral floats": lambda y: y.astype(float),
    "R205 float32": lambda y: y.astype(np.float32),
    "R205 bool": lambda y: y > 0,
    "R205 uint8": lambda y: y.astype(np.uint8),
    "R205 uint64": lambda y: y.astype(np.uint64) + np.uint64(2**63),
    "R205 beyond 2**53": lambda y: y + 2**53,
    "R205 beyond 2**62": lambda y: y + 2**62 + 1,
    "R205 negative": lambda y: -y,
    "R205 gaps": lambda y: np.array([-7, 5, 10**9])[y],
    "R205 text": lambda y: np.array(["red", "green", "blå"])[y],
    "R205 text objects": lambda y: np.array(["red", "green", "b"], dtype=object)[y],
    "R205 integer objects": lambda y: y.astype(object),
    "R205 big-endian": lambda y: y.astype(">i4"),
    "R205 int8": lambda y: y.astype(np.int8),
}


@pytest.mark.parametrize("row", CODES)
def test_labels_of_any_kind_keep_their_values(row, case):
    X, y, rows = case.make_data()
    labels = CODES[row](y)
    estimator = case.new()
    if "unlabeled_label" in estimator.get_params():  # -1 says there that none is known
        estimator.set_params(unlabeled_label=-9)
    estimator.fit(X, labels)
    assert estimator.classes_.tolist() == sorted(set(labels.tolist()))
    if labels.dtype != object:
        assert estimator.classes_.dtype == labels.dtype
    assert_valid_answers(estimator, rows, len(rows))


@pytest.mark.parametrize(
    "names", [["a", "b", "c"], [5, 10**9, 2**60], [False, 3, 7], [0.0, 1.0, 2.0]]
)
def test_R407_other_names_of_the_classes_change_nothing(names, case, fitted):
    X, y, rows = case.make_data()
    renamed = answers(case.new().fit(X, np.array(names)[y]), rows)
    expected = answers(fitted, rows)
    if is_classifier(fitted):
        expected["predict"] = np.array(names)[expected["predict"]]
    assert_same_answers(renamed, expected)


CONTAINERS = {
    "R205 list": list,
    "R205 list of python integers": lambda y: y.tolist(),
    "R205 tuple": tuple,
    "R205 series": pd.Series,
    "R205 series with a shuffled index": lambda y: pd.Series(
        y, index=np.arange(90)[::-1]
    ),
    "R205 series with one index": lambda y: pd.Series(y, index=[3] * 90),
    "R205 nullable series": lambda y: pd.Series(y).astype("Int64"),
    "R205 polars": lambda y: pl.Series(y.copy()),
    "R205 tensor": lambda y: torch.tensor(y),
    "R205 strided": lambda y: np.repeat(y, 3)[::3],
    "R205 read-only": lambda y: y,
}


@pytest.mark.parametrize("row", CONTAINERS)
def test_labels_in_any_container_train_alike(row, case, fitted):
    X, y, rows = case.make_data()
    estimator = case.new().fit(X, CONTAINERS[row](y))
    assert_same_answers(answers(estimator, rows), answers(fitted, rows))


TEXT = {
    "R205 categorical": pd.Categorical,
    "R205 categorical series": lambda y: pd.Series(y, dtype="category"),
    "R205 series of str": lambda y: pd.Series(y, dtype="str"),
    "R205 polars text": lambda y: pl.Series(y.tolist()),
}


@pytest.mark.parametrize("row", TEXT)
def test_text_labels_in_any_container_train_alike(row, case, fitted):
    X, y, rows = case.make_data()
    estimator = case.new().fit(X, TEXT[row](np.array(["a", "b", "c"])[y]))
    assert estimator.classes_.tolist() == ["a", "b", "c"]
    expected, found = answers(fitted, rows), answers(estimator, rows)
    if is_classifier(fitted):
        del expected["predict"], found["predict"]
    assert_same_answers(found, expected)


def test_R207_column_of_labels_is_taken_with_a_warning(case, fitted):
    X, y, rows = case.make_data()
    with pytest.warns(DataConversionWarning, match="column-vector"):
        estimator = case.new().fit(X, y[:, None])
    assert_same_answers(answers(estimator, rows), answers(fitted, rows))


# counts of the embedder: it learns from pairs within and between classes

EMBEDDERS = [case for case in CASES if case.name == "TCMEmbedder"]


@pytest.fixture(scope="module")
def embedder():
    return EMBEDDERS[0].fitted()


def test_R210_one_class_is_refused(embedder, blobs, monkeypatch):
    forbid_training(monkeypatch)
    assert_refused(
        embedder,
        lambda: embedder.fit(blobs[0], ["cat"] * 90),
        "at least 2 classes",
        "at least 2 samples",
        r"\b1 class\b",
        "90 samples",
    )


def test_R212_every_row_its_own_class_is_refused(embedder, blobs, monkeypatch):
    forbid_training(monkeypatch)
    assert_refused(
        embedder,
        lambda: embedder.fit(blobs[0], range(90)),
        "at least 2 classes",
        "90 classes",
        r"\b0\b",
    )


def test_R212_one_pair_among_singles_is_refused(embedder, blobs, monkeypatch):
    forbid_training(monkeypatch)
    assert_refused(
        embedder,
        lambda: embedder.fit(blobs[0], [0, 0, *range(1, 89)]),
        "at least 2 classes",
        r"\b1 has 2 or more",
    )


def test_R211_class_with_one_member_is_left_out_with_one_warning(embedder, blobs):
    X, y, rows = EMBEDDERS[0].make_data()
    labels = np.where(np.arange(90) == 7, 99, y)
    with pytest.warns(UserWarning, match="single sample.*99.*left out") as caught:
        estimator = EMBEDDERS[0].new().fit(X, labels)
    assert len(caught) == 1
    assert caught[0].filename == __file__
    assert 99 in estimator.classes_
    assert_valid_answers(estimator, rows, len(rows))


def test_R211_two_classes_of_two_samples_suffice(blobs):
    X, _ = blobs
    estimator = EMBEDDERS[0].new().fit(X[:4], [0, 0, 1, 1])
    assert_valid_answers(estimator, X, 90)
