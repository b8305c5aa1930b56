"""Omniglot: handwritten characters, 20 drawings each, for learning from few examples.

The split is by alphabet: no character, and no alphabet, is on both sides. It is the same
for the bundled selection and for the downloaded set.
"""

import io
import re
from numbers import Integral

import numpy as np

from skdeep.datasets._archive import read_members
from skdeep.datasets._bunch import as_result, check_split
from skdeep.datasets._fetch import fetch_files
from skdeep.datasets._png import read_black_white_png
from skdeep.datasets._resources import read_bundled
from skdeep.datasets._table import DATASETS

TRAIN_ALPHABETS = ("Early_Aramaic", "Japanese_(katakana)", "Korean", "Latin")
TEST_ALPHABETS = ("Balinese", "Greek", "Sanskrit", "Tagalog")
_SPLITS = ("train", "test")
_ORIGINAL_SIZE = 105
_MAX_PNG_BYTES = 4096

_alphabets = "|".join(map(re.escape, TRAIN_ALPHABETS + TEST_ALPHABETS))
_MEMBER = re.compile(
    r"images_background_small[12]/"
    rf"(?P<character>(?:{_alphabets})/character\d\d)/(?P<drawing>\d{{4}}_\d\d)\.png"
)


def load_omniglot100(*, return_X_y=False, flatten=True, split=None):
    """Load 100 handwritten characters with 20 drawings each (few-shot, retrieval).

    The first 20 characters of five alphabets, as black-and-white images of 28 x 28
    pixels. The set ships with the package and needs no network.

    Parameters
    ----------
    return_X_y : bool, default=False
        Whether to return ``(data, target)`` instead of a Bunch.

    flatten : bool, default=True
        Whether an image is a row of 784 pixels; otherwise it has the shape (28, 28).

    split : {"train", "test"} or None, default=None
        Part to return: 60 characters of Early Aramaic, Korean and Latin ("train"), 40
        of Balinese and Greek ("test"), or all. No class is in both parts.

    Returns
    -------
    data : Bunch or tuple of (ndarray, ndarray)
        A Bunch with the fields

        data : ndarray of shape (2000, 784) or (2000, 28, 28), dtype float32
            Pixels: 0 is paper, 1 is ink.
        target : ndarray of shape (2000,), dtype int64
            Index into `target_names`, whichever part is returned.
        target_names : ndarray of shape (100,)
            Names of the form "Greek/character07".
        alphabet : ndarray of shape (2000,)
            Alphabet of each row, usable as `groups` in cross-validation.
        split : ndarray of shape (2000,)
            "train" or "test" for each row.
        feature_names : list of str
            Names of the pixels. Only if `flatten` is True.
        DESCR, licence, source, citation : str
            Description, terms of use, origin, publication.
        sha256 : dict
            Checksum by file name.

        or `data` and `target` alone if `return_X_y` is True.

    See Also
    --------
    fetch_omniglot : 242 characters of eight alphabets, in any size up to 105 x 105.

    Examples
    --------
    >>> from skdeep.datasets import load_omniglot100
    >>> X, y = load_omniglot100(split="test", return_X_y=True)
    >>> X.shape, y.shape
    ((800, 784), (800,))
    """
    check_split(split, _SPLITS)
    dataset = DATASETS["omniglot100"]
    content = read_bundled(dataset)[dataset.files[0].filename]
    with np.load(io.BytesIO(content), allow_pickle=False) as arrays:
        bits = np.unpackbits(arrays["images"], axis=1)  # (N, 98) -> (N, 784)
        target, names = arrays["y"], arrays["class_names"]
    return _as_result(
        dataset,
        bits.reshape(-1, 28, 28).astype(np.float32),
        target.astype(np.int64),
        names,
        flatten=flatten,
        split=split,
        return_X_y=return_X_y,
    )


