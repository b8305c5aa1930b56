"""The folder that keeps downloaded data."""

import os
from pathlib import Path

from skdeep.datasets._table import DATASETS


def home_path(data_home=None):
    """Path of the data home; nothing is created."""
    if data_home is None:
        data_home = os.environ.get("SKDEEP_DATA") or Path("~", "skdeep_data")
    return Path(data_home).expanduser()


def get_data_home(data_home=None):
    """Return the folder of downloaded data, which is created if it is missing.

    Parameters
    ----------
    data_home : str or path-like, default=None
        The folder. If None, the environment variable ``SKDEEP_DATA`` names it;
        without that it is ``~/skdeep_data``.

    Returns
    -------
    data_home : str
        Path of the folder, with ``~`` replaced.

    Examples
    --------
    >>> import os, tempfile
    >>> from skdeep.datasets import get_data_home
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     os.path.isdir(get_data_home(os.path.join(folder, "data")))
    True
    """
    path = home_path(data_home)
    path.mkdir(parents=True, exist_ok=True)
    return str(path)


def clear_data_home(data_home=None):
    """Delete the downloaded data sets.

    Only files that the fetchers of this package write are deleted, and folders that
    are empty afterwards; anything else in the folder stays.

    Parameters
    ----------
    data_home : str or path-like, default=None
        The folder, as in :func:`get_data_home`.

    Examples
    --------
    >>> import tempfile
    >>> from skdeep.datasets import clear_data_home
    >>> clear_data_home(tempfile.mkdtemp())
    """
    home = home_path(data_home)
    for dataset in DATASETS.values():
        folder = home / dataset.name
        for file in dataset.files:
            (folder / file.filename).unlink(missing_ok=True)
            for rest in folder.glob(f"{file.filename}.part_*"):
                rest.unlink(missing_ok=True)
        _remove_if_empty(folder)
    _remove_if_empty(home)


def _remove_if_empty(folder):
    if folder.is_dir() and not any(folder.iterdir()):
        folder.rmdir()
