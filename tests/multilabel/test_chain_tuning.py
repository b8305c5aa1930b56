"""Shares of the scores and the cut, chosen on rows that nobody learned from."""

import numpy as np
import pytest
import scipy.sparse as sp
import torch
from numpy.testing import assert_allclose, assert_array_equal
from tiny_chains import few_rows, small

from skdeep.metrics import ndcg_at_k_score
from skdeep.multilabel._batches import LabelSetBatches
from skdeep.multilabel._decisions import tune_threshold
from skdeep.multilabel._setup import hold_out
from skdeep.multilabel._tuning import (
    DEFAULT_SHARES,
    _ranking_quality,
    best_shares,
    example_f1,
)
from skdeep.nn import SparseRows

N, L = 200, 6


def noisy(Y, noise, seed):
    rng = np.random.RandomState(seed)
    return np.clip(Y * (1 - noise) + noise * rng.rand(*Y.shape), 0, 1)


@pytest.fixture
def Y():
    return np.random.RandomState(0).rand(N, L) < 0.3


def test_ranking_quality_is_ndcg_at_3_plus_at_5_of_rows_with_labels(Y):
    scores = noisy(Y, 0.8, 1)
    Y[:5] = False
    found = _ranking_quality(Y, scores)
    assert found.shape == (Y.any(1).sum(),)
    some = Y.any(1)
    expected = sum(ndcg_at_k_score(Y[some], scores[some], k=k) for k in (3, 5))
    assert found.mean() == pytest.approx(expected)


def test_ranking_of_two_labels_needs_no_third():
    Y = np.array([[True, False], [True, True]])
    scores = np.array([[0.1, 0.9], [0.1, 0.9]])
    assert_allclose(_ranking_quality(Y, scores), [2 / np.log2(3), 2])


@pytest.mark.parametrize("best", range(4))
def test_part_that_ranks_best_gets_the_largest_share(Y, best):
    parts = [noisy(Y, 0.99, seed) for seed in range(4)]
    parts[best] = noisy(Y, 0.3, 9)
    shares = best_shares(Y, np.array(parts))
    assert np.argmax(shares) == best
    assert sum(shares) == pytest.approx(1)


def test_path_alone_remains_if_nothing_is_clearly_better(Y):
    parts = np.array([noisy(Y, 0.5, 0)] * 4)
    assert best_shares(Y, parts) == DEFAULT_SHARES
    few = np.array([noisy(Y[:3], 0.9, seed) for seed in range(4)])
    gain = _ranking_quality(Y[:3], few.mean(0)) - _ranking_quality(Y[:3], few[0])
    if gain.mean() < gain.std():
        assert best_shares(Y[:3], few) == DEFAULT_SHARES


def test_rows_without_labels_leave_the_shares_alone():
    Y = np.zeros((10, L), dtype=bool)
    parts = np.random.RandomState(0).rand(4, 10, L)
    assert best_shares(Y, parts) == DEFAULT_SHARES
    cut = tune_threshold(Y, parts[0], example_f1)
    assert cut >= parts[0].max() - 0.01  # nothing is to be found


def test_held_out_rows_are_random_and_kept_from_one_pair_each():
    rng = np.random.RandomState(0)
    for n_estimators, n_groups in [(1, 1), (2, 1), (4, 2), (5, 2), (8, 4)]:
        estimator = small(n_estimators=n_estimators)
        estimator.n_labels_ = 4
        outsiders = hold_out(estimator, 200, False, rng)
        values, counts = np.unique(outsiders, return_counts=True)
        assert values.tolist() == [-1, *range(n_groups)]
        assert counts[1:].tolist() == [20] * n_groups
        assert np.flatnonzero(outsiders >= 0).tolist() != list(range(20 * n_groups))


def test_share_of_held_out_rows_is_that_of_the_parameter():
    estimator = small(n_estimators=4, early_stopping=True, validation_fraction=0.2)
    estimator.n_labels_ = 4
    outsiders = hold_out(estimator, 200, False, np.random.RandomState(0))
    assert np.unique(outsiders, return_counts=True)[1].tolist() == [120, 40, 40]


