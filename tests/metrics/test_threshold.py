"""Tests of the utility curves, OPIS and epsilon-OPIS."""

from pathlib import Path

import numpy as np
import pairs_by_brute_force as brute
import pytest
from hypothesis import Phase, given, settings
from hypothesis import strategies as st
from numpy.testing import assert_allclose, assert_array_equal
from sklearn import config_context

from skdeep.metrics import _select, epsilon_opis_score, opis_score, utility_curves
from skdeep.metrics._counts import count_accepted
from skdeep.metrics._pairs import Pairs
from skdeep.metrics._select import kth_smallest_distances

ORACLES = Path(__file__).parent.parent / "data" / "tcm"
CASES = ["hand", "imbalanced", "ties", "beta2_range", "perfect"]


def make_rows(n=60, n_classes=9, d=3, seed=0):
    rng = np.random.RandomState(seed)
    y = rng.randint(n_classes, size=n)
    y[:2] = 0, 1
    y[2] = 0
    X = rng.randn(n_classes, d)[y] + rng.randn(n, d)
    return y, X


def load_case(name):
    oracle = np.load(ORACLES / f"opis_{name}.npz")
    settings = {
        "beta": float(oracle["beta"]),
        "far_range": tuple(oracle["far"]),
        "n_thresholds": int(oracle["n_thresholds"]),
    }
    if not np.isnan(oracle["distance_range"]).any():
        settings["distance_range"] = tuple(oracle["distance_range"])
    return oracle, settings


@pytest.mark.filterwarnings("ignore:A FAR of:UserWarning")
@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("case", CASES)
def test_opis_and_its_curves_equal_the_oracle(case, dtype):
    oracle, settings = load_case(case)
    details = opis_score(
        oracle["y"], oracle["E"], **settings, dtype=dtype, return_details=True
    )
    assert_array_equal(details.classes, oracle["classes"])
    for name in (
        "thresholds",
        "sensitivity",
        "specificity",
        "utility",
        "opis_per_class",
        "opis",
    ):
        assert_allclose(details[name], oracle[name], rtol=0, atol=1e-12, err_msg=name)


@pytest.mark.filterwarnings("ignore:A FAR of:UserWarning")
@pytest.mark.parametrize("grouping", ["pointwise", "overall"])
@pytest.mark.parametrize("reference", ["rest", "best", "all"])
@pytest.mark.parametrize("case", CASES)
def test_epsilon_opis_equals_the_oracle(case, reference, grouping):
    oracle, settings = load_case(case)
    for epsilon in (0.05, 0.1, 0.25):
        score = epsilon_opis_score(
            oracle["y"],
            oracle["E"],
            epsilon=epsilon,
            reference=reference,
            grouping=grouping,
            **settings,
        )
        expected = oracle[f"eps{epsilon}_{reference}_{grouping}"]
        assert score == pytest.approx(expected, rel=0, abs=1e-12)


def test_utility_of_four_points_counted_by_hand():
    # unit vectors at 0, 60, 90 and 180 degrees; distance of an angle a is 2 sin(a / 2)
    angle = np.radians([0, 60, 90, 180])
    X = np.column_stack([np.cos(angle), np.sin(angle)])
    y = ["near", "near", "far", "far"]
    # positives: 60 degrees (1.0), 90 degrees (1.414)
    # negatives: 90 (1.414), 180 (2.0), 30 (0.518), 120 (1.732); each is of both classes
    curves = utility_curves(y, X, distance_range=(0.9, 1.5), n_thresholds=3)
    assert_array_equal(curves.classes, ["far", "near"])
    assert_array_equal(curves.sensitivity, [[0, 0, 1], [0, 1, 1]])
    assert_array_equal(curves.specificity, [[0.75, 0.75, 0.5], [0.75, 0.75, 0.5]])
    two_thirds = 2 * 0.5 * 1 / 1.5
    assert_allclose(
        curves.utility, [[0, 0, two_thirds], [0, 2 * 0.75 / 1.75, two_thirds]]
    )
    assert_array_equal(curves.far, [0.25, 0.25, 0.5])
    assert_array_equal(curves.frr, [1, 0.5, 0])


