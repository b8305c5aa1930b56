"""WNUT-17: named entities in messages of social media."""

import gzip

import numpy as np

from skdeep.datasets._bunch import as_result, check_split
from skdeep.datasets._conll import parse_conll
from skdeep.datasets._resources import read_bundled
from skdeep.datasets._table import DATASETS

_FILES = {
    "train": "wnut17_train.txt.gz",
    "val": "wnut17_dev.txt.gz",
    "test": "wnut17_test.txt.gz",
}


def load_wnut17(*, return_X_y=False, split=None):
    """Load 5690 messages with their named entities (sequence tagging).

    Posts and comments of social media, with persons, locations, groups, corporations,
    products and creative works marked. Entities are rare and new: 2 % of those of the
    test part occur in the training part. The set ships with the package and needs no
    network.

    Parameters
    ----------
    return_X_y : bool, default=False
        Whether to return ``(data, target)`` instead of a Bunch.

    split : {"train", "val", "test"} or None, default=None
        Part to return: 3394, 1009 or 1287 messages, or all. The split is the published
        one.

    Returns
    -------
    data : Bunch or tuple of (data, target)
        A Bunch with the fields

        data : list of 5690 lists of str
            The tokens of each message.
        target : list of 5690 lists of str
            One tag a token: "B-person" begins the name of a person, "I-person" goes on
            with it, "O" is outside of all names.
        target_names : ndarray of shape (6,)
            Types of entities, sorted.
        split : ndarray of shape (5690,)
            "train", "val" or "test" for each message.
        DESCR, licence, source, citation : str
            Description, terms of use, origin, publication.
        sha256 : dict
            Checksum by file name.

        or `data` and `target` alone if `return_X_y` is True.

    See Also
    --------
    load_snips : Tags that are easier to learn, ``load_snips("tagging")``.
    read_conll : Tagged sentences from a file of your own.

    Examples
    --------
    >>> from skdeep.datasets import load_wnut17
    >>> tokens, tags = load_wnut17(split="test", return_X_y=True)
    >>> list(zip(tokens[413], tags[413]))[:4]
    [('Amazon', 'B-product'), ('Echo', 'I-product'), ('/', 'O'), ('Dot', 'B-product')]
    """
    check_split(split, tuple(_FILES))
    dataset = DATASETS["wnut17"]
    contents = read_bundled(dataset)
    sentences, parts = [], []
    for part, filename in _FILES.items():
        found = parse_conll(gzip.decompress(contents[filename]).decode(), filename)
        sentences += found
        parts += [part] * len(found)
    tokens, tags = (list(column) for column in zip(*sentences))
    parts = np.array(parts)
    types = {tag[2:] for sentence in tags for tag in sentence if tag != "O"}
    return as_result(
        dataset,
        {"data": tokens, "target": tags, "split": parts},
        masks={part: parts == part for part in _FILES},
        split=split,
        return_X_y=return_X_y,
        target_names=np.array(sorted(types)),
    )
