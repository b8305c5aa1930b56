"""Word vectors given by the user."""

import os
import re

import numpy as np

from skdeep.exceptions import InvalidParameterError

_DIGITS = re.compile(r"\d")


class WordVectors:
    """Look words up in what the user gave.

    Parameters
    ----------
    source : mapping, object with ``__getitem__`` and ``__contains__``, or path
        A dict of vectors, keyed vectors of gensim, or a text file with a word and its
        numbers in each line (a first line with two numbers is skipped).
    """

    def __init__(self, source):
        if isinstance(source, (str, os.PathLike)):
            source = read_vectors(source)
        self.source = source
        self.n_dimensions = getattr(source, "vector_size", None)
        if self.n_dimensions is None:
            first = (
                next(iter(source.values()), None) if hasattr(source, "values") else None
            )
            if np.ndim(first) != 1 or not len(first):
                raise InvalidParameterError(
                    "`word_vectors` must map words to 1-d arrays of numbers, or have an"
                    f" attribute `vector_size`; got {type(source).__name__} with values"
                    f" of type {type(first).__name__}."
                )
            self.n_dimensions = len(first)

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
        except (TypeError, ValueError):
            vector = np.array(np.nan, dtype=np.float32)
        if vector.shape != (self.n_dimensions,) or not np.isfinite(vector).all():
            raise ValueError(
                f"`word_vectors`: the vector of {form!r} must hold {self.n_dimensions} "
                f"finite numbers, got {self.source[form]!r:.60}."
            )
        return vector


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
    vectors = {}
    for number, line in enumerate(lines, 1):
        word, *values = line.rstrip().split(" ")
        if number == 1 and len(values) == 1:
            continue
        try:
            vectors[word] = np.array(values, dtype=np.float32)
        except ValueError:
            raise ValueError(
                f"`word_vectors`: line {number} of {path} is not a word and its "
                f"numbers: {line!r:.60}."
            ) from None
    return vectors
