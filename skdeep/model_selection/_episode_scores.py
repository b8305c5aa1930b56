"""How estimators answer few-shot episodes, and how well.

A plain classifier is cloned and fitted on the support rows, together with rows marked -1
if it learns from such rows. A meta-learner, which adapts to tasks without being fitted
again, gets many episodes at once.
"""

import time
from typing import Any, NamedTuple

import numpy as np
from sklearn.base import clone
from sklearn.pipeline import Pipeline
from sklearn.utils import Bunch, indexable

N_TASKS_AT_ONCE = 100


class Task(NamedTuple):
    """Row numbers of one episode, and what the classifier is to know of them."""

    support: np.ndarray
    y_support: np.ndarray
    query: np.ndarray
    pile: Any  # rows given without a label, or None
    in_pile: bool  # whether the pile is the query


def score_episodes(estimator, X, episodes, unlabeled="auto"):
    """Score an estimator on episodes that are drawn already.

    Parameters
    ----------
    estimator : estimator instance
        As in `few_shot_score`.

    X : array-like or sparse matrix of shape (n_samples, ...)
        Rows.

    episodes : Episodes
        Without filling rows.

    unlabeled : {"auto", "query", "none"} or int, default="auto"
        As in `few_shot_score`; an int stands for the extra rows of the episodes.

    Returns
    -------
    result : Bunch
        As of `few_shot_score`.
    """
    start = time.process_time()
    if unlabeled == "auto":
        unlabeled = "query" if learns_from_unlabeled(estimator) else "none"
    X = indexable(X)[0]
    tasks = _tasks_of(episodes, unlabeled)
    if hasattr(_last_step(estimator), "adapt_many"):
        answers = _answers_of_learner(estimator, X, tasks)
    else:
        answers = [_answer_of_clone(estimator, X, task) for task in tasks]
    scores = (np.stack(answers) == episodes.targets).mean(axis=1)
    return Bunch(
        mean=float(scores.mean()),
        ci95=interval_of(scores),
        scores=scores,
        n_way=episodes.classes.shape[1],
        seconds=time.process_time() - start,
    )


def interval_of(scores):
    """Half the width of the 95 % interval of the mean."""
    return float(1.96 * np.std(scores) / np.sqrt(len(scores)))


def learns_from_unlabeled(estimator):
    """Whether rows marked -1, or the pile of a meta-learner, are of use to it."""
    from sklearn.semi_supervised import (
        LabelPropagation,
        LabelSpreading,
        SelfTrainingClassifier,
    )

    estimator = _last_step(estimator)
    known = LabelPropagation, LabelSpreading, SelfTrainingClassifier
    is_marked = getattr(estimator, "learns_from_unlabeled", False)
    return is_marked or isinstance(estimator, known) or hasattr(estimator, "adapt_many")


def mark_of(estimator):
    """Label that marks rows without one: the estimator's own, or -1."""
    return getattr(_last_step(estimator), "unlabeled_label", -1)


def _last_step(estimator):
    return estimator[-1] if isinstance(estimator, Pipeline) else estimator


def _tasks_of(episodes, unlabeled):
    """Tasks with the rows that the mode gives without a label."""
    piles = {"query": episodes.query, "none": [None] * len(episodes.query)}
    piles = piles.get(unlabeled, episodes.extra)
    y_support = episodes.support_targets
    return [
        Task(support, y_support, query, pile, unlabeled == "query")
        for support, query, pile in zip(episodes.support, episodes.query, piles)
    ]


def _answers_of_learner(estimator, X, tasks):
    """Labels of the query rows from a meta-learner, adapted to many tasks at once."""
    learner = _last_step(estimator)
    if learner is not estimator and len(estimator) > 1:
        X = indexable(estimator[:-1].transform(X))[0]
    # the classes of an episode are 0, 1, ..., none of which marks a missing label
    mark = {"unlabeled_label": -1} if hasattr(learner, "unlabeled_label") else {}
    answers = []
    for start in range(0, len(tasks), N_TASKS_AT_ONCE):
        chunk = tasks[start : start + N_TASKS_AT_ONCE]
        triples = [
            (
                take_rows(X, task.support),
                task.y_support,
                None if task.pile is None else take_rows(X, task.pile),
            )
            for task in chunk
        ]
        for classifier, task in zip(learner.adapt_many(triples, **mark), chunk):
            answers.append(_answer(classifier, X, task))
    return answers


def _answer_of_clone(estimator, X, task):
    """Labels of the query rows from a classifier that is fitted for this task."""
    rows, y = task.support, task.y_support
    if task.pile is not None:
        rows = np.concatenate([rows, task.pile])
        y = np.concatenate([y, np.full(len(task.pile), -1)])
    classifier = clone(estimator)
    if hasattr(_last_step(classifier), "unlabeled_label"):
        _last_step(classifier).set_params(unlabeled_label=-1)  # as in y, see above
    classifier.fit(take_rows(X, rows), y)
    if -1 in list(getattr(classifier, "classes_", [])):
        raise ValueError(
            f"{type(_last_step(estimator)).__name__} takes -1, the mark of rows without "
            'a label, for a class; use unlabeled="none", or an estimator that learns '
            "from such rows, e.g. SelfTrainingClassifier around this one."
        )
    return _answer(classifier, X, task)


def _answer(classifier, X, task):
    """Labels of the query: those of the fit if it gave some."""
    fitted = _last_step(classifier)
    # self-training keeps labels of earlier rounds, and -1 where it was never sure
    if task.in_pile and not hasattr(fitted, "labeled_iter_"):
        labels = getattr(fitted, "transduction_", None)
        if labels is not None:
            # of all rows, or of those without a label: the query comes last
            return np.asarray(labels)[-len(task.query) :]
    return classifier.predict(take_rows(X, task.query))


def take_rows(X, rows):
    """Rows of a frame, array, sparse matrix or list."""
    if hasattr(X, "iloc"):
        return X.iloc[rows]
    return X[rows] if hasattr(X, "shape") else [X[row] for row in rows]
