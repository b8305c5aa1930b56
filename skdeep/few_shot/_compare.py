"""Few-shot classifiers side by side, on the same episodes."""

from skdeep.model_selection import EpisodeSampler
from skdeep.model_selection._episode_scores import interval_of
from skdeep.model_selection._few_shot_score import score_each


def compare_few_shot(
    estimators,
    X,
    y,
    *,
    baseline=None,
    n_way=5,
    n_shot=1,
    n_query=15,
    n_episodes=600,
    balance="balanced",
    unlabeled="auto",
    groups=None,
    random_state=None,
):
    """Measure several estimators on the same few-shot episodes.

    Most of what the accuracy of an episode depends on is the draw of its rows. It is the
    same for all estimators, so intervals of differences are narrower than those of the
    accuracies tell.

    Parameters
    ----------
    estimators : dict of str to estimator
        Classifiers, meta-learners, pipelines, as in `few_shot_score`.

    X : array-like or sparse matrix of shape (n_samples, ...)
        Rows of classes on which no meta-learner was trained.

    y : array-like of shape (n_samples,)
        Their classes. Rows with the label -1 are not drawn.

    baseline : str or None, default=None
        Name of the estimator with which the others are compared; None is the first one.

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

    unlabeled : {"auto", "query", "none"}, int, or dict of them by name, default="auto"
        Rows without a label to learn from, as in `few_shot_score`. An int for all of
        them is for those that learn from such rows; the others get none. In a dict,
        names that are missing are "auto".

    groups : array-like of shape (n_samples,), default=None
        Groups of rows, such as alphabets or customers; an episode stays within one.

    random_state : int, RandomState instance or None, default=None
        Seeds the episodes.

    Returns
    -------
    rows : list of dict
        For each estimator: ``"name"``, ``"mean"`` of the accuracies and ``"ci95"``, half
        the width of its 95 % interval; ``"difference"`` to the baseline, with its
        ``"difference_ci95"`` from the differences of each episode; ``"seconds"`` of
        processor time an episode. ``pandas.DataFrame(rows)`` makes a table of it.

    See Also
    --------
    skdeep.model_selection.few_shot_score : One estimator.
    skdeep.metrics.FewShotDisplay : A picture, for several numbers of shots.

    Notes
    -----
    As many fits and predictions as there are episodes, for each estimator.

    Examples
    --------
    What do rows without a label bring?

    >>> from sklearn.datasets import load_digits
    >>> from sklearn.semi_supervised import LabelSpreading
    >>> from skdeep.few_shot import compare_few_shot
    >>> X, y = load_digits(return_X_y=True)
    >>> spreading = LabelSpreading(gamma=1, alpha=0.5)
    >>> rows = compare_few_shot(
    ...     {"alone": spreading, "with the pile": spreading},
    ...     X / 16,
    ...     y,
    ...     n_episodes=50,
    ...     unlabeled={"alone": "none"},
    ...     random_state=0,
    ... )
    >>> gain = rows[1]
    >>> f"{gain['mean']:.2f}, {gain['difference']:+.2f} +- {gain['difference_ci95']:.2f}"
    '0.85, +0.08 +- 0.01'
    """
    sampler = EpisodeSampler(
        n_way,
        n_shot,
        n_query,
        n_episodes,
        balance=balance,
        random_state=random_state,
    )
    if baseline is not None and baseline not in estimators:
        raise ValueError(
            f"`baseline` must be one of {list(estimators)}; got {baseline!r}."
        )
    results = score_each(estimators, X, y, sampler, unlabeled, groups)
    reference = results[next(iter(results)) if baseline is None else baseline]
    rows = []
    for name, result in results.items():
        differences = result.scores - reference.scores
        rows.append(
            {
                "name": name,
                "mean": result.mean,
                "ci95": result.ci95,
                "difference": float(differences.mean()),
                "difference_ci95": interval_of(differences),
                "seconds": result.seconds / len(result.scores),
            }
        )
    return rows
