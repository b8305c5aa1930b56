"""Tests of the gate for data that hold new classes alone."""

import pickle

import numpy as np
import pytest
import scipy.sparse as sp
from head_data import LAYOUT, accuracy, all_classes, draw, make_rows, settings
from numpy.testing import assert_allclose, assert_array_equal
from scipy.optimize import minimize

from skdeep.transfer._gate import fit_gate, learn_gate, upper_quantile
from skdeep.transfer._novelty import (
    HullDistance,
    NeighborDistance,
    confidence,
    confusion,
    learn_ruler,
    likeness,
    make_measures,
)
from skdeep.transfer._pool import split_by
from skdeep.transfer._rows import NewRows

NEW = np.repeat([1, 3], 20)
KINDS = ["auto", "knn", "mahalanobis"]


def fit(rows, pool=None, **params):
    est = settings(**params)
    return est, fit_gate(est, rows, LAYOUT, np.random.RandomState(0), pool)


def answer(head, est, rows):
    return head.log_proba(est, rows.features, rows.scores)


@pytest.mark.parametrize("kind", KINDS)
def test_old_and_new_classes_are_found_from_new_rows_alone(kind):
    est, head = fit(make_rows(NEW), novelty=kind)
    test = make_rows(all_classes(40), seed=1)
    log_proba = answer(head, est, test)
    is_new = np.isin(test.codes, LAYOUT.new)
    assert accuracy(log_proba[is_new], test.codes[is_new]) > 0.8
    assert accuracy(log_proba[~is_new], test.codes[~is_new]) > 0.9
    assert_allclose(np.exp(log_proba).sum(axis=1), 1, rtol=1e-9)
    assert np.isfinite(log_proba).all()


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("with_pool", [False, True])
def test_a_row_has_the_same_bits_in_any_company(kind, with_pool):
    pool = draw(all_classes(4), seed=2) if with_pool else None
    est, head = fit(make_rows(NEW), pool, novelty=kind)
    rows = make_rows(all_classes(6), seed=1)
    whole = answer(head, est, rows)
    order = np.random.RandomState(0).permutation(30)
    mixed = head.log_proba(est, rows.features[order], rows.scores[order])
    assert_array_equal(mixed, whole[order])
    alone = head.log_proba(est, rows.features[3:4], rows.scores[3:4])
    assert_array_equal(alone, whole[3:4])


@pytest.mark.parametrize("are_logs", [False, True])
def test_threshold_by_hand_count(are_logs):
    # distance from the other row: 1 and 1, then 2 and 2, so with three rows on a line
    features = np.array([[0.0], [1.0], [3.0]], np.float32)
    proba = np.array([[0.6, 0.4], [0.8, 0.2], [0.9, 0.1]])
    scores = np.log(proba) if are_logs else proba
    gate = learn_gate(
        features, scores, np.zeros(3), kind="knn", quantile=0.6, are_logs=are_logs
    )
    factor = 1 / features.std()
    # means of the distances from two others
    distance = factor * np.array([2.0, 1.5, 2.5])
    u = (distance - distance.mean()) / distance.std()
    if are_logs:
        sure = np.log([1.5, 4, 9])
        # counts of the other rows, one more for each of two old classes
        first = np.array([1.7 + 1, 1.5 + 1, 1.4 + 1]) / 4
        alike = np.log(2 * (proba * np.stack([first, 1 - first], axis=1)).sum(axis=1))
        u += 0.55 * (sure - sure.mean()) / sure.std() - 0.25 * alike
    else:
        sure = proba[:, 0]
        u += (sure - sure.mean()) / sure.std()
    assert gate.threshold == pytest.approx(np.sort(u)[1])  # two of three are enough
    assert_allclose(gate.center, [distance.mean(), sure.mean()])


@pytest.mark.parametrize(
    ("quantile", "expected"), [(0.1, 1), (0.5, 5), (0.51, 6), (0.9, 9)]
)
def test_quantile_is_reached_by_that_share_of_rows(quantile, expected):
    values = np.random.RandomState(0).permutation(np.arange(1, 11))
    assert upper_quantile(values, quantile) == expected


def test_a_higher_quantile_lets_more_rows_through():
    test = make_rows(all_classes(40), seed=1)
    shares = []
    for quantile in (0.3, 0.6, 0.93):
        est, head = fit(make_rows(NEW), novelty_quantile=quantile)
        is_new = np.isin(answer(head, est, test).argmax(axis=1), LAYOUT.new)
        shares.append(is_new.mean())
    assert shares == sorted(shares)
    assert shares[0] < shares[2]


def test_hull_distance_is_the_least_that_any_weights_give():
    rng = np.random.RandomState(0)
    reference, rows = rng.normal(size=(6, 4)), rng.normal(size=(3, 4))
    hull = HullDistance(reference, reference @ reference.T, 0.3)

    def squared(weights, row):
        weights = np.append(weights, 1 - weights.sum())
        away = weights @ (reference - row)
        return away @ away + 0.3 * weights @ weights

    expected = [minimize(squared, np.zeros(5), args=(row,)).fun for row in rows]
    assert_allclose(hull.distance(rows) ** 2, expected, rtol=1e-5)


def test_own_rows_are_compared_with_the_others_only():
    rng = np.random.RandomState(0)
    rows = rng.normal(size=(8, 3))
    codes = np.zeros(8)
    for kind in ("auto", "knn"):
        own = make_measures(kind, rows, codes)[0].distance(rows, own=True)
        for place in range(8):
            others = np.delete(rows, place, axis=0)
            measure = make_measures(kind, others, codes[1:])[0]
            if kind == "auto":
                measure.ridge = make_measures(kind, rows, codes)[0].ridge
            alone = measure.distance(rows[place : place + 1])
            assert_allclose(own[place], alone[0], rtol=1e-6)


