"""Picture of the utility curves of all classes."""

import numpy as np

from skdeep.metrics._curves import exact_curves
from skdeep.metrics._opis import floor_share
from skdeep.metrics._pairs import Pairs
from skdeep.metrics._plot._style import (
    BLUE,
    GREY,
    INK,
    ORANGE,
    import_pyplot,
    new_axes,
)
from skdeep.metrics._scorer import embed
from skdeep.metrics._select import kth_smallest_distances
from skdeep.metrics._threshold import epsilon_opis_score, opis_score


class ThresholdConsistencyDisplay:
    """Utility of each class against the distance threshold.

    One threshold suits all classes where their curves lie together and high.

    Parameters
    ----------
    thresholds : ndarray of shape (n_thresholds,)
        Distances.

    utility : ndarray of shape (n_classes, n_thresholds)
        Utility of each class.

    classes : ndarray of shape (n_classes,)
        Names of the classes.

    calibration_range : tuple of float
        Distances between which OPIS is computed.

    mean_utility : ndarray of shape (n_classes,)
        Mean utility of each class over the calibration range.

    opis : float
        Score for the legend.

    epsilon_opis : float, default=None
        Score for the legend. None: not shown.

    epsilon : float, default=0.1
        Share of classes that are highlighted, and that `epsilon_opis` is of.

    name : str, default=None
        Name of the embeddings, for the title.

    Attributes
    ----------
    lines_ : list of matplotlib Line2D
        Curves of the classes, then the mean.

    ax_ : matplotlib Axes
        Axes with the picture.

    figure_ : matplotlib Figure
        Figure of the axes.

    See Also
    --------
    skdeep.metrics.opis_score : The number in the legend.

    Examples
    --------
    >>> from sklearn.datasets import load_digits
    >>> from skdeep.metrics import ThresholdConsistencyDisplay
    >>> X, y = load_digits(return_X_y=True)
    >>> display = ThresholdConsistencyDisplay.from_predictions(y[:500], X[:500])
    >>> display.utility.shape
    (10, 101)
    """

    def __init__(
        self,
        *,
        thresholds,
        utility,
        classes,
        calibration_range,
        mean_utility,
        opis,
        epsilon_opis=None,
        epsilon=0.1,
        name=None,
    ):
        self.thresholds = thresholds
        self.utility = utility
        self.classes = classes
        self.calibration_range = calibration_range
        self.mean_utility = mean_utility
        self.opis = opis
        self.epsilon_opis = epsilon_opis
        self.epsilon = epsilon
        self.name = name

    @classmethod
    def from_estimator(cls, estimator, X, y, *, response="auto", name=None, **kwargs):
        """Embed `X` with a fitted embedder, then draw.

        Parameters
        ----------
        estimator : estimator instance
            Fitted embedder, or a Pipeline that holds one.

        X : array-like of shape (n_samples, n_features)
            Samples.

        y : array-like of shape (n_samples,)
            Their classes.

        response : str, default="auto"
            Method that gives the embeddings, as in `make_embedding_scorer`.

        name : str, default=None
            Name for the title; None: the class of the estimator.

        **kwargs : dict
            Passed to :meth:`from_predictions`.

        Returns
        -------
        display : ThresholdConsistencyDisplay
            The picture.
        """
        name = type(estimator).__name__ if name is None else name
        embeddings = embed(estimator, X, response)
        return cls.from_predictions(y, embeddings, name=name, **kwargs)

    @classmethod
    def from_predictions(
        cls,
        y_true,
        embeddings,
        *,
        beta=1.0,
        far_range=(0.01, 0.1),
        frr_range=None,
        distance_range=None,
        n_thresholds=101,
        groups=None,
        epsilon=0.1,
        metric="euclidean",
        normalize=True,
        zero_rows="raise",
        name=None,
        ax=None,
        **kwargs,
    ):
        """Draw from embeddings.

        Parameters
        ----------
        y_true : array-like of shape (n_samples,)
            Class of each row.

        embeddings : array-like of shape (n_samples, n_components)
            The rows.

        beta, far_range, frr_range, distance_range, n_thresholds, groups : object
            As in :func:`skdeep.metrics.opis_score`. With `groups` there is a curve for
            each of them instead of one for each class.

        epsilon : float, default=0.1
            As in :func:`skdeep.metrics.epsilon_opis_score`.

        metric, normalize, zero_rows : object
            As in :func:`skdeep.metrics.opis_score`.

        name : str, default=None
            Name for the title.

        ax : matplotlib Axes, default=None
            Axes to draw on. None: a new figure.

        **kwargs : dict
            Passed to :meth:`plot`.

        Returns
        -------
        display : ThresholdConsistencyDisplay
            The picture.
        """
        rows = {"metric": metric, "normalize": normalize, "zero_rows": zero_rows}
        details = opis_score(
            y_true,
            embeddings,
            beta=beta,
            far_range=far_range,
            frr_range=frr_range,
            distance_range=distance_range,
            n_thresholds=n_thresholds,
            groups=groups,
            return_details=True,
            **rows,
        )
        ends = float(details.thresholds[0]), float(details.thresholds[-1])
        epsilon_opis = None
        if len(details.classes) > 1 and ends[0] < ends[1] and epsilon < 1:
            epsilon_opis = epsilon_opis_score(
                y_true,
                embeddings,
                epsilon=epsilon,
                beta=beta,
                distance_range=ends,
                n_thresholds=n_thresholds,
                groups=groups,
                **rows,
            )
        pairs = Pairs(y_true, embeddings, **rows)
        thresholds = _wider_range(pairs, ends, n_thresholds)
        curves = exact_curves(pairs, thresholds, beta=beta, groups=groups)
        display = cls(
            thresholds=thresholds,
            utility=curves.utility,
            classes=curves.classes,
            calibration_range=ends,
            mean_utility=details.utility.mean(axis=1),
            opis=details.opis,
            epsilon_opis=epsilon_opis,
            epsilon=epsilon,
            name=name,
        )
        return display.plot(ax=ax, **kwargs)

    def plot(self, ax=None, *, max_classes=500, highlight="worst", alpha=None):
        """Draw one thin curve per class, their mean and their 10-90 % band.

        Parameters
        ----------
        ax : matplotlib Axes, default=None
            Axes to draw on. None: a new figure.

        max_classes : int, default=500
            Largest number of curves; of more classes an even choice by mean utility
            is drawn. Mean and band are those of all classes.

        highlight : "worst", list of classes or None, default="worst"
            Classes drawn in colour; "worst" are those with the lowest mean utility in
            the calibration range.

        alpha : float, default=None
            Opacity of a curve. None: less the more curves there are.

        Returns
        -------
        self : ThresholdConsistencyDisplay
            The display.
        """
        ax = new_axes(type(self).__name__, ax, figsize=(6.4, 4.4))
        label = "calibration range"
        ax.axvspan(
            *self.calibration_range, color=GREY, alpha=0.13, linewidth=0, label=label
        )
        ranking = np.argsort(self.mean_utility, kind="stable")
        marked = self._highlighted(highlight, ranking)
        shown = ranking
        if len(ranking) > max_classes:
            even = np.linspace(0, len(ranking) - 1, max_classes).round().astype(int)
            shown = ranking[even]
        plain = shown[~np.isin(shown, marked)]
        if alpha is None:
            alpha = float(np.clip(12 / max(len(shown), 1), 0.06, 0.45))
        style = {"color": BLUE, "linewidth": 0.7, "alpha": alpha}
        self.lines_ = ax.plot(self.thresholds, self.utility[plain].T, **style)
        band = np.percentile(self.utility, [10, 90], axis=0)
        label = "10-90 % of the classes"
        ax.fill_between(
            self.thresholds, *band, color=BLUE, alpha=0.18, linewidth=0, label=label
        )
        strong = float(min(0.9, 2 * alpha + 0.4))
        style = {"color": ORANGE, "linewidth": 0.9, "alpha": strong}
        marks = ax.plot(self.thresholds, self.utility[marked].T, **style)
        if marks:
            marks[0].set_label(self._label_of(marked, highlight))
        mean = ax.plot(
            self.thresholds,
            self.utility.mean(axis=0),
            color=INK,
            linewidth=2.2,
            label=f"mean of {len(self.classes)} classes",
        )
        self.lines_ += marks + mean
        ax.set(
            xlabel="Distance threshold",
            ylabel="Utility of a class",
            xlim=(self.thresholds[0], self.thresholds[-1]),
            ylim=(0, 1.02),
        )
        ax.set_title(self.name or "", loc="left", fontsize="medium")
        ax.legend(
            loc=self._free_corner(),
            fontsize="small",
            framealpha=0.85,
            edgecolor="none",
            title=self._scores(),
            title_fontsize="small",
            alignment="left",
        )
        self.ax_, self.figure_ = ax, ax.figure
        return self

    def plot_pair(self, other, *, axes=None, **kwargs):
        """Draw this display and another one side by side on equal axes.

        Parameters
        ----------
        other : ThresholdConsistencyDisplay
            The display for the right side.

        axes : pair of matplotlib Axes, default=None
            Axes to draw on. None: a new figure.

        **kwargs : dict
            Passed to :meth:`plot`.

        Returns
        -------
        displays : tuple of ThresholdConsistencyDisplay
            `self` and `other`.
        """
        if axes is None:
            plt = import_pyplot(type(self).__name__)
            _, axes = plt.subplots(
                ncols=2,
                sharex=True,
                sharey=True,
                figsize=(11, 4.4),
                layout="constrained",
            )
        left, right = axes
        self.plot(left, **kwargs)
        other.plot(right, **kwargs)
        right.set_ylabel("")
        first = min(self.thresholds[0], other.thresholds[0])
        last = max(self.thresholds[-1], other.thresholds[-1])
        for ax in axes:
            ax.set_xlim(first, last)
        return self, other

    def _highlighted(self, highlight, ranking):
        if highlight is None:
            return ranking[:0]
        if isinstance(highlight, str) and highlight == "worst":
            return ranking[: max(1, floor_share(self.epsilon, len(ranking)))]
        marked = np.flatnonzero(np.isin(self.classes, np.atleast_1d(highlight)))
        if not len(marked):
            raise ValueError(
                f"`highlight` must be 'worst', None or classes with a curve; got "
                f"{highlight!r}."
            )
        return marked

    def _label_of(self, marked, highlight):
        names = ", ".join(str(name) for name in self.classes[marked[:3]])
        if len(marked) > 3:
            names = f"{len(marked)} classes"
        is_worst = isinstance(highlight, str) and highlight == "worst"
        return f"worst: {names}" if is_worst else names

    def _free_corner(self):
        # curves rise from the lower left; a late rise leaves the upper left free
        early = self.utility[:, : int(0.4 * len(self.thresholds))]
        return "upper left" if np.percentile(early, 90) < 0.6 else "lower right"

    def _scores(self):
        text = f"OPIS {self.opis:.2g}"
        if self.epsilon_opis is not None:
            text += f"   {self.epsilon:.0%}-OPIS {self.epsilon_opis:.2g}"
        return f"{text}   mean utility {self.mean_utility.mean():.2f}"


def _wider_range(pairs, ends, n_thresholds):
    """Thresholds from where few positives are accepted to where FAR is a half."""
    first_rank = max(1, pairs.n_positives // 100)
    first = kth_smallest_distances(pairs, [first_rank], positive=True)[0]
    last = kth_smallest_distances(pairs, [(pairs.n_negatives + 1) // 2])[0]
    margin = 0.1 * (ends[1] - ends[0])
    first, last = min(first, ends[0] - margin), max(last, ends[1] + margin)
    return np.linspace(max(first, 0), max(last, first + 1e-9), n_thresholds)
