"""New classes from labelled rows of them and a pool of rows without any label.

The pool holds rows of old classes, and maybe of new ones. The gate gives each of them a
probability to be new; the source says which old class it would be. The model for old and
new classes is fitted to these labels. Gate and model err in different ways, so both
decide in the end whether a row is new.
"""

from dataclasses import dataclass

import numpy as np
import scipy.sparse as sp
from scipy.special import expit, logsumexp

from skdeep.transfer._scaling import learn_scaling, pad_old
from skdeep.transfer._softmax import Problem, solve
from skdeep.transfer._stacking import as_head, joint_factor

_PENALTY = 1e-3
# log odds beyond which nothing is more certain
MOST = 30.0


@dataclass
class PoolHead:
    """A gate, and a classifier of all classes that has learned from what it let through.

    Attributes
    ----------
    gate : Gate

    linear : LinearHead

    layout : Layout

    name : str
    """

    gate: object
    linear: object
    layout: object
    name: str = "gate"

    @property
    def gamma(self):
        """Factor of the source's scores."""
        return self.linear.gamma

    @property
    def n_parameters(self):
        """Numbers learned."""
        return 4 + self.linear.n_parameters

    def represent(self, est, features, scores):
        """Features and scores on their common scale."""
        return self.linear.represent(est, features, scores)

    def log_proba(self, est, features, scores):
        """Log probabilities (n_samples, n_classes)."""
        found = np.array(self.linear.log_proba(est, features, scores), dtype=np.float64)
        old, new = self.layout.old, self.layout.new
        is_old = logsumexp(found[:, old], axis=1)
        is_new = logsumexp(found[:, new], axis=1)
        odds = 0.5 * (is_new - is_old) + 0.5 * self.gate.log_odds(features, scores)
        found = split_by(found, np.clip(odds, -MOST, MOST), old, new)
        return found - logsumexp(found, axis=1, keepdims=True)


def split_by(log_proba, odds, old, new):
    """Give new and old classes together the probabilities that log odds demand.

    Parameters
    ----------
    log_proba : ndarray of shape (n_samples, n_classes)

    odds : ndarray of shape (n_samples,)
        Log odds that a row is new.

    old, new : ndarray of int
        Places of the classes.

    Returns
    -------
    log_proba : ndarray of shape (n_samples, n_classes)
        Probabilities within both groups are in proportion to what they were.
    """
    result = log_proba.copy()
    for places, share in ((old, expit(-odds)), (new, expit(odds))):
        part = result[:, places]
        total = logsumexp(part, axis=1, keepdims=True)
        result[:, places] = part - total + np.log(share)[:, None]
    return np.maximum(result, -2 * MOST)


def fit_with_pool(gate, among_new, rows, layout, pool):
    """Learn from labelled rows of new classes and a pool.

    Parameters
    ----------
    gate : Gate

    among_new : callable
        Gives probabilities (n_samples, n_new) of the new classes for features and scores.

    rows : NewRows
        Of new classes.

    layout : Layout

    pool : (features, scores)
        Rows without a label.

    Returns
    -------
    head : PoolHead
    """
    features, scores = stack(rows.features, pool[0]), np.vstack([rows.scores, pool[1]])
    scaling = learn_scaling(features, scores)
    skip = scaling.skip(scores)
    target = np.zeros((len(scores), layout.n_classes))
    n_new = len(rows.codes)
    target[np.arange(n_new), rows.codes] = 1
    is_new = expit(gate.log_odds(*pool))[:, None]
    target[n_new:, layout.new] = is_new * among_new(*pool)
    best = layout.old[skip[n_new:].argmax(axis=1)]
    target[np.arange(n_new, len(target)), best] = 1 - is_new[:, 0]
    weight = np.concatenate([rows.weight, np.ones(len(best))]).astype(np.float64)
    factor = joint_factor(skip, target.argmax(axis=1), weight, layout)
    problem = Problem(
        scaling.features(features),
        factor * pad_old(skip, layout),
        scaling.scores(scores),
        target,
        weight,
        layout,
    )
    weights = solve(problem, _PENALTY / layout.n_classes)
    return PoolHead(gate, as_head(weights, scaling, layout, factor), layout)


def stack(one, other):
    """Rows of two arrays, dense or sparse."""
    if sp.issparse(one):
        return sp.vstack([one, sp.csr_matrix(other)], format="csr")
    return np.concatenate([one, other])
