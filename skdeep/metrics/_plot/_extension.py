"""Picture of what models gained on new classes, and what they forgot of the old ones."""

from functools import partial

import numpy as np

from skdeep.metrics._extension import extension_report, extension_scores
from skdeep.metrics._pairs import check_choice
from skdeep.metrics._plot._style import BLUE, GREY, INK, ORANGE, new_axes

KINDS = ("bars", "dots")
SCORES = ("old", "new", "source_old")


class ExtensionDisplay:
    """Scores on old and on new classes, for one or more ways to extend a model.

    A line marks the score of the source on the old classes; what lies between the line
    and the score on the old classes is forgotten.

    Parameters
    ----------
    names : list of str
        Name of each way.

    old, new, source_old : ndarray of shape (n_names,)
        Score on the old classes, on the new ones, and that of the source on the old
        ones. NaN: not known, and not drawn.

    name : str, default=None
        Title.

    Attributes
    ----------
    old_, new_ : BarContainer or Line2D of matplotlib
        The bars or the dots.

    lines_ : LineCollection of matplotlib
        Level of the source, a piece for each name.

    ax_ : matplotlib Axes
        Axes with the picture.

    figure_ : matplotlib Figure
        Figure of the axes.

    See Also
    --------
    extension_report : The numbers, with others beside them.

    Examples
    --------
    >>> from skdeep.metrics import ExtensionDisplay
    >>> rows = [
    ...     {"name": "new data only", "old": 0.04, "new": 0.97, "source_old": 0.95},
    ...     {"name": "extended", "old": 0.94, "new": 0.90, "source_old": 0.95},
    ... ]
    >>> display = ExtensionDisplay.from_rows(rows)
    >>> display.forgetting.round(2)
    array([0.91, 0.01])
    """

    def __init__(self, *, names, old, new, source_old, name=None):
        self.names = names
        self.old = old
        self.new = new
        self.source_old = source_old
        self.name = name

    @property
    def forgetting(self):
        """Score of the source on the old classes minus that of each way, (n_names,)."""
        return self.source_old - self.old

    @classmethod
    def from_estimator(cls, estimator, X, y, **kwargs):
        """Score one extended model, which is named by its class, then draw.

        Parameters
        ----------
        estimator : estimator instance
            Fitted model, as in `extension_report`.

        X : array-like, or list of list of str
            Samples, or the tokens of sentences.

        y : array-like of shape (n_samples,) or list of list of str
            Their classes or tags, old and new.

        **kwargs : dict
            Passed to :meth:`from_estimators`.

        Returns
        -------
        display : ExtensionDisplay
            The picture.
        """
        return cls.from_estimators(
            {type(estimator).__name__: estimator}, X, y, **kwargs
        )

    @classmethod
    def from_estimators(cls, estimators, X, y, *, name=None, ax=None, **kwargs):
        """Score extended models, then draw.

        Parameters
        ----------
        estimators : dict of str to estimator
            Fitted models by name, as in `extension_report`.

        X : array-like, or list of list of str
            Samples, or the tokens of sentences.

        y : array-like of shape (n_samples,) or list of list of str
            Their classes or tags, old and new.

        name : str, default=None
            Title.

        ax : matplotlib Axes, default=None
            Axes to draw on. None: a new figure.

        **kwargs : dict
            Passed to :meth:`plot`.

        Returns
        -------
        display : ExtensionDisplay
            The picture.
        """
        report = partial(extension_report, X=X, y=y)
        rows = _rows_of("estimators", estimators, report)
        return cls.from_rows(rows, name=name, ax=ax, **kwargs)

    @classmethod
    def from_predictions(
        cls,
        y_true,
        predictions,
        old_classes,
        *,
        source_pred=None,
        name=None,
        ax=None,
        **kwargs,
    ):
        """Score predictions, then draw.

        Parameters
        ----------
        y_true : array-like of shape (n_samples,) or list of list of str
            Right classes or tags, old and new.

        predictions : dict of str to array-like or list of list of str
            Predictions by name.

        old_classes : list of labels
            Classes of the source; of tags the types of the entities.

        source_pred : array-like or list of list of str, default=None
            Predictions of the source. None: its level is not drawn.

        name : str, default=None
            Title.

        ax : matplotlib Axes, default=None
            Axes to draw on. None: a new figure.

        **kwargs : dict
            Passed to :meth:`plot`.

        Returns
        -------
        display : ExtensionDisplay
            The picture.
        """
        old_classes = list(old_classes)
        rows = _rows_of(
            "predictions",
            predictions,
            lambda y_pred: extension_scores(y_true, y_pred, old_classes, source_pred),
        )
        return cls.from_rows(rows, name=name, ax=ax, **kwargs)

    @classmethod
    def from_rows(cls, rows, *, name=None, ax=None, **kwargs):
        """Draw from numbers that are there already.

        Parameters
        ----------
        rows : list of dict
            With the keys "name", "old" and "new", and "source_old" if it is known; other
            keys are ignored. None is a number that is not known.

        name : str, default=None
            Title.

        ax : matplotlib Axes, default=None
            Axes to draw on. None: a new figure.

        **kwargs : dict
            Passed to :meth:`plot`.

        Returns
        -------
        display : ExtensionDisplay
            The picture.
        """
        rows = list(rows)
        if not rows:
            raise ValueError("`rows` is empty; give at least one row to draw.")
        for i, row in enumerate(rows):
            missing = [key for key in ("name", "old", "new") if key not in row]
            if missing:
                raise ValueError(
                    f"`rows[{i}]` has no {' and no '.join(map(repr, missing))}; give "
                    "dicts with the keys 'name', 'old' and 'new'."
                )
        # None becomes NaN
        numbers = {
            key: np.array([row.get(key) for row in rows], dtype=float) for key in SCORES
        }
        names = [str(row["name"]) for row in rows]
        return cls(names=names, **numbers, name=name).plot(ax, **kwargs)

    def plot(self, ax=None, *, kind="bars"):
        """Draw a pair of bars or dots for each name, the first one on top.

        Parameters
        ----------
        ax : matplotlib Axes, default=None
            Axes to draw on. None: a new figure.

        kind : {"bars", "dots"}, default="bars"
            What stands for a score.

        Returns
        -------
        self : ExtensionDisplay
            The display.
        """
        check_choice("kind", kind, KINDS)
        height = 1.2 + 0.55 * len(self.names)
        ax = new_axes(type(self).__name__, ax, figsize=(6.4, height))
        place = np.arange(len(self.names))
        if kind == "bars":
            self._draw_bars(ax, place)
        else:
            self._draw_dots(ax, place)
        known = np.flatnonzero(~np.isnan(self.source_old))
        self.lines_ = ax.vlines(
            self.source_old[known],
            place[known] - 0.5,
            place[known] + 0.5,
            color=INK,
            linewidth=1.4,
            label="source on old" if len(known) else None,
        )
        ax.set_yticks(place, self.names)
        ax.set_ylim(len(place) - 0.45, -0.55)
        ax.set_xlim(0, 1.01)
        ax.set_xlabel("Score")
        ax.grid(visible=False, axis="y")
        ax.set_title(self.name or "", loc="left", fontsize="medium")
        ax.legend(
            loc="lower center",
            bbox_to_anchor=(0.5, 1.0 if not self.name else 1.0 + 0.35 / height),
            ncols=4,
            fontsize="small",
            frameon=False,
        )
        self.ax_, self.figure_ = ax, ax.figure
        return self

    def _draw_bars(self, ax, place):
        self.old_ = ax.barh(place - 0.19, self.old, 0.34, color=BLUE, label="old")
        lost = np.fmax(self.forgetting, 0)
        if np.nansum(lost) > 0:
            style = {"facecolor": "none", "edgecolor": GREY, "hatch": "////"}
            style |= {"linewidth": 0, "label": "forgotten"}
            ax.barh(place - 0.19, lost, 0.34, left=self.old, **style)
        self.new_ = ax.barh(place + 0.19, self.new, 0.34, color=ORANGE, label="new")

    def _draw_dots(self, ax, place):
        style = {"linestyle": "none", "markersize": 7}
        lost = self.forgetting > 0
        ax.hlines(
            place[lost] - 0.12,
            self.old[lost],
            self.source_old[lost],
            color=GREY,
            linewidth=2,
            linestyle=":",
            label="forgotten" if lost.any() else None,
        )
        (self.old_,) = ax.plot(
            self.old, place - 0.12, "o", color=BLUE, label="old", **style
        )
        (self.new_,) = ax.plot(
            self.new, place + 0.12, "s", color=ORANGE, label="new", **style
        )


def _rows_of(argument, things, score):
    """One row of scores for each named thing."""
    if not isinstance(things, dict) or not things:
        raise ValueError(
            f"`{argument}` must be a dict of at least one entry by name; got {things!r}."
        )
    return [{"name": name, **score(thing)} for name, thing in things.items()]
