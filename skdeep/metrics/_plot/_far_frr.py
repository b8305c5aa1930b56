"""Picture of the trade-off between false accepts and false rejects."""

import numpy as np
from scipy.special import ndtri

from skdeep.metrics._pairs import Pairs
from skdeep.metrics._plot._style import BLUE, GREY, INK, ORANGE, new_axes
from skdeep.metrics._scorer import embed
from skdeep.metrics._verification import far_frr_curve

TICKS = np.array([1e-5, 1e-4, 0.001, 0.01, 0.05, 0.2, 0.5, 0.8, 0.95, 0.99])
COLORS = (BLUE, ORANGE, "#2f855a", "#805ad5", "#b7791f")
CURVE = "far-frr-curve"


class FarFrrDisplay:
    """False reject rate against false accept rate, on normal-deviate axes.

    Each point is one threshold for all classes. Distances that are normal within both
    kinds of pairs give a straight line; the nearer to the lower left, the better.

    Parameters
    ----------
    far, frr : ndarray of shape (n_thresholds,)
        Rates at each threshold, FAR in ascending order.

    n_negatives, n_positives : int, default=None
        Numbers of pairs: rates below one pair are not drawn.

    name : str, default=None
        Name of the embeddings, for the legend.

    Attributes
    ----------
    lines_ : list of matplotlib Line2D
        The curve.

    ax_ : matplotlib Axes
        Axes with the picture.

    figure_ : matplotlib Figure
        Figure of the axes.

    See Also
    --------
    skdeep.metrics.far_frr_curve : The numbers.
    sklearn.metrics.DetCurveDisplay : The same for a classifier.

    Examples
    --------
    >>> from sklearn.datasets import load_digits
    >>> from skdeep.metrics import FarFrrDisplay
    >>> X, y = load_digits(return_X_y=True)
    >>> display = FarFrrDisplay.from_predictions(y[:500], X[:500], name="pixels")
    >>> display.ax_.get_ylabel()
    'False reject rate'
    """

    def __init__(self, *, far, frr, n_negatives=None, n_positives=None, name=None):
        self.far = far
        self.frr = frr
        self.n_negatives = n_negatives
        self.n_positives = n_positives
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
            Name for the legend; None: the class of the estimator.

        **kwargs : dict
            Passed to :meth:`from_predictions`.

        Returns
        -------
        display : FarFrrDisplay
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
        n_thresholds=200,
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

        n_thresholds : int, default=200
            Largest number of points.

        metric, normalize, zero_rows : object
            As in :func:`skdeep.metrics.far_frr_curve`.

        name : str, default=None
            Name for the legend.

        ax : matplotlib Axes, default=None
            Axes to draw on. None: a new figure.

        **kwargs : dict
            Passed to :meth:`plot`.

        Returns
        -------
        display : FarFrrDisplay
            The picture.
        """
        rows = {"metric": metric, "normalize": normalize, "zero_rows": zero_rows}
        far, frr, _ = far_frr_curve(
            y_true, embeddings, n_thresholds=n_thresholds, **rows
        )
        pairs = Pairs(y_true, embeddings, **rows)
        display = cls(
            far=far,
            frr=frr,
            n_negatives=pairs.n_negatives,
            n_positives=pairs.n_positives,
            name=name,
        )
        return display.plot(ax=ax, **kwargs)

    def plot(self, ax=None, *, name=None, **kwargs):
        """Draw the curve and, on new axes, the line of equal error.

        Parameters
        ----------
        ax : matplotlib Axes, default=None
            Axes to draw on, also those of another FarFrrDisplay. None: a new figure.

        name : str, default=None
            Name for the legend; None: the one given before.

        **kwargs : dict
            Passed to `Axes.plot`.

        Returns
        -------
        self : FarFrrDisplay
            The display.
        """
        name = self.name if name is None else name
        ax = new_axes(type(self).__name__, ax, figsize=(5.2, 5.0))
        far, frr = self._drawn()
        nearest = np.abs(self.far - self.frr).argmin()
        equal = (self.far[nearest] + self.frr[nearest]) / 2
        label = f"{name + ', ' if name else ''}EER {100 * equal:.2g} %"
        n_before = len(_curves_on(ax))
        color = COLORS[n_before % len(COLORS)]
        style = {"linewidth": 2, "label": label, "color": color, "gid": CURVE}
        self.lines_ = ax.plot(ndtri(far), ndtri(frr), **{**style, **kwargs})
        color = self.lines_[0].get_color()
        ax.plot(*[[ndtri(equal)]] * 2, "o", color=color, markeredgecolor="white", ms=8)
        _set_rate_axes(ax, is_new=n_before == 0)
        ax.legend(loc="upper right", fontsize="small", edgecolor="none")
        self.ax_, self.figure_ = ax, ax.figure
        return self

    def _drawn(self):
        # 0 and 1 are at infinity, and less than one pair cannot be measured
        low_far = 1 / self.n_negatives if self.n_negatives else 1e-6
        low_frr = 1 / self.n_positives if self.n_positives else 1e-6
        used = (self.far >= low_far * (1 - 1e-9)) & (self.far < 1)
        used &= (self.frr >= low_frr * (1 - 1e-9)) & (self.frr < 1)
        return self.far[used], self.frr[used]


def _curves_on(ax):
    return [line for line in ax.lines if line.get_gid() == CURVE]


def _set_rate_axes(ax, is_new):
    """Ticks in per cent at normal deviates, equal limits, diagonal of equal error."""
    points = np.concatenate([line.get_xydata() for line in _curves_on(ax)])
    low, high = (points.min(), points.max()) if len(points) else (-3, 0)
    low, high = max(low, -4.5) - 0.1, min(max(high, low + 1), 2.4) + 0.1
    if is_new:
        ax.plot([-6, 6], [-6, 6], color=GREY, linewidth=0.8, linestyle=":", zorder=1)
    ticks = []
    for tick in TICKS[(ndtri(TICKS) > low) & (ndtri(TICKS) < high)][::-1]:
        if not ticks or ndtri(ticks[-1]) - ndtri(tick) > (high - low) / 12:
            ticks.append(tick)  # labels do not overlap
    labels = [f"{100 * tick:g} %" for tick in ticks]
    ax.set_xticks(ndtri(ticks), labels)
    ax.set_yticks(ndtri(ticks), labels)
    ax.set(xlabel="False accept rate", ylabel="False reject rate")
    ax.set(xlim=(low, high), ylim=(low, high), aspect="equal")
    ax.tick_params(labelsize="small", colors=INK)
