"""The labels of each row, and the best labels of each row by their scores.

Scores at k need no more than these two: which labels a row has, kept as sorted keys
``row * n_labels + label``, and which k labels its scores put first, kept as an array
(n_samples, k). Neither needs an array of the size (n_samples, n_labels).
"""

import numpy as np
import scipy.sparse as sp
from sklearn import get_config

NO_LABEL = -1


class LabelSets:
    """True labels of each row.

    Parameters
    ----------
    indicator : CSR array of shape (n_samples, n_labels)
        Its stored entries are the labels; each row in ascending order.
    """

    def __init__(self, indicator):
        self.n_rows, self.n_labels = indicator.shape
        self.indptr = indicator.indptr.astype(np.int64)
        self.labels = indicator.indices.astype(np.int64)
        self.n_true = np.diff(self.indptr)  # (n_samples,)
        row = np.repeat(np.arange(self.n_rows), self.n_true)
        self.keys = row * self.n_labels + self.labels

    def contain(self, labels):
        """Whether each row has the labels named, (n_samples, m) -> (n_samples, m)."""
        if not len(self.keys):
            return np.zeros(labels.shape, dtype=bool)
        wanted = np.arange(self.n_rows)[:, None] * self.n_labels + labels
        place = np.searchsorted(self.keys, wanted).clip(max=len(self.keys) - 1)
        return (self.keys[place] == wanted) & (labels != NO_LABEL)

    def best(self, value, k):
        """True labels of highest value, (n_labels,) -> (n_samples, k)."""
        return _first_k(self.indptr, self.labels, value[self.labels], k)


def check_label_sets(indicator, name="y_true"):
    """Return the LabelSets of a 0/1 indicator matrix, dense or sparse."""
    if sp.issparse(indicator):
        stored = sp.csr_array(indicator, copy=True)
        stored.sum_duplicates()
        _check_binary(stored.data, stored.indices, name)
        stored.eliminate_zeros()
    else:
        dense = _as_numbers(indicator, name)
        _check_binary(dense, np.arange(dense.shape[1]), name)
        stored = sp.csr_array(dense != 0)
    if 0 in stored.shape:
        raise ValueError(
            f"`{name}` is empty: its shape is {stored.shape}. Give at least one row and "
            "one label."
        )
    return LabelSets(stored)


def _as_numbers(indicator, name):
    """Return a 2-d array of numbers; explain what label sets have to look like."""
    try:
        dense = np.asarray(indicator)
        if dense.dtype.kind not in "biuf":
            dense = dense.astype(np.float64)
    except (TypeError, ValueError):
        dense = None
    if dense is None or dense.ndim != 2:
        kind = type(indicator).__name__
        got = f"a {kind} that is no matrix of numbers"
        if dense is not None:
            got = f"a {kind} with {dense.ndim} dimension(s)"
        raise ValueError(
            f"`{name}` must be a 0/1 matrix with one column per label; got {got}. Turn "
            "lists of labels into one with MultiLabelBinarizer().fit_transform(labels)."
        )
    return dense


def _check_binary(values, columns, name):
    wrong = (values != 0) & (values != 1)  # NaN is neither
    if wrong.any():
        first = tuple(np.argwhere(wrong)[0])
        raise ValueError(
            f"`{name}` holds {values[first]} in column {columns[first[-1]]}; give a 0/1 "
            "matrix with one column per label."
        )


