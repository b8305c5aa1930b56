"""Feature rows and episodes of the few-shot benchmark."""

import pathlib
from typing import NamedTuple

import numpy as np

DATA = pathlib.Path(__file__).parent / "data"
N_WAY, N_QUERY = 5, 75
BASE, VALIDATION, TEST = range(3)
# what each set has test episodes for: classes of 20 rows are too small to be unequal
CELLS = {
    "clinc150": [(1, "balanced"), (1, "dir2"), (5, "balanced"), (5, "dir2")],
    "omniglot": [(1, "balanced"), (5, "balanced")],
}


class Rows(NamedTuple):
    """Rows of length one, (n, d), their classes, and the part each row is in."""

    X: np.ndarray
    y: np.ndarray
    part: np.ndarray


class Episodes(NamedTuple):
    """Row numbers, (N, s) and (N, q), and classes 0 to 4 of the same shapes."""

    support: np.ndarray
    y_support: np.ndarray
    query: np.ndarray
    y_query: np.ndarray

    def __len__(self):
        return len(self.support)

    def first(self, n):
        """The first `n` episodes."""
        return Episodes(*(part[:n] for part in self))


def load(name, power=1.0):
    """Rows of a set, and the mean of those the backbone was trained on.

    Parameters
    ----------
    name : {"clinc150", "omniglot"}
        Which set.

    power : float, default=1.0
        Each feature becomes ``sign(x) * abs(x) ** power`` before rows get length one.

    Returns
    -------
    rows : Rows
        `part` says what the class of the row is for.

    center : ndarray of shape (d,)
    """
    with np.load(DATA / f"few_shot_{name}.npz") as file:
        X, y, part = prepare(file["X"], power), file["y"].astype(int), file["split"]
    return Rows(X, y, part), X[part == BASE].mean(axis=0)


def load_out_of_fold(name, power=1.0):
    """Rows of the base classes behind backbones that have not seen their classes.

    `part` is the fold; backbones and so feature spaces differ between folds, and an
    episode may not mix them. None where there are no such rows.
    """
    path = DATA / f"few_shot_{name}_out_of_fold.npz"
    if not path.exists():
        return None
    with np.load(path) as file:
        return Rows(prepare(file["X"], power), file["y"].astype(int), file["fold"])


def prepare(X, power):
    """Powers of features, then rows of length one, in float32."""
    X = X.astype(np.float32)
    X = np.sign(X) * np.abs(X) ** power
    return X / np.maximum(np.linalg.norm(X, axis=1, keepdims=True), 1e-12)


def load_test_episodes(name, n_shot, balance):
    """The 600 fixed episodes of test classes."""
    with np.load(DATA / f"few_shot_{name}.npz") as file:
        tag = f"{n_shot}shot_{balance}"
        support, query = file[f"support_{tag}"], file[f"query_{tag}"]
        classes, y = file[f"classes_{tag}"], file["y"]
    places = (y[rows][:, :, None] == classes[:, None] for rows in (support, query))
    y_support, y_query = (place.argmax(2) for place in places)
    return Episodes(support.astype(int), y_support, query.astype(int), y_query)


def draw_episodes(rows, part, n_shot, balance, n_episodes, seed=0):
    """Episodes of the classes in a part, like the test episodes.

    Parameters
    ----------
    rows : Rows
        To draw from.

    part : int
        Which rows.

    n_shot : int
        Labelled rows a class.

    balance : {"balanced", "dir2"}
        Shares of the classes among the 75 query rows: equal, or from Dirichlet(2) with
        each class at least once.

    n_episodes, seed : int
        How many, and what they depend on.

    Returns
    -------
    episodes : Episodes
    """
    rng = np.random.default_rng(seed)
    members = [np.flatnonzero((rows.y == c) & (rows.part == part)) for c in range(256)]
    members = [own for own in members if len(own) >= n_shot + N_QUERY // N_WAY]
    support, query, y_query = [], [], []
    for _ in range(n_episodes):
        chosen = rng.choice(len(members), N_WAY, replace=False)
        counts = query_counts(balance, rng)
        picks = [
            rng.choice(members[c], n_shot + count, replace=False)
            for c, count in zip(chosen, counts)
        ]
        support.append(np.concatenate([pick[:n_shot] for pick in picks]))
        query.append(np.concatenate([pick[n_shot:] for pick in picks]))
        y_query.append(np.repeat(np.arange(N_WAY), counts))
    y_support = np.tile(np.repeat(np.arange(N_WAY), n_shot), (n_episodes, 1))
    return Episodes(np.array(support), y_support, np.array(query), np.array(y_query))


def query_counts(balance, rng):
    """Query rows of each class."""
    if balance == "balanced":
        return np.full(N_WAY, N_QUERY // N_WAY)
    while True:
        counts = rng.multinomial(N_QUERY, rng.dirichlet(np.full(N_WAY, 2.0)))
        if counts.min() > 0:
            return counts
