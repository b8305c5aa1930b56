"""Tests of precision, nDCG and propensity precision at k."""

import json
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import scipy.sparse as sp
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.testing import assert_allclose, assert_array_equal
from sklearn import config_context
from sklearn.metrics import ndcg_score

from skdeep.metrics import (
    inverse_propensity,
    ndcg_at_k_score,
    precision_at_k_score,
    propensity_precision_at_k_score,
)
from skdeep.metrics._label_sets import best_labels

# numbers of xclib/evaluation/xc_metrics.py, kunaldahiya/pyxclib, commit 5d130862 (MIT)
ORACLE = Path(__file__).parent.parent / "data" / "chain" / "metrics.json"
CASES = json.loads(ORACLE.read_text(encoding="utf-8"))
SCORES = [precision_at_k_score, ndcg_at_k_score]


def make_rows(n=30, n_labels=8, n_levels=5, seed=0):
    rng = np.random.RandomState(seed)
    Y = (rng.rand(n, n_labels) < 0.3).astype(int)
    Y[0] = 0
    Y[1, 0] = 1
    S = rng.randint(n_levels, size=(n, n_labels)) / n_levels
    return Y, S


def ranking_by_sorting(scores):
    return sorted(range(len(scores)), key=lambda label: (-scores[label], label))


def precision_by_counting(Y, S, k):
    return [sum(y[ranking_by_sorting(s)[:k]]) / k for y, s in zip(Y, S)]


def ndcg_by_counting(Y, S, k):
    values = []
    for y, s in zip(Y, S):
        hits = y[ranking_by_sorting(s)[:k]]
        gain = sum(hit / np.log2(j + 2) for j, hit in enumerate(hits))
        ideal = sum(1 / np.log2(j + 2) for j in range(min(k, y.sum())))
        values.append(gain / ideal if ideal else 0.0)
    return values


def propensity_by_counting(Y, S, k, inverse):
    return [sum((y * inverse)[ranking_by_sorting(s)[:k]]) / k for y, s in zip(Y, S)], [
        sum(sorted(y * inverse)[::-1][:k]) / k for y in Y
    ]


@pytest.mark.parametrize("case", CASES, ids=["5 labels", "7 labels", "12 labels"])
@pytest.mark.parametrize("form", ["dense", "sparse"])
def test_scores_equal_the_oracle(case, form):
    Y, S = np.array(case["Y"]), np.array(case["S"])
    expected = case["expected"]
    inverse = np.array(expected["inv_propensity_A0.55_B1.5"])
    # powers are in single precision there, and so are the gains of nDCG
    assert_allclose(inverse_propensity(Y), inverse, rtol=1e-7)
    if form == "sparse":
        Y, S = sp.csr_array(Y), sp.csr_array(S)
    places = range(1, case["k"] + 1)
    found = [precision_at_k_score(Y, S, k=k) for k in places]
    assert_allclose(found, expected["P@1..k"], rtol=1e-12)
    found = [ndcg_at_k_score(Y, S, k=k) for k in places]
    assert_allclose(found, expected["nDCG@1..k"], rtol=1e-7)
    found = [
        propensity_precision_at_k_score(Y, S, k=k, propensity=1 / inverse)
        for k in places
    ]
    assert_allclose(found, expected["PSP@1..k"], rtol=1e-12)


@given(
    seed=st.integers(0, 1000),
    n_labels=st.integers(1, 9),
    n_levels=st.integers(1, 12),
    k=st.integers(1, 11),
    empty=st.sampled_from(["zero", "skip"]),
)
@settings(max_examples=60, deadline=None, derandomize=True)
def test_scores_equal_counting_with_ties_and_empty_rows(
    seed, n_labels, n_levels, k, empty
):
    Y, S = make_rows(12, n_labels, n_levels, seed)
    used = Y.any(axis=1) if empty == "skip" else np.ones(12, dtype=bool)
    found = precision_at_k_score(Y, S, k=k, empty=empty)
    expected = np.mean(np.array(precision_by_counting(Y, S, k))[used])
    assert found == pytest.approx(expected)
    found = ndcg_at_k_score(Y, S, k=k, empty=empty)
    expected = np.mean(np.array(ndcg_by_counting(Y, S, k))[used])
    assert found == pytest.approx(expected)
    inverse = inverse_propensity(Y)
    gain, ideal = propensity_by_counting(Y, S, k, inverse)
    settings = {"k": k, "empty": empty, "propensity": 1 / inverse}
    found = propensity_precision_at_k_score(Y, S, **settings)
    assert found == pytest.approx(sum(gain) / sum(ideal))
    found = propensity_precision_at_k_score(Y, S, normalize=False, **settings)
    assert found == pytest.approx(np.array(gain)[used].mean())


