"""Mini-batches of samples whose sets are of like size."""

import math

import numpy as np
import torch

from skdeep._engine import take_rows
from skdeep.multilabel._modules import KnownRows


class LabelSetBatches:
    """Batches sorted by the size of the sets, so that chains need few steps.

    Parameters
    ----------
    X : ndarray or CSR matrix of shape (n_samples, n_features), dtype float32
        Samples.

    Y : CSR matrix of shape (n_samples, n_labels)
        True sets; made dense one batch at a time.

    per_row : tuple of ndarray with an entry for each sample
        What the first look says apart from the sample, and the group of members that
        must not learn from it.

    batch_size : int
        Samples a batch; the last one may be smaller.

    generator : torch.Generator
        Source of the order.

    keep_sparse : bool, default=False
        Whether sparse rows are handed on as `skdeep.nn.SparseRows`.

    Notes
    -----
    Samples are shuffled, then sorted by size within some twenty batches, whose order is
    shuffled again: the sets of a batch are alike in size and random otherwise.
    """

    n_sorted = 20

    def __init__(self, X, Y, per_row, batch_size, *, generator, keep_sparse=False):
        self.X, self.Y, self.per_row = X, Y, per_row
        self.batch_size = batch_size
        self.generator = generator
        self.keep_sparse = keep_sparse
        self.sizes = np.diff(Y.indptr)

    def __len__(self):
        return math.ceil(self.X.shape[0] / self.batch_size)

    def __iter__(self):
        n_samples = self.X.shape[0]
        order = torch.randperm(n_samples, generator=self.generator).numpy()
        chunk = self.n_sorted * self.batch_size
        batches = []
        for start in range(0, n_samples, chunk):
            part = order[start : start + chunk]
            part = part[np.argsort(self.sizes[part], kind="stable")]
            n_parts = math.ceil(len(part) / self.batch_size)
            batches += np.split(part, self.batch_size * np.arange(1, n_parts))
        for index in torch.randperm(len(batches), generator=self.generator).tolist():
            rows = batches[index]
            X = take_rows(self.X, rows, self.keep_sparse)
            Y = torch.from_numpy(self.Y[rows].toarray() > 0)
            left_out, outsiders = (torch.from_numpy(p[rows]) for p in self.per_row)
            yield KnownRows(X, Y.float(), left_out), (Y, outsiders)