def test_opis_of_two_curves_counted_by_hand():
    angle = np.radians([0, 60, 90, 180])
    X = np.column_stack([np.cos(angle), np.sin(angle)])
    details = opis_score(
        [0, 0, 1, 1], X, distance_range=(0.9, 1.5), n_thresholds=3, return_details=True
    )
    # only the middle threshold has a gap, g: variance (g / 2)^2, trapezoid weight 1/2
    gap = 2 * 0.75 / 1.75
    assert details.opis == pytest.approx(gap**2 / 8)
    assert_allclose(details.opis_per_class, gap**2 / 8)
    assert details.mean_utility == pytest.approx((gap / 2 + (2 / 3) / 2) / 2)


@given(
    y=st.lists(st.integers(0, 5), min_size=3, max_size=25),
    seed=st.integers(0, 1000),
    n_levels=st.integers(2, 9),
    block_size=st.integers(2, 30),
    metric=st.sampled_from(["euclidean", "cosine"]),
    dtype=st.sampled_from(["float32", "float64"]),
    normalize=st.booleans(),
)
@settings(max_examples=30, deadline=None, derandomize=True, phases=[Phase.generate])
def test_counts_equal_brute_force(
    y, seed, n_levels, block_size, metric, dtype, normalize
):
    # few levels: many tied pairs, equal rows and zero rows
    X = np.random.RandomState(seed).randint(n_levels, size=(len(y), 3)) - 1
    names = np.array([f"class {label}" for label in y])
    pairs = Pairs(
        names,
        X,
        metric=metric,
        normalize=normalize,
        dtype=dtype,
        block_size=block_size,
        zero_rows="ignore_direction",
    )
    D = brute.distances(X, metric, normalize)
    _, _, d, same = brute.pair_lists(names, D)
    for positive, values in ((True, d[same]), (False, d[~same])):
        ranks = list(range(1, len(values) + 1))
        if ranks:
            found = kth_smallest_distances(pairs, ranks, positive=positive)
            assert_allclose(found, np.sort(values), rtol=0, atol=1e-7)
    # just above each distance: which of two tied pairs is larger is rounding
    thresholds = np.unique(np.round(d, 8)) + 1e-6
    accepted = count_accepted(pairs, thresholds, pairs.code, len(pairs.classes))
    i, j, d, same = brute.pair_lists(names, D)
    hits = d[:, None] <= thresholds
    assert_array_equal(accepted.all_positive, hits[same].sum(axis=0))
    assert_array_equal(accepted.all_negative, hits[~same].sum(axis=0))
    for k, name in enumerate(pairs.classes):
        mine = (names[i] == name) | (names[j] == name)
        assert_array_equal(accepted.positive[k], hits[same & mine].sum(axis=0))
        assert_array_equal(accepted.negative[k], hits[~same & mine].sum(axis=0))


@pytest.mark.parametrize("metric", ["euclidean", "cosine"])
@pytest.mark.parametrize("normalize", [True, False])
@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_curves_equal_brute_force(metric, normalize, dtype):
    y, X = make_rows(n=90, n_classes=30)
    D = brute.distances(X, metric, normalize)
    curves = utility_curves(y, X, metric=metric, normalize=normalize, dtype=dtype)
    assert_allclose(curves.thresholds[[0, -1]], brute.far_range(y, D), rtol=1e-12)
    names, psi, phi, far, frr = brute.curves(y, D, curves.thresholds)
    assert_array_equal(curves.classes, names)
    assert_allclose(curves.sensitivity, psi, rtol=0, atol=1e-12)
    assert_allclose(curves.specificity, phi, rtol=0, atol=1e-12)
    assert_allclose(curves.far, far, rtol=0, atol=1e-12)
    assert_allclose(curves.frr, frr, rtol=0, atol=1e-12)


@pytest.mark.parametrize("scale", [1e-200, 1e-8, 1.0, 1e8, 1e200])
def test_result_does_not_depend_on_the_unit_of_length(scale):
    y, X = make_rows()
    assert opis_score(y, X * scale) == pytest.approx(opis_score(y, X), rel=1e-9)
    raw = opis_score(y, X, normalize=False)
    assert opis_score(y, X * scale, normalize=False) == pytest.approx(raw, rel=1e-9)


