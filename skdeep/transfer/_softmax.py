"""Multinomial logistic regression that starts from a source and is drawn back to it.

With phi the scaled features of a row, s the source's scores (centred, zero for new
classes) and v the same scores as inputs, the scores of all classes are

    gamma s + W phi + V v + b .

W, V and b have zero as their prior mean, and gamma has one, so that the prior is the
source itself. V speaks for new classes only: which of the old classes the source confuses
a new one with. The problem is convex, and is solved by L-BFGS, each weight in the unit in
which the loss is about equally curved: a rare word says little, gamma moves every row.
"""

from dataclasses import dataclass

import numpy as np
import scipy.sparse as sp
from scipy.optimize import minimize

# large problems have many rows that say nearly the same: fewer steps are enough
_MAX_STEPS, _MAX_STEPS_LARGE, _LARGE = 150, 40, 50_000
# of gamma - 1, and of the biases of old classes, which may have no row
_START_PENALTY = 0.01


@dataclass
class Weights:
    """A solution.

    Attributes
    ----------
    features : ndarray of shape (n_features, n_classes)
        W, transposed.

    scores : ndarray of shape (n_old, n_new)
        V, transposed.

    bias : ndarray of shape (n_classes,)

    gamma : float
    """

    features: np.ndarray
    scores: np.ndarray
    bias: np.ndarray
    gamma: float


@dataclass
class Problem:
    """What the weights are fitted to.

    Attributes
    ----------
    features : ndarray or CSR matrix of shape (n_samples, n_features)
        Scaled.

    skip : ndarray of shape (n_samples, n_classes)
        Source scores in the columns of the old classes.

    scores : ndarray of shape (n_samples, n_old)
        Source scores as inputs.

    target : ndarray of shape (n_samples, n_classes)
        Probability of each class for each row.

    weight : ndarray of shape (n_samples,)
        Weight of each row.

    layout : Layout

    distill : float, default=0.0
        Weight of the divergence from the source on the old classes.

    temperature : float, default=1.0
        Of that divergence.

    sharpness : float, default=1.0
        What `skip` is multiplied with to be the source's answer in that divergence.
    """

    features: object
    skip: np.ndarray
    scores: np.ndarray
    target: np.ndarray
    weight: np.ndarray
    layout: object
    distill: float = 0.0
    temperature: float = 1.0
    sharpness: float = 1.0


def solve(problem, penalty, start=None, max_steps=None):
    """Fit the weights.

    Parameters
    ----------
    problem : Problem

    penalty : float
        Half of it is the weight of the squared entries of W and V, relative to the mean
        loss of a row.

    start : Weights or None, default=None
        Where to begin; None is the source.

    max_steps : int or None, default=None
        Of the solver; None is 150, or 40 for large problems.

    Returns
    -------
    weights : Weights

    Notes
    -----
    O(n_values * n_classes) per step, where n_values are the stored features, and
    O(n_features * n_classes) memory. Columns of sparse features that are all zero are
    left out.
    """
    full, columns = problem.features, None
    if sp.issparse(full):
        columns = np.flatnonzero(np.diff(full.tocsc().indptr))
        problem = Problem(**{**vars(problem), "features": full[:, columns]})
    loss = _Loss(problem, penalty)
    first = loss.join(start, columns)
    large = len(first) > _LARGE
    unit = loss.units()

    def in_units(flat):
        value, slope = loss(flat * unit)
        return value, slope * unit

    found = minimize(
        in_units,
        first / unit,
        jac=True,
        method="L-BFGS-B",
        options={
            "maxiter": max_steps or (_MAX_STEPS_LARGE if large else _MAX_STEPS),
            "maxcor": 5 if large else 10,
            "gtol": 1e-5,
            "ftol": 1e-7,
        },
    )
    weights = loss.split(found.x * unit)
    if columns is not None:
        whole = np.zeros((full.shape[1], weights.features.shape[1]))
        whole[columns] = weights.features
        weights.features = whole
    return weights


def log_total(scores):
    """Logs of the sums of exponentials of finite scores; (n_samples, 1)."""
    top = scores.max(axis=1, keepdims=True)
    return top + np.log(np.exp(scores - top).sum(axis=1, keepdims=True))


def _softmax(scores):
    """Log probabilities, and probabilities."""
    shifted = scores - scores.max(axis=1, keepdims=True)
    proba = np.exp(shifted)
    total = proba.sum(axis=1, keepdims=True)
    return shifted - np.log(total), proba / total


