"""Save and load fitted estimators without pickle.

A file holds arrays, text and numbers, and the name of one of our own classes. To load it
means to look the class up in a fixed table, to check every value as if a user had passed
it, and to hand them to ``__setstate__``; there is no other way in, and no fallback.
"""

import contextlib
import importlib
import platform
import warnings
from importlib.metadata import version
from pathlib import Path

from sklearn.exceptions import InconsistentVersionWarning

from skdeep._model_file import pack, replace_file, unpack
from skdeep._values import Custom, NotStorableError, decode, describe, encode
from skdeep.exceptions import ModelFileError

__all__ = ["ModelVersionWarning", "inspect", "load", "save"]

_FORMAT = 1
_CLASSES = {"TCMEmbedder": "skdeep.metric_learning"}
# from a format to the next one: a function that maps (header, tensors) to such a pair
_UPGRADERS = {}
_FIELDS = {
    "class": str,
    "versions": dict,
    "params": dict,
    "fitted": dict,
    "left_out": list,
}


class ModelVersionWarning(InconsistentVersionWarning):
    """A model file was written by another version of skdeep or scikit-learn.

    Parameters
    ----------
    estimator_name : str
        Class of the model.

    package : str
        The package whose versions differ.

    original_version, current_version : str
        Its version then and now.
    """

    def __init__(self, *, estimator_name, package, original_version, current_version):
        self.estimator_name = estimator_name
        self.package = package
        self.original_version = original_version
        self.current_version = current_version

    def __str__(self):
        return (
            f"This {self.estimator_name} was saved with {self.package} "
            f"{self.original_version}, and {self.current_version} is installed. "
            "Predictions may differ; check them, or fit the model again."
        )


def save(estimator, path, *, allow_partial=False):
    """Write a fitted estimator to a file.

    Parameters
    ----------
    estimator : estimator of skdeep
        What to save.

    path : str or path-like
        The file. One that exists is replaced in a single step: after a crash or on a
        full disk the old file is still there, complete.

    allow_partial : bool, default=False
        What to do about parameters that are code, such as a network class of your own.
        False refuses to save. True leaves them out: a custom `module` has to be given
        to `load` again, `callbacks` are dropped, any other such parameter comes back
        as its default, with a warning.

    See Also
    --------
    load : The way back.
    inspect : Look into a file.

    Notes
    -----
    The file is in the safetensors format; everything but the arrays is JSON in its
    metadata. Saving the same estimator twice gives the same bytes.

    Examples
    --------
    >>> import skdeep
    >>> from sklearn.datasets import load_iris
    >>> X, y = load_iris(return_X_y=True)
    >>> embedder = skdeep.TCMEmbedder(max_epochs=2, random_state=0).fit(X, y)
    >>> skdeep.save(embedder, "iris.skdeep")  # doctest: +SKIP
    >>> skdeep.load("iris.skdeep").transform(X).shape  # doctest: +SKIP
    (150, 32)
    """
    name = type(estimator).__name__
    if name not in _CLASSES or type(estimator) is not _find_class(name):
        raise TypeError(
            f"`save` writes estimators of skdeep ({', '.join(_CLASSES)}), got "
            f"{describe(estimator)}. Use pickle or skops for others."
        )
    params, fitted = _split(estimator)
    tensors, left_out = {}, []
    header = {
        "format": _FORMAT,
        "class": name,
        "versions": _versions(),
        "params": {},
        "fitted": {},
        "left_out": left_out,
    }
    for key, value in params.items():
        with _hint(name, "parameter", None if allow_partial else key):
            value = _leave_out(key, value, left_out) if allow_partial else value
            header["params"][key] = encode(value, key, tensors)
    for key, value in fitted.items():
        if key == "_module_args" and "module" in left_out:
            value = {**value, "module": Custom(describe(value["module"]))}
        with _hint(name, "attribute", None):
            header["fitted"][key] = encode(value, key, tensors)
    try:
        data = pack(tensors, header)
    except ModelFileError as error:
        raise ValueError(f"This {name} is too large for a model file: {error}") from None
    replace_file(Path(path), data)
