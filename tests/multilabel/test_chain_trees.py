"""Trees of the first look: the forest that they keep, and honest opinions on its rows."""

import pickle

import numpy as np
import pytest
import scipy.sparse as sp
import torch
from numpy.testing import assert_allclose, assert_array_equal
from scipy.special import expit, logit
from sklearn.ensemble import ExtraTreesRegressor

from skdeep.multilabel import DynamicChainClassifier, _setup, _trees
from skdeep.multilabel._trees import N_TREES, Trees, grow_trees

LEAST = 1 / (2 * N_TREES)


def rows_and_sets(n_samples=150, seed=0):
    rng = np.random.RandomState(seed)
    X = rng.normal(size=(n_samples, 5)).astype(np.float32)
    Y = X[:, :3] * X[:, 1:4] + rng.normal(size=(n_samples, 3)) > 0.3
    return X, sp.csr_array(Y.astype(np.int64))


def grown(X, Y, seed=0):
    """Trees, and their logits for rows left out."""
    trees = Trees(Y.shape[1], 0, 0)
    return trees, grow_trees(trees, X, Y, np.random.RandomState(seed))


def small(**params):
    usual = {"max_epochs": 2, "hidden_size": 8, "n_estimators": 2, "random_state": 0}
    return DynamicChainClassifier(**usual | params)


def test_trees_vote_as_the_forest_that_they_were_grown_in():
    X, Y = rows_and_sets()
    trees, left_out = grown(X, Y)
    forest = ExtraTreesRegressor(
        N_TREES,
        min_samples_leaf=3,
        max_features=0.3,
        bootstrap=True,
        oob_score=True,
        max_samples=len(X),
        random_state=np.random.RandomState(0).randint(2**31 - 1),
    )
    forest.fit(X, Y.toarray())
    new = np.concatenate([X, rows_and_sets(seed=1)[0]])
    expected = np.clip(forest.predict(new), LEAST, 1 - LEAST)
    assert_allclose(expit(trees(torch.from_numpy(new))), expected, atol=3e-5)
    expected = np.clip(forest.oob_prediction_, LEAST, 1 - LEAST)
    assert_allclose(expit(left_out), expected, atol=1e-6)


def test_opinion_on_a_row_does_not_depend_on_its_own_labels():
    X, Y = rows_and_sets()
    before, after = [], []
    for row in range(0, 30, 5):
        other = Y.toarray()
        other[row] = 1 - other[row]
        before.append(grown(X, Y)[1])
        after.append(grown(X, sp.csr_array(other))[1])
        assert_array_equal(after[-1][row], before[-1][row])
        assert not np.array_equal(after[-1], before[-1])


def test_a_row_gets_the_same_bits_in_any_company():
    X, Y = rows_and_sets()
    trees, _ = grown(X, Y)
    together = trees(torch.from_numpy(X))
    alone = torch.cat([trees(torch.from_numpy(X[i : i + 1])) for i in range(len(X))])
    assert torch.equal(together, alone)


@pytest.mark.parametrize("value", [0, 1])
def test_rows_that_are_all_alike_make_trees_of_one_leaf(value):
    X = np.zeros((4, 2), np.float32)
    trees, left_out = grown(X, sp.csr_array(np.full((4, 1), value)))
    assert trees.sizes == (0, N_TREES)
    expected = np.full((4, 1), logit(np.clip(value, LEAST, 1 - LEAST)))
    assert_allclose(trees(torch.from_numpy(X)), expected, rtol=1e-5)
    assert_allclose(left_out, expected, rtol=1e-5)


def test_number_of_leaves_is_bounded(monkeypatch):
    X, Y = rows_and_sets()
    monkeypatch.setattr(_trees, "_MAX_VALUES", 8 * N_TREES * Y.shape[1])
    n_inner, n_leaves = grown(X, Y)[0].sizes
    assert 4 * N_TREES < n_leaves <= 8 * N_TREES
    assert n_inner == n_leaves - N_TREES


def test_large_tables_are_sampled(monkeypatch):
    X, Y = rows_and_sets()
    monkeypatch.setattr(_trees, "_MAX_ROWS", 12)
    trees, left_out = grown(X, Y)
    assert trees.sizes[1] <= 4 * N_TREES
    assert np.isfinite(left_out).all()


@pytest.mark.parametrize(
    ("first_look", "sparse", "expected"),
    [
        ("auto", False, True),
        ("trees", False, True),
        ("ridge", False, False),
        ("auto", True, False),
        ("trees", True, False),
    ],
)
def test_trees_are_for_dense_rows(first_look, sparse, expected):
    X, Y = rows_and_sets()
    rows = sp.csr_array(X) if sparse else X
    look = small(first_look=first_look).fit(rows, Y).module_.look
    assert (look.trees is not None) == expected


def test_tables_with_very_many_labels_do_without_trees(monkeypatch):
    X, Y = rows_and_sets()
    monkeypatch.setattr(_setup, "_MAX_OPINIONS", Y.shape[0] * Y.shape[1] - 1)
    assert small().fit(X, Y).module_.look.trees is None


def test_first_look_learns_what_is_not_linear_from_trees():
    rng = np.random.RandomState(0)
    X = rng.uniform(-1, 1, size=(600, 30)).astype(np.float32)
    Y = np.stack([X[:, 0] * X[:, 1] > 0, X[:, 0] > 0], axis=1).astype(int)
    scores = {}
    for name in ("ridge", "trees"):
        model = small(first_look=name, proba="head").fit(X[:400], Y[:400])
        proba = model.predict_proba(X[400:])[:, 0]
        scores[name] = ((proba > 0.5) == Y[400:, 0]).mean()
    assert scores["trees"] > scores["ridge"] + 0.1


def test_fitted_trees_survive_pickle_and_go_on():
    X, Y = rows_and_sets()
    model = small(warm_start=True).fit(X[:100], Y[:100])
    again = pickle.loads(pickle.dumps(model))
    assert_array_equal(again.predict_proba(X), model.predict_proba(X))
    size = model.module_.look.trees.sizes
    model.fit(X, Y)  # more rows, larger trees
    assert model.module_.look.trees.sizes > size
    again = pickle.loads(pickle.dumps(model))
    assert_array_equal(again.predict_proba(X), model.predict_proba(X))


def test_partial_fit_asks_the_trees_of_the_first_call():
    X, Y = rows_and_sets()
    model = small().partial_fit(X[:100], Y[:100])
    look = model.module_.look
    before = {name: value.clone() for name, value in look.state_dict().items()}
    model.partial_fit(X[100:], Y[100:])
    for name, value in model.module_.look.state_dict().items():
        assert torch.equal(value, before[name])
