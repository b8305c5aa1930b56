"""Scorers of embedders for `GridSearchCV` and `cross_validate`.

An embedder has no `predict`, so scorers here call `transform` and score the rows that
come out: `scorer(estimator, X, y)`, larger is better.
"""

from functools import partial
from numbers import Real

import numpy as np
from sklearn.pipeline import Pipeline

from skdeep.metrics._curves import check_share
from skdeep.metrics._retrieval import map_at_r_score, recall_at_k_score
from skdeep.metrics._threshold import epsilon_opis_score, opis_score
from skdeep.metrics._verification import far_frr_curve, threshold_at_far


def make_embedding_scorer(
    metric, *, greater_is_better=True, response="auto", metric_params=None
):
    """Make a scorer from a metric of labels and embeddings.

    Parameters
    ----------
    metric : callable
        ``metric(y_true, embeddings, **metric_params) -> float``. A function defined
        in a module, so that the scorer can be sent to other processes.

    greater_is_better : bool, default=True
        Whether the metric is a score. The sign of a loss is flipped.

    response : str, default="auto"
        Method of the estimator that gives the embeddings, such as "transform". "auto"
        is `transform`; a pipeline whose last step cannot transform (a classifier) is
        used without that step.

    metric_params : dict, default=None
        Further arguments of the metric.

    Returns
    -------
    scorer : callable
        ``scorer(estimator, X, y) -> float``.

    Examples
    --------
    >>> from sklearn.datasets import load_iris
    >>> from sklearn.decomposition import PCA
    >>> from sklearn.model_selection import cross_val_score
    >>> from skdeep.metrics import make_embedding_scorer, recall_at_k_score
    >>> X, y = load_iris(return_X_y=True)
    >>> scorer = make_embedding_scorer(recall_at_k_score, metric_params={"k": 5})
    >>> cross_val_score(PCA(2), X, y, scoring=scorer, cv=3).min() > 0.9
    np.True_
    """
    if not callable(metric):
        raise TypeError(f"`metric` must be callable; got {metric!r}.")
    if not isinstance(response, str):
        raise TypeError(
            f"`response` must be 'auto' or a method's name; got {response!r}."
        )
    return _EmbeddingScorer(metric, greater_is_better, response, metric_params)


class _EmbeddingScorer:
    """Callable with an explicit state: pickles, prints and compares well."""

    def __init__(self, metric, greater_is_better, response, metric_params):
        self.metric = metric
        self.greater_is_better = greater_is_better
        self.response = response
        self.metric_params = metric_params

    def __call__(self, estimator, X, y):
        sign = 1 if self.greater_is_better else -1
        embeddings = embed(estimator, X, self.response)
        return sign * self.metric(y, embeddings, **(self.metric_params or {}))

    def __repr__(self):
        return (
            f"make_embedding_scorer({self.metric.__name__}, "
            f"greater_is_better={self.greater_is_better}, response={self.response!r}, "
            f"metric_params={self.metric_params!r})"
        )


def embed(estimator, X, response="auto"):
    """Rows that an embedder, or the embedding part of a pipeline, makes of `X`."""
    if response != "auto":
        if not hasattr(estimator, response):
            raise TypeError(
                f"response={response!r} is not a method of {type(estimator).__name__}."
            )
        return getattr(estimator, response)(X)
    if hasattr(estimator, "transform"):
        return estimator.transform(X)
    if isinstance(estimator, Pipeline) and len(estimator) > 1:
        return estimator[:-1].transform(X)
    raise TypeError(
        f"{type(estimator).__name__} has no `transform`, so it gives no embeddings to "
        "score. Score an embedder, or a Pipeline that holds one."
    )


