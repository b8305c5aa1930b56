"""How an extender gets its source."""

import numpy as np
from sklearn.base import clone
from sklearn.pipeline import Pipeline
from sklearn.utils import check_consistent_length
from sklearn.utils.validation import has_fit_parameter

from skdeep.exceptions import InvalidParameterError
from skdeep.transfer._features import check_rows, settle_features, stand_in
from skdeep.transfer._labels import check_weights, class_factors, merge_classes
from skdeep.transfer._new_data import check_expected
from skdeep.transfer._source_kinds import (
    check_fitted,
    check_kind,
    settled,
    source_classes,
)
from skdeep.utils._validation import encode_labels


def adopt_source(est, source, classes=None):
    """Take a fitted model for the source.

    Parameters
    ----------
    est : AdapterExtender
        Gets ``estimator_`` and ``base_classes_``.

    source : object
        Any model of which `source_classes` finds the classes.

    classes : array-like or None, default=None
        Names of its outputs, if it does not tell them.
    """
    check_kind(source)
    check_fitted(source)
    est.base_classes_ = source_classes(source, classes)
    est.estimator_ = settled(source)


def fit_source(est, X, y, sample_weight, expected=None):
    """Fit a copy of `estimator`; the extender then answers like it."""
    check_kind(est.estimator)
    if not hasattr(est.estimator, "fit"):
        raise InvalidParameterError(
            f"prefit=False fits a copy of `estimator`, but {type(est.estimator).__name__} "
            "has no `fit`; set prefit=True."
        )
    est.estimator_ = est.estimator
    settle_features(est, X)
    rows = check_rows(est, X, reset=True)
    classes, codes = encode_labels(est, y)
    check_expected(classes, expected)
    check_consistent_length(X, codes)
    weight = check_weights(sample_weight, len(codes))
    if not (isinstance(est.class_weight, str) and est.class_weight == "auto"):
        factors = class_factors(est.class_weight, classes, codes)[codes]
        if est.class_weight is not None:
            weight = factors if weight is None else weight * factors
    adopt_source(est, fitted_copy(est.estimator, X, classes[codes], weight), classes)
    settle_features(est, X)
    est._seen = None
    est._stand_in = stand_in(est, rows)
    be_the_source(est)


def fitted_copy(estimator, X, y, weight):
    """Fit a copy of a model."""
    estimator = clone(estimator)
    if weight is None:
        return estimator.fit(X, y)
    last, name = estimator, "sample_weight"
    while isinstance(last, Pipeline):
        step, last = last.steps[-1]
        name = f"{step}__{name}"
    if not has_fit_parameter(last, "sample_weight"):
        raise ValueError(
            f"`estimator` ({type(last).__name__}) takes no `sample_weight`; leave out "
            "`sample_weight` and `class_weight`."
        )
    return estimator.fit(X, y, **{name: weight})


def be_the_source(est):
    """Set what is known without any new data."""
    est.classes_, layout = merge_classes(est.base_classes_, est.base_classes_)
    reset_attributes(est, layout)
    est.annotation_ = "full"
    est.method_, est._signal, est._head = "source", "logits", None
    est._n_features_out = len(est.base_classes_)
    est.gamma_, est.retention_, est.n_parameters_ = 1.0, 1.0, 0


def reset_attributes(est, layout):
    """Set attributes that follow from the classes, and forget the last training."""
    est.old_class_mask_ = np.isin(np.arange(layout.n_classes), layout.old)
    est.new_classes_ = est.classes_[layout.new]
    est._layout = layout
    for name in ("module_", "net_", "_module_args", "_optimizer_state"):
        vars(est).pop(name, None)
    est.history_, est.n_iter_, est.best_epoch_ = [], 0, 0
