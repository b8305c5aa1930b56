"""Six well-known multi-label sets, each with its published split.

Each set is a pair of tables in the ARFF format, one of them for training, with features
and labels side by side, and a short XML file that tells which columns are the labels.
"""

from xml.etree import ElementTree

import numpy as np
from scipy.sparse import csr_array, issparse, vstack

from skdeep.datasets._arff import parse_arff
from skdeep.datasets._bunch import as_result, check_split
from skdeep.datasets._fetch import fetch_files
from skdeep.datasets._frames import import_pandas
from skdeep.datasets._multilabel_table import MULTILABEL_DATASETS
from skdeep.datasets._table import DATASETS

_NAMES = tuple(dataset.name for dataset in MULTILABEL_DATASETS)
_MAX_DENSE_LABELS = 100


def fetch_multilabel(
    name,
    *,
    data_home=None,
    download_if_missing=True,
    n_retries=3,
    delay=1.0,
    return_X_y=False,
    as_frame=False,
    split=None,
):
    """Fetch one of six well-known sets for multi-label classification.

    ============  =======  ========  ======  ==============  =======================
    name          samples  features  labels  labels per row  what is labelled
    ============  =======  ========  ======  ==============  =======================
    "emotions"        593        72       6            1.87  music, by mood
    "yeast"          2417       103      14            4.24  genes, by function
    "birds"           645       260      19            1.01  recordings, by species
    "medical"         978      1449      45            1.25  radiology, by diagnosis
    "bibtex"         7395      1836     159            2.40  publications, by tag
    "delicious"     16105       500     983           19.02  web pages, by tag
    ============  =======  ========  ======  ==============  =======================

    Parameters
    ----------
    name : {"emotions", "yeast", "birds", "medical", "bibtex", "delicious"}
        Which set. Downloads have 0.2 MB (medical) to 3.8 MB (delicious).

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
        Whether data and target are DataFrames, with sparse columns where the array
        would be sparse. Needs pandas.

    split : {"train", "test"} or None, default=None
        Part to return, or all. The split is the published one.

    Returns
    -------
    data : Bunch or tuple of (data, target)
        A Bunch with the fields

        data : ndarray or csr_array of shape (n_samples, n_features), dtype float32
            The features as published. Those of medical, bibtex and delicious are
            sparse: 1 where a text has a word.
        target : ndarray or csr_array of shape (n_samples, n_labels), dtype int64
            1 where a sample has a label, else 0. Sparse if there are more than 100
            labels: bibtex and delicious.
        feature_names : list of str
            Names of the features.
        target_names : ndarray of shape (n_labels,)
            Names of the labels.
        split : ndarray of shape (n_samples,)
            "train" or "test" for each row; all rows of "train" come first.
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
    load_snips : A multi-label set of texts, without a network.

    Notes
    -----
    Reading takes O(values in the files) time; about a second for delicious.

    No licence is stated for these data where they are published. They are not part of
    the package; before you pass them on, ask their authors.

    Examples
    --------
    >>> from skdeep.datasets import fetch_multilabel
    >>> X, Y = fetch_multilabel("emotions", return_X_y=True)  # doctest: +SKIP
    >>> X.shape, Y.shape  # doctest: +SKIP
    ((593, 72), (593, 6))
    """
    if name not in _NAMES:
        names = ", ".join(map(repr, _NAMES))
        raise ValueError(f"`name` is {name!r}; give one of {names}.")
    check_split(split, ("train", "test"))
    if as_frame:
        import_pandas()
    dataset = DATASETS[name]
    contents = fetch_files(
        dataset,
        data_home=data_home,
        download_if_missing=download_if_missing,
        n_retries=n_retries,
        delay=delay,
    )
    train, test, label_file = contents.values()
    columns, table, is_test = _join(train, test)
    label_names = parse_label_names(label_file)
    data, target, feature_names = separate_labels(columns, table, label_names)
    return as_result(
        dataset,
        {"data": data, "target": target, "split": np.where(is_test, "test", "train")},
        masks={"train": ~is_test, "test": is_test},
        split=split,
        return_X_y=return_X_y,
        columns=(feature_names, label_names) if as_frame else None,
        feature_names=feature_names,
        target_names=np.array(label_names),
    )


def _join(train, test):
    """Columns and rows of both parts, and which rows are of the second."""
    columns, train = parse_arff(train)
    test_columns, test = parse_arff(test)
    if test_columns != columns:
        raise ValueError("The two parts of the data set have different columns.")
    is_test = np.repeat([False, True], [train.shape[0], test.shape[0]])
    if issparse(train):
        return columns, vstack([train, test], format="csr"), is_test
    return columns, np.vstack([train, test]), is_test


def parse_label_names(content):
    """Names of the labels in an XML file, in its order."""
    return [label.get("name") for label in ElementTree.fromstring(content)]


def separate_labels(columns, table, label_names):
    """Separate the features of a table from its labels.

    Parameters
    ----------
    columns : list of str
        Names of the columns.

    table : ndarray or csr_array of shape (n_samples, n_columns), dtype float64
        Features and labels.

    label_names : list of str
        Which columns are labels, in the order wanted.

    Returns
    -------
    data : ndarray or csr_array of shape (n_samples, n_features), dtype float32
        The other columns in their order.

    target : ndarray or csr_array of shape (n_samples, n_labels), dtype int64
        The labels, sparse if there are more than 100.

    feature_names : list of str
        Names of the columns of data.
    """
    missing = set(label_names) - set(columns)
    if missing:
        raise ValueError(f"No column has the name of the label {min(missing)!r}.")
    feature_names = [name for name in columns if name not in set(label_names)]
    position = {name: i for i, name in enumerate(columns)}
    data = table[:, [position[name] for name in feature_names]].astype(np.float32)
    labels = csr_array(table[:, [position[name] for name in label_names]])
    if not np.isin(labels.data, 1).all():
        raise ValueError("A label is neither 0 nor 1.")
    labels.sort_indices()  # as the columns changed places
    target = labels.astype(np.int64)
    if len(label_names) <= _MAX_DENSE_LABELS:
        target = target.toarray()
    return data, target, feature_names