def test_ndcg_without_ties_is_that_of_scikit_learn():
    rng = np.random.RandomState(0)
    Y, S = make_rows()[0], rng.rand(30, 8)
    for k in (1, 3, 8):
        found = ndcg_at_k_score(Y, S, k=k)
        assert found == pytest.approx(ndcg_score(Y, S, k=k))


def test_two_rows_counted_by_hand():
    Y = [[0, 1, 1, 0], [1, 0, 0, 0]]
    S = [[0.9, 0.8, 0.7, 0.1], [0.3, 0.9, 0.4, 0.5]]
    # rankings: 0 1 2 3 and 1 3 2 0; hits at the places 2, 3 and 4
    assert precision_at_k_score(Y, S, k=3) == pytest.approx((2 / 3 + 0) / 2)
    assert precision_at_k_score(Y, S, k=4) == pytest.approx((2 / 4 + 1 / 4) / 2)
    first = (1 / np.log2(3) + 1 / 2) / (1 + 1 / np.log2(3))
    assert ndcg_at_k_score(Y, S, k=4) == pytest.approx((first + 1 / np.log2(5)) / 2)


def test_equal_scores_are_ranked_by_label_index():
    S = np.array([[1, 2, 2, 1, 2, 1], [0, 0, 0, 0, 0, 0], [3, 1, 1, 1, 1, 2]])
    expected = [[1, 2, 4, 0], [0, 1, 2, 3], [0, 5, 1, 2]]
    assert_array_equal(best_labels(S, 3, 6, 4), expected)
    # every score is stored, zeros too
    full = sp.csr_array(
        (S.ravel(), np.tile(np.arange(6), 3), np.arange(0, 19, 6)), shape=(3, 6)
    )
    assert_array_equal(best_labels(full, 3, 6, 4), expected)
    labels = np.array([[5, 4, 3, 2, 1, 0]] * 3)
    pair = labels, np.take_along_axis(S, labels, axis=1)
    assert_array_equal(best_labels(pair, 3, 6, 4), expected)


@pytest.mark.parametrize("score", SCORES)
@pytest.mark.parametrize("k", [1, 3, 8])
def test_best_labels_of_each_row_are_enough(score, k):
    Y, S = make_rows()
    expected = score(Y, S, k=k)
    labels = np.argsort(-S, axis=1, kind="stable")[:, :k]
    values = np.take_along_axis(S, labels, axis=1)
    assert score(Y, (labels, values), k=k) == expected
    indptr = np.arange(0, labels.size + 1, k)
    stored = sp.csr_array((values.ravel(), labels.ravel(), indptr), shape=S.shape)
    assert score(Y, stored, k=k) == expected
    turned = labels[:, ::-1], values[:, ::-1]
    assert score(sp.csr_array(Y), turned, k=k) == expected


@pytest.mark.parametrize(
    "container",
    [
        *(lambda Y, t=t: Y.astype(t) for t in (bool, "int8", "uint8", "f4", object)),
        *(lambda Y, f=f: f(Y) for f in (sp.csr_array, sp.csr_matrix, sp.csc_array)),
        *(lambda Y, f=f: f(Y) for f in (sp.coo_array, sp.lil_matrix)),
        lambda Y: sp.csr_array(Y.astype(np.int8)),
        lambda Y: sp.csr_array(Y.astype(bool)),
        np.ndarray.tolist,
        pd.DataFrame,
        np.asfortranarray,
    ],
)
@pytest.mark.parametrize("n_labels", [8, 300])  # 300 does not fit in int8
def test_every_container_and_dtype_of_labels_gives_the_same(container, n_labels):
    Y, S = make_rows(20, n_labels, n_levels=100)
    for score in SCORES:
        assert score(container(Y), S, k=5) == score(Y, S, k=5)
    assert_array_equal(inverse_propensity(container(Y)), inverse_propensity(Y))


@pytest.mark.parametrize(
    "container",
    [
        lambda S: S.astype(np.float32),
        lambda S: (5 * S).round().astype(np.uint8),
        lambda S: np.log(S),  # -inf for 0
        np.ndarray.tolist,
        pd.DataFrame,
        lambda S: sp.csr_matrix(S + 1),
        lambda S: sp.coo_array(S + 1),
    ],
)
def test_every_container_and_increasing_function_of_scores_gives_the_same(container):
    Y, S = make_rows()
    with np.errstate(divide="ignore"):
        scores = container(S)
    for score in SCORES:
        assert score(Y, scores, k=3) == score(Y, S, k=3)


