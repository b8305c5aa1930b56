"""Tests of the pictures of clusterings."""

import sys
from types import SimpleNamespace

import numpy as np
import pytest
from numpy.testing import assert_allclose, assert_array_equal
from scipy.cluster.hierarchy import fcluster, linkage
from sklearn.base import BaseEstimator
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import FunctionTransformer

from skdeep.metrics import ClusterTreeDisplay, TauPathDisplay
from skdeep.metrics._plot._tree_shape import tree_shape

plt = pytest.importorskip("matplotlib.pyplot")

# rows 0 1 2 and 3 4 are clusters, row 5 is alone; nodes 6, 7, 8, 9, 10
TREE = np.array(
    [[0, 1, 0.1, 2], [3, 4, 0.2, 2], [2, 6, 0.3, 3], [7, 8, 0.7, 5], [5, 9, 1.0, 6]]
)
LABELS = np.array([0, 0, 0, 1, 1, 2])
CLASSES = np.array(["a", "a", "b", "b", "b", "c"])


@pytest.fixture(autouse=True)
def _close_figures():
    yield
    plt.close("all")


class Result:
    """Stands for a ClusterResult."""

    hierarchy, labels, tau = TREE, LABELS, 0.6

    def cut(self, tau):
        return np.unique(fcluster(TREE, 1 - tau, "distance"), return_inverse=True)[1]

    def tau_path(self, y_true, taus):
        n_clusters = np.array([self.cut(tau).max() + 1 for tau in taus])
        scores = dict.fromkeys(("pairwise_f", "bcubed_f", "nmi"), np.asarray(taus) / 2)
        return {"tau": np.asarray(taus), "n_clusters": n_clusters, **scores}


class Clusterer(BaseEstimator):
    """Has a result of the fit, and wants rows of ones to find another."""

    result_ = Result()

    def fit(self, X, y=None):
        return self

    def cluster(self, X):
        assert (X == 1).all()
        return Result()


def names_of(ax):
    return [text.get_text() for text in ax.get_yticklabels()]


def test_shape_counted_by_hand():
    shape = tree_shape(TREE, LABELS, max_leaves=6)
    # three clusters, and in the first two a single row each that counts as a part
    assert shape.n_leaves == 6
    assert [fork[2:] for fork in shape.forks] == [
        (0.1, False),
        (0.2, False),
        (0.3, False),
        (0.7, True),
        (1.0, True),
    ]
    shape = tree_shape(TREE, LABELS, max_leaves=3)
    assert shape.forks == [(0, 1, 0.7, True), (3, 2, 1.0, True)]
    assert_array_equal(shape.leaf_of_row, [0, 0, 0, 1, 1, 2])
    assert_allclose(shape.leaf_heights, [0.3, 0.2, 0])


def test_small_clusters_are_left_out_first():
    shape = tree_shape(TREE, LABELS, max_leaves=2)
    assert shape.forks == [(0, 1, 0.7, True)]
    assert_array_equal(shape.leaf_of_row, [0, 0, 0, 1, 1, -1])
    shape = tree_shape(TREE, LABELS, max_leaves=1)
    assert shape.forks == []
    assert_array_equal(shape.leaf_of_row, [0, 0, 0, -1, -1, -1])


@pytest.mark.parametrize("max_leaves", [1, 2, 5, 20, 200])
def test_every_row_of_a_drawn_cluster_is_in_one_leaf_of_it(max_leaves):
    rng = np.random.RandomState(0)
    tree = linkage(rng.randn(100, 2), "average")
    labels = fcluster(tree, 12, "maxclust") - 1
    shape = tree_shape(tree, labels, max_leaves)
    assert 1 <= shape.n_leaves <= max_leaves
    assert len(shape.forks) == shape.n_leaves - 1
    drawn = shape.leaf_of_row >= 0
    pairs = np.unique(np.stack([shape.leaf_of_row, labels])[:, drawn], axis=1)
    assert_array_equal(pairs[0], np.arange(shape.n_leaves))  # of one cluster each
    assert_array_equal(drawn, np.isin(labels, np.unique(pairs[1])))
    sizes = np.bincount(labels)
    undrawn = np.setdiff1d(np.arange(12), pairs[1])
    assert sizes[undrawn].max(initial=0) <= sizes[pairs[1]].min()
    # a fork comes behind its parts, and is no lower
    heights = [*shape.leaf_heights]
    for one, other, height, _ in shape.forks:
        assert max(one, other) < len(heights)
        assert height >= max(heights[one], heights[other])
        heights.append(height)
    joins_clusters = [fork[3] for fork in shape.forks]
    assert sum(joins_clusters) == len(np.unique(pairs[1])) - 1


