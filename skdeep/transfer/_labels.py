"""Old and new classes side by side, and what a row of each of them counts."""

from numbers import Real

import numpy as np

from skdeep.exceptions import InvalidParameterError
from skdeep.transfer._rows import Layout


def merge_classes(old, labels):
    """Sort the classes of the source and those of new labels together.

    Parameters
    ----------
    old : ndarray of shape (n_old,)
        Classes of the source, in its order.

    labels : ndarray of shape (n_labels,)
        Further labels, each once or more often.

    Returns
    -------
    classes : ndarray of shape (n_classes,)
        All of them, sorted. Their dtype is that of `old` if it can hold the labels.

    layout : Layout
        Where the classes of the source stand.
    """
    old, labels = one_kind(old, labels)
    classes = np.unique(np.concatenate([old, labels]))
    return classes, Layout(np.searchsorted(classes, old).astype(np.int64), len(classes))


def one_kind(old, labels):
    """Bring two arrays of labels to one dtype without a change of any value.

    Parameters
    ----------
    old, labels : ndarray of shape (n,)
        Labels of the source and of the new data.

    Returns
    -------
    old, labels : ndarray of shape (n,)
        In one dtype.
    """
    kinds = [_kind(old), _kind(labels)]
    if kinds[0] != kinds[1]:
        raise TypeError(
            f"The classes of `estimator` are {kinds[0]} ({_some(old)}), but y holds "
            f"{kinds[1]} ({_some(labels)}). Old and new labels must be of one kind; "
            "convert y, e.g. with y.astype(str)."
        )
    if old.dtype == labels.dtype or kinds[0] != "numbers":
        if object in (old.dtype, labels.dtype):
            return old.astype(object), labels.astype(object)
        wide = np.result_type(old.dtype, labels.dtype)
        return old.astype(wide), labels.astype(wide)
    for dtype in (old.dtype, labels.dtype, np.dtype(np.int64), np.dtype(np.uint64)):
        if _fits(old, dtype) and _fits(labels, dtype):
            return old.astype(dtype), labels.astype(dtype)
    raise TypeError(
        f"The classes of `estimator` have dtype {old.dtype} and y has {labels.dtype}; no "
        "type of numbers holds them all. Convert both to text."
    )


def _kind(labels):
    if labels.dtype.kind in "biuf":
        return "numbers"
    if labels.dtype.kind == "S":
        return "bytes"
    kinds = {"text" if isinstance(label, str) else "numbers" for label in labels}
    return "text" if labels.dtype.kind == "U" or "text" in kinds else "numbers"


def _some(labels):
    return ", ".join(repr(label) for label in np.unique(labels)[:3].tolist())


def _fits(labels, dtype):
    """Whether a dtype holds numbers exactly."""
    values = labels.tolist()
    if dtype.kind == "b":
        return all(value in (0, 1) for value in values)
    if dtype.kind in "iu":
        bounds = np.iinfo(dtype)
        return all(
            value == int(value) and bounds.min <= value <= bounds.max
            for value in values
        )
    if dtype.kind == "O":
        return True
    return all(int(dtype.type(value)) == value for value in values)


def row_weights(est, classes, codes, layout, sample_weight):
    """Weights of rows, with those of their classes.

    Parameters
    ----------
    est : AdapterExtender
        Its `class_weight` is read.

    classes : ndarray of shape (n_classes,)

    codes : ndarray of shape (n_samples,)

    layout : Layout

    sample_weight : ndarray of shape (n_samples,) or None
        What the caller said; positive.

    Returns
    -------
    weight : ndarray of shape (n_samples,), dtype float32
        Mean 1.
    """
    weight = np.ones(len(codes)) if sample_weight is None else sample_weight.copy()
    if isinstance(est.class_weight, str) and est.class_weight == "auto":
        is_old = np.isin(codes, layout.old)
        if sample_weight is None and is_old.any() and not is_old.all():
            weight[is_old] *= 0.5 * len(codes) / is_old.sum()
            weight[~is_old] *= 0.5 * len(codes) / (~is_old).sum()
    else:
        weight *= class_factors(est.class_weight, classes, codes)[codes]
    if not weight.sum() > 0:
        raise ValueError("All rows have weight zero; there is nothing to learn from.")
    return (weight / weight.mean()).astype(np.float32)


def class_factors(class_weight, classes, codes):
    """Factor of each class; see `class_weight` of the extender."""
    factors = np.ones(len(classes))
    if class_weight is None or isinstance(class_weight, str):
        if class_weight == "balanced":
            counts = np.bincount(codes, minlength=len(classes))
            factors = len(codes) / ((counts > 0).sum() * np.maximum(counts, 1))
        return factors
    known = {label: place for place, label in enumerate(classes.tolist())}
    for label, factor in class_weight.items():
        if label not in known:
            raise InvalidParameterError(
                f"`class_weight` names {label!r}, which is no class. The classes are "
                f"{classes.tolist()}."
            )
        is_number = isinstance(factor, Real) and not isinstance(factor, bool)
        if not is_number or not 0 <= factor < np.inf:
            raise InvalidParameterError(
                f"`class_weight` gives the class {label!r} the weight {factor!r}; it "
                "must be a finite number of at least 0."
            )
        factors[known[label]] = factor
    return factors


def check_weights(sample_weight, n_samples):
    """Weights of the caller as floats, or None."""
    if sample_weight is None:
        return None
    try:
        weight = np.asarray(sample_weight, dtype=np.float64)
    except (TypeError, ValueError) as error:
        raise ValueError(f"`sample_weight` must hold numbers: {error}") from error
    if weight.ndim == 0:
        weight = np.full(n_samples, weight)
    if weight.shape != (n_samples,):
        raise ValueError(
            f"sample_weight.shape == {weight.shape}, expected ({n_samples},): Sample "
            "weights must be 1D array or scalar, one for each row."
        )
    if not np.isfinite(weight).all() or (weight < 0).any():
        raise ValueError("`sample_weight` holds negative numbers, NaN or infinity.")
    return weight
