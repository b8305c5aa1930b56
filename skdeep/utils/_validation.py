"""Entry of data into the estimators, over scikit-learn's own validation.

Rows leave this module as float32 arrays (or CSR matrices) that are finite, and labels
as codes 0..n_classes-1. Whatever torch cannot take is refused or converted here.
"""

import warnings

import numpy as np
import scipy.sparse as sp
from sklearn.utils import column_or_1d
from sklearn.utils.validation import validate_data

_LEAST_SIDE = 8  # pixels; fewer may be the map of a feature


def validate_rows(estimator, X, *, reset, accept_sparse=False, **check_params):
    """Check samples and cast them to float32.

    Parameters
    ----------
    estimator : estimator
        Gets, or is compared with, ``n_features_in_`` and ``feature_names_in_``.

    X : array-like or sparse matrix of shape (n_samples, n_features)
        Samples.

    reset : bool
        True in `fit`, False in `predict` and its like.

    accept_sparse : bool, default=False
        Whether sparse input is let through, as CSR.

    **check_params : dict
        Further arguments of ``sklearn.utils.check_array``.

    Returns
    -------
    X : ndarray or CSR of shape (n_samples, n_features), dtype float32
        The caller's own memory where no conversion was due; CSR without stored zeros.
    """
    raw, X = X, _as_plain(X)
    check_params |= {"accept_sparse": "csr" if accept_sparse else False}
    check_params |= {"dtype": np.float32, "reset": reset}
    # an overflow in the cast is reported below, with more words
    with np.errstate(over="ignore", invalid="ignore"):
        try:
            X = validate_data(estimator, X, **check_params)
        except ValueError as error:
            _explain_text(raw, error)
            _explain_overflow(raw, error)
            raise
    if sp.issparse(X) and not X.data.all():
        X = X.copy()
        X.eliminate_zeros()
    return X


def flatten_images(X):
    """Turn images into rows, and tell their shape.

    Parameters
    ----------
    X : array-like of shape (n_samples, n_features) or \
            (n_samples, channels, height, width)
        Rows pass through untouched.

    Returns
    -------
    X : array-like of shape (n_samples, n_features)

    image_shape : tuple of int or None
        (channels, height, width) of images, None for rows.
    """
    shape = getattr(X, "shape", None)
    if shape is None or len(shape) < 3:
        return X, None
    if len(shape) != 4:
        raise ValueError(
            f"Found array with dim {len(shape)}; give X as rows of shape (n_samples, "
            "n_features) or as images of shape (n_samples, channels, height, width): "
            "X[:, None] gives grey images their channel."
        )
    if shape[3] in (1, 3, 4) and min(shape[1], shape[2]) >= _LEAST_SIDE:
        warnings.warn(
            f"X of shape {tuple(shape)} is read as images of {shape[1]} channels and "
            f"{shape[2]} x {shape[3]} pixels. If its last axis holds the colours, move "
            "it: X.transpose(0, 3, 1, 2).",
            UserWarning,
            stacklevel=3,
        )
    return X.reshape(shape[0], -1), tuple(int(size) for size in shape[1:])


def _as_plain(X):
    """Turn tensors into arrays; refuse what check_array would read in silence."""
    if X is None or type(X) in (str, bytes, dict):
        raise TypeError(
            "X must be array-like of shape (n_samples, n_features). Got "
            f"{type(X).__name__}."
        )
    if isinstance(X, np.ma.MaskedArray):
        if np.ma.is_masked(X):
            raise ValueError(
                "Input X contains NaN: it is a masked array with masked entries, which "
                "are missing values. Impute them first, e.g. with SimpleImputer."
            )
        return X.data
    if hasattr(X, "detach") and hasattr(X, "cpu"):  # a torch tensor, seen without torch
        return _tensor_to_numpy(X, "X")
    dtype = getattr(X, "dtype", None)
    if isinstance(dtype, np.dtype) and dtype.kind in "mMV":
        raise TypeError(
            f"Input X has dtype {dtype}, which is not numeric; convert dates and "
            "records to numbers first."
        )
    for column, kind in getattr(getattr(X, "dtypes", None), "items", dict)():
        if getattr(kind, "kind", "") in "mM":
            raise TypeError(
                f"Input X has dtype {kind} in column {column!r}, which is not numeric; "
                "convert dates to numbers first."
            )
    return X


def _tensor_to_numpy(tensor, name):
    try:
        return tensor.detach().cpu().numpy()
    except (RuntimeError, NotImplementedError, TypeError) as error:
        raise ValueError(
            f"{name} is a tensor on device {str(tensor.device)!r} that cannot become an "
            f"array: {error}"
        ) from error


def _explain_text(X, error):
    """Raise a clearer error if X holds text, naming the column if it has one."""
    if "could not convert string to float" not in str(error) and (
        "must be a string or a real number" not in str(error)
    ):
        return
    where = ""
    for name, kind in getattr(getattr(X, "dtypes", None), "items", dict)():
        if getattr(kind, "kind", "O") in "OUST":
            where = f" in column {name!r}"
            break
    raise ValueError(
        f"X holds text{where}: {error}. Encode it first, e.g. with OrdinalEncoder or "
        "TfidfVectorizer."
    ) from error


