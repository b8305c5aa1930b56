"""What was learned on other classes, wherever it comes from."""

import functools
from typing import Any, NamedTuple

import numpy as np
from sklearn.pipeline import Pipeline
from sklearn.utils.validation import check_is_fitted

from skdeep.exceptions import InvalidParameterError
from skdeep.few_shot._adapting import How
from skdeep.few_shot._features import unit_rows, usual_power
from skdeep.few_shot._rules import RULES
from skdeep.few_shot._training import builtin_adapter
from skdeep.utils._validation import validate_rows

METHODS = {"sib", *RULES}


class Learned(NamedTuple):
    """Where rows go, and how prototypes move.

    Attributes
    ----------
    steps : Pipeline or None
        Transforms X first.

    learner : SemiSupervisedMetaLearner or None
        Makes unit rows of X; None is for rows as they are.

    adapter : torch.nn.Module or None
        For ``method="sib"``.

    method : str
        What to use unless another one is asked for.

    device : str
        Where the adapter is.
    """

    steps: Any
    learner: Any
    adapter: Any
    method: str
    device: str

    def unit_rows(self, owner, X, *, reset):
        """Unit rows, of which `owner` remembers the number and names of columns."""
        if self.learner is None:
            X = validate_rows(owner, X, reset=reset, accept_sparse=True)
            if reset:
                auto = owner.power == "auto"
                owner.power_ = usual_power(X) if auto else float(owner.power)
            return unit_rows(X, owner.power_)
        if reset:
            source = self.learner if self.steps is None else self.steps
            for name in ("n_features_in_", "feature_names_in_"):
                if hasattr(source, name):
                    setattr(owner, name, getattr(source, name))
        if self.steps is not None:
            X = self.steps.transform(X)
        return self.learner._unit_rows(X)

    def how(self, classifier, n_classes):
        """How `classifier` adapts to tasks of `n_classes` classes."""
        method = self.method if classifier.method is None else classifier.method
        if method == "sib" and self.adapter is None:
            raise ValueError(
                "method='sib' needs a trained gradient network, but the learner was "
                f"fitted with method={self.method!r}; fit it with method='sib'."
            )
        if self.learner is not None and classifier.power != "auto":
            raise InvalidParameterError(
                "The 'power' parameter of FewShotClassifier is for estimator=None; with a "
                "learner it is the learner's that counts. Leave it at 'auto'."
            )
        prior = check_prior(classifier.class_prior, n_classes)
        sharpness = classifier.outlier_weight
        return How(
            method, self.adapter, classifier.n_steps, prior, sharpness, self.device
        )


@functools.cache
def _builtin():
    return Learned(None, None, builtin_adapter(), "sib", "cpu")


def learned_of(estimator):
    """What the parameter `estimator` of a classifier stands for."""
    if estimator is None:
        return _builtin()
    is_pipeline = isinstance(estimator, Pipeline)
    learner = estimator[-1] if is_pipeline else estimator
    if isinstance(learner, type) or not hasattr(learner, "adapt_many"):
        raise InvalidParameterError(
            "The 'estimator' parameter of FewShotClassifier must be a fitted "
            "SemiSupervisedMetaLearner, a fitted Pipeline that ends with one, or None. "
            f"Got {learner!r} instead."
        )
    check_is_fitted(learner)
    steps = estimator[:-1] if is_pipeline and len(estimator) > 1 else None
    return learner._as_learned(steps)


def check_prior(prior, n_classes):
    """Shares of classes, if they are given as numbers."""
    if prior is None or isinstance(prior, str):
        return prior
    try:
        shares = np.asarray(prior, dtype=np.float32)
    except (TypeError, ValueError):
        shares = np.array([np.nan])
    if shares.shape != (n_classes,) or not (shares >= 0).all() or not shares.sum() > 0:
        raise InvalidParameterError(
            "The 'class_prior' parameter must be 'auto', 'uniform', None or one share of "
            f"each of the {n_classes} classes, none negative and not all 0. "
            f"Got {prior!r} instead."
        )
    if not (shares > 0).all():
        raise InvalidParameterError(
            "The 'class_prior' parameter has a share of 0; leave rows of that class out "
            "instead."
        )
    return shares / shares.sum()


def check_codes(owner, codes):
    """Refuse labels from which no classifier can be made."""
    name = type(owner).__name__
    if not (codes >= 0).any():
        raise ValueError(
            f"{name} needs labelled rows, but all labels are the mark "
            f"{owner.unlabeled_label!r} of rows without one: there is no support row."
        )
    if codes.max() == 0:
        raise ValueError(
            f"{name} needs at least 2 classes, got 1 class (n_samples={len(codes)})."
        )


def own_how(learner, adapter):
    """How a learner adapts itself to the classes that it was fitted on.

    The published network is made for the number of classes of its tasks only.
    """
    method = learner.method_
    is_paper = getattr(adapter, "n_way", len(learner.classes_)) != len(learner.classes_)
    if method == "sib" and (adapter is None or is_paper):
        method = "prototype"
    return How(method, adapter, None, "auto", learner.outlier_weight, learner.device_)


def full_prototypes(state, n_components):
    """Prototypes of a state in the columns of its rows."""
    prototypes = state["prototypes"] + state["center"]
    columns = state.get("columns")
    if columns is None:
        return prototypes
    full = np.zeros((len(prototypes), n_components), np.float32)
    full[:, columns] = prototypes[:, :-1]  # the last column is no feature
    return full


def steps_of(adapter):
    """Rate and weight of labelled rows of each step, as arrays."""
    if adapter is None:
        return np.zeros(0), np.zeros(0)
    if not hasattr(adapter, "rate"):  # the published one forgets labelled rows
        return np.full(adapter.n_steps, adapter.inner_lr), np.zeros(adapter.n_steps)
    rates = adapter.rate.detach().sigmoid().cpu().numpy()
    if adapter.inner_lr is not None:
        rates = np.full_like(rates, adapter.inner_lr)
    weights = adapter.log_support.detach().exp().cpu().numpy()
    return rates, weights * adapter.support_gradient
