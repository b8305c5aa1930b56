"""Tests of thresholds, pairs and open-set identification."""

import numpy as np
import pytest
from numpy.testing import assert_allclose, assert_array_equal
from scipy.spatial.distance import pdist

from skdeep.metric_learning import TCMEmbedder
from skdeep.metric_learning._verification import _some_of_each as some_of_each


@pytest.fixture(scope="module")
def embedder(known_digits, new_digits):
    embedder = TCMEmbedder(
        max_epochs=4, n_components=8, hidden_layer_sizes=(32,), lr=3e-3, random_state=0
    ).fit(*known_digits)
    return embedder.calibrate_threshold(*new_digits)


@pytest.fixture
def fresh(embedder, known_digits):
    copy = TCMEmbedder(**embedder.get_params())
    vars(copy).update(vars(embedder))
    return copy


def distances(embedder, X, y):
    """All distances of pairs of two classes and of one class, by brute force."""
    distance = pdist(embedder.transform(X).astype(np.float64))
    first, second = np.triu_indices(len(y), 1)
    same = np.asarray(y)[first] == np.asarray(y)[second]
    return distance[~same], distance[same]


def test_distance_of_pairs_is_the_length_of_the_difference(embedder, new_digits):
    X = new_digits[0]
    difference = embedder.transform(X[:50]) - embedder.transform(X[50:100])
    expected = np.linalg.norm(difference.astype(np.float64), axis=1)
    assert_allclose(embedder.pair_distance(X[:50], X[50:100]), expected, rtol=1e-6)
    pairs = np.stack([X[:50], X[50:100]], axis=1)
    assert_allclose(embedder.pair_distance(pairs), expected, rtol=1e-6)
    assert_array_equal(embedder.pair_score(pairs), -embedder.pair_distance(pairs))


def test_cosine_distance_is_half_the_squared_euclidean_one(known_digits, new_digits):
    X = new_digits[0]
    small = {"max_epochs": 1, "n_components": 4, "random_state": 0}
    one, other = (
        TCMEmbedder(**small, metric=metric).fit(*known_digits)
        for metric in ("euclidean", "cosine")
    )
    euclidean = one.pair_distance(X[:20], X[20:40])
    assert_allclose(other.pair_distance(X[:20], X[20:40]), euclidean**2 / 2)
    assert_allclose(other.threshold_, one.threshold_**2 / 2)


def test_another_metric_after_the_fit_waits_for_the_next_one(fresh, new_digits):
    X = new_digits[0]
    before = fresh.predict_pairs(X[:20], X[20:40])
    named = fresh.identify(X[:20], *new_digits)
    fresh.set_params(metric="cosine")
    assert_array_equal(fresh.predict_pairs(X[:20], X[20:40]), before)
    assert_array_equal(fresh.identify(X[:20], *new_digits), named)


def test_pairs_are_accepted_up_to_and_including_the_threshold(fresh, new_digits):
    X = new_digits[0]
    distance = fresh.pair_distance(X[:20], X[20:40])
    fresh.threshold_ = distance[3]
    assert_array_equal(fresh.predict_pairs(X[:20], X[20:40]), distance <= distance[3])
    all_accepted = fresh.predict_pairs(X[:20], X[20:40], threshold=2.0)
    assert all_accepted.all()


def test_pairs_of_unequal_number_are_refused(embedder, new_digits):
    with pytest.raises(ValueError, match="`X1` has 3 samples and `X2` has 4"):
        embedder.pair_distance(new_digits[0][:3], new_digits[0][:4])
    with pytest.raises(ValueError, match=r"\(n_pairs, 2, n_features\)"):
        embedder.pair_distance(new_digits[0])


@pytest.mark.parametrize("target_far", [0.001, 0.01, 0.2])
def test_threshold_at_a_false_accept_rate_is_the_largest_that_keeps_it(
    fresh, new_digits, target_far
):
    fresh.calibrate_threshold(*new_digits, target_far=target_far)
    negative, _ = distances(fresh, *new_digits)
    assert (negative <= fresh.threshold_).mean() <= target_far
    assert (negative <= fresh.threshold_ + 1e-4).mean() >= target_far * 0.9


def test_threshold_at_a_false_reject_rate_is_the_smallest_that_keeps_it(
    fresh, new_digits
):
    fresh.calibrate_threshold(*new_digits, target_frr=0.1)
    _, positive = distances(fresh, *new_digits)
    # the slack is for the rounding of distances
    assert (positive > fresh.threshold_ + 1e-6).mean() <= 0.1
    assert (positive > fresh.threshold_ - 1e-4).mean() >= 0.09