def _explain_overflow(X, error):
    """Raise a clearer error if X is finite in itself but not in float32."""
    if "too large for dtype('float32')" not in str(error):
        return
    values = X.data if sp.issparse(X) else np.asarray(X, dtype=np.float64)
    size = np.abs(np.asarray(values, dtype=np.float64))
    if not np.isfinite(size).all():
        return
    where = ""
    if size.ndim == 2:
        column = int(size.max(axis=0).argmax())
        names = getattr(X, "columns", None)
        where = f" in column {column if names is None else names[column]!r}"
    raise ValueError(
        f"X contains values too large for float32 (largest magnitude {size.max():.3g}"
        f"{where}); scale the data first, e.g. with StandardScaler."
    ) from error


def encode_labels(estimator, y):
    """Turn labels of one class per sample into codes.

    Parameters
    ----------
    estimator : estimator
        Named in the errors.

    y : array-like of shape (n_samples,)
        Integers, booleans, integral floats or strings.

    Returns
    -------
    classes : ndarray of shape (n_classes,)
        Sorted distinct labels in the dtype of `y`.

    codes : ndarray of shape (n_samples,), dtype int64
        ``classes[codes]`` gives `y` back.
    """
    owner = type(estimator).__name__
    if y is None:
        raise ValueError(
            f"{owner} requires y to be passed, but the target y is None: give the "
            "class of each sample."
        )
    is_array = hasattr(y, "__len__") or hasattr(y, "__array__")
    if isinstance(y, (str, bytes, dict)) or not is_array:
        raise ValueError(f"y must be a 1d array of labels. Got {type(y).__name__}.")
    if hasattr(y, "detach") and hasattr(y, "cpu"):
        y = _tensor_to_numpy(y, "y")
    try:
        y = np.asarray(y)
    except ValueError as error:
        raise ValueError(f"y must be a 1d array of labels: {error}") from error
    shape = y.shape
    if len(shape) == 0 or len(shape) > 2 or (len(shape) == 2 and shape[1] != 1):
        raise ValueError(
            f"y should be a 1d array, got an array of shape {shape} instead. "
            f"{owner} takes one label per sample; for several labels per sample use "
            "an estimator for multi-label targets, e.g. "
            "sklearn.multioutput.ClassifierChain."
        )
    y = plain_labels(column_or_1d(y, warn=y.ndim == 2))
    if y.dtype.kind == "f" and (y != np.floor(y)).any():
        raise ValueError(
            f"Unknown label type: continuous. {owner} takes classes, but y holds "
            f"{y[y != np.floor(y)][0]!r}; for a regression target it is of no use."
        )
    classes, codes = np.unique(y, return_inverse=True)
    return classes, codes.astype(np.int64)


def plain_labels(y, name="y"):
    """Labels without missing values and of one plain type, else an error.

    Parameters
    ----------
    y : ndarray of shape (n_samples,)

    name : str, default="y"
        Named in the errors.
    """
    return _uniform(_without_missing(y, name), name)


def is_mark(y, mark):
    """Which labels (n_samples,) are the mark of rows without one, which may be NaN."""
    if _is_missing(mark):
        return np.array([_is_missing(label) for label in y.tolist()], dtype=bool)
    return np.array(
        [not _is_missing(label) and label == mark for label in y.tolist()], dtype=bool
    )


def _without_missing(values, name):
    """Refuse None, NaN and infinity among labels."""
    if values.dtype == object:
        missing = [_is_missing(value) for value in values.ravel()]
        if any(missing):
            raise ValueError(
                f"Input {name} contains NaN or None, first at position "
                f"{missing.index(True)}; drop the samples without a label."
            )
    elif values.dtype.kind == "f" and not np.isfinite(values).all():
        kind = "NaN" if np.isnan(values).any() else "infinity"
        raise ValueError(f"Input {name} contains {kind}; labels must be finite.")
    elif values.dtype.kind == "c":
        raise ValueError(
            f"Complex data not supported: {name} has dtype {values.dtype}; labels must be "
            "integers, booleans or strings."
        )
    elif values.dtype.kind not in "biufUS":
        raise ValueError(
            f"Unknown label type: {name} has dtype {values.dtype}; labels must be "
            "integers, booleans or strings."
        )
    return values


def _is_missing(value):
    # NaN is not equal to itself; pandas' NA is neither equal nor unequal to anything
    return value is None or type(value).__name__ == "NAType" or value != value


def _uniform(y, name):
    """Give an object array of labels its plain dtype, or refuse mixed types."""
    if y.dtype != object:
        return y
    kinds = {"str" if isinstance(value, str) else type(value).__name__ for value in y}
    if len(kinds) > 1:
        raise TypeError(
            f"{name} has labels of mixed types ({', '.join(sorted(kinds))}); labels must be "
            "uniformly strings or integers."
        )
    if kinds == {"str"}:
        return y
    plain = np.array(y.tolist())
    if plain.dtype.kind not in "biuf":
        raise ValueError(
            f"Unknown label type: {name} holds {kinds.pop()} objects; labels must be "
            "integers, booleans or strings."
        )
    return plain
