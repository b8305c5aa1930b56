r"""Communities of a weighted graph: the Leiden algorithm for the constant Potts model.

A partition is worth

.. math::
    \sum_{C} \Big( \sum_{i < j \in C} w_{ij} - \gamma \binom{|C|}{2} \Big) ,

so that a node gains :math:`w(i, C) - \gamma |i| |C|` by joining the community C, where a
node that stands for several counts as many. The algorithm [1]_ moves nodes while
that gains, breaks communities into parts that hold together by themselves, and goes on
with the parts as nodes. Where it draws at random among the parts that a node may join, the
best one is taken here: the same graph always has the same communities.

References
----------
.. [1] Traag, Waltman, van Eck, "From Louvain to Leiden: guaranteeing well-connected
   communities", Scientific Reports 9, 2019, Algorithms A.1 and A.2.
"""

import numpy as np
from numba import njit


def leiden(starts, columns, weights, resolution):
    r"""Partition a graph.

    Parameters
    ----------
    starts : ndarray of shape (n + 1,)
        Where the edges of each node begin; see ``scipy.sparse.csr_array``.

    columns : ndarray of shape (n_edges,), dtype int32
        Other ends. Each edge is listed with both of its ends; a node has no edge to
        itself.

    weights : ndarray of shape (n_edges,), dtype float32
        Weights :math:`w_{ij}`, positive.

    resolution : float
        :math:`\gamma`.

    Returns
    -------
    labels : ndarray of shape (n,), dtype int32
        Communities 0, 1, ...; not in any order.

    Notes
    -----
    About O(n_edges) time, and memory for three copies of the graph.
    """
    graph, n = (starts, columns, weights), len(starts) - 1
    labels, sizes = np.arange(n, dtype=np.int32), np.ones(n, np.int32)
    place = np.arange(n, dtype=np.int32)  # of each node in the merged graph
    while True:
        move_nodes(*graph, sizes, labels, resolution)
        labels, n_communities = renumber(labels)
        if n_communities == len(labels):
            return labels[place]
        parts, n_parts = renumber(refine(*graph, sizes, labels, resolution))
        if n_parts == len(labels):  # nothing holds together: merge as moved
            parts, n_parts = labels, n_communities
        graph = merge(*graph, parts, n_parts)
        sizes = np.bincount(parts, sizes, n_parts).astype(np.int32)
        above = np.empty(n_parts, np.int32)
        above[parts] = labels
        labels, place = above, parts[place]


def renumber(labels):
    """Number communities from 0 on in the order of appearance of their names.

    Returns
    -------
    labels : ndarray of shape (n,), dtype int32
    n_communities : int
    """
    used = np.zeros(len(labels), np.int32)
    used[labels] = 1
    number = np.cumsum(used, dtype=np.int32) - 1
    return number[labels], int(number[-1]) + 1


@njit(cache=True, nogil=True)
def move_nodes(starts, columns, weights, sizes, labels, resolution):
    """Move nodes to the community where they gain most, until none gains.

    Parameters
    ----------
    starts, columns, weights, resolution
        See `leiden`.

    sizes : ndarray of shape (n,), dtype int32
        Original nodes that each node stands for.

    labels : ndarray of shape (n,), dtype int32
        Communities, numbers below n. Changed in place.
    """
    n = len(sizes)
    total = np.zeros(n, np.int64)  # size of each community
    members = np.zeros(n, np.int32)
    for i in range(n):
        total[labels[i]] += sizes[i]
        members[labels[i]] += 1
    empty = [np.int32(name) for name in range(n - 1, -1, -1) if members[name] == 0]
    to = np.zeros(n)  # weight from the present node to each community
    near = np.empty(n, np.int32)
    queue, waits = np.arange(n, dtype=np.int32), np.ones(n, np.bool_)
    first, n_waiting = 0, n
    while n_waiting:
        i = queue[first]
        first = (first + 1) % n
        n_waiting -= 1
        waits[i] = False
        own, size = labels[i], sizes[i]
        n_near = 0
        for place in range(starts[i], starts[i + 1]):
            label = labels[columns[place]]
            if to[label] == 0:
                near[n_near] = label
                n_near += 1
            to[label] += weights[place]
        total[own] -= size
        best, gain = own, to[own] - resolution * size * total[own]
        for label in near[:n_near]:
            other = to[label] - resolution * size * total[label]
            if other > gain + 1e-9:  # what rounding does is no gain
                best, gain = label, other
            to[label] = 0
        if gain < -1e-9:  # better alone; a node that is alone gains 0
            best = empty.pop()
        total[best] += size
        if best == own:
            continue
        members[own] -= 1
        members[best] += 1
        if members[own] == 0:
            empty.append(own)
        labels[i] = best
        for place in range(starts[i], starts[i + 1]):
            j = columns[place]
            if labels[j] != best and not waits[j]:
                waits[j] = True
                queue[(first + n_waiting) % n] = j
                n_waiting += 1


