"""Rows as the methods of the extender see them, small enough to count."""

import numpy as np
import scipy.sparse as sp
from scipy.special import log_softmax
from sklearn.linear_model import LogisticRegression

from skdeep.transfer import AdapterExtender
from skdeep.transfer._rows import Layout, NewRows

N_OLD, N_CLASSES = 3, 5
LAYOUT = Layout(np.array([4, 0, 2]), N_CLASSES)  # the source has an order of its own
CENTERS = 4 * np.eye(N_CLASSES, 6)


def settings(**params):
    """An extender that does nothing but hold parameters."""
    est = AdapterExtender(LogisticRegression(), device="cpu", random_state=0, **params)
    est.mode_, est.device_, est.annotation_ = "classifier", "cpu", "full"
    est.estimator_, est._feature_place, est._with_scores = est.estimator, "input", False
    return est


def draw(codes, seed=0):
    """Features around a centre for each class, and what a source would say."""
    rng = np.random.RandomState(seed)
    features = CENTERS[codes] + rng.normal(size=(len(codes), CENTERS.shape[1]))
    scores = log_softmax(features @ CENTERS[LAYOUT.old].T / 2, axis=1)
    scores = np.log(np.clip(np.exp(scores), 1e-6, 1))
    return features.astype(np.float32), scores.astype(np.float32)


def make_rows(codes, seed=0, *, sparse=False):
    """Labelled rows of equal weight."""
    codes = np.asarray(codes, dtype=np.int64)
    features, scores = draw(codes, seed)
    if sparse:
        features = sp.csr_matrix(np.where(features > 0.5, features, 0))
    return NewRows(features, scores, codes, np.ones(len(codes), np.float32))


def all_classes(n_rows):
    """Codes of `n_rows` rows of each class."""
    return np.repeat(np.arange(N_CLASSES), n_rows)


def accuracy(log_proba, codes):
    return (log_proba.argmax(axis=1) == codes).mean()
