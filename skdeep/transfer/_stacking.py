"""Logistic regression on features and source scores.

With the source's scores added (`skip_connection`) it is drawn back to the source, see
`_softmax.py`; without them it is the usual stacking: a classifier on top of another one's
answers. Rows that it has not seen look less new to it than those that it was fitted to, so
the biases of the new classes are moved by what rows that were left out demand. The two
kinds err differently, and small problems get the mean of both.
"""

from dataclasses import dataclass

import numpy as np
import scipy.sparse as sp
from scipy.optimize import minimize
from sklearn.linear_model import LogisticRegression

from skdeep.transfer._novelty import row_products
from skdeep.transfer._scaling import Scaling, learn_scaling, pad_old
from skdeep.transfer._settings import setting
from skdeep.transfer._softmax import Problem, log_total, solve
from skdeep.transfer._tuning import LEAST_TO_TUNE, USUAL_PENALTY, is_small, tune

_LEAST = -30.0


@dataclass
class LinearHead:
    """Linear scores of all classes.

    Attributes
    ----------
    scaling : Scaling

    layout : Layout

    features : ndarray of shape (n_features, n_classes)
        Weights of the scaled features.

    scores : ndarray of shape (n_old, n_classes)
        Weights of the source's scores as inputs.

    bias : ndarray of shape (n_classes,)

    gamma : float or None
        Factor of the source's scores that are added.

    name : str
    """

    scaling: Scaling
    layout: object
    features: np.ndarray
    scores: np.ndarray
    bias: np.ndarray
    gamma: float | None
    name: str = "stacking"

    @property
    def n_parameters(self):
        """Numbers learned."""
        return self.features.size + self.scores.size + self.bias.size

    def represent(self, est, features, scores):
        """Features and scores on their common scale."""
        return self.scaling.represent(features, scores)

    def log_proba(self, est, features, scores):
        """Log probabilities (n_samples, n_classes)."""
        logits = product(self.scaling.features(features), self.features)
        logits += product(self.scaling.scores(scores), self.scores) + self.bias
        if self.gamma is not None and len(self.layout.old):
            logits[:, self.layout.old] += self.gamma * self.scaling.skip(scores)
        logits -= log_total(logits)
        logits = np.maximum(logits, _LEAST)
        return logits - log_total(logits)


def product(rows, weights):
    """Rows times weights; the result for a row does not depend on the others."""
    if sp.issparse(rows):
        return np.asarray(rows.astype(np.float64) @ weights)
    return row_products(rows.astype(np.float64), np.ascontiguousarray(weights.T))


def fit_stacking(est, rows, layout, rng, pool=None, *, search=True):
    """Fit a logistic regression on features and source scores.

    Parameters
    ----------
    est : AdapterExtender
        Its `skip_connection`, `distill` and `temperature` are read.

    rows : NewRows

    layout : Layout

    rng : RandomState

    pool : object, default=None
        Not used.

    search : bool, default=True
        Whether the penalty and the shift of the new classes are chosen.

    Returns
    -------
    head : LinearHead

    Notes
    -----
    The shift is chosen by three-fold cross-validation, and so is the penalty unless the
    data are large. Where they are not, and every class has rows, the scores are the means
    of those of the two regressions, with and without the source's scores added.
    """
    if not est.skip_connection or not len(layout.old):
        return _plain(rows, layout)
    problem, scaling, factor = make_problem(est, rows, layout)
    penalty, shift = USUAL_PENALTY / layout.n_classes, 0.0
    if search and len(rows.codes) >= LEAST_TO_TUNE:
        penalty, shift = tune(problem, rows.codes, rng)
    weights = solve(problem, penalty)
    weights.bias[layout.new] += shift
    head = as_head(weights, scaling, layout, factor)
    everywhere = len(np.unique(rows.codes)) == layout.n_classes
    if everywhere and is_small(problem):
        return _mean(head, _plain(rows, layout))
    return head


def _mean(drawn, plain):
    """Mean of the scores of two heads with the same scaling, which err differently."""
    return LinearHead(
        drawn.scaling,
        drawn.layout,
        (drawn.features + plain.features) / 2,
        (drawn.scores + plain.scores) / 2,
        (drawn.bias + plain.bias) / 2,
        drawn.gamma / 2,
    )


