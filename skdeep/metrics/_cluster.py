"""Scores of a clustering against known classes.

Clusters have no names, so two labellings are compared by the rows they put together.
*Pairwise* scores look at all pairs of rows: large classes dominate, as their number of
pairs grows with the square. *BCubed* scores look at each row and its own cluster and
class: every row weighs the same.
"""

import numpy as np
from sklearn.metrics import normalized_mutual_info_score

from skdeep.metrics._contingency import count_cells


def pairwise_f_score(y_true, y_pred):
    """Harmonic mean of pairwise precision and recall of a clustering.

    Parameters
    ----------
    y_true : array-like of shape (n_samples,)
        Class of each row; any hashable labels.

    y_pred : array-like of shape (n_samples,)
        Cluster of each row; any hashable labels, which need not be those of `y_true`.

    Returns
    -------
    score : float
        In [0, 1]; 1 if clusters and classes are the same, 0 if no pair of rows shares
        both.

    See Also
    --------
    pairwise_precision_recall_fscore : The two parts as well.
    bcubed_f_score : Every row weighs the same, however large its class.

    Notes
    -----
    O(n_samples log n_samples) time for one sort of integers, O(n_samples) memory.

    Examples
    --------
    >>> from skdeep.metrics import pairwise_f_score
    >>> f"{pairwise_f_score(list('aaabbc'), [0, 0, 1, 1, 2, 3]):.3f}"
    '0.333'
    """
    return pairwise_of(count_cells(y_true, y_pred))[2]


def pairwise_precision_recall_fscore(y_true, y_pred):
    r"""Precision, recall and F-score over pairs of rows.

    With :math:`n_{ck}` the number of rows that class c shares with cluster k, and
    :math:`n_c`, :math:`n_k` their sizes,

    .. math::
        P = \frac{\sum_{ck} n_{ck} (n_{ck} - 1)}{\sum_k n_k (n_k - 1)}, \quad
        R = \frac{\sum_{ck} n_{ck} (n_{ck} - 1)}{\sum_c n_c (n_c - 1)}, \quad
        F = \frac{2 P R}{P + R} .

    Parameters
    ----------
    y_true : array-like of shape (n_samples,)
        Class of each row; any hashable labels.

    y_pred : array-like of shape (n_samples,)
        Cluster of each row; any hashable labels, which need not be those of `y_true`.

    Returns
    -------
    precision : float
        Share of one class among the pairs of one cluster; 0 if there is no such pair.

    recall : float
        Share of one cluster among the pairs of one class; 0 if there is no such pair.

    fscore : float
        Their harmonic mean; 0 if both are 0.

    See Also
    --------
    bcubed_precision_recall_fscore : The same three, averaged over rows.

    Notes
    -----
    O(n_samples log n_samples) time for one sort of integers, O(n_samples) memory; no
    pair is ever formed. Clusters of one row have no pairs: a perfect clustering of
    single rows has the score 0 here, and 1 by BCubed.

    References
    ----------
    .. [1] Amigó, Gonzalo, Artiles and Verdejo, "A comparison of extrinsic clustering
       evaluation metrics based on formal constraints", Information Retrieval 12, 2009.

    Examples
    --------
    >>> from skdeep.metrics import pairwise_precision_recall_fscore
    >>> precision, recall, fscore = pairwise_precision_recall_fscore(
    ...     list("aaabbc"), [0, 0, 1, 1, 2, 3]
    ... )
    >>> print(f"{precision:.2f} {recall:.2f} {fscore:.2f}")
    0.50 0.25 0.33
    """
    return pairwise_of(count_cells(y_true, y_pred))


