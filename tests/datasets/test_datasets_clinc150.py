"""The requests to an assistant: small made-up ones, and the real ones."""

import json
import sys
from hashlib import sha256

import numpy as np
import pytest
from numpy.testing import assert_array_equal

from skdeep.datasets import fetch_clinc150
from skdeep.datasets._table import DATASETS
from skdeep.exceptions import DatasetNotAvailableError

# of "text TAB intent TAB split" lines, those out of scope last; from an independent
# conversion
REAL_LINES = "0af5d197288bc0bf5117113dfa31e6a5bbb04130e4657beb8d8b057b02c886b6"

# as in the real file: parts in any order, and a class name that sorts after "oos"
PARTS = {
    "oos_val": [["is it art", "oos"]],
    "val": [["ring at six", "timer"]],
    "train": [["what’s on", "play"], ["wake me up", "timer"], ["hi", "greet"]],
    "oos_test": [["who won", "oos"], ["why", "oos"]],
    "test": [["hello", "greet"], ["a song, please", "play"]],
    "oos_train": [["is it far", "oos"]],
}


@pytest.fixture
def small_file(server, make_dataset, monkeypatch):
    contents = {
        "owner/repository/commit/data_full.json": json.dumps(
            PARTS, indent=4, ensure_ascii=False
        ).encode()
    }
    server.contents.update(contents)
    dataset = make_dataset("clinc150", contents)
    monkeypatch.setitem(DATASETS, "clinc150", dataset)
    return dataset


def test_requests_are_given_as_published_training_rows_first(small_file):
    bunch = fetch_clinc150()
    assert list(bunch.data) == [
        "what’s on",
        "wake me up",
        "hi",
        "ring at six",
        "hello",
        "a song, please",
    ]
    assert list(bunch.target) == [1, 2, 0, 2, 0, 1]
    assert list(bunch.target_names) == ["greet", "play", "timer"]
    assert list(bunch.split) == ["train"] * 3 + ["val"] + ["test"] * 2
    assert (bunch.data.dtype, bunch.target.dtype) == (object, np.int64)


def test_requests_out_of_scope_are_a_class_behind_the_others(small_file):
    plain, bunch = fetch_clinc150(), fetch_clinc150(out_of_scope=True)
    for name in ("data", "target", "split"):
        assert_array_equal(bunch[name][:6], plain[name])
    assert list(bunch.data[6:]) == ["is it far", "is it art", "who won", "why"]
    assert list(bunch.target[6:]) == [3] * 4
    assert list(bunch.target_names) == ["greet", "play", "timer", "oos"]
    assert list(bunch.split[6:]) == ["train", "val", "test", "test"]


@pytest.mark.parametrize(
    ("split", "rows"),
    [("train", [0, 1, 2, 6]), ("val", [3, 7]), ("test", [4, 5, 8, 9])],
)
@pytest.mark.parametrize("out_of_scope", [False, True])
def test_each_part_has_its_requests(small_file, split, rows, out_of_scope):
    whole = fetch_clinc150(out_of_scope=True)
    rows = [row for row in rows if out_of_scope or row < 6]
    texts, y = fetch_clinc150(split=split, return_X_y=True, out_of_scope=out_of_scope)
    assert_array_equal(texts, whole.data[rows])
    assert_array_equal(y, whole.target[rows])


def test_frames_hold_the_requests_and_their_intents(small_file):
    pd = pytest.importorskip("pandas", reason="makes the frames")
    plain = fetch_clinc150(split="test")
    bunch = fetch_clinc150(split="test", as_frame=True)
    assert list(bunch.data) == list(plain.data)
    assert list(bunch.target) == list(plain.target)
    assert list(bunch.frame.columns) == ["text", "intent"]
    joined = pd.concat([bunch.data, bunch.target], axis=1)
    pd.testing.assert_frame_equal(bunch.frame, joined)
    data, target = fetch_clinc150(split="test", as_frame=True, return_X_y=True)
    pd.testing.assert_series_equal(data, bunch.data)
    pd.testing.assert_series_equal(target, bunch.target)


def test_frames_of_requests_are_refused_without_pandas_before_any_download(monkeypatch):
    monkeypatch.setitem(sys.modules, "pandas", None)
    with pytest.raises(ImportError, match="`as_frame=True` needs pandas"):
        fetch_clinc150(as_frame=True)


def test_the_bunch_of_requests_carries_terms_and_checksum(small_file):
    bunch = fetch_clinc150()
    assert bunch.sha256 == {"data_full.json": small_file.files[0].sha256}
    assert "CC BY 3.0" in bunch.DESCR
    assert (bunch.licence, bunch.source, bunch.citation) == ("none",) * 3


def test_requests_are_downloaded_once(small_file, server):
    first = fetch_clinc150()
    second = fetch_clinc150(download_if_missing=False)
    assert server.requests == ["/owner/repository/commit/data_full.json"]
    assert_array_equal(second.data, first.data)


def test_requests_that_are_missing_are_not_downloaded_unasked(small_file, server):
    with pytest.raises(DatasetNotAvailableError, match="clinc150 is not in .*json"):
        fetch_clinc150(download_if_missing=False)
    assert server.requests == []


@pytest.mark.parametrize("split", ["valid", "oos_test", ["train"]])
def test_an_unknown_part_of_clinc150_is_refused_before_any_download(split):
    with pytest.raises(ValueError, match="`split` is .*'train', 'val', 'test', or"):
        fetch_clinc150(split=split)


def test_the_real_file_equals_an_independent_conversion(real_files):
    bunch = fetch_clinc150(out_of_scope=True, **real_files)
    dataset = DATASETS["clinc150"]
    assert len(bunch.data) == dataset.n_samples + 1200
    assert len(bunch.target_names) == dataset.n_classes + 1
    names = bunch.target_names[bunch.target]
    lines = map("\t".join, zip(bunch.data, names, bunch.split))
    assert sha256("\n".join(lines).encode()).hexdigest() == REAL_LINES


def test_real_parts_have_the_published_numbers_of_each_intent(real_files):
    published = {"train": (100, 100), "val": (20, 100), "test": (30, 1000)}
    for split, (n_of_intent, n_out_of_scope) in published.items():
        _, y = fetch_clinc150(
            split=split, return_X_y=True, out_of_scope=True, **real_files
        )
        assert_array_equal(np.bincount(y), [n_of_intent] * 150 + [n_out_of_scope])
    _, y = fetch_clinc150(return_X_y=True, **real_files)
    assert_array_equal(np.bincount(y), [150] * 150)
