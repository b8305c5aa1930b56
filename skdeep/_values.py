"""Plain values and arrays as JSON beside a table of arrays, and back.

JSON knows no tuple, no NaN and no array. What it lacks becomes an object with a single
key that starts with ``$``:

    ("a", 1)                {"$tuple": ["a", 1]}
    float("nan")            {"$float": "nan"}
    np.float32(0.5)         {"$scalar": ["float32", 0.5]}
    array of numbers        {"$array": name in the table}
    array of fixed strings  {"$text": name in the table}, the codes as a last axis
    array of objects        {"$objects": [shape, [strings, numbers, None]]}
    {"$": 1}                {"$dict": [["$", 1]]}
    a Custom                {"$custom": description}

Nothing else can be stored, so nothing that runs can be in a file.
"""

import math

import numpy as np

from skdeep.exceptions import ModelFileError

_MAX_DEPTH = 20
_MAX_INT_BITS = 10_000
_NUMBERS = {
    name: np.dtype(name).type
    for name in (
        *("bool", "int8", "int16", "int32", "int64"),
        *("uint8", "uint16", "uint32", "uint64", "float16", "float32", "float64"),
    )
}
_SCALARS = {**_NUMBERS, "str": np.str_}
_FLOATS = {"nan": math.nan, "inf": math.inf, "-inf": -math.inf}
_CODES = {"U": np.uint32, "S": np.uint8}
_KINDS = {np.dtype(code): kind for kind, code in _CODES.items()}
_ELEMENTS = (type(None), bool, int, float, str, np.generic)


class NotStorableError(TypeError):
    """A value for which the format has no form."""


class Custom:
    """Stands for a value that is left out of the file."""

    def __init__(self, description):
        self.description = description


def describe(value):
    """Say what a value is, in the words of an error message."""
    if isinstance(value, type) or hasattr(value, "__qualname__"):
        return f"{value.__module__}.{value.__qualname__}"
    if isinstance(value, np.ndarray):
        return f"a {type(value).__name__} of dtype {value.dtype}"
    kind = type(value)
    return f"an instance of {kind.__module__}.{kind.__qualname__}"


def _refusal(name, value, reason=""):
    return NotStorableError(f"{name} is {describe(value)}{reason}")


def encode(value, name, tensors, depth=0):
    """Turn a value into JSON.

    Parameters
    ----------
    value : object
        None, bool, int, float, str, numpy scalar, numpy array, `Custom`, or a list,
        tuple or dict with str keys of these. Subclasses do not count.

    name : str
        What the value is called in errors and in the table.

    tensors : dict of str to ndarray
        The table; arrays are added to it.

    depth : int, default=0
        Levels above this value.

    Returns
    -------
    node : object
        What `json.dumps` takes with ``allow_nan=False``.
    """
    if depth > _MAX_DEPTH:
        raise _refusal(name, value, f" nested deeper than {_MAX_DEPTH} levels")
    if value is None or type(value) in (bool, str):
        return value
    if type(value) is int and value.bit_length() <= _MAX_INT_BITS:
        return value
    if type(value) is float:
        return value if math.isfinite(value) else {"$float": str(value)}
    if isinstance(value, np.generic):
        return _encode_scalar(value, name)
    if type(value) in (np.ndarray, np.memmap):
        return _encode_array(value, name, tensors)
    if type(value) in (list, tuple):
        nodes = [
            encode(item, f"{name}.{i}", tensors, depth + 1)
            for i, item in enumerate(value)
        ]
        return nodes if type(value) is list else {"$tuple": nodes}
    if type(value) is dict:
        return _encode_dict(value, name, tensors, depth)
    if type(value) is Custom:
        return {"$custom": value.description}
    raise _refusal(name, value)


def _encode_scalar(value, name):
    kind = "str" if isinstance(value, np.str_) else value.dtype.name
    if kind not in _SCALARS:
        raise _refusal(name, value)
    return {"$scalar": [kind, encode(value.item(), name, {})]}


def _encode_dict(value, name, tensors, depth):
    for key in value:
        if type(key) is not str:
            raise _refusal(name, value, f" with the key {key!r}, not a str")
    nodes = {
        key: encode(item, f"{name}.{key}", tensors, depth + 1)
        for key, item in value.items()
    }
    if any(key.startswith("$") for key in nodes):
        return {"$dict": [list(pair) for pair in nodes.items()]}
    return nodes


