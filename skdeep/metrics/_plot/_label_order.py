"""Picture of the order in which labels are chosen, row by row and over all rows."""

from itertools import combinations, islice

import numpy as np
import scipy.sparse as sp
from sklearn.pipeline import Pipeline

from skdeep.metrics._curves import check_count
from skdeep.metrics._plot._style import GREY, INK, import_pyplot, new_axes

# from first to later: dark to light, apart in grey print too
PLACES = ("#1a365d", "#2b6cb0", "#63a4dc", "#bcd9f2")
PLACE_NAMES = ("1st", "2nd", "3rd", "4th or later")
MAX_NAME, MAX_TITLE = 30, 56


class LabelOrderDisplay:
    """Order in which a classifier chain takes the labels of each row.

    The left panel shows a few rows, step by step, with the probability of each step;
    the right one how often each label comes first, second, third or later. The line
    above the rows tells how often two labels come in the rarer of their two orders:
    never, if one order is used for all rows.

    Parameters
    ----------
    orders : list of tuple of ndarray
        For each row the label indices in the order taken and the probability of each
        step.

    label_names : list of str, default=None
        Name of each label. None: "label 0", "label 1", ...

    row_names : list of str, default=None
        Title of each row. None: "row 0", "row 1", ...

    Attributes
    ----------
    axes_ : tuple of matplotlib Axes
        Left and right panel.

    figure_ : matplotlib Figure
        Figure of the axes.

    Examples
    --------
    >>> import numpy as np
    >>> from skdeep.metrics import LabelOrderDisplay
    >>> orders = [
    ...     (np.array([1, 0]), np.array([0.9, 0.6])),
    ...     (np.array([0, 1]), np.array([0.8, 0.7])),
    ...     (np.array([1]), np.array([0.7])),
    ... ]
    >>> display = LabelOrderDisplay.from_predictions(
    ...     orders, label_names=["beach", "sunset"]
    ... )
    >>> display.place_shares.round(2)
    array([[0.33, 0.33],
           [0.67, 0.33]])
    >>> display.reversed_share
    0.5
    """

    def __init__(self, *, orders, label_names=None, row_names=None):
        self.orders = orders
        self.label_names = label_names
        self.row_names = row_names

    @property
    def place_shares(self):
        """Share of rows with a label at a place, (n_labels, n_places)."""
        n_steps = [len(labels) for labels, _ in self.orders]
        labels = np.concatenate([labels for labels, _ in self.orders]).astype(np.int64)
        place = np.concatenate([np.arange(n) for n in n_steps]).astype(np.int64)
        n_labels = labels.max(initial=-1) + 1
        if self.label_names is not None:
            n_labels = len(self.label_names)
        shape = int(n_labels), max(1, *n_steps)
        count = np.bincount(labels * shape[1] + place, minlength=shape[0] * shape[1])
        return count.reshape(shape) / len(self.orders)

    @property
    def reversed_share(self):
        """Share of label pairs in the rarer of their two orders; 0: a fixed order.

        Of two labels in 10 rows, 7 times one first and 3 times the other, 0.3. The
        mean over pairs, each weighted by its rows; 0 if no row has two labels.
        """
        pairs = [combinations(labels.tolist(), 2) for labels, _ in self.orders]
        pairs = np.array([pair for row in pairs for pair in row], dtype=np.int64)
        if not len(pairs):
            return 0.0
        n_labels = pairs.max() + 1
        before = sp.csr_array(
            (np.ones(len(pairs)), tuple(pairs.T)), shape=(n_labels, n_labels)
        )
        # the rarer order of each pair is counted from both of its sides
        return float(before.minimum(before.T).sum() / 2 / len(pairs))

    @classmethod
    def from_estimator(
        cls,
        estimator,
        X,
        *,
        label_names=None,
        row_names=None,
        n_rows=4,
        axes=None,
        **kwargs,
    ):
        """Let a fitted chain take the labels of `X`, then draw.

        Parameters
        ----------
        estimator : estimator instance
            Fitted classifier with `predict_order`, or a Pipeline or a search that ends
            with one.

        X : array-like or sparse matrix of shape (n_samples, n_features)
            Samples.

        label_names : list of str, default=None
            Name of each label. None: `label_names_` of the estimator, if it has some, or
            its classes, if its target was 1-d.

        row_names : list of str, default=None
            Title of each row. None: "row 0", "row 1", ...

        n_rows : int, default=4
            Number of rows in the left panel.

        axes : pair of matplotlib Axes, default=None
            Axes to draw on. None: a new figure.

        **kwargs : dict
            Passed to :meth:`plot`.

        Returns
        -------
        display : LabelOrderDisplay
            The picture.
        """
        estimator, X = _innermost(estimator, X)
        if not hasattr(estimator, "predict_order"):
            raise TypeError(
                f"{type(estimator).__name__} has no `predict_order`; give a chain that "
                "chooses an order, such as DynamicChainClassifier."
            )
        if label_names is None:
            label_names = _names_of_fit(estimator)
        return cls.from_predictions(
            estimator.predict_order(X),
            label_names=label_names,
            row_names=row_names,
            n_rows=n_rows,
            axes=axes,
            **kwargs,
        )

    @classmethod
    def from_predictions(
        cls,
        orders,
        *,
        label_names=None,
        row_names=None,
        n_rows=4,
        axes=None,
        **kwargs,
    ):
        """Draw from orders that are there already.

        Parameters
        ----------
        orders : list of tuple of ndarray
            For each row the label indices in the order taken and the probability of
            each step, as `predict_order` gives them.

        label_names : list of str, default=None
            Name of each label. None: "label 0", "label 1", ...

        row_names : list of str, default=None
            Title of each row. None: "row 0", "row 1", ...

        n_rows : int, default=4
            Number of rows in the left panel.

        axes : pair of matplotlib Axes, default=None
            Axes to draw on. None: a new figure.

        **kwargs : dict
            Passed to :meth:`plot`.

        Returns
        -------
        display : LabelOrderDisplay
            The picture.
        """
        orders = [_checked_pair(row, *pair) for row, pair in enumerate(orders)]
        if not orders:
            raise ValueError("`orders` is empty; give the order of at least one row.")
        label_names = _checked_names(label_names, orders)
        if row_names is not None and len(row_names) != len(orders):
            raise ValueError(
                f"`row_names` has {len(row_names)} names for {len(orders)} rows."
            )
        display = cls(orders=orders, label_names=label_names, row_names=row_names)
        return display.plot(axes, n_rows=n_rows, **kwargs)

    def plot(self, axes=None, *, n_rows=4, rows=None, max_steps=6, max_labels=12):
        """Draw both panels.

        Parameters
        ----------
        axes : pair of matplotlib Axes, default=None
            Axes to draw on. None: a new figure.

        n_rows : int, default=4
            Number of rows in the left panel. Those that show most are taken: with two
            labels in reverse of another row shown, then with an order not shown yet.

        rows : list of int, default=None
            Rows in the left panel, instead of the first ones.

        max_steps : int, default=6
            Largest number of steps shown of a row.

        max_labels : int, default=12
            Largest number of labels in the right panel; the most frequent ones;
            of equally frequent ones those that come first more often.

        Returns
        -------
        self : LabelOrderDisplay
            The display.
        """
        for name, value in (
            ("n_rows", n_rows),
            ("max_steps", max_steps),
            ("max_labels", max_labels),
        ):
            check_count(name, value, 1)
        if rows is None:
            rows = self._varied_rows(n_rows, max_steps)
        rows = self._checked_rows(rows)
        blocks = [self._block(row, max_steps) for row in rows]
        shares = _by_place(self.place_shares)
        total = shares.sum(axis=1).round(9)
        frequent = np.lexsort((-shares[:, 0], -total))[:max_labels]
        frequent = frequent[total[frequent] > 0]
        if axes is None:
            n_lines = max(sum(1 + len(steps) for _, steps in blocks), len(frequent), 8)
            _, axes = import_pyplot(type(self).__name__).subplots(
                ncols=2, figsize=(11, 1.5 + 0.23 * n_lines), layout="constrained"
            )
        axes = tuple(np.ravel(axes))
        if len(axes) != 2:
            raise ValueError(f"`axes` must be a pair of Axes; got {len(axes)}.")
        left, right = (new_axes(type(self).__name__, ax) for ax in axes)
        _draw_steps(left, blocks)
        _draw_shares(right, [self._name(label) for label in frequent], shares[frequent])
        _set_title(left, f"Order taken in {_count(rows)}")
        _set_title(right, f"Place of each label in {_count(self.orders)}")
        note = f"all rows: {self.reversed_share:.0%} of label pairs reversed"
        place = {"xytext": (0, 5), "textcoords": "offset points"}
        left.annotate(note, (0, 1), xycoords="axes fraction", fontsize="small", **place)
        self.axes_, self.figure_ = axes, left.figure
        return self

    def _block(self, row, max_steps):
        """Title of a row, and its steps as pairs (text, probability)."""
        labels, probabilities = self.orders[row]
        title = f"row {row}" if self.row_names is None else str(self.row_names[row])
        steps = [
            (f"{place}. {self._name(label)}", float(probability))
            for place, (label, probability) in enumerate(zip(labels, probabilities), 1)
        ]
        if len(steps) > max_steps:
            n_hidden = len(steps) - max_steps
            steps = [*steps[:max_steps], (f"and {n_hidden} more", None)]
        return _short(title, MAX_TITLE), steps or [("no label", None)]

    def _varied_rows(self, n_rows, max_steps):
        orders = [tuple(labels[:max_steps].tolist()) for labels, _ in self.orders]
        waiting = {}  # first row of each order of at least two labels
        for row, order in enumerate(orders):
            if len(order) > 1:
                waiting.setdefault(order, row)
        rows, shown = [], set()
        while waiting and len(rows) < n_rows:
            turned = (
                order
                for order in waiting
                if any(pair[::-1] in shown for pair in combinations(order, 2))
            )
            order = next(turned, next(iter(waiting)))
            rows.append(waiting.pop(order))
            shown.update(combinations(order, 2))
        others = (row for row in range(len(orders)) if row not in rows)
        return sorted([*rows, *islice(others, n_rows - len(rows))])

    def _checked_rows(self, rows):
        rows = np.asarray(rows, dtype=np.int64).ravel().tolist()
        wrong = [row for row in rows if not 0 <= row < len(self.orders)]
        if wrong or not rows:
            raise ValueError(
                f"`rows` must name rows 0 to {len(self.orders) - 1}; got {rows}."
            )
        return rows

    def _name(self, label):
        names = self.label_names
        text = f"label {label}" if names is None else str(names[label])
        return _short(text, MAX_NAME)


