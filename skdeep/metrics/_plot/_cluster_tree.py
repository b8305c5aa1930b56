"""Picture of how clusters come together."""

import numpy as np
from scipy.cluster.hierarchy import fcluster, is_valid_linkage
from sklearn.pipeline import Pipeline

from skdeep.metrics._curves import check_count
from skdeep.metrics._pairs import check_choice
from skdeep.metrics._plot._style import BLUE, GREY, ORANGE, new_axes
from skdeep.metrics._plot._tree_shape import tree_shape

MAX_NAME = 24
LEAST = 1e-3
TICKS = (0.001, 0.01, 0.1, 0.5, 0.9, 0.99, 0.999)
RANK_COLORS = ("#2f855a", "#a9d3a4", "0.85")
# strong ones first, then the same ones light
CLASS_COLORS = [
    *("#4c78a8", "#f58518", "#54a24b", "#e45756", "#72b7b2"),
    *("#b279a2", "#9d755d", "#eeca3b", "#ff9da6", "#79706e"),
    *("#a3c1dd", "#fbc78b", "#a9d3a4", "#f2aaaa", "#b9dbd8"),
    *("#d9bcd0", "#cebaae", "#f7e59d", "#ffced2", "#bcb7b6"),
]


class ClusterTreeDisplay:
    """Dendrogram of a clustering: clusters, their largest parts, and what joins them.

    Heights are one minus the probability of a link. Left of the dashed line rows are in
    one cluster, right of it a cut at a lower probability would join clusters.

    Parameters
    ----------
    linkage : ndarray of shape (n_samples - 1, 4)
        Linkage matrix as of ``scipy.cluster.hierarchy``.

    labels : ndarray of shape (n_samples,)
        Clusters, each of them a subtree of the linkage.

    tau : float, default=None
        Probability above which rows were linked. None: no line is drawn.

    y_true : ndarray of shape (n_samples,), default=None
        True classes.

    Attributes
    ----------
    shape_ : TreeShape
        Leaves and forks that are drawn.

    ax_ : matplotlib Axes
        Axes with the picture.

    figure_ : matplotlib Figure
        Figure of the axes.

    See Also
    --------
    TauPathDisplay : Scores for all probabilities at which to cut.

    Examples
    --------
    >>> from scipy.cluster.hierarchy import linkage
    >>> from sklearn.datasets import load_iris
    >>> from skdeep.metrics import ClusterTreeDisplay
    >>> X, y = load_iris(return_X_y=True)
    >>> tree = linkage(X, "average", metric="cosine")
    >>> display = ClusterTreeDisplay.from_predictions(tree, y, tau=0.99)
    >>> display.labels.max() + 1
    np.int64(2)
    """

    def __init__(self, *, linkage, labels, tau=None, y_true=None):
        self.linkage = linkage
        self.labels = labels
        self.tau = tau
        self.y_true = y_true

    @classmethod
    def from_estimator(cls, estimator, X=None, y=None, *, ax=None, **kwargs):
        """Cluster `X` with a fitted clusterer, then draw.

        Parameters
        ----------
        estimator : estimator instance
            Fitted clusterer with `cluster` and `result_`, such as `HiLanderClusterer`,
            or a Pipeline that ends with one.

        X : array-like of shape (n_samples, n_features), default=None
            Rows. None: the clusters of the rows given to `fit` are drawn.

        y : array-like of shape (n_samples,), default=None
            True classes of the rows.

        ax : matplotlib Axes, default=None
            Axes to draw on. None: a new figure.

        **kwargs : dict
            Passed to :meth:`plot`.

        Returns
        -------
        display : ClusterTreeDisplay
            The picture.
        """
        result = cluster_result(estimator, X)
        return cls.from_predictions(result, y, ax=ax, **kwargs)

    @classmethod
    def from_predictions(cls, result, y_true=None, *, tau=None, ax=None, **kwargs):
        """Draw from clusters that are there already.

        Parameters
        ----------
        result : ClusterResult, ndarray, or pair of ndarray
            Clusters with their `hierarchy`, a linkage matrix, or a linkage matrix and
            the labels of a cut of it.

        y_true : array-like of shape (n_samples,), default=None
            True classes of the rows.

        tau : float, default=None
            Where the line is drawn, and where a linkage without labels is cut: at the
            height ``1 - tau``. None: that of the result.

        ax : matplotlib Axes, default=None
            Axes to draw on. None: a new figure.

        **kwargs : dict
            Passed to :meth:`plot`.

        Returns
        -------
        display : ClusterTreeDisplay
            The picture.
        """
        linkage, labels, tau = _parts_of(result, tau)
        labels = np.unique(labels, return_inverse=True)[1]
        if y_true is not None:
            y_true = np.asarray(y_true)
            if y_true.shape != labels.shape:
                raise ValueError(
                    f"`y_true` must have one class for each of the {len(labels)} rows; "
                    f"its shape is {y_true.shape}."
                )
        display = cls(linkage=linkage, labels=labels, tau=tau, y_true=y_true)
        return display.plot(ax, **kwargs)

    def plot(self, ax=None, *, max_leaves=30, max_classes=10, scale="auto"):
        """Draw the tree from left to right.

        Parameters
        ----------
        ax : matplotlib Axes, default=None
            Axes to draw on. None: a new figure.

        max_leaves : int, default=30
            Largest number of leaves. The largest clusters are drawn, and with the leaves
            that are left, their largest parts.

        max_classes : int, default=10
            Up to so many classes, at most 20, have a colour each. Of more, the strip
            beside a leaf shows the share of its first, its second and all other classes.

        scale : {"auto", "logit", "linear"}, default="auto"
            Scale of the heights. "logit" spreads those next to 0 and to 1 out. "auto" is
            "logit" if all heights are in [0, 1].

        Returns
        -------
        self : ClusterTreeDisplay
            The display.
        """
        check_count("max_leaves", max_leaves, 2)
        check_count("max_classes", max_classes, 1)
        check_choice("scale", scale, ("auto", "logit", "linear"))
        if not len(self.linkage):
            raise ValueError("A single row has no tree to draw; give 2 rows or more.")
        self.shape_ = shape = tree_shape(self.linkage, self.labels, max_leaves)
        size = {"figsize": (7.5, 1.2 + 0.22 * max(shape.n_leaves, 8))}
        ax = new_axes(type(self).__name__, ax, **size)
        x_of, left, right = self._set_scale(ax, scale)
        _draw_branches(ax, shape, x_of, left)
        if self.tau is not None:
            line = {"color": ORANGE, "linestyle": "--", "linewidth": 1.2}
            ax.axvline(x_of(1 - self.tau), **line)
        start = left
        if self.y_true is not None:
            width = 0.14 * (right - left)
            strips = _shares_of_classes(shape, self.y_true, min(max_classes, 20))
            start = left - 1.2 * width
            _draw_strips(ax, *strips, start, start + width)
        ax.set_xlim(start, right + 0.02 * (right - left))
        ax.set_yticks(np.arange(shape.n_leaves), self._leaf_names(), fontsize="small")
        ax.set_ylim(shape.n_leaves - 0.4, -0.6)  # the first one on top
        ax.tick_params(axis="y", length=0)
        ax.grid(False, axis="y")
        ax.spines["left"].set_visible(False)
        ax.set_xlabel("1 - probability of the link" + self._line_name())
        ax.set_title(self._title(), loc="left", fontsize="medium")
        self.ax_, self.figure_ = ax, ax.figure
        return self

    def _set_scale(self, ax, scale):
        """Position of a height, and positions of the ends."""
        highest = float(self.linkage[:, 2].max())
        if scale == "logit" or scale == "auto" and highest <= 1:
            ax.set_xticks([_logit(tick) for tick in TICKS], [f"{t:g}" for t in TICKS])
            return _logit, _logit(0), _logit(1)
        return float, 0.0, max(highest, 1e-12)

    def _line_name(self):
        return "" if self.tau is None else f"; dashed: 1 - tau = {1 - self.tau:.2g}"

    def _title(self):
        n_clusters = int(self.labels.max()) + 1
        shown = np.unique(self.labels[self.shape_.leaf_of_row >= 0])
        title = f"{len(self.labels)} rows in {n_clusters} clusters"
        if len(shown) < n_clusters:
            n_rows = np.isin(self.labels, shown).sum()
            title += f"; the {len(shown)} largest, with {n_rows} rows, are drawn"
        return title

    def _leaf_names(self):
        leaf = self.shape_.leaf_of_row
        names = []
        for number in range(self.shape_.n_leaves):
            rows = leaf == number
            name = f"{rows.sum()} row{'s' if rows.sum() > 1 else ''}"
            if self.y_true is not None:
                classes, counts = np.unique(self.y_true[rows], return_counts=True)
                most = _short(str(classes[counts.argmax()]))
                name += f", {counts.max() / counts.sum():.0%} {most}"
            names.append(name)
        return names