def test_input_is_left_as_it_was():
    Y, S = (sp.csr_array(part) for part in make_rows())
    Y.indices[:2], S.indices[:2] = Y.indices[1::-1].copy(), S.indices[1::-1].copy()
    before = Y.indices.copy(), S.indices.copy()
    precision_at_k_score(Y, S, k=2)
    assert_array_equal(Y.indices, before[0])
    assert_array_equal(S.indices, before[1])


def test_stored_zeros_of_the_truth_are_no_labels():
    Y = sp.csr_array(np.array([[1, 1, 0]]))
    Y.data[0] = 0
    assert precision_at_k_score(Y, [[3, 2, 1]], k=1) == 0
    assert precision_at_k_score(Y, [[3, 2, 1]], k=2) == 0.5


def test_labels_that_a_sparse_row_does_not_store_are_misses():
    Y = np.array([[1, 1, 0], [1, 1, 1]])
    S = sp.csr_array(np.array([[0, 0.5, 0], [0, 0, 0]]))
    assert precision_at_k_score(Y, S, k=2) == 0.25


def test_places_beyond_the_last_label_are_misses():
    Y, S = np.ones((2, 3), dtype=int), np.zeros((2, 3))
    assert precision_at_k_score(Y, S, k=5) == pytest.approx(3 / 5)
    assert ndcg_at_k_score(Y, S, k=5) == 1
    pair = np.array([[0, 1, 2]] * 2), S
    assert precision_at_k_score(Y, pair, k=5) == pytest.approx(3 / 5)
    propensity = np.full(3, 0.5)
    for normalize, expected in ((True, 1), (False, 2 * 3 / 5)):
        found = propensity_precision_at_k_score(
            Y, S, k=5, propensity=propensity, normalize=normalize
        )
        assert found == pytest.approx(expected)


def test_weight_two_is_the_row_twice():
    Y, S = make_rows()
    weight = np.arange(30) % 3
    rows = np.repeat(np.arange(30), weight)
    inverse = inverse_propensity(Y)
    for score, params in (
        (precision_at_k_score, {}),
        (ndcg_at_k_score, {}),
        (propensity_precision_at_k_score, {"propensity": 1 / inverse}),
    ):
        for empty in ("zero", "skip"):
            settings = {"k": 3, "empty": empty, **params}
            found = score(Y, S, sample_weight=weight, **settings)
            assert found == pytest.approx(score(Y[rows], S[rows], **settings))


def test_permuting_rows_or_labels_changes_nothing():
    rng = np.random.RandomState(0)
    Y, S = make_rows(n_levels=10**6)
    rows, labels = rng.permutation(30), rng.permutation(8)
    for score in SCORES:
        found = score(Y[rows][:, labels], S[rows][:, labels], k=3)
        assert found == pytest.approx(score(Y, S, k=3))


def test_small_blocks_give_the_same():
    Y, S = make_rows(500, 900, n_levels=7)
    expected = best_labels(S, 500, 900, 5)
    with config_context(working_memory=1):  # 9 rows at a time
        assert_array_equal(best_labels(S, 500, 900, 5), expected)
    assert_array_equal(expected, [ranking_by_sorting(s)[:5] for s in S])


def test_equal_propensities_give_precision():
    Y, S = make_rows()
    found = propensity_precision_at_k_score(
        Y, S, k=2, propensity=np.ones(8), normalize=False
    )
    assert found == pytest.approx(precision_at_k_score(Y, S, k=2))


def test_propensity_precision_without_any_label_is_zero():
    Y, S = np.zeros((3, 4)), np.ones((3, 4))
    assert propensity_precision_at_k_score(Y, S, propensity=np.ones(4)) == 0


def test_rare_labels_have_low_propensity_and_unseen_ones_the_lowest():
    Y = np.zeros((100, 4))
    Y[:, 0], Y[:10, 1], Y[:1, 2] = 1, 1, 1
    inverse = inverse_propensity(Y, a=0.6, b=2.6)
    assert (np.diff(inverse) > 0).all()
    assert inverse[0] > 1
    # the logarithm is natural
    expected = 1 + (np.log(100) - 1) * 3.6**0.6 * (10 + 2.6) ** -0.6
    assert inverse[1] == pytest.approx(expected)