def _innermost(estimator, X):
    """The classifier inside of searches and pipelines, and the rows that it gets."""
    while True:
        if hasattr(estimator, "best_estimator_"):
            estimator = estimator.best_estimator_
        elif isinstance(estimator, Pipeline):
            if len(estimator) > 1:
                X = estimator[:-1].transform(X)
            estimator = estimator[-1]
        else:
            return estimator, X


def _names_of_fit(estimator):
    """Names of the labels that a fit has left, or None."""
    names = getattr(estimator, "label_names_", None)
    classes = getattr(estimator, "classes_", ())
    if names is None and not np.array_equal(classes, np.arange(len(classes))):
        return classes
    return names


def _checked_pair(row, labels, probabilities):
    labels, probabilities = np.asarray(labels), np.asarray(probabilities)
    if labels.ndim != 1 or labels.shape != probabilities.shape:
        raise ValueError(
            f"orders[{row}] has labels of shape {labels.shape} and probabilities of shape "
            f"{probabilities.shape}; give one probability per label."
        )
    if labels.size and (labels.dtype.kind not in "iu" or labels.min() < 0):
        raise ValueError(
            f"orders[{row}] has the labels {labels[:10].tolist()}; give column numbers of "
            "the indicator matrix, 0 or greater."
        )
    found, counts = np.unique(labels, return_counts=True)
    if (counts > 1).any():
        raise ValueError(
            f"orders[{row}] takes label {found[counts > 1][0]} more than once; give each "
            "label at one step."
        )
    return labels.astype(np.int64), probabilities