@njit(cache=True, nogil=True)
def refine(starts, columns, weights, sizes, labels, resolution):
    """Break communities into parts that hold together by themselves.

    Parameters are those of `move_nodes`.

    Returns
    -------
    parts : ndarray of shape (n,), dtype int32
        Parts, numbers below n.
    """
    n = len(sizes)
    total = np.zeros(n, np.int64)  # size of each community
    outward = np.zeros(n)  # weight from each part to the rest of its community
    for i in range(n):
        total[labels[i]] += sizes[i]
        for place in range(starts[i], starts[i + 1]):
            if labels[columns[place]] == labels[i]:
                outward[i] += weights[place]
    parts, part_size = np.arange(n, dtype=np.int32), sizes.astype(np.int64)
    alone = np.ones(n, np.bool_)
    to = np.zeros(n)
    near = np.empty(n, np.int32)
    for i in range(n):
        rest = total[labels[i]] - sizes[i]
        if not alone[i] or outward[i] < resolution * sizes[i] * rest:
            continue
        n_near = 0
        for place in range(starts[i], starts[i + 1]):
            j = columns[place]
            if labels[j] != labels[i]:
                continue
            part = parts[j]
            if to[part] == 0:
                near[n_near] = part
                n_near += 1
            to[part] += weights[place]
        best, gain = parts[i], 0.0
        for part in near[:n_near]:
            size = part_size[part]
            holds = outward[part] >= resolution * size * (total[labels[i]] - size)
            other = to[part] - resolution * sizes[i] * size
            if holds and other > gain:
                best, gain = part, other
        if best != i:
            outward[best] += outward[i] - 2 * to[best]
            part_size[best] += sizes[i]
            parts[i] = best
            alone[best] = False
        for part in near[:n_near]:
            to[part] = 0
    return parts


@njit(cache=True, nogil=True)
def merge(starts, columns, weights, parts, n_parts):
    """Graph over the parts: weights between them are summed up, those inside dropped.

    Parameters
    ----------
    starts, columns, weights
        See `leiden`.

    parts : ndarray of shape (n,), dtype int32
        Part of each node.

    n_parts : int
        Number of parts.

    Returns
    -------
    starts, columns, weights : ndarray
        The graph, as before.
    """
    n = len(parts)
    ends = np.zeros(n_parts + 1, np.int64)
    for i in range(n):
        ends[parts[i] + 1] += 1
    ends = np.cumsum(ends)
    members, free = np.empty(n, np.int32), ends.copy()
    for i in range(n):
        members[free[parts[i]]] = i
        free[parts[i]] += 1
    new_starts = np.zeros(n_parts + 1, np.int64)
    new_columns = np.empty(len(columns), np.int32)
    new_weights = np.empty(len(columns), np.float32)
    to = np.zeros(n_parts)
    n_edges = 0
    for part in range(n_parts):
        begin = n_edges
        for i in members[ends[part] : ends[part + 1]]:
            for place in range(starts[i], starts[i + 1]):
                other = parts[columns[place]]
                if other == part:
                    continue
                if to[other] == 0:
                    new_columns[n_edges] = other
                    n_edges += 1
                to[other] += weights[place]
        for place in range(begin, n_edges):
            new_weights[place] = to[new_columns[place]]
            to[new_columns[place]] = 0
        new_starts[part + 1] = n_edges
    return new_starts, new_columns[:n_edges].copy(), new_weights[:n_edges].copy()
