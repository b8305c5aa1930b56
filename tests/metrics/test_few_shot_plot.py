"""Tests of the picture of few-shot accuracy."""

import sys

import numpy as np
import pytest
from numpy.testing import assert_allclose, assert_array_equal
from sklearn.neighbors import KNeighborsClassifier
from sklearn.semi_supervised import LabelSpreading
from sklearn.utils import Bunch

from skdeep.metrics import FewShotDisplay
from skdeep.model_selection import few_shot_score

plt = pytest.importorskip("matplotlib.pyplot")

ESTIMATORS = {"nearest": KNeighborsClassifier(1), "spreading": LabelSpreading(gamma=1)}
QUICK = {"n_episodes": 5, "random_state": 0}


@pytest.fixture(autouse=True)
def _close_figures():
    yield
    plt.close("all")


def results(*values):
    return {
        name: {
            value: Bunch(mean=base + 0.01 * i, ci95=0.05)
            for i, value in enumerate(values)
        }
        for name, base in (("one", 0.5), ("other", 0.7))
    }


def ticks(ax):
    return [text.get_text() for text in ax.get_xticklabels()]


def test_lines_bands_and_legend_show_the_results():
    display = FewShotDisplay.from_results(results(1, 2, 8), name="mine")
    assert_allclose(display.lines_[1].get_ydata(), [0.7, 0.71, 0.72])
    assert_allclose(display.lines_[1].get_xdata(), [0, 1, 3])  # logarithms
    assert ticks(display.ax_) == ["1", "2", "8"]
    band = display.ax_.collections[1].get_paths()[0].vertices[:, 1]
    assert band.min() == pytest.approx(0.65)
    assert band.max() == pytest.approx(0.77)
    legend = [text.get_text() for text in display.ax_.get_legend().get_texts()]
    assert legend == ["one", "other"]
    assert display.ax_.get_title(loc="left") == "mine"
    styles = {(line.get_color(), line.get_marker()) for line in display.lines_}
    assert len(styles) == 2


def test_bars_have_the_length_of_the_intervals():
    display = FewShotDisplay.from_results(results(1, 5), interval="bars")
    (segments, *_) = (c.get_segments() for c in display.ax_.collections)
    assert_allclose([np.ptp(segment[:, 1]) for segment in segments], 0.1)
    places = [line.get_segments()[0][0, 0] for line in display.ax_.collections]
    assert places[0] < 0 < places[1]  # beside each other, around the point


def test_values_come_from_few_to_many_and_from_equal_to_unequal():
    assert FewShotDisplay.from_results(results(5, 1, 3)).values == [1, 3, 5]
    display = FewShotDisplay.from_results(
        results(2, "balanced", 10, 0.5), vary="balance"
    )
    assert display.values == ["balanced", 10, 2, 0.5]
    assert_allclose(display.mean["one"], [0.51, 0.52, 0.5, 0.53])
    assert ticks(display.ax_) == ["equal", "10", "2", "0.5"]
    assert_array_equal(display.lines_[0].get_xdata(), [0, 1, 2, 3])


def test_estimators_are_scored_for_each_value(digits):
    X, y = digits
    _, ax = plt.subplots()
    display = FewShotDisplay.from_estimators(
        ESTIMATORS, X, y, values=(1, 4), n_way=3, ax=ax, **QUICK
    )
    assert display.ax_ is ax
    assert display.ax_.get_title(loc="left") == "3-way, 5 episodes"
    assert {name: len(mean) for name, mean in display.mean.items()} == {
        "nearest": 2,
        "spreading": 2,
    }
    assert (display.mean["spreading"] >= display.mean["nearest"] - 0.05).all()
    by_default = FewShotDisplay.from_estimators(
        {"nearest": ESTIMATORS["nearest"]}, X, y, vary="balance", n_shot=2, **QUICK
    )
    assert ticks(by_default.ax_) == ["equal", "10", "5", "2", "1", "0.5"]
    assert by_default.ax_.get_title(loc="left") == "5-way, 2-shot, 5 episodes"


def test_score_is_that_of_few_shot_score(digits):
    X, y = digits
    display = FewShotDisplay.from_estimators(ESTIMATORS, X, y, values=[3], **QUICK)
    for name, estimator in ESTIMATORS.items():
        expected = few_shot_score(estimator, X, y, n_shot=3, **QUICK)
        assert display.mean[name][0] == expected.mean
        assert display.ci95[name][0] == expected.ci95


def test_all_numbers_of_shots_are_scored_on_the_same_classes():
    # class 2 is always wrong, and too small for five shots
    X = np.repeat([0.0, 10.0, 0.0], [20, 20, 6])[:, None]
    y = np.repeat([0, 1, 2], [20, 20, 6])
    display = FewShotDisplay.from_estimators(
        {"nearest": KNeighborsClassifier(1)},
        X,
        y,
        n_way=2,
        n_query=4,
        values=(1, 5),
        **QUICK,
    )
    assert_array_equal(display.mean["nearest"], [1, 1])


def test_pile_can_be_kept_from_one_of_the_lines(digits):
    X, y = digits
    spreading = LabelSpreading(gamma=1, alpha=0.5)
    display = FewShotDisplay.from_estimators(
        {"alone": spreading, "with pile": spreading},
        X,
        y,
        values=[1],
        n_episodes=30,
        random_state=0,
        unlabeled={"alone": "none"},
    )
    assert display.mean["with pile"][0] > display.mean["alone"][0]


def test_wrong_arguments_are_refused(digits):
    X, y = digits
    with pytest.raises(ValueError, match="`vary` must be one of"):
        FewShotDisplay.from_estimators(ESTIMATORS, X, y, vary="n_way")
    with pytest.raises(ValueError, match="`vary` must be one of"):
        FewShotDisplay.from_results(results(1), vary="n_way")
    with pytest.raises(ValueError, match="`values` is empty"):
        FewShotDisplay.from_estimators(ESTIMATORS, X, y, values=())
    with pytest.raises(ValueError, match="`estimators` must be a dict"):
        FewShotDisplay.from_estimators([LabelSpreading()], X, y)
    with pytest.raises(ValueError, match="`results` must be a dict"):
        FewShotDisplay.from_results([])
    with pytest.raises(ValueError, match="has no scores"):
        FewShotDisplay.from_results({"one": {}})
    uneven = {"one": results(1)["one"], "other": results(1, 5)["other"]}
    with pytest.raises(
        ValueError, match=r"'other' for \[1, 5\], and of 'one' for \[1\]"
    ):
        FewShotDisplay.from_results(uneven)
    with pytest.raises(ValueError, match="`interval` must be one of"):
        FewShotDisplay.from_results(results(1), interval="box")


def test_missing_matplotlib_is_said_with_the_remedy(monkeypatch):
    monkeypatch.setitem(sys.modules, "matplotlib.pyplot", None)
    with pytest.raises(ImportError, match=r"FewShotDisplay.plot needs matplotlib"):
        FewShotDisplay.from_results(results(1))
