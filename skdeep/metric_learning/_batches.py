"""Mini-batches of P classes with K samples each."""

import math
import warnings

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
        (n, n_features) to one of the same shape. With variants it is called as
        ``augment(X, generator, variants)``, where `variants` holds a number a sample.

    n_classes : int or None, default=None
        Number of class codes; None is the largest in `y` plus one.

    n_variants : int, default=1
        Each variant v of a class c counts as a class of its own, with the code
        ``v * n_classes + c``; `augment` makes the variants, such as turned images.

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
        n_classes=None,
        n_variants=1,
        keep_sparse=False,
    ):
        self.X, self.y = X, y
        sizes = np.bincount(y)
        self.usable = np.flatnonzero(sizes >= 2)
        self.sizes = sizes[self.usable]
        self.starts = (np.cumsum(sizes) - sizes)[self.usable]
        self.n_classes = len(sizes) if n_classes is None else n_classes
        self.n_variants = n_variants
        self.n_drawn = min(classes_per_batch, len(self.usable) * n_variants)
        self.samples_per_class = samples_per_class
        self.generator = generator
        self.augment = augment
        self.keep_sparse = keep_sparse

    def __len__(self):
        batch_size = self.n_drawn * self.samples_per_class
        return math.ceil(self.sizes.sum() / batch_size)

    def __iter__(self):
        shuffle = torch.rand(
            len(self.y), generator=self.generator, dtype=torch.float32
        ).numpy()
        order = np.lexsort((shuffle, self.y))
        taken = np.zeros(len(self.usable), dtype=np.int64)
        step = np.arange(self.samples_per_class)
        n_classes = len(self.usable)
        for _ in range(len(self)):
            drawn = torch.randperm(
                n_classes * self.n_variants, generator=self.generator
            )
            variant, drawn = np.divmod(drawn[: self.n_drawn].numpy(), n_classes)
            sizes = self.sizes[drawn, None]
            place = (taken[drawn, None] + step) % sizes  # (P, K)
            in_class = step < sizes
            rows = order[(self.starts[drawn, None] + place)[in_class]]
            variants = np.broadcast_to(variant[:, None], in_class.shape)[in_class]
            np.add.at(taken, drawn, self.samples_per_class)
            yield self._samples(rows, variants), self._codes(rows, variants)

    def _samples(self, rows, variants):
        X = take_rows(self.X, rows, self.keep_sparse)
        if self.augment is None:
            return X
        extra = () if self.n_variants == 1 else (torch.from_numpy(variants),)
        return self.augment(X, self.generator, *extra)

    def _codes(self, rows, variants):
        return torch.from_numpy(self.y[rows] + variants * self.n_classes)


def check_pairs(owner, classes, codes):
    """Refuse labels without pairs, and warn of classes that form none.

    Parameters
    ----------
    owner : str
        Name of the estimator.

    classes : ndarray of shape (n_classes,)
        Labels of the classes.

    codes : ndarray of shape (n_samples,), dtype int64
        Class of each sample, as an index into `classes`.
    """
    sizes = np.bincount(codes)
    n_usable = (sizes >= 2).sum()
    if n_usable < 2:
        plural = "es" * (len(classes) > 1)
        raise ValueError(
            f"{owner} learns from pairs within and between classes, so y needs at "
            f"least 2 classes with at least 2 samples each, but of its {len(classes)} "
            f"class{plural} in {len(codes)} samples only {n_usable} has 2 or more."
        )
    if (sizes == 1).any():
        single = classes[sizes == 1]
        warnings.warn(
            f"{len(single)} of {len(classes)} classes have a single sample (such as "
            f"{single.tolist()[0]!r}); they form no pair and are left out of the "
            "training.",
            UserWarning,
            stacklevel=7,
        )
