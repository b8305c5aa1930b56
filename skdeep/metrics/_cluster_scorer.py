"""Scorers of clusterers for `GridSearchCV` and `cross_validate`.

A scorer clusters the rows that it is given as one set, with `predict`, and compares the
clusters with the classes. A clusterer that was fitted on classes is for *other* classes:
a scorer that meets a class of the training rows says so.
"""

import warnings

import numpy as np

from skdeep.metrics._cluster import bcubed_of, nmi_of, pairwise_of
from skdeep.metrics._contingency import count_cells


def pairwise_f(estimator, X, y):
    """Score a clusterer by the pairwise F-score of its clusters.

    Parameters
    ----------
    estimator : estimator instance
        Fitted clusterer with `predict`, or a Pipeline that ends with one.

    X : array-like of shape (n_samples, n_features)
        Samples, clustered as one set.

    y : array-like of shape (n_samples,)
        Their classes: new ones, if the clusterer was fitted on classes.

    Returns
    -------
    score : float
        Larger is better.

    See Also
    --------
    pairwise_f_score : The metric.
    cluster_scores : All scores from one clustering.
    skdeep.model_selection.ClassDisjointKFold : Splits for which `y` holds new classes.

    Notes
    -----
    One `predict`, O(n_samples log n_samples) beside it. Warns if `y` has classes of
    ``estimator.classes_``.

    Examples
    --------
    >>> from sklearn.cluster import KMeans
    >>> from sklearn.datasets import load_iris
    >>> from skdeep.metrics import pairwise_f
    >>> X, y = load_iris(return_X_y=True)
    >>> f"{pairwise_f(KMeans(3, n_init=5, random_state=0).fit(X), X, y):.2f}"
    '0.82'
    """
    return pairwise_of(_clustered(estimator, X, y))[2]


def bcubed_f(estimator, X, y):
    """Score a clusterer by the BCubed F-score of its clusters.

    Parameters
    ----------
    estimator : estimator instance
        Fitted clusterer with `predict`, or a Pipeline that ends with one.

    X : array-like of shape (n_samples, n_features)
        Samples, clustered as one set.

    y : array-like of shape (n_samples,)
        Their classes: new ones, if the clusterer was fitted on classes.

    Returns
    -------
    score : float
        Larger is better.

    See Also
    --------
    bcubed_f_score : The metric.
    cluster_scores : All scores from one clustering.
    skdeep.model_selection.ClassDisjointKFold : Splits for which `y` holds new classes.

    Notes
    -----
    One `predict`, O(n_samples log n_samples) beside it. Warns if `y` has classes of
    ``estimator.classes_``.

    Examples
    --------
    >>> from sklearn.cluster import KMeans
    >>> from sklearn.datasets import load_iris
    >>> from skdeep.metrics import bcubed_f
    >>> X, y = load_iris(return_X_y=True)
    >>> f"{bcubed_f(KMeans(3, n_init=5, random_state=0).fit(X), X, y):.2f}"
    '0.84'
    """
    return bcubed_of(_clustered(estimator, X, y))[2]


def nmi(estimator, X, y):
    """Score a clusterer by the normalised mutual information with the classes.

    Parameters
    ----------
    estimator : estimator instance
        Fitted clusterer with `predict`, or a Pipeline that ends with one.

    X : array-like of shape (n_samples, n_features)
        Samples, clustered as one set.

    y : array-like of shape (n_samples,)
        Their classes: new ones, if the clusterer was fitted on classes.

    Returns
    -------
    score : float
        Larger is better.

    See Also
    --------
    sklearn.metrics.normalized_mutual_info_score : The metric.
    cluster_scores : All scores from one clustering.
    skdeep.model_selection.ClassDisjointKFold : Splits for which `y` holds new classes.

    Notes
    -----
    One `predict`, O(n_samples log n_samples) beside it. Warns if `y` has classes of
    ``estimator.classes_``. Differs from ``scoring="normalized_mutual_info_score"`` only
    in this warning and in the labels that it takes.

    Examples
    --------
    >>> from sklearn.cluster import KMeans
    >>> from sklearn.datasets import load_iris
    >>> from skdeep.metrics import nmi
    >>> X, y = load_iris(return_X_y=True)
    >>> f"{nmi(KMeans(3, n_init=5, random_state=0).fit(X), X, y):.2f}"
    '0.76'
    """
    return nmi_of(_clustered(estimator, X, y))


def cluster_scores(estimator, X, y):
    """Score a clusterer by all three, clustering only once.

    A dict of scorers as `scoring=` calls `predict` once for each of them; this function
    as `scoring=` gives the same results with one call.

    Parameters
    ----------
    estimator : estimator instance
        Fitted clusterer with `predict`, or a Pipeline that ends with one.

    X : array-like of shape (n_samples, n_features)
        Samples, clustered as one set.

    y : array-like of shape (n_samples,)
        Their classes: new ones, if the clusterer was fitted on classes.

    Returns
    -------
    scores : dict of str to float
        With the keys "pairwise_f", "bcubed_f" and "nmi"; larger is better.

    See Also
    --------
    skdeep.model_selection.ClassDisjointKFold : Splits for which `y` holds new classes.

    Notes
    -----
    One `predict`, O(n_samples log n_samples) beside it. Warns if `y` has classes of
    ``estimator.classes_``; so it does for the training scores of
    ``return_train_score=True``, which tell nothing of new classes either.

    Examples
    --------
    >>> from sklearn.cluster import KMeans
    >>> from sklearn.datasets import load_digits
    >>> from sklearn.model_selection import GridSearchCV
    >>> from skdeep.metrics import cluster_scores
    >>> from skdeep.model_selection import ClassDisjointKFold
    >>> search = GridSearchCV(
    ...     KMeans(n_init=5, random_state=0),
    ...     {"n_clusters": [2, 5, 20]},
    ...     scoring=cluster_scores,
    ...     refit="bcubed_f",
    ...     cv=ClassDisjointKFold(2),
    ... )
    >>> search.fit(*load_digits(return_X_y=True)).best_params_
    {'n_clusters': 5}
    """
    table = _clustered(estimator, X, y)
    return {
        "pairwise_f": pairwise_of(table)[2],
        "bcubed_f": bcubed_of(table)[2],
        "nmi": nmi_of(table),
    }


def _clustered(estimator, X, y):
    """Cluster `X` and count what classes and clusters share."""
    if not hasattr(estimator, "predict"):
        raise TypeError(
            f"{type(estimator).__name__} has no `predict`, so it cannot cluster the rows "
            "to be scored. Use a clusterer with `predict`, or compare its `labels_` with "
            "the classes by `bcubed_f_score`."
        )
    table = count_cells(y, estimator.predict(X))
    _warn_of_known_classes(estimator, y)
    return table


def _warn_of_known_classes(estimator, y):
    known = getattr(estimator, "classes_", None)  # of a pipeline: of its last step
    if known is None:
        return
    classes = set(y.tolist() if hasattr(y, "tolist") else y)
    n_known = len(classes.intersection(np.asarray(known).tolist()))
    if n_known:
        warnings.warn(
            f"{n_known} of the {len(classes)} classes to be scored are classes on which "
            f"{type(estimator).__name__} was fitted, so the score does not tell how it "
            "clusters new ones. Split classes rather than rows: "
            "cv=skdeep.model_selection.ClassDisjointKFold().",
            UserWarning,
            stacklevel=4,
        )
