"""Entities of tagged sentences: from one tag a token to spans with a type.

Sentences are laid end to end, and all their spans are found at once. A tag is "O", or a
prefix, a hyphen and a type: B begins an entity, I goes on with it, E ends it, and S is an
entity of one token (L and U are other letters for E and S).
"""

from dataclasses import dataclass
from itertools import chain

import numpy as np

from skdeep.metrics._pairs import check_choice

MODES = ("conlleval", "strict")
OUTSIDE, BEGIN, INSIDE, END, SINGLE = range(5)
_PREFIXES = {"B": BEGIN, "I": INSIDE, "E": END, "S": SINGLE, "L": END, "U": SINGLE}


@dataclass(frozen=True)
class Spans:
    """Entities of all sentences; positions count tokens from the first sentence on.

    Parameters
    ----------
    start, stop : ndarray of shape (n_spans,), dtype int64
        First token, and the token behind the last one.

    type_code : ndarray of shape (n_spans,), dtype int64
        Index into the names of the types.

    can_begin : bool
        Whether the tags have a prefix that begins an entity, or have no entity at all.
    """

    start: np.ndarray
    stop: np.ndarray
    type_code: np.ndarray
    can_begin: bool

    def chosen(self, rows):
        """The spans that a mask or an index array names."""
        kept = self.start[rows], self.stop[rows], self.type_code[rows]
        return Spans(*kept, self.can_begin)


def entity_spans(tags, *, mode="conlleval"):
    """Find the entities of tagged sentences.

    Parameters
    ----------
    tags : list of str, or list of list of str
        The tags of one sentence or of several: "O", or a prefix and a type such as
        "B-city". Schemes IO, BIO (IOB1, IOB2) and BIOES (BILOU) are understood.

    mode : {"conlleval", "strict"}, default="conlleval"
        What is done with a tag that continues nothing, such as "I-city" behind "O". It
        begins an entity for "conlleval", as in the shared tasks of CoNLL. "strict"
        drops an entity that does not begin with B or, if there are tags with E or S, is
        not S alone or B to E.

    Returns
    -------
    spans : list of (int, int, str), or list of such lists
        Start, stop and type of each entity, so that ``tokens[start:stop]`` are its
        tokens; a list of them for each sentence if there are several.

    See Also
    --------
    entity_f1_score : Compare the entities of two taggings.

    Notes
    -----
    O(n_tokens) time. In scheme IO two entities of one type side by side are one.

    Examples
    --------
    >>> from skdeep.metrics import entity_spans
    >>> entity_spans(["B-person", "I-person", "O", "B-city"])
    [(0, 2, 'person'), (3, 4, 'city')]
    >>> entity_spans([["O", "I-city"], ["B-city"]], mode="strict")
    [[], [(0, 1, 'city')]]
    """
    check_choice("mode", mode, MODES)
    tags = list(tags)
    is_one = bool(tags) and isinstance(tags[0], str)
    sentences = check_sentences([tags] if is_one else tags, "tags")
    (spans,), types = find_spans([sentences], ["tags"], mode)
    n_tokens = [len(sentence) for sentence in sentences]
    first = np.cumsum([0, *n_tokens])
    owner = np.searchsorted(first, spans.start, side="right") - 1
    found = [[] for _ in sentences]
    rows = zip(owner, spans.start - first[owner], spans.stop - first[owner])
    for (sentence, start, stop), code in zip(rows, spans.type_code):
        found[sentence].append((int(start), int(stop), types[code]))
    return found[0] if is_one else found


def check_sentences(y, name):
    """Return `y` as a list of tag lists, or say which entry is none."""
    if isinstance(y, str) or not hasattr(y, "__iter__"):
        raise TypeError(f"`{name}` must be a list of tag lists; got {y!r}.")
    sentences = list(y)
    for i, sentence in enumerate(sentences):
        if isinstance(sentence, str) or not hasattr(sentence, "__len__"):
            raise ValueError(
                f"`{name}[{i}]` must be a list of tags, one a token; got {sentence!r}."
            )
    return sentences


