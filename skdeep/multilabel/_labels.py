"""Entry of label sets: any kind of indicator becomes one sparse matrix."""

from typing import NamedTuple

import numpy as np
import scipy.sparse as sp

from skdeep.utils._validation import encode_labels

_HINT = "y = MultiLabelBinarizer().fit_transform(label_sets)"
_SETS = (list, tuple, set, frozenset, np.ndarray)


class LabelSets(NamedTuple):
    """Checked targets.

    Parameters
    ----------
    Y : CSR matrix of shape (n_samples, n_labels), dtype int64
        1 where a label belongs to the set of a sample.

    classes : ndarray
        Classes of a 1-d target, else the column numbers.

    names : ndarray or None
        Column names of a frame.

    single : bool
        Whether the target was 1-d: one class for each sample.

    sparse : bool
        Whether the target was a sparse matrix.
    """

    Y: sp.csr_array
    classes: np.ndarray
    names: np.ndarray | None
    single: bool
    sparse: bool


def encode_label_sets(estimator, Y, known=None, *, may_be_empty=False):
    """Check a target and bring it into one form.

    Parameters
    ----------
    estimator : estimator
        Named in the errors.

    Y : array-like or sparse matrix of shape (n_samples, n_labels), or array-like of \
            shape (n_samples,)
        Indicator matrix of zeros and ones, or one class for each sample.

    known : array-like of shape (n_classes,) or None, default=None
        All classes of a 1-d target; None are those that it holds.

    may_be_empty : bool, default=False
        Whether an indicator matrix may do without any 1.

    Returns
    -------
    label_sets : LabelSets

    Raises
    ------
    ValueError
        If Y is not an indicator matrix, or has no 1 in it.
    """
    _refuse_collections(Y)
    sparse = sp.issparse(Y)
    names = names_of_columns(Y)
    shape = _shape(Y)
    if not sparse and (len(shape) < 2 or len(shape) == 2 and shape[1] == 1):
        classes, codes = encode_labels(estimator, Y)
        if known is not None:
            labels, classes = classes[codes], np.unique(known)
            strangers = np.setdiff1d(labels, classes)
            if len(strangers):
                raise ValueError(
                    f"y holds {strangers[:1].tolist()[0]!r}, which is not among the classes "
                    f"{classes[:10].tolist()}."
                )
            codes = np.searchsorted(classes, labels)
        ones = np.ones(len(codes), dtype=np.int64)
        shape = (len(codes), len(classes))
        matrix = sp.csr_array((ones, (np.arange(len(codes)), codes)), shape=shape)
        return LabelSets(matrix, classes, None, True, False)
    matrix = indicator_matrix(Y)
    if matrix.shape[1] == 0:
        raise ValueError("y has no label column; give one column for each label.")
    if matrix.nnz == 0 and matrix.shape[0] > 0 and not may_be_empty:
        raise ValueError(
            "There is no positive label in y: all entries are 0, so that nothing can be "
            "learned."
        )
    return LabelSets(matrix, np.arange(matrix.shape[1]), names, False, sparse)


def names_of_columns(Y):
    """Names of the labels, if `Y` is a frame; else None."""
    return np.asarray(Y.columns) if hasattr(Y, "columns") else None


def check_label_names(estimator, names):
    """Refuse columns that are not those of the fit, in the order of the fit.

    Parameters
    ----------
    estimator : estimator
        Fitted, with `label_names_` if its target was a frame.

    names : ndarray or None
        Names of the columns of another target, if it has any.
    """
    known = getattr(estimator, "label_names_", None)
    if names is None or known is None or list(names) == list(known):
        return
    strange = [name for name in names.tolist() if name not in known.tolist()]
    found = f"y has {strange[0]!r}" if strange else "y has them in another order"
    raise ValueError(
        "The columns of y must be those of the earlier fit, in the same order "
        f"({known[:10].tolist()}), but {found}. Pick them by name: "
        "y[list(estimator.label_names_)]."
    )