def test_sparse_rows_are_measured_as_dense_ones():
    rng = np.random.RandomState(0)
    rows = np.where(rng.rand(10, 5) > 0.5, rng.rand(10, 5), 0) + 0.01
    for kind in ("auto", "knn"):
        dense = make_measures(kind, rows, np.zeros(10))[0]
        sparse = make_measures(kind, sp.csr_matrix(rows), np.zeros(10))[0]
        found = sparse.distance(sp.csr_matrix(rows[:4]))
        assert_allclose(found, dense.distance(rows[:4]), rtol=1e-6, atol=1e-7)


def test_sparse_features_are_brought_to_length_one():
    rows = sp.csr_matrix(np.array([[3.0, 4.0], [0.0, 0.0]], np.float32))
    scaled = learn_ruler(rows).apply(rows).toarray()
    assert_allclose(scaled, [[0.6, 0.8], [0, 0]])


def test_features_of_one_unit_share_a_factor_and_others_do_not():
    rng = np.random.RandomState(0)
    pixels = rng.rand(30, 4) * [1, 2, 3, 4]
    assert np.ptp(learn_ruler(pixels).factor) == 0
    mixed = pixels * [1, 1, 1, 1000]
    scaled = learn_ruler(mixed).apply(mixed)
    assert_allclose(scaled.std(axis=0), 1, rtol=1e-9)


@pytest.mark.parametrize("sparse", [False, True])
def test_a_pool_is_of_use(sparse):
    rows = make_rows(np.repeat([1, 3], 8), sparse=sparse)
    pool = make_rows(all_classes(40), seed=2, sparse=sparse)
    est, head = fit(rows, (pool.features, pool.scores))
    test = make_rows(all_classes(40), seed=1, sparse=sparse)
    est_alone, alone = fit(rows)
    with_pool = accuracy(answer(head, est, test), test.codes)
    assert with_pool > 0.85
    assert with_pool >= accuracy(answer(alone, est_alone, test), test.codes) - 0.02


def test_rows_of_old_classes_are_left_out():
    rows = make_rows(NEW)
    more = make_rows(np.concatenate([NEW, [0, 0, 2]]))
    more = NewRows(*(np.concatenate([one, two[-3:]]) for one, two in zip(rows, more)))
    est, head = fit(rows)
    est, other = fit(more)
    assert_array_equal(answer(other, est, rows), answer(head, est, rows))


@pytest.mark.parametrize("kind", KINDS)
def test_odd_rows_are_no_trouble(kind):
    flat = NewRows(
        np.ones((10, 6), "f"), np.zeros((10, 3), "f"), NEW[15:25], np.ones(10)
    )
    twice = make_rows(NEW[15:25])
    twice = NewRows(*(np.concatenate([part, part]) for part in twice))
    single = make_rows([1])
    for rows in (flat, twice, single):
        est, head = fit(rows, novelty=kind)
        assert np.isfinite(answer(head, est, rows)).all()
        far = head.log_proba(est, np.full_like(rows.features, 3e38), rows.scores)
        assert np.isfinite(far).all()


def test_rows_are_alike_if_the_source_takes_them_for_the_same_classes():
    scores = np.array([[3.0, 0, 0], [2, 1, 0], [0, 4, 0], [0, 0, 1]])
    mistaken, alike = confusion(scores, False, np.array([5, 5, 5, 7]))
    # counts (2, 1, 0) and (0, 0, 1), one added to each
    assert_allclose(
        mistaken, 3 * np.array([[3 / 6, 2 / 6, 1 / 6], [1 / 4, 1 / 4, 2 / 4]])
    )
    expected = 3 * np.array([2 / 5, 2 / 5, 1 / 4, 1 / 3])
    assert_allclose(alike, np.log(expected))
    rows = np.array([[1.0, 0, 0], [0, 0, 1]])
    assert_allclose(likeness(rows, False, mistaken), np.log([1.5, 1.5]))
    proba = np.log([[0.5, 0.25, 0.25]])
    assert_allclose(likeness(proba, True, mistaken), np.log(0.75 + 0.25 + 0.125))


def test_confidence_is_the_log_odds_of_the_best_class():
    proba = np.array([[0.7, 0.2, 0.1], [0.1, 0.1, 0.8]])
    assert_allclose(confidence(np.log(proba), True), np.log([7 / 3, 4]))
    assert_allclose(confidence(proba, False), [0.7, 0.8])
    assert_allclose(confidence(np.zeros((2, 1)), True), 0)


def test_groups_get_the_probability_that_odds_demand():
    log_proba = np.log(np.array([[0.1, 0.3, 0.6]]))
    found = np.exp(split_by(log_proba, np.array([np.log(3)]), [0, 1], [2]))
    assert_allclose(found, [[0.0625, 0.1875, 0.75]])


def test_head_can_be_pickled():
    est, head = fit(make_rows(NEW))
    test = make_rows(all_classes(4), seed=1)
    copy = pickle.loads(pickle.dumps(head))
    assert_array_equal(answer(copy, est, test), answer(head, est, test))
    assert isinstance(head.gate.measures[0], HullDistance)
    est, head = fit(make_rows(NEW), novelty="knn")
    assert isinstance(head.gate.measures[0], NeighborDistance)