def test_threshold_at_equal_error_rates(fresh, new_digits):
    fresh.calibrate_threshold(*new_digits, criterion="eer")
    negative, positive = distances(fresh, *new_digits)
    far = (negative <= fresh.threshold_).mean()
    assert far == pytest.approx((positive > fresh.threshold_).mean(), abs=0.01)


def test_threshold_of_the_worst_class_is_stricter(fresh, new_digits):
    overall = fresh.calibrate_threshold(*new_digits, target_far=0.05).threshold_
    fresh.calibrate_threshold(*new_digits, target_far=0.05, criterion="worst_class_far")
    assert fresh.threshold_ <= overall
    report = fresh.threshold_report(*new_digits)
    assert report["per_class"]["far"].max() <= 0.05


def test_threshold_of_the_worst_class_refuses_all_where_zero_accepts_too_much(fresh):
    X = np.repeat(fresh_rows(20), 2, axis=0)
    labels = np.arange(40) % 20
    fresh.calibrate_threshold(X, labels, criterion="worst_class_far", target_far=1e-3)
    assert fresh.threshold_ < 0
    assert fresh.threshold_report(X, labels)["far"] == 0


def fresh_rows(n_rows):
    return np.random.default_rng(0).uniform(size=(n_rows, 64))


def test_threshold_of_greatest_utility_beats_its_neighbours(fresh, new_digits):
    fresh.calibrate_threshold(*new_digits, criterion="utility")
    best = fresh.threshold_report(*new_digits)["per_class"]["utility"].mean()
    for step in (-0.1, 0.1):
        fresh.threshold_ += step
        report = fresh.threshold_report(*new_digits)
        assert report["per_class"]["utility"].mean() <= best
        fresh.threshold_ -= step


def test_report_equals_a_brute_force_count(fresh, new_digits):
    fresh.threshold_ = 0.8  # not the distance of a pair, where rounding decides
    report = fresh.threshold_report(*new_digits)
    negative, positive = distances(fresh, *new_digits)
    assert report["far"] == pytest.approx((negative <= report["threshold"]).mean())
    assert report["frr"] == pytest.approx((positive > report["threshold"]).mean())
    assert_array_equal(report["per_class"]["class"], np.arange(5, 10))


def test_report_as_a_frame_has_a_row_a_class(embedder, new_digits):
    pytest.importorskip("pandas")
    frame = embedder.threshold_report(*new_digits, as_frame=True)["per_class"]
    assert list(frame.columns) == ["class", "far", "frr", "utility"]
    assert len(frame) == 5


def test_calibration_without_labels_brackets_the_false_accept_rate(fresh):
    # 60 classes around random centres: the rate is at most 1/60 too small
    rng = np.random.RandomState(0)
    centres = rng.normal(size=(60, 64))
    y = np.repeat(np.arange(60), 6)
    X = centres[y] + 0.1 * rng.normal(size=(360, 64))
    fresh.calibrate_threshold_unlabeled(X, target_far=0.1)
    negative, _ = distances(fresh, X, y)
    assert 0.1 - 1 / 60 <= (negative <= fresh.threshold_).mean() <= 0.1 + 1e-3


def test_early_stopping_calibrates_on_the_held_out_classes(known_digits):
    X, y = known_digits
    embedder = TCMEmbedder(
        max_epochs=2,
        n_components=8,
        hidden_layer_sizes=(32,),
        early_stopping=True,
        random_state=0,
    ).fit(X, y)
    held_out = np.isin(y, embedder._held_out_classes)
    assert len(np.unique(y[held_out])) == 2
    threshold = embedder.threshold_
    embedder.calibrate_threshold(X[held_out], y[held_out])
    assert embedder.threshold_ == threshold


def test_fit_may_calibrate_at_a_false_reject_rate(known_digits):
    embedder = TCMEmbedder(
        target_frr=0.05, max_epochs=1, hidden_layer_sizes=(8,), random_state=0
    ).fit(*known_digits)
    _, positive = distances(embedder, *known_digits)
    assert (positive > embedder.threshold_).mean() == pytest.approx(0.05, abs=0.002)


def test_samples_far_from_the_gallery_are_unknown(fresh, new_digits):
    X, y = new_digits
    gallery = np.flatnonzero(y < 8)[:40]
    everything = fresh.identify(X, X[gallery], y[gallery], threshold=2.0)
    assert set(everything) <= {5, 6, 7}
    nothing = fresh.identify(X, X[gallery], y[gallery], threshold=-1.0)
    assert set(nothing) == {-1}
    own = fresh.identify(X[gallery], X[gallery], y[gallery], threshold=1e-3)
    assert_array_equal(own, y[gallery])


