"""Extenders of extenders, and one in place of many."""

import numpy as np
import scipy.sparse as sp
from sklearn.base import clone
from sklearn.pipeline import Pipeline
from sklearn.utils import _safe_indexing

from skdeep.transfer._sentences import check_list
from skdeep.transfer._source_kinds import tells_classes, unwrap
from skdeep.utils._validation import encode_labels

# share of a row's probability below which a class is not worth a row of its own
_LEAST_SHARE = 0.02


def extended(est, X, y, X_unlabeled, sample_weight):
    """Fit an extender whose source is another one; see `AdapterExtender.extend`."""
    if est.mode_ == "classifier":
        found, _ = encode_labels(est, y)
        refuse_known(est, found)
    new = clone(est).set_params(estimator=est, prefit=True)
    new.fit(X, y, X_unlabeled=X_unlabeled, sample_weight=sample_weight)
    if not len(new.new_classes_):
        refuse_known(est, est.classes_)
    return new


def refuse_known(est, found):
    """Refuse labels that are all known already."""
    known = set(est.classes_.tolist())
    if all(label in known for label in found.tolist()):
        raise ValueError(
            f"Class {found.tolist()[0]!r} is known already, and y holds no new one. "
            "`extend` is for new classes; use `partial_fit` to train further."
        )


def innermost(est):
    """The first link of a chain of extenders."""
    inner = unwrap(est.estimator_, (Pipeline, type(est)))
    return innermost(inner) if isinstance(inner, type(est)) else est


def collapsed(est, X):
    """Learn a chain's answers with a single extender; see `AdapterExtender.collapse`."""
    first = innermost(est)
    single = clone(est).set_params(estimator=first.estimator_, prefit=True)
    single.set_params(new_annotation="full", class_weight=None)
    if est.mode_ == "sequence":
        X = check_list(X, "X", "sentences, lists of tokens")
        return _collapsed_tagger(est, single, X)
    X = X.tocsr() if sp.issparse(X) else X
    single.set_params(distill=0.0)  # the chain's answers hold the source's already
    if est.method == "gate":
        single.set_params(method="auto")
    row, place, share = soft_rows(est.predict_proba(X))
    missing = np.setdiff1d(np.arange(len(est.classes_)), place)
    if len(missing):
        raise ValueError(
            "X holds no row that the extender takes for "
            f"{est.classes_.tolist()[missing[0]]!r}; collapse needs rows of all classes."
        )
    return single.fit(
        _safe_indexing(X, row),
        est.classes_[place],
        sample_weight=share,
        classes=None if tells_classes(first.estimator_) else first.base_classes_,
    )


def _collapsed_tagger(est, single, X):
    """Fit one extender of taggers to the answers of a chain."""
    y = est.predict(X)
    single.fit(X, y)
    kept = {*single.old_types_, *single.new_types_}
    lost = [name for name in est.old_types_ + est.new_types_ if name not in kept]
    if lost:
        raise ValueError(
            f"X holds no token that the extender takes for {lost[0]!r}; collapse needs "
            "sentences with all types of entities."
        )
    return single


def soft_rows(proba):
    """Weighted rows with one label each, whose loss is that of soft labels.

    Parameters
    ----------
    proba : ndarray of shape (n_samples, n_classes)
        Rows sum to one.

    Returns
    -------
    row : ndarray of shape (n_weighted,)
        Row that each weighted one comes from.

    place : ndarray of shape (n_weighted,)
        Its class.

    share : ndarray of shape (n_weighted,)
        Its weight. Shares of less than 2 % are left out; the rest sums to one.
    """
    worth = proba >= _LEAST_SHARE
    worth[np.arange(len(proba)), proba.argmax(axis=1)] = True
    row, place = np.nonzero(worth)
    share = proba[row, place].astype(np.float64)
    return row, place, share / np.bincount(row, share)[row]
