"""Banking77: questions of bank customers, sorted by intent."""

import csv
import io

import numpy as np

from skdeep.datasets._bunch import as_result, check_split
from skdeep.datasets._fetch import fetch_files
from skdeep.datasets._table import DATASETS

_SPLITS = ("train", "test", "train_classes", "test_classes")


def fetch_banking77(
    *,
    data_home=None,
    download_if_missing=True,
    n_retries=3,
    delay=1.0,
    return_X_y=False,
    split=None,
):
    """Fetch questions of bank customers with 77 intents (text classification).

    13,083 short English texts, 1.1 MB, downloaded on first use.

    Parameters
    ----------
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

    split : {"train", "test", "train_classes", "test_classes"} or None, default=None
        Part to return. "train" and "test" are the published parts, each with all 77
        intents. "train_classes" and "test_classes" share no intent: all texts of 39
        intents and all texts of the other 38. None returns everything.

    Returns
    -------
    data : Bunch or tuple of (ndarray, ndarray)
        A Bunch with the fields

        data : ndarray of shape (13083,), dtype object
            The texts as published, one str each.
        target : ndarray of shape (13083,), dtype int64
            Index into `target_names`, whichever part is returned.
        target_names : ndarray of shape (77,)
            Names of the intents, sorted.
        split : ndarray of shape (13083,)
            "train" or "test" for each row: the published split.
        class_split : ndarray of shape (13083,)
            "train" or "test" for each row: the split without common intents.
        DESCR, licence, source, citation : str
            Description, terms of use, origin, publication.
        sha256 : dict
            Checksum by file name.

        or `data` and `target` alone if `return_X_y` is True.

    Raises
    ------
    DatasetNotAvailableError
        If the files are neither in the data home nor to be had. It is an OSError.

    Examples
    --------
    >>> from skdeep.datasets import fetch_banking77
    >>> texts, y = fetch_banking77(split="train", return_X_y=True)  # doctest: +SKIP
    >>> texts[0]  # doctest: +SKIP
    'I am still waiting on my card?'
    """
    check_split(split, _SPLITS)
    dataset = DATASETS["banking77"]
    contents = fetch_files(
        dataset,
        data_home=data_home,
        download_if_missing=download_if_missing,
        n_retries=n_retries,
        delay=delay,
    )
    train = parse_banking77(contents["train.csv"])
    test = parse_banking77(contents["test.csv"])
    texts, intents = zip(*train, *test)
    names, target = np.unique(intents, return_inverse=True)
    is_test = np.arange(len(texts)) >= len(train)
    is_test_class = _is_test_class(len(names))[target]
    rows = {
        "data": np.array(texts, dtype=object),
        "target": target.astype(np.int64),
        "split": np.where(is_test, "test", "train"),
        "class_split": np.where(is_test_class, "test", "train"),
    }
    masks = dict(zip(_SPLITS, (~is_test, is_test, ~is_test_class, is_test_class)))
    return as_result(
        dataset,
        rows,
        masks=masks,
        split=split,
        return_X_y=return_X_y,
        target_names=names,
    )


def parse_banking77(content):
    """Read the columns text and category of one file as a list of pairs."""
    lines = io.StringIO(content.decode("utf-8"), newline="")
    return [(row["text"], row["category"]) for row in csv.DictReader(lines)]


def _is_test_class(n_classes):
    """Mark the second half of the sorted classes in a fixed random order."""
    order = np.random.RandomState(0).permutation(n_classes)
    is_test = np.zeros(n_classes, dtype=bool)
    is_test[order[(n_classes + 1) // 2 :]] = True
    return is_test