def test_text_labels_have_a_text_for_the_unknown(embedder, new_digits):
    X, y = new_digits
    names = np.array([f"digit {label}" for label in y])
    found = embedder.identify(X, X[:5], names[:5], threshold=0.1)
    assert found.dtype.kind == "U"
    assert "unknown" in set(found)
    other = embedder.identify(X, X[:5], names[:5], threshold=0.1, unknown_label="?")
    assert "?" in set(other)


def test_labels_of_the_gallery_stay_as_they_are(embedder, new_digits):
    X, y = new_digits
    named = embedder.identify(X, X, y, unknown_label="stranger", threshold=1.9)
    assert_array_equal(named, y)
    large = y.astype(np.uint64) + 2**60 + 1
    named = embedder.identify(X, X, large, threshold=1.9)
    assert named.tolist() == large.tolist()
    named = embedder.identify(X, X, y, unknown_label=np.nan, threshold=-1)
    assert named.dtype == object
    small = embedder.identify(X, X, y.astype(np.uint8), threshold=1.9)
    assert_array_equal(small, y)
    assert small.dtype.kind == "i"


def test_labels_that_are_missing_are_refused(fresh, new_digits):
    X, y = new_digits
    holes = np.where(np.arange(len(y)) % 2, y, np.nan)
    for method in (fresh.calibrate_threshold, fresh.threshold_report, fresh.score):
        with pytest.raises(ValueError, match="Input y_true contains NaN"):
            method(X, holes)


def test_calibration_without_labels_that_fails_leaves_the_threshold(fresh):
    X = fresh_rows(2400)
    before = fresh.threshold_, fresh.threshold_origin_, fresh.calibration_curve_
    fresh.set_params(random_state="bad")
    with pytest.raises(ValueError, match="random_state|seed"):
        fresh.calibrate_threshold_unlabeled(X)
    after = fresh.threshold_, fresh.threshold_origin_, fresh.calibration_curve_
    assert after == before


def test_fit_looks_at_some_rows_of_large_classes_and_all_of_small_ones():
    rng = np.random.RandomState(0)
    two_large = np.repeat([0, 1], 20_000)
    rows = some_of_each(two_large, 5000, rng)
    assert_array_equal(np.bincount(two_large[rows]), [2500, 2500])
    ten_large = np.repeat(np.arange(10), 3000)
    rows = some_of_each(ten_large, 5000, rng)
    assert sorted(np.bincount(ten_large[rows], minlength=10)) == [0, *[500] * 9]
    assert len(np.unique(rows)) == 4500
    many_small = np.repeat(np.arange(1000), 20)
    rows = some_of_each(many_small, 5000, rng)
    assert set(np.bincount(many_small[rows]).tolist()) == {0, 20}
    assert 4900 < len(rows) <= 5000


@pytest.mark.parametrize(
    "arguments",
    [
        {"target_far": 2},
        {"target_frr": -1},
        {"criterion": "best"},
        {"target_far": 0.1, "target_frr": 0.1},
        {"criterion": "far", "target_frr": 0.1},
        {"criterion": "eer", "target_far": 0.1},
    ],
)
def test_wrong_calibration_argument_is_refused_by_name(fresh, new_digits, arguments):
    before = fresh.threshold_
    with pytest.raises(ValueError, match=f"['`]{list(arguments)[-1]}['`]"):
        fresh.calibrate_threshold(*new_digits, **arguments)
    assert fresh.threshold_ == before


def test_a_threshold_of_the_training_classes_warns_when_it_is_used(known_digits):
    X, y = known_digits
    embedder = TCMEmbedder(max_epochs=1, hidden_layer_sizes=(8,), random_state=0)
    assert embedder.fit(X, y).threshold_origin_ == "training"
    with pytest.warns(UserWarning, match="classes of the training.*early_stopping"):
        embedder.predict_pairs(X[:3], X[3:6])
    embedder.predict_pairs(X[:3], X[3:6], threshold=0.5)
    embedder.calibrate_threshold(X, y).predict_pairs(X[:3], X[3:6])
    assert embedder.threshold_origin_ == "calibrated"
    embedder.set_params(early_stopping=True).fit(X, y).predict_pairs(X[:3], X[3:6])
    assert embedder.threshold_origin_ == "held-out"
