"""Bad and odd label sets.

Identifiers such as R301 name a promise, as in `test_reliability_x.py`.
"""

import copy

import numpy as np
import pandas as pd
import polars as pl
import pytest
import scipy.sparse as sp
import torch
from numpy.testing import assert_array_equal
from refusals import assert_refused, forbid_training
from sklearn.base import clone
from sklearn.exceptions import DataConversionWarning, NotFittedError
from sklearn.preprocessing import MultiLabelBinarizer
from tiny_chains import few_rows, small

from skdeep.exceptions import InvalidParameterError
from skdeep.multilabel._objectives import OBJECTIVES

N, L = 60, 4


@pytest.fixture(scope="module")
def data():
    return few_rows(N, L)


@pytest.fixture(scope="module")
def fitted(data):
    return small().fit(*data)


@pytest.fixture(scope="module")
def expected(fitted, data):
    return fitted.predict_proba(data[0])


def one(value, dtype=object):
    """Make a copy of Y that holds `value` in one place."""

    def make(Y):
        Y = Y.astype(dtype)
        Y[3, 1] = value
        return Y

    return make


def sets_of(Y, kind=list):
    return [kind(np.flatnonzero(row).tolist()) for row in Y]


def object_vector(items):
    vector = np.empty(len(items), dtype=object)
    vector[:] = items
    return vector


def names_of(Y):
    return [["abcd"[label] for label in labels] for labels in sets_of(Y)]


COLLECTIONS = {
    "R301 lists of indices": sets_of,
    "R301 tuples of indices": lambda Y: tuple(sets_of(Y, tuple)),
    "R301 sets": lambda Y: sets_of(Y, set),
    "R301 frozensets": lambda Y: sets_of(Y, frozenset),
    "R301 lists of names": names_of,
    "R301 as many names in each": lambda Y: [["a", "b"]] * N,
    "R301 arrays of indices": lambda Y: [np.flatnonzero(row) for row in Y],
    "R301 vector of lists": lambda Y: object_vector(sets_of(Y)),
    "R301 vector of sets": lambda Y: object_vector(sets_of(Y, set)),
    "R301 series of lists": lambda Y: pd.Series(sets_of(Y)),
    "R301 series of sets": lambda Y: pd.Series(sets_of(Y, set)),
    "R301 polars lists": lambda Y: pl.Series(sets_of(Y)),
    "R301 as many indices in each": lambda Y: [[0, 2]] * N,
}

