"""From what the chains say to scores and to sets."""

import numpy as np
import torch


def position_scores(path):
    """Score 1 / (1 + t) for the label taken at step t, 0 for others."""
    # Path -> (B, L)
    steps = torch.arange(path.labels.shape[1]).to(path.scores)
    values = (1 / (1 + steps)).expand(path.labels.shape)
    return torch.zeros_like(path.scores).scatter(1, path.labels, values)


def sets_of_chains(symbols, n_labels):
    """Labels of chains: (..., T) -> bool (..., L)."""
    shape = (*symbols.shape[:-1], n_labels + 1)
    flags = torch.zeros(shape, dtype=torch.bool, device=symbols.device)
    return flags.scatter(-1, symbols, True)[..., :n_labels]


def vote(sets, log_proba):
    """The set that most members found; ties go to the member that is most certain.

    Parameters
    ----------
    sets : tensor of shape (M, B, L), dtype bool
        Set of each member.

    log_proba : tensor of shape (M, B)
        Log-probability of its chain.

    Returns
    -------
    chosen : tensor of shape (B, L), dtype bool
    """
    votes = (sets[:, None] == sets[None]).all(-1).sum(1)
    best = (votes + 0.5 * log_proba.exp()).argmax(0)
    return sets[best, torch.arange(len(best), device=best.device)]


def likeliest_sets(symbols, weights, n_labels):
    """The set with the largest weight over all its orders.

    Parameters
    ----------
    symbols : tensor of shape (B, N, T), dtype int64
        Chains.

    weights : tensor of shape (B, N)
        Share of each.

    n_labels : int
        L.

    Returns
    -------
    chosen : tensor of shape (B, L), dtype bool
    """
    canonical = symbols.sort(-1).values
    same = (canonical[:, :, None] == canonical[:, None]).all(-1)
    total = (same * weights[:, None]).sum(-1)
    best = total.argmax(1)
    rows = torch.arange(len(best), device=best.device)
    return sets_of_chains(symbols[rows, best], n_labels)


def cheapest_chains(symbols, values, n_labels):
    """The set of the chain with the greatest value per symbol, the stop included.

    Parameters
    ----------
    symbols : tensor of shape (B, N, T), dtype int64
        Chains; L from the stop on.

    values : tensor of shape (B, N)
        Log-probability of each, or what stands for it.

    n_labels : int
        L.

    Returns
    -------
    chosen : tensor of shape (B, L), dtype bool

    References
    ----------
    .. [1] Nam et al., "Maximizing subset accuracy with recurrent neural networks in
       multi-label classification", NeurIPS 2017: its published code.
    """
    n_symbols = (symbols < n_labels).sum(-1) + 1
    best = (values / n_symbols).argmax(1)
    rows = torch.arange(len(best), device=best.device)
    return sets_of_chains(symbols[rows, best], n_labels)


def best_f1_sets(symbols, weights, n_labels, least=0):
    """The sets with the greatest expected F1 score under a sample of weighted sets.

    Parameters
    ----------
    symbols : tensor of shape (B, N, T), dtype int64
        Chains; L from the stop on.

    weights : tensor of shape (B, N)
        Share of each.

    n_labels : int
        L.

    least : int, default=0
        Least size of a set; no chain is shorter.

    Returns
    -------
    chosen : tensor of shape (B, L), dtype bool

    Notes
    -----
    For a fixed size k the best set are the k labels with the largest sum of
    ``w_S * 2 / (k + |S|)`` over the sets S that hold them [1]_. O(B K (N T + L)) for
    sizes up to K.

    References
    ----------
    .. [1] Jansche, "A maximum expected utility framework for binary sequence
       labeling", ACL 2007.
    """
    sizes = (symbols < n_labels).sum(-1)
    flat = symbols.flatten(1)
    value = (weights * (sizes == 0)).sum(1)
    chosen = torch.zeros(len(symbols), n_labels, dtype=torch.bool, device=flat.device)
    for size in range(max(least, 1), int(sizes.max()) + 1):
        share = (weights * 2 / (size + sizes))[..., None].expand(symbols.shape)
        gain = weights.new_zeros(len(symbols), n_labels + 1)
        gain = gain.scatter_add(1, flat, share.flatten(1))[:, :n_labels]
        top = gain.topk(size)
        better = top.values.sum(1) > value
        value = torch.where(better, top.values.sum(1), value)
        marks = torch.zeros_like(chosen).scatter(1, top.indices, True)
        chosen = torch.where(better[:, None], marks, chosen)
    return chosen


def tune_threshold(Y, scores, metric):
    """The cut of the scores at which a measure of the sets is best.

    Parameters
    ----------
    Y : ndarray of shape (n_samples, n_labels), dtype bool
        True sets.

    scores : ndarray of shape (n_samples, n_labels)
        Scores in [0, 1].

    metric : callable
        ``metric(Y, Y_pred) -> float``, greater is better.

    Returns
    -------
    threshold : float
        On a grid of hundredths.
    """
    grid = np.arange(1, 100) / 100
    values = [metric(Y, scores > cut) for cut in grid]
    best = np.flatnonzero(np.asarray(values) == max(values))
    return float(grid[best[len(best) // 2]])
