"""Tests of the scores of a clustering against known classes."""

import json
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.metrics import normalized_mutual_info_score

from skdeep.metrics import (
    bcubed_f_score,
    bcubed_precision_recall_fscore,
    cluster_report,
    pairwise_f_score,
    pairwise_precision_recall_fscore,
)

# numbers of the official program of Hi-LANDER, examples/pytorch/hilander of dmlc/dgl,
# commit 3d16000b4170 (Apache-2.0), for made-up labellings
ORACLE = Path(__file__).parent.parent / "data" / "hilander" / "metrics.json"
CASES = json.loads(ORACLE.read_text(encoding="utf-8"))
TRIPLES = [pairwise_precision_recall_fscore, bcubed_precision_recall_fscore]

# a labelling that is counted by hand below
CLASSES, CLUSTERS = list("aaabbc"), [0, 0, 1, 1, 2, 3]


def f_of(precision, recall):
    total = precision + recall
    return 2 * precision * recall / total if total else 0.0


def pairwise_by_listing_pairs(y_true, y_pred):
    n = len(y_true)
    pairs = [(i, j) for i in range(n) for j in range(i)]
    of_class = {(i, j) for i, j in pairs if y_true[i] == y_true[j]}
    of_cluster = {(i, j) for i, j in pairs if y_pred[i] == y_pred[j]}
    n_both = len(of_class & of_cluster)
    precision = n_both / len(of_cluster) if of_cluster else 0.0
    recall = n_both / len(of_class) if of_class else 0.0
    return precision, recall, f_of(precision, recall)


def bcubed_by_listing_rows(y_true, y_pred):
    n = len(y_true)
    precision = recall = 0
    for i in range(n):
        its_class = {j for j in range(n) if y_true[j] == y_true[i]}
        its_cluster = {j for j in range(n) if y_pred[j] == y_pred[i]}
        precision += len(its_class & its_cluster) / len(its_cluster) / n
        recall += len(its_class & its_cluster) / len(its_class) / n
    return precision, recall, f_of(precision, recall)


def random_labels(n=60, seed=0):
    rng = np.random.RandomState(seed)
    return rng.randint(7, size=n), rng.randint(9, size=n)


labellings = st.lists(
    st.tuples(st.integers(-2, 4), st.sampled_from("pqrstu")), min_size=1, max_size=25
)


@pytest.mark.parametrize("case", CASES, ids=["40 rows", "200 rows"])
def test_scores_equal_the_oracle(case):
    y, p = case["y"], case["p"]
    found = pairwise_precision_recall_fscore(y, p)
    assert found == pytest.approx(case["pairwise"], rel=1e-12)
    assert bcubed_precision_recall_fscore(y, p) == pytest.approx(
        case["bcubed"], rel=1e-12
    )
    report = cluster_report(y, p, output_dict=True)
    assert report["nmi"] == pytest.approx(case["nmi"], rel=1e-12)


def test_scores_counted_by_hand():
    # pairs of one cluster: aa, ab; of one class: 3 of a, 1 of b; of both: aa
    expected = (1 / 2, 1 / 4, 1 / 3)
    found = pairwise_precision_recall_fscore(CLASSES, CLUSTERS)
    assert found == pytest.approx(expected)
    # rows in order: precision 1, 1, 1/2, 1/2, 1, 1; recall 2/3, 2/3, 1/3, 1/2, 1/2, 1
    expected = (5 / 6, 11 / 18, 55 / 78)
    found = bcubed_precision_recall_fscore(CLASSES, CLUSTERS)
    assert found == pytest.approx(expected)


@given(labellings)
@settings(max_examples=80, deadline=None, derandomize=True)
def test_scores_equal_counting_all_pairs_and_rows(rows):
    y, p = zip(*rows)
    expected = pairwise_by_listing_pairs(y, p)
    assert pairwise_precision_recall_fscore(y, p) == pytest.approx(expected)
    expected = bcubed_by_listing_rows(y, p)
    assert bcubed_precision_recall_fscore(y, p) == pytest.approx(expected)


@given(labellings, st.randoms(use_true_random=False))
@settings(max_examples=40, deadline=None, derandomize=True)
def test_new_names_and_another_order_of_rows_change_nothing(rows, random):
    y, p = zip(*rows)
    report = cluster_report(y, p, output_dict=True)
    names = {label: -(10**6) * place for place, label in enumerate(sorted(set(p)))}
    renamed = [(str(label), names[cluster]) for label, cluster in rows]
    random.shuffle(renamed)
    found = cluster_report(*zip(*renamed), output_dict=True)
    for key, value in report.items():
        assert found[key] == pytest.approx(value), key


