"""The handwritten characters: the bundled ones, small made-up ones, the real ones."""

import io
import zipfile
from hashlib import sha256

import numpy as np
import pytest
from numpy.testing import assert_array_equal

from skdeep.datasets import fetch_omniglot, load_omniglot100
from skdeep.datasets._omniglot import reduce_image
from skdeep.datasets._table import DATASETS

# of the 0/1 pixels of all images, taken when the file was made
BUNDLED_PIXELS = "19a58ef4161c4a27ee6832525fd9b8953f01c5bdac05719325121e7a83f3ae87"
# of the levels 0 to 255 of all images, from a conversion with another image library
REAL_LEVELS = "e8f3aff0bddd376f2f34ec5353aae14e41682ef4a089d9236c4495857a4bae23"
FIELDS = {
    "data",
    "target",
    "target_names",
    "feature_names",
    "alphabet",
    "split",
    "DESCR",
    "licence",
    "source",
    "citation",
    "sha256",
}


def mean_by_loops(image, size):
    """Plain version: average of each box, one axis after the other, halves up."""
    n = len(image)
    edges = [int(i * n / size + 0.5) for i in range(size + 1)]
    rows = [
        [int(np.mean(row[a:b]) + 0.5) for a, b in zip(edges, edges[1:])]
        for row in image
    ]
    columns = np.array(rows).T
    return np.array(
        [
            [int(np.mean(column[a:b]) + 0.5) for a, b in zip(edges, edges[1:])]
            for column in columns
        ]
    ).T


def test_bundled_set_has_the_counts_of_its_table_entry():
    bunch = load_omniglot100()
    dataset = DATASETS["omniglot100"]
    assert bunch.data.shape == (dataset.n_samples, dataset.n_features)
    assert_array_equal(np.bincount(bunch.target), [20] * dataset.n_classes)
    assert len(bunch.target_names) == dataset.n_classes
    assert (bunch.data.dtype, bunch.target.dtype) == (np.float32, np.int64)
    assert set(bunch) == FIELDS


def test_bundled_pixels_are_those_of_the_conversion():
    pixels = load_omniglot100().data
    assert set(np.unique(pixels)) == {0, 1}
    assert sha256(pixels.astype(np.uint8).tobytes()).hexdigest() == BUNDLED_PIXELS


def test_bundled_parts_share_no_class_and_no_alphabet():
    train = load_omniglot100(split="train")
    test = load_omniglot100(split="test")
    assert (len(train.target), len(test.target)) == (1200, 800)
    assert set(train.alphabet) == {"Early_Aramaic", "Korean", "Latin"}
    assert set(test.alphabet) == {"Balinese", "Greek"}
    assert not set(train.target) & set(test.target)
    assert (set(train.split), set(test.split)) == ({"train"}, {"test"})


def test_targets_mean_the_same_in_every_part():
    whole = load_omniglot100()
    part = load_omniglot100(split="test")
    is_test = whole.split == "test"
    assert_array_equal(part.data, whole.data[is_test])
    assert_array_equal(part.target, whole.target[is_test])
    assert_array_equal(part.target_names, whole.target_names)
    starts = [name.split("/")[0] for name in part.target_names[part.target]]
    assert_array_equal(starts, part.alphabet)


def test_images_and_rows_hold_the_same_pixels():
    flat = load_omniglot100()
    square = load_omniglot100(flatten=False)
    assert square.data.shape == (2000, 28, 28)
    assert_array_equal(square.data.reshape(2000, -1), flat.data)
    assert flat.feature_names[29] == "pixel_1_1"
    assert "feature_names" not in square


def test_return_x_y_gives_exactly_two():
    X, y = load_omniglot100(return_X_y=True, split="train")
    assert (X.shape, y.shape) == ((1200, 784), (1200,))


def test_every_load_gives_arrays_of_its_own():
    load_omniglot100().data[:] = 7
    assert load_omniglot100().data.max() == 1


@pytest.mark.parametrize("load", [load_omniglot100, fetch_omniglot])
@pytest.mark.parametrize("split", ["validation", ["train"], 0])
def test_an_unknown_split_is_refused(load, split):
    with pytest.raises(ValueError, match="`split` is .*'train', 'test', or None"):
        load(split=split)


@pytest.mark.parametrize("image_size", [0, 106, 28.0, True, "28"])
def test_an_impossible_image_size_is_refused_before_any_download(image_size):
    with pytest.raises(ValueError, match="`image_size` is .* from 1 to 105"):
        fetch_omniglot(image_size=image_size)