def test_leaves_of_a_fork_lie_together():
    rng = np.random.RandomState(1)
    tree = linkage(rng.randn(200, 3), "average")
    shape = tree_shape(tree, fcluster(tree, 5, "maxclust") - 1, 20)
    leaves = [{leaf} for leaf in range(shape.n_leaves)]
    for one, other, *_ in shape.forks:
        leaves.append(leaves[one] | leaves[other])
        assert max(leaves[-1]) - min(leaves[-1]) == len(leaves[-1]) - 1


def test_long_chains_need_no_recursion():
    n = 5000
    chain = np.array(
        [[0, 1, 0.0, 2]] + [[n + i, i + 2, 0, i + 3] for i in range(n - 2)]
    )
    shape = tree_shape(chain, np.zeros(n, int), 10)
    assert shape.n_leaves == 1
    assert (shape.leaf_of_row == 0).all()
    shape = tree_shape(chain, np.arange(n), 10)
    assert shape.n_leaves == 10


def test_labels_of_another_tree_are_refused():
    with pytest.raises(ValueError, match="2 clusters of `labels` are not subtrees"):
        ClusterTreeDisplay.from_predictions((TREE, [0, 1, 0, 0, 0, 0]))
    with pytest.raises(ValueError, match=r"each of the 6 rows .* shape is \(2,\)"):
        ClusterTreeDisplay.from_predictions((TREE, [0, 1]))


def test_tree_says_how_many_rows_and_classes_a_leaf_has():
    display = ClusterTreeDisplay.from_predictions(Result(), CLASSES, max_leaves=3)
    assert names_of(display.ax_) == ["3 rows, 67% a", "2 rows, 100% b", "1 row, 100% c"]
    assert display.ax_.get_title(loc="left") == "6 rows in 3 clusters"
    legend = [text.get_text() for text in display.ax_.get_legend().get_texts()]
    assert legend == ["b", "a", "c"]  # the most frequent one first
    widths = np.reshape([bar.get_width() for bar in display.ax_.patches[-9:]], (3, 3))
    expected = [[1 / 3, 1, 0], [2 / 3, 0, 0], [0, 0, 1]]
    assert_allclose(widths / widths.sum(axis=0), expected, atol=1e-12)
    again = display.plot(max_leaves=2)
    assert names_of(again.ax_) == ["3 rows, 67% a", "2 rows, 100% b"]
    title = again.ax_.get_title(loc="left")
    assert title == "6 rows in 3 clusters; the 2 largest, with 5 rows, are drawn"


def test_many_classes_are_drawn_by_rank():
    display = ClusterTreeDisplay.from_predictions(
        Result(), CLASSES, max_leaves=3, max_classes=2
    )
    legend = [text.get_text() for text in display.ax_.get_legend().get_texts()]
    assert legend == ["first class of a leaf", "second", "others"]
    widths = np.reshape([bar.get_width() for bar in display.ax_.patches[-9:]], (3, 3))
    expected = [[2 / 3, 1, 1], [1 / 3, 0, 0], [0, 0, 0]]
    assert_allclose(widths / widths.sum(axis=0), expected, atol=1e-12)


def line_of(display):
    (line,) = (line for line in display.ax_.lines if line.get_linestyle() == "--")
    return line.get_xdata()[0]


def test_line_is_at_one_minus_tau_on_both_scales():
    display = ClusterTreeDisplay.from_predictions(Result(), scale="linear")
    assert line_of(display) == pytest.approx(0.4)
    assert display.ax_.get_legend() is None
    odds = np.log(0.4 / 0.6)
    assert line_of(display.plot()) == pytest.approx(odds)  # all heights are in [0, 1]
    assert "1 - tau = 0.4" in display.ax_.get_xlabel()


def test_other_tau_cuts_the_result_again():
    display = ClusterTreeDisplay.from_predictions(Result(), tau=0.25)
    assert display.labels.max() + 1 == 2
    assert display.tau == 0.25


