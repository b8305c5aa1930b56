"""Tests of the entities of tagged sentences and of their scores."""

import json
import time
import warnings
from pathlib import Path

import numpy as np
import pytest
from sklearn.exceptions import UndefinedMetricWarning

from skdeep.datasets import load_snips
from skdeep.metrics import entity_f1_score, entity_report, entity_spans

# numbers of seqeval 1.2.2, for made-up tags
ORACLE = Path(__file__).parent.parent / "data" / "transfer" / "entity_f1_oracle.json"
CASES = json.loads(ORACLE.read_text(encoding="utf-8"))

TRUE = [["B-person", "I-person", "O", "B-city"], [], ["O", "B-city"]]
PRED = [["B-person", "O", "O", "B-city"], [], ["B-person", "B-city"]]


def random_tags(rng, prefixes, n_sentences=6):
    names = ["O", *(f"{p}-{t}" for p in prefixes for t in ("a", "b", "a-b"))]
    return [list(rng.choice(names, rng.randint(0, 9))) for _ in range(n_sentences)]


def begins(tags, i):
    """The rule of conlleval, in the words of its definition."""
    if tags[i] == "O":
        return False
    if i == 0 or tags[i - 1] == "O" or tags[i][0] in "BS" or tags[i - 1][0] in "ES":
        return True
    return tags[i - 1][2:] != tags[i][2:]


def spans_by_definition(tags):
    ends = len(tags)
    return [
        (i, j, tags[i][2:])
        for i in range(ends)
        for j in range(i + 1, ends + 1)
        if begins(tags, i)
        and not any(begins(tags, k) or tags[k] == "O" for k in range(i + 1, j))
        and (j == ends or tags[j] == "O" or begins(tags, j))
    ]


def strict_spans_by_definition(tags, has_ends):
    found = []
    for i, j, type_ in spans_by_definition(tags):
        prefixes = "".join(tag[0] for tag in tags[i:j])
        inner = "I" * (j - i - 1)
        allowed = ("S", f"B{inner[1:]}E") if has_ends else (f"B{inner}",)
        if prefixes in allowed:
            found.append((i, j, type_))
    return found


@pytest.mark.parametrize("case", CASES, ids=range(len(CASES)))
def test_scores_equal_those_of_the_oracle(case):
    y = case["gold"], case["pred"]
    micro = entity_f1_score(*y)
    macro = entity_f1_score(*y, average="macro")
    strict = entity_f1_score(*y, mode="strict")
    assert micro == pytest.approx(case["micro_f1_conlleval"], abs=1e-12)
    assert macro == pytest.approx(case["macro_f1_conlleval"], abs=1e-12)
    assert strict == pytest.approx(case["micro_f1_strict_iob2"], abs=1e-12)
    report = entity_report(*y, zero_division=0, output_dict=True)
    assert list(report) == list(case["report_conlleval"])
    for name, row in case["report_conlleval"].items():
        assert report[name] == pytest.approx(row, abs=1e-12)


def test_scores_of_a_small_example_counted_by_hand():
    # 3 right entities, 4 found, 2 of them right: both cities
    assert entity_f1_score(TRUE, PRED) == pytest.approx(2 * 2 / (3 + 4))
    # cities 1, persons 0
    assert entity_f1_score(TRUE, PRED, average="macro") == 0.5
    assert entity_f1_score(TRUE, PRED, types=["city"]) == 1
    assert entity_f1_score(TRUE, PRED, types=("person",)) == 0
    report = entity_report(TRUE, PRED, output_dict=True)
    assert list(report) == ["city", "person", "micro avg", "macro avg", "weighted avg"]
    assert report["micro avg"] == {
        "precision": 0.5,
        "recall": pytest.approx(2 / 3),
        "f1-score": pytest.approx(4 / 7),
        "support": 3,
    }
    assert report["weighted avg"]["precision"] == pytest.approx(2 / 3)
    assert list(entity_report(TRUE, PRED, types=["person"], output_dict=True)) == [
        "person",
        "micro avg",
        "macro avg",
        "weighted avg",
    ]


@pytest.mark.parametrize("prefixes", ["BI", "I", "BIES", "BILU"])
def test_spans_are_those_of_the_definition(prefixes, seed):
    rng = np.random.RandomState(seed)
    for _ in range(30):
        y = random_tags(rng, prefixes)
        as_bioes = [[t.replace("L-", "E-").replace("U-", "S-") for t in s] for s in y]
        assert entity_spans(y) == [spans_by_definition(s) for s in as_bioes]
        has_ends = any(tag[0] in "ES" for s in as_bioes for tag in s)
        expected = [strict_spans_by_definition(s, has_ends) for s in as_bioes]
        assert entity_spans(y, mode="strict") == expected


def test_a_sentence_of_its_own_gives_a_list_of_spans():
    assert entity_spans(TRUE[0]) == [(0, 2, "person"), (3, 4, "city")]
    assert entity_spans(np.array(TRUE[0])) == entity_spans(TRUE[0])
    assert entity_spans([]) == []
    assert entity_spans([[], ["O"]]) == [[], []]
    # the type is what follows the first hyphen
    assert entity_spans(["B-creative-work"]) == [(0, 1, "creative-work")]


def test_no_entity_reaches_into_the_next_sentence():
    whole, cut = [["B-a", "I-a"]], [["B-a"], ["I-a"]]
    assert entity_spans(whole) == [[(0, 2, "a")]]
    assert entity_spans(cut) == [[(0, 1, "a")], [(0, 1, "a")]]


