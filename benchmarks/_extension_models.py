"""Ways to teach a trained classifier new classes: ours, and what is done today."""

import time
import warnings

import numpy as np
import scipy.sparse as sp
from sklearn.exceptions import ConvergenceWarning
from sklearn.linear_model import LogisticRegression, SGDClassifier
from sklearn.neural_network import MLPClassifier
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import MaxAbsScaler

from skdeep.transfer import AdapterExtender


def ours(case, seed, **params):
    """An extender around the source."""
    pool = params.pop("pool", False)
    est = AdapterExtender(case.source, device="cpu", random_state=seed, **params)
    extra = {"X_unlabeled": case.X_pool} if pool else {}
    return est.fit(case.X_new, case.y_new, **extra).predict(case.X_test)


def partial_fit(case, seed, network=False):
    """A model that had all classes declared beforehand, trained on by `partial_fit`."""
    model = (
        MLPClassifier((100,), random_state=seed)
        if network
        else SGDClassifier(loss="log_loss", random_state=seed)
    )
    scaler = MaxAbsScaler().fit(case.X_source)
    old, new = scaler.transform(case.X_source), scaler.transform(case.X_new)
    classes = np.unique(np.concatenate([case.y_source, case.y_new]))
    for _ in range(30):
        model.partial_fit(old, case.y_source, classes=classes)
    for _ in range(30):
        model.partial_fit(new, case.y_new)
    return model.predict(scaler.transform(case.X_test))


def plain_model(case, class_weight=None):
    """The classifier that is trained anew."""
    C = 10 if sp.issparse(case.X_new) else 1
    model = LogisticRegression(C=C, max_iter=300, class_weight=class_weight)
    return make_pipeline(MaxAbsScaler(), model)


def target_only(case, seed):
    """A classifier of the new data alone."""
    if len(np.unique(case.y_new)) < 2:
        return np.full(case.X_test.shape[0], case.y_new[0])
    return plain_model(case).fit(case.X_new, case.y_new).predict(case.X_test)


def all_data(case, seed):
    """A classifier of old and new data together: what nobody has."""
    stack = sp.vstack if sp.issparse(case.X_new) else np.concatenate
    X = stack([case.X_source, case.X_new])
    y = np.concatenate([case.y_source, case.y_new])
    return plain_model(case, "balanced").fit(X, y).predict(case.X_test)


def stacking_by_hand(case, seed):
    """Logistic regression on features and log probabilities of the source."""

    def both(X):
        parts = [X, np.log(np.clip(case.source.predict_proba(X), 1e-6, 1))]
        return sp.hstack(parts, "csr") if sp.issparse(X) else np.hstack(parts)

    model = plain_model(case).fit(both(case.X_new), case.y_new)
    return model.predict(both(case.X_test))


def source_alone(case, seed):
    """The source, which cannot know a new class."""
    return case.source.predict(case.X_test)


PEERS = {
    "source": source_alone,
    "target only": target_only,
    "SGDClassifier.partial_fit": partial_fit,
    "MLPClassifier.partial_fit": lambda case, seed: partial_fit(case, seed, True),
    "stacking by hand": stacking_by_hand,
    "all data (bound)": all_data,
}
OURS = {
    "auto": {},
    "adapter": {"method": "adapter"},
    "stacking": {"method": "stacking"},
    "stacking, no skip": {"method": "stacking", "skip_connection": False},
    "finetune": {"method": "finetune"},
    "gate": {"method": "gate"},
    "gate, knn": {"method": "gate", "novelty": "knn"},
    "gate, mahalanobis": {"method": "gate", "novelty": "mahalanobis"},
    "gate, pool": {"method": "gate", "pool": True},
}


def run_model(name, case, seed):
    """Predictions of a model, and CPU seconds."""
    start = time.process_time()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", UserWarning)
        warnings.simplefilter("ignore", ConvergenceWarning)
        if name in PEERS:
            labels = PEERS[name](case, seed)
        else:
            labels = ours(case, seed, **OURS[name.removeprefix("ours: ")])
    return labels, time.process_time() - start