def test_reduction_of_a_small_image_by_hand():
    image = np.array([[0, 255, 255], [255, 255, 0], [0, 0, 0]])
    # edges 0, 2, 3; rows: (0 + 255) / 2 -> 128, 255; 255, 0; 0, 0
    # columns: (128 + 255) / 2 -> 192, 0; (255 + 0) / 2 -> 128, 0
    assert_array_equal(reduce_image(image, 2), [[192, 128], [0, 0]])


@pytest.mark.parametrize("size", [1, 3, 7, 28, 64, 105])
def test_reduction_equals_the_plain_loops(size):
    image = 255 * np.random.RandomState(size).randint(0, 2, size=(105, 105))
    assert_array_equal(reduce_image(image, size), mean_by_loops(image, size))


@pytest.fixture
def two_archives(server, make_dataset, make_png, monkeypatch):
    """Four drawings; the Greek one is in both archives, as in the real files."""
    rng = np.random.RandomState(0)
    inks = [rng.randint(0, 2, size=(105, 105)).astype(np.uint8) for _ in range(4)]
    latin_2, latin_1, greek, tagalog = (make_png(1 - ink) for ink in inks)
    archives = {}
    for number, members in (
        (1, {"Latin/character02/0002_01": latin_2, "Greek/character01/0003_05": greek}),
        (
            2,
            {
                "Greek/character01/0003_05": greek,
                "Tagalog/character17/0004_20": tagalog,
                "Latin/character01/0001_01": latin_1,
                "Klingon/character01/0005_01": b"unknown alphabet",
            },
        ),
    ):
        folder, buffer = f"images_background_small{number}", io.BytesIO()
        with zipfile.ZipFile(buffer, "w") as archive:
            archive.writestr(f"{folder}/", b"")
            for name, content in members.items():
                archive.writestr(f"{folder}/{name}.png", content)
        archives[f"owner/repository/commit/{folder}.zip"] = buffer.getvalue()
    server.contents.update(archives)
    dataset = make_dataset("omniglot", archives)
    monkeypatch.setitem(DATASETS, "omniglot", dataset)
    return np.stack([inks[2], inks[1], inks[0], inks[3]])  # sorted by name


def test_fetched_drawings_are_sorted_and_each_comes_once(two_archives):
    bunch = fetch_omniglot(image_size=105, flatten=False)
    assert_array_equal(bunch.data, two_archives)
    assert_array_equal(bunch.target, [0, 1, 2, 3])
    assert list(bunch.target_names) == [
        "Greek/character01",
        "Latin/character01",
        "Latin/character02",
        "Tagalog/character17",
    ]
    assert list(bunch.split) == ["test", "train", "train", "test"]
    assert list(bunch.alphabet) == ["Greek", "Latin", "Latin", "Tagalog"]


def test_fetched_drawings_are_reduced_as_black_on_white(two_archives):
    X, y = fetch_omniglot(image_size=10, split="test", return_X_y=True)
    assert (X.shape, X.dtype, list(y)) == ((2, 100), np.float32, [0, 3])
    paper = 255 * (1 - two_archives[0].astype(np.int64))
    expected = (255 - mean_by_loops(paper, 10)) / np.float32(255)
    assert_array_equal(X[0], expected.astype(np.float32).ravel())


@pytest.mark.slow
def test_real_images_equal_an_independent_conversion(real_files):
    bunch = fetch_omniglot(**real_files)
    levels = np.rint(bunch.data * 255).astype(np.uint8)
    assert sha256(levels.tobytes()).hexdigest() == REAL_LEVELS
    assert_array_equal(levels / np.float32(255), bunch.data)
    dataset = DATASETS["omniglot"]
    assert bunch.data.shape == (dataset.n_samples, dataset.n_features)
    assert_array_equal(np.bincount(bunch.target), [20] * dataset.n_classes)
    assert set(bunch) == FIELDS


@pytest.mark.slow
def test_real_split_is_by_alphabet(real_files):
    bunch = fetch_omniglot(image_size=1, **real_files)
    is_train = bunch.split == "train"
    assert (is_train.sum(), (~is_train).sum()) == (2700, 2140)
    assert len(np.unique(bunch.target[is_train])) == 135
    assert len(np.unique(bunch.target[~is_train])) == 107
    assert not set(bunch.alphabet[is_train]) & set(bunch.alphabet[~is_train])


@pytest.mark.slow
def test_bundled_set_is_the_fetched_one_thresholded(real_files):
    big = fetch_omniglot(**real_files)
    small = load_omniglot100()
    chosen = np.isin(big.target_names[big.target], small.target_names)
    assert_array_equal(big.data[chosen] > np.float32(64 / 255), small.data == 1)
    assert_array_equal(big.split[chosen], small.split)