REFUSED = {
    **{row: (make, "MultiLabelBinarizer") for row, make in COLLECTIONS.items()},
    "R303 2": (one(2, int), "must be 0/1", "got values such as 2", "column 1"),
    "R303 0, 1 and 2": (lambda Y: np.arange(N * L).reshape(N, L) % 3, "must be 0/1"),
    "R303 fractions": (lambda Y: 0.5 * Y, "must be 0/1", r"0\.5"),
    "R303 minus and plus": (lambda Y: 2 * Y - 1, "must be 0/1", "-1", "column 0"),
    "R303 NaN": (one(np.nan, float), "must be 0/1", "nan", "column 1"),
    "R303 infinity": (one(np.inf, float), "must be 0/1", "inf"),
    "R303 None": (one(None), "must be 0/1", "nan|None"),
    "R303 text": (lambda Y: Y.astype(str), "must be 0/1", "dtype <U"),
    "R303 text objects": (lambda Y: Y.astype(str).astype(object), "0/1", "text"),
    "R303 one word": (one("cat"), "must be 0/1", "cat"),
    "R303 bytes": (lambda Y: Y.astype("S1"), "must be 0/1"),
    "R303 text frame": (lambda Y: pd.DataFrame(Y).astype(str), "0/1", "text"),
    "R303 complex": (lambda Y: Y + 0j, "must be 0/1", "complex"),
    "R303 dates": (lambda Y: Y.astype("M8[D]"), "must be 0/1", "datetime64"),
    "R303 3-D": (lambda Y: Y[:, :, None], "two dimensions", r"\(60, 4, 1\)"),
    "R303 3-D lists": (lambda Y: Y[:, :, None].tolist(), "two dimensions"),
    "R303 csr of 2": (lambda Y: sp.csr_array(2 * Y), "must be 0/1", "such as 2"),
    "R303 csr of -1": (lambda Y: sp.csr_array(-Y), "must be 0/1", "such as -1"),
    "R303 csr with NaN": (lambda Y: sp.csr_array(one(np.nan, float)(Y)), "nan"),
    "R303 csr of complex": (lambda Y: sp.csr_array(Y + 0j), "0/1", "complex"),
    "R303 csr with a repeated entry": (
        lambda Y: sp.coo_array(([1, 1], ([0, 0], [2, 2])), shape=Y.shape),
        "must be 0/1",
        "such as 2 in column 2",
    ),
    "R303 sparse vector": (lambda Y: sp.coo_array(Y[:, 0]), "two dimensions"),
    "R303 masked": (lambda Y: np.ma.array(Y, mask=Y > 0), "NaN", "masked"),
    "R303 frame with NA": (
        lambda Y: pd.DataFrame(Y).astype("Int64").mask(Y > 0),
        "must be 0/1",
        "NA",
    ),
    "R303 value in a named column": (
        lambda Y: pd.DataFrame(3 * Y, columns=list("wxyz")),
        "must be 0/1",
        "column '[wxyz]'",
    ),
    "R306 no label column": (lambda Y: Y[:, :0], "no label column"),
    "R306 csr without columns": (lambda Y: sp.csr_array((N, 0)), "no label column"),
    "R306 too short": (lambda Y: Y[:-1], "inconsistent numbers? of samples", "60, 59"),
    "R306 csr too short": (lambda Y: sp.csr_array(Y[:-1]), "inconsistent", "60, 59"),
    "R306 too long": (lambda Y: np.r_[Y, Y], "inconsistent numbers? of", "60, 120"),
    "R306 empty": (lambda Y: Y[:0], "inconsistent numbers? of samples", "60, 0"),
    "R306 nothing": (lambda Y: None, "requires y to be passed"),
    "R308 all-zero": (lambda Y: 0 * Y, "no positive label in y"),
    "R308 all-zero csr": (lambda Y: sp.csr_array(Y.shape), "no positive label in y"),
    "R308 zeros that are stored": (
        lambda Y: sp.csr_array((0 * Y[Y > 0], np.nonzero(Y)), shape=Y.shape),
        "no positive label in y",
    ),
}


@pytest.mark.parametrize("row", REFUSED)
def test_bad_label_sets_are_refused(row, fitted, data, monkeypatch):
    forbid_training(monkeypatch)
    X, Y = data
    spoil, *words = REFUSED[row]
    estimator = copy.copy(fitted)
    assert_refused(estimator, lambda: estimator.fit(X, spoil(Y)), *words)


CONTAINERS = {
    "R302 csr matrix": sp.csr_matrix,
    "R302 csr array": sp.csr_array,
    "R302 csc": sp.csc_array,
    "R302 coo": sp.coo_matrix,
    "R302 lil": sp.lil_array,
    "R302 dok": sp.dok_array,
    "R302 sparse booleans": lambda Y: sp.csr_array(Y > 0),
    "R302 sparse floats": lambda Y: sp.csr_array(Y.astype(float)),
    "R302 stored zeros": lambda Y: sp.csr_array(
        (Y.ravel(), np.tile(np.arange(L), N), np.arange(N + 1) * L), shape=(N, L)
    ),
    "R302 unsorted indices": lambda Y: _reversed_rows(Y),
    "R302 bool": lambda Y: Y > 0,
    "R302 float": lambda Y: Y.astype(float),
    "R302 float16": lambda Y: Y.astype(np.float16),
    "R302 uint8": lambda Y: Y.astype(np.uint8),
    "R302 int8": lambda Y: Y.astype(np.int8),
    "R302 big-endian": lambda Y: Y.astype(">i4"),
    "R302 list": lambda Y: Y.tolist(),
    "R302 tuple": lambda Y: tuple(map(tuple, Y.tolist())),
    "R302 list of arrays": list,
    "R302 objects": lambda Y: Y.astype(object),
    "R302 objects of booleans": lambda Y: (Y > 0).astype(object),
    "R302 Fortran order": np.asfortranarray,
    "R302 strided": lambda Y: np.repeat(Y, 2, axis=1)[:, ::2],
    "R302 masked array without a mask": np.ma.array,
    "R302 tensor": torch.tensor,
    "R302 tensor with a gradient": lambda Y: torch.tensor(
        Y.astype(float), requires_grad=True
    ),
    "R302 frame": pd.DataFrame,
    "R302 frame with a shuffled index": lambda Y: pd.DataFrame(
        Y, index=np.arange(N)[::-1]
    ),
    "R302 nullable frame": lambda Y: pd.DataFrame(Y).astype("Int64"),
    "R302 boolean frame": lambda Y: pd.DataFrame(Y > 0),
    "R302 polars frame": lambda Y: pl.DataFrame(Y.copy()),
    "R302 frame of mixed types": lambda Y: pd.DataFrame(Y).astype({0: bool, 1: float}),
}