def recall_at_1(estimator, X, y):
    """Score an embedder by recall at 1.

    Parameters
    ----------
    estimator : estimator instance
        Fitted embedder, or a Pipeline that holds one.

    X : array-like of shape (n_samples, n_features)
        Samples.

    y : array-like of shape (n_samples,)
        Their classes, which may be new ones.

    Returns
    -------
    score : float
        Larger is better.

    See Also
    --------
    recall_at_k_score : The metric.

    Examples
    --------
    >>> from sklearn.datasets import load_iris
    >>> from sklearn.decomposition import PCA
    >>> from skdeep.metrics import recall_at_1
    >>> X, y = load_iris(return_X_y=True)
    >>> f"{recall_at_1(PCA(2).fit(X), X, y):.3f}"
    '0.753'
    """
    return recall_at_k_score(y, embed(estimator, X))


def map_at_r(estimator, X, y):
    """Score an embedder by MAP@R.

    Parameters
    ----------
    estimator : estimator instance
        Fitted embedder, or a Pipeline that holds one.

    X : array-like of shape (n_samples, n_features)
        Samples.

    y : array-like of shape (n_samples,)
        Their classes, which may be new ones.

    Returns
    -------
    score : float
        Larger is better.

    See Also
    --------
    map_at_r_score : The metric.

    Examples
    --------
    >>> from sklearn.datasets import load_iris
    >>> from sklearn.decomposition import PCA
    >>> from skdeep.metrics import map_at_r
    >>> X, y = load_iris(return_X_y=True)
    >>> f"{map_at_r(PCA(2).fit(X), X, y):.3f}"
    '0.588'
    """
    return map_at_r_score(y, embed(estimator, X))


def neg_opis(estimator, X, y):
    """Score an embedder by minus OPIS.

    Alone it may choose embeddings that are equally bad for all classes.

    Parameters
    ----------
    estimator : estimator instance
        Fitted embedder, or a Pipeline that holds one.

    X : array-like of shape (n_samples, n_features)
        Samples.

    y : array-like of shape (n_samples,)
        Their classes, which may be new ones.

    Returns
    -------
    score : float
        Larger is better.

    See Also
    --------
    consistency_constrained_refit : Combines it with an accuracy.

    Examples
    --------
    >>> from sklearn.datasets import load_iris
    >>> from sklearn.decomposition import PCA
    >>> from skdeep.metrics import neg_opis
    >>> X, y = load_iris(return_X_y=True)
    >>> f"{neg_opis(PCA(2).fit(X), X, y):.3f}"
    '-0.037'
    """
    return -opis_score(y, embed(estimator, X))


def neg_epsilon_opis(estimator, X, y):
    """Score an embedder by minus epsilon-OPIS of the worst tenth of the classes.

    Parameters
    ----------
    estimator : estimator instance
        Fitted embedder, or a Pipeline that holds one.

    X : array-like of shape (n_samples, n_features)
        Samples.

    y : array-like of shape (n_samples,)
        Their classes, which may be new ones.

    Returns
    -------
    score : float
        Larger is better.

    See Also
    --------
    epsilon_opis_score : The metric.

    Examples
    --------
    >>> from sklearn.datasets import load_iris
    >>> from sklearn.decomposition import PCA
    >>> from skdeep.metrics import neg_epsilon_opis
    >>> X, y = load_iris(return_X_y=True)
    >>> f"{neg_epsilon_opis(PCA(2).fit(X), X, y):.3f}"
    '-0.159'
    """
    return -epsilon_opis_score(y, embed(estimator, X))


def mean_utility(estimator, X, y):
    """Score an embedder by its utility, averaged over classes and thresholds.

    Parameters
    ----------
    estimator : estimator instance
        Fitted embedder, or a Pipeline that holds one.

    X : array-like of shape (n_samples, n_features)
        Samples.

    y : array-like of shape (n_samples,)
        Their classes, which may be new ones.

    Returns
    -------
    score : float
        Larger is better.

    See Also
    --------
    utility_curves : The curves that are averaged.

    Examples
    --------
    >>> from sklearn.datasets import load_iris
    >>> from sklearn.decomposition import PCA
    >>> from skdeep.metrics import mean_utility
    >>> X, y = load_iris(return_X_y=True)
    >>> f"{mean_utility(PCA(2).fit(X), X, y):.3f}"
    '0.456'
    """
    return opis_score(y, embed(estimator, X), return_details=True).mean_utility


