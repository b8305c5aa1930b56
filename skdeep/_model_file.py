"""The model file: a safetensors file with a checksum, read with suspicion.

    8 bytes      length of the header
    header       JSON: shape, type and place of each tensor, and in ``__metadata__`` under
                 ``skdeep`` a text that is JSON again
    the rest     the tensors, back to back

The sha256 in the inner JSON is that of the whole file with zeros in its own place, so it
covers every byte. All sizes in a file are compared with the size of the file before
anything is allocated for them. No part of a file is ever run or unpickled.
"""

import contextlib
import errno
import hashlib
import itertools
import json
import math
import os
import re
import secrets
import stat

import safetensors.numpy

from skdeep.exceptions import ModelFileError

_MAX_HEADER_BYTES = 16 * 2**20
_MAX_ITEMS = 1_000_000
_MAX_DEPTH = 64
_MAX_TENSORS = 100_000
_MAX_DIMENSIONS = 32
_MAX_EMPTY_SIDE = 2**31
_ITEM_BYTES = {
    **{"BOOL": 1, "I8": 1, "U8": 1, "I16": 2, "U16": 2, "F16": 2},
    **{"I32": 4, "U32": 4, "F32": 4, "I64": 8, "U64": 8, "F64": 8},
}
_ZEROS = b"0" * 64
_CHECKSUM = re.compile(rb'\\"sha256\\":\\"([0-9a-f]{64})\\"')


def pack(tensors, header):
    """Bytes of a model file.

    Parameters
    ----------
    tensors : dict of str to ndarray
        Contiguous arrays.

    header : dict
        What `json.dumps` takes.

    Returns
    -------
    data : bytearray
        The same for the same model, whenever it is saved.
    """
    header = {"sha256": _ZEROS.decode(), **header}
    text = json.dumps(header, allow_nan=False, separators=(",", ":"))
    data = bytearray(safetensors.numpy.save(tensors, metadata={"skdeep": text}))
    place = slice(*_find_checksum(data).span(1))
    data[place] = hashlib.sha256(data).hexdigest().encode()
    end = 8 + int.from_bytes(data[:8], "little")
    _check_header_size(end)
    _parse(bytes(data[8:end]), end, len(data))  # what is written can be read
    return data


def unpack(path, sha256=None):
    """Read and check a model file.

    Parameters
    ----------
    path : pathlib.Path
        The file.

    sha256 : str or None, default=None
        Hash of the whole file from a trusted place.

    Returns
    -------
    header : dict
        The inner JSON, not looked at any further.

    tensors : dict of str to ndarray
        Writeable arrays.
    """
    with open(path, "rb") as file:
        status = os.fstat(file.fileno())
        if not stat.S_ISREG(status.st_mode):
            raise ModelFileError("it is not a regular file.")
        start = file.read(8)
        end = 8 + int.from_bytes(start, "little")
        if len(start) < 8 or not 8 < end <= status.st_size:
            raise ModelFileError("it is no model file of skdeep, or is cut short.")
        _check_header_size(end)
        table = file.read(end - 8)
        found = _find_checksum(start + table)
        header = _parse(table, end, status.st_size)
        data = start + table + file.read()
    if sha256 is not None and hashlib.sha256(data).hexdigest() != sha256.lower():
        raise ModelFileError("its sha256 is not the one that was asked for.")
    _check_checksum(data, found)
    try:
        tensors = safetensors.numpy.load(data)
    except safetensors.SafetensorError as error:
        raise ModelFileError(f"its tensors cannot be read ({error}).") from error
    return header, {
        name: array if array.flags.writeable else array.copy()
        for name, array in tensors.items()
    }


def _check_header_size(end):
    if end > 8 + _MAX_HEADER_BYTES:
        raise ModelFileError("its header is larger than 16 MiB.")


def _find_checksum(data):
    found = _CHECKSUM.search(data)
    if found is None:
        raise ModelFileError("it is no model file of skdeep, or is damaged.")
    return found


def _check_checksum(data, found):
    digest = hashlib.sha256(memoryview(data)[: found.start(1)])
    digest.update(_ZEROS)
    digest.update(memoryview(data)[found.end(1) :])
    if digest.hexdigest().encode() != found[1]:
        raise ModelFileError("it is damaged: its content does not fit its checksum.")


def _parse(table, start, size):
    """Check the header of a file whose tensors reach from `start` to `size`."""
    table = _parse_json(table)
    metadata = table.pop("__metadata__", None)
    if not isinstance(metadata, dict) or list(metadata) != ["skdeep"]:
        raise ModelFileError("it is no model file of skdeep.")
    _check_table(table, size - start)
    return _parse_json(metadata["skdeep"])


