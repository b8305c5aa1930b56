"""New classes from labelled rows of them and a pool of rows without any label.

The pool holds rows of old classes, and maybe of new ones. Each of its rows gets a
probability to be new, from the gate at first; the source says which old class it would
be. The model is fitted to these soft labels, and says in its turn what is new.
"""

import numpy as np
import scipy.sparse as sp
from scipy.special import expit, softmax

from skdeep.transfer._scaling import learn_scaling, pad_old
from skdeep.transfer._softmax import Problem, logits_of, solve

N_ROUNDS = 2
_PENALTY = 1e-2


def fit_with_pool(gate, among_new, rows, layout, pool):
    """Fit linear scores of old and new classes.

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
    weights : Weights

    scaling : Scaling
    """
    features, scores = stack(rows.features, pool[0]), np.vstack([rows.scores, pool[1]])
    scaling = learn_scaling(features, scores)
    n_new = len(rows.codes)
    skip = scaling.skip(scores)
    target = np.zeros((len(scores), layout.n_classes))
    target[np.arange(n_new), rows.codes] = 1
    old = softmax(skip[n_new:], axis=1)
    is_new = expit(gate.log_odds(*pool))[:, None]
    among = among_new(*pool)
    weight = np.concatenate([rows.weight, np.ones(len(old))])
    problem = Problem(
        scaling.features(features),
        pad_old(skip, layout),
        scaling.scores(scores),
        target,
        weight,
        layout,
    )
    weights = None
    for _ in range(N_ROUNDS):
        target[n_new:, layout.old] = (1 - is_new) * old
        target[n_new:, layout.new] = is_new * among
        weights = solve(problem, _PENALTY / layout.n_classes, weights)
        found = softmax(logits_of(weights, problem)[n_new:], axis=1)
        is_new = found[:, layout.new].sum(axis=1, keepdims=True)
        among = found[:, layout.new] / np.maximum(is_new, 1e-30)
    return weights, scaling


def stack(one, other):
    """Rows of two arrays, dense or sparse."""
    if sp.issparse(one):
        return sp.vstack([one, sp.csr_matrix(other)], format="csr")
    return np.concatenate([one, other])
