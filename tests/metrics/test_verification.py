"""Tests of error rates, thresholds for a target rate, and the report."""

import numpy as np
import pairs_by_brute_force as brute
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.testing import assert_allclose, assert_array_equal

from skdeep.metrics import (
    far_frr_curve,
    map_at_r_score,
    opis_score,
    recall_at_k_score,
    threshold_at_far,
    threshold_at_frr,
    verification_report,
)

# on a line: positives 1 (a), 2 (b); negatives 10, 12, 9, 11 and so on
LINE = np.array([[0.0], [1.0], [10.0], [12.0]])
LABELS = ["a", "a", "b", "b"]


def make_rows(n=60, n_classes=9, d=3, seed=0):
    rng = np.random.RandomState(seed)
    y = rng.permutation(np.arange(n) % n_classes)
    return y, rng.randn(n_classes, d)[y] + rng.randn(n, d)


def test_rates_on_a_line_counted_by_hand():
    # positive distances 1, 2; negative distances 9, 10, 11, 12
    far, frr, thresholds = far_frr_curve(
        LABELS, LINE, thresholds=[11, 0.5, 1, 2, 9], normalize=False
    )
    assert_array_equal(thresholds, [0.5, 1, 2, 9, 11])
    assert_allclose(far, [0, 0, 0, 0.25, 0.75])
    assert_allclose(frr, [1, 0.5, 0, 0, 0])


@pytest.mark.parametrize(
    ("target", "expected"), [(0.25, 9), (0.49, 9), (0.5, 10), (0.75, 11), (1, 12)]
)
def test_threshold_at_far_on_a_line(target, expected):
    found = threshold_at_far(LABELS, LINE, target_far=target, normalize=False)
    assert found == pytest.approx(expected, rel=1e-12)


@pytest.mark.parametrize("target", [0, 0.24])
def test_threshold_below_one_pair_refuses_every_negative(target):
    found = threshold_at_far(LABELS, LINE, target_far=target, normalize=False)
    assert found < 9
    assert found == pytest.approx(9, rel=1e-9)


@pytest.mark.parametrize(("target", "expected"), [(0, 2), (0.49, 2), (0.5, 1), (1, 1)])
def test_threshold_at_frr_on_a_line(target, expected):
    found = threshold_at_frr(LABELS, LINE, target_frr=target, normalize=False)
    assert found == pytest.approx(expected, rel=1e-12)


def test_tied_negatives_are_all_refused_when_one_too_many_would_be_accepted():
    X = np.array([[0.0], [0.0], [5.0], [5.0], [7.0]])
    y = [0, 0, 1, 1, 2]
    # negatives: 5 four times, 7 twice, 2 twice; at most half of the 8 may be accepted
    found = threshold_at_far(y, X, target_far=0.5, normalize=False)
    assert 2 < found < 5
    far, _, _ = far_frr_curve(y, X, thresholds=[found], normalize=False)
    assert far[0] == 0.25


def test_identical_rows_of_two_classes_give_a_threshold_below_zero():
    X = np.ones((4, 2))
    found = threshold_at_far([0, 0, 1, 1], X, target_far=0.5)
    assert found < 0
    far, frr, _ = far_frr_curve([0, 0, 1, 1], X, thresholds=[found])
    assert (far[0], frr[0]) == (0, 1)


@given(target=st.floats(0, 1), seed=st.integers(0, 30), metric=st.sampled_from("ec"))
@settings(max_examples=40, deadline=None, derandomize=True)
def test_thresholds_keep_their_promise(target, seed, metric):
    y, X = make_rows(n=24, n_classes=5, seed=seed)
    metric = {"e": "euclidean", "c": "cosine"}[metric]
    D = brute.distances(X, metric)
    _, _, d, same = brute.pair_lists(y, D)
    negative, positive = np.sort(d[~same]), d[same]
    threshold = threshold_at_far(y, X, target_far=target, metric=metric)
    assert np.mean(negative <= threshold - 1e-12) <= target + 1e-12
    larger = negative[negative > threshold + 1e-12]
    if len(larger):
        assert np.mean(negative <= larger[0]) > target - 1e-12
    threshold = threshold_at_frr(y, X, target_frr=target, metric=metric)
    assert np.mean(positive > threshold + 1e-12) <= target + 1e-12


