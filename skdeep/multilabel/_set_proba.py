"""Probability of a set: the sum over all orders in which a chain may take it."""

import math
from itertools import permutations

import numpy as np
import torch

from skdeep.multilabel._decode import mask_out

_N_EXACT = 5  # labels, up to which all orders are gone through


def log_set_proba(inference, X, Y):
    """Log-probability of the set of each row.

    Parameters
    ----------
    inference : Inference
        Model, and number of draws for large sets.

    X : ndarray or CSR matrix of shape (n_samples, n_features), dtype float32
        Rows.

    Y : CSR matrix of shape (n_samples, n_labels)
        Sets.

    Returns
    -------
    log_proba : ndarray of shape (n_samples,), dtype float64

    Notes
    -----
    No dynamic program is possible, since the state depends on the order. Rows with sets
    of one size are one batch: O(m! m) steps each for m <= 5 labels; O(n_draws m) beyond.
    """
    sizes = np.diff(Y.indptr)
    out = np.full(X.shape[0], -np.inf)
    for size in np.unique(sizes):
        rows = np.flatnonzero(sizes == size)
        labels = Y[rows].indices.reshape(len(rows), size).astype(np.int64)
        out[rows] = _of_one_size(inference, X[rows], labels)
    return out


def _of_one_size(inference, X, labels):
    """Log-probabilities of sets of one size, given as numbers of labels."""
    size = labels.shape[1]
    exact = size <= _N_EXACT
    way = _sum_over_orders if exact else _estimate
    width = math.factorial(size) if exact else inference.n_draws
    parts, start = [], 0

    def answer(contexts):
        part = torch.from_numpy(labels[start : start + len(contexts[0].head)])
        part = part.to(inference.device)
        contexts = [context.take(slice(0, len(part))) for context in contexts]
        found = [way(walk, part, inference) for walk in inference.walks(contexts)]
        return torch.logsumexp(torch.stack(found), 0) - math.log(len(found))

    for found in inference.ask(X, answer, width):
        parts.append(found.numpy())
        start += len(found)
    return np.concatenate(parts)


def _sum_over_orders(walk, labels, inference):
    n_rows, size = labels.shape
    orders = torch.tensor(list(permutations(range(size))), dtype=torch.long)
    orders = orders.view(math.factorial(size), size).to(labels.device)
    index = torch.arange(n_rows, device=labels.device)
    walk.keep(index.repeat_interleave(len(orders)))
    chains = labels[:, orders].flatten(0, 1)
    total = 0.0
    for step in range(size + 1):
        log_proba = walk.log_proba().double()
        if step == size:
            total = total + log_proba[:, -1]
            break
        total = total + log_proba.gather(1, chains[:, step, None])[:, 0]
        walk.take(chains[:, step])
    return total.unflatten(0, (n_rows, -1)).logsumexp(1)


def _estimate(walk, labels, inference):
    """Importance sampling: orders are drawn from the model restricted to the set."""
    n_rows, size = labels.shape
    n_draws = inference.n_draws
    index = torch.arange(n_rows, device=labels.device)
    walk.keep(index.repeat_interleave(n_draws))
    labels = labels.repeat_interleave(n_draws, 0)
    total = 0.0
    for _ in range(size):
        log_proba = walk.log_proba()
        inside = log_proba.gather(1, labels)
        total = total + inside.double().logsumexp(1)
        noise = torch.empty_like(inside).exponential_(generator=inference.generator)
        # a label that is out must not be drawn, however impossible the others are
        keys = mask_out(inside, walk.taken.gather(1, labels)) - noise.log()
        walk.take(labels.gather(1, keys.argmax(1, keepdim=True))[:, 0])
    total = total + walk.log_proba()[:, -1].double()
    return total.unflatten(0, (n_rows, n_draws)).logsumexp(1) - math.log(n_draws)
