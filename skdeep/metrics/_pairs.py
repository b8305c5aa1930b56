"""All pairs of a set of embeddings, one cache-sized tile at a time.

Nothing here ever holds the n x n matrix. Rows are sorted by class, so that pairs of
one class lie near the diagonal, and the upper triangle is cut into square tiles. A
tile holds the *closeness* of its pairs: a dot product that falls as the distance
grows. Tiles are single precision, whose rounding error has a proven bound; pairs
that lie within that bound of a decision are looked at again in double precision.
The answer is that of double precision, at the speed of single precision.
"""

from dataclasses import dataclass

import numpy as np
from sklearn import get_config
from sklearn.utils import check_array, check_consistent_length, column_or_1d

from skdeep.utils._validation import plain_labels

METRICS = ("euclidean", "cosine")
ZERO_ROWS = ("raise", "ignore_direction")
BACKENDS = ("numpy", "torch")
DTYPES = ("auto", "float32", "float64")


def check_choice(name, value, allowed):
    """Refuse a string option that does not exist."""
    if value not in allowed:
        raise ValueError(f"`{name}` must be one of {allowed}; got {value!r}.")


def check_flag(name, value):
    """Refuse anything but True and False."""
    if not isinstance(value, (bool, np.bool_)):
        raise TypeError(f"`{name}` must be True or False; got {value!r}.")


def check_embeddings(embeddings, y, *, name="embeddings", y_name="y_true"):
    """Return finite float64 embeddings (n, d) and labels (n,) of the same length."""
    if y is None:
        raise ValueError(f"`{y_name}` is required: the class of each row of `{name}`.")
    if hasattr(embeddings, "detach"):  # a tensor, perhaps one with a gradient
        embeddings = embeddings.detach().cpu()
    X = check_array(
        embeddings, dtype=np.float64, ensure_min_features=1, input_name=name
    )
    y = plain_labels(column_or_1d(y), y_name)
    check_consistent_length(y, X)
    return X, y


def unit_rows(X, zero_rows, *, name="embeddings"):
    """Scale rows to length one; return them and which rows have no direction."""
    check_choice("zero_rows", zero_rows, ZERO_ROWS)
    # divide by the largest entry first: no overflow, no underflow
    largest = np.abs(X).max(axis=1, keepdims=True)
    is_zero = largest[:, 0] == 0
    if zero_rows == "raise" and is_zero.any():
        raise ValueError(
            f"{is_zero.sum()} of {len(X)} rows of `{name}` are zero and have no "
            "direction. Drop them, or use zero_rows='ignore_direction' to give them "
            "similarity 0 to every other row."
        )
    largest[is_zero] = 1
    X = X / largest
    length = np.linalg.norm(X, axis=1, keepdims=True)
    length[is_zero] = 1
    X /= length
    return X, is_zero


@dataclass(frozen=True)
class Tile:
    """Closeness of the pairs of rows [row, row + h) and rows [col, col + w)."""

    row: int
    col: int
    closeness: np.ndarray  # (h, w); -inf where a pair is left out
    same: np.ndarray | None  # (h, w) bool: pairs of one class; None if there are none


