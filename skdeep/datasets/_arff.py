"""Read numeric tables in the ARFF format.

A file has a header with one attribute a line, then one row a line. A dense row lists
all values, ``0.5,1,0``; a sparse row lists pairs of a column and its value,
``{0 0.5,1 1}``, and what it leaves out is 0. An attribute is a number, or one of a few
named values; here the names have to be numbers themselves, as in ``{0,1}``. Dates, free
texts and missing values are refused.
"""

import re
from array import array

import numpy as np
from scipy.sparse import csr_array, issparse

_NAME = r"""'(?:[^'\\]|\\.)*'|"(?:[^"\\]|\\.)*"|[^\s'"]\S*"""
_ATTRIBUTE = re.compile(rf"@attribute\s+({_NAME})\s+(\S.*)", re.IGNORECASE)
_NUMERIC = ("numeric", "real", "integer")


def parse_arff(content):
    """Read a file.

    Parameters
    ----------
    content : bytes
        The file, in UTF-8.

    Returns
    -------
    names : list of str
        Name of each attribute, in the order of the file.

    rows : ndarray or csr_array of shape (n_rows, n_attributes), dtype float64
        The values; sparse if the rows of the file are.

    Notes
    -----
    O(values in the file) time.
    """
    lines = _lines(content)
    attributes = _read_header(lines)
    rows = list(lines)
    names = [name for name, _ in attributes]
    is_sparse = bool(rows) and rows[0][1].startswith("{")
    if is_sparse:
        _check_left_out_is_zero(attributes)
    read = _read_sparse if is_sparse else _read_dense
    matrix = read(rows, len(names))
    _check_named_values(matrix, attributes)
    return names, matrix


def _lines(content):
    """Yield number and text of the lines that are neither empty nor comments."""
    for number, line in enumerate(content.decode("utf-8").split("\n"), start=1):
        line = line.strip()
        if line and not line.startswith("%"):
            yield number, line


def _read_header(lines):
    """Consume the lines up to the rows; return names and allowed values."""
    attributes = {}
    for number, line in lines:
        keyword = line.split(maxsplit=1)[0].lower()
        if keyword == "@data":
            return list(attributes.items())
        if keyword == "@relation":
            continue
        match = _ATTRIBUTE.fullmatch(line)
        if match is None:
            raise ValueError(f"Line {number} is no line of an ARFF header: {line!r}.")
        name = _without_quotes(match[1])
        if name in attributes:
            raise ValueError(f"Line {number} names a second attribute {name!r}.")
        attributes[name] = _allowed_values(name, match[2])
    raise ValueError("The ARFF file ends before its line @data.")


def _without_quotes(text):
    if text[0] not in "'\"":
        return text
    return re.sub(r"\\(.)", r"\1", text[1:-1])


def _allowed_values(name, kind):
    """Values between braces as a tuple of numbers; None if any number is allowed."""
    if kind.lower() in _NUMERIC:
        return None
    try:
        if not re.fullmatch(r"\{.*\}", kind):
            raise ValueError("neither a number nor a list of values")
        return tuple(float(value.strip(" \t'\"")) for value in kind[1:-1].split(","))
    except ValueError as error:
        raise ValueError(
            f"Attribute {name!r} is of the kind {kind}; only numeric attributes, and "
            "values that are numbers, as in {0,1}, can be read."
        ) from error


def _read_dense(rows, n_columns):
    matrix = np.empty((len(rows), n_columns))
    for values, (number, line) in zip(matrix, rows):
        texts = line.split(",")
        if len(texts) != n_columns:
            raise ValueError(
                f"Line {number} has {len(texts)} values for {n_columns} attributes."
            )
        try:
            values[:] = [float(text) for text in texts]
        except ValueError as error:
            raise ValueError(f"Line {number} has a value that is no number.") from error
    return matrix


def _read_sparse(rows, n_columns):
    # arrays of machine numbers take a fraction of the memory of lists
    starts, columns, values = array("q", [0]), array("q"), array("d")
    for number, line in rows:
        if not re.fullmatch(r"\{.*\}", line):
            raise ValueError(f"Line {number} is no sparse row, as those above it are.")
        entries = line[1:-1].split(",") if line[1:-1].strip() else []
        try:
            for entry in entries:
                column, value = entry.split()
                columns.append(int(column))
                values.append(float(value))
        except ValueError as error:
            raise ValueError(
                f"Line {number} has an entry that is no pair of a column and a number."
            ) from error
        _check_columns(number, columns[starts[-1] :], n_columns)
        starts.append(len(columns))
    matrix = csr_array(
        (np.array(values), np.array(columns, np.int32), np.array(starts, np.int32)),
        shape=(len(rows), n_columns),
    )
    matrix.eliminate_zeros()
    matrix.sort_indices()
    return matrix


def _check_columns(number, columns, n_columns):
    is_twice = len(set(columns)) < len(columns)
    if is_twice or (columns and not 0 <= min(columns) <= max(columns) < n_columns):
        raise ValueError(
            f"Line {number} names a column twice, or one outside 0 to {n_columns - 1}."
        )


def _check_left_out_is_zero(attributes):
    """A sparse row leaves out the first of the named values, whatever that is."""
    for name, values in attributes:
        if values is not None and values[0] != 0:
            raise ValueError(
                f"Attribute {name!r} has {values[0]:g} as its first value, which "
                "sparse rows leave out; only 0 can be read there."
            )


def _check_named_values(matrix, attributes):
    for values in {values for _, values in attributes if values is not None}:
        columns = [allowed == values for _, allowed in attributes]
        part = matrix[:, np.flatnonzero(columns)]
        found = part.data if issparse(part) else part
        strange = np.setdiff1d(found, values)
        if strange.size:
            raise ValueError(
                f"The rows hold {strange[0]:g} where only "
                f"{', '.join(f'{value:g}' for value in values)} are allowed."
            )