def _reversed_rows(Y):
    rows = [np.flatnonzero(row)[::-1] for row in Y]
    starts = np.r_[0, np.cumsum([len(row) for row in rows])]
    ones = np.ones(starts[-1], dtype=np.int64)
    return sp.csr_array((ones, np.concatenate(rows), starts), shape=Y.shape)


@pytest.mark.parametrize("row", CONTAINERS)
def test_label_sets_in_any_container_train_alike(row, data, expected):
    X, Y = data
    target = CONTAINERS[row](Y)
    estimator = small().fit(X, target)
    assert_array_equal(estimator.predict_proba(X), expected)
    answer = estimator.predict(X)
    assert sp.issparse(answer) == sp.issparse(target)
    assert answer.dtype == np.int64
    assert_array_equal(estimator.label_frequency_, Y.sum(0))


def test_R302_names_of_a_frame_are_kept(data):
    X, Y = data
    estimator = small(max_epochs=1).fit(X, pd.DataFrame(Y, columns=list("wxyz")))
    assert estimator.label_names_.tolist() == list("wxyz")
    assert estimator.classes_.tolist() == [0, 1, 2, 3]
    assert not hasattr(estimator.fit(X, Y), "label_names_")


def test_R301_binarized_sets_are_taken(data, expected):
    X, Y = data
    binarizer = MultiLabelBinarizer(sparse_output=True)
    estimator = small().fit(X, binarizer.fit_transform(names_of(Y)))
    assert_array_equal(estimator.predict_proba(X), expected)
    found = binarizer.inverse_transform(estimator.predict(X))
    assert len(found) == N
    assert {name for names in found for name in names} <= set("abcd")


def test_R304_column_is_taken_as_classes_with_a_warning(data):
    X, Y = data
    with pytest.warns(DataConversionWarning, match="column-vector"):
        estimator = small(max_epochs=1).fit(X, Y[:, :1])
    assert estimator.predict(X).shape == (N,)


def test_R304_sparse_column_is_one_label(data):
    X, Y = data
    estimator = small(max_epochs=1).fit(X, sp.csr_array(Y[:, :1]))
    assert estimator.predict(X).shape == (N, 1)
    assert estimator.predict_proba(X).shape == (N, 1)


@pytest.mark.parametrize("n_classes", [2, 3])
def test_R305_vector_of_classes_makes_an_ordinary_classifier(data, n_classes):
    # the specification of this estimator takes 1-d targets on purpose
    X, y = data[0], np.arange(N) % n_classes
    estimator = small(max_epochs=1).fit(X, y)
    assert estimator.classes_.tolist() == list(range(n_classes))
    assert estimator.predict(X).shape == (N,)
    np.testing.assert_allclose(estimator.predict_proba(X).sum(1), 1, rtol=1e-5)


def test_R305_single_class_is_refused(fitted, data, monkeypatch):
    forbid_training(monkeypatch)
    words = "at least 2 classes", "1 class"
    assert_refused(fitted, lambda: fitted.fit(data[0], ["cat"] * N), *words)


def never(Y):
    Y[:, 1] = 0


def always(Y):
    Y[:, 1] = 1


def once(Y):
    Y[:, 1] = 0
    Y[7, 1] = 1


def all_ones(Y):
    Y[:] = 1


def unlabelled_rows(Y):
    Y[::2] = 0


def one_label_in_all(Y):
    Y[:] = 0
    Y[:30, 2] = 1


