"""Tests of the logistic regression on features and source scores."""

import pickle

import numpy as np
import pytest
from head_data import LAYOUT, N_CLASSES, accuracy, all_classes, make_rows, settings
from numpy.testing import assert_allclose, assert_array_equal
from scipy.optimize import check_grad

from skdeep.transfer._rows import NewRows
from skdeep.transfer._softmax import _Loss, solve
from skdeep.transfer._stacking import (
    as_head,
    fit_stacking,
    joint_factor,
    make_problem,
    old_factor,
)
from skdeep.transfer._tuning import new_shift

RNG = np.random.RandomState


def fit(rows, **params):
    est = settings(**params)
    return est, fit_stacking(est, rows, LAYOUT, RNG(0))


def both_kinds(function):
    return pytest.mark.parametrize("skip", [True, False])(function)


def test_gradient_by_finite_differences():
    rows = make_rows(all_classes(2))
    problem, _, _ = make_problem(settings(distill=0.7), rows, LAYOUT)
    loss = _Loss(problem, 0.1)
    start = RNG(0).normal(size=len(loss.join(None)))
    error = check_grad(lambda x: loss(x)[0], lambda x: loss(x)[1], start)
    assert error < 1e-4


def test_weights_at_the_start_are_the_source():
    rows = make_rows(all_classes(3))
    problem, scaling, factor = make_problem(settings(), rows, LAYOUT)
    loss = _Loss(problem, 0.1)
    head = as_head(loss.split(loss.join(None)), scaling, LAYOUT, factor)
    log_proba = head.log_proba(None, rows.features, rows.scores)[:, LAYOUT.old]
    differences = np.diff(log_proba, axis=1)
    assert_allclose(differences, factor * np.diff(rows.scores, axis=1), atol=1e-3)


def test_a_strong_penalty_gives_the_source_back():
    rows = make_rows(all_classes(6))
    problem, scaling, factor = make_problem(settings(), rows, LAYOUT)
    head = as_head(solve(problem, 1e6), scaling, LAYOUT, factor)
    log_proba = head.log_proba(None, rows.features, rows.scores)
    among_old = log_proba[:, LAYOUT.old].argmax(axis=1)
    is_old = np.isin(rows.codes, LAYOUT.old)
    assert (among_old == rows.scores.argmax(axis=1))[is_old].all()


@both_kinds
def test_probabilities_sum_to_one_and_classes_are_found(skip):
    rows = make_rows(all_classes(10))
    est, head = fit(rows, skip_connection=skip)
    test = make_rows(all_classes(20), seed=1)
    log_proba = head.log_proba(est, test.features, test.scores)
    assert_allclose(np.exp(log_proba).sum(axis=1), 1, rtol=1e-9)
    assert np.isfinite(log_proba).all()
    assert accuracy(log_proba, test.codes) > 0.9


@both_kinds
def test_a_row_has_the_same_bits_in_any_company(skip):
    rows = make_rows(all_classes(6))
    est, head = fit(rows, skip_connection=skip)
    whole = head.log_proba(est, rows.features, rows.scores)
    order = RNG(0).permutation(30)
    mixed = head.log_proba(est, rows.features[order], rows.scores[order])
    assert_array_equal(mixed, whole[order])
    alone = head.log_proba(est, rows.features[3:4], rows.scores[3:4])
    assert_array_equal(alone, whole[3:4])


@both_kinds
def test_sparse_features_are_taken(skip):
    rows = make_rows(all_classes(20), sparse=True)
    est, head = fit(rows, skip_connection=skip)
    log_proba = head.log_proba(est, rows.features, rows.scores)
    assert accuracy(log_proba, rows.codes) > 0.9


@both_kinds
def test_few_rows_and_missing_classes_are_no_trouble(skip):
    for codes in ([1], [1, 1, 1], [1, 3], [0, 1], [0, 0, 0, 1]):
        rows = make_rows(codes)
        est, head = fit(rows, skip_connection=skip)
        log_proba = head.log_proba(est, rows.features, rows.scores)
        assert log_proba.shape == (len(codes), N_CLASSES)
        assert np.isfinite(log_proba).all()


