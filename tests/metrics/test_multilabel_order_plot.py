"""Tests of the picture of label orders."""

import sys

import numpy as np
import pytest
from numpy.testing import assert_allclose
from sklearn.base import BaseEstimator
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import FunctionTransformer

from skdeep.metrics import LabelOrderDisplay

plt = pytest.importorskip("matplotlib.pyplot")

NAMES = ["object_location_type", "timeRange", "party_size_number", "served_dish"]


@pytest.fixture(autouse=True)
def _close_figures():
    yield
    plt.close("all")


def order(*labels):
    return np.array(labels, dtype=np.int64), np.linspace(0.9, 0.5, len(labels))


ORDERS = [order(1), order(0, 2), order(0, 2), order(2, 0, 1), order(), order(0, 1, 2)]


class Chain(BaseEstimator):
    """Gives the rows of X as orders; stands for a fitted chain."""

    label_names_ = np.array(NAMES)

    def fit(self, X, y=None):
        return self

    def predict_order(self, X):
        return [order(*row) for row in X]


def tick_texts(ax):
    return [text.get_text() for text in ax.get_yticklabels()]


def bold_texts(ax):
    return [text.get_text() for text in ax.texts if text.get_fontweight() == "bold"]


def test_shares_of_places_counted_by_hand():
    display = LabelOrderDisplay.from_predictions(ORDERS, label_names=NAMES)
    expected = [[3, 1, 0], [1, 1, 1], [1, 2, 1], [0, 0, 0]]
    assert_allclose(display.place_shares, np.array(expected) / 6)


def test_left_panel_shows_different_orders_of_several_labels():
    display = LabelOrderDisplay.from_predictions(ORDERS, label_names=NAMES)
    left, _ = display.axes_
    assert bold_texts(left) == ["row 0", "row 1", "row 3", "row 5"]
    assert tick_texts(left)[1:5] == [
        "1. timeRange",
        "",
        "1. object_location_type",
        "2. party_size_number",
    ]
    lengths = [bar.get_width() for bar in left.patches]
    assert_allclose(lengths, [0.9, 0.9, 0.5, 0.9, 0.7, 0.5, 0.9, 0.7, 0.5])
    assert "0.70" in [text.get_text() for text in left.texts]
    assert left.get_title(loc="left") == "Order taken in 4 rows"


def test_share_of_reversed_pairs_counted_by_hand():
    # 0 before 2 three times, 2 before 0 once; 0 before 1 twice; 2 before 1, 1 before 2
    display = LabelOrderDisplay.from_predictions(ORDERS)
    assert display.reversed_share == pytest.approx((1 + 0 + 1) / 8)
    texts = [text.get_text() for text in display.axes_[0].texts]
    assert "all rows: 25% of label pairs reversed" in texts
    fixed = [order(1), order(0, 2, 5), order(2, 5), order(), order(0, 5)]
    assert LabelOrderDisplay.from_predictions(fixed).reversed_share == 0
    assert LabelOrderDisplay.from_predictions([order(1)]).reversed_share == 0


def test_rows_with_reversed_labels_are_shown_first():
    orders = [order(0, 1), order(2, 3), order(0, 1), order(4, 5), order(5, 1, 0)]
    display = LabelOrderDisplay.from_predictions(orders, n_rows=3)
    assert bold_texts(display.axes_[0]) == ["row 0", "row 1", "row 4"]
    # a reversal behind the last step shown is no reason
    display = LabelOrderDisplay.from_predictions(orders, n_rows=2, max_steps=2)
    assert bold_texts(display.axes_[0]) == ["row 0", "row 1"]
    display = LabelOrderDisplay.from_predictions(orders[:3], n_rows=9)
    assert bold_texts(display.axes_[0]) == ["row 0", "row 1", "row 2"]


def test_right_panel_stacks_the_places_of_the_labels_most_frequent_on_top():
    display = LabelOrderDisplay.from_predictions(ORDERS, label_names=NAMES)
    _, right = display.axes_
    # of two labels in four rows each, the one that comes first more often
    assert tick_texts(right) == [
        "object_location_type",
        "party_size_number",
        "timeRange",
    ]
    top, bottom = right.get_ylim()[::-1]
    assert top < bottom
    widths = np.reshape([bar.get_width() for bar in right.patches], (3, 3))
    assert_allclose(widths * 6, [[3, 1, 1], [1, 2, 1], [0, 1, 1]])
    legend = [text.get_text() for text in right.get_legend().get_texts()]
    assert legend == ["1st", "2nd", "3rd"]
    assert right.get_title(loc="left") == "Place of each label in 6 rows"


def test_long_orders_and_many_labels_are_cut():
    orders = [order(*np.roll(np.arange(30), shift)) for shift in range(5)]
    display = LabelOrderDisplay.from_predictions(orders, n_rows=2, max_steps=3)
    left, right = display.axes_
    assert tick_texts(left)[:5] == [
        *("", "1. label 0", "2. label 1", "3. label 2"),
        "and 27 more",
    ]
    assert len(tick_texts(right)) == 12
    assert right.get_legend().get_texts()[-1].get_text() == "4th or later"
    ends = [bar.get_x() + bar.get_width() for bar in right.patches[-12:]]
    assert_allclose(ends, 1)
    again = display.plot(max_labels=4, rows=[4])
    assert bold_texts(again.axes_[0]) == ["row 4"]
    assert again.axes_[0].get_title(loc="left") == "Order taken in 1 row"
    assert len(tick_texts(again.axes_[1])) == 4


