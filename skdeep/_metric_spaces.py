"""Metrics as inner products, for a search by matrix products.

A space holds the rows to search in and the rows searched for. Its `vectors` are such
that a larger inner product means a closer pair:

    cosine:     <x, y> / (|x| |y|)
    euclidean:  <x, y> - |y|^2 / 2  =  (|x|^2 - |x - y|^2) / 2
"""

import numpy as np

_SLICE_VALUES = 2**18  # float64 values handled at a time: 2 MiB


class CosineSpace:
    """Rows compared by the angle between them."""

    descending = True

    def __init__(self, X, queries):
        self.X, self.queries = X, queries
        self.X_factors = _inverse_lengths(X)
        self.query_factors = (
            self.X_factors if queries is X else _inverse_lengths(queries)
        )

    def vectors(self, dtype):
        """Points and queries whose inner products are the scores."""
        points = _scaled(self.X, self.X_factors, dtype)
        if self.queries is self.X:
            return points, points
        return points, _scaled(self.queries, self.query_factors, dtype)

    def positions(self, vectors):
        """Points whose straight distances have the order of this metric."""
        return vectors

    def needs_exact(self):
        """Queries that have no position: rows of zeros are equally near to all."""
        return self.query_factors == 0

    def score_errors(self, queries, kth_scores):
        """Bound on the rounding error of a float32 score, for each query."""
        return np.full(len(queries), (queries.shape[1] + 8) * 2.0**-23)

    def pair_values(self, rows, columns):
        """Exact similarities of the queries `rows` to the points `columns`."""
        queries = self.queries[rows] * self.query_factors[rows, None]  # (R, D)
        points = self.X[columns] * self.X_factors[columns][..., None]  # (R, C, D)
        return np.clip(np.einsum("rd,rcd->rc", queries, points), -1, 1) + 0.0  # no -0.0

    def self_values(self):
        """Similarity of each row of `X` to itself."""
        return (self.X_factors > 0).astype(np.float32)


class EuclideanSpace:
    """Rows compared by their straight distance.

    The data are centred and divided by one number. This changes no order of distances,
    keeps the squares in the range of float32 and makes them small where the bulk of
    the data lies; the median is the centre because outliers do not move it.
    """

    descending = False

    def __init__(self, X, queries):
        self.X, self.queries = X, queries
        with np.errstate(over="ignore", invalid="ignore"):
            some = X[:: max(1, len(X) // 1000)].astype(float)
            self.center = np.median(some, axis=0)
            self.scale = max(self._spread(X), self._spread(queries)) or 1.0
        if not self.scale * X.shape[1] ** 0.5 < float(np.finfo(np.float32).max) / 4:
            raise ValueError(
                "X or `queries` holds values too large for Euclidean distances in "
                f"float32 (spread {self.scale:.3g}); scale the data first."
            )

    def _spread(self, X):
        return float(
            max(
                (X.max(axis=0) - self.center).max(), (self.center - X.min(axis=0)).max()
            )
        )

    def vectors(self, dtype):
        """Points and queries whose inner products are the scores.

        One more column carries -|y|^2 / 2 on the side of the points and 1 on the side
        of the queries.
        """
        queries = self._centered(self.queries, dtype)
        queries[:, -1] = 1
        return self._centered(self.X, dtype), queries

    def _centered(self, X, dtype):
        result = np.empty((len(X), X.shape[1] + 1), dtype)
        for rows in slices(*X.shape):
            centered = (X[rows] - self.center) / self.scale
            result[rows, :-1] = centered
            result[rows, -1] = -0.5 * np.einsum("nd,nd->n", centered, centered)
        return result

    def positions(self, vectors):
        """Points whose straight distances have the order of this metric."""
        return np.ascontiguousarray(vectors[:, :-1])

    def needs_exact(self):
        """Queries that have no position."""
        return np.zeros(len(self.queries), bool)

    def score_errors(self, queries, kth_scores):
        """Bound on the rounding error of a float32 score, for each query.

        Only points at most as far as the k-th neighbour matter; they are no longer
        than the query and that distance together.
        """
        n_features = queries.shape[1] - 1
        positions = queries[:, :-1].astype(np.float64)
        lengths = np.sqrt(np.einsum("nd,nd->n", positions, positions))
        reach = np.sqrt(np.maximum(lengths**2 - 2 * kth_scores, 0))
        longest = lengths + reach
        error = (n_features + 8) * 2.0**-23 * (lengths * longest + longest**2 / 2)
        return error + n_features * 2.0**-125  # where squares vanish in float32

    def pair_values(self, rows, columns):
        """Exact distances of the queries `rows` to the points `columns`."""
        queries = self.queries[rows].astype(np.float64)
        differences = (queries[:, None] - self.X[columns]) / self.scale  # (R, C, D)
        return self.scale * np.sqrt(np.einsum("rcd,rcd->rc", differences, differences))

    def self_values(self):
        """Distance of each row of `X` from itself."""
        return np.zeros(len(self.X), np.float32)


def _inverse_lengths(X):
    """One over the length of each row in float64; 0 for a row of zeros."""
    largest = np.abs(X).max(axis=1).astype(np.float64)
    is_zero = largest < 1e-300  # one over such a length is beyond float64
    largest[is_zero] = 1
    lengths = np.empty(len(X))
    for rows in slices(*X.shape):
        scaled = X[rows] / largest[rows, None]  # no overflow in the squares
        lengths[rows] = np.sqrt(np.einsum("nd,nd->n", scaled, scaled))
    lengths[is_zero] = 1
    factors = 1 / lengths / largest
    factors[is_zero] = 0
    return factors


def _scaled(X, factors, dtype):
    result = np.empty(X.shape, dtype)
    for rows in slices(*X.shape):
        result[rows] = X[rows] * factors[rows, None]
    return result


def slices(n_rows, n_values_each):
    """Slices over `n_rows` rows that hold about `_SLICE_VALUES` values each."""
    step = max(1, _SLICE_VALUES // max(1, n_values_each))
    return [slice(start, start + step) for start in range(0, n_rows, step)]
