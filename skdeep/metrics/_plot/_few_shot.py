"""Picture of few-shot accuracy, against the number of shots or the shares of classes."""

from numbers import Integral

import numpy as np
from sklearn.utils import check_random_state

from skdeep.metrics._pairs import check_choice
from skdeep.metrics._plot._style import BLUE, GREY, INK, ORANGE, new_axes
from skdeep.model_selection._episodes import EpisodeSampler
from skdeep.model_selection._few_shot_score import score_each

# one after the other, and with other markers, so that grey print tells them apart
LINES = (
    *((BLUE, "o"), (ORANGE, "s"), ("#2f855a", "^"), (INK, "D")),
    *(("#805ad5", "v"), ("#b7791f", "P"), (GREY, "X"), ("#d53f8c", "<")),
)
VALUES = {
    "n_shot": (1, 2, 5, 10),
    "balance": ("balanced", 10.0, 5.0, 2.0, 1.0, 0.5),
}


class FewShotDisplay:
    """Few-shot accuracy of several estimators, with 95 % intervals.

    Against the number of labelled rows of each class, or against how unequal the
    classes are in the rows without a label.

    Parameters
    ----------
    vary : {"n_shot", "balance"}
        What the horizontal axis shows.

    values : list
        Numbers of shots, or values of `balance`.

    mean : dict of str to ndarray of shape (n_values,)
        Accuracy of each estimator.

    ci95 : dict of str to ndarray of shape (n_values,)
        Half the widths of the intervals.

    name : str, default=None
        Title.

    Attributes
    ----------
    lines_ : list of matplotlib Line2D
        A line an estimator.

    ax_ : matplotlib Axes
        Axes with the picture.

    figure_ : matplotlib Figure
        Figure of the axes.

    See Also
    --------
    skdeep.model_selection.few_shot_score : What is drawn.

    Examples
    --------
    >>> from sklearn.datasets import load_digits
    >>> from sklearn.neighbors import KNeighborsClassifier
    >>> from sklearn.semi_supervised import LabelSpreading
    >>> from skdeep.metrics import FewShotDisplay
    >>> X, y = load_digits(return_X_y=True)
    >>> display = FewShotDisplay.from_estimators(
    ...     {"1 neighbor": KNeighborsClassifier(1), "spreading": LabelSpreading(gamma=1)},
    ...     X / 16,
    ...     y,
    ...     values=(1, 5),
    ...     n_episodes=20,
    ...     random_state=0,
    ... )
    >>> bool((display.mean["spreading"] > display.mean["1 neighbor"]).all())
    True
    """

    def __init__(self, *, vary, values, mean, ci95, name=None):
        self.vary = vary
        self.values = values
        self.mean = mean
        self.ci95 = ci95
        self.name = name

    @classmethod
    def from_estimators(
        cls,
        estimators,
        X,
        y,
        *,
        vary="n_shot",
        values=None,
        n_way=5,
        n_shot=1,
        n_query=15,
        n_episodes=600,
        balance="balanced",
        unlabeled="auto",
        groups=None,
        random_state=None,
        name=None,
        ax=None,
        **kwargs,
    ):
        """Score estimators for each value, then draw.

        All estimators see the same episodes; of numbers of shots, all are scored on the
        classes that have rows enough for the largest one.

        Parameters
        ----------
        estimators : dict of str to estimator
            Classifiers, meta-learners, pipelines, as in `few_shot_score`.

        X : array-like or sparse matrix of shape (n_samples, ...)
            Rows of classes on which no meta-learner was trained.

        y : array-like of shape (n_samples,)
            Their classes.

        vary : {"n_shot", "balance"}, default="n_shot"
            What the horizontal axis shows. The parameter of this name is not used.

        values : sequence, default=None
            Numbers of shots, or values of `balance`. None is 1, 2, 5, 10, or "balanced",
            10, 5, 2, 1, 0.5.

        n_way, n_shot, n_query, n_episodes, balance, groups : object
            As in :func:`skdeep.model_selection.few_shot_score`.

        unlabeled : {"auto", "query", "none"}, int, or dict of them by name, \
                default="auto"
            Rows without a label to learn from. An int for all estimators is for those
            that learn from such rows; the others get none.

        random_state : int, RandomState instance or None, default=None
            Seeds the episodes.

        name : str, default=None
            Title. None: the sizes of the episodes.

        ax : matplotlib Axes, default=None
            Axes to draw on. None: a new figure.

        **kwargs : dict
            Passed to :meth:`plot`.

        Returns
        -------
        display : FewShotDisplay
            The picture.
        """
        check_choice("vary", vary, tuple(VALUES))
        values = list(VALUES[vary] if values is None else values)
        if not values:
            raise ValueError("`values` is empty; give at least one value to score.")
        params = {"n_way": n_way, "n_shot": n_shot, "n_query": n_query}
        params |= {"n_episodes": n_episodes, "balance": balance}
        if not isinstance(random_state, Integral):
            random_state = check_random_state(random_state).randint(2**31 - 1)
        params["random_state"] = random_state
        samplers = {
            value: EpisodeSampler(**{**params, vary: value}) for value in values
        }
        most_shots = max(sampler.n_shot for sampler in samplers.values())
        results = {
            value: score_each(
                estimators, X, y, sampler, unlabeled, groups, most_shots=most_shots
            )
            for value, sampler in samplers.items()
        }
        by_name = {
            of: {value: result[of] for value, result in results.items()}
            for of in estimators
        }
        if name is None:
            shots = "" if vary == "n_shot" else f", {n_shot}-shot"
            n_way = next(iter(results[values[0]].values())).n_way
            name = f"{n_way}-way{shots}, {n_episodes} episodes"
        return cls.from_results(by_name, vary=vary, name=name, ax=ax, **kwargs)

    @classmethod
    def from_results(cls, results, *, vary="n_shot", name=None, ax=None, **kwargs):
        """Draw from scores that are there already.

        Parameters
        ----------
        results : dict of str to dict
            For each estimator a dict that maps the value of `vary` to what
            :func:`skdeep.model_selection.few_shot_score` returned.

        vary : {"n_shot", "balance"}, default="n_shot"
            What the horizontal axis shows.

        name : str, default=None
            Title.

        ax : matplotlib Axes, default=None
            Axes to draw on. None: a new figure.

        **kwargs : dict
            Passed to :meth:`plot`.

        Returns
        -------
        display : FewShotDisplay
            The picture.
        """
        check_choice("vary", vary, tuple(VALUES))
        values = _common_values(results, vary)
        display = cls(
            vary=vary,
            values=values,
            mean=_collect(results, values, "mean"),
            ci95=_collect(results, values, "ci95"),
            name=name,
        )
        return display.plot(ax, **kwargs)

    def plot(self, ax=None, *, interval="band"):
        """Draw a line for each estimator.

        Parameters
        ----------
        ax : matplotlib Axes, default=None
            Axes to draw on. None: a new figure.

        interval : {"band", "bars"}, default="band"
            How the intervals are drawn.

        Returns
        -------
        self : FewShotDisplay
            The display.
        """
        check_choice("interval", interval, ("band", "bars"))
        ax = new_axes(type(self).__name__, ax, figsize=(5.6, 4))
        x = self._set_axis(ax)
        self.lines_ = []
        for number, (name, mean) in enumerate(self.mean.items()):
            color, marker = LINES[number % len(LINES)]
            style = {"color": color, "marker": marker, "markersize": 5, "linewidth": 2}
            self.lines_ += ax.plot(x, mean, label=name, **style)
            half = self.ci95[name]
            if interval == "band":
                band = {"color": color, "alpha": 0.15, "linewidth": 0}
                ax.fill_between(x, mean - half, mean + half, **band)
            else:
                # beside each other, so that none covers another
                shift = 0.01 * (x[-1] - x[0]) * (number - (len(self.mean) - 1) / 2)
                bars = {"color": color, "linestyle": "none", "capsize": 3}
                ax.errorbar(x + shift, mean, half, **bars)
        ax.set_ylabel("Accuracy")
        ax.set_title(self.name or "", loc="left", fontsize="medium")
        ax.legend(
            loc="lower center",
            bbox_to_anchor=(0.5, 1.06),
            ncols=2,
            fontsize="small",
            frameon=False,
        )
        self.ax_, self.figure_ = ax, ax.figure
        return self

    def _set_axis(self, ax):
        """Positions of the values: logarithms of shots, equal steps of shares."""
        if self.vary == "n_shot":
            ax.set_xlabel("Labelled rows of each class")
            positions = np.log2(self.values)
            names = [str(value) for value in self.values]
        else:
            ax.set_xlabel("Class shares: equal, or Dirichlet concentration")
            positions = np.arange(len(self.values))
            names = [
                "equal" if value == "balanced" else f"{value:g}"
                for value in self.values
            ]
        ax.set_xticks(positions, names)
        return positions


def _common_values(results, vary):
    """Values for which every estimator has a score, from few to many, equal to unequal."""
    if not isinstance(results, dict) or not results:
        raise ValueError(
            "`results` must be a dict of at least one dict of scores by name; got "
            f"{results!r}."
        )
    values = list(next(iter(results.values())))
    for name, of_name in results.items():
        if set(of_name) != set(values):
            raise ValueError(
                f"`results` has scores of {name!r} for {list(of_name)}, and of "
                f"{next(iter(results))!r} for {values}; give the same for all."
            )
    if not values:
        raise ValueError("`results` has no scores; give at least one value to draw.")
    if vary == "n_shot":
        return sorted(values)
    return sorted(values, key=lambda value: -np.inf if value == "balanced" else -value)


def _collect(results, values, key):
    """One array an estimator."""
    return {
        name: np.array([of_name[value][key] for value in values])
        for name, of_name in results.items()
    }
