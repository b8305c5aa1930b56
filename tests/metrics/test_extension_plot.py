"""Tests of the picture of scores on old and new classes."""

import sys

import numpy as np
import pytest
from numpy.testing import assert_allclose

from skdeep.metrics import ExtensionDisplay, extension_scores

plt = pytest.importorskip("matplotlib.pyplot")

ROWS = [
    {"name": "alone", "old": 0.2, "new": 0.9, "source_old": None, "seconds": 1.0},
    {"name": "finetune", "old": 0.5, "new": 0.8, "source_old": 0.75},
    {"name": "adapter", "old": 0.8, "new": 0.7, "source_old": 0.75},
]


@pytest.fixture(autouse=True)
def _close_figures():
    yield
    plt.close("all")


def legend_of(display):
    return [text.get_text() for text in display.ax_.get_legend().get_texts()]


def test_bars_line_and_names_show_the_rows():
    display = ExtensionDisplay.from_rows(ROWS, name="mine")
    assert_allclose([bar.get_width() for bar in display.old_], [0.2, 0.5, 0.8])
    assert_allclose([bar.get_width() for bar in display.new_], [0.9, 0.8, 0.7])
    ax = display.ax_
    assert [t.get_text() for t in ax.get_yticklabels()] == [
        "alone",
        "finetune",
        "adapter",
    ]
    assert ax.get_title(loc="left") == "mine"
    assert ax.get_ylim()[0] > ax.get_ylim()[1]  # the first one on top
    segments = display.lines_.get_segments()
    assert_allclose([segment[:, 0] for segment in segments], [[0.75, 0.75]] * 2)
    assert_allclose(segments[0][:, 1], [0.5, 1.5])
    assert set(legend_of(display)) == {"old", "new", "forgotten", "source on old"}


def test_hatch_reaches_from_the_score_to_the_source():
    display = ExtensionDisplay.from_rows(ROWS)
    assert_allclose(display.forgetting, [np.nan, 0.25, -0.05])
    hatched = [bar for bar in display.ax_.patches if bar.get_hatch()]
    ends = [(bar.get_x(), bar.get_width()) for bar in hatched]
    assert_allclose(ends[1:], [(0.5, 0.25), (0.8, 0.0)])


def test_dots_are_where_the_bars_end():
    display = ExtensionDisplay.from_rows(ROWS, kind="dots")
    assert_allclose(display.old_.get_xdata(), [0.2, 0.5, 0.8])
    assert_allclose(display.new_.get_xdata(), [0.9, 0.8, 0.7])
    assert display.old_.get_marker() != display.new_.get_marker()
    lost = display.ax_.collections[0].get_segments()
    assert_allclose([segment[:, 0] for segment in lost], [[0.5, 0.75]])


@pytest.mark.parametrize("kind", ["bars", "dots"])
def test_nothing_is_drawn_of_a_source_that_is_not_known(kind):
    display = ExtensionDisplay.from_rows(ROWS[:1], kind=kind)
    assert legend_of(display) == ["old", "new"]
    assert display.lines_.get_segments() == []


def test_predictions_and_models_are_scored():
    y_true, source = ["a", "a", "b", "c"], ["a", "a", "b", "b"]
    predictions = {"first": ["a", "c", "b", "c"], "second": ["a", "a", "b", "b"]}
    _, ax = plt.subplots()
    display = ExtensionDisplay.from_predictions(
        y_true, predictions, ["a", "b"], source_pred=source, ax=ax
    )
    assert display.ax_ is ax
    assert display.names == ["first", "second"]
    for i, y_pred in enumerate(predictions.values()):
        scores = extension_scores(y_true, y_pred, ["a", "b"], source)
        assert (display.old[i], display.new[i]) == (scores["old"], scores["new"])
        assert display.forgetting[i] == scores["forgetting"]

    class Fixed:
        classes_, old_class_mask_ = np.array(["a", "b", "c"]), [True, True, False]

        def __init__(self, y_pred):
            self.y_pred = y_pred

        def predict(self, X):
            return self.y_pred

        def predict_source(self, X):
            return source

    models = {name: Fixed(y_pred) for name, y_pred in predictions.items()}
    by_models = ExtensionDisplay.from_estimators(models, np.zeros((4, 1)), y_true)
    assert_allclose(by_models.old, display.old)
    assert_allclose(by_models.source_old, display.source_old)
    by_model = ExtensionDisplay.from_estimator(
        models["first"], np.zeros((4, 1)), y_true, name="mine", ax=ax, kind="dots"
    )
    assert by_model.names == ["Fixed"]
    assert by_model.ax_ is ax
    assert ax.get_title(loc="left") == "mine"
    assert_allclose(by_model.old, display.old[:1])
    assert_allclose(by_model.new, display.new[:1])


def test_wrong_arguments_of_the_picture_are_refused():
    with pytest.raises(ValueError, match="`rows` is empty"):
        ExtensionDisplay.from_rows([])
    with pytest.raises(ValueError, match=r"`rows\[1\]` has no 'old' and no 'new'"):
        ExtensionDisplay.from_rows([ROWS[0], {"name": "x"}])
    with pytest.raises(ValueError, match="`kind` must be one of"):
        ExtensionDisplay.from_rows(ROWS, kind="lines")
    with pytest.raises(ValueError, match="`predictions` must be a dict"):
        ExtensionDisplay.from_predictions(["a"], [["a"]], ["a"])
    with pytest.raises(ValueError, match="`estimators` must be a dict"):
        ExtensionDisplay.from_estimators({}, [[0]], ["a"])


def test_missing_matplotlib_is_said_when_the_picture_is_drawn(monkeypatch):
    monkeypatch.setitem(sys.modules, "matplotlib.pyplot", None)
    with pytest.raises(ImportError, match=r"ExtensionDisplay.plot needs matplotlib"):
        ExtensionDisplay.from_rows(ROWS)
