"""Plain versions of the pair metrics: every pair in a list, nothing clever."""

import numpy as np
from scipy.spatial.distance import cdist


def distances(embeddings, metric="euclidean", normalize=True):
    """Distance matrix in double precision; a zero row has cosine 0 with all rows."""
    X = np.asarray(embeddings, dtype=np.float64)
    if normalize or metric == "cosine":
        length = np.linalg.norm(X, axis=1, keepdims=True)
        zero = length[:, 0] == 0
        X = X / np.where(length > 0, length, 1)
        D = cdist(X, X)
        D[zero, :] = D[:, zero] = np.sqrt(2)
        return D**2 / 2 if metric == "cosine" else D
    return cdist(X, X)


def pair_lists(y, D):
    """Row i, row j, distance and same-class flag of all pairs i < j."""
    i, j = np.triu_indices(len(D), 1)
    y = np.asarray(y)
    return i, j, D[i, j], y[i] == y[j]


def far_range(y, D, far=(0.01, 0.1)):
    _, _, d, same = pair_lists(y, D)
    negative = np.sort(d[~same])
    rank = [max(1, int(np.ceil(a * len(negative) - 1e-9))) for a in far]
    return tuple(negative[np.array(rank) - 1])


def curves(y, D, thresholds, groups=None, slack=1e-12):
    """Names, sensitivity, specificity (T, K), far and frr (K,) by definition.

    A pair belongs to the groups of both ends, once if they are the same.
    """
    groups = np.asarray(y if groups is None else groups)
    i, j, d, same = pair_lists(y, D)
    accepted = d[:, None] <= np.asarray(thresholds) + slack
    names, psi, phi = [], [], []
    for name in np.unique(groups):
        mine = (groups[i] == name) | (groups[j] == name)
        if (mine & same).any() and (mine & ~same).any():
            names.append(name)
            psi.append(accepted[mine & same].mean(axis=0))
            phi.append(1 - accepted[mine & ~same].mean(axis=0))
    far, frr = accepted[~same].mean(axis=0), 1 - accepted[same].mean(axis=0)
    return np.array(names), np.array(psi), np.array(phi), far, frr


def average_precision_at_r(y, D):
    """AP@R of each row; ties in the order of the rows."""
    y = np.asarray(y)
    result = []
    for q in range(len(y)):
        others = [k for k in range(len(y)) if k != q]
        ranked = sorted(others, key=lambda k: (round(D[q, k], 9), k))
        n_matches = sum(y[k] == y[q] for k in others)
        hits, total = 0, 0.0
        for rank, k in enumerate(ranked[:n_matches], start=1):
            if y[k] == y[q]:
                hits += 1
                total += hits / rank
        result.append(total / n_matches if n_matches else 0.0)
    return np.array(result)


def recall_at_k(y, D, k):
    y = np.asarray(y)
    hit = []
    for q in range(len(y)):
        others = [i for i in range(len(y)) if i != q]
        ranked = sorted(others, key=lambda i: (round(D[q, i], 9), i))
        hit.append(any(y[i] == y[q] for i in ranked[:k]))
    return np.mean(hit)
