"""How many rows each class shares with each cluster.

Every score of a clustering is a sum over the non-empty cells of the table of classes
against clusters. There are at most as many such cells as rows, so the table is kept as
a list of cells: two labellings of n rows cost one sort of n numbers.
"""

from collections import defaultdict
from dataclasses import dataclass
from itertools import count

import numpy as np


@dataclass(frozen=True)
class Contingency:
    """Sizes of classes, of clusters, and of what they have in common."""

    class_codes: np.ndarray  # (n_samples,) class of each row, 0..n_classes-1
    cluster_codes: np.ndarray  # (n_samples,) cluster of each row, 0..n_clusters-1
    class_sizes: np.ndarray  # (n_classes,)
    cluster_sizes: np.ndarray  # (n_clusters,)
    cell_class: np.ndarray  # (n_cells,) cells are pairs that share a row
    cell_cluster: np.ndarray  # (n_cells,)
    cell_sizes: np.ndarray  # (n_cells,)

    @property
    def n_samples(self):
        """Number of rows."""
        return len(self.class_codes)


def count_cells(y_true, y_pred):
    """Compare two labellings of the same rows.

    Parameters
    ----------
    y_true : array-like of shape (n_samples,)
        Class of each row.

    y_pred : array-like of shape (n_samples,)
        Cluster of each row.

    Returns
    -------
    table : Contingency
        All counts in int64: squares of them fit for up to 3e9 rows.

    Notes
    -----
    O(n log n) for one sort of int64 keys, O(n) beside it.
    """
    classes = label_codes(y_true, "y_true")
    clusters = label_codes(y_pred, "y_pred")
    if len(classes) != len(clusters):
        raise ValueError(
            f"`y_true` has {len(classes)} labels, but `y_pred` has {len(clusters)}; "
            "both need one label for each of the same samples."
        )
    cluster_sizes = np.bincount(clusters)
    key = classes * len(cluster_sizes) + clusters
    cell, cell_sizes = np.unique(key, return_counts=True)
    cell_class, cell_cluster = np.divmod(cell, len(cluster_sizes))
    return Contingency(
        classes,
        clusters,
        np.bincount(classes),
        cluster_sizes,
        cell_class,
        cell_cluster,
        cell_sizes,
    )


def label_codes(labels, name):
    """Number the distinct labels, so that each number 0..n_labels-1 is used.

    Parameters
    ----------
    labels : array-like of shape (n_samples,)
        Any hashable objects. Equal objects are one label.

    name : str
        Name of the argument, for the errors.

    Returns
    -------
    codes : ndarray of shape (n_samples,), dtype int64
        Number of each label.
    """
    if np.ma.is_masked(labels):
        raise ValueError(
            f"`{name}` is a masked array with masked entries, which are missing labels; "
            "drop these samples."
        )
    try:
        array = np.asarray(labels)
    except ValueError as error:
        raise ValueError(f"`{name}` must be a 1-d array of labels: {error}") from error
    if array.ndim != 1:
        raise ValueError(
            f"`{name}` must be a 1-d array with one label per sample; got "
            f"{type(labels).__name__} of shape {array.shape}. Ravel a column; put labels "
            "that are tuples into a 1-d array of dtype object."
        )
    if not len(array):
        raise ValueError(f"`{name}` is empty; give at least one label.")
    if array.dtype.kind in "biu":
        return _codes_of_integers(array)
    # numpy makes text of a list of numbers and text: 1 and "1" would be one label
    as_given = labels if isinstance(labels, (list, tuple)) else array.tolist()
    return _codes_of_objects(as_given, name)


def _codes_of_integers(labels):
    labels = labels.astype(np.int64, copy=False)  # large uint64 wrap, and stay distinct
    low, high = int(labels.min()), int(labels.max())
    if high - low >= 2 * len(labels):  # a table of all numbers between is too long
        return np.unique(labels, return_inverse=True)[1]
    labels = labels - low
    number = np.cumsum(np.bincount(labels) > 0) - 1
    return number[labels]


def _codes_of_objects(labels, name):
    number = defaultdict(count().__next__)
    try:
        codes = np.fromiter(map(number.__getitem__, labels), np.int64, len(labels))
    except TypeError as error:
        raise TypeError(
            f"`{name}` holds an object that cannot be a label ({error}); labels must be "
            "hashable, such as numbers, strings or tuples."
        ) from error
    for label, code in number.items():
        if _is_missing(label):
            raise ValueError(
                f"`{name}` contains {label!r} at position {np.argmax(codes == code)}; "
                "drop the samples without a label."
            )
    return codes


def _is_missing(label):
    # NaN is not equal to itself; pandas' NA is neither equal nor unequal to anything
    return label is None or type(label).__name__ == "NAType" or label != label
