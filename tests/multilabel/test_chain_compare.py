"""The comparison of all orders in one call."""

import copy

import numpy as np
import pandas as pd
import pytest
import scipy.sparse as sp
from refusals import forbid_training
from sklearn.metrics import f1_score
from tiny_chains import few_rows, small

from skdeep.exceptions import InvalidParameterError
from skdeep.metrics import ndcg_at_k_score, precision_at_k_score
from skdeep.multilabel import compare_orders

MEASURES = {
    "subset accuracy",
    "example F1",
    "P@1",
    "P@3",
    "P@5",
    "nDCG@3",
    "nDCG@5",
    "seconds",
}


@pytest.fixture(scope="module")
def parts():
    X, Y = few_rows(80, 4, allow_unlabeled=False)
    return X[:50], Y[:50], X[50:], Y[50:]


def test_each_order_has_a_row_of_its_own(parts):
    rows = compare_orders(*parts, estimator=small(max_epochs=1))
    orders = ["frequent", "rare", "random", "instance_random", "dynamic"]
    assert [row["order"] for row in rows] == orders
    for row in rows:
        assert set(row) == {"order", *MEASURES}
        assert all(np.isfinite(row[name]) for name in MEASURES)


def test_measures_are_those_of_a_fit_with_the_order(parts):
    X, Y, X_test, Y_test = parts
    (row,) = compare_orders(
        *parts, orders=["rare"], estimator=small(random_state=5), random_state=3
    )
    fitted = small(order="rare", random_state=3).fit(X, Y)
    sets, scores = fitted.predict(X_test), fitted.predict_proba(X_test)
    assert row["subset accuracy"] == (sets == Y_test).all(1).mean()
    assert row["example F1"] == pytest.approx(f1_score(Y_test, sets, average="samples"))
    assert row["P@3"] == precision_at_k_score(Y_test, scores, k=3)
    assert row["nDCG@5"] == ndcg_at_k_score(Y_test, scores, k=5)


def test_orders_of_any_kind_and_the_network_without_a_chain_may_be_asked(parts):
    X, Y, X_test, Y_test = parts
    estimator = small(max_epochs=1)
    orders = [None, [3, 2, 1, 0]]
    dense = compare_orders(X, Y, X_test, Y_test, orders=orders, estimator=estimator)
    assert [row["order"] for row in dense] == orders
    sparse = compare_orders(
        X,
        sp.csr_array(Y),
        X_test,
        sp.csr_array(Y_test),
        orders=orders,
        estimator=estimator,
    )
    for one, other in zip(dense, sparse):
        assert one["example F1"] == other["example F1"]
    assert not hasattr(estimator, "module_")


def test_orders_that_are_given_are_learned_whatever_the_dynamic_one_is_by(parts):
    estimator = small(max_epochs=1, training="reinforce")
    rows = compare_orders(*parts, orders=("rare", "dynamic"), estimator=estimator)
    assert [row["order"] for row in rows] == ["rare", "dynamic"]


def test_a_generator_seeds_all_fits_alike(parts):
    rng = np.random.RandomState(3)
    how = {"estimator": small(max_epochs=1), "random_state": rng}
    one, other = compare_orders(*parts, orders=("rare", "rare"), **how)
    del one["seconds"], other["seconds"]
    assert one == other


def test_a_name_is_one_order_and_other_test_sets_are_refused(parts):
    X, Y, X_test, Y_test = parts
    how = {"orders": "rare", "estimator": small(max_epochs=1)}
    (row,) = compare_orders(*parts, **how)
    assert row["order"] == "rare"
    with pytest.raises(ValueError, match="Y_test has 2 labels, but Y has"):
        compare_orders(X, Y, X_test, Y_test[:, :2], **how)
    with pytest.raises(ValueError, match="inconsistent numbers of samples"):
        compare_orders(X, Y, X_test[:3], Y_test, **how)


def test_measures_of_ones_own_and_some_of_ours(parts):
    X, Y, X_test, Y_test = parts
    how = {"orders": ["rare"], "estimator": small(max_epochs=1)}

    def found_labels(truth, sets, scores):
        assert truth.dtype == sets.dtype == bool
        assert truth.shape == sets.shape == scores.shape == Y_test.shape
        return sets.sum()

    (row,) = compare_orders(*parts, metrics={"n found": found_labels}, **how)
    assert set(row) == {"order", "n found", "seconds"}
    fitted = small(max_epochs=1, order="rare").fit(X, Y)
    assert row["n found"] == fitted.predict(X_test).sum()
    (row,) = compare_orders(*parts, metrics=["P@3", "example F1"], **how)
    assert list(row) == ["order", "P@3", "example F1", "seconds"]


def test_unknown_measures_are_refused_before_any_fit(parts, monkeypatch):
    forbid_training(monkeypatch)
    with pytest.raises(ValueError, match="'P@7'.*'P@5'"):
        compare_orders(*parts, metrics=["P@1", "P@7"])
    with pytest.raises(TypeError, match="`metrics` holds 0.5 for 'cut'.*function"):
        compare_orders(*parts, metrics={"cut": 0.5})


def test_comparison_prints_as_a_table_and_is_a_list(parts):
    rows = compare_orders(*parts, orders=("rare", None), estimator=small(max_epochs=1))
    assert isinstance(rows, list)
    head, first, second = str(rows).splitlines()
    assert head.split("  ")[0] == "order"
    assert head.endswith("seconds")
    assert first.split()[0] == "rare"
    assert second.split()[0] == "None"
    assert len({len(line) for line in (head, first, second)}) == 1
    assert f"{rows[0]['P@3']:.3f}" in first.split()
    assert list(pd.DataFrame(rows).columns) == list(rows[0])


def test_parameters_set_after_the_fit_are_checked(parts):
    X, Y, X_test, _ = parts
    chain = small(max_epochs=1).fit(X, Y)
    for wrong in ({"decision": "best"}, {"beam_size": 0}, {"threshold": 5.0}):
        changed = copy.copy(chain).set_params(**wrong)
        with pytest.raises(InvalidParameterError, match=next(iter(wrong))):
            changed.predict(X_test)
