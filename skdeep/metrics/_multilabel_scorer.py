"""Scorers of multi-label rankings for `GridSearchCV` and `cross_validate`.

They work for every classifier that gives scores per label, whatever shape
scikit-learn gives them: one matrix, or a list with one array per label.
"""

import numpy as np
import scipy.sparse as sp

from skdeep.metrics._multilabel import ndcg_at_k_score, precision_at_k_score

RESPONSES = ("decision_function", "predict_proba")


def make_ranking_scorer(
    metric,
    *,
    greater_is_better=True,
    response=("decision_function", "predict_proba"),
    **kwargs,
):
    """Make a scorer from a metric of label sets and label scores.

    Parameters
    ----------
    metric : callable
        ``metric(y_true, y_score, **kwargs) -> float``. A function defined in a module,
        so that the scorer can be sent to other processes.

    greater_is_better : bool, default=True
        Whether the metric is a score. The sign of a loss is flipped.

    response : str or tuple of str, default=("decision_function", "predict_proba")
        Method of the estimator that gives the scores; of several names the first that
        the estimator has.

    **kwargs : dict
        Further arguments of the metric.

    Returns
    -------
    scorer : callable
        ``scorer(estimator, X, y) -> float``.

    See Also
    --------
    get_multilabel_scorers : Those for the usual k.

    Notes
    -----
    A ranking compares the scores of different labels. Where each label has a model of
    its own, as in `OneVsRestClassifier`, probabilities are easier to compare than
    margins: ``response="predict_proba"``.

    Many classifiers give `predict_proba` as a list with one array per label. The metric
    gets a matrix all the same, with zeros for a label that no training row has.
    `sklearn.metrics.make_scorer` (1.9) hands on the list as soon as there is such a
    label.

    Examples
    --------
    >>> from sklearn.datasets import make_multilabel_classification
    >>> from sklearn.model_selection import cross_val_score
    >>> from sklearn.tree import DecisionTreeClassifier
    >>> from skdeep.metrics import make_ranking_scorer, precision_at_k_score
    >>> X, Y = make_multilabel_classification(random_state=0)
    >>> scorer = make_ranking_scorer(precision_at_k_score, k=2)
    >>> tree = DecisionTreeClassifier(max_depth=3, random_state=0)
    >>> cross_val_score(tree, X, Y, scoring=scorer, cv=2).round(2)
    array([0.53, 0.45])
    """
    if not callable(metric):
        raise TypeError(f"`metric` must be callable; got {metric!r}.")
    return _RankingScorer(metric, greater_is_better, response, kwargs)


class _RankingScorer:
    """Callable with an explicit state: pickles, prints and compares well."""

    def __init__(self, metric, greater_is_better, response, metric_params):
        self.metric = metric
        self.greater_is_better = greater_is_better
        self.response = response
        self.metric_params = metric_params

    def __call__(self, estimator, X, y):
        sign = 1 if self.greater_is_better else -1
        scores = label_scores(estimator, X, self.response)
        return sign * float(self.metric(y, scores, **self.metric_params))

    def __repr__(self):
        params = "".join(f", {k}={v!r}" for k, v in self.metric_params.items())
        return (
            f"make_ranking_scorer({self.metric.__name__}, "
            f"greater_is_better={self.greater_is_better}, response={self.response!r}"
            f"{params})"
        )


def label_scores(estimator, X, response=RESPONSES):
    """Scores of all labels for each row of `X`, (n_samples, n_labels)."""
    names = (response,) if isinstance(response, str) else tuple(response)
    for name in names:
        if hasattr(estimator, name):
            return _as_matrix(getattr(estimator, name)(X), estimator)
    raise TypeError(
        f"{type(estimator).__name__} has no {' or '.join(names)}, so its labels cannot be "
        "ranked. Use a classifier that gives scores, or name its method in `response`."
    )


def _as_matrix(scores, estimator):
    """One column per label, from a matrix, a vector or a list with an array per label."""
    if sp.issparse(scores):
        return scores
    if not isinstance(scores, list):
        scores = np.asarray(scores)
        return scores[:, None] if scores.ndim == 1 else scores
    classes = getattr(estimator, "classes_", [None] * len(scores))
    columns = [_score_of_presence(*pair) for pair in zip(scores, classes)]
    return np.column_stack(columns)


def _score_of_presence(scores, classes):
    """Score of class 1 of one label, (n_samples, n_classes) -> (n_samples,)."""
    scores = np.asarray(scores)
    if scores.ndim == 1:
        return scores
    if scores.shape[1] == 2:
        return scores[:, 1]
    if scores.shape[1] == 1 and classes is not None:
        # all training rows have the label, or none has it
        return scores[:, 0] if classes[0] == 1 else np.zeros(len(scores))
    raise ValueError(
        f"The estimator gives {scores.shape[1]} scores for one label where 2 are "
        "expected, absent and present; fit it with a 0/1 matrix."
    )


def precision_at_1(estimator, X, y):
    """Score a multi-label classifier by precision at 1.

    Parameters
    ----------
    estimator : estimator instance
        Fitted classifier with `decision_function` or `predict_proba`.

    X : array-like or sparse matrix of shape (n_samples, n_features)
        Samples.

    y : array-like or sparse matrix of shape (n_samples, n_labels)
        0/1 indicator matrix of their labels.

    Returns
    -------
    score : float
        Larger is better.

    See Also
    --------
    precision_at_k_score : The metric.

    Examples
    --------
    >>> from sklearn.datasets import make_multilabel_classification
    >>> from sklearn.neighbors import KNeighborsClassifier
    >>> from skdeep.metrics import precision_at_1
    >>> X, Y = make_multilabel_classification(random_state=0)
    >>> precision_at_1(KNeighborsClassifier().fit(X[:50], Y[:50]), X[50:], Y[50:])
    0.54
    """
    return precision_at_k_score(y, label_scores(estimator, X), k=1)


