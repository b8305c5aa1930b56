"""The bank questions: small made-up ones, and the real ones."""

from hashlib import sha256

import numpy as np
import pytest
from numpy.testing import assert_array_equal

from skdeep.datasets import fetch_banking77
from skdeep.datasets._table import DATASETS

# of "text TAB intent TAB split TAB class split" lines, white space at the ends of the
# texts removed and line breaks inside made blanks; from an independent conversion
REAL_LINES = "ad12a065f937dcc5899299f13287b357ee8bd46bf1a49d8b9933fb068f179893"

TRAIN = (
    'text,category\r\n"Where, please?",b_where\r\n"\nLost\n",c_lost\r\nHow?,a_how\r\n'
)
TEST = "text,category\nBroken – what now?,c_lost\nWhere?,b_where\nWhy?,d_why\n"


@pytest.fixture
def small_files(server, make_dataset, monkeypatch):
    contents = {
        "owner/repository/commit/train.csv": TRAIN.encode(),
        "owner/repository/commit/test.csv": TEST.encode(),
    }
    server.contents.update(contents)
    dataset = make_dataset("banking77", contents)
    monkeypatch.setitem(DATASETS, "banking77", dataset)
    return dataset


def test_texts_are_given_as_published_training_rows_first(small_files):
    bunch = fetch_banking77()
    assert list(bunch.data) == [
        "Where, please?",
        "\nLost\n",
        "How?",
        "Broken – what now?",
        "Where?",
        "Why?",
    ]
    assert list(bunch.target) == [1, 2, 0, 2, 1, 3]
    assert list(bunch.target_names) == ["a_how", "b_where", "c_lost", "d_why"]
    assert list(bunch.split) == ["train"] * 3 + ["test"] * 3


def test_class_split_follows_the_fixed_permutation(small_files):
    bunch = fetch_banking77()
    # RandomState(0) permutes four classes to 2, 3, 1, 0; the first half is for training
    assert list(np.random.RandomState(0).permutation(4)) == [2, 3, 1, 0]
    expected = ["test", "train", "test", "train", "test", "train"]
    assert list(bunch.class_split) == expected


@pytest.mark.parametrize(
    ("split", "rows"),
    [
        ("train", [0, 1, 2]),
        ("test", [3, 4, 5]),
        ("train_classes", [1, 3, 5]),
        ("test_classes", [0, 2, 4]),
    ],
)
def test_each_part_has_its_rows(small_files, split, rows):
    whole = fetch_banking77()
    texts, y = fetch_banking77(split=split, return_X_y=True)
    assert_array_equal(texts, whole.data[rows])
    assert_array_equal(y, whole.target[rows])


def test_the_bunch_carries_terms_and_checksums(small_files):
    bunch = fetch_banking77()
    assert set(bunch.sha256) == {"train.csv", "test.csv"}
    assert "CC BY 4.0" in bunch.DESCR
    assert (bunch.licence, bunch.source, bunch.citation) == ("none",) * 3


def test_an_unknown_split_is_refused_before_any_download():
    with pytest.raises(ValueError, match="`split` is 'classes'.*'train_classes'"):
        fetch_banking77(split="classes")


def test_real_files_equal_an_independent_conversion(real_files):
    bunch = fetch_banking77(**real_files)
    dataset = DATASETS["banking77"]
    assert len(bunch.data) == dataset.n_samples
    assert len(bunch.target_names) == dataset.n_classes
    lines = [
        "\t".join([" ".join(text.strip().splitlines()), name, split, class_split])
        for text, name, split, class_split in zip(
            bunch.data,
            bunch.target_names[bunch.target],
            bunch.split,
            bunch.class_split,
        )
    ]
    assert sha256("\n".join(lines).encode()).hexdigest() == REAL_LINES


def test_real_parts_have_the_published_sizes(real_files):
    parts = {
        split: fetch_banking77(split=split, return_X_y=True, **real_files)
        for split in ("train", "test", "train_classes", "test_classes")
    }
    sizes = {split: (len(X), len(set(y))) for split, (X, y) in parts.items()}
    assert sizes == {
        "train": (10003, 77),
        "test": (3080, 77),
        "train_classes": (6262, 39),
        "test_classes": (6821, 38),
    }