def cluster_result(estimator, X):
    """Clusters that a fitted clusterer, or a pipeline, finds in `X`."""
    if isinstance(estimator, Pipeline):
        if X is not None and len(estimator) > 1:
            X = estimator[:-1].transform(X)
        estimator = estimator[-1]
    needed = "result_" if X is None else "cluster"
    if not hasattr(estimator, needed):
        raise TypeError(
            f"{type(estimator).__name__} has no `{needed}`; give a fitted clusterer that "
            "keeps its trees, such as HiLanderClusterer."
        )
    return estimator.result_ if X is None else estimator.cluster(X)


def _parts_of(result, tau):
    """Linkage, labels and threshold."""
    if hasattr(result, "hierarchy"):
        if tau is not None and tau != result.tau:
            return result.hierarchy, result.cut(tau), tau
        return result.hierarchy, result.labels, result.tau
    labels = None
    if isinstance(result, tuple):
        result, labels = result
    linkage = np.asarray(result, dtype=float)
    is_valid_linkage(linkage, throw=True, name="result")
    if labels is None:
        if tau is None:
            raise ValueError(
                "A linkage without labels needs `tau`: it is cut at height 1 - tau."
            )
        labels = fcluster(linkage, 1 - tau, criterion="distance")
    labels = np.asarray(labels)
    if labels.shape != (len(linkage) + 1,):
        raise ValueError(
            f"`labels` must have one entry for each of the {len(linkage) + 1} rows of "
            f"the linkage; their shape is {labels.shape}."
        )
    return linkage, labels, tau