def _checked_names(names, orders):
    largest = max(labels.max(initial=-1) for labels, _ in orders)
    if names is not None and len(names) <= largest:
        raise ValueError(
            f"`label_names` has {len(names)} names, but label {largest} is taken; name "
            "every column of the indicator matrix."
        )
    return names if names is None else list(names)


def _short(name, longest):
    return name if len(name) <= longest else f"{name[: longest - 1]}…"


def _count(rows):
    return f"{len(rows)} row{'s' if len(rows) > 1 else ''}"


def _by_place(shares):
    """Sum the fourth and all later places, (L, n_places) -> (L, <= 4)."""
    n_named = len(PLACES) - 1
    later = shares[:, n_named:].sum(axis=1, keepdims=True)
    return np.hstack([shares[:, :n_named], later[:, : shares.shape[1] > n_named]])


def _draw_steps(ax, blocks):
    """Title, then one bar per step, for each row; from top to bottom."""
    texts = []
    for title, steps in blocks:
        y = len(texts)
        style = {"va": "center", "fontsize": "small", "color": INK, "clip_on": True}
        ax.text(0.01, y, title, fontweight="bold", **style)
        ax.axhline(y - 0.5, color=GREY, linewidth=0.6, zorder=1)
        for place, (_, probability) in enumerate(steps):
            if probability is not None:
                y = len(texts) + 1 + place
                color = PLACES[min(place, len(PLACES) - 1)]
                ax.barh(y, probability, height=0.72, color=color)
                ax.text(probability + 0.012, y, f"{probability:.2f}", **style)
        texts += ["", *(text for text, _ in steps)]
    _name_lines(ax, texts)
    ax.set(xlabel="Probability of the label at its step", xlim=(0, 1.09))
    ax.set_xticks([0, 0.25, 0.5, 0.75, 1])


