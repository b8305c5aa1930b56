"""Sentences in which only new entities are tagged: what the source adds."""

import numpy as np

from skdeep.metrics import entity_spans

_SURE = 0.5  # probability of a span from which the source's tag is taken as it is


def fill_in(tags, source, classes, scheme):
    """Tags of old entities from the source, where no new entity is tagged.

    Parameters
    ----------
    tags : list of list of str
        Tags of each sentence in the scheme BIO; old entities are "O".

    source : SourceView
        What the source says.

    classes : ndarray of shape (n_old,)
        Its tags.

    scheme : str
        Scheme of the source. With "plain" tags a token is an entity.

    Returns
    -------
    filled : list of list of str
        The tags, with those spans of the source that overlap no new entity.

    unsure : ndarray of shape (n_tokens,), dtype bool
        True for tokens of spans of which the source is not sure: they may as well be
        outside of an entity.
    """
    place = {tag: number for number, tag in enumerate(classes.tolist())}
    unsure = np.zeros(len(source.proba), bool)
    filled = []
    start = 0
    for own, guess in zip(tags, source.tags):
        row = list(own)
        for first, stop in _spans(guess, scheme):
            if any(tag != "O" for tag in own[first:stop]):
                continue
            row[first:stop] = guess[first:stop]
            tokens = np.arange(start + first, start + stop)
            columns = [place[tag] for tag in guess[first:stop]]
            unsure[tokens] = source.proba[tokens, columns].min() < _SURE
        filled.append(row)
        start += len(own)
    return filled, unsure


def _spans(tags, scheme):
    if scheme == "plain":
        return [(n, n + 1) for n, tag in enumerate(tags) if tag != "O"]
    return [(first, stop) for first, stop, _ in entity_spans(tags)]


def allowed_tags(codes, unsure, outside):
    """Tags that each token may have: its own, and "O" where one is unsure.

    Parameters
    ----------
    codes : ndarray of shape (n_tokens,)
        Tag of each token.

    unsure : ndarray of shape (n_tokens,), dtype bool

    outside : ndarray of shape (n_tags,), dtype bool
        True for "O".

    Returns
    -------
    allowed : ndarray of shape (n_tokens, n_tags), dtype bool
    """
    allowed = np.eye(len(outside), dtype=bool)[codes]
    allowed[np.ix_(unsure, outside)] = True
    return allowed
