"""Word vectors given by the user."""

import os
import re
from numbers import Integral

import numpy as np

from skdeep.exceptions import InvalidParameterError

_DIGITS = re.compile(r"\d")


class WordVectors:
    """Look words up in what the user gave.

    Parameters
    ----------
    source : mapping, object with ``__getitem__`` and ``__contains__``, or path
        A dict of vectors, keyed vectors of gensim, or a text file with a word, which may
        hold spaces, and its numbers in each line. A first line with two integers tells how many words and
        how many numbers for each; else the first vector has as many as all others.
    """

    def __init__(self, source):
        if isinstance(source, (str, os.PathLike)):
            source = read_vectors(source)
        self.source = source
        self.n_dimensions = getattr(source, "vector_size", None)
        if self.n_dimensions is None:
            first = _first_value(source)
            if _n_axes(first) != 1 or not len(first):
                raise InvalidParameterError(
                    "`word_vectors` must map words to 1-d arrays of numbers, or have an"
                    f" attribute `vector_size`; got {type(source).__name__} with values"
                    f" of type {type(first).__name__}."
                )
            self.n_dimensions = len(first)
        size = self.n_dimensions
        if not isinstance(size, Integral) or isinstance(size, bool) or size < 1:
            raise InvalidParameterError(
                "`word_vectors` must have an int of at least 1 as its `vector_size`; "
                f"got {size!r}."
            )

    def __call__(self, words):
        """Vectors of words, an array (n_words, n_dimensions); zeros if unknown.

        A word is looked up as it is, lower-cased, with digits as 0, and both.
        """
        found = np.zeros((len(words), self.n_dimensions), np.float32)
        for place, word in enumerate(words):
            zeros = _DIGITS.sub("0", word)
            for form in (word, word.lower(), zeros, zeros.lower()):
                if form in self.source:
                    found[place] = self._checked(form)
                    break
        return found

    def _checked(self, form):
        try:
            vector = np.asarray(self.source[form], dtype=np.float32)
        except (TypeError, ValueError, RuntimeError):  # the last of tensors of torch
            vector = np.array(np.nan, dtype=np.float32)
        if vector.shape != (self.n_dimensions,) or not np.isfinite(vector).all():
            raise ValueError(
                f"`word_vectors`: the vector of {form!r} must hold {self.n_dimensions} "
                f"finite numbers, got {self.source[form]!r:.60}.{self._advice(form)}"
            )
        return vector

    def _advice(self, form):
        """What to do with a tensor that numpy does not take."""
        if getattr(self.source[form], "requires_grad", False):
            return " It is a tensor that requires a gradient; give `tensor.detach()`."
        return ""


def _first_value(source):
    """Some value of a mapping; None if this is no mapping or is empty."""
    try:
        return next(iter(source.values()), None)
    except (AttributeError, TypeError, RuntimeError):  # a tensor has another `values`
        return None


def _n_axes(value):
    try:
        return np.ndim(value)
    except ValueError:  # lists of several lengths
        return None


def read_vectors(path):
    """Read a text file of word vectors, as a dict of arrays of float32."""
    try:
        with open(path, encoding="utf-8") as lines:
            return _parse(lines, path)
    except (OSError, UnicodeDecodeError) as error:
        raise InvalidParameterError(
            f"The 'word_vectors' parameter must be a text file in UTF-8 if it is a path; "
            f"{os.fspath(path)!r} cannot be read: {error}."
        ) from error


def _parse(lines, path):
    vectors, size = {}, None
    for number, line in enumerate(lines, 1):
        fields = line.rstrip().split(" ")
        if number == 1 and _is_header(fields):
            size = int(fields[1])
            continue
        if fields == [""]:
            continue
        size = _n_numbers(fields) if size is None else size
        try:
            if not 0 < size < len(fields):
                raise ValueError
            # a word may hold spaces, so its numbers are counted from the right
            word = " ".join(fields[:-size])
            vectors[word] = np.array(fields[-size:], dtype=np.float32)
        except ValueError:
            expected = f"its {size} numbers" if size else "its numbers"
            raise ValueError(
                f"`word_vectors`: line {number} of {path} is not a word and {expected}, "
                f"with one space between them: {line!r:.60}."
            ) from None
    return vectors


def _is_header(fields):
    """Whether a line holds two integers, as the first line of word2vec does."""
    return len(fields) == 2 and all(map(str.isdecimal, fields)) and int(fields[1]) > 0


def _n_numbers(fields):
    """How many fields behind the first one are numbers, counted from the right."""
    for n_numbers, field in enumerate(reversed(fields[1:])):
        try:
            float(field)
        except ValueError:
            return n_numbers
    return len(fields) - 1