def test_old_classes_without_a_row_stay_apart():
    rows = make_rows(np.repeat([0, 1, 3], 20))  # classes 2 and 4 are missing
    est, head = fit(rows)
    test = make_rows(np.repeat([2, 4], 20), seed=1)
    log_proba = head.log_proba(est, test.features, test.scores)
    assert accuracy(log_proba[:, [0, 2, 4]], test.codes // 2) > 0.9


def test_order_of_rows_does_not_matter_to_the_solution():
    rows = make_rows(all_classes(6))
    order = RNG(1).permutation(30)
    mixed = NewRows(*(part[order] for part in rows))
    found = []
    for part in (rows, mixed):
        problem, scaling, factor = make_problem(settings(), part, LAYOUT)
        head = as_head(solve(problem, 1e-2), scaling, LAYOUT, factor)
        found.append(np.exp(head.log_proba(None, rows.features, rows.scores)))
    assert_allclose(*found, atol=5e-3)


def test_rows_twice_are_as_good_as_rows_of_double_weight():
    rows = make_rows(all_classes(3))
    weight = np.where(rows.codes == 1, 2.0, 1.0)
    weighted = rows._replace(weight=(weight / weight.mean()).astype(np.float32))
    place = np.repeat(np.arange(15), weight.astype(int))
    twice = NewRows(*(part[place] for part in rows))
    _, scaling, _ = make_problem(settings(), rows, LAYOUT)
    found = []
    for part in (weighted, twice):
        problem, _, _ = make_problem(settings(distill=0.0), part, LAYOUT)
        problem.features = scaling.features(part.features)
        problem.scores = scaling.scores(part.scores)
        problem.skip = np.zeros_like(problem.skip)
        found.append(solve(problem, 1e-2).features)
    assert_allclose(*found, atol=2e-2)


def test_sources_that_are_too_sure_or_not_sure_enough_are_found_out():
    rows = make_rows(all_classes(40))
    skip = rows.scores - rows.scores.mean(axis=1, keepdims=True)
    usual = old_factor(skip, rows.codes, LAYOUT)
    assert old_factor(skip / 4, rows.codes, LAYOUT) > 2 * usual
    sure = np.zeros_like(skip)
    sure[np.arange(len(sure)), np.arange(len(sure)) % 3] = 13.8  # whatever the class
    assert joint_factor(sure, rows.codes, rows.weight, LAYOUT) < 0.5
    only_new = np.full(len(skip), 1)
    assert old_factor(skip, only_new, LAYOUT) == 1
    assert joint_factor(skip, only_new, rows.weight, LAYOUT) == 1


def test_units_are_the_curvature_where_classes_do_not_depend_on_features():
    rows = make_rows(all_classes(2))
    problem, _, _ = make_problem(settings(distill=0.0), rows, LAYOUT)
    problem.skip = np.zeros_like(problem.skip)  # all classes alike
    loss = _Loss(problem, 0.1)
    start = 0 * loss.join(None)
    start[-1] = 1
    expected, step = np.empty(len(start)), 1e-4
    for place in range(len(start)):
        away = np.zeros(len(start))
        away[place] = step
        expected[place] = (loss(start + away)[1] - loss(start - away)[1])[place]
    assert_allclose(loss.units() ** -2, expected / (2 * step), rtol=1e-5)


def test_few_steps_in_these_units_come_near_the_solution():
    rows = make_rows(all_classes(8), sparse=True)
    problem, _, _ = make_problem(settings(), rows, LAYOUT)
    loss = _Loss(problem, 1e-3)

    def value(**options):
        return loss(loss.join(solve(problem, 1e-3, **options)))[0]

    nothing = loss(loss.join(None))[0]
    assert value(max_steps=10) - value() < 0.05 * (nothing - value())


def test_scores_are_means_of_two_regressions_if_every_class_has_rows():
    rows, test = make_rows(all_classes(6)), make_rows(all_classes(2), seed=1)
    est = settings()
    problem, scaling, factor = make_problem(est, rows, LAYOUT)
    drawn = as_head(solve(problem, 1e-2 / N_CLASSES), scaling, LAYOUT, factor)
    plain = fit_stacking(settings(skip_connection=False), rows, LAYOUT, RNG(0))
    both = [h.log_proba(est, test.features, test.scores) for h in (drawn, plain)]
    expected = np.exp(np.mean(both, axis=0))
    expected /= expected.sum(axis=1, keepdims=True)
    head = fit_stacking(est, rows, LAYOUT, RNG(0), search=False)
    found = np.exp(head.log_proba(est, test.features, test.scores))
    assert_allclose(found, expected, rtol=1e-4, atol=1e-9)
    assert head.gamma == pytest.approx(drawn.gamma / 2)

    some = NewRows(*(part[6:] for part in rows))  # class 0 has none
    problem, scaling, factor = make_problem(est, some, LAYOUT)
    drawn = as_head(solve(problem, 1e-2 / N_CLASSES), scaling, LAYOUT, factor)
    head = fit_stacking(est, some, LAYOUT, RNG(0), search=False)
    assert_allclose(head.features, drawn.features)


def test_shift_makes_rows_left_out_most_likely():
    # old classes 4, 0, 2 and new 1, 3; log odds of a new row: log(1/3), then log(1/9)
    proba = np.array([[0.25, 0.2, 0.25, 0.05, 0.25], [0.3, 0.05, 0.3, 0.05, 0.3]])
    codes, weight = np.array([1, 1, 0, 2]), np.array([3.0, 1, 2, 2])
    log_proba = np.log(proba)[[0, 1, 0, 1]]
    odds, is_new = np.log([1 / 3, 1 / 9, 1 / 3, 1 / 9]), np.array([1, 1, 0, 0])
    shifts = np.arange(-3, 3, 1e-3)
    away = np.where(is_new, -1, 1)[:, None] * (odds[:, None] + shifts)
    loss = np.average(np.log1p(np.exp(away)), axis=0, weights=weight) + 0.03 * shifts**2
    found = new_shift(log_proba, codes, weight, LAYOUT)
    assert found == pytest.approx(shifts[loss.argmin()], abs=2e-3)
    assert found > 0.5
    assert new_shift(log_proba[:2], codes[:2], weight[:2], LAYOUT) == 0
    assert new_shift(log_proba[2:], codes[2:], weight[2:], LAYOUT) == 0


def test_new_classes_are_not_overlooked_beside_a_sure_source():
    few = np.repeat([0, 2, 4, 1, 3], [9, 9, 9, 3, 3])
    rows, test = make_rows(few), make_rows(all_classes(40), seed=1)
    est = settings()
    shares = []
    for search in (False, True):
        head = fit_stacking(est, rows, LAYOUT, RNG(0), search=search)
        log_proba = head.log_proba(est, test.features, test.scores)
        is_new = np.isin(test.codes, LAYOUT.new)
        shares.append(accuracy(log_proba[is_new], test.codes[is_new]))
    assert shares[1] >= shares[0]


def test_head_can_be_pickled():
    rows = make_rows(all_classes(4))
    est, head = fit(rows)
    copy = pickle.loads(pickle.dumps(head))
    first = head.log_proba(est, rows.features, rows.scores)
    assert_array_equal(copy.log_proba(est, rows.features, rows.scores), first)
    assert head.n_parameters == 6 * 5 + 3 * 5 + 5
