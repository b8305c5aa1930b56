"""What enters a training: rows and sets are checked, and what they tell is kept."""

import numpy as np
import scipy.sparse as sp
from sklearn.utils import check_consistent_length, check_random_state

from skdeep.multilabel._labels import check_label_names, encode_label_sets
from skdeep.multilabel._orders import FIXED_ORDERS, check_permutation, fixed_order
from skdeep.utils._validation import validate_rows


def enter_data(est, X, y, *, classes=None, go_on=False, incremental=False):
    """Check everything that can be wrong before the first step.

    Parameters
    ----------
    est : DynamicChainClassifier
        Gets the attributes that follow from the data alone.

    X, y : as in `fit`

    classes : array-like of shape (n_classes,) or None, default=None
        All classes of a 1-d target.

    go_on : bool, default=False
        Whether the training continues an earlier one.

    incremental : bool, default=False
        Whether these are some rows of many, which may be a single one later on, or
        without labels.

    Returns
    -------
    X : ndarray or CSR of shape (n_samples, n_features), dtype float32

    Y : CSR of shape (n_samples, n_labels), dtype int64
    """
    known = est.classes_ if go_on and est._single else classes
    part = go_on and incremental
    if y is None:  # before anything else, as scikit-learn does
        encode_label_sets(est, y)
    X = validate_rows(
        est,
        X,
        reset=not go_on,
        accept_sparse=True,
        ensure_min_samples=1 if part else 2,
    )
    sets = encode_label_sets(est, y, known, may_be_empty=part)
    check_consistent_length(X, sets.Y)
    if go_on:
        _check_same_target(est, sets)
        if sp.issparse(X) != est._module_args["sparse"]:  # as in the earlier fit
            X = X.toarray() if sp.issparse(X) else sp.csr_array(X)
    else:
        _describe_labels(est, sets)
    est._sparse_output = sets.sparse
    _count_labels(est, sets.Y, go_on, incremental)
    _settle_order(est, go_on)
    return X, sets.Y


def _check_same_target(est, sets):
    """Refuse to go on with other labels than those of the earlier fit."""
    if est._single != sets.single:
        kinds = ["label sets", "one class for each row"]
        raise ValueError(
            f"y holds {kinds[sets.single]}, but the earlier fit had "
            f"{kinds[est._single]}; set warm_start=False to fit anew."
        )
    if est.n_labels_ != sets.Y.shape[1]:
        raise ValueError(
            f"y has {sets.Y.shape[1]} labels, but the earlier fit had {est.n_labels_}; "
            "set warm_start=False to fit anew."
        )
    check_label_names(est, sets.names)


def _describe_labels(est, sets):
    """Set what the first target tells for good."""
    est._single = sets.single
    est.classes_ = sets.classes
    est.n_labels_ = sets.Y.shape[1]
    if hasattr(est, "label_names_"):
        del est.label_names_
    if sets.names is not None:
        est.label_names_ = sets.names
    if est.n_labels_ < 2 and sets.single:
        raise ValueError(
            f"{type(est).__name__} needs at least 2 classes, got 1 class: "
            f"{sets.classes[0]!r}."
        )


def _count_labels(est, Y, go_on, incremental):
    """Set what the sizes of the sets tell, beside what those of earlier ones told."""
    sizes, n_labels = np.diff(Y.indptr), Y.shape[1]
    frequency = np.bincount(Y.indices, minlength=n_labels)
    least, most = int(sizes.min() > 0), int(sizes.max())
    n_steps = min(n_labels, int(np.quantile(sizes, 0.99)) + 2)
    if go_on:
        least, most = min(least, est.min_labels_), max(most, est.max_labels_)
        n_steps = max(n_steps, est._n_rollout_steps)
    if go_on and incremental:
        frequency = frequency + est.label_frequency_
    est.label_frequency_ = frequency
    est.min_labels_, est.max_labels_ = least, most
    est._n_rollout_steps = 1 if est._single else n_steps
    est._n_path_steps = 1 if est._single else min(n_labels, max(5, n_steps + 2))
    est._limits()


def _settle_order(est, go_on):
    """Set `label_order_`; it stays what it is while `order` is the same."""
    order, label_order = est.order, None
    if order is not None and not isinstance(order, str):
        check_permutation(order, est.n_labels_)
        order = tuple(np.asarray(order).tolist())
    if go_on and order == est._order:
        return
    if isinstance(order, tuple) or order in FIXED_ORDERS:
        rng = check_random_state(est.random_state)
        label_order = fixed_order(order, est.label_frequency_, rng)
    est._order, est.label_order_ = order, label_order