def check_same_lengths(sentences, others, name, other_name):
    """Refuse taggings of different sentences; name the first one that differs."""
    if len(sentences) != len(others):
        raise ValueError(
            f"`{name}` has {len(sentences)} sentences and `{other_name}` has "
            f"{len(others)}; give the tags of the same sentences."
        )
    for i, (sentence, other) in enumerate(zip(sentences, others)):
        if len(sentence) != len(other):
            raise ValueError(
                f"Sentence {i} has {len(sentence)} tags in `{name}` and {len(other)} in "
                f"`{other_name}`; give one tag a token in both."
            )


def find_spans(taggings, names, mode):
    """Find the spans of one or more taggings of the same sentences.

    Parameters
    ----------
    taggings : list of list of list of str
        Checked taggings; the first one decides on the scheme of the others.

    names : list of str
        What they are called in errors.

    mode : {"conlleval", "strict"}
        As in `entity_spans`.

    Returns
    -------
    spans : list of Spans
        Those of each tagging.

    types : list of str
        Sorted names of the types, to which `type_code` refers.
    """
    tokens = [list(chain.from_iterable(sentences)) for sentences in taggings]
    try:
        parsed = {tag: parse_tag(tag) for tag in set().union(*tokens)}
    except TypeError:  # a tag that cannot be hashed is no tag either
        parsed = {"": None}
    if None in parsed.values():
        raise _bad_tag(taggings, names)
    types = sorted({type_ for prefix, type_ in parsed.values() if prefix != OUTSIDE})
    code_of_type = {type_: code for code, type_ in enumerate(types)}
    rows = [(prefix, code_of_type.get(type_, -1)) for prefix, type_ in parsed.values()]
    table = np.array(rows, dtype=np.int64).reshape(-1, 2)
    index = {tag: i for i, tag in enumerate(parsed)}
    lengths = np.array([len(sentence) for sentence in taggings[0]], dtype=np.int64)
    is_first = np.zeros(len(tokens[0]), dtype=bool)
    is_first[(np.cumsum(lengths) - lengths)[lengths > 0]] = True
    spans, first_has_ends = [], False
    for tags in tokens:
        codes = np.fromiter(map(index.__getitem__, tags), np.int64, len(tags))
        prefix, type_code = table[codes].T
        found = _find(prefix, type_code, is_first)
        # BIOES in the first tagging means BIOES in all, whatever a model makes of it
        has_ends = first_has_ends or bool((prefix >= END).any())
        first_has_ends = has_ends if not spans else first_has_ends
        spans.append(_strict(found, prefix, has_ends) if mode == "strict" else found)
    return spans, types


def parse_tag(tag):
    """Prefix and type of a tag; None if it has none."""
    if not isinstance(tag, str):
        return None
    if tag == "O":
        return OUTSIDE, ""
    prefix, _, type_ = tag.partition("-")
    return (_PREFIXES[prefix], type_) if prefix in _PREFIXES and type_ else None


def _bad_tag(taggings, names):
    """The error for the first tag that belongs to no scheme."""
    name, i, j, tag = next(
        (name, i, j, tag)
        for name, sentences in zip(names, taggings)
        for i, sentence in enumerate(sentences)
        for j, tag in enumerate(sentence)
        if parse_tag(tag) is None
    )
    return ValueError(
        f"`{name}[{i}][{j}]` is {tag!r}, which is no tag; give 'O', or a prefix B, I, E "
        "or S and a type, such as 'B-city'."
    )


def _find(prefix, type_code, is_first):
    """Spans by the rule of conlleval; all arguments have shape (n_tokens,)."""
    is_inside = prefix != OUTSIDE
    before = np.where(is_first, OUTSIDE, np.roll(prefix, 1))
    goes_on = (
        is_inside
        & np.isin(prefix, (INSIDE, END))
        & np.isin(before, (BEGIN, INSIDE))
        & (type_code == np.roll(type_code, 1))
    )
    is_last = is_inside.copy()
    is_last[:-1] &= ~goes_on[1:]
    start = np.flatnonzero(is_inside & ~goes_on)
    can_begin = bool(np.isin(prefix, (BEGIN, SINGLE)).any() or not is_inside.any())
    return Spans(start, np.flatnonzero(is_last) + 1, type_code[start], can_begin)


def _strict(spans, prefix, has_ends):
    """Drop spans that do not begin, or in BIOES do not end, as the scheme says."""
    kept = prefix[spans.start] == BEGIN
    if has_ends:
        kept &= prefix[spans.stop - 1] == END
        kept |= prefix[spans.start] == SINGLE
    return spans.chosen(kept)