def bcubed_f_score(y_true, y_pred):
    """Harmonic mean of BCubed precision and recall of a clustering.

    Parameters
    ----------
    y_true : array-like of shape (n_samples,)
        Class of each row; any hashable labels.

    y_pred : array-like of shape (n_samples,)
        Cluster of each row; any hashable labels, which need not be those of `y_true`.

    Returns
    -------
    score : float
        In (0, 1]; 1 if clusters and classes are the same.

    See Also
    --------
    bcubed_precision_recall_fscore : The two parts as well.
    pairwise_f_score : Large classes and clusters weigh more.

    Notes
    -----
    O(n_samples log n_samples) time for one sort of integers, O(n_samples) memory.

    Examples
    --------
    >>> from skdeep.metrics import bcubed_f_score
    >>> f"{bcubed_f_score(list('aaabbc'), [0, 0, 1, 1, 2, 3]):.3f}"
    '0.705'
    """
    return bcubed_of(count_cells(y_true, y_pred))[2]


def bcubed_precision_recall_fscore(y_true, y_pred):
    r"""Precision, recall and F-score of each row's own cluster, averaged.

    With :math:`n_{ck}` the number of rows that class c shares with cluster k, and
    :math:`n_c`, :math:`n_k` their sizes,

    .. math::
        P = \frac{1}{n} \sum_{ck} \frac{n_{ck}^2}{n_k}, \quad
        R = \frac{1}{n} \sum_{ck} \frac{n_{ck}^2}{n_c}, \quad
        F = \frac{2 P R}{P + R} .

    Parameters
    ----------
    y_true : array-like of shape (n_samples,)
        Class of each row; any hashable labels.

    y_pred : array-like of shape (n_samples,)
        Cluster of each row; any hashable labels, which need not be those of `y_true`.

    Returns
    -------
    precision : float
        Mean over rows: share of the row's class in its cluster, itself included.

    recall : float
        Mean over rows: share of the row's cluster in its class, itself included.

    fscore : float
        Harmonic mean of these two means.

    See Also
    --------
    pairwise_precision_recall_fscore : The same three over pairs of rows.

    Notes
    -----
    O(n_samples log n_samples) time for one sort of integers, O(n_samples) memory.

    References
    ----------
    .. [1] Amigó, Gonzalo, Artiles and Verdejo, "A comparison of extrinsic clustering
       evaluation metrics based on formal constraints", Information Retrieval 12, 2009.

    Examples
    --------
    >>> from skdeep.metrics import bcubed_precision_recall_fscore
    >>> precision, recall, fscore = bcubed_precision_recall_fscore(
    ...     list("aaabbc"), [0, 0, 1, 1, 2, 3]
    ... )
    >>> print(f"{precision:.2f} {recall:.2f} {fscore:.2f}")
    0.83 0.61 0.71
    """
    return bcubed_of(count_cells(y_true, y_pred))


def pairwise_of(table):
    """Pairwise precision, recall and F-score of a table of counts."""
    n_both = _n_ordered_pairs(table.cell_sizes)
    in_clusters = _n_ordered_pairs(table.cluster_sizes)
    in_classes = _n_ordered_pairs(table.class_sizes)
    precision = n_both / in_clusters if in_clusters else 0.0
    recall = n_both / in_classes if in_classes else 0.0
    return precision, recall, _harmonic_mean(precision, recall)


def bcubed_of(table):
    """BCubed precision, recall and F-score of a table of counts."""
    square = table.cell_sizes**2
    in_cluster = square / table.cluster_sizes[table.cell_cluster]
    in_class = square / table.class_sizes[table.cell_class]
    precision = float(in_cluster.sum() / table.n_samples)
    recall = float(in_class.sum() / table.n_samples)
    return precision, recall, _harmonic_mean(precision, recall)


def nmi_of(table):
    """Normalised mutual information of the two labellings in a table of counts."""
    return normalized_mutual_info_score(table.class_codes, table.cluster_codes)


def _n_ordered_pairs(sizes):
    return int(np.sum(sizes * (sizes - 1)))


def _harmonic_mean(precision, recall):
    total = precision + recall
    return 2 * precision * recall / total if total else 0.0
