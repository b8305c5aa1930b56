"""Loops over the edges of a neighbour graph, compiled on first use."""

import numpy as np
from numba import njit


@njit(cache=True, nogil=True)
def find_reverse(neighbors):
    """Find for each edge i -> j the edge j -> i.

    Parameters
    ----------
    neighbors : ndarray of shape (n, k), dtype int64
        Neighbours of each node.

    Returns
    -------
    position : ndarray of shape (n, k), dtype int64
        Place of the edge back in the flattened graph; -1 if there is none.
    """
    n, k = neighbors.shape
    position = np.full((n, k), -1, np.int64)
    for i in range(n):
        for e in range(k):
            j = neighbors[i, e]
            for back in range(k):
                if neighbors[j, back] == i:
                    position[i, e] = j * k + back
                    break
    return position


@njit(cache=True, nogil=True)
def count_common(neighbors):
    """Count the neighbours that both ends of each edge have in common.

    Parameters
    ----------
    neighbors : ndarray of shape (n, k), dtype int64
        Neighbours of each node, which is counted among them itself.

    Returns
    -------
    common : ndarray of shape (n, k), dtype float32
    """
    n, k = neighbors.shape
    common = np.empty((n, k), np.float32)
    seen_by = np.full(n, -1, np.int32)
    for i in range(n):
        seen_by[i] = i
        for e in range(k):
            seen_by[neighbors[i, e]] = i
        for e in range(k):
            j = neighbors[i, e]
            count = 1  # j is a neighbour of i and of itself
            for place in range(k):
                count += seen_by[neighbors[j, place]] == i
            common[i, e] = count
    return common


@njit(cache=True, nogil=True)
def products_at(neighbors, reverse, starts, columns, values, weights):
    """Take products of the rows of a sparse matrix S, at the edges of a graph.

    Parameters
    ----------
    neighbors : ndarray of shape (n, k), dtype int64
        Neighbours of each node.

    reverse : ndarray of shape (n, k), dtype int64
        From `find_reverse`: products at an edge back are those at the edge.

    starts, columns, values : ndarray
        The matrix (n, n) in compressed rows; values of dtype float32.

    weights : ndarray of shape (n,), dtype float32
        Weight of each column.

    Returns
    -------
    products : ndarray of shape (n, k), dtype float32
        ``sum_m S[i, m] * S[j, m]`` for each edge i -> j.

    weighted : ndarray of shape (n, k), dtype float32
        ``sum_m weights[m] * S[i, m] * S[j, m]``.
    """
    n, k = neighbors.shape
    products = np.empty(n * k, np.float32)
    weighted = np.empty(n * k, np.float32)
    row = np.zeros(n, np.float32)
    for i in range(n):
        for place in range(starts[i], starts[i + 1]):
            row[columns[place]] = values[place]
        for e in range(k):
            j, back = neighbors[i, e], reverse[i, e]
            if back >= 0 and j < i:
                continue  # done
            total, weighted_total = np.float32(0), np.float32(0)
            for place in range(starts[j], starts[j + 1]):
                column = columns[place]
                if row[column] != 0:
                    product = values[place] * row[column]
                    total += product
                    weighted_total += product * weights[column]
            products[i * k + e], weighted[i * k + e] = total, weighted_total
            if back >= 0:
                products[back], weighted[back] = total, weighted_total
        for place in range(starts[i], starts[i + 1]):
            row[columns[place]] = 0
    return products.reshape(n, k), weighted.reshape(n, k)


# sums in any order: up to four times faster
@njit(cache=True, nogil=True, fastmath={"reassoc", "contract"})
def average_rows(starts, columns, values, X, own_weight):
    """Average the rows that a sparse matrix S names, and scale them to length one.

    Parameters
    ----------
    starts, columns, values : ndarray
        The matrix (n, n) in compressed rows; values of dtype float32.

    X : ndarray of shape (n, d), dtype float32
        Rows.

    own_weight : float32
        Weight of the row itself, that of the average being 1.

    Returns
    -------
    means : ndarray of shape (n, d), dtype float32
        Rows of zeros where there is nothing to average.
    """
    n, d = X.shape
    means = np.zeros((n, d), np.float32)
    for i in range(n):
        mean, total = means[i], np.float32(1e-12)
        for place in range(starts[i], starts[i + 1]):
            weight, row = values[place], X[columns[place]]
            total += weight
            for column in range(d):
                mean[column] += weight * row[column]
        square = np.float32(0)
        for column in range(d):
            mean[column] = mean[column] / total + own_weight * X[i, column]
            square += mean[column] * mean[column]
        if square > 0:
            mean /= np.sqrt(square)
    return means


@njit(cache=True, nogil=True, fastmath={"reassoc", "contract"})
def cosines_at(X, neighbors):
    """Scalar products of each row and those of its neighbours, (n, d) -> (n, k)."""
    n, k = neighbors.shape
    products = np.empty((n, k), np.float32)
    for i in range(n):
        for e in range(k):
            j = neighbors[i, e]
            total = np.float32(0)
            for column in range(X.shape[1]):
                total += X[i, column] * X[j, column]
            products[i, e] = total
    return products
