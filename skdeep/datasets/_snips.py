"""Snips: requests to a voice assistant, with their intent and the slots they fill."""

import gzip

import numpy as np

from skdeep.datasets._bunch import as_result, check_split
from skdeep.datasets._frames import import_pandas
from skdeep.datasets._resources import read_bundled
from skdeep.datasets._table import DATASETS

_TASKS = ("slots", "intent", "tagging")


def load_snips(task="slots", *, return_X_y=False, as_frame=False, split=None):
    """Load 2800 requests to a voice assistant (multi-label, classification, tagging).

    "add the piano bar to my Cindy Wilson" wants to fill a playlist: that is its intent.
    It names a playlist, the owner of the playlist, and an artist: those are its slots.
    The set ships with the package and needs no network.

    Parameters
    ----------
    task : {"slots", "intent", "tagging"}, default="slots"
        What is to be predicted: which of 39 types of slots a text fills (multi-label
        classification), which of 7 intents it has (classification), or which words fill
        which slot (sequence tagging).

    return_X_y : bool, default=False
        Whether to return ``(data, target)`` instead of a Bunch.

    as_frame : bool, default=False
        Whether data and target are pandas objects. Needs pandas.

    split : {"train", "test"} or None, default=None
        Part to return: 300 texts of each intent ("train"), 100 of each ("test"), or
        all. The split is the published one.

    Returns
    -------
    data : Bunch or tuple of (data, target)
        A Bunch with the fields

        data : ndarray of shape (2800,), dtype object
            The texts, one str each. For "tagging" a list of 2800 lists of str, the
            words. A Series if `as_frame` is True.
        target : ndarray of shape (2800, 39), dtype int64
            1 where a text fills a slot, else 0; a DataFrame if `as_frame` is True. For
            "intent" an ndarray of shape (2800,), dtype int64, an index into
            `target_names`; for "tagging" a list of 2800 lists of str, one tag a word:
            "B-artist" begins an artist, "I-artist" goes on with it, "O" fills no slot.
            Those are Series if `as_frame` is True.
        target_names : ndarray of shape (39,)
            Types of slots, sorted. For "intent" the names of the 7 intents, sorted.
        split : ndarray of shape (2800,)
            "train" or "test" for each row.
        frame : DataFrame
            The columns of data and target. Only if `as_frame` is True.
        DESCR, licence, source, citation : str
            Description, terms of use, origin, publication.
        sha256 : dict
            Checksum by file name.

        or `data` and `target` alone if `return_X_y` is True.

    See Also
    --------
    fetch_snips : All 14,484 requests, downloaded on first use.
    fetch_multilabel : Larger multi-label sets, downloaded on first use.

    Examples
    --------
    >>> from skdeep.datasets import load_snips
    >>> snips = load_snips(split="train")
    >>> snips.data[0]
    'add the piano bar to my Cindy Wilson'
    >>> snips.target.shape
    (2100, 39)
    >>> print(snips.target_names[snips.target[0] == 1])
    ['artist' 'playlist' 'playlist_owner']

    >>> words, tags = load_snips("tagging", split="train", return_X_y=True)
    >>> list(zip(words[0], tags[0]))[5:]
    [('my', 'B-playlist_owner'), ('Cindy', 'B-artist'), ('Wilson', 'I-artist')]
    """
    check_task(task)
    check_split(split, ("train", "test"))
    if as_frame:
        import_pandas()
    dataset = DATASETS["snips"]
    content = gzip.decompress(read_bundled(dataset)[dataset.files[0].filename])
    splits, intents, texts, tags = parse_snips(content)
    words = [text.split(" ") for text in texts]
    tags = [line.split(" ") for line in tags]
    data, target, names, columns = for_task(task, intents, texts, words, tags)
    is_test = np.array(splits) == "test"
    return as_result(
        dataset,
        {"data": data, "target": target, "split": np.where(is_test, "test", "train")},
        masks={"train": ~is_test, "test": is_test},
        split=split,
        return_X_y=return_X_y,
        columns=columns if as_frame else None,
        target_names=names,
    )


def parse_snips(content):
    """Columns split, intent, text and tags of the lines below the first, as lists."""
    _, *lines = content.decode("utf-8").removesuffix("\n").split("\n")
    return (list(column) for column in zip(*(line.split("\t") for line in lines)))


def check_task(task):
    """Raise a ValueError if `task` is not one of the three."""
    if task not in _TASKS:
        names = ", ".join(map(repr, _TASKS))
        raise ValueError(f"`task` is {task!r}; give one of {names}.")


def for_task(task, intents, texts, words, tags):
    """Data, target, names of the targets, and names for the columns of frames."""
    slots = [{tag[2:] for tag in row if tag != "O"} for row in tags]
    slot_names = np.array(sorted(set().union(*slots)))
    if task == "tagging":
        return words, tags, slot_names, ("words", "tags")
    data = np.array(texts, dtype=object)
    if task == "intent":
        names, target = np.unique(intents, return_inverse=True)
        return data, target.astype(np.int64), names, ("text", "intent")
    target = np.array([[name in row for name in slot_names] for row in slots])
    return data, target.astype(np.int64), slot_names, ("text", slot_names)