def test_raw_rows_far_from_the_origin_keep_their_distances():
    y, X = make_rows()
    shifted = opis_score(y, X + 1000.0, normalize=False, dtype="float32")
    assert shifted == pytest.approx(opis_score(y, X, normalize=False), rel=1e-9)


@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_result_is_the_same_to_the_last_bit_for_every_tile_size(dtype):
    y, X = make_rows(n=100, n_classes=20, d=8)
    expected = utility_curves(y, X, dtype=dtype)
    for block_size in (7, 64, 99, 1000):
        curves = utility_curves(y, X, dtype=dtype, block_size=block_size)
        for name in expected:
            assert_array_equal(curves[name], expected[name], err_msg=name)
    with config_context(working_memory=1):
        assert opis_score(y, X, dtype=dtype) == opis_score(y, X, dtype="float64")


def test_single_precision_tiles_give_the_double_precision_result():
    y, X = make_rows(n=600, n_classes=50, d=32)
    assert opis_score(y, X, dtype="float32") == opis_score(y, X, dtype="float64")


def test_torch_backend_gives_the_same_result():
    y, X = make_rows(n=200)
    for dtype in ("float32", "float64"):
        assert opis_score(y, X, backend="torch", dtype=dtype) == opis_score(y, X)


@pytest.mark.filterwarnings("ignore:The calibration range:UserWarning")
def test_tied_pairs_beyond_the_memory_limit_are_found(monkeypatch):
    # one-hot rows: most negative pairs are at exactly sqrt(2), few are nearer
    monkeypatch.setattr(_select, "MAX_KEPT", 500)
    X = np.eye(12)[np.arange(240) % 12]
    X[:30] += 0.3 * np.random.RandomState(0).rand(30, 12)
    y = np.arange(240) // 2
    D = brute.distances(X)
    _, _, d, same = brute.pair_lists(y, D)
    negative = np.sort(d[~same])
    ranks = [1, 50, 2000, 5000, 20000, len(negative)]
    for dtype in ("float32", "float64"):
        pairs = Pairs(y, X, dtype=dtype)
        found = kth_smallest_distances(pairs, ranks)
        assert_allclose(found, negative[np.array(ranks) - 1], rtol=0, atol=1e-7)


def test_a_wrong_bracket_is_replaced(monkeypatch):
    y, X = make_rows(n=200)
    pairs = Pairs(y, X, dtype="float32")
    _, _, d, same = brute.pair_lists(y, brute.distances(X))
    expected = np.sort(d[~same])[[99, 4999]]
    for bracket in ((0.95, 1.0), (-1.0, -0.9), (0.3, 0.300001)):
        monkeypatch.setattr(
            _select,
            "_first_brackets",
            lambda *_, bracket=bracket: dict.fromkeys([100, 5000], bracket),
        )
        assert_allclose(kth_smallest_distances(pairs, [100, 5000]), expected)


@pytest.mark.slow
def test_sampled_brackets_give_exact_order_statistics():
    y, X = make_rows(n=3000, n_classes=300, d=8)
    _, _, d, same = brute.pair_lists(y, brute.distances(X))
    negative = np.sort(d[~same])
    ranks = [1, 1000, 44_000, 440_000, len(negative)]
    found = kth_smallest_distances(Pairs(y, X, dtype="float32"), ranks)
    assert_allclose(found, negative[np.array(ranks) - 1], rtol=1e-12)


def test_order_of_rows_and_names_of_classes_do_not_matter():
    y, X = make_rows()
    expected = opis_score(y, X)
    order = np.random.RandomState(3).permutation(len(y))
    assert opis_score(y[order], X[order]) == pytest.approx(expected, rel=1e-12)
    names = np.array([f"class {9 - label}" for label in y])
    assert opis_score(names, X) == pytest.approx(expected, rel=1e-12)
    assert opis_score(names.astype(object), X) == pytest.approx(expected, rel=1e-12)


