"""Snips as published: all requests to a voice assistant, from their 14 files."""

import json
import re
from itertools import chain
from random import Random

import numpy as np

from skdeep.datasets._bunch import as_result, check_split
from skdeep.datasets._fetch import fetch_files
from skdeep.datasets._frames import import_pandas
from skdeep.datasets._snips import check_task, for_task
from skdeep.datasets._snips_table import INTENTS
from skdeep.datasets._table import DATASETS

_SPLITS = ("train", "val", "test")
_N_VAL = 700
_WORD = re.compile(r"\w+(?:'\w+)?|[^\w\s]")


def fetch_snips(
    task="slots",
    *,
    data_home=None,
    download_if_missing=True,
    n_retries=3,
    delay=1.0,
    return_X_y=False,
    as_frame=False,
    split=None,
):
    """Fetch 14,484 requests to a voice assistant (multi-label, classification, tagging).

    The whole of the set of which `load_snips` has 2800; 4.7 MB, downloaded on first use.

    Parameters
    ----------
    task : {"slots", "intent", "tagging"}, default="slots"
        What is to be predicted: which of 39 types of slots a text fills (multi-label
        classification), which of 7 intents it has (classification), or which words fill
        which slot (sequence tagging).

    data_home : str or path-like, default=None
        Where downloads are kept; see :func:`skdeep.datasets.get_data_home`.

    download_if_missing : bool, default=True
        If False, raise an error instead of downloading.

    n_retries : int, default=3
        Further attempts if a server does not answer or is busy.

    delay : float, default=1.0
        Seconds before the first further attempt; each next pause is twice as long.

    return_X_y : bool, default=False
        Whether to return ``(data, target)`` instead of a Bunch.

    as_frame : bool, default=False
        Whether data and target are pandas objects. Needs pandas.

    split : {"train", "val", "test"} or None, default=None
        Part to return. "test" are the 700 requests that were published for validation.
        Of the 13,784 for training, in a fixed random order, "val" has the first 700 and
        "train" the other 13,084.

    Returns
    -------
    data : Bunch or tuple of (data, target)
        A Bunch with the fields

        data : ndarray of shape (14484,), dtype object
            The texts, one str each: their words and punctuation marks, joined by
            blanks. For "tagging" a list of 14484 lists of str, the words. A Series if
            `as_frame` is True.
        target : ndarray of shape (14484, 39), dtype int64
            1 where a text fills a slot, else 0; a DataFrame if `as_frame` is True. For
            "intent" an ndarray of shape (14484,), dtype int64, an index into
            `target_names`; for "tagging" a list of 14484 lists of str, one tag a word.
            Those are Series if `as_frame` is True.
        target_names : ndarray of shape (39,)
            Types of slots, sorted. For "intent" the names of the 7 intents, sorted.
        split : ndarray of shape (14484,)
            "train", "val" or "test" for each row.
        frame : DataFrame
            The columns of data and target. Only if `as_frame` is True.
        DESCR, licence, source, citation : str
            Description, terms of use, origin, publication.
        sha256 : dict
            Checksum by file name.

        or `data` and `target` alone if `return_X_y` is True.

    Raises
    ------
    DatasetNotAvailableError
        If the files are neither in the data home nor to be had. It is an OSError.

    See Also
    --------
    load_snips : A part of it that needs no network.
    extension_split : Hold some types of slots back as new ones.

    Examples
    --------
    >>> from skdeep.datasets import fetch_snips
    >>> words, tags = fetch_snips(  # doctest: +SKIP
    ...     "tagging", split="test", return_X_y=True
    ... )
    >>> words[1][:4], tags[1][:4]  # doctest: +SKIP
    (['rate', 'the', 'Three', 'Junes'], ['O', 'O', 'B-object_name', 'I-object_name'])
    """
    check_task(task)
    check_split(split, _SPLITS)
    if as_frame:
        import_pandas()
    dataset = DATASETS["snips_full"]
    contents = fetch_files(
        dataset,
        data_home=data_home,
        download_if_missing=download_if_missing,
        n_retries=n_retries,
        delay=delay,
    )
    requests, parts = _in_order(contents)
    intents, words, tags = (list(column) for column in zip(*requests))
    texts = [" ".join(row) for row in words]
    data, target, names, columns = for_task(task, intents, texts, words, tags)
    return as_result(
        dataset,
        {"data": data, "target": target, "split": parts},
        masks={part: parts == part for part in _SPLITS},
        split=split,
        return_X_y=return_X_y,
        columns=columns if as_frame else None,
        target_names=names,
    )


def _in_order(contents):
    """Requests in a fixed random order, and the part of each."""
    train, test = (
        list(
            chain.from_iterable(
                parse_requests(contents[name.format(intent)], intent)
                for intent in INTENTS
            )
        )
        for name in ("train_{}_full.json", "validate_{}.json")
    )
    Random(0).shuffle(train)
    Random(1).shuffle(test)
    n_val = min(_N_VAL, len(train) // 2)
    val, train = train[:n_val], train[n_val:]
    sizes = len(train), len(val), len(test)
    return [*train, *val, *test], np.repeat(_SPLITS, sizes)


def parse_requests(content, intent):
    """Read one file as a list of (intent, words, tags)."""
    try:
        text = content.decode("utf-8")
    except UnicodeDecodeError:
        text = content.decode("latin-1")  # one of the published files is
    return [(intent, *_tagged(request["data"])) for request in json.loads(text)[intent]]


def _tagged(pieces):
    """Words of a request and their tags; a piece fills one slot or none."""
    words, tags = [], []
    for piece in pieces:
        found = _WORD.findall(piece["text"])
        slot = piece.get("entity")
        words += found
        if slot is None:
            tags += ["O"] * len(found)
        else:
            tags += [f"{'I' if i else 'B'}-{slot}" for i in range(len(found))]
    return words, tags
