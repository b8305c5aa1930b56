"""Graphs of nearest neighbours over the rows of each task, and spreading on them."""

import torch

_ENTRIES_AT_ONCE = 2**24
_DENSE_ROWS = 512


def nearest_neighbours(rows, real, n_neighbors):
    """Find the rows with the largest inner products with each row.

    Parameters
    ----------
    rows : Tensor of shape (B, m, d)
        Rows of B tasks.

    real : bool Tensor of shape (B, m)
        Rows that may be a neighbour.

    n_neighbors : int
        Neighbours of a row; less if a task is too small.

    Returns
    -------
    ids : Tensor of shape (B, m, k), dtype int64
        Neighbours, not ordered.

    similarity : Tensor of shape (B, m, k)
        Their inner products; -inf where a row has fewer than k neighbours.

    Notes
    -----
    O(m^2 d) time a task. Rows are compared block by block: O(m k) memory.
    """
    n_tasks, n_rows, _ = rows.shape
    k = min(n_neighbors, n_rows - 1)
    size = max(1, _ENTRIES_AT_ONCE // (n_tasks * n_rows))
    ids = torch.empty(n_tasks, n_rows, k, dtype=torch.int64, device=rows.device)
    best = rows.new_empty(n_tasks, n_rows, k)
    absent = ~real[:, None]  # (B, 1, m)
    for start in range(0, n_rows, size):
        block = slice(start, min(start + size, n_rows))
        similarity = rows[:, block] @ rows.mT  # (B, size, m)
        similarity.masked_fill_(absent, -torch.inf)
        similarity.diagonal(start, 1, 2).fill_(-torch.inf)
        top = similarity.topk(k, dim=2, sorted=False)
        best[:, block], ids[:, block] = top
    return ids, best


def similarity_graph(rows, weight, n_neighbors, exponent):
    r"""Return the normalised graph :math:`D^{-1/2} (N + N^\top) D^{-1/2}`.

    :math:`N` holds the similarities of each row to its neighbours, negative ones as 0,
    to the power of `exponent`, times the weights of both rows.

    Parameters
    ----------
    rows : Tensor of shape (B, m, d)
        Rows of B tasks.

    weight : Tensor of shape (B, m)
        What each row counts; a row with weight 0 has no edge.

    n_neighbors : int
        Neighbours of a row.

    exponent : float
        Power of the similarities.

    Returns
    -------
    graph : Tensor of shape (B, m, m), or sparse Tensor of shape (B * m, B * m)
        Dense for small tasks, which is ten times faster; sparse for others.

    Notes
    -----
    O(m^2 d) time and O(m k) memory a task.
    """
    n_tasks, n_rows, _ = rows.shape
    ids, similarity = nearest_neighbours(rows, weight > 0, n_neighbors)
    ids, far = ids.flatten(1), weight[:, :, None]  # (B, m * k)
    value = similarity.clamp(min=0) ** exponent * far
    value = value.flatten(1) * weight.gather(1, ids)
    degree = value.unflatten(1, (n_rows, -1)).sum(dim=2).scatter_add(1, ids, value)
    root = torch.where(degree > 0, degree.rsqrt(), 0)  # (B, m)
    value = value.unflatten(1, (n_rows, -1)) * root[:, :, None]
    value = value * root.gather(1, ids).unflatten(1, (n_rows, -1))  # (B, m, k)
    ids = ids.unflatten(1, (n_rows, -1))
    if n_rows <= _DENSE_ROWS:
        graph = value.new_zeros(n_tasks, n_rows, n_rows).scatter_(2, ids, value)
        return graph + graph.mT
    first = torch.arange(n_tasks, device=ids.device)[:, None, None] * n_rows
    own = first + torch.arange(n_rows, device=ids.device)[:, None]
    pairs = torch.stack([own.expand_as(ids), ids + first]).flatten(1)  # (2, B * m * k)
    value, size = value.flatten(), n_tasks * n_rows
    return torch.sparse_coo_tensor(
        torch.cat([pairs, pairs.flip(0)], dim=1),
        torch.cat([value, value]),
        (size, size),
        check_invariants=False,
    ).coalesce()


def spread_labels(graph, seeds, damping, n_rounds):
    r"""Solve :math:`(I - \alpha S) f = y` on the graph :math:`S` for each class.

    Parameters
    ----------
    graph : Tensor
        As `similarity_graph` gives it, with eigenvalues in [-1, 1].

    seeds : Tensor of shape (B, C, m)
        The :math:`y`.

    damping : float
        The :math:`\alpha`, at least 0 and less than 1.

    n_rounds : int
        Rounds of Chebyshev's semi-iteration. Each makes the error smaller by
        :math:`\alpha / (1 + \sqrt{1 - \alpha^2})`, a half for 0.8.

    Returns
    -------
    reached : Tensor of shape (B, C, m)
        The :math:`f`, not negative.

    Notes
    -----
    O(n_rounds m k C) time a task; with m instead of k on a dense graph.
    """
    before, reached, factor = torch.zeros_like(seeds), seeds, 2.0
    for _ in range(n_rounds):
        factor = 1 / (1 - damping**2 * factor / 4)
        target = damping * _neighbour_sums(graph, reached) + seeds
        before, reached = reached, torch.lerp(before, target, factor)
    return reached.clamp(min=0)


def _neighbour_sums(graph, values):
    """Return, for values (B, C, m), the sums over the neighbours, weighted by the edges."""
    if not graph.is_sparse:
        return values @ graph
    n_tasks, n_classes, n_rows = values.shape
    sums = graph @ values.mT.reshape(-1, n_classes)  # (B * m, C)
    return sums.reshape(n_tasks, n_rows, n_classes).mT
