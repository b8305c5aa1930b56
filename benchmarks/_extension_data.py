"""Sentences of the extension benchmark: a source's, new ones, and those to test with."""

import pathlib
from functools import cache
from typing import NamedTuple

from skdeep.datasets import extension_split, fetch_snips, read_conll

NEW_TYPE = {"snips_4000": "artist", "snips": "artist", "norne": "LOC"}
N_TUNING = 2500


class Scenario(NamedTuple):
    """Sentences and their tags; each part is a pair (X, y).

    Attributes
    ----------
    source : pair
        The first 80 %, new type replaced by "O".

    target : pair
        The others, with all tags.

    target_new_only : pair
        The same, old types replaced by "O".

    together : pair
        Both parts with all tags.

    test : pair
        Further sentences with all tags.

    more : pair
        Sentences for training that no model was fitted to, without the `N_TUNING` on which
        learning rates were chosen; none where all are used.

    old_types : list of str
        Types of entities in `source`.
    """

    source: tuple
    target: tuple
    target_new_only: tuple
    together: tuple
    test: tuple
    more: tuple
    old_types: list


@cache
def load(name, norne=None):
    """Sentences of a set.

    Parameters
    ----------
    name : {"snips_4000", "snips", "norne"}
        Which set, and whether 4000 of its sentences or all.

    norne : str or None, default=None
        Folder with the files ``train.txt.gz`` and ``test.txt.gz`` of NorNE, a token and
        its tag in each line, sentences for training in random order.

    Returns
    -------
    scenario : Scenario
    """
    if name == "norne":
        train, test = (
            read_conll(pathlib.Path(norne) / f"{part}.txt.gz")
            for part in ("train", "test")
        )
    else:
        train, test = (
            fetch_snips("tagging", split=part, return_X_y=True)
            for part in ("train", "test")
        )
    n_samples = 4000 if name == "snips_4000" else None
    source, target = extension_split(*train, NEW_TYPE[name], n_samples=n_samples)
    _, new_only = extension_split(
        *train, NEW_TYPE[name], n_samples=n_samples, annotation="new_only"
    )
    n_source = len(source[0])  # the first sentences of all
    together = source[0] + target[0], list(train[1][:n_source]) + target[1]
    more = tuple(part[len(together[0]) + N_TUNING :] for part in train)
    tags = {tag for sentence in source[1] for tag in sentence}
    old_types = sorted({tag[2:] for tag in tags if tag != "O"})
    return Scenario(source, target, new_only, together, test, more, old_types)


def n_tokens(X):
    """Tokens of all sentences."""
    return sum(map(len, X))