def verification_frr_scorer(target_far=0.01):
    """Make a scorer: minus the FRR at the threshold for a FAR.

    Parameters
    ----------
    target_far : float, default=0.01
        False accept rate over all negative pairs of the scored rows.

    Returns
    -------
    scorer : callable
        ``scorer(estimator, X, y) -> float``.

    Examples
    --------
    >>> from skdeep.metrics import verification_frr_scorer
    >>> verification_frr_scorer(0.05).metric_params
    {'target_far': 0.05}
    """
    check_share("target_far", target_far)
    return make_embedding_scorer(
        _frr_at_far, greater_is_better=False, metric_params={"target_far": target_far}
    )


def _frr_at_far(y_true, embeddings, target_far):
    threshold = threshold_at_far(y_true, embeddings, target_far=target_far)
    return float(far_frr_curve(y_true, embeddings, thresholds=[threshold])[1][0])


def get_embedding_scorers():
    """All scorers of embedders, by name, for `scoring=` of a search.

    Returns
    -------
    scorers : dict of str to callable
        A new dict, free to change.

    Examples
    --------
    >>> from skdeep.metrics import get_embedding_scorers
    >>> list(get_embedding_scorers())[:3]
    ['recall_at_1', 'map_at_r', 'mean_utility']
    """
    return {
        "recall_at_1": recall_at_1,
        "map_at_r": map_at_r,
        "mean_utility": mean_utility,
        "neg_opis": neg_opis,
        "neg_epsilon_opis": neg_epsilon_opis,
        "neg_verification_frr": verification_frr_scorer(),
    }


def consistency_constrained_refit(
    accuracy="recall_at_1", consistency="neg_opis", tolerance=0.01
):
    """Choose the most consistent candidate among the nearly most accurate ones.

    Parameters
    ----------
    accuracy : str, default="recall_at_1"
        Name of the score that must stay within `tolerance` of the best candidate's.

    consistency : str, default="neg_opis"
        Name of the score that is maximised among those candidates.

    tolerance : float, default=0.01
        Loss of accuracy that is acceptable.

    Returns
    -------
    refit : callable
        For `refit=` of a search whose `scoring` is a dict with both names. Such a search
        has no score of its own: use ``search.best_estimator_.score``.

    Examples
    --------
    >>> from skdeep.metrics import consistency_constrained_refit
    >>> refit = consistency_constrained_refit(tolerance=0.02)
    >>> int(refit({
    ...     "mean_test_recall_at_1": [0.90, 0.89, 0.40],
    ...     "mean_test_neg_opis": [-0.03, -0.01, -0.00],
    ... }))
    1
    """
    if not isinstance(tolerance, Real) or not tolerance >= 0:
        raise ValueError(f"`tolerance` must be a number >= 0; got {tolerance!r}.")
    return partial(
        _most_consistent,
        accuracy=accuracy,
        consistency=consistency,
        tolerance=tolerance,
    )


def _most_consistent(cv_results, *, accuracy, consistency, tolerance):
    """Index of the chosen candidate of `cv_results_`."""
    scores = []
    for name in (accuracy, consistency):
        key = f"mean_test_{name}"
        if key not in cv_results:
            known = [k[10:] for k in cv_results if k.startswith("mean_test_")]
            raise ValueError(
                f"The search has no score {name!r}, only {known}; add it to `scoring`, "
                "or name another one in consistency_constrained_refit."
            )
        scores.append(np.asarray(cv_results[key], dtype=np.float64))
    usable = np.isfinite(scores[0]) & np.isfinite(scores[1])
    if not usable.any():
        raise ValueError(
            f"Every candidate failed: no finite {accuracy!r} and {consistency!r}."
        )
    floor = scores[0][usable].max() - tolerance
    allowed = usable & (scores[0] >= floor - 1e-12)
    return int(np.where(allowed, scores[1], -np.inf).argmax())