def test_classes_of_one_sample_have_no_curve_but_are_negatives():
    X = [[1, 0], [1, 0.1], [0, 1], [0.1, 1], [1, 0.05]]
    y = ["a", "a", "b", "b", "alone"]
    curves = utility_curves(y, X, distance_range=(0.01, 0.2), n_thresholds=2)
    assert_array_equal(curves.classes, ["a", "b"])
    # class a has 6 negative pairs, 2 of them with the lonely row in its midst
    assert_allclose(curves.specificity, [[1, 4 / 6], [1, 1]])


def test_groups_equal_to_the_classes_change_nothing():
    y, X = make_rows()
    expected, found = utility_curves(y, X), utility_curves(y, X, groups=y)
    for name in expected:
        assert_array_equal(found[name], expected[name])


def test_groups_equal_brute_force():
    y, X = make_rows(n=80)
    groups = np.array(["north", "south", "west"])[
        np.random.RandomState(1).randint(3, size=80)
    ]
    curves = utility_curves(y, X, groups=groups)
    names, psi, phi, far, _ = brute.curves(
        y, brute.distances(X), curves.thresholds, groups
    )
    assert_array_equal(curves.classes, names)
    assert_allclose(curves.sensitivity, psi, rtol=0, atol=1e-12)
    assert_allclose(curves.specificity, phi, rtol=0, atol=1e-12)
    assert_allclose(curves.far, far, rtol=0, atol=1e-12)


def test_frr_range_uses_the_positive_pairs():
    y, X = make_rows()
    _, _, d, same = brute.pair_lists(y, brute.distances(X))
    positive = np.sort(d[same])
    thresholds = utility_curves(y, X, frr_range=(0.1, 0.5)).thresholds
    first, last = np.ceil(np.array([0.5, 0.9]) * len(positive) - 1e-9).astype(int)
    assert_allclose(thresholds[[0, -1]], positive[[first - 1, last - 1]], rtol=1e-12)


def test_sampling_of_all_negatives_is_exact():
    y, X = make_rows()
    expected = utility_curves(y, X)
    found = utility_curves(y, X, pairs="sample", max_negatives=10_000)
    for name in expected:
        assert_allclose(found[name], expected[name], rtol=0, atol=1e-12)
    details = opis_score(
        y, X, pairs="sample", max_negatives=10_000, return_details=True
    )
    assert details.sampling_error == 0


def test_sampling_error_predicts_the_spread_of_the_score():
    y, X = make_rows(n=200, n_classes=20)
    scores, errors = [], []
    for seed in range(40):
        details = opis_score(
            y,
            X,
            pairs="sample",
            max_negatives=300,
            distance_range=(0.3, 1.0),
            random_state=seed,
            return_details=True,
        )
        scores.append(details.opis)
        errors.append(details.sampling_error)
    exact = opis_score(y, X, distance_range=(0.3, 1.0))
    # ten parts and forty repetitions: both estimates are good to some 25 %
    assert 0.5 < np.mean(errors) / np.std(scores) < 2
    assert abs(np.mean(scores) - exact) < 4 * np.std(scores) / 40**0.5 + 0.02 * exact


def test_bootstrap_is_seeded_and_centred_near_the_score():
    y, X = make_rows(n=200, n_classes=20)
    runs = [
        opis_score(y, X, n_bootstraps=200, random_state=0, return_details=True)
        for _ in range(2)
    ]
    assert_array_equal(runs[0].bootstrap_scores, runs[1].bootstrap_scores)
    low, high = runs[0].interval
    assert low < runs[0].opis < high
    assert runs[0].standard_error == pytest.approx(runs[0].bootstrap_scores.std(ddof=1))
    # the variance of T classes drawn with replacement is (T - 1) / T on average
    n = len(runs[0].classes)
    assert runs[0].bootstrap_scores.mean() == pytest.approx(
        runs[0].opis * (n - 1) / n, rel=0.1
    )


