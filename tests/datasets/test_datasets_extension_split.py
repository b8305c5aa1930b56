"""Sentences for a source, and sentences that bring new types of entities."""

import pytest

from skdeep.datasets import extension_split, load_snips

X = [[f"w{i}", "x", "y"] for i in range(10)]
Y = [["B-new", "I-new", "B-old"], ["O", "S-old", "S-late"]] * 5


def test_new_types_are_hidden_from_the_source_and_kept_in_the_target():
    (X_source, y_source), (X_target, y_target) = extension_split(X, Y, ["new", "late"])
    assert (X_source, X_target) == (X[:8], X[8:])
    assert y_source == [["O", "O", "B-old"], ["O", "S-old", "O"]] * 4
    assert y_target == Y[8:]


def test_old_types_are_hidden_from_the_target_if_asked():
    source, (_, y_target) = extension_split(X, Y, "new", annotation="new_only")
    assert y_target == [["B-new", "I-new", "O"], ["O", "O", "O"]]
    assert source == extension_split(X, Y, "new")[0]


def test_few_samples_are_the_first_of_each_part():
    source, target = extension_split(X, Y, "new", source_fraction=0.6)
    few = extension_split(X, Y, "new", source_fraction=0.6, n_samples=5)
    assert [len(part[0]) for part in (source, target)] == [6, 4]
    for (X_few, y_few), (X_all, y_all), n in zip(few, (source, target), (3, 2)):
        assert (X_few, y_few) == (X_all[:n], y_all[:n])


def test_what_is_given_stays_as_it_is():
    before = [list(tags) for tags in Y]
    source, target = extension_split(tuple(X), iter(Y), "old")
    source[1][0][0] = target[1][0][0] = "changed"
    assert before == Y


def test_types_of_real_requests_are_split():
    X, y = load_snips("tagging", return_X_y=True)
    (_, y_source), (_, y_target) = extension_split(X, y, ["artist", "city"])
    tags = [{tag for row in part for tag in row} for part in (y_source, y_target)]
    assert {"B-artist", "B-city"} <= tags[1]
    assert not {"B-artist", "I-artist", "B-city", "I-city"} & tags[0]
    assert len(y_source) == 2240


@pytest.mark.parametrize(
    "types", ["river", ["new", "river"], [], ["new", "old", "late"]]
)
def test_types_that_are_not_there_or_leave_none_are_refused(types):
    with pytest.raises(ValueError, match=r"`new_types` is .*types \['late', 'new', 'o"):
        extension_split(X, Y, types)


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("source_fraction", 1.0),
        ("source_fraction", "half"),
        ("annotation", "old_only"),
        ("n_samples", 11),
        ("n_samples", 1),
        ("n_samples", 2.5),
        ("n_samples", True),
    ],
)
def test_wrong_options_of_the_split_are_refused(name, value):
    with pytest.raises(ValueError, match=f"`{name}` is {value!r}"):
        extension_split(X, Y, "new", **{name: value})


def test_tokens_and_tags_that_do_not_match_are_refused():
    with pytest.raises(ValueError, match="X has 9 sentences and y has 10"):
        extension_split(X[:9], Y, "new")
    with pytest.raises(ValueError, match="Sentence 9 has 1 tokens in X and 3 tags"):
        extension_split([*X[:9], ["a"]], Y, "new")
    with pytest.raises(ValueError, match="y holds 'city', which is no tag"):
        extension_split([["Oslo"]], [["city"]], "city")
