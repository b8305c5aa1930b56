"""Where along its own chain a model is to take the labels that are true.

Yazici et al. [1]_ let the model go its own way and put the true labels at its steps so that
they cost least: all of them ("mla", minimal loss alignment), or those that it has not found
("pla", predicted label alignment).

References
----------
.. [1] Yazici et al., "Orderless Recurrent Models for Multi-label Classification", CVPR 2020.
"""

import numpy as np
import torch
from scipy.optimize import linear_sum_assignment

_IMPOSSIBLE = 1e6  # for a label that the chain has taken before


def align(kind, log_proba, symbols, Y):
    """Put the labels of each sample at steps of its chain.

    Parameters
    ----------
    kind : {"pla", "mla"}
        See `align_predicted` and `align_all`.

    log_proba : tensor of shape (B, T, L + 1)
        Log-probabilities of all symbols at each step, T no less than the largest set.

    symbols : tensor of shape (B, T), dtype int64
        What the chain took.

    Y : tensor of shape (B, L), dtype bool
        True sets.

    Returns
    -------
    keys : tensor of shape (B, L)
        Step of each label of the set, infinite for others.

    Notes
    -----
    O(n^3) for a set of n labels, on the CPU, one sample after the other.
    """
    cost = np.minimum(-log_proba.detach().double().cpu().numpy(), _IMPOSSIBLE)
    predicted, Y_true = symbols.cpu().numpy(), Y.cpu().numpy()
    keys = np.full(Y.shape, np.inf, np.float32)
    for row, truth in enumerate(Y_true):
        labels = np.flatnonzero(truth)
        if kind == "mla":
            order = align_all(cost[row], labels)
        else:
            order = align_predicted(cost[row], predicted[row], labels)
        keys[row, order] = np.arange(len(order))
    return torch.from_numpy(keys).to(Y.device)


def align_all(cost, labels):
    """Order labels over the first steps so that they cost least in sum.

    Parameters
    ----------
    cost : ndarray of shape (T, V)
        Of each label at each step.

    labels : ndarray of shape (n,), dtype int64
        What to order, T or fewer.

    Returns
    -------
    order : ndarray of shape (n,), dtype int64
    """
    _, chosen = linear_sum_assignment(cost[: len(labels), labels])
    return labels[chosen]


def align_predicted(cost, predicted, labels):
    """Leave labels at the steps that found them; order those never found by cost.

    Parameters
    ----------
    cost : ndarray of shape (T, V)
        Of each label at each step.

    predicted : ndarray of shape (T,), dtype int64
        Label of each step.

    labels : ndarray of shape (n,), dtype int64
        What to order, T or fewer.

    Returns
    -------
    order : ndarray of shape (n,), dtype int64
        A label found only after n steps stays where the others have left it.
    """
    order, settled = labels.copy(), set()
    for step, label in enumerate(predicted[: len(labels)]):
        place = np.flatnonzero(order == label)
        if len(place) and label not in settled:
            order[place], order[step] = order[step], label
            settled.add(label)
    missed = np.flatnonzero(~np.isin(order, predicted))
    _, chosen = linear_sum_assignment(cost[np.ix_(missed, order[missed])])
    order[missed] = order[missed][chosen]
    return order
