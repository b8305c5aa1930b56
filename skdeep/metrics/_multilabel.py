"""Scores of a ranking of labels, cut at k: precision, nDCG and their propensity form.

Conventions are those of the Extreme Classification Repository: precision at k divides
by k however many labels a row has, and the ideal of nDCG at k is a row with
min(k, number of true labels) hits in front.
"""

import numpy as np

from skdeep.metrics._curves import check_count, check_positive_number
from skdeep.metrics._label_sets import NO_LABEL, best_labels, check_label_sets
from skdeep.metrics._pairs import check_choice

EMPTY = ("zero", "skip")


def precision_at_k_score(y_true, y_score, *, k=1, empty="zero", sample_weight=None):
    r"""Share of true labels among the k labels with the highest scores.

    .. math::
        \mathrm{P@}k = \operatorname{mean}_i \frac{1}{k}
        \sum_{j=1}^{k} [r_i(j) \in y_i]

    for row i with the true labels :math:`y_i`, where :math:`r_i(j)` is the label of its
    j-th highest score.

    Parameters
    ----------
    y_true : array-like or sparse matrix of shape (n_samples, n_labels)
        0/1 indicator matrix of any dtype.

    y_score : array-like or sparse matrix of shape (n_samples, n_labels), or tuple
        Scores; higher ranks first. In a sparse matrix only the stored scores are
        ranked. A tuple is the pair (indices, scores), both of shape
        (n_samples, n_ranked), with the best labels of each row, as `predict_top_k`
        gives it.

    k : int, default=1
        Number of places looked at.

    empty : {"zero", "skip"}, default="zero"
        Whether a row without true labels counts as 0 or is left out.

    sample_weight : array-like of shape (n_samples,), default=None
        Weight of each row in the mean. None: all alike.

    Returns
    -------
    score : float
        In [0, 1]. A row with fewer than k true labels stays below 1.

    See Also
    --------
    ndcg_at_k_score : Rewards hits more the earlier they come.
    propensity_precision_at_k_score : Rewards rare labels more.
    sklearn.metrics.label_ranking_average_precision_score : Looks at the whole ranking.

    Notes
    -----
    Equal scores are ranked by ascending label index. Places without a label are
    misses: those beyond the stored scores of a sparse row, and those beyond n_labels
    if k is larger.

    O(n_samples n_labels + n_samples k log k) time for dense scores,
    O(n_stored log n_stored) for sparse ones.

    References
    ----------
    .. [1] K. Bhatia et al., "The Extreme Classification Repository: Multi-label
           Datasets and Code", 2016, http://manikvarma.org/downloads/XC.

    Examples
    --------
    >>> from skdeep.metrics import precision_at_k_score
    >>> y_true = [[1, 0, 0], [1, 1, 0]]
    >>> y_score = [[0.2, 0.9, 0.1], [0.7, 0.6, 0.1]]
    >>> precision_at_k_score(y_true, y_score, k=1)
    0.5
    >>> precision_at_k_score(y_true, y_score, k=2)
    0.75

    The best two labels of each row are enough:

    >>> pair = [[1, 0], [0, 1]], [[0.9, 0.2], [0.7, 0.6]]
    >>> precision_at_k_score(y_true, pair, k=2)
    0.75
    """
    check_count("k", k, 1)
    truth = check_label_sets(y_true)
    weight = _row_weights(truth, empty, sample_weight)
    best = best_labels(y_score, truth.n_rows, truth.n_labels, k)
    n_hits = truth.contain(best).sum(axis=1)
    return float(np.average(n_hits / k, weights=weight))


