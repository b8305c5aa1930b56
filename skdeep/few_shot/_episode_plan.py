"""Which training tasks there can be: of which classes, and of how many rows."""

import warnings

import numpy as np

from skdeep.few_shot._batches import EpisodeBatches, as_tasks
from skdeep.model_selection._draw_episodes import draw_episodes, group_rows


class EpisodePlan:
    """Which classes episodes are drawn from, and of which shape they are.

    Parameters
    ----------
    est : SemiSupervisedMetaLearner
        Its parameters are read.

    codes, groups : ndarray of shape (n_samples,), dtype int64
        Class and group of each row.

    rng : RandomState
        Draws the classes held out.

    Attributes
    ----------
    train, valid : ClassRows or None
        Rows by class; None if there are too few.

    how : dict
        Arguments of `draw_episodes`.
    """

    def __init__(self, est, codes, groups, rng):
        self.train = self.valid = None
        self.all_columns = est.gradient_net == "paper"  # it has a weight for each
        n_way, shots = _span(est.n_way), _span(est.n_shot)
        most = most_shots(codes, groups, n_way, shots)
        table = group_rows(codes, groups, n_least=most + 1)
        largest = _largest_group(table)
        if largest < 2:
            return
        where = " in one task" if groups.any() else ""
        if largest < n_way[0]:
            warnings.warn(
                f"n_way is lowered from {n_way[0]} to {largest}, the number of classes "
                f"with {most + 1} rows or more{where}.",
                UserWarning,
                stacklevel=5,
            )
        n_all = len(group_rows(codes, groups, n_least=1).sizes)
        n_left_out = n_all - len(table.sizes)
        if n_left_out and est.method == "sib" and est.phi in ("fit", "scratch"):
            hint = (
                " A lower n_shot lets in those with 2 rows or more." if most > 1 else ""
            )
            warnings.warn(
                f"{n_left_out} of {n_all} classes have fewer than {most + 1} rows{where}"
                f", too few for tasks with {most} of them labelled, and are left out of "
                f"the training tasks.{hint}",
                UserWarning,
                stacklevel=5,
            )
        n_way = tuple(min(number, largest) for number in n_way)
        if est.gradient_net == "paper":
            n_way = n_way[1], n_way[1]
        self.how = {
            "n_way": n_way,
            "n_shot": tuple(range(min(shots[0], most), most + 1)),
            "n_query": est.n_query,
            "balance": est.query_balance,
        }
        self.train = table
        if est.early_stopping:
            self._hold_out(est, codes, groups, most, rng)

    def _hold_out(self, est, codes, groups, most, rng):
        """Hold classes out, about the same fraction of each group.

        Enough for the largest tasks are held out. What is left must be twice the classes
        of the smallest tasks, and twice those of the largest, or half of all.
        """
        least, n_way = self.how["n_way"]
        held = np.zeros(len(codes), bool)
        keys = groups * (codes.max() + 1) + codes
        for first, size in zip(self.train.first_class, self.train.n_classes):
            n_held = max(n_way, round(est.validation_fraction * size))
            n_left = size - n_held
            if n_left < 2 * least or (n_left < 2 * n_way and n_left < size / 2):
                continue
            chosen = first + rng.permutation(size)[:n_held]
            rows = self.train.rows[self.train.starts[chosen]]
            held |= np.isin(keys, keys[rows])
        if not held.any() and est.early_stopping == "auto":
            return
        if not held.any():
            warnings.warn(
                f"early_stopping is switched off: holding {n_way} classes or more out, "
                f"for tasks of {n_way}, would leave fewer to train on than "
                f"{2 * least} (2 * n_way), or than half of them.",
                UserWarning,
                stacklevel=6,
            )
            return
        self.train = group_rows(np.where(held, -1, codes), groups, n_least=most + 1)
        self.valid = group_rows(np.where(held, codes, -1), groups, n_least=most + 1)

    def batches(self, rows, est, rng):
        """Tasks to train on."""
        size = est.batch_size
        n_episodes, all_columns = est.episodes_per_epoch, self.all_columns
        return EpisodeBatches(
            rows, self.train, n_episodes, size, rng, all_columns, **self.how
        )

    def fixed(self, rows, n_episodes, seed, held_out=True):
        """The same tasks at every call, of held-out classes if there are any."""
        table = self.valid if held_out and self.valid is not None else self.train
        rng = np.random.RandomState(seed)
        how = self.how | {"n_way": self.how["n_way"][1]}
        found = []
        shots = sorted({how["n_shot"][0], how["n_shot"][-1]})
        part = -(-n_episodes // len(shots))
        for n_shot in shots:
            for start in range(0, part, 50):
                episodes = draw_episodes(
                    table,
                    min(50, part - start),
                    rng=rng,
                    **how | {"n_shot": n_shot},
                )
                found.append(as_tasks(rows, episodes, self.all_columns))
        return found


def most_shots(codes, groups, n_way, shots):
    """Highest number of shots for which there are classes enough.

    Parameters
    ----------
    codes, groups : ndarray of shape (n_samples,), dtype int64

    n_way, shots : (int, int)
        Lowest and highest number of classes of a task, and of labelled rows of a class.

    Returns
    -------
    most : int
        With more of them, fewer classes than `n_way[1]` would have rows enough, although
        there are more for `shots[0]`. Below `shots[0]` only for the sake of `n_way[0]`.
    """

    def n_usable(n_shot):
        return _largest_group(group_rows(codes, groups, n_least=n_shot + 1))

    wanted = min(n_way[1], n_usable(shots[0]))
    if wanted < n_way[0]:
        wanted = min(n_way[0], n_usable(1))
    for most in range(shots[1], 1, -1):
        if n_usable(most) >= wanted:
            return most
    return 1


def _largest_group(table):
    return int(table.n_classes.max(initial=0))


def _span(bounds):
    """Lowest and highest of a number or a pair."""
    pair = bounds if isinstance(bounds, (tuple, list)) else (bounds, bounds)
    return min(pair), max(pair)