def best_labels(y_score, n_rows, n_labels, k):
    """Best k labels of each row, best first.

    Parameters
    ----------
    y_score : array-like or sparse of shape (n_samples, n_labels), or pair of arrays
        As in `precision_at_k_score`.

    n_rows, n_labels : int
        Shape of the true labels.

    k : int
        Number of places.

    Returns
    -------
    labels : ndarray of shape (n_samples, min(k, n_labels))
        NO_LABEL in places that the scores leave empty.
    """
    k = min(k, n_labels)
    if sp.issparse(y_score):
        stored = sp.csr_array(y_score, copy=True)
        stored.sum_duplicates()
        _check_shape(stored.shape, (n_rows, n_labels))
        _check_no_nan(stored.data)
        return _first_k(stored.indptr, stored.indices, stored.data, k)
    if _is_pair(y_score):
        labels, scores = (np.asarray(part) for part in y_score)
        _check_pair(labels, scores, n_rows, n_labels, k)
        return _ranked(labels, scores)[:, :k]
    scores = np.asarray(y_score)
    _check_shape(scores.shape, (n_rows, n_labels))
    if scores.dtype.kind != "f":
        scores = scores.astype(np.float64)
    best = np.empty((n_rows, k), dtype=np.int64)
    size = int(max(1, get_config()["working_memory"] / 16 * 2**20 // (8 * n_labels)))
    for start in range(0, n_rows, size):
        rows = slice(start, start + size)
        _check_no_nan(scores[rows])
        best[rows] = _best_of_all(scores[rows], k)
    return best


def _best_of_all(scores, k):
    """Best k columns by a partial sort, (h, n_labels) -> (h, k)."""
    cut = scores.shape[1] - k
    labels = np.argpartition(scores, cut, axis=1)[:, cut:]
    last = np.take_along_axis(scores, labels[:, :1], axis=1)  # the k-th best
    is_tied = np.count_nonzero(scores >= last, axis=1) > k
    if is_tied.any():
        labels[is_tied] = _first_of_tied(scores[is_tied], last[is_tied], k)
    return _ranked(labels, np.take_along_axis(scores, labels, axis=1))


def _first_of_tied(scores, last, k):
    """Columns above the k-th best value, filled up with the first ones equal to it."""
    is_above, is_equal = scores > last, scores == last
    n_free = k - np.count_nonzero(is_above, axis=1, keepdims=True)
    is_taken = is_above | (is_equal & (np.cumsum(is_equal, axis=1) <= n_free))
    return np.nonzero(is_taken)[1].reshape(-1, k)


def _ranked(labels, scores):
    """Labels by descending score, equal scores by ascending label; both (h, m)."""
    order = np.argsort(labels, axis=1)
    labels = np.take_along_axis(labels, order, axis=1)
    scores = np.take_along_axis(scores, order, axis=1)
    order = np.argsort(-scores, axis=1, kind="stable")
    return np.take_along_axis(labels, order, axis=1)


def _first_k(indptr, labels, value, k):
    """Best k stored labels of each row of a CSR layout -> (n_samples, k)."""
    n_stored = np.diff(indptr)
    row = np.repeat(np.arange(len(n_stored)), n_stored)
    order = np.lexsort((labels, -value.astype(np.float64, copy=False), row))
    place = np.arange(len(row)) - np.repeat(indptr[:-1], n_stored)
    is_kept = place < k
    best = np.full((len(n_stored), k), NO_LABEL, dtype=np.int64)
    best[row[is_kept], place[is_kept]] = labels[order[is_kept]]
    return best


def _is_pair(y_score):
    # a tuple of two rows of scores is a dense matrix; a pair holds two matrices
    return (
        isinstance(y_score, tuple)
        and len(y_score) == 2
        and all(np.ndim(part) == 2 for part in y_score)
    )


def _check_pair(labels, scores, n_rows, n_labels, k):
    if labels.shape != scores.shape or len(labels) != n_rows:
        raise ValueError(
            f"`y_score` is a pair (indices, scores) of shapes {labels.shape} and "
            f"{scores.shape}; both must have the same shape with {n_rows} rows, as "
            "`y_true` has."
        )
    if labels.dtype.kind not in "iu":
        raise TypeError(
            f"The indices of the pair `y_score` have dtype {labels.dtype}; they must be "
            "integers. The order is (indices, scores)."
        )
    if labels.shape[1] < k:
        raise ValueError(
            f"`y_score` holds the best {labels.shape[1]} labels of a row, but k={k} asks "
            f"for more; call predict_top_k(X, k={k})."
        )
    if labels.min() < 0 or labels.max() >= n_labels:
        raise ValueError(
            f"`y_score` names labels {labels.min()} to {labels.max()}, but `y_true` has "
            f"the columns 0 to {n_labels - 1}."
        )
    ascending = np.sort(labels, axis=1)
    if (ascending[:, 1:] == ascending[:, :-1]).any():
        raise ValueError(
            "`y_score` names a label twice in one row; each may be there once."
        )
    _check_no_nan(scores)


def _check_shape(found, expected):
    if found != expected:
        raise ValueError(
            f"`y_score` has shape {found}, but `y_true` has {expected}; give one score "
            "per row and label, or the pair (indices, scores) of `predict_top_k`."
        )


def _check_no_nan(scores):
    if np.isnan(scores).any():
        raise ValueError(
            "`y_score` holds NaN, which has no place in a ranking. Replace it, for "
            "instance with -inf to rank it last."
        )