def logits_of(weights, problem):
    """Scores (n_samples, n_classes) of the rows of a problem."""
    logits = weights.gamma * problem.skip + problem.features @ weights.features
    logits += weights.bias
    logits[:, problem.layout.new] += problem.scores @ weights.scores
    return logits


class _Loss:
    """Value and gradient at a vector of all weights."""

    def __init__(self, problem, penalty):
        self.problem = problem
        self.penalty = penalty
        n_classes, new = problem.layout.n_classes, problem.layout.new
        self.shapes = [
            (problem.features.shape[1], n_classes),
            (problem.scores.shape[1], len(new)),
            (n_classes,),
            (1,),
        ]
        self.weight = problem.weight / problem.weight.sum()
        self.mass = problem.target.sum(axis=1, keepdims=True)
        self.back = problem.features.T
        if sp.issparse(self.back):
            self.back = self.back.tocsr()
        if problem.distill:
            heat = problem.temperature / problem.sharpness
            teacher = problem.skip[:, problem.layout.old] / heat
            log_teacher, self.teacher = _softmax(teacher)
            self.entropy = (self.teacher * log_teacher).sum(axis=1)

    def join(self, weights, columns=None):
        if weights is None:
            flat = [np.zeros(int(np.prod(shape))) for shape in self.shapes]
            flat[-1][:] = 1
            return np.concatenate(flat)
        W = weights.features if columns is None else weights.features[columns]
        return np.concatenate(
            [W.ravel(), weights.scores.ravel(), weights.bias, [weights.gamma]]
        )

    def units(self):
        """One over the root of the curvature of the loss along each weight, roughly.

        The classes of the rows are taken for independent of the features, which makes it
        a product of two sums.
        """
        problem, a, g = self.problem, self.penalty, _START_PENALTY
        skip, features = problem.skip, problem.features
        proba = _softmax(skip)[1]
        share = np.maximum(self.weight @ proba, self.weight @ problem.target)
        spread = np.maximum(share * (1 - share), 1e-9)
        squares = features.multiply(features) if sp.issparse(features) else features**2
        squares = squares.T @ self.weight
        of_bias = spread.copy()
        of_bias[problem.layout.old] += g
        mean = (proba * skip).sum(axis=1, keepdims=True)
        of_gamma = self.weight @ (proba * (skip - mean) ** 2).sum(axis=1) + g
        of_scores = np.outer((problem.scores**2).T @ self.weight, spread)
        curvature = [
            np.outer(squares, spread) + a,
            of_scores[:, problem.layout.new] + a,
            of_bias,
            [of_gamma],
        ]
        return np.concatenate([np.ravel(part) for part in curvature]) ** -0.5

    def split(self, flat):
        ends = np.cumsum([np.prod(shape) for shape in self.shapes])[:-1].astype(int)
        parts = np.split(flat, ends)
        W, V, bias, gamma = (p.reshape(s) for p, s in zip(parts, self.shapes))
        return Weights(W, V, bias, gamma[0])

    def __call__(self, flat):
        problem, now = self.problem, self.split(flat)
        old, new = problem.layout.old, problem.layout.new
        logits = now.gamma * problem.skip + problem.features @ now.features + now.bias
        logits[:, new] += problem.scores @ now.scores
        log_proba, slope = _softmax(logits)
        value = -(self.weight * (problem.target * log_proba).sum(axis=1)).sum()
        slope *= self.mass
        slope -= problem.target
        if problem.distill:
            value += self._add_distillation(logits, slope, old)
        slope *= self.weight[:, None]
        a, g = self.penalty, _START_PENALTY
        value += 0.5 * a * ((now.features**2).sum() + (now.scores**2).sum())
        value += 0.5 * g * ((now.gamma - 1) ** 2 + (now.bias[old] ** 2).sum())
        slope_of_bias = slope.sum(axis=0)
        slope_of_bias[old] += g * now.bias[old]
        parts = [
            self.back @ slope + a * now.features,
            problem.scores.T @ slope[:, new] + a * now.scores,
            slope_of_bias,
            [(slope * problem.skip).sum() + g * (now.gamma - 1)],
        ]
        return value, np.concatenate([np.ravel(part) for part in parts])

    def _add_distillation(self, logits, slope, old):
        """Divergence of the teacher from the model on old classes; its slope is added."""
        heat, factor = self.problem.temperature, self.problem.distill
        log_proba, proba = _softmax(logits[:, old] / heat)
        slope[:, old] += factor * heat * (proba - self.teacher)
        divergence = self.entropy - (self.teacher * log_proba).sum(axis=1)
        return factor * heat**2 * (self.weight * divergence).sum()