def test_linkage_without_labels_is_cut_at_one_minus_tau():
    display = ClusterTreeDisplay.from_predictions(TREE, tau=0.6)
    assert_array_equal(display.labels == display.labels[0], LABELS == 0)
    with pytest.raises(ValueError, match="A linkage without labels needs `tau`"):
        ClusterTreeDisplay.from_predictions(TREE)
    high = TREE * [1, 1, 10, 1]
    display = ClusterTreeDisplay.from_predictions((high, LABELS))
    assert display.tau is None
    assert display.ax_.get_xlim()[1] == pytest.approx(10.2)


def test_tree_of_estimators_and_pipelines():
    of_fit = ClusterTreeDisplay.from_estimator(Clusterer(), y=CLASSES)
    assert_array_equal(of_fit.labels, LABELS)
    pipeline = make_pipeline(FunctionTransformer(lambda X: X + 1), Clusterer())
    _, ax = plt.subplots()
    zeros = np.zeros((6, 1))
    display = ClusterTreeDisplay.from_estimator(pipeline.fit(zeros), zeros, ax=ax)
    assert display.ax_ is ax
    with pytest.raises(TypeError, match="FunctionTransformer has no `cluster`"):
        ClusterTreeDisplay.from_estimator(FunctionTransformer(), zeros)


def test_a_single_row_has_no_tree():
    display = ClusterTreeDisplay(linkage=np.empty((0, 4)), labels=np.zeros(1, int))
    with pytest.raises(ValueError, match="single row has no tree"):
        display.plot()


def test_wrong_arguments_of_the_tree_are_refused():
    with pytest.raises(ValueError, match=r"each of the 6 rows; its shape is \(2,\)"):
        ClusterTreeDisplay.from_predictions(Result(), ["a", "b"])
    with pytest.raises(ValueError, match="`max_leaves` must be at least 2; got 1"):
        ClusterTreeDisplay.from_predictions(Result(), max_leaves=1)
    with pytest.raises(ValueError, match="`scale` must be one of"):
        ClusterTreeDisplay.from_predictions(Result(), scale="log")


def test_path_has_the_scores_the_counts_and_the_threshold_in_use():
    result = SimpleNamespace(tau=0.62, tau_path=Result().tau_path)
    display = TauPathDisplay.from_predictions(result, CLASSES, name="mine")
    assert 0.62 in display.path["tau"]  # beside the grid
    assert len(display.path["tau"]) == 22
    *scores, counts = display.lines_
    assert [line.get_label() for line in scores] == ["pairwise F", "BCubed F", "NMI"]
    assert_allclose(scores[0].get_ydata(), display.path["tau"] / 2)
    assert_array_equal(counts.get_ydata(), display.path["n_clusters"])
    texts = [text.get_text() for text in display.ax_.get_legend().get_texts()]
    assert "tau in use, 0.62" in texts
    assert "3 true classes" in texts
    assert display.ax_.get_title(loc="left") == "mine"
    assert display.count_ax_.get_yscale() == "log"


def test_grid_of_the_path_holds_plain_decimals():
    # cut(0.6) and cut(0.6 + 1e-16) may differ: many links lie exactly at the threshold
    display = TauPathDisplay.from_predictions(Result(), CLASSES)
    assert display.path["tau"].tolist() == [round(i / 20, 2) for i in range(21)]


def test_path_of_an_estimator_with_some_scores():
    display = TauPathDisplay.from_estimator(
        Clusterer(), np.ones((6, 1)), CLASSES, taus=[0.2, 0.8]
    )
    assert display.ax_.get_title(loc="left") == "Clusterer"
    assert_array_equal(display.path["n_clusters"], [2, 5])
    one = display.plot(scores=["nmi"])
    assert [line.get_label() for line in one.lines_] == ["NMI", "clusters"]
    with pytest.raises(ValueError, match="`scores` must be some of .* got 'ari'"):
        display.plot(scores=["ari"])
    with pytest.raises(TypeError, match="must be a ClusterResult.* got ndarray"):
        TauPathDisplay.from_predictions(LABELS, CLASSES)


@pytest.mark.parametrize("display", [ClusterTreeDisplay, TauPathDisplay])
def test_missing_matplotlib_is_said_with_the_remedy(display, monkeypatch):
    monkeypatch.setitem(sys.modules, "matplotlib.pyplot", None)
    with pytest.raises(ImportError, match=f"{display.__name__}.plot needs matplotlib"):
        display.from_predictions(Result(), CLASSES)
