"""Sentences as users give them: checked, flattened; tag schemes."""

from typing import NamedTuple

import numpy as np

_FINER = {"E": "I", "L": "I", "S": "B", "U": "B"}


class Tokens(NamedTuple):
    """Sentences, flattened.

    Attributes
    ----------
    words : list of str
        The distinct tokens.

    ids : ndarray of shape (n_tokens,), dtype int64
        Place of each token in `words`, sentence after sentence.

    lengths : ndarray of shape (n_sentences,), dtype int64
        Tokens of each sentence; may be 0.
    """

    words: list
    ids: np.ndarray
    lengths: np.ndarray

    @property
    def starts(self):
        """Place of the first token of each sentence."""
        return np.cumsum(self.lengths) - self.lengths

    def take(self, chosen):
        """The sentences in a mask, with the same list of words."""
        return Tokens(self.words, self.ids[self.inside(chosen)], self.lengths[chosen])

    def inside(self, chosen):
        """Mask of the tokens of the sentences in a mask."""
        return np.repeat(chosen, self.lengths)

    def sentences(self):
        """The sentences as lists of str."""
        return split_rows([self.words[place] for place in self.ids], self.lengths)


def check_list(data, name, content):
    """Refuse what holds no sentences, and list those of an iterator.

    Parameters
    ----------
    data : object
        What the user has passed.

    name : str
        Its name in messages.

    content : str
        What it should be a list of.

    Returns
    -------
    data : list
    """
    if isinstance(data, (str, bytes, dict)) or not hasattr(data, "__iter__"):
        raise ValueError(f"{name} must be a list of {content}; got {_kind(data)}.")
    if not getattr(data, "ndim", 1):
        raise ValueError(f"{name} must be a list of {content}; got a scalar.")
    return list(data)


def check_sentences(X, name="X"):
    """Check sentences, and number their distinct tokens.

    Parameters
    ----------
    X : iterable of n_sentences sequences of str
        Tokens of each sentence.

    name : str, default="X"
        Its name in messages.

    Returns
    -------
    tokens : Tokens
        The same, flattened.
    """
    number = {}
    ids, lengths = [], []
    for index, sentence in enumerate(check_list(X, name, "sentences, lists of tokens")):
        _check_sequence(sentence, name, index, "token")
        ids += [number.setdefault(token, len(number)) for token in sentence]
        lengths.append(len(sentence))
    if not lengths:
        raise ValueError(f"{name} holds no sentence; at least 1 is required.")
    return Tokens(list(number), np.array(ids, np.int64), np.array(lengths, np.int64))


def check_tags(tokens, y):
    """Check that there is a tag for each token.

    Parameters
    ----------
    tokens : Tokens
        The sentences.

    y : iterable of n_sentences sequences of str
        Tags of each sentence.

    Returns
    -------
    tags : list of list of str
        One list a sentence.
    """
    if y is None:
        raise ValueError(
            "A tagger requires y to be passed, one list of tags a sentence, but the "
            "target y is None."
        )
    y = check_list(y, "y", "tag lists, one a sentence")
    if len(y) != len(tokens.lengths):
        raise ValueError(
            f"Found {len(tokens.lengths)} sentences in X, but {len(y)} lists of tags in "
            "y; both must have one entry a sentence."
        )
    for index, (tags, length) in enumerate(zip(y, tokens.lengths)):
        _check_sequence(tags, "y", index, "tag")
        if len(tags) != length:
            raise ValueError(
                f"Sentence {index} has {length} tokens in X, but {len(tags)} tags in y;"
                " each token needs one tag."
            )
    if not len(tokens.ids):
        raise ValueError("X holds empty sentences only; at least 1 token is required.")
    return [list(tags) for tags in y]


def _check_sequence(sequence, name, index, item):
    unordered = (str, bytes, dict, set, frozenset)
    if isinstance(sequence, unordered) or not hasattr(sequence, "__len__"):
        raise ValueError(
            f"{name}[{index}]: expected a list of {item}s (str), got {_kind(sequence)}"
            + (f"; split the text into {item}s." if isinstance(sequence, str) else ".")
        )
    if getattr(sequence, "ndim", 1) != 1:
        raise ValueError(
            f"{name}[{index}]: expected a list of {item}s, got an array of shape "
            f"{sequence.shape}."
        )
    for place, value in enumerate(sequence):
        if not isinstance(value, str):
            raise ValueError(
                f"{name}[{index}][{place}]: expected a {item} (str), got "
                f"{_kind(value)} {value!r:.60}."
            )


def _kind(value):
    return type(value).__name__