def precision_at_3(estimator, X, y):
    """Score a multi-label classifier by precision at 3.

    Parameters
    ----------
    estimator : estimator instance
        Fitted classifier with `decision_function` or `predict_proba`.

    X : array-like or sparse matrix of shape (n_samples, n_features)
        Samples.

    y : array-like or sparse matrix of shape (n_samples, n_labels)
        0/1 indicator matrix of their labels.

    Returns
    -------
    score : float
        Larger is better.

    See Also
    --------
    precision_at_k_score : The metric.

    Examples
    --------
    >>> from sklearn.datasets import make_multilabel_classification
    >>> from sklearn.neighbors import KNeighborsClassifier
    >>> from skdeep.metrics import precision_at_3
    >>> X, Y = make_multilabel_classification(random_state=0)
    >>> knn = KNeighborsClassifier().fit(X[:50], Y[:50])
    >>> f"{precision_at_3(knn, X[50:], Y[50:]):.3f}"
    '0.480'
    """
    return precision_at_k_score(y, label_scores(estimator, X), k=3)


def precision_at_5(estimator, X, y):
    """Score a multi-label classifier by precision at 5.

    Parameters
    ----------
    estimator : estimator instance
        Fitted classifier with `decision_function` or `predict_proba`.

    X : array-like or sparse matrix of shape (n_samples, n_features)
        Samples.

    y : array-like or sparse matrix of shape (n_samples, n_labels)
        0/1 indicator matrix of their labels.

    Returns
    -------
    score : float
        Larger is better. With five labels or fewer it says nothing of the ranking.

    See Also
    --------
    precision_at_k_score : The metric.

    Examples
    --------
    >>> from sklearn.datasets import make_multilabel_classification
    >>> from sklearn.neighbors import KNeighborsClassifier
    >>> from skdeep.metrics import precision_at_5
    >>> X, Y = make_multilabel_classification(n_classes=8, random_state=0)
    >>> knn = KNeighborsClassifier().fit(X[:50], Y[:50])
    >>> f"{precision_at_5(knn, X[50:], Y[50:]):.3f}"
    '0.304'
    """
    return precision_at_k_score(y, label_scores(estimator, X), k=5)


def ndcg_at_3(estimator, X, y):
    """Score a multi-label classifier by nDCG at 3.

    Parameters
    ----------
    estimator : estimator instance
        Fitted classifier with `decision_function` or `predict_proba`.

    X : array-like or sparse matrix of shape (n_samples, n_features)
        Samples.

    y : array-like or sparse matrix of shape (n_samples, n_labels)
        0/1 indicator matrix of their labels.

    Returns
    -------
    score : float
        Larger is better.

    See Also
    --------
    ndcg_at_k_score : The metric.

    Examples
    --------
    >>> from sklearn.datasets import make_multilabel_classification
    >>> from sklearn.neighbors import KNeighborsClassifier
    >>> from skdeep.metrics import ndcg_at_3
    >>> X, Y = make_multilabel_classification(random_state=0)
    >>> knn = KNeighborsClassifier().fit(X[:50], Y[:50])
    >>> f"{ndcg_at_3(knn, X[50:], Y[50:]):.3f}"
    '0.637'
    """
    return ndcg_at_k_score(y, label_scores(estimator, X), k=3)


def ndcg_at_5(estimator, X, y):
    """Score a multi-label classifier by nDCG at 5.

    Parameters
    ----------
    estimator : estimator instance
        Fitted classifier with `decision_function` or `predict_proba`.

    X : array-like or sparse matrix of shape (n_samples, n_features)
        Samples.

    y : array-like or sparse matrix of shape (n_samples, n_labels)
        0/1 indicator matrix of their labels.

    Returns
    -------
    score : float
        Larger is better.

    See Also
    --------
    ndcg_at_k_score : The metric.

    Examples
    --------
    >>> from sklearn.datasets import make_multilabel_classification
    >>> from sklearn.neighbors import KNeighborsClassifier
    >>> from skdeep.metrics import ndcg_at_5
    >>> X, Y = make_multilabel_classification(random_state=0)
    >>> knn = KNeighborsClassifier().fit(X[:50], Y[:50])
    >>> f"{ndcg_at_5(knn, X[50:], Y[50:]):.3f}"
    '0.705'
    """
    return ndcg_at_k_score(y, label_scores(estimator, X), k=5)


def get_multilabel_scorers():
    """All scorers of label rankings, by name, for `scoring=` of a search.

    Returns
    -------
    scorers : dict of str to callable
        A new dict, free to change.

    Examples
    --------
    >>> from skdeep.metrics import get_multilabel_scorers
    >>> list(get_multilabel_scorers())[:3]
    ['precision_at_1', 'precision_at_3', 'precision_at_5']
    """
    return {
        "precision_at_1": precision_at_1,
        "precision_at_3": precision_at_3,
        "precision_at_5": precision_at_5,
        "ndcg_at_3": ndcg_at_3,
        "ndcg_at_5": ndcg_at_5,
    }
