"""Largest inner products of many vectors with many others, tile by tile.

Tiles have one shape for every input: a product of two matrices rounds its entries
differently when the matrices are cut differently, and a result must depend neither on
the number of threads nor on the memory. From a tile only the entries that beat the best
ones of the earlier tiles are kept.
"""

from contextlib import nullcontext

import numpy as np
from joblib import Parallel, delayed, effective_n_jobs
from threadpoolctl import threadpool_limits

_TILE_ROWS = 128
_TILE_COLUMNS = 4096  # a float32 tile of 2 MiB stays in the cache


def largest_products(points, queries, own, n_candidates, n_jobs):
    """Find the points with the largest inner products with each query.

    Parameters
    ----------
    points : ndarray of shape (n_points, n_features), float32 or float64
        What is searched.

    queries : ndarray of shape (n_queries, n_features), same dtype
        What is searched for.

    own : ndarray of shape (n_queries,) or None
        For each query the point that it is itself, and that does not count.

    n_candidates : int
        Points to find, fewer than there are.

    n_jobs : int or None
        Threads.

    Returns
    -------
    ids : ndarray of shape (n_queries, n_candidates), dtype int64
        Points, largest product first; of equal products the lower index first.

    products : ndarray of shape (n_queries, n_candidates)
        Their inner products.

    Notes
    -----
    O(n_queries n_points n_features) time, about 16 MiB for each thread (32 in float64).
    """
    n_jobs = effective_n_jobs(n_jobs)
    starts = range(0, len(queries), _TILE_ROWS)
    one_thread_each = (
        threadpool_limits(1, user_api="blas") if n_jobs > 1 else nullcontext()
    )
    with one_thread_each:
        parts = Parallel(n_jobs, require="sharedmem")(
            delayed(_search_rows)(
                points,
                queries[start : start + _TILE_ROWS],
                None if own is None else own[start : start + _TILE_ROWS],
                n_candidates,
            )
            for start in starts
        )
    ids, scores = zip(*parts)
    return np.concatenate(ids), np.concatenate(scores)


def _search_rows(points, queries, own, n_candidates):
    """Search for at most `_TILE_ROWS` queries, one tile of points after the other."""
    n_rows, n_points = len(queries), len(points)
    n_tiles = -(-n_points // _TILE_COLUMNS)
    n_columns = -(-n_points // (64 * n_tiles)) * 64  # tiles of one size, little to pad
    queries = _padded(queries, _TILE_ROWS)
    tile = np.empty((_TILE_ROWS, n_columns), points.dtype)
    ids = np.full((n_rows, n_candidates), n_points)
    best = np.full((n_rows, n_candidates), -np.inf, points.dtype)
    for start in range(0, n_points, n_columns):
        block = points[start : start + n_columns]
        np.matmul(queries, _padded(block, n_columns).T, out=tile)
        scores = tile[:n_rows, : len(block)]
        if own is not None:
            inside = np.flatnonzero((own >= start) & (own < start + len(block)))
            scores[inside, own[inside] - start] = -np.inf
        ids, best = _keep_best(ids, best, scores, start)
    return ids, best


def _padded(rows, n_rows):
    """Add rows of zeros: products of one shape round alike wherever a row stands."""
    if len(rows) == n_rows:
        return rows
    result = np.zeros((n_rows, rows.shape[1]), rows.dtype)
    result[: len(rows)] = rows
    return result


def _keep_best(ids, best, scores, start):
    """Merge the scores of the points from `start` on into the best ones so far."""
    n_rows, n_candidates = ids.shape
    n_columns = scores.shape[1]
    keep = scores > best[:, -1:]  # a tie is won by the earlier, lower index
    if n_columns > n_candidates and np.count_nonzero(keep) > 4 * ids.size:
        cut = n_columns - n_candidates
        keep &= scores >= np.partition(scores, cut, axis=1)[:, cut, None]
    rows, columns = np.divmod(np.flatnonzero(keep), n_columns)
    if rows.size == 0:
        return ids, best
    counts = np.bincount(rows, minlength=n_rows)
    places = n_candidates + np.arange(rows.size)
    places -= np.repeat(np.cumsum(counts) - counts, counts)
    width = n_candidates + counts.max()
    all_scores = np.full((n_rows, width), -np.inf, scores.dtype)
    all_ids = np.full((n_rows, width), np.iinfo(np.int64).max)
    all_scores[:, :n_candidates], all_ids[:, :n_candidates] = best, ids
    all_scores[rows, places] = scores[rows, columns]
    all_ids[rows, places] = start + columns
    order = np.argsort(-all_scores, axis=1, kind="stable")[:, :n_candidates]
    best = np.take_along_axis(all_scores, order, 1)
    return np.take_along_axis(all_ids, order, 1), best
