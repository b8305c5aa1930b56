"""All requests to a voice assistant: small made-up files, and the real ones."""

import json
from hashlib import sha256
from random import Random

import numpy as np
import pytest
from numpy.testing import assert_array_equal

from skdeep.datasets import fetch_snips, load_snips
from skdeep.datasets._snips_full import parse_requests
from skdeep.datasets._snips_table import INTENTS
from skdeep.datasets._table import DATASETS

# of "# intent=..." lines, "word TAB tag" lines and a blank line for each request of a
# part, from an independent conversion
REAL_PARTS = {
    "train": "34f6f1e1d2b352d770bc4337afad22f69d8252f3277b7c241596f4d4306a57b3",
    "val": "ab68ec08d36b6961d831cbf26b70ad28b54d733d30c81d2debd884161c997deb",
    "test": "6048d6a8f83154b15ed38d0770c6c7dd0c893f9c699d28f6b4f9e226b49233ad",
}
REAL_SIZES = {"train": 13084, "val": 700, "test": 700}


def written(intent, *requests):
    pieces = [
        [{"text": t, "entity": e} if e else {"text": t} for t, e in request]
        for request in requests
    ]
    return json.dumps({intent: [{"data": data} for data in pieces]}, ensure_ascii=False)


@pytest.fixture
def small_files(server, make_dataset, monkeypatch):
    contents = {}
    for number, intent in enumerate(INTENTS):
        folder = f"owner/repository/commit/{intent}"
        requests = [
            [(f"do {i} ", None), (f"s{number}", f"slot{number}")] for i in (0, 1)
        ]
        for name, rows in (("train_{}_full", requests), ("validate_{}", requests[:1])):
            path = f"{folder}/{name.format(intent)}.json"
            contents[path] = written(intent, *rows).encode()
    server.contents.update(contents)
    dataset = make_dataset("snips_full", contents)
    monkeypatch.setitem(DATASETS, "snips_full", dataset)
    return dataset


def test_words_and_tags_follow_from_the_pieces():
    request = [
        ("Don't play ", None),
        ("R&B - Vol. 2", "album"),
        (" ", None),
        ("...", None),
        ("it's", "track"),
        ("", "track"),
    ]
    ((intent, words, tags),) = parse_requests(written("a", request).encode(), "a")
    assert intent == "a"
    assert " ".join(words) == "Don't play R & B - Vol . 2 . . . it's"
    assert " ".join(tags) == "O O B-album" + " I-album" * 6 + " O O O B-track"


def test_other_files_than_utf_8_are_read():
    content = written("a", [("café", "b")])
    for encoding in ("utf-8", "latin-1"):
        rows = parse_requests(content.encode(encoding), "a")
        assert rows == [("a", ["café"], ["B-b"])]


def test_parts_are_in_the_fixed_order(small_files):
    train = [(intent, i) for intent in INTENTS for i in (0, 1)]
    Random(0).shuffle(train)
    test = list(INTENTS)
    Random(1).shuffle(test)
    bunch = fetch_snips("intent")
    names = list(bunch.target_names[bunch.target])
    # fewer than 700 for validation here: half of 14
    assert list(bunch.split) == ["train"] * 7 + ["val"] * 7 + ["test"] * 7
    assert names == [name for name, _ in train[7:] + train[:7]] + test
    assert [text[3] for text in bunch.data[:7]] == [str(i) for _, i in train[7:]]


@pytest.mark.parametrize("task", ["slots", "intent", "tagging"])
def test_parts_of_all_requests_are_the_rows_that_say_so(small_files, task):
    whole = fetch_snips(task)
    for split in REAL_PARTS:
        rows = np.flatnonzero(whole.split == split)
        data, target = fetch_snips(task, split=split, return_X_y=True)
        assert list(data) == [whole.data[i] for i in rows]
        for row, i in zip(target, rows):
            assert_array_equal(row, whole.target[i])


def test_frames_of_all_requests_hold_what_arrays_hold(small_files):
    pd = pytest.importorskip("pandas", reason="makes the frames")
    bunch = fetch_snips(as_frame=True)
    assert list(bunch.frame.columns) == ["text", *(f"slot{i}" for i in range(7))]
    assert isinstance(bunch.target, pd.DataFrame)
    assert_array_equal(bunch.target, fetch_snips().target)


def test_wrong_arguments_are_refused_before_any_download():
    with pytest.raises(ValueError, match="`task` is 'tags'; give one of 'slots'"):
        fetch_snips("tags")
    with pytest.raises(ValueError, match="`split` is 'valid'.*'train', 'val', 'test'"):
        fetch_snips(split="valid")


@pytest.mark.parametrize("split", REAL_PARTS)
def test_real_parts_equal_an_independent_conversion(real_files, split):
    words, tags = fetch_snips("tagging", split=split, return_X_y=True, **real_files)
    intent = fetch_snips("intent", split=split, **real_files)
    assert len(words) == REAL_SIZES[split]
    digest = sha256()
    for code, *rows in zip(intent.target, words, tags):
        digest.update(f"# intent={intent.target_names[code]}\n".encode())
        digest.update("".join(f"{w}\t{t}\n" for w, t in zip(*rows)).encode() + b"\n")
    assert digest.hexdigest() == REAL_PARTS[split]


def test_the_bundled_requests_are_among_all(real_files):
    bunch = fetch_snips(**real_files)
    dataset = DATASETS["snips_full"]
    assert bunch.target.shape == (dataset.n_samples, dataset.n_classes)
    bundled = load_snips()
    assert_array_equal(bunch.target_names, bundled.target_names)
    slots_of = dict(zip(bunch.data, map(tuple, bunch.target)))
    assert all(
        slots_of[text] == tuple(row) for text, row in zip(bundled.data, bundled.target)
    )