def _draw_shares(ax, names, shares):
    """One stacked bar per label, most frequent on top."""
    position = np.arange(len(names))
    start = np.zeros(len(names))
    for place in range(shares.shape[1]):
        share = shares[:, place]
        ax.barh(
            position,
            share,
            left=start,
            height=0.72,
            color=PLACES[place],
            label=PLACE_NAMES[place],
        )
        start = start + share
    _name_lines(ax, names)
    ax.set(xlabel="Share of rows in which the label is taken", xlim=(0, None))
    if len(names):
        place = {"loc": "lower left", "bbox_to_anchor": (-0.01, 0.99)}
        style = {"fontsize": "small", "frameon": False, "columnspacing": 1.2}
        ax.legend(ncols=len(PLACES), handlelength=1.2, borderpad=0, **place, **style)
    else:
        ax.text(0.5, 0.5, "no label is taken", ha="center", transform=ax.transAxes)


def _name_lines(ax, names):
    ax.set_yticks(np.arange(len(names)), names, fontsize="small")
    ax.set_ylim(max(len(names), 1) - 0.4, -0.6)  # the first one on top
    ax.tick_params(axis="y", length=0)
    ax.grid(False, axis="y")


def _set_title(ax, title):
    # a line of text or the legend lies between title and axes
    ax.set_title(title, loc="left", fontsize="medium", pad=22)