def test_worst_classes_of_epsilon_opis_have_the_lowest_utility():
    y, X = make_rows()
    details = epsilon_opis_score(
        y, X, epsilon=0.3, n_bootstraps=20, random_state=0, return_details=True
    )
    worst = np.isin(details.classes, details.worst_classes)
    assert worst.sum() == 3  # ceil(0.3 * 9)
    utility = details.utility.mean(axis=1)
    assert utility[worst].max() <= utility[~worst].min() + 1e-3
    assert details.bootstrap_scores.shape == (20,)


def test_equally_bad_classes_have_opis_zero_so_mean_utility_is_reported():
    X = np.ones((8, 2))
    y = np.repeat([0, 1, 2, 3], 2)
    with pytest.warns(UserWarning, match="single distance 0 because pairs are tied"):
        details = opis_score(y, X, far_range=(0.5, 0.9), return_details=True)
    assert details.opis == 0
    assert details.mean_utility == 0
    assert details.thresholds.shape == (1,)


def test_identical_rows_are_accepted_at_threshold_zero():
    X = np.array([[1.0, 2.0], [3.0, 6.0], [0.1, 0.2], [1.0, -1.0]])
    curves = utility_curves([0, 0, 1, 1], X, distance_range=(0, 1e-3), n_thresholds=2)
    assert_array_equal(curves.sensitivity, [[1, 1], [0, 0]])
    assert_array_equal(curves.specificity, [[0.5, 0.5], [0.5, 0.5]])


def test_zero_row_without_direction_is_at_a_right_angle_to_all():
    X = np.array([[1.0, 0.0], [0.0, 0.0], [0.0, 1.0], [0.0, 0.0]])
    curves = utility_curves(
        [0, 0, 1, 1],
        X,
        distance_range=(1.414, 1.415),
        n_thresholds=2,
        zero_rows="ignore_direction",
    )
    assert_array_equal(curves.sensitivity, [[0, 1], [0, 1]])


def test_one_class_with_a_curve_has_opis_zero_by_definition():
    X = [[1, 0], [1, 0.1], [0, 1]]
    with pytest.warns(UserWarning, match="Only 'a' has a utility curve"):
        assert opis_score(["a", "a", "b"], X, far_range=(0.5, 1)) == 0


def test_far_below_one_pair_warns_and_starts_at_the_smallest_distance():
    y, X = make_rows(n=12, n_classes=3)
    _, _, d, same = brute.pair_lists(y, brute.distances(X))
    with pytest.warns(UserWarning, match="A FAR of 0.0001 is less than one of the"):
        curves = utility_curves(y, X, far_range=(1e-4, 0.5))
    assert curves.thresholds[0] == pytest.approx(d[~same].min(), rel=1e-12)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"beta": 0}, "`beta` must be a finite number > 0; got 0"),
        ({"far_range": (0.1, 0.01)}, "`far_range` must satisfy 0 < lo < hi <= 1"),
        ({"far_range": (0, 0.1)}, "`far_range` must satisfy 0 < lo < hi <= 1"),
        ({"far_range": (0.1, 1.1)}, "`far_range` must satisfy 0 < lo < hi <= 1"),
        ({"far_range": (0.1, np.nan)}, "`far_range` must satisfy"),
        ({"far_range": 0.1}, "`far_range` must be a pair of numbers"),
        ({"frr_range": (0.2, 1.0)}, "`frr_range` must satisfy 0 <= lo < hi < 1"),
        ({"distance_range": (1, 1)}, "`distance_range` must satisfy 0 <= lo < hi"),
        ({"distance_range": (-1, 1)}, "`distance_range` must satisfy 0 <= lo < hi"),
        ({"distance_range": (0, np.inf)}, "`distance_range` must satisfy 0 <= lo < hi"),
        ({"distance_range": (0, 1), "frr_range": (0, 0.5)}, "give one"),
        ({"n_thresholds": 1}, "`n_thresholds` must be at least 2; got 1"),
        ({"metric": "manhattan"}, "`metric` must be one of .* got 'manhattan'"),
        ({"dtype": "float16"}, "`dtype` must be one of .* got 'float16'"),
        ({"backend": "jax"}, "`backend` must be one of .* got 'jax'"),
        ({"zero_rows": "keep"}, "`zero_rows` must be one of .* got 'keep'"),
        ({"pairs": "some"}, "`pairs` must be one of .* got 'some'"),
        ({"block_size": 0}, "`block_size` must be at least 1; got 0"),
        ({"pairs": "sample", "max_negatives": 5}, "`max_negatives` must be at least"),
        ({"pairs": "sample", "groups": [0, 1] * 30}, "`groups` needs every pair"),
        ({"groups": [0, 1]}, "inconsistent numbers of samples"),
        ({"n_bootstraps": 5}, "Use return_details=True"),
    ],
)
def test_wrong_argument_is_named(arguments, message):
    y, X = make_rows()
    with pytest.raises(ValueError, match=message):
        opis_score(y, X, **arguments)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"epsilon": 0}, r"`epsilon` must be a number in \(0, 1\]; got 0"),
        ({"epsilon": 1.5}, r"`epsilon` must be a number in \(0, 1\]; got 1.5"),
        ({"epsilon": "a"}, r"`epsilon` must be a number in \(0, 1\]; got 'a'"),
        ({"groups": [np.nan] * 60}, "Input groups contains NaN"),
        ({"epsilon": 1.0}, "puts all 9 classes into the worst group"),
        ({"reference": "median"}, "`reference` must be one of"),
        ({"grouping": "never"}, "`grouping` must be one of"),
    ],
)
def test_wrong_argument_of_epsilon_opis_is_named(arguments, message):
    with pytest.raises(ValueError, match=message):
        epsilon_opis_score(*make_rows(), **arguments)