def test_nothing_is_held_out_from_single_passes_or_without_need():
    estimator = small(early_stopping=True)
    estimator.n_labels_ = 4
    assert (hold_out(estimator, 200, True, np.random.RandomState(0)) == -1).all()
    estimator.set_params(early_stopping=False, proba="path", threshold=0.5)
    assert (hold_out(estimator, 200, False, np.random.RandomState(0)) == -1).all()


def test_members_never_learn_from_rows_that_they_are_tuned_on(monkeypatch):
    X, Y = few_rows(60, 4)
    learned = {}
    forward = torch.nn.Module.__call__

    def spy(self, *args, **kwargs):
        if type(self).__name__ == "ChainLoss":
            encoded, (_, outsiders) = args
            learned.setdefault("outsiders", []).append(outsiders.clone())
            assert len(encoded) == 4
        return forward(self, *args, **kwargs)

    monkeypatch.setattr(torch.nn.Module, "__call__", spy)
    small(n_estimators=4, max_epochs=1).fit(X, Y)
    groups = torch.cat(learned["outsiders"])
    assert sorted(groups.tolist()) == [-1] * 48 + [0] * 6 + [1] * 6


# batches


def batches_of(X, Y, batch_size, seed=0, **options):
    n = X.shape[0]
    per_row = np.arange(n, dtype=np.float32), np.arange(n)
    generator = torch.Generator().manual_seed(seed)
    return LabelSetBatches(X, Y, per_row, batch_size, generator=generator, **options)


@pytest.mark.parametrize("n_samples", [1, 5, 8, 50, 777])
@pytest.mark.parametrize("batch_size", [1, 4, 8])
def test_every_row_comes_once_an_epoch_with_all_that_is_its_own(n_samples, batch_size):
    rng = np.random.RandomState(0)
    X = rng.rand(n_samples, 3).astype(np.float32)
    Y = sp.csr_array((rng.rand(n_samples, 5) < 0.4).astype(np.int64))
    batches = batches_of(X, Y, batch_size)
    found = list(batches)
    assert len(found) == len(batches) == -(-n_samples // batch_size)
    rows = torch.cat([target[1] for _, target in found]).numpy()
    assert sorted(rows) == list(range(n_samples))
    assert_array_equal(np.concatenate([b.X for b, _ in found]), X[rows])
    assert_array_equal(np.concatenate([t[0] for _, t in found]), Y.toarray()[rows] > 0)
    assert_array_equal(np.concatenate([b.Y for b, _ in found]), Y.toarray()[rows])
    assert_array_equal(np.concatenate([b.left_out for b, _ in found]), rows)
    sizes = [len(batch) for batch, _ in found]
    assert max(sizes) <= batch_size


def test_sets_of_a_batch_are_alike_in_size():
    rng = np.random.RandomState(0)
    sizes = rng.randint(0, 20, size=640)
    Y = sp.csr_array((np.arange(20) < sizes[:, None]).astype(np.int64))
    X = np.zeros((640, 1), dtype=np.float32)
    spread = [np.ptp(target[0].sum(1).numpy()) for _, target in batches_of(X, Y, 32)]
    assert np.mean(spread) < 3
    means = [target[0].sum(1).float().mean() for _, target in batches_of(X, Y, 32)]
    assert not (np.diff(means) >= 0).all()  # small sets do not come first


def test_two_epochs_are_in_other_orders_and_two_seeds_too():
    Y = sp.csr_array(np.ones((64, 2), dtype=np.int64))
    X = np.zeros((64, 1), dtype=np.float32)

    def rows(batches):
        return torch.cat([target[1] for _, target in batches]).tolist()

    batches = batches_of(X, Y, 8)
    one, two = rows(batches), rows(batches)
    assert one != two
    assert rows(batches_of(X, Y, 8)) == one
    assert rows(batches_of(X, Y, 8, seed=1)) != one


def test_sparse_rows_stay_sparse_where_the_network_can():
    X, Y = sp.random_array((20, 7), density=0.3, rng=0, format="csr"), np.eye(20, 3)
    X, Y = X.astype(np.float32), sp.csr_array(Y.astype(np.int64))
    for keep, kind in ((True, SparseRows), (False, torch.Tensor)):
        for batch, _ in batches_of(X, Y, 8, keep_sparse=keep):
            assert isinstance(batch.X, kind)
