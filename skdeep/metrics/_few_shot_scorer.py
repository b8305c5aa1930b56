"""Scorer for few-shot classification, for `GridSearchCV` and `cross_validate`.

The test part of a fold holds classes that were not trained on; the scorer deals out
episodes of them. See `skdeep.model_selection.ClassDisjointKFold` for such folds.
"""

from skdeep.model_selection._episodes import EpisodeSampler
from skdeep.model_selection._few_shot_score import check_mode, few_shot_score


def make_few_shot_scorer(
    *,
    n_way=5,
    n_shot=1,
    n_query=15,
    n_episodes=600,
    balance="balanced",
    unlabeled="auto",
    random_state=0,
):
    """Make a scorer: mean accuracy over few-shot episodes of the rows to be scored.

    Parameters
    ----------
    n_way : int, default=5
        Classes of an episode. Lowered, under a warning, if there are fewer.

    n_shot : int, default=1
        Labelled rows of each class.

    n_query : int, default=15
        Rows a class that are to be classified.

    n_episodes : int, default=600
        Number of episodes.

    balance : "balanced" or float, default="balanced"
        Shares of the classes in the query: equal, or drawn from a Dirichlet
        distribution with this concentration.

    unlabeled : {"auto", "query", "none"} or int, default="auto"
        Rows without a label to learn from, as in `few_shot_score`.

    random_state : int, RandomState instance or None, default=0
        Seeds the episodes. An int gives each candidate of a search the same ones, so
        that differences are not those of the draws; other values do not.

    Returns
    -------
    scorer : callable
        ``scorer(estimator, X, y) -> float``, or with `groups` as a fourth argument. A
        meta-learner is adapted to the classes of `y`; another estimator is cloned and
        fitted for each episode.

    See Also
    --------
    skdeep.model_selection.few_shot_score : The same with an interval.
    skdeep.model_selection.ClassDisjointKFold : Folds in which the classes are new.

    Examples
    --------
    >>> from sklearn.datasets import load_digits
    >>> from sklearn.model_selection import GridSearchCV
    >>> from sklearn.semi_supervised import LabelSpreading
    >>> from skdeep.metrics import make_few_shot_scorer
    >>> from skdeep.model_selection import ClassDisjointKFold
    >>> X, y = load_digits(return_X_y=True)
    >>> search = GridSearchCV(
    ...     LabelSpreading(alpha=0.5),
    ...     {"gamma": [1, 10, 100]},
    ...     scoring=make_few_shot_scorer(n_episodes=30),
    ...     cv=ClassDisjointKFold(2),
    ... )
    >>> search.fit(X / 16, y).best_params_
    {'gamma': 10}
    """
    params = {
        "n_way": n_way,
        "n_shot": n_shot,
        "n_query": n_query,
        "n_episodes": n_episodes,
        "balance": balance,
        "random_state": random_state,
    }
    # a search would report the error of each of its folds, not that of the scorer
    EpisodeSampler(**params)
    check_mode(unlabeled, "make_few_shot_scorer")
    return _FewShotScorer({**params, "unlabeled": unlabeled})


class _FewShotScorer:
    """Callable with an explicit state: pickles and prints well."""

    def __init__(self, params):
        self.params = params

    def __call__(self, estimator, X, y, groups=None):
        return few_shot_score(estimator, X, y, groups=groups, **self.params).mean

    def __repr__(self):
        arguments = [f"{name}={value!r}" for name, value in self.params.items()]
        return f"make_few_shot_scorer({', '.join(arguments)})"
