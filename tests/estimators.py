"""The one list of estimators that the common tests run on.

A new method joins all common tests by one line in `CASES`.
"""

from dataclasses import dataclass

import numpy as np
import scipy.sparse as sp
from sklearn.base import clone, is_clusterer
from sklearn.datasets import make_blobs, make_multilabel_classification

from skdeep import (
    DynamicChainClassifier,
    HiLanderClusterer,
    SemiSupervisedMetaLearner,
    TCMEmbedder,
)

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

    min_score : float, default=0.8
        What its own score reaches on other rows, after two epochs already.

    same_when_sparse : dict, default={}
        Parameters with which sparse rows are treated like dense ones, up to rounding.

    diverges : bool, default=True
        Whether steps that are far too long make its loss infinite.

    note : str, default=""
        What tells two cases of one class and target apart.

    stages : tuple of int, default=(1,)
        Trainings that a fit consists of, with the epochs that each of them runs for
        each of ``max_epochs``.

    earlier : tuple of int, default=()
        Epochs of trainings before those, of other networks. Callbacks hear of them; the
        history does not tell.

    bytes_per_row : int, default=0
        How much a sample adds to the fitted state, by its label and the like.

    contract : bool, default=True
        Whether the checks of scikit-learn are for it: they want a clusterer to do
        without labels.
    """

    estimator: object
    make_data: object
    target: str = "single"
    by_row: bool = True
    images: bool = False
    contradicting: dict = None
    min_score: float = 0.8
    same_when_sparse: dict = None
    diverges: bool = True
    note: str = ""
    stages: tuple = (1,)
    earlier: tuple = ()
    bytes_per_row: int = 0
    contract: bool = True

    def __post_init__(self):
        self.contradicting = self.contradicting or {}
        self.same_when_sparse = self.same_when_sparse or {}

    @property
    def name(self):
        return type(self.estimator).__name__

    @property
    def id(self):
        """Name of the case in the list of tests."""
        target = "" if self.target == "single" else self.target
        return "-".join(filter(None, [self.name, target, self.note]))

    def n_epochs(self, max_epochs=None):
        """Epochs that a fit runs."""
        return sum(self.stages) * (max_epochs or self.estimator.max_epochs)

    def n_heard(self):
        """Epochs that callbacks of skorch hear of."""
        return self.n_epochs() + sum(self.earlier)

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
    for name, answer in found.items():
        if sp.issparse(answer):  # features of sparse samples that no network has made
            assert sp.issparse(X)
            found[name] = answer.toarray()
    if is_clusterer(estimator):  # labels alone tell little about the network
        found["density"] = estimator.cluster(X).density
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
        if name == "predict" and is_clusterer(estimator):
            np.testing.assert_array_equal(np.unique(answer), range(answer.max() + 1))
            continue
        if name == "predict":
            known = estimator.classes_ if answer.ndim == 1 else (0, 1)
            assert np.isin(answer, known).all()
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


def four_labels():
    """Four labels that depend on each other, on 90 samples, and 20 more rows."""
    X, Y = make_multilabel_classification(
        110, n_features=5, n_classes=4, random_state=0
    )
    X = 0.1 * X
    for array in (X, Y):
        array.flags.writeable = False
    return X[:90], Y[:90], X[90:]


def small_chain():
    """A chain classifier that trains in a moment."""
    return DynamicChainClassifier(
        n_estimators=2,
        proba="path",
        max_grad_norm=None,
        max_epochs=3,
        lr=0.01,
        hidden_layer_sizes=(16,),
        hidden_size=8,
        label_size=8,
        random_state=0,
        device="cpu",
    )


def small_clusterer(**params):
    """A clusterer that trains in a moment."""
    return HiLanderClusterer(
        n_neighbors=6, max_epochs=3, lr=0.01, random_state=0, device="cpu"
    ).set_params(**params)


def small_learner(**params):
    """A meta-learner that trains in a moment."""
    return SemiSupervisedMetaLearner(
        max_epochs=3,
        episodes_per_epoch=16,
        batch_size=8,
        n_query=5,
        n_shot=(1, 2),
        n_validation_episodes=4,
        lr=0.01,
        random_state=0,
        device="cpu",
    ).set_params(**params)


# sparse rows are scaled, dense ones standardised; each kind has its own first look
UNSCALED = {"first_look": None, "input_scale": 1.0}

CASES = [
    Case(
        small_chain(),
        three_blobs,
        contradicting={"n_estimators": 1, "n_rollouts": 1},
        same_when_sparse=UNSCALED,
        diverges=False,  # states and read-outs are bounded
        bytes_per_row=1000,  # more leaves of 300 trees
    ),
    Case(
        small_chain(),
        four_labels,
        target="multilabel",
        min_score=0.15,
        same_when_sparse=UNSCALED,
        diverges=False,  # states and read-outs are bounded
        bytes_per_row=1000,  # more leaves of 300 trees
    ),
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
        # Adam would turn rounding errors of tiny gradients into steps
        same_when_sparse={"optimizer": "sgd", "lr": 0.5},
    ),
    Case(
        small_clusterer(hidden_layer_sizes=(8,)),
        three_blobs,
        by_row=False,
        contradicting={},
        stages=(1, 1, 3, 3),
        bytes_per_row=128,
    ),
    Case(
        small_clusterer(mode="paper", hidden_size=8),
        three_blobs,
        note="paper",
        contract=False,
        bytes_per_row=128,
        by_row=False,
        contradicting={
            "fit_levels": (2, 3),
            "metric": "precomputed",
            "allow_other_dim": True,
        },
    ),
    Case(
        small_learner(),
        three_blobs,
        images=True,
        contradicting={"n_way": (3, 2), "n_shot": (2, 1)},
        same_when_sparse={"power": 1.0},  # chosen by trial for dense rows only
    ),
    Case(
        small_learner(
            backbone="mlp",
            backbone_max_epochs=9,
            backbone_lr=0.02,
            hidden_layer_sizes=(16,),
            n_components=8,
        ),
        three_blobs,
        note="mlp",
        earlier=(9,),
        images=True,
        contradicting={"n_way": (3, 2)},
    ),
]
IDS = [case.id for case in CASES]
