"""Small estimators for tests of few-shot scores; each row of X is its own row number."""

import numpy as np
from sklearn.base import BaseEstimator, ClassifierMixin, TransformerMixin


class Recorder(ClassifierMixin, BaseEstimator):
    """Keeps what each of its clones was fitted on; always predicts class 0."""

    learns_from_unlabeled = True

    def __init__(self, log):
        self.log = log

    def __sklearn_clone__(self):
        return type(self)(self.log)  # the same list, not a copy

    def fit(self, X, y):
        self.log.append((np.ravel(X).astype(int), np.array(y)))
        self.classes_ = np.unique(y[y != -1])
        return self

    def predict(self, X):
        return np.zeros(len(X), dtype=int)


class NearestMean:
    """What a stand-in for a meta-learner makes of a task."""

    def __init__(self, X, y, X_unlabeled):
        self.means = np.stack([X[y == label].mean(axis=0) for label in np.unique(y)])
        self.n_predicted = 0
        if X_unlabeled is not None:
            self.transduction_ = self._nearest(X_unlabeled)

    def _nearest(self, X):
        return ((X[:, None] - self.means) ** 2).sum(axis=2).argmin(axis=1)

    def predict(self, X):
        self.n_predicted += 1
        return self._nearest(X)


class TinyLearner(BaseEstimator):
    """Stands for a fitted meta-learner: adapts, but can neither be fitted nor cloned."""

    def __init__(self):
        self.batches = []

    def adapt_many(self, tasks):
        self.batches.append([NearestMean(*task) for task in tasks])
        return self.batches[-1]

    def fit(self, X, y):
        raise AssertionError("a meta-learner must not be fitted again")

    def __sklearn_clone__(self):
        raise AssertionError("a meta-learner must not be cloned")

    def __sklearn_is_fitted__(self):
        return True


class Shift(TransformerMixin, BaseEstimator):
    """Fitted step of a pipeline that counts its calls."""

    n_calls = 0

    def fit(self, X, y=None):
        self.fitted_ = True
        return self

    def transform(self, X):
        self.n_calls += 1
        return X + 1.0
