"""Training that goes on: warm starts, and one pass at a time."""

import copy

import numpy as np
import pandas as pd
import pytest
import scipy.sparse as sp
from numpy.testing import assert_array_equal
from refusals import assert_refused, forbid_training
from tiny_chains import few_rows, small

from skdeep.exceptions import InvalidParameterError


@pytest.fixture(scope="module")
def data():
    return few_rows(60, 4)


@pytest.fixture(scope="module")
def warm(data):
    return small(warm_start=True).fit(*data)


@pytest.fixture(scope="module")
def classes(data):
    return data[0], np.arange(60) % 4


def test_warm_start_adds_to_the_history(data, warm):
    estimator = copy.deepcopy(warm)
    before = estimator.history_
    estimator.fit(*data)
    assert estimator.n_iter_ == 4
    assert estimator.history_[:2] == before
    assert estimator.history_[2] != before[0]


def test_second_fit_without_warm_start_begins_anew(data):
    estimator = small().fit(*data)
    expected = estimator.predict_proba(data[0])
    estimator.fit(*data)
    assert estimator.n_iter_ == 2
    assert_array_equal(estimator.predict_proba(data[0]), expected)


def test_partial_fit_adds_one_epoch_to_a_fit(data):
    estimator = small().fit(*data)
    assert estimator.partial_fit(*data) is estimator
    assert estimator.n_iter_ == 3


def test_partial_fit_knows_the_sets_from_the_first_call(data):
    X, Y = data
    first = np.maximum(Y, [1, 0, 0, 0])
    estimator = small().partial_fit(X, first)
    assert estimator.min_labels_ == 1
    estimator.partial_fit(X, np.zeros_like(Y) + [0, 0, 0, 1])
    estimator.partial_fit(X, np.ones_like(Y))
    assert np.isfinite([epoch["train_loss"] for epoch in estimator.history_]).all()


def test_first_batch_needs_labels_and_two_rows(data, monkeypatch):
    forbid_training(monkeypatch)
    X, Y = data
    call = small().partial_fit
    assert_refused(small(), lambda: call(X, 0 * Y), "no positive label")
    assert_refused(small(), lambda: call(X[:1], Y[:1]), "minimum of 2 is required")


def test_later_batches_may_be_single_rows_or_without_labels(data, classes):
    X, Y = data
    estimator = small().partial_fit(X, np.maximum(Y, [1, 0, 0, 0]))
    for rows in (slice(0, 1), slice(1, 2)):
        estimator.partial_fit(X[rows], sp.csr_array(Y[rows]))
    assert estimator.min_labels_ == 1
    estimator.partial_fit(X, 0 * Y)
    assert estimator.min_labels_ == 0
    assert np.isfinite([epoch["train_loss"] for epoch in estimator.history_]).all()
    assert np.isfinite(estimator.predict_proba(X)).all()
    single = small().partial_fit(*classes)
    single.partial_fit(X[:1], classes[1][:1])
    assert single.n_iter_ == 2
    assert single.classes_.tolist() == [0, 1, 2, 3]


def test_sizes_and_frequencies_take_in_later_batches(data):
    X, Y = data[0], np.zeros_like(data[1])
    Y[:30, 1] = 1
    Y[30:, 2:] = 1
    Y[40] = 1
    Y[50] = 0
    estimator = small().partial_fit(X[:30], Y[:30])
    assert (estimator.min_labels_, estimator.max_labels_) == (1, 1)
    estimator.partial_fit(X[30:], Y[30:])
    assert (estimator.min_labels_, estimator.max_labels_) == (0, 4)
    assert_array_equal(estimator.label_frequency_, Y.sum(0))
    warm = small(warm_start=True).fit(X[:30], Y[:30]).fit(X[30:], Y[30:])
    assert (warm.min_labels_, warm.max_labels_) == (0, 4)
    assert_array_equal(warm.label_frequency_, Y[30:].sum(0))
    sizes = warm.fit(X[:30], Y[:30]).set_decision("beam", min_labels=4).predict(X)
    assert (sizes.sum(1) == 4).all()


@pytest.mark.parametrize("order", ["frequent", "rare", "random", [2, 0, 3, 1]])
def test_order_of_the_beginning_stays_while_it_is_asked_for(order, data):
    X, Y = data
    estimator = small(order=order, random_state=None).partial_fit(X, Y)
    before = estimator.label_order_
    estimator.partial_fit(X, 1 - Y)
    assert estimator.label_order_ is before


def test_tuned_shares_and_cuts_outlive_a_partial_fit(data):
    estimator = small(n_estimators=4).fit(*data)
    before = estimator.score_weights_, estimator.threshold_
    assert before[1] != 0.5
    estimator.partial_fit(*data)
    assert (estimator.score_weights_, estimator.threshold_) == before


def test_sparse_answers_follow_the_last_target(data):
    X, Y = data
    estimator = small(warm_start=True).fit(X, sp.csr_array(Y))
    assert sp.issparse(estimator.predict(X))
    assert not sp.issparse(estimator.fit(X, Y).predict(X))
    assert sp.issparse(estimator.partial_fit(X, sp.csr_array(Y)).predict(X))