ODD = {
    "R307 a label never": never,
    "R307 a label always": always,
    "R307 a label once": once,
    "R308 all-one": all_ones,
    "R310 rows without labels": unlabelled_rows,
    "R310 one label in all": one_label_in_all,
}


@pytest.mark.parametrize("order", ["dynamic", "frequent", "rare", None])
@pytest.mark.parametrize("row", ODD)
def test_odd_label_sets_are_taken(row, order, data):
    X, Y = data[0], data[1].copy()
    ODD[row](Y)
    estimator = small(order=order).fit(X, Y)
    scores = estimator.predict_proba(X)
    assert np.isfinite(scores).all()
    assert np.isfinite([epoch["train_loss"] for epoch in estimator.history_]).all()
    assert (scores >= 0).all()
    assert (scores <= 1).all()
    assert estimator.min_labels_ == Y.any(1).all()
    assert estimator.predict(X).sum(1).min() >= estimator.min_labels_


@pytest.mark.parametrize("training", OBJECTIVES)
def test_R310_rows_without_labels_suit_every_training(training, data):
    X, Y = data[0], data[1].copy()
    Y[::2] = 0
    for reward in ("f1", "hamming", "subset", "ndcg"):
        estimator = small(training=training, reward=reward, max_epochs=1, rl_start=0)
        estimator.set_params(ml_weight=0.5, n_estimators=1).fit(X, Y)
        assert np.isfinite(estimator.history_[-1]["train_loss"])
        if training != "reinforce":
            break


@pytest.mark.parametrize("early_stopping", [True, False])
def test_R310_held_out_rows_without_labels_raise_no_warning(data, early_stopping):
    X, Y = data[0], np.zeros_like(data[1])
    Y[0, 0] = 1
    estimator = small(early_stopping=early_stopping).fit(X, Y)
    assert 0 < estimator.threshold_ < 1


def test_R309_duplicate_columns_are_two_labels(data):
    X, Y = data
    estimator = small().fit(X, np.c_[Y, Y[:, 0]])
    assert estimator.n_labels_ == L + 1
    assert estimator.predict(X).shape == (N, L + 1)


@pytest.mark.parametrize("n_labels", [80, 1000])
def test_R309_many_labels(n_labels, data):
    X, rng = data[0], np.random.RandomState(0)
    Y = sp.csr_array((rng.rand(N, n_labels) < 3 / n_labels).astype(np.int8))
    estimator = small(max_epochs=1).fit(X, Y)
    assert estimator.predict(X).shape == (N, n_labels)
    indices, scores = estimator.predict_top_k(X, 5)
    assert indices.max() < n_labels
    assert np.isfinite(scores).all()


@pytest.mark.parametrize("dtype", [np.int8, np.uint8, bool, np.float32])
def test_columns_beyond_127_keep_their_place(dtype, data):
    X, n_labels = data[0], 200
    rng = np.random.RandomState(1)
    Y = (rng.rand(N, n_labels) < 0.01).astype(np.int64)
    Y[:, [140, 199]] = (X[:, :2] > X[:, :2].mean(0)).astype(np.int64)
    Y[:, 12] = 1  # 140 - 128
    wide = small(max_epochs=1).fit(X, Y)
    narrow = small(max_epochs=1).fit(X, Y.astype(dtype))
    assert_array_equal(narrow.label_frequency_, Y.sum(0))
    assert_array_equal(narrow.predict_proba(X), wide.predict_proba(X))
    heads = narrow.set_decision("beam", proba="head").predict_proba(X)
    for column in (140, 199):  # seen by the first look at least
        assert heads[Y[:, column] > 0, column].mean() > heads[:, column].mean()


