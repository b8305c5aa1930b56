"""Tagged sentences from files with one token a line."""

import gzip
import re
import zlib

# a line "# O" of a file without tabs is the token "#", any other "# ..." a comment
_TAG = re.compile(r"O|[BIESLU]-.+")


def read_conll(path, *, token_column=0, tag_column=-1, encoding="utf-8"):
    """Read tagged sentences from a file with one token a line.

    Parameters
    ----------
    path : str or path-like
        The file, plain or compressed by gzip.

    token_column : int, default=0
        Column that holds the token.

    tag_column : int, default=-1
        Column that holds its tag; a negative one counts from the end.

    encoding : str, default="utf-8"
        Encoding of the file. A byte order mark is skipped.

    Returns
    -------
    tokens : list of list of str
        The tokens of each sentence.

    tags : list of list of str
        Their tags.

    Raises
    ------
    ValueError
        If a line is not as expected; the message names file and line.

    See Also
    --------
    skdeep.metrics.entity_spans : From tags to entities.

    Notes
    -----
    A blank line ends a sentence. Columns are separated by a tab, in lines without a tab
    by blanks, and all lines have the same number of them. Lines that start with
    "-DOCSTART-" are skipped, and so are comments: lines without a tab that start with
    "# " and do not end with a tag such as "O" or "B-city".

    Examples
    --------
    >>> import tempfile
    >>> from pathlib import Path
    >>> from skdeep.datasets import read_conll
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     path = Path(folder, "small.conll")
    ...     n_written = path.write_text("Ada B-person\\nsleeps O\\n\\nOslo B-city\\n")
    ...     tokens, tags = read_conll(path)
    >>> tokens
    [['Ada', 'sleeps'], ['Oslo']]
    >>> tags
    [['B-person', 'O'], ['B-city']]
    """
    with open(path, "rb") as file:
        content = file.read()
    try:
        if content.startswith(b"\x1f\x8b"):
            content = gzip.decompress(content)
        text = content.decode(encoding)
    except UnicodeDecodeError as error:
        raise ValueError(
            f"{path} is not {encoding} at byte {error.start}; name its `encoding`."
        ) from error
    except (EOFError, zlib.error, gzip.BadGzipFile) as error:
        raise ValueError(f"{path} is a damaged gzip file: {error}.") from error
    sentences = parse_conll(text, path, token_column, tag_column)
    if not sentences:
        raise ValueError(f"{path} has no line with a token and its tag.")
    return tuple(list(column) for column in zip(*sentences))


def parse_conll(text, name, token_column=0, tag_column=-1):
    """Read text as a list of (tokens, tags); `name` is that of the file, for errors."""
    sentences, tokens, tags, first = [], [], [], None
    # tokens may contain the line breaks of Unicode, so only \n ends a line
    for number, line in enumerate(text.removeprefix("\ufeff").split("\n"), start=1):
        line = line.removesuffix("\r")
        if not line.strip(" \t"):
            if tokens:
                sentences.append((tokens, tags))
                tokens, tags = [], []
            continue
        columns = line.split("\t") if "\t" in line else line.strip(" ").split(" ")
        if "\t" not in line:
            columns = [column for column in columns if column]
            if line.startswith("# ") and not _TAG.fullmatch(columns[-1]):
                continue
        if line.startswith("-DOCSTART-"):
            continue
        first = first or (number, len(columns))
        token, tag = _cells(columns, token_column, tag_column, first, name, number)
        tokens.append(token)
        tags.append(tag)
    if tokens:
        sentences.append((tokens, tags))
    return sentences


def _cells(columns, token_column, tag_column, first, name, number):
    """Token and tag of a line, or an error that names it."""
    if len(columns) != first[1]:
        raise ValueError(
            f"{name}, line {number}, has {len(columns)} columns where line {first[0]} "
            f"has {first[1]}; give each line a token and its tag."
        )
    cells = []
    for role, column in (("token", token_column), ("tag", tag_column)):
        if not -len(columns) <= column < len(columns):
            raise ValueError(
                f"{name}, line {number}, has {len(columns)} columns and so no column "
                f"{column} for the {role}; choose another `{role}_column`."
            )
        cells.append(columns[column])
    if len(columns) == 1 or not all(cells):
        raise ValueError(
            f"{name}, line {number}, is {' '.join(columns)!r}: a token without a tag, or "
            "a tag without a token."
        )
    return cells
