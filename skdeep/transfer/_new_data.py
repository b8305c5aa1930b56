"""New data, as they look through the eyes of the source."""

from typing import Any, NamedTuple

import numpy as np
import scipy.sparse as sp
from sklearn.utils import check_consistent_length

from skdeep.transfer._features import check_rows, see
from skdeep.transfer._labels import check_weights, one_kind
from skdeep.transfer._source_kinds import tells_classes
from skdeep.transfer._sources import check_one_label
from skdeep.utils._validation import encode_labels, plain_labels


class Seen(NamedTuple):
    """All new data of the fits so far, as they were read.

    Attributes
    ----------
    features : ndarray, CSR matrix or None
        Features of the rows.

    scores : ndarray of shape (n_samples, n_old)
        Scores of the source.

    labels : ndarray of shape (n_samples,)

    weight : ndarray of shape (n_samples,) or None
        Weights that the caller gave.

    pool : (features, scores) or None
        The same of rows without a label.
    """

    features: Any
    scores: np.ndarray
    labels: np.ndarray
    weight: Any
    pool: Any

    def plus(self, other):
        """These rows and others behind them."""
        weights = self.weight, other.weight
        if not all(part is None for part in weights):
            weights = [
                np.ones(len(seen.labels)) if part is None else part
                for seen, part in zip((self, other), weights)
            ]
        pools = [seen.pool for seen in (self, other) if seen.pool is not None]
        pool = pools[0] if len(pools) == 1 else None
        if len(pools) == 2:
            pool = tuple(_stack(*parts) for parts in zip(*pools))
        return Seen(
            _stack(self.features, other.features),
            _stack(self.scores, other.scores),
            np.concatenate(one_kind(self.labels, other.labels)),
            None if weights[0] is None else np.concatenate(weights),
            pool,
        )


def _stack(one, other):
    if one is None:
        return None
    if sp.issparse(one) or sp.issparse(other):
        return sp.vstack([sp.csr_matrix(one), sp.csr_matrix(other)], "csr")
    return np.concatenate([one, other])


def read_new_data(est, X, y, X_unlabeled, sample_weight, classes, *, reset):
    """Look at new data through the source.

    Returns
    -------
    seen : Seen
        Rows without a weight of zero.
    """
    found, codes = encode_labels(est, y)
    rows = check_rows(est, X, reset=reset)
    if reset:
        check_width(est)
    check_consistent_length(rows, codes)
    one_kind(est.base_classes_, found)
    if tells_classes(est.estimator_):
        check_expected(found, classes)
    weight = check_weights(sample_weight, len(codes))
    features, scores = see(est, X, rows)
    check_one_label(est.estimator_, X)
    if features is rows:
        features = features.copy()  # they are kept, and the caller may change X
    labels = found[codes]
    if weight is not None and not weight.all():
        keep = np.flatnonzero(weight)
        labels, scores, weight = labels[keep], scores[keep], weight[keep]
        features = None if features is None else features[keep]
        if not len(keep):
            raise ValueError("All rows have weight zero; nothing can be learned.")
    pool = None
    if X_unlabeled is not None:
        try:
            pool = see(est, X_unlabeled, check_rows(est, X_unlabeled, reset=False))
        except (ValueError, TypeError) as error:
            kind = ValueError if isinstance(error, ValueError) else TypeError
            raise kind(f"`X_unlabeled`: {error}") from error
    return Seen(features, scores, labels, weight, pool)


def check_width(est):
    """Compare the number of features with that of the source's own data."""
    expected = getattr(est.estimator_, "n_features_in_", None)
    found = getattr(est, "n_features_in_", expected)
    if expected is not None and found != expected and est._feature_place != "chain":
        raise ValueError(
            f"X has {found} features, but {type(est).__name__} is expecting {expected} "
            "features as input, like `estimator`."
        )


def check_classes(classes):
    """Labels that the caller has named, as an array (n_classes,), or None."""
    if classes is None:
        return None
    shape = () if isinstance(classes, (str, bytes)) else np.shape(classes)
    if len(shape) != 1 or not shape[0]:
        raise ValueError(
            "`classes` must be a 1d array of labels. Got "
            f"{type(classes).__name__} of shape {shape}."
        )
    return plain_labels(np.asarray(classes), "classes")


def check_expected(found, classes):
    """Refuse labels that are not among those that the caller expects."""
    expected = found.tolist() if classes is None else classes.tolist()
    for label in found.tolist():
        if label not in expected:
            raise ValueError(
                f"y holds {label!r}, which is not among `classes` {expected}."
            )
