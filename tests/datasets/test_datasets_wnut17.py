"""The messages of social media with named entities."""

from hashlib import sha256

import numpy as np
import pytest

from skdeep.datasets import load_wnut17
from skdeep.datasets._table import DATASETS

# of the published files, of which each ends with a blank line more
PUBLISHED = {
    "train": "707d8fbadf7ab186e7998fdcbea41470d25d0a453049f531d0c8d0c810a8d8cb",
    "val": "5cd520c3321adb4d08f3f2c9eb126f4eb53c6785845a9e5f367f416100301184",
    "test": "59242c5624a463782626d55a82c2c735fb687a011c44335acbb102e6d8e9d359",
}
SIZES = {"train": (3394, 62730), "val": (1009, 15733), "test": (1287, 23394)}
TYPES = ["corporation", "creative-work", "group", "location", "person", "product"]


@pytest.mark.parametrize("split", PUBLISHED)
def test_each_part_is_the_published_file(split):
    tokens, tags = load_wnut17(split=split, return_X_y=True)
    assert (len(tokens), sum(map(len, tokens))) == SIZES[split]
    lines = [
        "".join(f"{token}\t{tag}\n" for token, tag in zip(*sentence)) + "\n"
        for sentence in zip(tokens, tags)
    ]
    assert sha256("".join(lines).encode()).hexdigest() == PUBLISHED[split]


def test_the_whole_has_the_parts_in_order():
    whole = load_wnut17()
    assert len(whole.data) == len(whole.target) == DATASETS["wnut17"].n_samples
    assert list(whole.target_names) == TYPES
    assert len(whole.target_names) == DATASETS["wnut17"].n_classes
    stop = 0
    for split, (n_sentences, _) in SIZES.items():
        rows = slice(stop, stop := stop + n_sentences)
        assert set(whole.split[rows]) == {split}
        part = load_wnut17(split=split)
        assert (part.data, part.target) == (whole.data[rows], whole.target[rows])
        assert list(part.target_names) == TYPES
    assert type(whole.split) is np.ndarray
    assert len(whole.sha256) == 3


def test_no_tag_goes_on_with_a_name_that_has_not_begun():
    for tags in load_wnut17().target:
        for before, tag in zip(["O", *tags], tags):
            assert tag == "O" or tag[:2] in ("B-", "I-")
            assert tag[0] != "I" or before[2:] == tag[2:]


def test_an_unknown_part_of_the_messages_is_refused():
    with pytest.raises(ValueError, match="`split` is 'dev'.*'train', 'val', 'test'"):
        load_wnut17(split="dev")
