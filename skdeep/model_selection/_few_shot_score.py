"""Accuracy of few-shot classification, with an interval, for any kind of classifier."""

from numbers import Integral

from sklearn.utils import check_consistent_length

from skdeep.model_selection._episode_scores import (
    learns_from_unlabeled,
    mark_of,
    score_episodes,
)
from skdeep.model_selection._episodes import (
    POSITIVE_INT,
    EpisodeSampler,
    sample_episodes,
)
from skdeep.utils._params import StrOptions, check_param


def few_shot_score(
    estimator,
    X,
    y,
    *,
    n_way=5,
    n_shot=1,
    n_query=15,
    n_episodes=600,
    balance="balanced",
    unlabeled="auto",
    groups=None,
    random_state=None,
):
    """Mean accuracy over few-shot episodes, with its 95 % interval.

    Each episode draws `n_way` classes and `n_shot` rows of each, from which the
    estimator learns; then it classifies other rows of these classes, the query. The
    classes are named 0, 1, ... in random order.

    Parameters
    ----------
    estimator : estimator instance
        A classifier, which is cloned and fitted anew in each episode; or a fitted
        meta-learner with `adapt_many`, which is neither cloned nor changed. A Pipeline
        that ends with a fitted meta-learner is used as it is, too; any other Pipeline
        is cloned and fitted.

    X : array-like or sparse matrix of shape (n_samples, ...)
        Rows, as `estimator` takes them. Their classes should be new to a meta-learner.

    y : array-like of shape (n_samples,)
        Classes of the rows. Rows with the label -1, or `unlabeled_label` if the
        estimator has this parameter, are not drawn.

    n_way : int, default=5
        Classes of an episode. Lowered, under a warning, if there are fewer.

    n_shot : int, default=1
        Support rows of each class.

    n_query : int, default=15
        Query rows a class; an episode has ``n_way * n_query``.

    n_episodes : int, default=600
        Number of episodes.

    balance : "balanced" or float, default="balanced"
        Shares of the classes in the query: equal, or drawn from a Dirichlet
        distribution with this concentration.

    unlabeled : {"auto", "query", "none"} or int, default="auto"
        Rows without a label to learn from.

        - "query": those of the query, which are scored.
        - "none": no rows. The query is classified afterwards, by `predict`.
        - int: so many further rows a class, in the class shares of the query, which
          again is classified afterwards.
        - "auto": "query" for what learns from rows without a label (meta-learners,
          classifiers with the attribute ``learns_from_unlabeled = True``, those of
          ``sklearn.semi_supervised``, and pipelines that end with one), "none" for
          others.

    groups : array-like of shape (n_samples,), default=None
        Groups of rows, such as alphabets or customers; an episode stays within one.

    random_state : int, RandomState instance or None, default=None
        Seeds the episodes. An int gives the same ones for each estimator.

    Returns
    -------
    result : Bunch
        ``mean`` of the accuracies, ``ci95`` (half the width of the interval, 1.96
        standard deviations of the mean), ``scores``: ndarray of shape (n_episodes,)
        with the accuracies, ``n_way``, as lowered, and ``seconds`` of processor time
        for all episodes.

    See Also
    --------
    EpisodeSampler : The episodes, as a splitter.
    skdeep.metrics.make_few_shot_scorer : The same for a search over parameters.

    Notes
    -----
    A fit and a prediction an episode. A classifier that predicts in `fit`, as those with
    the attribute `transduction_` do, is not asked again for the query. The interval
    tells how much the mean depends on the draw of episodes, not how much on the classes
    or on the training of a meta-learner. O(n_samples log n_samples) beside the fits.

    Examples
    --------
    What do the query rows bring, beside one labelled row of each class?

    >>> from sklearn.datasets import load_digits
    >>> from sklearn.semi_supervised import LabelSpreading
    >>> from skdeep.model_selection import few_shot_score
    >>> X, y = load_digits(return_X_y=True)
    >>> for unlabeled in ("none", "query"):
    ...     result = few_shot_score(
    ...         LabelSpreading(gamma=1),
    ...         X / 16,
    ...         y,
    ...         n_episodes=50,
    ...         unlabeled=unlabeled,
    ...         random_state=0,
    ...     )
    ...     print(f"{unlabeled}: {result.mean:.2f} +- {result.ci95:.2f}")
    none: 0.77 +- 0.02
    query: 0.82 +- 0.03
    """
    check_mode(unlabeled, "few_shot_score")
    sampler = EpisodeSampler(
        n_way,
        n_shot,
        n_query,
        n_episodes,
        balance=balance,
        random_state=random_state,
        unlabeled=mark_of(estimator),
    )
    check_consistent_length(X, y)
    n_extra = unlabeled if isinstance(unlabeled, Integral) else 0
    episodes = sample_episodes(sampler, y, groups, n_extra=n_extra)
    return score_episodes(estimator, X, episodes, unlabeled)


def score_each(estimators, X, y, sampler, unlabeled, groups=None, *, most_shots=0):
    """Score several estimators on the same episodes.

    Parameters
    ----------
    estimators : dict of str to estimator
        What to score.

    X : array-like or sparse matrix of shape (n_samples, ...)
        Rows.

    y : array-like of shape (n_samples,)
        Their classes.

    sampler : EpisodeSampler
        What to draw.

    unlabeled : {"auto", "query", "none"}, int, or dict of them by name
        As in `few_shot_score`. An int for all of them is for those that learn from rows
        without a label; the others get none. A name that a dict has not is "auto".

    groups : array-like of shape (n_samples,), default=None
        Groups of rows.

    most_shots : int, default=0
        Classes that have not enough rows for so many shots are left out.

    Returns
    -------
    results : dict of str to Bunch
        As of `few_shot_score`.
    """
    if not isinstance(estimators, dict) or not estimators:
        raise ValueError(
            "`estimators` must be a dict of at least one estimator by name; got "
            f"{estimators!r}."
        )
    modes = _modes_of(estimators, unlabeled)
    sizes = {mode for mode in modes.values() if isinstance(mode, Integral)}
    if len(sizes) > 1:
        raise ValueError(
            f"`unlabeled` has the numbers {sorted(sizes)}; all estimators see the same "
            "further rows, so give one number."
        )
    check_consistent_length(X, y)
    episodes = sample_episodes(
        sampler,
        y,
        groups,
        n_extra=max(sizes, default=0),
        most_shots=most_shots,
        stacklevel=4,
    )
    return {
        name: score_episodes(estimator, X, episodes, modes[name])
        for name, estimator in estimators.items()
    }


def check_mode(unlabeled, owner):
    """Refuse what is no way to give rows without a label."""
    rules = [StrOptions({"auto", "query", "none"}), POSITIVE_INT]
    check_param("unlabeled", unlabeled, rules, owner=owner)


def _modes_of(estimators, unlabeled):
    """How each estimator, by name, gets rows without a label."""
    if isinstance(unlabeled, dict):
        unknown = set(unlabeled) - set(estimators)
        if unknown:
            raise ValueError(
                f"`unlabeled` names {sorted(unknown)}, which `estimators` has not."
            )
        modes = {name: unlabeled.get(name, "auto") for name in estimators}
    else:
        modes = dict.fromkeys(estimators, unlabeled)
    for name, mode in modes.items():
        check_mode(mode, "a few-shot comparison")
        is_common = isinstance(mode, Integral) and mode is unlabeled
        if is_common and not learns_from_unlabeled(estimators[name]):
            modes[name] = "none"
    return modes