@pytest.mark.parametrize("name", ["normalize", "return_details"])
def test_flag_that_is_text_is_refused(name):
    with pytest.raises(TypeError, match=f"`{name}` must be True or False; got 'no'"):
        opis_score(*make_rows(), **{name: "no"})


def test_tensors_with_a_gradient_are_scored():
    torch = pytest.importorskip("torch")
    y, X = make_rows()
    assert opis_score(y, torch.tensor(X, requires_grad=True)) == opis_score(y, X)


@pytest.mark.parametrize("name", ["n_thresholds", "block_size", "n_bootstraps"])
def test_count_that_is_no_integer_is_refused(name):
    with pytest.raises(TypeError, match=f"`{name}` must be"):
        opis_score(*make_rows(), **{name: 2.5})


@pytest.mark.parametrize(
    ("y", "X", "message"),
    [
        ([0, 1, 2], np.eye(3), "no positive pair: each of the 3 classes"),
        ([7, 7, 7], np.eye(3), "no negative pair: `y_true` has 1 class only"),
        (None, np.eye(3), "`y_true` is required"),
        ([0, np.nan, 1], np.eye(3), "Input y_true contains NaN"),
        (["a", None, "b"], np.eye(3), "Input y_true contains NaN or None"),
        ([0, 0], np.eye(3), "inconsistent numbers of samples"),
        ([0, 0, 1], [[1, 0], [0, np.nan], [1, 1]], "contains NaN"),
        ([0, 0, 1], [[1, 0], [0, np.inf], [1, 1]], "contains infinity"),
        ([0, 0, 1], [[1, 0], [0, 0], [1, 1]], "1 of 3 rows of `embeddings` are zero"),
        ([[0], [0], [1]], [[[1]], [[1]], [[1]]], "dim"),
    ],
)
def test_R220_degenerate_data_are_refused_with_the_reason(y, X, message):
    for metric in (opis_score, epsilon_opis_score, utility_curves):
        with pytest.raises(ValueError, match=message):
            metric(y, X)


def test_epsilon_opis_of_a_single_curve_is_refused():
    with pytest.raises(ValueError, match="Only 'a' has a utility curve"):
        epsilon_opis_score(
            ["a", "a", "b"], [[1, 0], [1, 1], [0, 1]], far_range=(0.5, 1)
        )


def test_memory_stays_far_below_the_matrix_of_all_pairs():
    import tracemalloc

    y, X = make_rows(n=4000, n_classes=400, d=8)
    tracemalloc.start()
    opis_score(y, X, distance_range=(0.1, 0.5), dtype="float32")
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert peak < 32e6  # the matrix would take 64 MB in single precision
