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

from skdeep._model_file import pack, replace_file, unpack
from skdeep._values import Custom, NotStorableError, decode, describe, encode
from skdeep._version import __version__
from skdeep.exceptions import ModelFileError, ModelVersionWarning

__all__ = ["inspect", "load", "save"]

_FORMAT = 1
_CLASSES = {
    "DynamicChainClassifier": "skdeep.multilabel",
    "FewShotClassifier": "skdeep.few_shot",
    "HiLanderClusterer": "skdeep.cluster",
    "SemiSupervisedMetaLearner": "skdeep.few_shot",
    "SequenceTagger": "skdeep.transfer",
    "TCMEmbedder": "skdeep.metric_learning",
}
# from a format to the next one: a function that maps (header, tensors) to such a pair
_UPGRADERS = {}
_FIELDS = {
    "class": str,
    "versions": dict,
    "params": dict,
    "fitted": dict,
    "left_out": list,
}


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
        What to do about parameters that are more than text, numbers and arrays, such
        as a network class of your own. False refuses to save. True leaves them out: a
        custom `module` has to be given to `load` again, `callbacks` are dropped, any
        other such parameter comes back as its default, with a warning.

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
    >>> from tempfile import TemporaryDirectory
    >>> import skdeep
    >>> from sklearn.datasets import load_iris
    >>> X, y = load_iris(return_X_y=True)
    >>> embedder = skdeep.TCMEmbedder(max_epochs=2, random_state=0).fit(X, y)
    >>> with TemporaryDirectory() as folder:
    ...     skdeep.save(embedder, f"{folder}/iris.skdeep")
    ...     loaded = skdeep.load(f"{folder}/iris.skdeep")
    >>> bool((loaded.transform(X) == embedder.transform(X)).all())
    True
    """
    name = type(estimator).__name__
    if name not in _CLASSES or type(estimator) is not _find_class(name):
        raise TypeError(
            f"`save` writes estimators of skdeep ({', '.join(_CLASSES)}), got "
            f"{describe(estimator)}. Use pickle or skops for others."
        )
    params, fitted = _split(estimator)
    left_out = []
    if allow_partial:
        params, fitted, left_out = _without_code(params, fitted)
    header = {
        "format": _FORMAT,
        "class": name,
        "versions": _versions(),
        "left_out": left_out,
    }
    tensors = {}
    try:
        header["params"] = _encode_all(params, "parameter", tensors)
        header["fitted"] = _encode_all(fitted, "fitted attribute", tensors)
        data = pack(tensors, header)
    except NotStorableError as error:
        raise TypeError(f"{name} cannot be saved: {error}") from None
    except ModelFileError as error:
        raise ValueError(f"{name} is too large for a model file: {error}") from None
    replace_file(Path(path), data)


def load(path, *, device="auto", module=None, sha256=None):
    """Read a fitted estimator from a file. Nothing in the file is ever run.

    Parameters
    ----------
    path : str or path-like
        A file written by `save`.

    device : str, default="auto"
        Where the model shall work: "cpu", "cuda", "mps", or "auto" for the fastest
        one present.

    module : type, callable or torch.nn.Module, default=None
        The custom network, for a file saved with ``allow_partial=True``.

    sha256 : str, default=None
        Hash of the file, as ``sha256sum`` prints it, from a source that you trust. The
        checksum inside the file finds accidents; only a hash or signature from
        elsewhere finds a forgery.

    Returns
    -------
    estimator : estimator of skdeep
        Predicts what the saved one predicted, bit for bit on the same machine.

    Raises
    ------
    ModelFileError
        If the file is damaged, comes from another program or a newer skdeep, or holds
        values that do not fit together.

    See Also
    --------
    save : The way there, with an example.
    """
    if not isinstance(sha256, (str, type(None))):
        raise TypeError(f"`sha256` must be a str or None; got {sha256!r}.")
    path = Path(path)
    with _naming(path):
        header, tensors = _read(path, sha256)
        estimator = _rebuild(header, tensors, module)
    _warn_about_versions(header)
    _warn_about_defaults(header)
    if hasattr(estimator, "_to_device"):
        estimator._to_device(device)
    return estimator


def inspect(path):
    """Tell what is in a model file, without building anything.

    Parameters
    ----------
    path : str or path-like
        A file written by `save`.

    Returns
    -------
    header : dict
        ``class``, ``format``, ``versions``, ``params``, ``fitted``, ``left_out`` (names
        of parameters that are not in the file), ``sha256`` (of the content) and
        ``tensors``, a dict of name to dtype and shape. Among the values a text in angle
        brackets stands for each array.

    See Also
    --------
    save, load : Write and read such files.
    """
    path = Path(path)
    with _naming(path):
        header, tensors = _read(path)

        def show(name):
            array = tensors[name]
            return f"<{array.dtype} array of shape {array.shape}>"

        for part in ("params", "fitted"):
            header[part] = decode(header[part], show, "<{}>".format)
    header["tensors"] = {
        name: {"dtype": array.dtype.name, "shape": array.shape}
        for name, array in tensors.items()
    }
    return header


@contextlib.contextmanager
def _naming(path):
    """Put the name of the file in front of the reasons against it."""
    try:
        yield
    except ModelFileError as error:
        raise ModelFileError(f"Cannot load {str(path)!r}: {error}") from error


def _find_class(name):
    return getattr(importlib.import_module(_CLASSES[name]), name)


def _versions():
    return {
        "skdeep": __version__,
        **{name: version(name) for name in ("torch", "scikit-learn", "numpy")},
        "python": platform.python_version(),
    }


def _split(estimator):
    """State of an estimator: its parameters, and what it has learned."""
    state = dict(estimator.__getstate__())
    params = {name: state.pop(name) for name in estimator.get_params(deep=False)}
    for name in list(state):
        if name.startswith(("_sklearn_", "_skl_")) and name != "_sklearn_output_config":
            del state[name]  # callbacks and the like: how it was run, not what it is
    return params, state


def _without_code(params, fitted):
    """Replace what cannot be stored by its description, where `load` can do without."""
    left_out = [name for name, value in params.items() if not _is_storable(value)]
    params = {
        name: Custom(describe(value)) if name in left_out else value
        for name, value in params.items()
    }
    recorded = fitted.get("_module_args") or {}
    if not _is_storable(recorded.get("module")):
        custom = Custom(describe(recorded["module"]))
        fitted = {**fitted, "_module_args": {**recorded, "module": custom}}
        left_out = sorted({*left_out, "module"})
    return params, fitted, left_out


def _is_storable(value):
    try:
        encode(value, "", {})
    except NotStorableError:
        return False
    return True


def _encode_all(values, kind, tensors):
    nodes = {}
    for name, value in values.items():
        try:
            nodes[name] = encode(value, name, tensors)
        except NotStorableError as error:
            remedy = (
                "Save with `allow_partial=True` to leave it out"
                if kind == "parameter" or name == "_module_args"
                else "Pickle the estimator instead"
            )
            raise NotStorableError(
                f"{kind} `{name}` is more than text, numbers and arrays ({error}). "
                f"{remedy}."
            ) from None
    return nodes


def _read(path, sha256=None):
    """Checked header and arrays of a file, in the current format."""
    header, tensors = unpack(path, sha256)
    number = header.get("format")
    if type(number) is not int or number < 1:
        raise ModelFileError("it names no format.")
    if number > _FORMAT:
        raise ModelFileError(
            f"its format is {number}, and this skdeep {__version__} reads formats "
            f"up to {_FORMAT}. Install a newer version."
        )
    while number < _FORMAT:
        if number not in _UPGRADERS:
            raise ModelFileError(f"its format {number} is no longer supported.")
        header, tensors = _UPGRADERS[number](header, tensors)
        number += 1
    header["format"] = number
    for field, kind in _FIELDS.items():
        if not isinstance(header.get(field), kind):
            raise ModelFileError(f"its header has no proper entry {field!r}.")
    texts = [*header["left_out"], *header["versions"].values()]
    if not all(isinstance(text, str) for text in texts):
        raise ModelFileError("its header holds other things than names.")
    return header, tensors


def _rebuild(header, tensors, module):
    """Make the estimator that a header and its arrays describe."""
    name = header["class"]
    if name not in _CLASSES:
        raise ModelFileError(
            f"it holds a {name[:99]!r}; this skdeep knows {', '.join(_CLASSES)}."
        )
    _check_module(header, module)
    cls = _find_class(name)
    params, fitted = _decode_all(header, dict(tensors), module)
    taken = [name for name in fitted if name in params or hasattr(cls, name)]
    if taken:
        raise ModelFileError(f"it has a fitted attribute {taken[0][:99]!r}.")
    try:
        probe = cls(**params)
        params = probe.get_params(deep=False)
        if isinstance(params.get("device"), str):
            probe.device = "cpu"  # it may have been trained where this machine cannot
        probe._validate_params()
        estimator = cls.__new__(cls)
        estimator.__setstate__({**params, **fitted})
    except Exception as error:
        suspect = "its values" if module is None else "its values and `module`"
        raise ModelFileError(f"{suspect} do not fit together ({error}).") from error
    return estimator


def _check_module(header, module):
    """The caller gives a network if, and only if, the file lacks one."""
    if ("module" in header["left_out"]) == (module is not None):
        return
    if module is not None:
        raise ValueError(
            f"`module` is given, but the {header['class']} was saved with its network; "
            "leave `module` out."
        )
    raise ModelFileError(
        "it was saved without its custom network. Pass the network, as it was given to "
        "the estimator: load(path, module=MyNetwork)."
    )


def _decode_all(header, tensors, module):
    """Parameters and fitted attributes; each array is used exactly once."""

    def take(name):
        if not isinstance(name, str) or name not in tensors:
            raise ModelFileError("it refers to an array that is missing or used twice.")
        return tensors.pop(name)

    def refuse(description):
        raise ModelFileError("it lacks a value that is needed.")

    def supply(description):
        return module

    params = {
        key: decode(node, take, supply if key == "module" else refuse)
        for key, node in header["params"].items()
        if key == "module" or key not in header["left_out"]
    }
    fitted = {
        key: decode(node, take, supply if key == "_module_args" else refuse)
        for key, node in header["fitted"].items()
    }
    if tensors:
        raise ModelFileError(f"nothing refers to its array {min(tensors)[:99]!r}.")
    return params, fitted


def _warn_about_versions(header):
    """Warn once for each package whose major or minor version has changed."""
    now = _versions()
    for package in ("skdeep", "scikit-learn"):
        then = header["versions"].get(package, "unknown")
        if then.split(".")[:2] != now[package].split(".")[:2]:
            warnings.warn(
                ModelVersionWarning(
                    estimator_name=header["class"],
                    package=package,
                    original_version=then,
                    current_version=now[package],
                ),
                stacklevel=3,
            )


def _warn_about_defaults(header):
    names = [n for n in header["left_out"] if n not in ("module", "callbacks")]
    if names:
        warnings.warn(
            f"The file does not hold the parameters {', '.join(names)}; they have their "
            "defaults. Predictions are not concerned, but another `fit` is: set them "
            "before.",
            stacklevel=3,
        )
