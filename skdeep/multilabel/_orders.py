"""Orders of the labels of a sample: fixed ones, and the model's own.

An order is given as *keys*, one per sample and label: the labels of a sample stand by
ascending key, and what does not belong to its set has an infinite one.
"""

import numpy as np
import torch

from skdeep.exceptions import InvalidParameterError

FIXED_ORDERS = ("frequent", "rare", "random")
ORDERS = (*FIXED_ORDERS, "instance_random", "dynamic")


def fixed_order(order, frequency, rng):
    """Permutation of the labels for a fixed order.

    Parameters
    ----------
    order : {"frequent", "rare", "random"} or ndarray of shape (n_labels,)
        Frequent labels first, rare labels first, one random permutation, or the
        permutation itself.

    frequency : ndarray of shape (n_labels,)
        How often each label occurs in training.

    rng : RandomState
        Source of the random permutation.

    Returns
    -------
    label_order : ndarray of shape (n_labels,), dtype int64
        Labels in their order; ties stand by index.
    """
    if isinstance(order, str):
        if order == "random":
            return rng.permutation(len(frequency))
        sign = -1 if order == "frequent" else 1
        return np.argsort(sign * frequency, kind="stable")
    return np.array(order, dtype=np.int64)  # not the array of the user


def check_permutation(order, n_labels):
    """Refuse an explicit order that does not hold each label once."""
    try:
        values = np.asarray(order)
    except ValueError:  # ragged
        values = np.asarray(order, dtype=object)
    right = np.arange(n_labels)
    if values.ndim == 1 and values.dtype.kind in "iu":
        if np.array_equal(np.sort(values), right):
            return
        found, counts = np.unique(values, return_counts=True)
        missing = np.setdiff1d(right, found)[:10].tolist()
        wrong = np.union1d(found[counts > 1], np.setdiff1d(found, right))[:10].tolist()
        details = f"missing: {missing}, repeated or out of range: {wrong}"
    else:
        details = f"got {values.dtype} of shape {values.shape}"
    raise InvalidParameterError(
        f"The 'order' parameter of DynamicChainClassifier must be one of {ORDERS}, None, "
        f"or a permutation of the {n_labels} labels, the numbers 0 to {n_labels - 1}. "
        f"Got {values.size} entries ({details})."
    )


def keys_of_fixed_order(label_order, Y):
    """Keys that put every set into one order of the labels.

    Parameters
    ----------
    label_order : tensor of shape (L,), dtype int64
        Labels in their order.

    Y : tensor of shape (B, L), dtype bool
        True sets.

    Returns
    -------
    keys : tensor of shape (B, L)
    """
    rank = torch.argsort(label_order).to(torch.float32)
    return rank.masked_fill(~Y, torch.inf)


def keys_of_rollout(rollout, Y, generator):
    """Keys that keep the model's order and append what it missed, at random.

    Parameters
    ----------
    rollout : tensor of shape (B, R), dtype int64
        Labels that the model took, without repetition; L where it had stopped. With
        R = 0 the order is random altogether.

    Y : tensor of shape (B, L), dtype bool
        True sets.

    generator : torch.Generator
        Source of the order of the missed labels.

    Returns
    -------
    keys : tensor of shape (B, L)
    """
    n_steps = rollout.shape[1]
    keys = torch.empty(Y.shape, dtype=torch.float32, device=Y.device)
    keys.uniform_(n_steps, n_steps + 1, generator=generator)
    keys = torch.cat([keys, keys.new_zeros(len(keys), 1)], dim=1)  # place of the stop
    steps = torch.arange(n_steps, dtype=keys.dtype, device=Y.device)
    keys.scatter_(1, rollout, steps.expand(rollout.shape))
    return keys[:, :-1].masked_fill(~Y, torch.inf)


def targets_from_keys(keys):
    """Turn keys into the symbols that a chain has to take.

    Parameters
    ----------
    keys : tensor of shape (B, L)
        Infinite where a label does not belong to the set.

    Returns
    -------
    symbols : tensor of shape (B, T), dtype int64
        Labels of each set in order, then the stop L up to the end; T is the size of
        the largest set plus one.

    alive : tensor of shape (B, T), dtype bool
        True up to and including the first stop.
    """
    n_labels = keys.shape[1]
    sizes = torch.isfinite(keys).sum(1)
    n_steps = int(sizes.max())
    order = torch.topk(keys, n_steps, largest=False).indices
    symbols = torch.nn.functional.pad(order, (0, 1), value=n_labels)
    steps = torch.arange(n_steps + 1, device=keys.device)
    symbols = symbols.masked_fill(steps >= sizes[:, None], n_labels)
    return symbols, steps <= sizes[:, None]
