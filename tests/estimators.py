"""The one list of estimators that the common tests run on.

A new method joins all common tests by one line in `CASES`.
"""

from dataclasses import dataclass

import numpy as np
from sklearn.base import clone
from sklearn.datasets import make_blobs

from skdeep import TCMEmbedder

ANSWERS = ("predict_proba", "decision_function", "predict", "transform")


@dataclass
class Case:
    """An estimator, the data that it is tried on, and what it promises beyond.

    Parameters
    ----------
    estimator : estimator
        Unfitted, small, with a fixed seed.

    make_data : callable
        Returns X and y for `fit`, and other rows to ask about.

    target : {"single", "multilabel"}, default="single"
        What `y` is: a label for each sample, or an indicator matrix.

    by_row : bool, default=True
        Whether the answer to a row is independent of the other rows.

    images : bool, default=False
        Whether X may have the shape (n_samples, channels, height, width).

    contradicting : dict, default={}
        Parameters that are legal alone but not beside the others: name -> value.
    """

    estimator: object
    make_data: object
    target: str = "single"
    by_row: bool = True
    images: bool = False
    contradicting: dict = None

    def __post_init__(self):
        self.contradicting = self.contradicting or {}

    @property
    def name(self):
        return type(self.estimator).__name__

    def new(self, **params):
        """Unfitted copy with some other parameters."""
        return clone(self.estimator).set_params(**params)

    def fitted(self, **params):
        """Fitted copy."""
        X, y, _ = self.make_data()
        return self.new(**params).fit(X, y)


def answers(estimator, X):
    """All that a fitted estimator says about rows: a dict, method name -> array."""
    found = {name: getattr(estimator, name)(X) for name in callables(estimator)}
    assert found
    return found


def callables(estimator):
    """Names of the methods that answer for rows."""
    return [name for name in ANSWERS if hasattr(estimator, name)]


def assert_same_answers(one, other):
    """Two dicts of answers are equal bit for bit."""
    assert one.keys() == other.keys()
    for name in one:
        assert one[name].dtype == other[name].dtype
        np.testing.assert_array_equal(one[name], other[name], err_msg=name)


def assert_valid_answers(estimator, X, n_samples):
    """Answers have the right length, are finite and keep to their range."""
    for name, answer in answers(estimator, X).items():
        assert len(answer) == n_samples
        if name == "predict":
            assert np.isin(answer, estimator.classes_).all()
            continue
        assert np.isfinite(answer).all()
        if name == "predict_proba":
            assert (answer >= 0).all()
            assert (answer <= 1).all()


def three_blobs(dtype=np.float64):
    """Three classes of 30 samples, and 20 more rows."""
    X, y = make_blobs(110, n_features=5, centers=3, random_state=0, cluster_std=0.5)
    X = X.astype(dtype)
    for array in (X, y):
        array.flags.writeable = False
    return X[:90], y[:90], X[90:]


CASES = [
    Case(
        TCMEmbedder(
            n_components=4,
            hidden_layer_sizes=(8,),
            max_epochs=3,
            lr=0.01,
            random_state=0,
            device="cpu",
        ),
        three_blobs,
        images=True,
        contradicting={"neg_margin": 0.95, "pos_margin": -1},
    ),
]
IDS = [case.name for case in CASES]