def ndcg_at_k_score(y_true, y_score, *, k=5, empty="zero", sample_weight=None):
    r"""Discounted hits among the k highest scores, relative to the ideal ranking.

    .. math::
        \mathrm{nDCG@}k = \operatorname{mean}_i
        \frac{\sum_{j=1}^{k} [r_i(j) \in y_i] / \log_2(j + 1)}
             {\sum_{j=1}^{\min(k, |y_i|)} 1 / \log_2(j + 1)}

    for row i with the true labels :math:`y_i`, where :math:`r_i(j)` is the label of its
    j-th highest score.

    Parameters
    ----------
    y_true : array-like or sparse matrix of shape (n_samples, n_labels)
        0/1 indicator matrix of any dtype.

    y_score : array-like or sparse matrix of shape (n_samples, n_labels), or tuple
        Scores, or the pair (indices, scores) of the best labels of each row, as in
        `precision_at_k_score`.

    k : int, default=5
        Number of places looked at.

    empty : {"zero", "skip"}, default="zero"
        Whether a row without true labels counts as 0 or is left out.

    sample_weight : array-like of shape (n_samples,), default=None
        Weight of each row in the mean. None: all alike.

    Returns
    -------
    score : float
        In [0, 1]; 1 if in each row true labels come first.

    See Also
    --------
    precision_at_k_score : Without the discount.
    sklearn.metrics.ndcg_score : Averages over ties, and takes graded relevance.

    Notes
    -----
    Equal scores are ranked by ascending label index, and places without a label are
    misses, as in `precision_at_k_score`. Costs as much as that:
    O(n_samples n_labels + n_samples k log k) time for dense scores.

    References
    ----------
    .. [1] K. Bhatia et al., "The Extreme Classification Repository: Multi-label
           Datasets and Code", 2016, http://manikvarma.org/downloads/XC.

    Examples
    --------
    >>> from skdeep.metrics import ndcg_at_k_score
    >>> y_true = [[1, 0, 0], [1, 1, 0]]
    >>> y_score = [[0.2, 0.9, 0.1], [0.7, 0.6, 0.1]]
    >>> f"{ndcg_at_k_score(y_true, y_score, k=3):.3f}"
    '0.815'
    """
    check_count("k", k, 1)
    truth = check_label_sets(y_true)
    weight = _row_weights(truth, empty, sample_weight)
    return float(np.average(ndcg_of_rows(truth, y_score, k), weights=weight))


def ndcg_of_rows(truth, y_score, k):
    """nDCG@k of each row of checked label sets; 0 for a row without labels."""
    best = best_labels(y_score, truth.n_rows, truth.n_labels, k)  # (n, min(k, L))
    discount = 1 / np.log2(np.arange(best.shape[1]) + 2)
    ideal = np.concatenate([[1.0], np.cumsum(discount)])  # a row without labels gets 0
    gain = truth.contain(best) @ discount
    return gain / ideal[np.minimum(truth.n_true, best.shape[1])]


def propensity_precision_at_k_score(
    y_true,
    y_score,
    *,
    k=1,
    propensity,
    empty="zero",
    normalize=True,
    sample_weight=None,
):
    r"""Precision at k in which each hit counts one over the propensity of its label.

    A label that annotators often overlook has a low propensity: the probability that
    it is noted where it holds. Frequent labels alone do not reach a high score.

    .. math::
        \mathrm{PSP@}k = \operatorname{mean}_i \frac{1}{k}
        \sum_{j=1}^{k} \frac{[r_i(j) \in y_i]}{p_{r_i(j)}}

    for row i with the true labels :math:`y_i`, where :math:`r_i(j)` is the label of its
    j-th highest score, of propensity :math:`p_{r_i(j)}`.

    Parameters
    ----------
    y_true : array-like or sparse matrix of shape (n_samples, n_labels)
        0/1 indicator matrix of any dtype.

    y_score : array-like or sparse matrix of shape (n_samples, n_labels), or tuple
        Scores, or the pair (indices, scores) of the best labels of each row, as in
        `precision_at_k_score`.

    k : int, default=1
        Number of places looked at.

    propensity : array-like of shape (n_labels,)
        Propensity of each label, in (0, 1]: ``1 / inverse_propensity(y_train)``.

    empty : {"zero", "skip"}, default="zero"
        Whether a row without true labels counts as 0 or is left out. If normalised,
        both give the same.

    normalize : bool, default=True
        Whether to divide by the score of the best ranking that there is, as published
        tables do.

    sample_weight : array-like of shape (n_samples,), default=None
        Weight of each row in the means. None: all alike.

    Returns
    -------
    score : float
        In [0, 1] if normalised, else not bounded by 1. 0 if no row has a true label.

    See Also
    --------
    inverse_propensity : The usual estimate.

    Notes
    -----
    The normalised score is a ratio of two means, not a mean of ratios. Equal scores are
    ranked by ascending label index, and places without a label are misses, as in
    `precision_at_k_score`.

    O(n_samples n_labels + n_samples k log k + n_true log n_true) time for dense scores
    and n_true true labels.

    References
    ----------
    .. [1] H. Jain, Y. Prabhu, M. Varma, "Extreme Multi-label Loss Functions for
           Recommendation, Tagging, Ranking & Other Missing Label Applications",
           KDD 2016.

    Examples
    --------
    >>> from skdeep.metrics import propensity_precision_at_k_score
    >>> y_true = [[1, 0, 0], [1, 1, 0]]
    >>> y_score = [[0.2, 0.9, 0.1], [0.7, 0.6, 0.1]]
    >>> propensity = [1.0, 0.5, 0.5]
    >>> f"{propensity_precision_at_k_score(y_true, y_score, propensity=propensity):.3f}"
    '0.333'
    """
    check_count("k", k, 1)
    truth = check_label_sets(y_true)
    weight = _row_weights(truth, empty, sample_weight)
    value = 1 / _check_propensity(propensity, truth.n_labels)
    best = best_labels(y_score, truth.n_rows, truth.n_labels, k)
    gain = np.where(truth.contain(best), value[best], 0).sum(axis=1) / k
    score = np.average(gain, weights=weight)
    if normalize:
        ideal = truth.best(value, best.shape[1])
        gain = np.where(ideal != NO_LABEL, value[ideal], 0).sum(axis=1) / k
        score /= np.average(gain, weights=weight) or 1
    return float(score)