@pytest.mark.parametrize("triple", TRIPLES)
def test_exchanging_classes_and_clusters_exchanges_precision_and_recall(triple):
    y, p = random_labels()
    precision, recall, fscore = triple(y, p)
    assert precision != recall
    assert triple(p, y) == pytest.approx((recall, precision, fscore))


def test_f_scores_are_the_last_of_three():
    y, p = random_labels()
    assert pairwise_f_score(y, p) == pairwise_precision_recall_fscore(y, p)[2]
    assert bcubed_f_score(y, p) == bcubed_precision_recall_fscore(y, p)[2]


FOUR = [0, 1, 2, 3]


@pytest.mark.parametrize(
    ("y", "p", "pairwise", "bcubed"),
    [
        ([5], [7], (0, 0, 0), (1, 1, 1)),
        (FOUR, FOUR, (0, 0, 0), (1, 1, 1)),
        ([0, 0, 1, 1], FOUR, (0, 0, 0), (1, 1 / 2, 2 / 3)),
        (FOUR, [0, 0, 1, 1], (0, 0, 0), (1 / 2, 1, 2 / 3)),
        ([0, 0, 1, 1], [3] * 4, (1 / 3, 1, 1 / 2), (1 / 2, 1, 2 / 3)),
        ([0] * 4, [3] * 4, (1, 1, 1), (1, 1, 1)),
        ([0, 0, 1, 1], [9, 9, 4, 4], (1, 1, 1), (1, 1, 1)),
    ],
    ids=[
        "one row",
        "single rows found",
        "pairs torn apart",
        "single rows put together",
        "one cluster of two classes",
        "one cluster of one class",
        "perfect",
    ],
)
def test_extreme_labellings(y, p, pairwise, bcubed):
    assert pairwise_precision_recall_fscore(y, p) == pytest.approx(pairwise)
    assert bcubed_precision_recall_fscore(y, p) == pytest.approx(bcubed)