ORDERS = {
    "R311 too short": (
        [0, 1, 2],
        "'order' parameter",
        "4 labels",
        "3 entries",
        r"missing: \[3\]",
    ),
    "R311 too long": ([0, 1, 2, 3, 4], "4 labels", "5 entries", r"\[4\]"),
    "R311 repeated": ([0, 1, 1, 3], "missing: .2.", "repeated.*1"),
    "R311 counted from one": ([1, 2, 3, 4], "missing: .0.", "out of range: .4."),
    "R311 names": (["a", "b", "c", "d"], "'order' parameter", "4 labels"),
    "R311 fractions": ([0.0, 1.0, 2.0, 3.0], "'order' parameter", "float64"),
    "R311 ragged": ([[0], [1, 2], 3, 4], "'order' parameter", "4 labels"),
    "R311 matrix": (np.arange(4)[None], "'order' parameter", r"shape \(1, 4\)"),
    "R311 nothing": ([], "'order' parameter", "4 labels", "0 entries"),
    "R311 short range": (range(3), "'order' parameter", "4 labels", "3 entries"),
    "R311 unknown name": ("easy", "'order' parameter", "'dynamic'", "Got 'easy'"),
    "R311 one number": (3, "'order' parameter", "a sequence of ints", "Got 3"),
}


@pytest.mark.parametrize("row", ORDERS)
def test_order_that_does_not_match_the_labels_is_refused(row, data, monkeypatch):
    forbid_training(monkeypatch)
    order, *words = ORDERS[row]
    estimator = small(order=order)
    error = InvalidParameterError
    assert_refused(estimator, lambda: estimator.fit(*data), *words, error=error)


LIMITS = {
    "R311 more labels asked than there are": ({"min_labels": 5}, "5", "4"),
    "R311 more labels asked than allowed": (
        {"min_labels": 3, "max_labels": 2},
        "min_labels=3",
        "2",
    ),
}


@pytest.mark.parametrize("row", LIMITS)
def test_limits_that_no_set_can_keep_are_refused(row, data, monkeypatch):
    forbid_training(monkeypatch)
    params, *words = LIMITS[row]
    estimator = small(**params)
    assert_refused(estimator, lambda: estimator.fit(*data), *words)


COMBINATIONS = {
    "set with a fixed order": (
        {"training": "set", "order": "frequent"},
        "training='set'",
        "order='dynamic'",
        "order='frequent'",
    ),
    "alignment with a fixed order": (
        {"training": "pla", "order": "rare"},
        "training='pla'",
        "order='dynamic'",
    ),
    "ocd with a permutation": (
        {"training": "ocd", "order": [0, 1, 2, 3]},
        "training='ocd'",
        "order='dynamic'",
    ),
    "reward with no chain": (
        {"training": "reinforce", "order": None},
        "training='reinforce'",
        "order=None",
    ),
    "reward with random orders": (
        {"training": "reinforce", "order": "instance_random"},
        "order='instance_random'",
    ),
    "a mixture of one": (
        {"training": "mixed", "n_estimators": 1},
        "training='mixed'",
        "n_estimators=2",
        "training='permutation'",
    ),
    "comparison with no other rollout": (
        {"baseline": "rollouts", "n_rollouts": 1},
        "baseline='rollouts'",
        "n_rollouts=2",
        "got 1",
    ),
    "all actions of a callable": (
        {"all_actions": True, "reward": torch.mul},  # any function will do
        "all_actions=True",
        "callable",
    ),
}


@pytest.mark.parametrize("row", COMBINATIONS)
def test_parameters_that_contradict_each_other_are_refused(row, data, monkeypatch):
    forbid_training(monkeypatch)
    params, *words = COMBINATIONS[row]
    estimator, error = small(**params), InvalidParameterError
    assert_refused(estimator, lambda: estimator.fit(*data), *words, error=error)


SEQUENCES = {
    "array": np.array([2, 0, 3, 1]),
    "tuple": (2, 0, 3, 1),
    "series": pd.Series([2, 0, 3, 1], index=list("abcd")),
    "range": range(4),
    "range from the end": range(3, -1, -1),
}


@pytest.mark.parametrize("kind", SEQUENCES)
def test_every_sequence_of_label_numbers_is_an_order_like_its_list(kind, data):
    order = SEQUENCES[kind]
    estimator = clone(small(order=order, max_epochs=1))
    assert type(estimator.get_params()["order"]) is type(order)
    found = estimator.fit(*data)
    listed = small(order=list(order), max_epochs=1).fit(*data)
    assert_array_equal(found.label_order_, listed.label_order_)
    assert found.label_order_.dtype == np.int64
    assert_array_equal(found.predict_proba(data[0]), listed.predict_proba(data[0]))


