"""Tests of the batches of P classes with K samples."""

import numpy as np
import pytest
import scipy.sparse as sp
import torch

from skdeep.metric_learning._batches import ClassBalancedBatches


def batches_of(y, n_classes, n_samples, X=None, **kwargs):
    y = np.asarray(y)
    X = np.arange(len(y), dtype=np.float32)[:, None] if X is None else X
    generator = torch.Generator().manual_seed(0)
    return ClassBalancedBatches(
        X, y, n_classes, n_samples, generator=generator, **kwargs
    )


def test_each_batch_holds_p_classes_with_k_samples():
    for X, y in batches_of(np.repeat(np.arange(6), 10), 3, 4):
        classes, counts = np.unique(y, return_counts=True)
        assert len(classes) == 3
        assert set(counts) == {4}
        assert len(X.unique()) == 12


def test_a_pass_has_as_many_batches_as_the_samples_fill():
    batches = batches_of(np.repeat(np.arange(6), 10), 3, 4)
    assert len(batches) == 5
    assert len(list(batches)) == 5


def test_rows_and_labels_belong_together():
    y = np.tile(np.arange(5), 6)
    for X, labels in batches_of(y, 4, 3):
        assert (y[X[:, 0].long().numpy()] == labels.numpy()).all()


def test_singletons_never_appear():
    y = np.array([0, 0, 1, 2, 2, 2, 3])
    seen = torch.cat([labels for _, labels in batches_of(y, 4, 2)])
    assert set(seen.tolist()) == {0, 2}


def test_a_small_class_gives_all_its_samples_once():
    y = np.array([0, 0, 1, 1, 1, 1, 1])
    for X, labels in batches_of(y, 2, 4):
        assert (labels == 0).sum() == 2
        assert len(X.unique()) == len(X)


def test_all_samples_of_a_class_take_their_turn():
    batches = batches_of(np.repeat([0, 1], 12), 2, 4)
    seen = torch.cat([X for X, _ in batches]).flatten().tolist()
    assert sorted(seen) == list(range(24))


def test_same_seed_gives_the_same_batches_and_each_pass_differs():
    y = np.repeat(np.arange(8), 5)
    first, again = batches_of(y, 4, 2), batches_of(y, 4, 2)
    passes = [[X.flatten().tolist() for X, _ in source] for source in (first, again)]
    assert passes[0] == passes[1]
    assert [X.flatten().tolist() for X, _ in first] != passes[0]


def test_sparse_rows_are_made_dense_batch_by_batch():
    X = sp.csr_array(np.eye(12, dtype=np.float32))
    for rows, _ in batches_of(np.repeat(np.arange(3), 4), 2, 2, X=X):
        assert rows.shape == (4, 12)
        assert (rows.sum(dim=1) == 1).all()


def test_augmentation_sees_the_rows_and_the_generator():
    def shift(X, generator):
        assert isinstance(generator, torch.Generator)
        return X + 1000

    for X, _ in batches_of(np.repeat(np.arange(3), 4), 2, 2, augment=shift):
        assert X.min() >= 1000


@pytest.mark.parametrize("n_classes", [2, 50])
def test_more_classes_than_there_are_means_all(n_classes):
    for _, y in batches_of([0, 0, 1, 1], n_classes, 2):
        assert len(y) == 4


def test_variants_of_a_class_count_as_classes_of_their_own():
    seen = []

    def note(X, generator, variants):
        seen.append(variants)
        return X

    y = np.repeat(np.arange(3), 4)
    batches = batches_of(y, 12, 4, augment=note, n_variants=4)
    for X, codes in batches:
        variants = seen[-1]
        real = y[X[:, 0].long().numpy()]
        assert (codes.numpy() == real + 3 * variants.numpy()).all()
        assert set(codes.tolist()) == set(range(12))
