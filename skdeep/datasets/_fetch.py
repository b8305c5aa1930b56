"""Download files once, verify them, keep them in the data home.

Each file is asked for from the mirror named by ``SKDEEP_DATA_MIRROR``, if there is one,
then from the upstream host. A server that is busy or silent is asked again after a
growing pause. Content is written only after its checksum was found right, under a
name of its own in the same folder and then renamed: whatever is interrupted, and however
many processes fetch at once, the file under the final name is whole.

The bytes that were verified are the bytes that are handed on; a file is never read twice.

`sklearn.datasets.fetch_file` does less: it has no timeout, no limit of size and no second
server, and it asks again for files that are not there.
"""

import os
import secrets
import warnings
from hashlib import sha256
from http.client import HTTPException, IncompleteRead
from itertools import count
from numbers import Integral, Real
from random import SystemRandom
from time import sleep
from urllib.error import HTTPError
from urllib.request import urlopen

from skdeep.datasets._home import home_path
from skdeep.datasets._table import DATASETS
from skdeep.exceptions import DatasetNotAvailableError

UPSTREAM = "https://raw.githubusercontent.com"
TIMEOUT = 30.0  # seconds without a byte


def fetch_files(
    dataset, *, data_home=None, download_if_missing=True, n_retries=3, delay=1.0
):
    """Return the verified content of the files of a data set.

    Parameters
    ----------
    dataset : Dataset
        An entry of the table.

    data_home : str or path-like, default=None
        See :func:`skdeep.datasets.get_data_home`.

    download_if_missing : bool, default=True
        Whether a file that is missing or damaged is downloaded.

    n_retries : int, default=3
        Further attempts for each server.

    delay : float, default=1.0
        Seconds before the first further attempt; each next pause is twice as long.

    Returns
    -------
    contents : dict of str to bytes
        Content of each file by file name.
    """
    _check_patience(n_retries, delay)
    folder = home_path(data_home) / dataset.name
    contents = {}
    for file in dataset.files:
        path = folder / file.filename
        content, fault = _read_cached(path, file)
        if content is None:
            if not download_if_missing:
                raise _not_available(
                    dataset, folder, f"{fault}, and `download_if_missing` is False"
                )
            if path.exists():
                warnings.warn(
                    f"{fault} in {folder}; it is downloaded again.", stacklevel=3
                )
            content, fault = _download(file, n_retries, delay)
            if content is None:
                raise _not_available(dataset, folder, fault)
            _store(path, content)
        contents[file.filename] = content
    return contents


def _check_patience(n_retries, delay):
    if not isinstance(n_retries, Integral) or n_retries < 0:
        raise ValueError(f"`n_retries` is {n_retries!r}; give a count, 0 or more.")
    if not isinstance(delay, Real) or not 0 <= delay < float("inf"):
        raise ValueError(f"`delay` is {delay!r}; give seconds, 0 or more.")


def _read_cached(path, file):
    """Content of a file in the data home, or None and what is wrong with it."""
    try:
        content = path.read_bytes()
    except FileNotFoundError:
        return None, f"{file.filename} is missing"
    fault = _checksum_fault(content, file)
    if fault is None:
        return content, None
    return None, f"{file.filename} has {fault}"


def _checksum_fault(content, file):
    if len(content) > file.n_bytes:
        return f"more than the {file.n_bytes} bytes with sha256 {file.sha256}"
    found = sha256(content).hexdigest()
    if found != file.sha256:
        return f"the wrong checksum: sha256 {found}, expected {file.sha256}"
    return None


def _download(file, n_retries, delay):
    """Content of a file, or None and what went wrong at each server."""
    faults = []
    for server in _servers():
        url = f"{server}/{file.path}"
        try:
            content = _get_with_retries(url, file.n_bytes, n_retries, delay)
        except (OSError, HTTPException) as error:
            faults.append(f"{url}: {error}")
            continue
        fault = _checksum_fault(content, file)
        if fault is None:
            return content, None
        faults.append(f"{url}: {fault}")
    return None, f"{file.filename} could not be downloaded ({'; '.join(faults)})"


def _servers():
    mirror = os.environ.get("SKDEEP_DATA_MIRROR")
    if not mirror:
        return [UPSTREAM]
    if not mirror.startswith(("http://", "https://")):
        raise ValueError(
            f"SKDEEP_DATA_MIRROR is {mirror!r}; give a base URL that starts with "
            "http:// or https://, or unset it."
        )
    return [mirror.rstrip("/"), UPSTREAM]


def _get_with_retries(url, n_bytes, n_retries, delay):
    for attempt in count():
        try:
            return _get(url, n_bytes)
        except (OSError, HTTPException) as error:
            if isinstance(error, HTTPError):
                error.close()
            if attempt == n_retries or not _may_pass(error):
                raise
        # the spread keeps processes that failed together from returning together
        sleep(delay * 2**attempt * SystemRandom().uniform(0.75, 1.25))


def _may_pass(error):
    """Whether the same request may succeed a little later."""
    if isinstance(error, HTTPError):
        return error.code == 429 or error.code >= 500
    return True


def _get(url, n_bytes):
    with urlopen(url, timeout=TIMEOUT) as response:
        n_announced = response.length
        # one byte more than expected shows that the file is too long
        content = response.read(n_bytes + 1)
    if n_announced is not None and len(content) < min(n_announced, n_bytes + 1):
        raise IncompleteRead(content, n_announced - len(content))
    return content


def _store(path, content):
    path.parent.mkdir(parents=True, exist_ok=True)
    part = path.with_name(f"{path.name}.part_{secrets.token_hex(8)}")
    try:
        with open(part, "xb") as file:
            file.write(content)
        os.replace(part, path)
    finally:
        part.unlink(missing_ok=True)


def _not_available(dataset, folder, reason):
    files = ", ".join(
        f"{file.filename} (sha256 {file.sha256})" for file in dataset.files
    )
    offline = ", ".join(f"`load_{name}`" for name in DATASETS if DATASETS[name].bundled)
    return DatasetNotAvailableError(
        f"{dataset.name} is not in {folder.parent}: {reason}. Place the "
        f"{len(dataset.files)} file(s) {files} in {folder}; or set SKDEEP_DATA to a "
        f"folder that has them in {dataset.name}/, or SKDEEP_DATA_MIRROR to a mirror; "
        f"or use a set that needs no network: {offline}."
    )