@pytest.mark.parametrize("dtype", [np.int32, np.uint8, np.int64])
def test_squares_of_large_counts_do_not_overflow(dtype):
    n = 200_000
    y, p = np.zeros(n, dtype), np.arange(n).astype(dtype) % dtype(2)
    recall = 2 * (n // 2) * (n // 2 - 1) / (n * (n - 1))
    found = pairwise_precision_recall_fscore(y, p)
    assert found == pytest.approx((1, recall, f_of(1, recall)), rel=1e-14)
    found = bcubed_precision_recall_fscore(y, p)
    assert found == pytest.approx((1, 1 / 2, 2 / 3), rel=1e-14)


def as_objects(values):
    array = np.empty(len(values), dtype=object)
    array[:] = values
    return array


LABELS = {
    "negative": np.array([-1, -1, 0, -3]),
    "int8, far apart": np.array([-128, -128, 127, 0], dtype=np.int8),
    "uint64, beyond int64": np.array([2**64 - 1, 2**64 - 1, 0, 2**63], dtype=np.uint64),
    "int64, far apart": np.array([-(2**63), -(2**63), 2**63 - 1, 0]),
    "float": np.array([0.5, 0.5, -np.inf, 1.0]),
    "text": np.array(["b", "b", "", "a"]),
    "bytes": np.array([b"b", b"b", b"c", b"a"]),
    "dates": np.array(["2020-01-01"] * 2 + ["2021-01-01", "2022-01-01"], "M8[D]"),
    "tuples": as_objects([(1, 2), (1, 2), (2, 1), "x"]),
    "number and its text": [1, 1, "1", 1.5],
    "ints as large as no float": [2**70, 2**70, 2**70 + 1, 0.5],
    "series": pd.Series(["x", "x", "y", "z"], index=[3, 1, 2, 0]),
    "categories": pd.Series(["x", "x", "y", "z"], dtype="category"),
    "nullable": pd.Series([4, 4, 5, 6], dtype="Int64"),
}


@pytest.mark.parametrize("labels", LABELS.values(), ids=LABELS)
def test_labels_may_be_of_any_kind(labels):
    y = [0, 1, 1, 1]
    for score in (pairwise_f_score, bcubed_f_score):
        assert score(y, labels) == score(y, [0, 0, 1, 2])
        assert score(labels, y) == score([0, 0, 1, 2], y)


def test_truth_values_are_labels():
    found = pairwise_precision_recall_fscore([True, True, False], [0, 1, 1])
    assert found == pairwise_precision_recall_fscore([0, 0, 1], [0, 1, 1])


def test_arguments_are_left_as_they_were():
    y, p = random_labels()
    y.flags.writeable = p.flags.writeable = False
    before = y.copy(), p.copy()
    cluster_report(y, p)
    np.testing.assert_array_equal((y, p), before)


MISSING = {
    "array": np.array([1.0, np.nan]),
    "list": [1.0, float("nan")],
    "None": ["a", None],
    "object": np.array(["a", np.nan], dtype=object),
    "nullable": pd.Series([1, None], dtype="Int64"),
    "NaT": np.array(["2020-01-01", "NaT"], dtype="M8[ns]"),
}


@pytest.mark.parametrize("labels", MISSING.values(), ids=MISSING)
def test_missing_labels_are_refused(labels):
    with pytest.raises(ValueError, match="`y_true` contains .* at position 1; drop"):
        pairwise_f_score(labels, [0, 1])
    with pytest.raises(ValueError, match="`y_pred` contains .* at position 1; drop"):
        bcubed_f_score([0, 1], labels)


def test_masked_labels_are_refused():
    labels = np.ma.array([0, 1], mask=[False, True])
    with pytest.raises(ValueError, match="`y_pred` is a masked array"):
        pairwise_f_score([0, 1], labels)
    assert pairwise_f_score([0, 0], np.ma.array([0, 0])) == 1


@pytest.mark.parametrize("score", [pairwise_f_score, bcubed_f_score, cluster_report])
def test_what_is_no_list_of_labels_is_refused(score):
    with pytest.raises(ValueError, match="`y_true` has 3 labels, but `y_pred` has 2"):
        score([0, 0, 1], [0, 1])
    with pytest.raises(ValueError, match="`y_true` is empty; give at least one label"):
        score([], [])
    with pytest.raises(ValueError, match=r"got ndarray of shape \(2, 1\). Ravel"):
        score([0, 1], np.zeros((2, 1)))
    with pytest.raises(ValueError, match=r"got list of shape \(2, 2\).*dtype object"):
        score([(0, 1), (0, 1)], [0, 1])
    with pytest.raises(ValueError, match=r"`y_true` must be .*NoneType of shape \(\)"):
        score(None, [0, 1])
    with pytest.raises(ValueError, match="`y_pred` must be a 1-d array of labels"):
        score([0, 1], [[0], [0, 1]])


def test_labels_that_cannot_be_compared_are_refused():
    labels = as_objects([[1], {2}])
    with pytest.raises(TypeError, match="`y_true` holds .*unhashable.*be hashable"):
        pairwise_f_score(labels, [0, 1])


def test_report_counted_by_hand():
    report = cluster_report(CLASSES, CLUSTERS, output_dict=True)
    assert report == {
        "n_samples": 6,
        "n_classes": 3,
        "n_clusters": 4,
        "n_singleton_classes": 1,
        "n_singleton_clusters": 2,
        "n_split_classes": 2,
        "n_merged_clusters": 1,
        "class_sizes": {"min": 1, "25%": 1.5, "50%": 2, "75%": 2.5, "max": 3},
        "cluster_sizes": {"min": 1, "25%": 1, "50%": 1.5, "75%": 2, "max": 2},
        "purity": 5 / 6,
        "inverse_purity": 4 / 6,
        "pairwise": pytest.approx({"precision": 0.5, "recall": 0.25, "fscore": 1 / 3}),
        "bcubed": pytest.approx(
            {"precision": 5 / 6, "recall": 11 / 18, "fscore": 55 / 78}
        ),
        "nmi": pytest.approx(2 / 3),
    }
    assert json.loads(json.dumps(report)) == report


def test_nmi_of_the_report_is_that_of_scikit_learn():
    y, p = random_labels()
    report = cluster_report(y.astype(str), p - 5, output_dict=True)
    expected = normalized_mutual_info_score(y, p)
    assert report["nmi"] == pytest.approx(expected, rel=1e-12)


def test_text_report_tells_the_numbers_of_the_dict():
    y, p = random_labels(200)
    report = cluster_report(y, p, output_dict=True)
    lines = [line.split() for line in cluster_report(y, p).splitlines()]
    table = {tuple(words[:-2]): words[-2:] for words in lines if len(words) > 2}
    for name in ("pairwise", "bcubed"):
        (words,) = (words for words in lines if words[:1] == [name])
        assert words[1:] == [f"{value:.3f}" for value in report[name].values()]
    assert table["number",] == ["7", "9"]
    n_bad = report["n_split_classes"], report["n_merged_clusters"]
    assert table["split/merged",] == [str(number) for number in n_bad]
    largest = report["class_sizes"]["max"], report["cluster_sizes"]["max"]
    assert table["max", "size"] == [f"{size:.0f}" for size in largest]
    assert ["nmi", f"{report['nmi']:.3f}"] in lines
    assert lines[-1] == ["samples", "200"]