def test_long_names_stay_inside_the_figure():
    names = ["a" * 80, "b" * 80]
    display = LabelOrderDisplay.from_predictions(
        [order(0, 1)], label_names=names, row_names=["c" * 200]
    )
    figure = display.figure_
    figure.draw_without_rendering()
    renderer = figure.canvas.get_renderer()
    for ax in display.axes_:
        for text in ax.get_yticklabels():
            box = text.get_window_extent(renderer)
            assert box.x0 >= 0
            assert len(text.get_text()) <= 33
    left, right = (ax.get_window_extent(renderer) for ax in display.axes_)
    assert left.width > figure.bbox.width / 5
    for ax in display.axes_:
        assert ax.get_tightbbox(renderer).x1 <= figure.bbox.x1
    labels = [text.get_window_extent() for text in display.axes_[1].get_yticklabels()]
    assert min(box.x0 for box in labels) > left.x1


def test_rows_without_labels_are_drawn():
    display = LabelOrderDisplay.from_predictions([order(), order()])
    left, right = display.axes_
    assert tick_texts(left) == ["", "no label", "", "no label"]
    assert [text.get_text() for text in right.texts] == ["no label is taken"]
    assert display.place_shares.shape == (0, 1)


def test_estimator_and_pipeline_give_their_orders_and_names():
    X = np.array([[0, 1], [1, 0], [3, 2]])
    display = LabelOrderDisplay.from_estimator(Chain(), X, n_rows=1)
    assert tick_texts(display.axes_[0])[1] == "1. object_location_type"
    shift = FunctionTransformer(lambda X: (X + 1) % 4)
    model = make_pipeline(shift, Chain()).fit(X)
    display = LabelOrderDisplay.from_estimator(model, X, row_names=["x", "y", "z"])
    assert bold_texts(display.axes_[0]) == ["x", "y", "z"]
    assert tick_texts(display.axes_[0])[1:3] == ["1. timeRange", "2. party_size_number"]
    display = LabelOrderDisplay.from_estimator(Chain(), X, label_names="abcd")
    assert tick_texts(display.axes_[0])[1:3] == ["1. a", "2. b"]


def test_searches_and_pipelines_in_each_other_give_their_orders():
    X = np.array([[0, 1], [1, 0], [3, 2]])
    expected = LabelOrderDisplay.from_estimator(Chain(), X).orders
    alone, inside = make_pipeline(Chain()), Chain()
    inside.best_estimator_ = Chain()
    outside = make_pipeline("passthrough", inside).fit(X)
    for model in (alone, inside, outside):
        found = LabelOrderDisplay.from_estimator(model, X).orders
        assert_allclose(found, expected)


def test_labels_of_a_vector_of_classes_are_named_by_them():
    class Classes(Chain):
        label_names_ = None
        classes_ = np.array(["amber", "blue", "cyan", "green"])

    display = LabelOrderDisplay.from_estimator(Classes(), np.array([[2, 1]]))
    assert tick_texts(display.axes_[0])[1:3] == ["1. cyan", "2. blue"]


@pytest.mark.parametrize(
    ("labels", "words"),
    [
        ([-1, 0], r"orders\[0\] has the labels \[-1, 0\].*0 or greater"),
        ([1.5, 0.0], r"orders\[0\] has the labels \[1.5, 0.0\].*column numbers"),
        (["a", "b"], r"orders\[0\] has the labels \['a', 'b'\].*column numbers"),
        ([1, 1], r"orders\[0\] takes label 1 more than once"),
    ],
)
def test_labels_that_are_no_columns_are_refused(labels, words):
    with pytest.raises(ValueError, match=words):
        LabelOrderDisplay.from_predictions([(labels, [0.5, 0.5])])


def test_axes_of_the_caller_are_used():
    figure, axes = plt.subplots(ncols=2)
    display = LabelOrderDisplay.from_predictions(ORDERS, axes=axes)
    assert display.figure_ is figure
    assert display.axes_ == tuple(axes)
    with pytest.raises(ValueError, match="`axes` must be a pair of Axes; got 1"):
        display.plot(axes[0])


def test_wrong_orders_names_and_rows_are_refused():
    draw = LabelOrderDisplay.from_predictions
    with pytest.raises(ValueError, match="`orders` is empty"):
        draw([])
    with pytest.raises(ValueError, match=r"orders\[1\] has labels of shape \(2,\) and"):
        draw([order(0), (np.array([0, 1]), np.array([0.5]))])
    with pytest.raises(ValueError, match="has 2 names, but label 2 is taken"):
        draw(ORDERS, label_names=["a", "b"])
    with pytest.raises(ValueError, match="`row_names` has 1 names for 6 rows"):
        draw(ORDERS, row_names=["a"])
    with pytest.raises(ValueError, match=r"must name rows 0 to 5; got \[6\]"):
        draw(ORDERS, rows=[6])
    with pytest.raises(ValueError, match="`n_rows` must be at least 1; got 0"):
        draw(ORDERS, n_rows=0)
    with pytest.raises(TypeError, match="has no `predict_order`"):
        LabelOrderDisplay.from_estimator(FunctionTransformer(), ORDERS)


def test_missing_matplotlib_is_said_with_the_remedy(monkeypatch):
    monkeypatch.setitem(sys.modules, "matplotlib.pyplot", None)
    with pytest.raises(ImportError, match="LabelOrderDisplay.plot needs matplotlib"):
        LabelOrderDisplay.from_predictions(ORDERS)