def refused(match, Y, S, error=ValueError, score=precision_at_k_score, **settings):
    with pytest.raises(error, match=match):
        score(Y, S, **settings)


def test_truth_that_is_no_indicator_matrix_is_refused():
    S = np.zeros((2, 3))
    refused("`y_true` holds 2 in column 1; give a 0/1", [[0, 1, 0], [1, 2, 0]], S)
    refused("`y_true` holds nan in column 2", [[0, 1, 0], [1, 0, np.nan]], S)
    refused("holds -1.0 in column 1", sp.csr_array([[0, -1.0, 0], [1, 0, 0]]), S)
    twice = sp.coo_array(([1, 1], ([0, 0], [1, 1])), shape=(2, 3))
    refused("holds 2 in column 1", twice, S)
    refused("with 1 dimension.*MultiLabelBinarizer", [0, 1], S)
    refused("a list that is no matrix.*MultiLabelBinarizer", [["a"], ["a", "b"]], S)
    refused("no matrix of numbers", [["a", "b", "c"], ["a", "b", "c"]], S)
    refused("`y_true` is empty", np.zeros((0, 3)), np.zeros((0, 3)))
    with pytest.raises(ValueError, match="`y_train` holds 3 in column 0"):
        inverse_propensity([[3, 1], [0, 1], [0, 1]])


def test_scores_that_do_not_fit_are_refused():
    Y = np.array([[1, 0, 0], [0, 1, 1]])
    refused(r"`y_score` has shape \(2, 2\), but `y_true` has \(2, 3\)", Y, Y[:, :2])
    refused(r"has shape \(3, 2\)", Y, sp.csr_array(Y.T))
    refused("holds NaN.*-inf", Y, np.where(Y, np.nan, 0))
    refused("holds NaN", Y, sp.csr_array(np.where(Y, np.nan, 0)))


def test_pairs_that_do_not_fit_are_refused():
    Y = np.array([[1, 0, 0], [0, 1, 1]])
    labels, scores = np.array([[0, 1], [1, 2]]), np.array([[0.5, 0.4], [0.3, 0.2]])
    refused(
        r"best 2 labels of a row, but k=3.*predict_top_k\(X, k=3\)",
        Y,
        (labels, scores),
        k=3,
    )
    refused("same shape with 2 rows", Y, (labels, scores[:, :1]))
    refused("same shape with 2 rows", Y, (labels[:1], scores[:1]))
    refused("names labels 1 to 3.* columns 0 to 2", Y, (labels + 1, scores))
    refused("names labels -1 to 1", Y, (labels - 1, scores))
    refused("twice in one row", Y, (np.zeros((2, 2), dtype=int), scores))
    refused("have dtype float64; they must", Y, (scores, labels), error=TypeError)
    refused("holds NaN", Y, (labels, scores * np.nan))


@pytest.mark.parametrize("score", SCORES)
def test_wrong_settings_are_refused(score):
    Y, S = make_rows()
    refused("`k` must be at least 1; got 0", Y, S, score=score, k=0)
    refused("`k` must be an int", Y, S, error=TypeError, score=score, k=1.5)
    refused("`empty` must be one of .*'drop'", Y, S, score=score, empty="drop")
    weights = {"score": score, "sample_weight": np.ones(4)}
    refused(r"shape \(4,\); it must be \(30,\)", Y, S, **weights)
    weights["sample_weight"] = -np.ones(30)
    refused("finite and not negative", Y, S, **weights)
    weights["sample_weight"] = np.zeros(30)
    refused("No row is left", Y, S, **weights)
    refused("No row is left.*empty='skip'", 0 * Y, S, score=score, empty="skip")
    assert score(0 * Y, S) == 0


def test_wrong_propensities_are_refused():
    Y, S = make_rows()
    settings = {"score": propensity_precision_at_k_score}
    refused(r"it must be \(8,\)", Y, S, propensity=np.ones(7), **settings)
    inverse = inverse_propensity(Y)
    refused(r"lie in \(0, 1\].*pass 1 / them", Y, S, propensity=inverse, **settings)
    refused("lie in", Y, S, propensity=np.zeros(8), **settings)
    refused("lie in", Y, S, propensity=np.full(8, np.nan), **settings)
    with pytest.raises(ValueError, match=r"2 row\(s\); the estimate needs at least 3"):
        inverse_propensity(Y[:2])
    with pytest.raises(ValueError, match="`a` must be a finite number > 0; got 0"):
        inverse_propensity(Y, a=0)