@pytest.mark.parametrize("method", ["fit", "partial_fit", "score", "log_set_proba"])
def test_columns_in_another_order_are_refused(method, data, monkeypatch):
    X = pd.DataFrame(data[0], columns=list("uvwxyz"))
    Y = pd.DataFrame(data[1], columns=["calm", "sad", "loud", "fast"])
    estimator = small(warm_start=True).fit(X, Y)
    forbid_training(monkeypatch)
    call = getattr(estimator, method)
    turned = Y[["sad", "calm", "loud", "fast"]]
    words = "columns of y", "in another order", r"y\[list\(estimator.label_names_\)\]"
    assert_refused(estimator, lambda: call(X, turned), *words)
    other = Y.rename(columns={"sad": "slow"})
    assert_refused(estimator, lambda: call(X, other), "columns of y", "'slow'")
    rows = X[list("vuwxyz")]
    assert_refused(estimator, lambda: call(rows, Y), "feature names", "order")
    monkeypatch.undo()
    getattr(estimator, method)(X, turned[list(estimator.label_names_)])
    getattr(estimator, method)(X, Y.to_numpy())


def test_partial_fit_takes_the_classes_that_are_to_come(classes):
    X, y = classes
    estimator = small().partial_fit(X[:9], y[:9] % 2, classes=[0, 1, 2, 3])
    assert estimator.classes_.tolist() == [0, 1, 2, 3]
    assert_array_equal(estimator.partial_fit(X, y).classes_, [0, 1, 2, 3])
    assert estimator.predict_proba(X).shape == (60, 4)


@pytest.mark.parametrize("names", [[0, 1, 2], ["a", "b", "c"]])
def test_classes_that_nobody_announced_are_refused(classes, names):
    X, y = classes
    known = np.array([*names, *names[:1]])[y]
    estimator = small().partial_fit(X, known)
    strange = known.copy()
    strange[5] = 7 if names[0] == 0 else "z"
    value = "7" if names[0] == 0 else "'z'"
    call = estimator.partial_fit
    assert_refused(estimator, lambda: call(X, strange), f"y holds {value}", "classes")
    fresh = small().partial_fit
    assert_refused(
        small(), lambda: fresh(X, strange, classes=names), f"y holds {value}"
    )


def test_partial_fit_refuses_early_stopping(data, monkeypatch):
    forbid_training(monkeypatch)
    estimator = small(early_stopping=True)
    call = estimator.partial_fit
    assert_refused(estimator, lambda: call(*data), "early_stopping=False")


@pytest.mark.parametrize("method", ["fit", "partial_fit"])
def test_other_numbers_of_labels_are_refused(method, data, warm, monkeypatch):
    forbid_training(monkeypatch)
    X, Y = data
    call = getattr(warm, method)
    assert_refused(warm, lambda: call(X, Y[:, :3]), r"\b3 labels", r"\b4\b")
    assert_refused(warm, lambda: call(X, np.c_[Y, Y]), r"\b8 labels", r"\b4\b")
    assert_refused(warm, lambda: call(X[:, :5], Y), "5 features", "expecting 6")


@pytest.mark.parametrize("method", ["fit", "partial_fit"])
def test_sets_after_classes_and_classes_after_sets_are_refused(
    method, data, warm, classes, monkeypatch
):
    forbid_training(monkeypatch)
    call = getattr(warm, method)
    words = "1-d|one class", "indicator|label sets|multi-label"
    assert_refused(warm, lambda: call(*classes), *words)
    monkeypatch.undo()
    single = small(warm_start=True).fit(*classes)
    forbid_training(monkeypatch)
    call = getattr(single, method)
    assert_refused(single, lambda: call(*data), *words)


CHANGED = {
    "hidden_size": 9,
    "label_size": 9,
    "hidden_layer_sizes": (9,),
    "n_estimators": 3,
    "label_skip": False,
    "first_look": None,
    "order": None,
}


@pytest.mark.parametrize("name", CHANGED)
def test_other_networks_are_refused(name, data, warm, monkeypatch):
    forbid_training(monkeypatch)
    estimator = copy.deepcopy(warm).set_params(**{name: CHANGED[name]})
    call = estimator.fit
    error = InvalidParameterError
    assert_refused(
        estimator, lambda: call(*data), f"'{name}'", "warm_start=False", error=error
    )


@pytest.mark.parametrize("order", ["rare", "frequent", [3, 1, 0, 2]])
def test_new_order_holds_for_the_training_that_goes_on(order, data, warm):
    estimator = copy.deepcopy(warm).set_params(order=order).fit(*data)
    expected = small(order=order, max_epochs=1).fit(*data).label_order_
    assert estimator.n_iter_ == 4
    assert_array_equal(estimator.label_order_, expected)
    assert estimator.net_.criterion_.objectives == ["order", "order"]
    assert estimator.set_params(order="dynamic").fit(*data).label_order_ is None


def test_wrong_order_is_refused_when_training_goes_on(data, warm, monkeypatch):
    forbid_training(monkeypatch)
    estimator = copy.deepcopy(warm).set_params(order=[0, 1, 2])
    call = estimator.fit
    assert_refused(estimator, lambda: call(*data), "4 labels", "3 entries")


@pytest.mark.parametrize("kind", [np.asarray, sp.csr_array])
def test_dense_and_sparse_rows_may_take_turns(kind, data):
    X, Y = data
    first = sp.csr_array if kind is np.asarray else np.asarray
    estimator = small().fit(first(X), Y)
    estimator.partial_fit(kind(X), Y)
    assert np.isfinite(estimator.predict_proba(kind(X))).all()
    same = small().fit(first(X), Y).partial_fit(first(X), Y)
    assert_array_equal(estimator.predict(X), same.predict(X))


def test_reinforcement_waits_for_its_warm_up_over_calls_of_partial_fit(data):
    chain = small(training="reinforce", n_estimators=1, max_epochs=12)
    for _ in range(6):
        chain.partial_fit(*data)
    rewarded = ["train_reward" in epoch for epoch in chain.history_]
    assert rewarded == [False] * 5 + [True]
