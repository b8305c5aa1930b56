"""CLINC150: requests to an assistant, sorted by intent, and requests that fit none."""

import json

import numpy as np

from skdeep.datasets._bunch import as_result, check_split
from skdeep.datasets._fetch import fetch_files
from skdeep.datasets._frames import import_pandas
from skdeep.datasets._table import DATASETS

_SPLITS = ("train", "val", "test")
_OUT_OF_SCOPE = "oos"


def fetch_clinc150(
    *,
    out_of_scope=False,
    data_home=None,
    download_if_missing=True,
    n_retries=3,
    delay=1.0,
    return_X_y=False,
    as_frame=False,
    split=None,
):
    """Fetch requests to an assistant with 150 intents (text classification, open set).

    22,500 short English texts, 2.5 MB, downloaded on first use. A further 1,200 have
    none of the intents; a model should say so.

    Parameters
    ----------
    out_of_scope : bool, default=False
        Whether to add the 1,200 texts that have none of the 150 intents: 100 to
        "train", 100 to "val" and 1,000 to "test".

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
        Whether data and target are pandas Series. Needs pandas.

    split : {"train", "val", "test"} or None, default=None
        Part to return: 100, 20 or 30 texts of each intent, or all. The split is the
        published one; every intent is in every part.

    Returns
    -------
    data : Bunch or tuple of (data, target)
        A Bunch with the fields

        data : ndarray of shape (22500,), dtype object
            The texts as published, one str each. A Series if `as_frame` is True.
            Texts out of scope come after all others.
        target : ndarray of shape (22500,), dtype int64
            Index into `target_names`, whichever part is returned; 150 for a text out
            of scope. A Series if `as_frame` is True.
        target_names : ndarray of shape (150,)
            Names of the intents, sorted. With `out_of_scope` "oos" is the last of 151.
        split : ndarray of shape (22500,)
            "train", "val" or "test" for each row.
        frame : DataFrame
            The columns "text" and "intent". Only if `as_frame` is True.
        DESCR, licence, source, citation : str
            Description, terms of use, origin, publication.
        sha256 : dict
            Checksum by file name.

        or `data` and `target` alone if `return_X_y` is True.

    Raises
    ------
    DatasetNotAvailableError
        If the file is neither in the data home nor to be had. It is an OSError.

    See Also
    --------
    fetch_banking77 : Finer intents of a single domain.
    class_disjoint_split : Parts that share no intent.

    Examples
    --------
    >>> from skdeep.datasets import fetch_clinc150
    >>> texts, y = fetch_clinc150(split="train", return_X_y=True)  # doctest: +SKIP
    >>> texts[0]  # doctest: +SKIP
    'what expression would i use to say i love you if i were an italian'
    """
    check_split(split, _SPLITS)
    if as_frame:
        import_pandas()
    dataset = DATASETS["clinc150"]
    contents = fetch_files(
        dataset,
        data_home=data_home,
        download_if_missing=download_if_missing,
        n_retries=n_retries,
        delay=delay,
    )
    texts, intents, parts = zip(
        *parse_clinc150(contents["data_full.json"], out_of_scope)
    )
    # behind the intents, whose indices are then the same without it
    names = sorted(set(intents), key=lambda name: (name == _OUT_OF_SCOPE, name))
    index = {name: i for i, name in enumerate(names)}
    rows = {
        "data": np.array(texts, dtype=object),
        "target": np.array([index[intent] for intent in intents], dtype=np.int64),
        "split": np.array(parts),
    }
    return as_result(
        dataset,
        rows,
        masks={part: rows["split"] == part for part in _SPLITS},
        split=split,
        return_X_y=return_X_y,
        columns=("text", "intent") if as_frame else None,
        target_names=np.array(names),
    )


def parse_clinc150(content, out_of_scope):
    """Read the file as a list of (text, intent, part); out of scope comes last."""
    lists = json.loads(content)
    prefixes = ("", f"{_OUT_OF_SCOPE}_") if out_of_scope else ("",)
    return [
        (text, intent, part)
        for prefix in prefixes
        for part in _SPLITS
        for text, intent in lists[prefix + part]
    ]
