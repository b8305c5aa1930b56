"""Penalty and shift of a regression, by what it says of rows that were left out."""

import numpy as np
import scipy.sparse as sp
from scipy.optimize import minimize_scalar

from skdeep.transfer._holding import class_folds
from skdeep.transfer._softmax import Problem, log_total, logits_of, solve

USUAL_PENALTY = 1e-2
_PENALTIES = (1e-1, USUAL_PENALTY, 1e-3)
# products of a step; beyond, the usual penalty is taken without a search
_SEARCH_BUDGET = 2e6
_N_FOLDS = 3
LEAST_TO_TUNE = 2 * _N_FOLDS
# of a trial; the order of rows is settled long before the solution is
_TRIAL_STEPS = 15
_SHIFT_PENALTY = 0.03


def is_small(problem):
    """Whether a problem is solved so fast that it can be solved some times more."""
    features = problem.features
    stored = features.size
    if sp.issparse(features):
        stored = features.nnz + features.shape[1]
    n_products = (stored + problem.scores.size) * problem.layout.n_classes
    return n_products < _SEARCH_BUDGET


def tune(problem, codes, rng):
    """Choose penalty and shift by three-fold cross-validation.

    Parameters
    ----------
    problem : Problem

    codes : ndarray of shape (n_samples,)
        Classes of its rows.

    rng : RandomState

    Returns
    -------
    penalty : float
        The usual one for large problems, else the one with the least loss of rows that
        were left out.

    shift : float
        See `new_shift`.
    """
    fold, layout = class_folds(codes, _N_FOLDS, rng), problem.layout
    small = is_small(problem)
    penalties = _PENALTIES if small else _PENALTIES[1:2]
    log_proba = np.zeros((len(penalties), *problem.skip.shape))
    for number in range(_N_FOLDS):
        train, test = np.flatnonzero(fold != number), np.flatnonzero(fold == number)
        part, weights = _rows_of(problem, train), None
        for place, penalty in enumerate(penalties):
            penalty = penalty / layout.n_classes
            weights = solve(part, penalty, weights, None if small else _TRIAL_STEPS)
            logits = logits_of(weights, _rows_of(problem, test))
            log_proba[place, test] = logits - log_total(logits)
    # a row says nothing if there is no other one of its class
    weight = problem.weight * (np.bincount(codes)[codes] > 1)
    right = log_proba[:, np.arange(len(codes)), codes]
    best = int((right @ weight).argmax())
    shift = new_shift(log_proba[best], codes, weight, layout)
    return penalties[best] / layout.n_classes, shift


def new_shift(log_proba, codes, weight, layout):
    """What to add to the scores of all new classes.

    Parameters
    ----------
    log_proba : ndarray of shape (n_samples, n_classes)
        Of rows that were left out.

    codes : ndarray of shape (n_samples,)
        Their classes.

    weight : ndarray of shape (n_samples,)
        Their weights.

    layout : Layout

    Returns
    -------
    shift : float
        With it, it is most likely that those rows are new which are. 0 if the rows are
        all old or all new.
    """
    is_new = np.isin(codes, layout.new)
    groups = [weight[group].sum() for group in (is_new, ~is_new)]
    if not min(groups) > 0:
        return 0.0
    new, old = log_proba[:, layout.new], log_proba[:, layout.old]
    odds = (log_total(new) - log_total(old))[:, 0]
    sign = np.where(is_new, -1.0, 1.0)

    def loss(shift):
        wrong = np.average(np.logaddexp(0, sign * (odds + shift)), weights=weight)
        return wrong + _SHIFT_PENALTY * shift**2

    return float(minimize_scalar(loss, bounds=(-5, 5), method="bounded").x)


def _rows_of(problem, rows):
    names = ("features", "skip", "scores", "target", "weight")
    return Problem(**{**vars(problem), **{n: getattr(problem, n)[rows] for n in names}})
