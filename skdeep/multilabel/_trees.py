"""Randomised trees for all labels at once, kept as arrays.

Each leaf knows how frequent every label is among its rows. Trees are grown by
scikit-learn, each on a sample of the rows drawn with replacement, so that the trees that
have not seen a row give an honest opinion on it ("out of bag", [1]_).

References
----------
.. [1] Breiman, "Out-of-bag estimation", Technical report, Berkeley 1996.
.. [2] Geurts, Ernst and Wehenkel, "Extremely randomized trees", Machine Learning 63,
   2006.
"""

import numpy as np
import torch
import torch.nn.functional as F
from sklearn.ensemble import ExtraTreesRegressor
from torch import nn

N_TREES = 300
_MIN_ROWS_IN_LEAF = 3
_FEATURES_TRIED = 0.3  # at each split
_MAX_ROWS = 2**14  # drawn for a tree
_MAX_VALUES = 2**22  # in the leaves of all trees together
_ONE = 2**15 - 1  # a frequency of 1


class Trees(nn.Module):
    """Logits of the labels by the vote of trees.

    Parameters
    ----------
    n_labels : int
        L.

    n_inner, n_leaves : int
        Nodes of all trees together. They are numbered from the inner ones on.
    """

    def __init__(self, n_labels, n_inner, n_leaves):
        super().__init__()
        shapes = {
            "roots": ((N_TREES,), torch.int32),
            "column": ((n_inner,), torch.int32),
            "threshold": ((n_inner,), torch.float32),
            "below": ((n_inner, 2), torch.int32),
            "values": ((n_leaves, n_labels), torch.int16),
        }
        for name, (shape, kind) in shapes.items():
            self.register_buffer(name, torch.empty(shape, dtype=kind))

    def init_weights(self, generator):
        """Nothing is drawn: the trees are grown."""

    @property
    def sizes(self):
        """Number of inner nodes, and of leaves."""
        return len(self.column), len(self.values)

    def forward(self, X):
        # (B, D) -> (B, L)
        n_inner = len(self.column)
        node = self.roots.expand(len(X), -1).long()  # (B, trees)
        while n_inner and (inner := node < n_inner).any():
            here = node.clamp(max=n_inner - 1)
            right = X.gather(1, self.column[here].long()) > self.threshold[here]
            below = self.below[here, right.long()].long()
            node = torch.where(inner, below, node)
        values = self.values.float()
        return vote_logits(F.embedding_bag(node - n_inner, values, mode="mean") / _ONE)


def vote_logits(share):
    """Logits of shares of trees, none of them infinite."""
    least = 1 / (2 * N_TREES)
    return torch.logit(share.clamp(least, 1 - least))


def grow_trees(trees, X, Y, rng):
    """Grow the trees.

    Parameters
    ----------
    trees : Trees
        Its buffers get the sizes that are needed.

    X : ndarray of shape (n_samples, n_features), dtype float32
        Samples.

    Y : CSR matrix of shape (n_samples, n_labels)
        Their sets.

    rng : RandomState
        Source of rows, columns and thresholds.

    Returns
    -------
    left_out : ndarray of shape (n_samples, n_labels), dtype float32
        Logits of each sample by the trees that have not seen it.

    Notes
    -----
    O(n log(n) D L) for each tree, for n of at most 16,384 rows.
    """
    n_labels = Y.shape[1]
    most = max(2, _MAX_VALUES // (N_TREES * n_labels))
    n_rows = min(len(X), _MAX_ROWS)
    # its squared errors are Gini impurities here, up to a factor
    forest = ExtraTreesRegressor(
        N_TREES,
        min_samples_leaf=_MIN_ROWS_IN_LEAF,
        max_features=_FEATURES_TRIED,
        max_leaf_nodes=most if n_rows > most * _MIN_ROWS_IN_LEAF else None,
        bootstrap=True,
        oob_score=lambda *args: 0.0,  # the predictions are what is wanted
        max_samples=n_rows,
        random_state=rng.randint(2**31 - 1),
    )
    truth = Y.toarray().astype(np.float32)
    forest.fit(X, truth if n_labels > 1 else truth.ravel())
    _keep(trees, [tree.tree_ for tree in forest.estimators_], n_labels)
    found = np.reshape(forest.oob_prediction_, (len(X), n_labels))
    return vote_logits(torch.from_numpy(found.astype(np.float32))).numpy()


def _keep(trees, grown, n_labels):
    """Number the nodes of all trees, inner ones first, and set the buffers."""
    left = np.concatenate([tree.children_left for tree in grown])
    right = np.concatenate([tree.children_right for tree in grown])
    values = np.concatenate([tree.value.reshape(-1, n_labels) for tree in grown])
    sizes = [tree.node_count for tree in grown]
    starts = np.cumsum([0, *sizes[:-1]])
    inner = left >= 0
    number = np.where(inner, np.cumsum(inner) - 1, inner.sum() + np.cumsum(~inner) - 1)
    first = np.repeat(starts, sizes)[inner]
    below = np.stack([left[inner], right[inner]], axis=1) + first[:, None]
    split = np.concatenate([tree.threshold for tree in grown])[inner]
    # the greatest float32 not above it sends all float32 values the same way
    threshold = split.astype(np.float32)
    above = threshold > split
    threshold[above] = np.nextafter(threshold[above], np.float32(-np.inf))
    arrays = {
        "roots": number[starts],
        "column": np.concatenate([tree.feature for tree in grown])[inner],
        "threshold": threshold,
        "below": number[below],
        "values": np.rint(values[~inner] * _ONE),
    }
    for name, array in arrays.items():
        kind = getattr(trees, name).dtype
        setattr(trees, name, torch.as_tensor(array).to(kind))
