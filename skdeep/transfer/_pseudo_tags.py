"""Sentences in which only new entities are tagged: what the source adds."""

import numpy as np

from skdeep.metrics import entity_spans

_SURE = 0.5  # probability of a span from which the source's tag is taken as it is


def fill_in(tags, source, classes, lengths):
    """Tags of old entities from the source, where no new entity is tagged.

    Parameters
    ----------
    tags : list of list of str
        Tags of each sentence in the scheme BIO; old entities are "O".

    source : SourceView
        What the source says.

    classes : ndarray of shape (n_old,)
        Its tags.

    lengths : ndarray of shape (n_sentences,)
        Tokens of each sentence.

    Returns
    -------
    filled : list of list of str
        The tags, with those spans of the source that overlap no new entity.

    unsure : list of list of bool
        True for tokens of spans of which the source is not sure: they may as well be
        outside of an entity.
    """
    place = {tag: number for number, tag in enumerate(classes.tolist())}
    starts = np.cumsum(lengths) - lengths
    filled, unsure = [], []
    for own, guess, start in zip(tags, source.tags, starts):
        row, doubt = list(own), [False] * len(own)
        for first, stop, _ in entity_spans(guess):
            if any(tag != "O" for tag in own[first:stop]):
                continue
            row[first:stop] = guess[first:stop]
            proba = [
                source.proba[start + token, place[guess[token]]]
                for token in range(first, stop)
            ]
            doubt[first:stop] = [min(proba) < _SURE] * (stop - first)
        filled.append(row)
        unsure.append(doubt)
    return filled, unsure


def allowed_tags(codes, unsure, outside, n_tags):
    """Mask (n_tokens, n_tags) of the tags that each token may have."""
    allowed = np.zeros((len(codes), n_tags), bool)
    allowed[np.arange(len(codes)), codes] = True
    allowed[np.flatnonzero(unsure), outside] = True
    return allowed