def detect_scheme(tags, owner="y"):
    """Tell how tags mark the bounds of entities.

    Parameters
    ----------
    tags : iterable of str
        All tags that occur.

    owner : str, default="y"
        What holds them, in messages.

    Returns
    -------
    scheme : {"BIO", "BIOES", "BILOU", "IO", "plain"}
        "plain" tags, such as parts of speech, mark no bounds.
    """
    tags = sorted(set(tags) - {"O"})
    marked = [tag for tag in tags if tag[1:2] == "-" and tag[0] in "BIESLU" and tag[2:]]
    if tags and not marked:
        return "plain"
    if len(marked) != len(tags):
        odd = next(tag for tag in tags if tag not in marked)
        raise ValueError(
            f"The tag {odd!r} in {owner} has no place in a scheme with tags like "
            f"{marked[0]!r}; use one scheme, e.g. 'B-{odd}' and 'I-{odd}'."
        )
    marks = {tag[0] for tag in tags}
    if marks & {"E", "S"} and marks & {"L", "U"}:
        raise ValueError(
            f"The tags in {owner} mix the marks {sorted(marks)} of two schemes; use BIO, "
            "BIOES or BILOU."
        )
    if marks & {"E", "S"}:
        return "BIOES"
    if marks & {"L", "U"}:
        return "BILOU"
    return "IO" if marks == {"I"} else "BIO"


def to_bio(tags, scheme):
    """Tags of a sentence in the scheme BIO; of the schemes "plain" and "IO" as they are.

    An I- tag that goes on with nothing begins an entity. Tags of no scheme stay as they are.
    """
    if scheme in ("plain", "IO"):
        return tags
    result = []
    before = "O"
    for tag in tags:
        if tag[1:2] == "-":
            tag = _FINER.get(tag[0], tag[0]) + tag[1:]
            if tag[0] == "I" and before[2:] != tag[2:]:
                tag = "B" + tag[1:]
        result.append(tag)
        before = tag
    return result


def from_bio(tags, scheme):
    """Turn BIO tags of a sentence back into the scheme of the training data."""
    if scheme not in ("BIOES", "BILOU"):
        return tags
    last, single = scheme[3:] if scheme == "BIOES" else "LU"
    result = []
    for tag, after in zip(tags, [*tags[1:], "O"]):
        goes_on = after[0] == "I" and after[2:] == tag[2:]
        if tag != "O" and not goes_on:
            tag = (single if tag[0] == "B" else last) + tag[1:]
        result.append(tag)
    return result


def encode_tags(tags, classes=None):
    """Number the tags of all tokens.

    Parameters
    ----------
    tags : list of list of str
        Tags of each sentence.

    classes : ndarray of shape (n_tags,) or None, default=None
        Tags that are known; None takes those that occur, and with each "B-" its "I-".

    Returns
    -------
    classes : ndarray of shape (n_tags,), dtype str
        Tags in the scheme BIO, sorted.

    codes : ndarray of shape (n_tokens,), dtype int64
        Place of each token's tag in `classes`.

    scheme : str
        Scheme of `tags`.
    """
    scheme = detect_scheme(tag for sentence in tags for tag in sentence)
    flat = [tag for sentence in tags for tag in to_bio(sentence, scheme)]
    found = set(flat)
    if scheme not in ("plain", "IO"):
        found |= {"O"} | {"BI"[i] + tag[1:] for tag in found - {"O"} for i in (0, 1)}
    if classes is None:
        classes = np.array(sorted(found))
    elif not found <= (known := set(classes.tolist())):
        given = [tag for sentence in tags for tag in sentence]
        unknown = {tag for tag, bio in zip(given, flat) if bio not in known}
        raise ValueError(
            f"y holds the tags {sorted(unknown)}, which the fitted tagger does not know. Fit "
            "with warm_start=False, or teach them with AdapterExtender."
        )
    place = {tag: code for code, tag in enumerate(classes.tolist())}
    return classes, np.array([place[tag] for tag in flat], np.int64), scheme


def same_scheme(tags, scheme):
    """Tags as BIO; an error if only one side, they or a fitted model, thinks in spans."""
    own = detect_scheme(tag for sentence in tags for tag in sentence)
    plain = ("plain", "IO")
    some = next((tag for sentence in tags for tag in sentence if tag != "O"), None)
    if some is not None and (own in plain or scheme in plain) and own != scheme:
        raise ValueError(
            f"The tags in y, such as {some!r}, are in the scheme {own!r}, those of the "
            f"fitted tagger in {scheme!r}; bring both to the same one."
        )
    return [to_bio(sentence, own) for sentence in tags]


def entity_types(tags, scheme):
    """Sorted types of entities that tags stand for."""
    found = {tag if scheme == "plain" else tag[2:] for tag in map(str, tags)}
    return sorted(found - {"O", ""})


def split_rows(rows, lengths):
    """Cut a flat list or array into one part a sentence."""
    ends = np.cumsum(lengths).tolist()
    return [rows[start:end] for start, end in zip([0, *ends], ends)]


def forbidden_moves(tags, scheme):
    """Which tags may not begin a sentence, and which may not follow which.

    Parameters
    ----------
    tags : sequence of str
        All tags.

    scheme : str
        How they mark the bounds of entities.

    Returns
    -------
    start : ndarray of shape (n_tags,), dtype bool
        True where no sentence begins.

    moves : ndarray of shape (n_tags, n_tags), dtype bool
        True where the tag of the row is not followed by the tag of the column.
    """
    n_tags = len(tags)
    if scheme in ("plain", "IO"):
        return np.zeros(n_tags, bool), np.zeros((n_tags, n_tags), bool)
    inside = np.array([tag[0] == "I" for tag in tags])
    types = np.array([tag[2:] for tag in tags])
    return inside, inside & (types[:, None] != types)