def make_problem(est, rows, layout):
    """State the problem for labelled rows.

    Returns
    -------
    problem : Problem

    scaling : Scaling

    factor : float
        What the scores in ``problem.skip`` were multiplied with.
    """
    scaling = learn_scaling(rows.features, rows.scores)
    skip = scaling.skip(rows.scores)
    factor = joint_factor(skip, rows.codes, rows.weight, layout)
    problem = Problem(
        scaling.features(rows.features),
        factor * pad_old(skip, layout),
        scaling.scores(rows.scores),
        np.eye(layout.n_classes)[rows.codes],
        rows.weight.astype(np.float64),
        layout,
        setting(est, "distill") if len(layout.old) > 1 else 0.0,
        est.temperature,
        old_factor(skip, rows.codes, layout) / factor,
    )
    return problem, scaling, factor


def as_head(weights, scaling, layout, factor=1.0):
    """Put weights in the form that answers."""
    scores = np.zeros((len(weights.scores), layout.n_classes))
    scores[:, layout.new] = weights.scores
    gamma = weights.gamma * factor
    return LinearHead(scaling, layout, weights.features, scores, weights.bias, gamma)


def old_factor(skip, codes, layout):
    """Factor that makes the source's scores its best probabilities, for old rows.

    Parameters
    ----------
    skip : ndarray of shape (n_samples, n_old)
        Centred scores.

    codes : ndarray of shape (n_samples,)

    layout : Layout

    Returns
    -------
    factor : float
        1 without old rows; a prior keeps it near 1 if there are few.
    """
    order = np.argsort(layout.old)
    known = np.isin(codes, layout.old)
    if not known.any():
        return 1.0
    skip = skip[known]
    place = order[np.searchsorted(layout.old[order], codes[known])]

    def loss(log_factor):
        scores = np.exp(log_factor[0]) * skip
        right = scores[np.arange(len(scores)), place]
        return (log_total(scores)[:, 0] - right).sum() + 0.25 * log_factor[0] ** 2

    found = minimize(loss, [0.0], method="Nelder-Mead", options={"maxiter": 60})
    return float(np.exp(np.clip(found.x[0], -4, 4)))


def joint_factor(skip, codes, weight, layout):
    """Factor for the source's scores beside one common score for all new classes.

    It is small if the source is sure of rows that are new.
    """
    if not np.isin(codes, layout.old).any():
        return 1.0
    padded = pad_old(skip, layout)
    place = np.arange(len(codes))

    def loss(both):
        scores = np.exp(both[0]) * padded
        scores[:, layout.new] = both[1]
        wrong = log_total(scores)[:, 0] - scores[place, codes]
        return (weight * wrong).mean() + 0.005 * both[0] ** 2

    found = minimize(loss, [0.0, 0.0], method="Nelder-Mead", options={"maxiter": 120})
    return float(np.exp(np.clip(found.x[0], -4, 4)))


def _plain(rows, layout):
    """Stacking without the source's scores added; by scikit-learn's regression."""
    scaling = learn_scaling(rows.features, rows.scores)
    parts = [scaling.features(rows.features), scaling.scores(rows.scores)]
    if sp.issparse(parts[0]):
        X = sp.hstack(parts, format="csr")
    else:
        X = np.hstack(parts)
    present = np.unique(rows.codes)
    n_features = parts[0].shape[1]
    coef = np.zeros((layout.n_classes, X.shape[1]))
    bias = np.full(layout.n_classes, _LEAST)
    bias[present] = 0.0
    if len(present) > 1:
        # the penalty of `fit_stacking`, in the words of scikit-learn
        C = layout.n_classes / (USUAL_PENALTY * len(rows.codes))
        model = LogisticRegression(C=C, max_iter=300)
        model.fit(X, rows.codes, sample_weight=rows.weight)
        if len(present) == 2:
            coef[present[1]], bias[present[1]] = model.coef_[0], model.intercept_[0]
        else:
            coef[present], bias[present] = model.coef_, model.intercept_
    W, V = coef[:, :n_features].T, coef[:, n_features:].T
    return LinearHead(scaling, layout, W, V, bias, None)