def _encode_array(value, name, tensors):
    kind = value.dtype.kind
    if kind == "O":
        return _encode_objects(value, name)
    if kind in _CODES:
        return {"$text": _add(tensors, name, _to_codes(value))}
    if value.dtype.name not in _NUMBERS:
        raise _refusal(name, value)
    native = value.astype(value.dtype.newbyteorder("="), order="C", subok=False)
    return {"$array": _add(tensors, name, native)}


def _encode_objects(value, name):
    items = value.ravel().tolist()
    for item in items:
        if not isinstance(item, _ELEMENTS):
            raise _refusal(name, value, f" that holds {describe(item)}")
    nodes = [encode(item, f"{name}.{i}", {}) for i, item in enumerate(items)]
    return {"$objects": [list(value.shape), nodes]}


def _to_codes(value):
    """Strings (...,) to their character codes (..., width)."""
    kind = value.dtype.kind
    width = max(1, value.dtype.itemsize // np.dtype(_CODES[kind]).itemsize)
    native = value.astype(f"={kind}{width}", order="C", subok=False)
    return native.reshape(*value.shape, 1).view(_CODES[kind])


def _from_codes(codes):
    """Inverse of `_to_codes`."""
    kind = _KINDS.get(codes.dtype)
    if kind is None or codes.ndim == 0 or codes.shape[-1] == 0:
        raise ModelFileError("it holds strings of a wrong type.")
    if kind == "U" and codes.size and codes.max() > 0x10FFFF:
        raise ModelFileError("it holds a character code out of range.")
    return codes.view(f"={kind}{codes.shape[-1]}").reshape(codes.shape[:-1])


def _add(tensors, name, array):
    while name in tensors:  # {"a.b": x} beside {"a": {"b": y}}
        name += "_"
    tensors[name] = array
    return name


def decode(node, take, custom):
    """Turn JSON back into the value it was made from.

    Parameters
    ----------
    node : object
        Result of `encode` after a round trip through JSON.

    take : callable
        Maps the name of an array to the array.

    custom : callable
        Maps the description of a value that was left out to its replacement.

    Returns
    -------
    value : object
        The value.
    """
    if isinstance(node, list):
        return [decode(item, take, custom) for item in node]
    if not isinstance(node, dict):
        return node
    tag = next((key for key in node if key.startswith("$")), None)
    if tag is None:
        return {key: decode(item, take, custom) for key, item in node.items()}
    if len(node) > 1:
        raise ModelFileError(f"it holds a value marked {tag} with further keys.")
    content = node[tag]
    if tag in ("$array", "$text"):
        array = take(content)
        is_text = tag == "$text" and isinstance(array, np.ndarray)
        return _from_codes(array) if is_text else array
    if tag == "$custom":
        return custom(content)
    try:
        return _decode_plain(tag, content, take, custom)
    except (KeyError, TypeError, ValueError, OverflowError) as error:
        if isinstance(error, ModelFileError):
            raise
        raise ModelFileError(f"it holds a malformed value marked {tag}.") from error


def _decode_plain(tag, content, take, custom):
    if tag == "$float":
        return _FLOATS[content]
    if tag == "$tuple":
        return tuple(decode(_as_list(content), take, custom))
    if tag == "$dict":
        return {str(key): decode(item, take, custom) for key, item in content}
    if tag == "$scalar":
        return _decode_scalar(*content, take, custom)
    if tag == "$objects":
        return _decode_objects(*content, take, custom)
    raise ModelFileError(f"it holds a value of an unknown kind, {tag!r}.")


def _decode_scalar(kind, node, take, custom):
    value = decode(node, take, custom)
    scalar = _SCALARS[kind](value)
    if type(scalar.item()) is not type(value):
        raise ModelFileError(f"it holds a number that is no {kind}.")
    return scalar


def _decode_objects(shape, nodes, take, custom):
    items = decode(_as_list(nodes), take, custom)
    if math.prod(shape) != len(items) or any(side < 0 for side in shape):
        raise ModelFileError("it holds an array whose shape and size disagree.")
    array = np.empty(len(items), object)
    for i, item in enumerate(items):
        if not isinstance(item, _ELEMENTS):
            raise ModelFileError("it holds an array of other things than text.")
        array[i] = item
    return array.reshape(shape)


def _as_list(content):
    if not isinstance(content, list):
        raise ModelFileError("it holds a malformed list.")
    return content
