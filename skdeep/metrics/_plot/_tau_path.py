"""Picture of the scores of a clustering for all thresholds."""

import numpy as np

from skdeep.metrics._plot._cluster_tree import cluster_result
from skdeep.metrics._plot._style import BLUE, GREY, INK, ORANGE, new_axes

SCORES = {
    "pairwise_f": ("pairwise F", BLUE, "-"),
    "bcubed_f": ("BCubed F", INK, "-"),
    "nmi": ("NMI", "#2f855a", "--"),
}


class TauPathDisplay:
    """Scores and number of clusters against `tau`, the probability that a link needs.

    A broad top means that the choice of `tau` is not delicate. The trees of one
    clustering are cut again for each threshold, without the network.

    Parameters
    ----------
    path : dict of ndarray of shape (n_taus,)
        "tau", "n_clusters", and scores: "pairwise_f", "bcubed_f", "nmi".

    tau : float, default=None
        Threshold in use, which is marked.

    n_classes : int, default=None
        True number of classes, which is marked.

    name : str, default=None
        Name of the clustering, for the title.

    Attributes
    ----------
    lines_ : list of matplotlib Line2D
        Scores, then the number of clusters.

    ax_ : matplotlib Axes
        Axes of the scores.

    count_ax_ : matplotlib Axes
        Axes of the number of clusters.

    figure_ : matplotlib Figure
        Figure of the axes.

    See Also
    --------
    ClusterTreeDisplay : The trees that are cut.

    Examples
    --------
    >>> from sklearn.datasets import load_digits
    >>> from skdeep import HiLanderClusterer
    >>> from skdeep.metrics import TauPathDisplay
    >>> X, y = load_digits(return_X_y=True)
    >>> known = y < 5
    >>> clusterer = HiLanderClusterer(n_neighbors=20, max_epochs=3, random_state=0)
    >>> clusterer = clusterer.fit(X[known], y[known])
    >>> display = TauPathDisplay.from_estimator(clusterer, X[~known], y[~known])
    >>> display.path["bcubed_f"].shape
    (21,)
    """

    def __init__(self, *, path, tau=None, n_classes=None, name=None):
        self.path = path
        self.tau = tau
        self.n_classes = n_classes
        self.name = name

    @classmethod
    def from_estimator(
        cls, estimator, X, y, *, taus=None, name=None, ax=None, **kwargs
    ):
        """Cluster `X` with a fitted clusterer, then draw.

        Parameters
        ----------
        estimator : estimator instance
            Fitted clusterer with `cluster`, such as `HiLanderClusterer`, or a Pipeline
            that ends with one.

        X : array-like of shape (n_samples, n_features)
            Rows, of classes on which the clusterer was not fitted.

        y : array-like of shape (n_samples,)
            Their classes.

        taus : array-like of shape (n_taus,), default=None
            Thresholds; None is 0, 0.05, ..., 1 and the one in use.

        name : str, default=None
            Name for the title. None: the class of the estimator.

        ax : matplotlib Axes, default=None
            Axes to draw on. None: a new figure.

        **kwargs : dict
            Passed to :meth:`plot`.

        Returns
        -------
        display : TauPathDisplay
            The picture.
        """
        name = type(estimator).__name__ if name is None else name
        result = cluster_result(estimator, X)
        return cls.from_predictions(result, y, taus=taus, name=name, ax=ax, **kwargs)

    @classmethod
    def from_predictions(
        cls, result, y_true, *, taus=None, name=None, ax=None, **kwargs
    ):
        """Draw from clusters that are there already.

        Parameters
        ----------
        result : ClusterResult
            Clusters with their trees.

        y_true : array-like of shape (n_samples,)
            True classes of the rows.

        taus : array-like of shape (n_taus,), default=None
            Thresholds; None is 0, 0.05, ..., 1 and the one in use.

        name : str, default=None
            Name for the title.

        ax : matplotlib Axes, default=None
            Axes to draw on. None: a new figure.

        **kwargs : dict
            Passed to :meth:`plot`.

        Returns
        -------
        display : TauPathDisplay
            The picture.
        """
        if not hasattr(result, "tau_path"):
            raise TypeError(
                f"`result` must be a ClusterResult, such as `cluster` of a fitted "
                f"HiLanderClusterer returns; got {type(result).__name__}."
            )
        if taus is None:
            # on the point where it changes most, neither a bit before nor behind
            taus = np.union1d(np.linspace(0, 1, 21).round(2), [result.tau])
        display = cls(
            path=result.tau_path(y_true, taus),
            tau=result.tau,
            n_classes=len(set(np.asarray(y_true).tolist())),
            name=name,
        )
        return display.plot(ax, **kwargs)

    def plot(self, ax=None, *, scores=("pairwise_f", "bcubed_f", "nmi")):
        """Draw the scores on the left axis, the number of clusters on the right one.

        Parameters
        ----------
        ax : matplotlib Axes, default=None
            Axes to draw on. None: a new figure.

        scores : sequence of str, default=("pairwise_f", "bcubed_f", "nmi")
            Scores to draw.

        Returns
        -------
        self : TauPathDisplay
            The display.
        """
        unknown = [score for score in scores if score not in SCORES]
        if unknown:
            raise ValueError(
                f"`scores` must be some of {sorted(SCORES)}; got {unknown[0]!r}."
            )
        ax = new_axes(type(self).__name__, ax, figsize=(6.4, 4))
        taus = self.path["tau"]
        self.lines_ = []
        for score in scores:
            label, color, dashes = SCORES[score]
            style = {"color": color, "linestyle": dashes, "linewidth": 2}
            self.lines_ += ax.plot(taus, self.path[score], label=label, **style)
        if self.tau is not None:
            label = f"tau in use, {self.tau:.2g}"
            ax.axvline(self.tau, color=ORANGE, linewidth=1.4, label=label)
        self.count_ax_ = self._draw_counts(ax)
        ax.set(xlabel="tau", ylabel="Score", xlim=(taus.min(), taus.max()))
        ax.set_ylim(0, 1.02)
        ax.set_title(self.name or "", loc="left", fontsize="medium")
        handles = [*ax.get_legend_handles_labels()[0], *self.count_ax_.lines]
        ax.legend(
            handles=handles,
            loc="lower center",
            bbox_to_anchor=(0.5, 1.06),
            ncols=3,
            fontsize="small",
            frameon=False,
        )
        self.ax_, self.figure_ = ax, ax.figure
        return self

    def _draw_counts(self, ax):
        """Number of clusters on a logarithmic axis of its own."""
        count_ax = ax.twinx()
        style = {"color": GREY, "linewidth": 1.2}
        self.lines_ += count_ax.plot(
            self.path["tau"], self.path["n_clusters"], label="clusters", **style
        )
        if self.n_classes is not None:
            label = f"{self.n_classes} true classes"
            count_ax.axhline(self.n_classes, linestyle=":", label=label, **style)
        count_ax.set_yscale("log")
        count_ax.set_ylabel("Number of clusters", color=GREY)
        count_ax.spines["top"].set_visible(False)
        return count_ax