def _logit(heights):
    """Spread heights next to 0 and to 1 out; ends at `LEAST` and ``1 - LEAST``."""
    heights = np.clip(heights, LEAST, 1 - LEAST)
    return np.log(heights / (1 - heights))


def _draw_branches(ax, shape, x_of, left):
    """A wedge for each leaf, as long as its rows need to come together; then forks."""
    ends = [(x_of(height), place) for place, height in enumerate(shape.leaf_heights)]
    for end, place in ends:
        corners = [(left, place - 0.3), (left, place + 0.3), (end, place)]
        ax.fill(*zip(*corners), color=BLUE, alpha=0.45, linewidth=0)
    for one, other, height, of_clusters in shape.forks:
        color = GREY if of_clusters else BLUE
        x, places = x_of(height), (ends[one][1], ends[other][1])
        for start, place in (ends[one], ends[other]):
            ax.plot([start, x], [place, place], color=color, linewidth=1)
        ax.plot([x, x], places, color=color, linewidth=1)
        ends.append((x, sum(places) / 2))


def _shares_of_classes(shape, y_true, max_classes):
    """What a strip consists of: names, colours, and shares of each leaf.

    Of many classes, colours could not be told apart: then the strip shows how pure a
    leaf is.
    """
    drawn = shape.leaf_of_row >= 0
    classes, code = np.unique(y_true[drawn], return_inverse=True)
    counts = np.zeros((shape.n_leaves, len(classes)))
    np.add.at(counts, (shape.leaf_of_row[drawn], code), 1)
    shares = counts / counts.sum(axis=1, keepdims=True)
    if len(classes) <= max_classes:
        order = np.argsort(-counts.sum(axis=0), kind="stable")
        names = [_short(str(name)) for name in classes[order]]
        return names, CLASS_COLORS, shares[:, order]
    shares = -np.sort(-shares, axis=1)
    shares = np.column_stack([shares[:, :2], shares[:, 2:].sum(axis=1)])
    return ["first class of a leaf", "second", "others"], RANK_COLORS, shares


def _draw_strips(ax, names, colors, shares, left, right):
    """A strip beside each leaf, divided like its rows among the classes."""
    places = np.arange(len(shares))
    start = np.full(len(shares), left)
    for name, color, share in zip(names, colors, shares.T):
        width = share * (right - left)
        ax.barh(places, width, 0.8, left=start, color=color, label=name, linewidth=0)
        start = start + width
    place = {"loc": "upper left", "bbox_to_anchor": (1, 1)}
    ax.legend(**place, fontsize="small", frameon=False, handlelength=1)


def _short(name):
    return name if len(name) <= MAX_NAME else f"{name[: MAX_NAME - 1]}…"