def _refuse_collections(Y):
    """Refuse label sets in a list or vector, even if they look like a matrix."""
    listed = isinstance(Y, (list, tuple))
    if not listed:
        vector = len(_shape(Y)) == 1 and not sp.issparse(Y)
        Y = np.asarray(Y) if vector else np.empty(0)
        if Y.dtype != object:
            return
    rows = [row for row in Y if isinstance(row, _SETS) and getattr(row, "ndim", 1)]
    if not rows:
        return
    ragged = len({len(row) for row in rows}) > 1 or len(rows) < len(Y)
    text = any(isinstance(item, str) for row in rows for item in row)
    unordered = any(isinstance(row, (set, frozenset)) for row in rows)
    if not listed or ragged or text or unordered:
        raise ValueError(
            "y is a list of label sets; turn it into an indicator matrix first: "
            f"{_HINT}."
        )


def _shape(Y):
    """Shape of a target; empty if it has none."""
    shape = getattr(Y, "shape", None)
    if shape is not None or Y is None:
        return shape or ()
    try:
        return np.asarray(Y).shape
    except ValueError:  # ragged
        return ()


def indicator_matrix(Y):
    """Sparse matrix of ones, from zeros and ones of any type and container.

    Parameters
    ----------
    Y : array-like or sparse matrix of shape (n_samples, n_labels)
        Zeros and ones.

    Returns
    -------
    matrix : CSR matrix of shape (n_samples, n_labels), dtype int64
        A copy, its indices sorted.
    """
    names = names_of_columns(Y)
    if sp.issparse(Y) and Y.ndim == 2:
        matrix = sp.csr_array(Y, copy=True)
        matrix.sum_duplicates()
        matrix.eliminate_zeros()
        _check_values(matrix.data, matrix.indices, names)
    else:
        values = _as_array(Y)
        rows, columns = np.nonzero(values)
        _check_values(values[rows, columns], columns, names)
        matrix = sp.csr_array(
            (np.ones(len(rows), dtype=np.int64), (rows, columns)), shape=values.shape
        )
    matrix.data = np.ones(matrix.nnz, dtype=np.int64)
    matrix.sort_indices()
    return matrix


def _as_array(Y):
    """Dense indicator matrix as an array of numbers or booleans."""
    if np.ma.is_masked(Y):
        raise ValueError(
            "Input y contains NaN: it is a masked array with masked entries, which are "
            "missing values."
        )
    _refuse_collections(Y)
    if len(_shape(Y)) != 2:
        raise ValueError(
            "y must be 0/1 in two dimensions, one column for each label; got an array "
            f"of shape {_shape(Y)}."
        )
    values = np.asarray(Y.detach() if hasattr(Y, "detach") else Y)
    if values.dtype == object:
        values = _plain_objects(values)
    if values.dtype.kind not in "biuf":
        raise ValueError(
            f"y must be 0/1 (got values of dtype {values.dtype}); give an indicator "
            f"matrix: {_HINT}."
        )
    return values


def _plain_objects(values):
    """Floats from an array of objects, none of them text."""
    try:
        text = [item for item in values.flat if isinstance(item, (str, bytes))]
        if text:
            raise ValueError(f"{text[0]!r} is text")
        return np.asarray(values.tolist(), dtype=np.float64)
    except (TypeError, ValueError) as error:
        raise ValueError(
            f"y must be 0/1 (got values that are not numbers: {error}); give an "
            f"indicator matrix: {_HINT}."
        ) from error


def _check_values(values, columns, names):
    """Refuse entries other than 0 and 1, naming one and its column."""
    if not len(values) or values.dtype.kind == "b":
        return
    if values.dtype.kind not in "iuf":
        raise ValueError(f"y must be 0/1 (got values of dtype {values.dtype}).")
    wrong = np.flatnonzero(values != 1)
    if len(wrong):
        column = int(columns[wrong[0]])
        column = column if names is None else names[column]
        raise ValueError(
            f"y must be 0/1 (got values such as {values[wrong[0]]} in column {column!r})"
            "; use one column per class, with 1 where the class applies: "
            f"{_HINT} makes such a matrix from label sets."
        )