def inverse_propensity(y_train, *, a=0.55, b=1.5):
    r"""Estimate one over the propensity of each label from its frequency.

    .. math::
        1 / p_l = 1 + C (n_l + b)^{-a}, \qquad C = (\ln n - 1) (b + 1)^a

    for a label that :math:`n_l` of :math:`n` training rows have.

    Parameters
    ----------
    y_train : array-like or sparse matrix of shape (n_samples, n_labels)
        0/1 indicator matrix of the training rows, at least 3.

    a : float, default=0.55
        How fast rare labels lose propensity. 0.5 is usual for articles of Wikipedia,
        0.6 for products of Amazon.

    b : float, default=1.5
        Smoothing of the frequencies. 0.4 and 2.6 are usual there.

    Returns
    -------
    inverse : ndarray of shape (n_labels,)
        At least 1; the rarer a label, the larger.

    See Also
    --------
    propensity_precision_at_k_score : Takes the propensity, one over this.

    Notes
    -----
    O(n_true) time for n_true labels of all rows, after reading the matrix.

    References
    ----------
    .. [1] H. Jain, Y. Prabhu, M. Varma, "Extreme Multi-label Loss Functions for
           Recommendation, Tagging, Ranking & Other Missing Label Applications",
           KDD 2016.

    Examples
    --------
    >>> from skdeep.metrics import inverse_propensity
    >>> y_train = [[1, 0], [1, 0], [1, 1], [1, 0]]
    >>> inverse_propensity(y_train).round(3)
    array([1.25 , 1.386])
    """
    check_positive_number("a", a)
    check_positive_number("b", b)
    truth = check_label_sets(y_train, "y_train")
    if truth.n_rows < 3:
        raise ValueError(
            f"`y_train` has {truth.n_rows} row(s); the estimate needs at least 3, "
            "because the logarithm of their number must exceed 1."
        )
    frequency = np.bincount(truth.labels, minlength=truth.n_labels)
    scale = (np.log(truth.n_rows) - 1) * (b + 1) ** a
    return 1 + scale * (frequency + b) ** -a


def _row_weights(truth, empty, sample_weight):
    """Weight of each row in a mean; 0 for rows that are left out."""
    check_choice("empty", empty, EMPTY)
    weight = np.ones(truth.n_rows)
    if sample_weight is not None:
        weight = np.array(sample_weight, dtype=np.float64)
        if weight.shape != (truth.n_rows,):
            raise ValueError(
                f"`sample_weight` has shape {weight.shape}; it must be "
                f"({truth.n_rows},), one weight per row of `y_true`."
            )
        if not (np.isfinite(weight) & (weight >= 0)).all():
            raise ValueError("`sample_weight` must be finite and not negative.")
    if empty == "skip":
        weight[truth.n_true == 0] = 0
    if not weight.any():
        raise ValueError(
            "No row is left to average: all have weight 0, or have no true label and "
            "are left out by empty='skip'."
        )
    return weight


def _check_propensity(propensity, n_labels):
    propensity = np.asarray(propensity, dtype=np.float64)
    if propensity.shape != (n_labels,):
        raise ValueError(
            f"`propensity` has shape {propensity.shape}; it must be ({n_labels},), one "
            "value per column of `y_true`."
        )
    if not ((propensity > 0) & (propensity <= 1)).all():
        raise ValueError(
            "`propensity` must lie in (0, 1]. If these are inverse propensities, as "
            "`inverse_propensity` gives them, pass 1 / them."
        )
    return propensity