def fetch_omniglot(
    *,
    image_size=28,
    data_home=None,
    download_if_missing=True,
    n_retries=3,
    delay=1.0,
    return_X_y=False,
    split=None,
    flatten=True,
):
    """Fetch 242 handwritten characters with 20 drawings each (few-shot, retrieval).

    Both small background sets of Omniglot together: 4840 images of eight alphabets,
    2.9 MB, downloaded on first use.

    Parameters
    ----------
    image_size : int, default=28
        Height and width to which the images of 105 x 105 pixels are reduced by
        averaging; from 1 to 105.

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

    split : {"train", "test"} or None, default=None
        Part to return: 135 characters of Early Aramaic, Japanese (katakana), Korean and
        Latin ("train"), 107 of Balinese, Greek, Sanskrit and Tagalog ("test"), or all.
        No class is in both parts.

    flatten : bool, default=True
        Whether an image is a row of ``image_size ** 2`` pixels; otherwise it has the
        shape (image_size, image_size).

    Returns
    -------
    data : Bunch or tuple of (ndarray, ndarray)
        A Bunch with the fields

        data : ndarray of shape (4840, image_size ** 2), dtype float32
            Pixels from 0 (paper) to 1 (ink), in steps of 1/255. The shape is
            (4840, image_size, image_size) if `flatten` is False.
        target : ndarray of shape (4840,), dtype int64
            Index into `target_names`, whichever part is returned.
        target_names : ndarray of shape (242,)
            Names of the form "Greek/character07".
        alphabet : ndarray of shape (4840,)
            Alphabet of each row, usable as `groups` in cross-validation.
        split : ndarray of shape (4840,)
            "train" or "test" for each row.
        feature_names : list of str
            Names of the pixels. Only if `flatten` is True.
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
    load_omniglot100 : 100 of these characters, without a network.

    Notes
    -----
    Decoding takes O(n_samples) time, about a second for all images.

    Examples
    --------
    >>> from skdeep.datasets import fetch_omniglot
    >>> omniglot = fetch_omniglot(split="train")  # doctest: +SKIP
    >>> omniglot.data.shape  # doctest: +SKIP
    (2700, 784)
    """
    check_split(split, _SPLITS)
    if (
        not isinstance(image_size, Integral)
        or isinstance(image_size, bool)
        or not 1 <= image_size <= _ORIGINAL_SIZE
    ):
        raise ValueError(
            f"`image_size` is {image_size!r}; give a whole number of pixels from 1 to "
            f"{_ORIGINAL_SIZE}, the size of the original drawings."
        )
    dataset = DATASETS["omniglot"]
    contents = fetch_files(
        dataset,
        data_home=data_home,
        download_if_missing=download_if_missing,
        n_retries=n_retries,
        delay=delay,
    )
    images, characters = parse_omniglot(contents.values(), image_size)
    names, target = np.unique(characters, return_inverse=True)
    return _as_result(
        dataset,
        images,
        target.astype(np.int64),
        names,
        flatten=flatten,
        split=split,
        return_X_y=return_X_y,
    )


def parse_omniglot(archives, image_size):
    """Decode the drawings of several archives, each drawing once.

    Parameters
    ----------
    archives : iterable of bytes
        Zip archives in the layout of Omniglot.

    image_size : int
        Height and width of the result.

    Returns
    -------
    images : ndarray of shape (n_drawings, image_size, image_size), dtype float32
        Sorted by character, then by drawing.

    characters : list of str
        Character of each image.
    """
    drawings = {
        (match["character"], match["drawing"]): png
        for archive in archives
        for match, png in read_members(archive, _MEMBER, _MAX_PNG_BYTES)
    }
    keys = sorted(drawings)
    images = np.empty((len(keys), image_size, image_size), dtype=np.float32)
    shape = _ORIGINAL_SIZE, _ORIGINAL_SIZE
    for image, key in zip(images, keys):
        paper = 255 * read_black_white_png(drawings[key], shape).astype(np.int64)
        image[...] = 255 - reduce_image(paper, image_size)
    return images / np.float32(255), [character for character, _ in keys]


def reduce_image(image, size):
    """Reduce a square image by averaging boxes of whole pixels.

    Parameters
    ----------
    image : ndarray of shape (n, n), dtype int64
        Levels from 0 to 255.

    size : int
        Height and width of the result, at most n.

    Returns
    -------
    reduced : ndarray of shape (size, size), dtype int64
        Means over the columns of each box, then over its rows, each rounded half up.

    Notes
    -----
    The edges of the boxes lie at the multiples of n / size, rounded to whole pixels; so
    boxes differ by one pixel in width where `size` does not divide n.
    """
    edges = np.floor(np.arange(size + 1) * len(image) / size + 0.5).astype(int)
    widths = np.diff(edges)
    for _ in range(2):
        sums = np.add.reduceat(image, edges[:-1], axis=1)  # (., n) -> (., size)
        image = ((2 * sums + widths) // (2 * widths)).T
    return image


def _as_result(dataset, images, target, names, *, flatten, split, return_X_y):
    alphabet_of_class = np.array([name.split("/")[0] for name in names])
    alphabet = alphabet_of_class[target]
    is_test = np.isin(alphabet, TEST_ALPHABETS)
    others = {"target_names": names}
    if flatten:
        _, height, width = images.shape
        images = images.reshape(len(images), -1)  # (N, H, W) -> (N, H * W)
        others["feature_names"] = [
            f"pixel_{row}_{column}" for row in range(height) for column in range(width)
        ]
    rows = {
        "data": images,
        "target": target,
        "alphabet": alphabet,
        "split": np.where(is_test, "test", "train"),
    }
    masks = {"train": ~is_test, "test": is_test}
    return as_result(
        dataset, rows, masks=masks, split=split, return_X_y=return_X_y, **others
    )
