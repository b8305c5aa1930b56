"""New classes without a row of an old one.

Nothing that learns to tell classes apart can work here: there is no example of an old
class. So a gate decides whether a row is new, and the source decides about the others.
What is new is near the new rows, d, leaves the source unsure, c, and is mistaken for
those old classes that the new rows were mistaken for, l. With means and deviations over
the new rows, each seen as if it were not among them,

    u(x) = (d(x) - mean_d) / std_d + 0.55 (c(x) - mean_c) / std_c - 0.25 l(x)

is at most its quantile over the new rows; with decision values in place of probabilities
the factors are 1 and 0. l is the log of how much more often than by chance a new row is
taken for the class that the source sees in x. Where the source holds rows of its own, see
`_kept_rows.py`, d is less the distance from those of that class. With a pool of rows
without a label the gate is but a start: it labels the pool, and the model for old and new
rows is trained on that.
"""

from dataclasses import dataclass

import numpy as np
from scipy.special import log_softmax, logsumexp

from skdeep.transfer._gate_chains import (
    ask_in_turn,
    asked_before,
    links_of,
    turn,
)
from skdeep.transfer._kept_rows import OldDistance, find_kept_rows, measure_old
from skdeep.transfer._novelty import (
    Ruler,
    confidence,
    confusion,
    learn_ruler,
    likeness,
    make_measures,
)
from skdeep.transfer._pool import MOST, fit_with_pool
from skdeep.transfer._rows import Layout
from skdeep.transfer._scaling import Scaling, learn_scaling
from skdeep.transfer._softmax import Problem, solve
from skdeep.transfer._stacking import LinearHead, as_head

# of confidence and likeness beside the distance, by whether scores are logs: what a
# source without probabilities takes a row for says less than how sure it is
_WEIGHTS = {True: (0.55, 0.25), False: (1.0, 0.0)}
# share of the rows kept by the source that may be taken for new ones
_LOST = 0.01


@dataclass
class Gate:
    """Decides whether rows are new.

    Attributes
    ----------
    ruler : Ruler

    measures : list
        Distance from each new class.

    are_logs : bool
        Whether the source gives logs of probabilities.

    center, spread : ndarray of shape (2,)
        Means and deviations of distance and confidence over the new rows.

    mistaken : ndarray of shape (n_new, n_old)
        How often rows of each new class are taken for each old one.

    threshold : float
        What u is to stay below.

    width : float
        Of the slope from new to old, in u.

    old : OldDistance or None, default=None
        Distance from rows that the source holds.

    links : tuple of Link, default=()
        Gates of the source, see `_gate_chains.py`.
    """

    ruler: Ruler
    measures: list
    are_logs: bool
    center: np.ndarray
    spread: np.ndarray
    mistaken: np.ndarray
    threshold: float
    width: float
    old: OldDistance | None = None
    links: tuple = ()

    def unlikeness(self, features, scores, from_old=None):
        """u, for each row, in standard deviations of the gate's own rows.

        `from_old` is the distance from old rows, if it is known.
        """
        rows = self.ruler.apply(features)
        distance = [measure.distance(rows) for measure in self.measures]
        distance = np.min(distance, axis=0)
        if self.old is not None:
            if from_old is None:
                from_old = self.old.distance(rows, scores.argmax(axis=1))
            distance = distance - from_old
        both = np.stack([distance, confidence(scores, self.are_logs)], axis=1)
        alike = likeness(scores, self.are_logs, self.mistaken)
        return _join((both - self.center) / self.spread, alike, self.are_logs)

    def log_odds(self, features, scores):
        """Log odds that a row is new; without other gates, positive below the threshold."""
        u = self.unlikeness(features, scores)
        odds = (self.threshold - u) / self.width
        if not self.links:
            return odds
        log_old, log_new = self.split(log_softmax(scores, axis=1), u, scores)
        return log_new - logsumexp(log_old, axis=1)

    def split(self, log_old, u, scores):
        """See `ask_in_turn`."""
        before = asked_before(turn(u, self.threshold), scores, self.links)
        odds = np.clip((self.threshold - u) / self.width, -MOST, MOST)
        return ask_in_turn(log_old, odds, before)