def _parse_json(text):
    """Parse a JSON object that is neither large, nor deep, nor ambiguous."""
    try:
        if isinstance(text, bytes):
            text = text.decode()
        if sum(map(text.count, ",[{")) > _MAX_ITEMS or _depth(text) > _MAX_DEPTH:
            raise ModelFileError(
                "its header holds too many or too deeply nested values."
            )
        node = json.loads(
            text,
            object_pairs_hook=_distinct,
            parse_constant=_refuse,
            parse_float=_finite,
        )
    except (ValueError, TypeError, RecursionError, AttributeError) as error:
        if isinstance(error, ModelFileError):
            raise
        raise ModelFileError("its header is damaged.") from error
    if not isinstance(node, dict):
        raise ModelFileError("its header is no JSON object.")
    return node


def _depth(text):
    """Levels of brackets outside of strings."""
    text = text.replace("\\\\", "").replace('\\"', "")
    brackets = re.sub(r'"[^"]*"|[^][{}"]+', "", text)
    steps = (1 if bracket in "[{" else -1 for bracket in brackets)
    return max(itertools.accumulate(steps), default=0)


def _distinct(pairs):
    node = dict(pairs)
    if len(node) < len(pairs):
        raise ModelFileError("its header names something twice.")
    return node


def _refuse(constant):
    raise ModelFileError(f"its header holds {constant}, which is no JSON.")


def _finite(text):
    value = float(text)
    if not math.isfinite(value):
        _refuse(text)
    return value


def _check_table(table, n_bytes):
    """Each tensor fits its bytes, and all of them fill the file without overlap."""
    if len(table) > _MAX_TENSORS:
        raise ModelFileError(f"it declares {len(table)} tensors, too many.")
    spans = sorted(_span(name, entry) for name, entry in table.items())
    position = 0
    for begin, end in spans:
        if begin != position:
            raise ModelFileError("its tensors overlap or leave gaps.")
        position = end
    if position != n_bytes:
        raise ModelFileError(
            f"it declares {position} bytes of tensors, but holds {n_bytes}."
        )


def _span(name, entry):
    """First and last byte of a tensor."""
    try:
        item_bytes = _ITEM_BYTES[entry["dtype"]]
        shape, (begin, end) = entry["shape"], entry["data_offsets"]
        is_sound = (
            len(entry) == 3
            and len(shape) <= _MAX_DIMENSIONS
            and all(type(n) is int and n >= 0 for n in [*shape, begin, end])
            and math.prod(shape) * item_bytes == end - begin
            and max(shape, default=0) < _MAX_EMPTY_SIDE
        )
    except (KeyError, TypeError, ValueError) as error:
        raise ModelFileError(f"its entry for {name[:99]!r} is malformed.") from error
    if not is_sound:
        raise ModelFileError(
            f"size and shape of {name[:99]!r} disagree or are out of range."
        )
    return begin, end


def replace_file(path, data):
    """Put `data` in the place of a file in one step.

    Whoever opens `path`, even after a crash at any moment, finds the old file or the
    new one, complete.

    Parameters
    ----------
    path : pathlib.Path
        The file; need not exist.

    data : bytes-like
        Its new content.
    """
    target = os.path.realpath(path)  # a link stays a link
    try:
        mode = _mode(target)
        temporary = f"{target}.{secrets.token_hex(4)}.tmp"
        try:
            with open(temporary, "xb") as file:
                file.write(data)
                file.flush()
                os.fsync(file.fileno())
            if mode is not None:
                os.chmod(temporary, mode)
            os.replace(temporary, target)
        finally:
            with contextlib.suppress(OSError):  # it is gone if all went well
                os.unlink(temporary)
    except OSError as error:
        raise OSError(
            error.errno, f"Cannot save: {error.strerror}", str(path)
        ) from error
    _sync_directory(os.path.dirname(target))


def _mode(target):
    """Permissions of a file to be replaced; None if there is none."""
    try:
        mode = os.stat(target).st_mode
    except FileNotFoundError:
        return None
    if stat.S_ISDIR(mode):
        raise IsADirectoryError(errno.EISDIR, os.strerror(errno.EISDIR))
    if not stat.S_ISREG(mode):
        raise OSError(errno.EINVAL, "not a regular file")
    return stat.S_IMODE(mode)


def _sync_directory(directory):
    """Make the new name last through a power cut, where the system can do that."""
    with contextlib.suppress(OSError):
        descriptor = os.open(directory, os.O_RDONLY)
        try:
            os.fsync(descriptor)
        finally:
            os.close(descriptor)
