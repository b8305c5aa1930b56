"""What the source adds to sentences in which only new entities are tagged."""

import numpy as np
import pytest
from numpy.testing import assert_array_equal

from skdeep.transfer._pseudo_tags import allowed_tags, fill_in
from skdeep.transfer._tagger_sources import SourceView

CLASSES = np.array(["B-x", "I-x", "O"])


def source(*tags, unsure=()):
    """A source that gives 0.9 to its tags, and 0.4 to those of some tokens."""
    flat = [CLASSES.tolist().index(tag) for row in tags for tag in row]
    proba = np.full((len(flat), 3), 0.05, np.float32)
    proba[np.arange(len(flat)), flat] = 0.9
    for token in unsure:
        proba[token] = 0.3
        proba[token, flat[token]] = 0.4
    return SourceView([list(row) for row in tags], proba)


def test_entities_of_the_source_fill_the_tokens_outside():
    view = source(["O", "B-x", "I-x"], ["B-x", "O"])
    tags = [["B-new", "O", "O"], ["O", "O"]]
    filled, unsure = fill_in(tags, view, CLASSES, "BIO")
    assert filled == [["B-new", "B-x", "I-x"], ["B-x", "O"]]
    assert unsure.tolist() == [False] * 5
    assert tags == [["B-new", "O", "O"], ["O", "O"]]  # the user's list is not touched


@pytest.mark.parametrize("place", [0, 1, 2])
def test_an_entity_that_overlaps_a_new_one_is_dropped_as_a_whole(place):
    tags = [["O", "O", "O", "O"]]
    tags[0][place] = "B-new"
    filled, unsure = fill_in(tags, source(["B-x", "I-x", "I-x", "O"]), CLASSES, "BIO")
    assert filled == tags
    assert not unsure.any()


def test_neighbours_of_a_new_entity_keep_theirs():
    view = source(["B-x", "I-x", "B-x", "B-x"])
    filled, _ = fill_in([["O", "O", "B-new", "O"]], view, CLASSES, "BIO")
    assert filled == [["B-x", "I-x", "B-new", "B-x"]]


def test_an_entity_is_unsure_as_a_whole_if_one_of_its_tokens_is():
    view = source(["B-x", "I-x", "O"], [], ["B-x", "O"], unsure=[1])
    filled, unsure = fill_in([["O"] * 3, [], ["O"] * 2], view, CLASSES, "BIO")
    assert filled == [["B-x", "I-x", "O"], [], ["B-x", "O"]]
    assert unsure.tolist() == [True, True, False, False, False]


def test_doubts_about_entities_that_are_dropped_do_not_count():
    view = source(["B-x", "I-x"], unsure=[0])
    _, unsure = fill_in([["B-new", "O"]], view, CLASSES, "BIO")
    assert not unsure.any()


def test_plain_tags_are_filled_in_token_after_token():
    classes = np.array(["N", "O", "V"])
    view = SourceView([["N", "V", "O"]], np.eye(3, dtype=np.float32)[[0, 2, 1]])
    filled, unsure = fill_in([["O", "NEW", "O"]], view, classes, "plain")
    assert filled == [["N", "NEW", "O"]]
    assert not unsure.any()


def test_tags_without_bounds_are_filled_in_as_runs():
    classes = np.array(["I-x", "O"])
    view = SourceView([["I-x", "I-x", "O"]], np.eye(2, dtype=np.float32)[[0, 0, 1]])
    assert fill_in([["O"] * 3], view, classes, "IO")[0] == [["I-x", "I-x", "O"]]
    assert fill_in([["O", "I-new", "O"]], view, classes, "IO")[0] == [
        ["O", "I-new", "O"]
    ]


def test_allowed_are_the_own_tag_and_outside_where_one_is_unsure():
    outside = np.array([False, False, True])
    allowed = allowed_tags(
        np.array([0, 1, 2, 0]), np.array([False, True, False, True]), outside
    )
    assert_array_equal(
        allowed.astype(int), [[1, 0, 0], [0, 1, 1], [0, 0, 1], [1, 0, 1]]
    )


def test_without_a_tag_for_outside_nothing_else_is_allowed():
    allowed = allowed_tags(np.array([0, 1]), np.array([True, True]), np.zeros(2, bool))
    assert_array_equal(allowed, np.eye(2, dtype=bool))