def learn_gate(features, scores, codes, *, kind, quantile, are_logs, kept=None):
    """Learn a gate from rows of new classes.

    Parameters
    ----------
    features : ndarray or CSR matrix of shape (n_samples, n_features)

    scores : ndarray of shape (n_samples, n_old)
        Of the source.

    codes : ndarray of shape (n_samples,)
        Classes.

    kind : {"auto", "knn", "mahalanobis"}
        Distance.

    quantile : float
        Share of new rows to be recognised.

    are_logs : bool
        Whether the scores are logs of probabilities.

    kept : KeptRows or None, default=None
        Rows that the source holds.

    Returns
    -------
    gate : Gate
    """
    ruler = learn_ruler(features)
    rows = ruler.apply(features)
    measures = make_measures(kind, rows, codes)
    distances = np.empty((len(codes), len(measures)))
    for place, (code, measure) in enumerate(zip(np.unique(codes), measures)):
        own, others = codes == code, codes != code
        distances[own, place] = measure.distance(rows[own], own=True)
        if others.any():
            distances[others, place] = measure.distance(rows[others])
    # a row may be nearer to another new class, here as later
    distance, old = distances.min(axis=1), None
    if kept is not None:
        old, own = measure_old(kind, ruler.apply(kept.features), kept.places)
        distance -= old.distance(rows, scores.argmax(axis=1))
    both = np.stack([distance, confidence(scores, are_logs)], axis=1)
    center, spread = both.mean(axis=0), both.std(axis=0)
    spread = np.maximum(spread, 1e-6 * np.maximum(np.abs(center), 1.0))
    mistaken, alike = confusion(scores, are_logs, codes)
    u = _join((both - center) / spread, alike, are_logs)
    threshold = upper_quantile(u, quantile)
    width = 0.25 * max(float(u.std()), 1e-3)
    gate = Gate(
        ruler, measures, are_logs, center, spread, mistaken, threshold, width, old
    )
    if kept is not None:
        least = np.quantile(gate.unlikeness(kept.features, kept.scores, own), _LOST)
        most = upper_quantile(u, (1 + quantile) / 2)
        gate.threshold = max(threshold, min(float(least), most))
    return gate


def _join(both, alike, are_logs):
    """u of rows out of standardised distance and confidence, and likeness."""
    of_confidence, of_likeness = _WEIGHTS[are_logs]
    return both[:, 0] + of_confidence * both[:, 1] - of_likeness * alike


def upper_quantile(values, quantile):
    """Smallest value that at least this share of the values does not exceed."""
    place = int(np.ceil(quantile * len(values) - 1e-9)) - 1
    return float(np.sort(values)[max(place, 0)])


@dataclass
class GateHead:
    """A gate, and a classifier of what it lets through.

    Attributes
    ----------
    gate : Gate

    among_new : LinearHead or None
        Tells the new classes apart; None if there is one.

    layout : Layout

    scaling : Scaling

    n_parameters : int

    gamma : None

    name : str
    """

    gate: Gate
    among_new: LinearHead | None
    layout: object
    scaling: Scaling
    n_parameters: int
    gamma: float | None = None
    name: str = "gate"

    def represent(self, est, features, scores):
        """Features and scores on their common scale."""
        return self.scaling.represent(features, scores)

    def log_proba(self, est, features, scores):
        """Log probabilities (n_samples, n_classes)."""
        old, new = self.layout.old, self.layout.new
        found = np.zeros((len(scores), self.layout.n_classes))
        log_old = log_softmax(self.scaling.skip(scores), axis=1)
        u = self.gate.unlikeness(features, scores)
        found[:, old], log_new = self.gate.split(log_old, u, scores)
        if self.among_new is not None:
            found[:, new] = self.among_new.log_proba(est, features, scores)
        found[:, new] += log_new[:, None]
        found = np.maximum(found, -2 * MOST)
        return found - logsumexp(found, axis=1, keepdims=True)


def fit_gate(est, rows, layout, rng, pool=None):
    """Learn new classes without rows of old ones.

    Parameters
    ----------
    est : AdapterExtender
        Its source, `novelty` and `novelty_quantile` are read.

    rows : NewRows
        Rows of old classes are left out.

    layout : Layout

    rng : RandomState
        Not used.

    pool : (features, scores) or None, default=None
        Rows without a label.

    Returns
    -------
    head : GateHead or PoolHead
        The latter if there is a pool.

    Notes
    -----
    O(n_samples^2 * n_features) for the gate.
    """
    kept = np.isin(rows.codes, layout.new)
    if not kept.all():
        rows = type(rows)(*(part[np.flatnonzero(kept)] for part in rows))
    scaling = learn_scaling(rows.features, rows.scores)
    gate = learn_gate(
        rows.features,
        rows.scores,
        rows.codes,
        kind=est.novelty or "auto",
        quantile=est.novelty_quantile,
        are_logs=scaling.are_logs,
        kept=find_kept_rows(est, rows.features),
    )
    gate.links = links_of(est)
    among_new = _tell_apart(rows, layout, scaling)
    if pool is not None and len(pool[1]):

        def among(features, scores):
            if among_new is None:
                return np.ones((len(scores), 1))
            return np.exp(among_new.log_proba(est, features, scores))

        return fit_with_pool(gate, among, rows, layout, pool)
    n_parameters = 4 if among_new is None else 4 + among_new.n_parameters
    return GateHead(gate, among_new, layout, scaling, n_parameters)


def _tell_apart(rows, layout, scaling):
    """Classifier of the new classes alone; None if there is one only."""
    n_new = len(layout.new)
    if n_new < 2:
        return None
    alone = Layout(np.zeros(0, dtype=np.int64), n_new)
    place = np.searchsorted(layout.new, rows.codes)
    problem = Problem(
        scaling.features(rows.features),
        np.zeros((len(place), n_new)),
        scaling.scores(rows.scores),
        np.eye(n_new)[place],
        rows.weight.astype(np.float64),
        alone,
    )
    return as_head(solve(problem, 1e-2 / n_new), scaling, alone)