class Pairs:
    """Pairs of embeddings with labels: distances, bounds and tiles.

    Parameters
    ----------
    y_true : array-like of shape (n_samples,)
        Class of each row.

    embeddings : array-like of shape (n_samples, n_components)
        The rows.

    metric, normalize, zero_rows, dtype, block_size, backend
        As in :func:`skdeep.metrics.opis_score`.

    Attributes
    ----------
    rows : ndarray of shape (n_samples, n_components), dtype float64
        Rows sorted by class; unit length, or centred and divided by `scale`.

    order : ndarray of shape (n_samples,)
        Index of each sorted row in the input.

    code : ndarray of shape (n_samples,)
        Index into `classes` of each sorted row.

    tolerance : float
        Bound of the rounding error of a tile of `dtype`.

    slack : float
        Bound of the rounding error of a double precision closeness; two pairs whose
        closeness differs by less are tied.
    """

    def __init__(
        self,
        y_true,
        embeddings,
        *,
        metric="euclidean",
        normalize=True,
        zero_rows="raise",
        dtype="auto",
        block_size="auto",
        backend="numpy",
    ):
        check_choice("metric", metric, METRICS)
        check_choice("dtype", dtype, DTYPES)
        check_choice("backend", backend, BACKENDS)
        check_flag("normalize", normalize)
        X, y = check_embeddings(embeddings, y_true)
        self.metric = metric
        self.backend = backend
        self.is_unit = normalize or metric == "cosine"
        self.classes, code = np.unique(y, return_inverse=True)
        self.class_sizes = np.bincount(code)
        self.order = np.argsort(code, kind="stable")
        self.code = code[self.order]
        self.n_samples, n_features = X.shape
        if self.is_unit:
            X, is_zero = unit_rows(X, zero_rows)
            self.scale = 1.0
        else:
            X, self.scale = centred_rows(X)
            is_zero = np.zeros(len(X), dtype=bool)
        self.rows = X[self.order]
        # a zero row is at squared distance 2 from all rows: 1 more than its length says
        self.extra = is_zero[self.order].astype(np.float64)
        size = 1.0 if self.is_unit else 2.0  # bound of sum |l_k r_k|
        self.slack = 4 * size * (n_features + 4) * 2.0**-53
        if dtype == "auto":
            dtype = "float64" if self.n_samples < 2000 else "float32"
        self.dtype = np.dtype(dtype)
        self.tolerance = (
            size * (n_features + 4) * 2.0**-24 if dtype == "float32" else self.slack
        )
        self.block_size = _tile_side(block_size)
        self._factors = {}

    @property
    def n_positives(self):
        """Number of pairs of one class."""
        sizes = self.class_sizes.astype(object)  # no overflow in the sum
        return int((sizes * (sizes - 1) // 2).sum())

    @property
    def n_negatives(self):
        """Number of pairs of two classes."""
        return self.n_samples * (self.n_samples - 1) // 2 - self.n_positives

    def bound(self, threshold):
        """Smallest closeness of a pair whose distance is at most `threshold`."""
        threshold = np.asarray(threshold, dtype=np.float64)
        t = threshold / self.scale
        if self.metric == "cosine":
            bound = 1 - t
        else:
            bound = (1.0 if self.is_unit else 0.0) - t**2 / 2
        return np.where(threshold < 0, np.inf, bound)

    def just_below(self, distance):
        """Return a threshold that refuses a pair at `distance`, but little more."""
        closeness = self.bound(distance) + 4 * self.slack
        squared = (2.0 if self.is_unit else 0.0) - 2 * closeness
        if squared <= 0:
            return float(np.nextafter(0, -1))
        return float(self._from_squared(squared))

    def distance(self, i, j):
        """Distance of sorted rows `i` and `j`, from their difference.

        Unlike the dot product this is exact for equal rows, and does not depend on
        how the pairs are cut into tiles.
        """
        squared = np.empty(len(i))
        for part in _batches(len(i), self.rows.shape[1]):
            step = self.rows[i[part]] - self.rows[j[part]]
            squared[part] = np.einsum("ij,ij->i", step, step)
        return self._from_squared(squared + self.extra[i] + self.extra[j])

    def _from_squared(self, squared):
        if self.metric == "cosine":
            return squared / 2
        return self.scale * np.sqrt(squared)

    def closeness(self, i, j):
        """Double precision closeness of sorted rows `i` and `j`."""
        left, right = self._factor("float64")
        value = np.empty(len(i))
        for part in _batches(len(i), left.shape[1]):
            value[part] = np.einsum("ij,ij->i", left[i[part]], right[j[part]])
        return value

    def exact(self, tile, flat):
        """Double precision closeness of the entries `flat` of a tile."""
        if tile.closeness.dtype == np.float64:
            return tile.closeness.ravel()[flat]
        height, width = tile.closeness.shape
        if 64 * len(flat) > height * width:  # one product is cheaper than many pairs
            left, right = self._factor("float64")
            rows = slice(tile.row, tile.row + height)
            cols = slice(tile.col, tile.col + width)
            return (left[rows] @ right[cols].T).ravel()[flat]
        row = flat // width
        return self.closeness(tile.row + row, tile.col + flat - row * width)

    def tiles(self, *, only_positive=False, dtype=None):
        """Yield the pairs i < j in tiles. A tile is overwritten by the next one."""
        step = self.block_size
        dtype = self.dtype if dtype is None else np.dtype(dtype)
        left, right = self._factor(dtype.name)
        buffer = np.empty(step * step, dtype=dtype)
        lower = np.tri(min(step, self.n_samples), dtype=bool)
        for row in range(0, self.n_samples, step):
            rows = slice(row, min(row + step, self.n_samples))
            for col in range(row, self.n_samples, step):
                cols = slice(col, min(col + step, self.n_samples))
                same = None
                if row == col or self.code[rows.stop - 1] == self.code[col]:
                    same = np.equal.outer(self.code[rows], self.code[cols])
                elif only_positive:
                    break  # rows are sorted: no later column has a class of these rows
                closeness = self._product(left[rows], right[cols], buffer)
                if row == col:
                    size = len(closeness)
                    np.copyto(closeness, -np.inf, where=lower[:size, :size])
                yield Tile(row, col, closeness, same)

    def _product(self, left, right, buffer):
        # (h, d), (w, d) -> (h, w)
        if self.backend == "torch":
            import torch

            return torch.mm(torch.from_numpy(left), torch.from_numpy(right).T).numpy()
        out = buffer[: len(left) * len(right)].reshape(len(left), len(right))
        return np.matmul(left, right.T, out=out)

    def _factor(self, dtype):
        """Left and right factor (n, d) of the closeness, sorted by class."""
        if dtype not in self._factors:
            left, right = product_factors(self.rows, self.is_unit)
            left = left.astype(dtype, copy=False)
            right = left if self.is_unit else right.astype(dtype, copy=False)
            self._factors[dtype] = left, right
        return self._factors[dtype]


def product_factors(rows, is_unit):
    """Left and right factor of the closeness, (n, d) -> (n, d or d + 2) twice."""
    if is_unit:
        return rows, rows
    # a.b - |a|^2 / 2 - |b|^2 / 2 = -|a - b|^2 / 2 as one product
    half = np.einsum("ij,ij->i", rows, rows)[:, None] / -2
    one = np.ones_like(half)
    return np.hstack([rows, half, one]), np.hstack([rows, one, half])


def centred_rows(X):
    """Rows about their mean, the longest of length one; and the length of 1."""
    # distances do not change, and small numbers leave more digits to the product
    scale = np.abs(X).max() or 1.0
    X = X / scale
    X -= X.mean(axis=0)
    longest = np.linalg.norm(X, axis=1).max()
    if longest == 0:
        return X, 1.0
    return X / longest, float(scale * longest)


def _tile_side(block_size):
    if isinstance(block_size, str) and block_size == "auto":
        # 64 bytes an entry is the worst case: every pair of a tile is a match
        memory = get_config()["working_memory"] * 2**20
        return int(min(512, max(16, (memory / 64) ** 0.5)))
    if isinstance(block_size, bool) or not isinstance(block_size, (int, np.integer)):
        raise TypeError(f"`block_size` must be 'auto' or an int; got {block_size!r}.")
    if block_size < 1:
        raise ValueError(f"`block_size` must be at least 1; got {block_size}.")
    return int(block_size)


def _batches(n, width):
    # about 8 MiB of double precision rows at a time
    step = max(1, 2**20 // width)
    for start in range(0, n, step):
        yield slice(start, min(start + step, n))