@pytest.mark.parametrize("metric", ["euclidean", "cosine"])
def test_report_equals_brute_force(metric):
    y, X = make_rows()
    D = brute.distances(X, metric)
    _, _, d, same = brute.pair_lists(y, D)
    report = verification_report(y, X, threshold=0.4, target_far=0.05, metric=metric)
    assert report.far == pytest.approx(np.mean(d[~same] <= 0.4))
    assert report.frr == pytest.approx(np.mean(d[same] > 0.4))
    names, psi, phi, _, _ = brute.curves(y, D, [0.4])
    assert_array_equal(report.classes, names)
    assert_allclose(report.far_per_class, 1 - phi[:, 0], atol=1e-12)
    assert_allclose(report.frr_per_class, 1 - psi[:, 0], atol=1e-12)
    assert report.far_worst == pytest.approx((1 - phi).max())
    assert report.frr_std == pytest.approx(psi.std())
    at_target = np.sort(d[~same])[int(0.05 * np.sum(~same)) - 1]
    assert report.target_far_threshold == pytest.approx(at_target, rel=1e-12)
    assert report.frr_at_target_far == pytest.approx(np.mean(d[same] > at_target))
    details = opis_score(y, X, metric=metric, return_details=True)
    assert report.opis == pytest.approx(details.opis, rel=1e-9)
    assert report.mean_utility == pytest.approx(details.mean_utility, rel=1e-9)
    assert report.recall_at_1 == recall_at_k_score(y, X)
    assert report.map_at_r == map_at_r_score(y, X)


@pytest.mark.parametrize("seed", range(5))
@pytest.mark.parametrize("normalize", [True, False])
def test_equal_error_rate_equals_brute_force(seed, normalize):
    y, X = make_rows(n=50, n_classes=6, seed=seed)
    _, _, d, same = brute.pair_lists(y, brute.distances(X, normalize=normalize))
    gaps = [(abs(np.mean(d[~same] <= t) - np.mean(d[same] > t)), t) for t in np.sort(d)]
    smallest, at = min(gaps)
    report = verification_report(y, X, normalize=normalize)
    found = (
        np.mean(d[~same] <= report.eer_threshold + 1e-12),
        np.mean(d[same] > report.eer_threshold + 1e-12),
    )
    assert abs(found[0] - found[1]) == pytest.approx(smallest)
    assert report.eer == pytest.approx(sum(found) / 2)


def test_equal_error_rate_of_separable_classes_is_zero():
    report = verification_report(LABELS, LINE, normalize=False, far_range=(0.3, 1))
    assert report.eer == 0
    assert 2 - 1e-9 <= report.eer_threshold < 9


def test_default_thresholds_cover_small_rates():
    y, X = make_rows(n=200, n_classes=20)
    far, frr, thresholds = far_frr_curve(y, X)
    assert len(thresholds) <= 200
    assert (np.diff(thresholds) > 0).all()
    assert (np.diff(far) >= 0).all()
    assert (np.diff(frr) <= 0).all()
    assert 0 < far[far > 0].min() <= 2 / 19_000
    assert 0 < frr[frr > 0].min() <= 2 / 900


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda y, X: threshold_at_far(y, X, target_far=1.5), "`target_far` must be"),
        (lambda y, X: threshold_at_frr(y, X, target_frr=-1), "`target_frr` must be"),
        (lambda y, X: far_frr_curve(y, X, thresholds=[]), "`thresholds` must be"),
        (lambda y, X: far_frr_curve(y, X, thresholds=[np.nan]), "`thresholds` must be"),
        (lambda y, X: far_frr_curve(y, X, thresholds=0.5), "`thresholds` must be"),
        (lambda y, X: far_frr_curve(y, X, thresholds=["a"]), "`thresholds` must be"),
        (lambda y, X: verification_report(y, X, threshold="a"), "`threshold` must be"),
        (lambda y, X: threshold_at_far(y, X, target_far=None), "`target_far` must be"),
        (lambda y, X: far_frr_curve(y, X, n_thresholds=1), "`n_thresholds` must be"),
        (lambda y, X: verification_report(y, X, beta=-1), "`beta` must be"),
        (lambda y, X: threshold_at_far(np.arange(60), X), "no positive pair"),
        (lambda y, X: threshold_at_frr(np.zeros(60), X), "no negative pair"),
    ],
)
def test_wrong_argument_is_named(call, message):
    with pytest.raises(ValueError, match=message):
        call(*make_rows())