METHODS = [
    "predict",
    "predict_proba",
    "decision_function",
    "predict_order",
    "predict_top_k",
    "sample_labels",
]


@pytest.mark.parametrize("method", METHODS)
def test_answers_before_the_fit_are_refused(method, data):
    with pytest.raises(NotFittedError):
        getattr(small(), method)(data[0])


@pytest.mark.parametrize("method", METHODS)
def test_rows_of_another_width_are_refused(method, data, fitted):
    call = getattr(fitted, method)
    assert_refused(fitted, lambda: call(data[0][:, 1:]), "5 features", "expecting 6")
    rows = sp.csr_array(data[0][:, 1:])
    assert_refused(fitted, lambda: call(rows), "5 features", "expecting 6")


@pytest.mark.parametrize("value", [np.nan, np.inf])
def test_stored_values_that_are_not_finite_are_refused(value, data, fitted):
    X = sp.csr_array(data[0])
    X.data[5] = value
    for call in (fitted.predict, lambda rows: small().fit(rows, data[1])):
        assert_refused(fitted, lambda call=call: call(X), "NaN|infinity")


SETS = {
    "one column less": (lambda Y: Y[:, 1:], "3 labels", "fitted on 4"),
    "one row less": (lambda Y: Y[1:], "inconsistent numbers? of samples", "60, 59"),
    "a vector": (lambda Y: Y[:, 0], "two dimensions"),
    "None": (lambda Y: None, "two dimensions"),
    "sets": (lambda Y: sets_of(Y, set), "MultiLabelBinarizer"),
    "2": (one(2, int), "must be 0/1"),
}


@pytest.mark.parametrize("row", SETS)
def test_sets_to_be_judged_are_checked_too(row, data, fitted):
    X, Y = data
    spoil, *words = SETS[row]
    assert_refused(fitted, lambda: fitted.log_set_proba(X, spoil(Y)), *words)


NUMBERS = {
    "predict_top_k": "k",
    "predict_order": "max_labels",
    "sample_labels": "n_draws",
}


@pytest.mark.parametrize("method", NUMBERS)
@pytest.mark.parametrize("value", [0, -1, 1.5, "2"])
def test_numbers_of_labels_and_draws_are_checked(method, value, data, fitted):
    def call():
        return getattr(fitted, method)(data[0], value)

    assert_refused(fitted, call, f"'{NUMBERS[method]}' parameter of {method}", "an int")


@pytest.mark.parametrize("method", NUMBERS)
def test_integers_of_numpy_are_numbers_too(method, data, fitted):
    answer = getattr(fitted, method)(data[0][:5], np.int64(2))
    assert (answer.shape[0] if sp.issparse(answer) else len(answer)) in (2, 5, 10)


@pytest.mark.parametrize(
    ("switches", "words"),
    [
        ({"decision": "bem"}, "'decision' parameter.*beam.*'bem'"),
        ({"decision": "beam", "beam_size": 0}, "'beam_size' parameter"),
        ({"decision": "beam", "threshold": 1.5}, "'threshold' parameter"),
        ({"decision": "beam", "hidden_size": 3}, "hidden_size.*another fit"),
        ({"decision": "beam", "no_such": 3}, "no_such"),
    ],
)
def test_switches_that_need_another_fit_or_are_wrong_are_refused(
    switches, words, fitted
):
    assert_refused(fitted, lambda: fitted.set_decision(**switches), words)


@pytest.mark.parametrize(
    "limits", [{"min_labels": 5}, {"min_labels": 3, "max_labels": 2}]
)
def test_limits_that_no_set_can_keep_are_no_decision(limits, fitted):
    call = fitted.set_decision
    error = InvalidParameterError
    assert_refused(fitted, lambda: call("f1", **limits), "min_labels", error=error)


@pytest.mark.parametrize("method", ["predict_order", "sample_labels"])
def test_network_without_a_chain_has_no_order_and_draws_nothing(method, data):
    estimator = small(order=None, max_epochs=1).fit(*data)
    call = getattr(estimator, method)
    assert_refused(estimator, lambda: call(data[0]), f"`{method}`", "order=None")
    judge = estimator.log_set_proba
    assert_refused(estimator, lambda: judge(*data), "`log_set_proba`", "order=None")
