"""Mini-batches of P classes with K samples each."""

import math

import numpy as np
import torch

from skdeep._engine import take_rows


class ClassBalancedBatches:
    """Batches in which every sample has a partner of its class.

    Parameters
    ----------
    X : ndarray or CSR matrix of shape (n_samples, n_features), dtype float32
        Samples.

    y : ndarray of shape (n_samples,), dtype int64
        Class codes. Classes with a single sample never appear.

    classes_per_batch : int
        P; at most the number of classes is taken.

    samples_per_class : int
        K; a smaller class gives all its samples, so that no sample is its own partner.

    generator : torch.Generator
        Source of the batches.

    augment : callable or None, default=None
        Changes the samples of a batch: ``augment(X, generator)`` maps a tensor
        (n, n_features) to one of the same shape.

    keep_sparse : bool, default=False
        Whether sparse rows are handed on as `skdeep.nn.SparseRows`.

    Notes
    -----
    A pass has as many batches as samples fill. Classes are drawn uniformly; within a
    class, samples are taken in turn from a random order.
    """

    def __init__(
        self,
        X,
        y,
        classes_per_batch,
        samples_per_class,
        *,
        generator,
        augment=None,
        keep_sparse=False,
    ):
        self.X, self.y = X, y
        sizes = np.bincount(y)
        self.usable = np.flatnonzero(sizes >= 2)
        self.sizes = sizes[self.usable]
        self.starts = (np.cumsum(sizes) - sizes)[self.usable]
        self.n_classes = min(classes_per_batch, len(self.usable))
        self.samples_per_class = samples_per_class
        self.generator = generator
        self.augment = augment
        self.keep_sparse = keep_sparse

    def __len__(self):
        batch_size = self.n_classes * self.samples_per_class
        return math.ceil(self.sizes.sum() / batch_size)

    def __iter__(self):
        shuffle = torch.rand(
            len(self.y), generator=self.generator, dtype=torch.float32
        ).numpy()
        order = np.lexsort((shuffle, self.y))
        taken = np.zeros(len(self.usable), dtype=np.int64)
        step = np.arange(self.samples_per_class)
        for _ in range(len(self)):
            drawn = torch.randperm(len(self.usable), generator=self.generator)
            drawn = drawn[: self.n_classes].numpy()
            sizes = self.sizes[drawn, None]
            place = (taken[drawn, None] + step) % sizes  # (P, K)
            rows = order[(self.starts[drawn, None] + place)[step < sizes]]
            taken[drawn] += self.samples_per_class
            X = take_rows(self.X, rows, self.keep_sparse)
            if self.augment is not None:
                X = self.augment(X, self.generator)
            yield X, torch.from_numpy(self.y[rows])