def test_schemes_may_differ_between_truth_and_prediction():
    bio = [["B-a", "I-a", "O", "B-b", "B-a", "I-a", "I-a"]]
    bioes = [["B-a", "E-a", "O", "S-b", "B-a", "I-a", "E-a"]]
    assert entity_f1_score(bio, bioes) == entity_f1_score(bioes, bio) == 1
    assert entity_f1_score(bio, bioes, mode="strict") == 1
    # BIOES in the truth asks the predictions for the ends too
    assert entity_f1_score(bioes, bio, mode="strict") == 0
    # without B, neighbours of one type are one entity
    assert entity_spans(["I-a", "I-a", "I-b", "O", "I-b"]) == [
        (0, 2, "a"),
        (2, 3, "b"),
        (4, 5, "b"),
    ]


def test_stray_tag_begins_an_entity_or_is_dropped():
    y_true, y_pred = [["O", "B-a", "I-a"]], [["O", "I-a", "I-a"]]
    assert entity_f1_score(y_true, y_pred) == 1
    assert entity_f1_score(y_true, y_pred, mode="strict") == 0


def test_arrays_series_and_tuples_of_tags_are_taken():
    pd = pytest.importorskip("pandas", reason="makes the Series")
    ragged = np.empty(3, dtype=object)
    ragged[:] = [np.array(tags, dtype=object) for tags in PRED]
    expected = entity_f1_score(TRUE, PRED)
    for y_pred in (ragged, pd.Series(PRED), tuple(map(tuple, PRED)), iter(PRED)):
        assert entity_f1_score(TRUE, y_pred) == expected


def test_score_without_any_entity_is_chosen_or_told():
    empty = [["O", "O"], []]
    with pytest.warns(UndefinedMetricWarning, match="f1-score of 1 of the 1 rows"):
        assert entity_f1_score(empty, empty) == 0
    assert entity_f1_score(empty, empty, zero_division=1) == 1
    assert np.isnan(entity_f1_score(empty, empty, zero_division=np.nan))
    # a type that nobody has is left out of the mean by NaN
    both = {"types": ["city", "river"], "average": "macro"}
    assert entity_f1_score(TRUE, TRUE, zero_division=np.nan, **both) == 1
    assert entity_f1_score(TRUE, TRUE, zero_division=0.0, **both) == 0.5
    nothing = [["O"] * len(tags) for tags in TRUE]
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert entity_f1_score(TRUE, nothing) == 0
    with pytest.warns(UndefinedMetricWarning, match="precision of 2 of the 2 rows"):
        entity_report(TRUE, nothing)


def test_report_has_one_line_a_type():
    lines = entity_report(TRUE, PRED).split("\n")
    assert lines[0].split() == ["precision", "recall", "f1-score", "support"]
    assert lines[2].split() == ["city", "1.000", "1.000", "1.000", "2"]
    assert lines[-1].split()[:2] == ["weighted", "avg"]
    assert len({len(line) for line in lines if line}) == 1


@pytest.mark.parametrize("tag", ["city", "B", "B-", "-city", "X-city", "", None, 1, []])
def test_what_is_no_tag_is_refused_with_its_place(tag):
    with pytest.raises(ValueError, match=r"`y_pred\[2\]\[1\]` is .*which is no tag"):
        entity_f1_score(TRUE, [*PRED[:2], ["O", tag]])
    with pytest.raises(ValueError, match=r"`tags\[0\]\[1\]` is .*which is no tag"):
        entity_spans(["O", tag])


def test_taggings_of_other_sentences_are_refused():
    with pytest.raises(ValueError, match="`y_true` has 3 sentences .* has 2"):
        entity_f1_score(TRUE, PRED[:2])
    with pytest.raises(ValueError, match="Sentence 2 has 2 tags in `y_true` and 1 in"):
        entity_f1_score(TRUE, [*PRED[:2], ["O"]])


@pytest.mark.parametrize("y", [["O", "B-city", "O"], [["O"] * 4, None, ["O"]]])
def test_what_is_no_list_of_tag_lists_is_refused(y):
    with pytest.raises(ValueError, match=r"`y_pred\[\d\]` must be a list of tags"):
        entity_f1_score(TRUE, y)
    with pytest.raises(TypeError, match="`y_pred` must be a list of tag lists"):
        entity_f1_score(TRUE, "O")


def test_tags_without_a_beginning_are_refused_in_strict_mode():
    with pytest.raises(ValueError, match="Use mode='conlleval' for tags of scheme IO"):
        entity_f1_score([["I-a", "O"]], [["I-a", "O"]], mode="strict")
    assert entity_f1_score([["O"]], [["O"]], mode="strict", zero_division=1) == 1


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("average", "weighted"),
        ("mode", "lenient"),
        ("zero_division", "ignore"),
        ("types", "city"),
    ],
)
def test_wrong_options_of_entity_scores_are_refused(name, value):
    with pytest.raises(ValueError, match=f"`{name}` must be"):
        entity_f1_score(TRUE, PRED, **{name: value})


def test_two_thousand_sentences_take_well_under_50_milliseconds():
    _, tags = load_snips("tagging", return_X_y=True)
    tags, seconds = tags[:2000], []
    for _ in range(3):
        start = time.process_time()
        assert entity_f1_score(tags, tags) == 1
        seconds.append(time.process_time() - start)
    assert min(seconds) < 0.05
