"""The requests to a voice assistant, in the three forms that they come in."""

import gzip
import sys

import numpy as np
import pytest
from numpy.testing import assert_array_equal

from skdeep.datasets import load_snips
from skdeep.datasets._resources import read_bundled
from skdeep.datasets._table import DATASETS

TASKS = ("slots", "intent", "tagging")
FIELDS = {
    "data",
    "target",
    "target_names",
    "split",
    "DESCR",
    "licence",
    "source",
    "citation",
    "sha256",
}


def test_the_three_forms_together_are_the_file():
    slots, intent, tagging = (load_snips(task) for task in TASKS)
    lines = ["split\tintent\ttokens\ttags"]
    for i in range(len(slots.data)):
        name = intent.target_names[intent.target[i]]
        words, tags = " ".join(tagging.data[i]), " ".join(tagging.target[i])
        assert words == slots.data[i] == intent.data[i]
        lines.append(f"{slots.split[i]}\t{name}\t{words}\t{tags}")
    (content,) = read_bundled(DATASETS["snips"]).values()
    assert "\n".join(lines) + "\n" == gzip.decompress(content).decode()


def test_slots_are_those_of_the_tags():
    slots, tagging = load_snips("slots"), load_snips("tagging")
    for row, tags in zip(slots.target, tagging.target):
        named = set(slots.target_names[row == 1])
        assert named == {tag.split("-")[1] for tag in tags if tag != "O"}


def test_slots_have_the_counts_of_the_table_entry():
    bunch = load_snips()
    dataset = DATASETS["snips"]
    assert bunch.target.shape == (dataset.n_samples, dataset.n_classes)
    assert (bunch.data.dtype, bunch.target.dtype) == (object, np.int64)
    assert {type(text) for text in bunch.data} == {str}
    assert set(np.unique(bunch.target)) == {0, 1}
    assert bunch.target.sum(axis=1).min() == 1
    # counted when the file was made, in the part for training
    train = bunch.target[bunch.split == "train"]
    assert round(train.sum(axis=1).mean(), 2) == 2.60
    assert len(np.unique(train, axis=0)) == 292


def test_there_are_as_many_requests_of_each_intent():
    for split, n_requests in (("train", 300), ("test", 100)):
        bunch = load_snips("intent", split=split)
        assert_array_equal(np.bincount(bunch.target), [n_requests] * 7)
        assert bunch.target.dtype == np.int64
        assert list(bunch.target_names[:2]) == ["AddToPlaylist", "BookRestaurant"]


def test_there_is_one_tag_a_word():
    words, tags = load_snips("tagging", return_X_y=True)
    assert type(words) is type(tags) is list
    assert [len(row) for row in words] == [len(row) for row in tags]
    assert {tag[:2] for row in tags for tag in row} == {"B-", "I-", "O"}


def test_no_tag_goes_on_with_a_slot_that_has_not_begun():
    _, tags = load_snips("tagging", return_X_y=True)
    for row in tags:
        for before, tag in zip(["O", *row], row):
            assert not tag.startswith("I-") or before[2:] == tag[2:]


@pytest.mark.parametrize("task", TASKS)
def test_parts_are_the_rows_that_say_so(task):
    whole = load_snips(task)
    assert set(whole) == FIELDS
    for split, n_requests in (("train", 2100), ("test", 700)):
        part = load_snips(task, split=split)
        rows = np.flatnonzero(whole.split == split)
        assert len(part.data) == len(rows) == n_requests
        assert list(part.data) == [whole.data[i] for i in rows]
        assert_array_equal(part.target_names, whole.target_names)
        for row, i in zip(part.target, rows):
            assert_array_equal(row, whole.target[i])


@pytest.mark.parametrize(
    ("task", "columns"),
    [
        ("slots", ["text", *load_snips().target_names]),
        ("intent", ["text", "intent"]),
        ("tagging", ["words", "tags"]),
    ],
)
def test_frames_hold_what_arrays_hold(task, columns):
    pd = pytest.importorskip("pandas", reason="makes the frames")
    plain = load_snips(task, split="test")
    bunch = load_snips(task, split="test", as_frame=True)
    assert list(bunch.data) == list(plain.data)
    assert np.array(bunch.target).tolist() == list(map(_as_list, plain.target))
    assert list(bunch.frame.columns) == columns
    joined = pd.concat([bunch.data, bunch.target], axis=1)
    pd.testing.assert_frame_equal(bunch.frame, joined)


def _as_list(row):
    return row.tolist() if isinstance(row, np.generic | np.ndarray) else row


def test_frames_need_pandas(monkeypatch):
    monkeypatch.setitem(sys.modules, "pandas", None)
    with pytest.raises(ImportError, match="`as_frame=True` needs pandas; install it"):
        load_snips(as_frame=True)


def test_every_load_of_requests_gives_arrays_of_its_own():
    load_snips().target[:] = 7
    assert load_snips().target.max() == 1


@pytest.mark.parametrize("task", ["slot", None, 0, ["slots"]])
def test_an_unknown_task_is_refused(task):
    with pytest.raises(ValueError, match="`task` is .*'slots', 'intent', 'tagging'"):
        load_snips(task)


@pytest.mark.parametrize("split", ["dev", ["train"]])
def test_an_unknown_part_of_the_requests_is_refused(split):
    with pytest.raises(ValueError, match="`split` is .*'train', 'test', or None"):
        load_snips(split=split)
