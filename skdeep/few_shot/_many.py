"""Classifiers for many tasks at once."""

import contextlib
import copy

import numpy as np
import scipy.sparse as sp
from sklearn.pipeline import Pipeline
from sklearn.utils import check_consistent_length, gen_batches

from skdeep.base import use_one_thread_after_fork
from skdeep.few_shot._adapting import TaskRows, adapt_to_tasks
from skdeep.few_shot._classifier import FewShotClassifier
from skdeep.few_shot._labels import encode_partly
from skdeep.few_shot._learned import check_codes

_PARTS_AT_ONCE = 64  # tables of usual size that stay in the cache


def adapt_classifiers(learner, problems, options):
    """Make a classifier for each task.

    Parameters
    ----------
    learner : fitted SemiSupervisedMetaLearner

    problems : list of (X_support, y_support, X_unlabeled or None)

    options : dict
        Parameters of `FewShotClassifier`, beside those that the learner has.

    Returns
    -------
    classifiers : list of FewShotClassifier
    """
    use_one_thread_after_fork()
    problems = list(problems)
    if not problems:
        return []
    own = {
        name: getattr(learner, name)
        for name in ("class_prior", "outlier_weight", "unlabeled_label")
    }
    prototype = FewShotClassifier(learner, **own | options)
    prototype._validate_params()
    learned = learner._as_learned()
    problems = _complete(problems)
    parts = [part for X, _, pile in problems for part in (X, pile)]
    rows = _transform_together(learned.learner, parts)
    tasks, labels = [], []
    for number, (_, y, _) in enumerate(problems):
        support, pile = rows[2 * number : 2 * number + 2]
        mark = prototype.unlabeled_label
        classes, codes = encode_partly(prototype, y, mark, two_classes=False)
        check_consistent_length(support, codes)
        check_codes(prototype, codes)
        if (codes < 0).any():
            marked, support = support[codes < 0], support[codes >= 0]
            pile = marked if pile is None else _stack([marked, pile])
        known = codes[codes >= 0]
        tasks.append(TaskRows(support, known, support[:0] if pile is None else pile))
        labels.append((classes, codes))
    sizes = {len(classes) for classes, _ in labels}
    how = [learned.how(prototype, n_classes) for n_classes in sizes][0]
    found = adapt_to_tasks(tasks, how)
    classifiers = []
    for task, (classes, codes), (state, proba) in zip(tasks, labels, found):
        classifier = copy.copy(prototype)
        for name in ("n_features_in_", "feature_names_in_"):
            if hasattr(learner, name):
                setattr(classifier, name, getattr(learner, name))
        answer = proba.argmax(axis=1) if task.sizes[1] else np.zeros(0, np.int64)
        n_marked = (codes < 0).sum()
        codes = codes.copy()
        codes[codes < 0] = answer[:n_marked]
        codes = np.concatenate([codes, answer[n_marked:]])
        classifiers.append(classifier._keep(classes, task, state, codes))
    return classifiers


def _complete(problems):
    """Problems as triples; the last item may be left out."""
    for number, problem in enumerate(problems):
        is_tuple = isinstance(problem, (tuple, list))
        if not is_tuple or len(problem) not in (2, 3):
            found = type(problem).__name__
            found += f" of length {len(problem)}" if is_tuple else ""
            raise ValueError(
                "Each problem must be a tuple (X_support, y_support, X_unlabeled), of "
                "which the last may be None or left out; problem "
                f"{number} is of type {found}."
            )
        problems[number] = (*problem, None)[:3]
        if problem[0] is None or np.shape(problem[0])[:1] == (0,):
            raise ValueError(
                f"X_support of problem {number} is empty: a classifier needs labelled "
                "rows."
            )
    return problems


def _transform_together(learner, parts):
    """Unit rows of several tables, of which some may be None or empty, in one go."""
    is_given = [part is not None and np.shape(part)[:1] != (0,) for part in parts]
    given = [part for part, there in zip(parts, is_given) if there]
    alike = all(isinstance(part, np.ndarray) for part in given) and (
        len({part.shape[1:] for part in given}) == 1
    )
    if alike:
        with contextlib.suppress(ValueError):  # which one it is comes out below
            found = []
            for some in gen_batches(len(given), _PARTS_AT_ONCE):
                rows = learner._unit_rows(np.concatenate(given[some]), overwrite=True)
                ends = np.cumsum([len(part) for part in given[some]])
                found += np.split(rows, ends[:-1])
            found = iter(found)
            return [next(found) if there else None for there in is_given]
    names = ("X_support", "X_unlabeled")
    return [
        _unit_rows(learner, part, names[number % 2]) if is_given[number] else None
        for number, part in enumerate(parts)
    ]


def _unit_rows(learner, X, name):
    try:
        return learner._unit_rows(X)
    except ValueError as error:
        raise ValueError(f"{name}: {error}") from error


def _stack(parts):
    if any(sp.issparse(part) for part in parts):
        return sp.vstack(parts, format="csr")
    return np.concatenate(parts)


def adapt(estimator, X_support, y_support, X_unlabeled=None, **options):
    """Make a classifier for new classes from a fitted learner or pipeline.

    Parameters
    ----------
    estimator : fitted SemiSupervisedMetaLearner or Pipeline that ends with one
        What was learned on other classes.

    X_support : array-like of shape (n_support, ...)
        Rows with a label, as `estimator` takes them.

    y_support : array-like of shape (n_support,)
        Labels of at least two classes.

    X_unlabeled : array-like of shape (n_unlabeled, ...), default=None
        Rows without a label.

    **options : dict
        Parameters of `FewShotClassifier`.

    Returns
    -------
    classifier : FewShotClassifier or Pipeline
        Fitted. For a pipeline it is a pipeline with the same earlier steps, which are
        shared and not fitted again.

    Examples
    --------
    >>> from sklearn.datasets import load_digits
    >>> from sklearn.pipeline import make_pipeline
    >>> from sklearn.preprocessing import MinMaxScaler
    >>> from skdeep.few_shot import SemiSupervisedMetaLearner, adapt
    >>> X, y = load_digits(return_X_y=True)
    >>> learner = SemiSupervisedMetaLearner(phi="pretrained")
    >>> known = make_pipeline(MinMaxScaler(), learner).fit(X[y < 5], y[y < 5])
    >>> new = adapt(known, X[5:10], y[5:10], X[y >= 5])
    >>> new.predict(X[5:8])
    array([5, 6, 7])
    """
    last = estimator[-1] if isinstance(estimator, Pipeline) else estimator
    if not hasattr(last, "adapt"):
        raise TypeError(
            "`estimator` must be a fitted SemiSupervisedMetaLearner or a pipeline that "
            f"ends with one; {type(last).__name__} cannot be adapted."
        )
    if not isinstance(estimator, Pipeline):
        return estimator.adapt(X_support, y_support, X_unlabeled, **options)
    earlier, learner = estimator[:-1], estimator[-1]
    if len(earlier):
        X_support = earlier.transform(X_support)
        X_unlabeled = None if X_unlabeled is None else earlier.transform(X_unlabeled)
    classifier = learner.adapt(X_support, y_support, X_unlabeled, **options)
    return Pipeline([*earlier.steps, ("fewshotclassifier", classifier)])
