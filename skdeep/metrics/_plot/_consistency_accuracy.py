"""Picture of a search: accuracy and consistency of every candidate."""

import numpy as np

from skdeep.metrics._plot._style import BLUE, GREY, INK, ORANGE, new_axes


class ConsistencyAccuracyDisplay:
    """Retrieval error against OPIS, one dot for each candidate of a search.

    The candidates that no other one beats in both respects form the front.

    Parameters
    ----------
    error : ndarray of shape (n_candidates,)
        1 - accuracy.

    inconsistency : ndarray of shape (n_candidates,)
        OPIS, or another score of which less is better.

    labels : list of str, default=None
        Text beside each dot of the front.

    chosen : int, default=None
        Candidate with a ring around it.

    xlabel : str, default="OPIS"
        Label of the horizontal axis.

    ylabel : str, default="1 - recall at 1"
        Label of the vertical axis.

    Attributes
    ----------
    points_ : matplotlib PathCollection
        The dots.

    lines_ : list of matplotlib Line2D
        The front.

    ax_ : matplotlib Axes
        Axes with the picture.

    figure_ : matplotlib Figure
        Figure of the axes.

    See Also
    --------
    skdeep.metrics.consistency_constrained_refit : Chooses a candidate of the front.

    Examples
    --------
    >>> from skdeep.metrics import ConsistencyAccuracyDisplay
    >>> display = ConsistencyAccuracyDisplay.from_cv_results({
    ...     "params": [{"tcm_weight": 0}, {"tcm_weight": 1}],
    ...     "mean_test_recall_at_1": [0.90, 0.89],
    ...     "mean_test_neg_opis": [-0.03, -0.01],
    ... })
    >>> display.front.tolist()
    [1, 0]
    """

    def __init__(
        self,
        *,
        error,
        inconsistency,
        labels=None,
        chosen=None,
        xlabel="OPIS",
        ylabel="1 - recall at 1",
    ):
        self.error = error
        self.inconsistency = inconsistency
        self.labels = labels
        self.chosen = chosen
        self.xlabel = xlabel
        self.ylabel = ylabel

    @property
    def front(self):
        """Candidates that no other one beats in both respects, by inconsistency."""
        order = np.lexsort((self.error, self.inconsistency))
        order = order[np.isfinite(self.error[order] + self.inconsistency[order])]
        best = np.minimum.accumulate(self.error[order])
        return order[np.concatenate([[True], best[1:] < best[:-1]])[: len(order)]]

    @classmethod
    def from_cv_results(
        cls,
        cv_results,
        *,
        accuracy="recall_at_1",
        consistency="neg_opis",
        chosen=None,
        ax=None,
        **kwargs,
    ):
        """Draw the candidates of a fitted search.

        Parameters
        ----------
        cv_results : dict
            `cv_results_` of a search whose `scoring` is a dict.

        accuracy : str, default="recall_at_1"
            Name of a score of which more is better.

        consistency : str, default="neg_opis"
            Name of a score that is minus an inconsistency.

        chosen : int, default=None
            Candidate to mark, such as `best_index_`.

        ax : matplotlib Axes, default=None
            Axes to draw on. None: a new figure.

        **kwargs : dict
            Passed to :meth:`plot`.

        Returns
        -------
        display : ConsistencyAccuracyDisplay
            The picture.
        """
        for name in (accuracy, consistency):
            if f"mean_test_{name}" not in cv_results:
                known = [k[10:] for k in cv_results if k.startswith("mean_test_")]
                raise ValueError(
                    f"The search has no score {name!r}, only {known}; add it to "
                    "`scoring`."
                )
        display = cls(
            error=1 - np.asarray(cv_results[f"mean_test_{accuracy}"], dtype=float),
            inconsistency=-np.asarray(
                cv_results[f"mean_test_{consistency}"], dtype=float
            ),
            labels=[_short(params) for params in cv_results["params"]],
            chosen=chosen,
            xlabel=consistency.removeprefix("neg_")
            .replace("_", " ")
            .replace("opis", "OPIS"),
            ylabel="1 - " + accuracy.replace("_", " "),
        )
        return display.plot(ax=ax, **kwargs)

    def plot(self, ax=None, *, annotate=True, **kwargs):
        """Draw the dots, the front, and the parameters of its candidates.

        Parameters
        ----------
        ax : matplotlib Axes, default=None
            Axes to draw on. None: a new figure.

        annotate : bool, default=True
            Whether to write the parameters beside the dots of the front.

        **kwargs : dict
            Passed to `Axes.scatter`.

        Returns
        -------
        self : ConsistencyAccuracyDisplay
            The display.
        """
        ax = new_axes(type(self).__name__, ax, figsize=(6.4, 4.4))
        style = {"color": BLUE, "s": 42, "edgecolor": "white", "zorder": 3, **kwargs}
        self.points_ = ax.scatter(self.inconsistency, self.error, **style)
        front = self.front
        x, y = self.inconsistency[front], self.error[front]
        self.lines_ = ax.plot(
            x,
            y,
            color=GREY,
            linewidth=1,
            drawstyle="steps-post",
            label="best trade-offs",
        )
        if self.chosen is not None:
            ax.scatter(
                self.inconsistency[self.chosen],
                self.error[self.chosen],
                s=170,
                facecolor="none",
                edgecolor=ORANGE,
                linewidth=2,
                label="chosen",
                zorder=4,
            )
        if annotate and self.labels is not None:
            middle = (self.inconsistency.min() + self.inconsistency.max()) / 2
            for candidate in front:
                is_right = self.inconsistency[candidate] > middle
                ax.annotate(
                    self.labels[candidate],
                    (self.inconsistency[candidate], self.error[candidate]),
                    xytext=(-8 if is_right else 8, 6),
                    ha="right" if is_right else "left",
                    textcoords="offset points",
                    fontsize="small",
                    color=INK,
                )
        ax.set(
            xlabel=f"{self.xlabel}  (left: classes agree)",
            ylabel=f"{self.ylabel}  (down: accurate)",
        )
        ax.margins(x=0.18, y=0.12)
        ax.legend(loc="best", fontsize="small", edgecolor="none")
        self.ax_, self.figure_ = ax, ax.figure
        return self


def _short(params):
    """Parameters as "name=value" without the names of pipeline steps."""
    parts = []
    for name, value in params.items():
        text = f"{value:g}" if isinstance(value, float) else str(value)
        parts.append(f"{name.rpartition('__')[2]}={text}")
    return ", ".join(parts)
