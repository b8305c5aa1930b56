"""Tests of recall at k and MAP@R."""

from pathlib import Path

import numpy as np
import pairs_by_brute_force as brute
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from skdeep.metrics import map_at_r_score, recall_at_k_score

ORACLES = sorted((Path(__file__).parent.parent / "data" / "tcm").glob("opis_*.npz"))


@pytest.mark.parametrize("path", ORACLES, ids=lambda path: path.stem)
def test_recall_at_1_equals_the_oracle(path):
    oracle = np.load(path)
    found = recall_at_k_score(oracle["y"], oracle["E"])
    assert found == pytest.approx(float(oracle["recall_at_1"]), abs=1e-12)


def test_scores_on_a_line_counted_by_hand():
    X = np.array([[0.0], [1.0], [1.5], [4.0], [4.2]])
    y = ["a", "a", "b", "a", "b"]
    # nearest: 0 -> 1 (hit), 1 -> 2, 2 -> 1, 3 -> 4, 4 -> 3
    assert recall_at_k_score(y, X, normalize=False) == 1 / 5
    # the two nearest of 1 are 2 and 0 (hit), of 2 are 1 and 0, of 3 are 4 and 2,
    # of 4 are 3 and 2 (hit)
    assert recall_at_k_score(y, X, k=2, normalize=False) == 3 / 5
    # R is 2 for a: row 0 finds 1 first: (1 + 0) / 2; row 1 finds 2, 0: (0 + 1/2) / 2;
    # row 3 finds 4, 2: 0. R is 1 for b: rows 2 and 4 find a
    assert map_at_r_score(y, X, normalize=False) == pytest.approx((0.5 + 0.25) / 5)


@given(
    y=st.lists(st.integers(0, 4), min_size=3, max_size=20),
    seed=st.integers(0, 500),
    n_levels=st.integers(2, 40),
    block_size=st.integers(1, 25),
    k=st.integers(1, 6),
)
@settings(max_examples=30, deadline=None, derandomize=True)
def test_scores_equal_brute_force_with_ties(y, seed, n_levels, block_size, k):
    if len(set(y)) == len(y):
        y[0] = y[1]
    X = np.random.RandomState(seed).randint(n_levels, size=(len(y), 2)) + 1.0
    names = [f"class {label}" for label in y]
    D = brute.distances(X)
    found = recall_at_k_score(names, X, k=k, block_size=block_size)
    # the distance of equal directions is rounded to 1e-16, its root to 1e-8
    squared = np.round(D**2, 12)
    assert found == pytest.approx(brute.recall_at_k(names, squared, k))
    found = map_at_r_score(names, X, block_size=block_size)
    expected = brute.average_precision_at_r(names, squared).mean()
    assert found == pytest.approx(expected)


@pytest.mark.parametrize("metric", ["euclidean", "cosine"])
@pytest.mark.parametrize("normalize", [True, False])
def test_scores_equal_brute_force_without_ties(metric, normalize):
    rng = np.random.RandomState(0)
    y = rng.randint(12, size=80)
    X = rng.randn(12, 4)[y] + 0.7 * rng.randn(80, 4)
    D = brute.distances(X, metric, normalize)
    rows = {"metric": metric, "normalize": normalize}
    for k in (1, 3, 10):
        assert recall_at_k_score(y, X, k=k, **rows) == brute.recall_at_k(y, D, k)
    expected = brute.average_precision_at_r(y, D).mean()
    assert map_at_r_score(y, X, **rows) == pytest.approx(expected, rel=1e-12)


def test_gallery_is_searched_instead_of_the_queries():
    queries, y = np.array([[0.0, 1.0], [1.0, 0.0], [1.0, 1.0]]), ["a", "b", "new"]
    gallery, labels = np.array([[0.1, 1.0], [1.0, 0.2], [0.0, 1.0]]), ["a", "b", "b"]
    search = {"gallery_embeddings": gallery, "gallery_y": labels}
    # query a: the third row coincides and is b; query b: hit; query new: no match
    assert recall_at_k_score(y, queries, **search) == pytest.approx(1 / 3)
    assert recall_at_k_score(y, queries, k=2, **search) == pytest.approx(2 / 3)
    # a: R = 1, missed; b: R = 2, finds b first, then a: 1 / 2; new: 0
    assert map_at_r_score(y, queries, **search) == pytest.approx(0.5 / 3)


def test_block_size_does_not_matter():
    rng = np.random.RandomState(0)
    y, X = rng.randint(9, size=100), rng.randn(100, 5)
    for score in (recall_at_k_score, map_at_r_score):
        assert len({score(y, X, block_size=size) for size in (1, 9, 99, 500)}) == 1


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"k": 0}, "`k` must be at least 1; got 0"),
        ({"gallery_y": [0, 0]}, "belong together"),
        ({"gallery_embeddings": np.eye(2)}, "belong together"),
        (
            {"gallery_embeddings": np.eye(2), "gallery_y": [0, 0]},
            "`gallery_embeddings` has 2 columns, but `embeddings` has 3",
        ),
        ({"gallery_embeddings": np.eye(3), "gallery_y": [5, 6, 7]}, "no positive pair"),
        ({"metric": "l1"}, "`metric` must be one of"),
        ({"block_size": 0}, "`block_size` must be at least 1"),
    ],
)
def test_wrong_argument_is_named(arguments, message):
    with pytest.raises(ValueError, match=message):
        recall_at_k_score([0, 0, 1], np.eye(3), **arguments)


def test_data_without_a_match_or_without_direction_are_refused():
    for score in (recall_at_k_score, map_at_r_score):
        with pytest.raises(ValueError, match="no positive pair"):
            score([0, 1, 2], np.eye(3))
        with pytest.raises(ValueError, match="1 of 3 rows of `embeddings` are zero"):
            score([0, 0, 2], np.diag([1, 1, 0]))
        with pytest.raises(ValueError, match="contains NaN"):
            score([0, 0, 2], np.diag([1, 1, np.nan]))
