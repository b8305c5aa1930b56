"""Tests of the pictures."""

import sys

import numpy as np
import pytest
from numpy.testing import assert_allclose, assert_array_equal
from sklearn.decomposition import PCA

from skdeep.metrics import (
    ConsistencyAccuracyDisplay,
    FarFrrDisplay,
    ThresholdConsistencyDisplay,
    epsilon_opis_score,
    opis_score,
    utility_curves,
)

plt = pytest.importorskip("matplotlib.pyplot")


@pytest.fixture(autouse=True)
def _close_figures():
    yield
    plt.close("all")


@pytest.fixture(scope="module")
def rows():
    rng = np.random.RandomState(0)
    y = np.array([f"c{label:02d}" for label in np.arange(150) % 15])
    X = rng.randn(15, 5)[np.arange(150) % 15] + 0.6 * rng.randn(150, 5)
    return y, X


def test_consistency_picture_shows_the_scores_and_all_classes(rows):
    y, X = rows
    display = ThresholdConsistencyDisplay.from_predictions(y, X, name="raw")
    assert display.opis == opis_score(y, X)
    assert display.epsilon_opis == pytest.approx(epsilon_opis_score(y, X))
    assert len(display.lines_) == 15 + 1
    assert display.figure_ is display.ax_.figure
    legend = display.ax_.get_legend()
    assert f"OPIS {display.opis:.2g}" in legend.get_title().get_text()
    texts = [text.get_text() for text in legend.get_texts()]
    assert texts[-1] == "mean of 15 classes"
    worst = display.classes[display.mean_utility.argmin()]
    assert f"worst: {worst}" in texts
    assert_allclose(
        display.lines_[-1].get_ydata(), display.utility.mean(axis=0), rtol=1e-12
    )


def test_curves_of_the_picture_are_those_of_the_function(rows):
    y, X = rows
    display = ThresholdConsistencyDisplay.from_predictions(y, X)
    first, last = display.thresholds[[0, -1]]
    curves = utility_curves(y, X, distance_range=(first, last))
    assert_allclose(display.utility, curves.utility, atol=1e-12)
    low, high = display.calibration_range
    assert first < low < high < last


def test_picture_of_groups_has_the_scores_of_groups(rows):
    y, X = rows
    groups = np.arange(len(y)) % 3
    how = {"frr_range": (0.1, 0.5), "far_range": None, "groups": groups}
    details = opis_score(y, X, return_details=True, **how)
    display = ThresholdConsistencyDisplay.from_predictions(y, X, **how)
    assert display.opis == details.opis
    assert display.classes.tolist() == [0, 1, 2]
    assert display.utility.shape[0] == 3


def test_number_of_curves_and_highlighted_classes_can_be_chosen(rows):
    display = ThresholdConsistencyDisplay.from_predictions(
        *rows, max_classes=5, highlight=["c03", "c04"], alpha=0.5
    )
    orange = [line for line in display.lines_ if line.get_color() == "#d9480f"]
    assert len(orange) == 2
    assert len(display.lines_) <= 5 + 2 + 1
    plain = display.plot(highlight=None)
    assert len(plain.lines_) == 16
    with pytest.raises(ValueError, match="`highlight` must be .* got 'c99'"):
        display.plot(highlight="c99")


def test_pair_of_pictures_has_equal_axes(rows):
    y, X = rows
    before = ThresholdConsistencyDisplay.from_predictions(y, X, name="before")
    after = ThresholdConsistencyDisplay.from_estimator(PCA(3).fit(X), X, y)
    left, right = before.plot_pair(after)
    assert left.figure_ is right.figure_
    assert left.ax_.get_xlim() == right.ax_.get_xlim()
    assert right.ax_.get_title(loc="left") == "PCA"


def test_far_frr_picture_has_normal_deviate_axes(rows):
    y, X = rows
    display = FarFrrDisplay.from_predictions(y, X, name="raw")
    far, frr = display.lines_[0].get_data()
    assert (np.diff(far) >= 0).all()
    assert (np.diff(frr) <= 0).all()
    labels = [label.get_text() for label in display.ax_.get_xticklabels()]
    assert "1 %" in labels
    assert_allclose(
        display.ax_.get_xticks()[labels.index("1 %")], -2.3263478740, rtol=1e-9
    )
    second = FarFrrDisplay.from_estimator(PCA(2).fit(X), X, y, ax=display.ax_)
    assert second.ax_ is display.ax_
    assert second.lines_[0].get_color() != display.lines_[0].get_color()
    texts = [text.get_text() for text in display.ax_.get_legend().get_texts()]
    assert texts[0].startswith("raw, EER ")
    assert texts[1].startswith("PCA, EER ")


def test_far_frr_picture_of_separable_classes_is_drawn():
    X = np.repeat(np.eye(4), 5, axis=0)
    X += 0.01 * np.arange(20)[:, None]
    display = FarFrrDisplay.from_predictions(np.repeat(np.arange(4), 5), X)
    assert display.figure_ is not None


CV_RESULTS = {
    "params": [{"pca__weight": w} for w in (0, 0.5, 1.0, 2)],
    "mean_test_recall_at_1": np.array([0.9, 0.88, 0.85, np.nan]),
    "mean_test_neg_opis": np.array([-0.03, -0.01, -0.02, np.nan]),
}


def test_search_picture_marks_the_front():
    display = ConsistencyAccuracyDisplay.from_cv_results(CV_RESULTS, chosen=1)
    assert_array_equal(display.front, [1, 0])
    assert_allclose(display.points_.get_offsets()[0], [0.03, 0.1])
    assert [text.get_text() for text in display.ax_.texts] == ["weight=0.5", "weight=0"]
    bare = display.plot(annotate=False)
    assert len(bare.ax_.texts) == 0


def test_search_without_the_score_is_refused():
    with pytest.raises(ValueError, match=r"no score 'f1', only \['recall_at_1'"):
        ConsistencyAccuracyDisplay.from_cv_results(CV_RESULTS, accuracy="f1")


def test_missing_matplotlib_is_said_with_the_remedy(monkeypatch):
    monkeypatch.setitem(sys.modules, "matplotlib.pyplot", None)
    with pytest.raises(ImportError, match="ConsistencyAccuracyDisplay.plot needs mat"):
        ConsistencyAccuracyDisplay.from_cv_results(CV_RESULTS)
