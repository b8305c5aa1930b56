"""First look: ridge regression and trees, whose opinions on their own rows are honest.

The chain starts from the opinion of a model that looks at each label by itself. If that
model had seen the sample, its opinion would be too good, and the chain would learn to
trust it too much. Ridge regression knows what it would have said without a sample [1]_:
with the leverage h of a sample, its prediction p and the truth y,
``(p - h * y) / (1 - h)``. Of trees, those answer that have not seen the sample.

References
----------
.. [1] Allen, "The relationship between variable selection and data augmentation and a
   method for prediction", Technometrics 16, 1974.
"""

from typing import NamedTuple

import numpy as np
import scipy.linalg
import torch
import torch.nn.functional as F
from torch import nn

from skdeep.multilabel._trees import Trees, grow_trees
from skdeep.nn import row_linear

# times the mean squared length of a row
PENALTIES = (0.01, 0.03, 0.1, 0.3, 1.0, 3.0, 10.0, 30.0)
# of the kernel exp(-width * squared distance / n_features)
WIDTHS = (0.1, 0.3)


class FirstLook(nn.Module):
    """Logits of the labels, linear in some features of the sample and in those of trees.

    Parameters
    ----------
    n_features : int
        Columns of X, D.

    n_hidden : int
        Features, M.

    n_labels : int
        L.

    fourier : bool
        Whether the features are random Fourier features of the Gaussian kernel [2]_
        (for dense rows), or columns of X (for sparse ones).

    tree_sizes : (int, int) or None, default=None
        Inner nodes and leaves of the trees; None is without any.

    References
    ----------
    .. [2] Rahimi and Recht, "Random features for large-scale kernel machines", NIPS
       2007.
    """

    def __init__(self, n_features, n_hidden, n_labels, fourier, tree_sizes=None):
        super().__init__()
        self.fourier = fourier
        self.trees = None if tree_sizes is None else Trees(n_labels, *tree_sizes)
        shapes = {
            "weight": (n_hidden + 1, n_labels),
            "bias": (n_labels,),
            "scale": (2 if tree_sizes is None else 3,),
        }
        if fourier:
            shapes |= {"projection": (n_hidden, n_features), "phase": (n_hidden,)}
        else:
            shapes |= {"place": (n_features,), "column_weight": (n_hidden + 1,)}
            shapes |= {"power": ()}
        for name, shape in shapes.items():
            kind = torch.long if name == "place" else torch.float32
            self.register_buffer(name, torch.empty(shape, dtype=kind))

    def init_weights(self, generator):
        """Nothing is drawn: the weights are solved for."""

    def features(self, X):
        # (B, D) -> (B, M)
        parts = torch.cos(row_linear(X, self.projection, self.phase))
        return parts * (2 / len(self.phase)) ** 0.5

    def predict(self, X):
        """Ridge prediction, a number around 0 or 1."""
        # (B, D) or, without Fourier features, SparseRows -> (B, L)
        if self.fourier:
            return row_linear(self.features(X), self.weight[:-1].T, self.bias)
        # column n_hidden stands for all that are left out; its weights are zero
        columns = self.place[X.columns]
        values = X.values * self.column_weight[columns]
        total = _sum_rows(columns, self.weight, X.starts, values)
        lengths = torch.ones_like(self.column_weight)[:, None]
        lengths = _sum_rows(columns, lengths, X.starts, values**2).clamp(min=1e-24)
        total = total / lengths ** (self.power / 2)
        return total + self.bias

    def forward(self, X, Y=None, left_out=None):
        # (B, D) -> (B, L); with truth and what `solve_first_look` returned of these
        # samples: as if they had been left out
        found = self.predict(X)
        if Y is not None:
            found = _without_own_part(found, Y, left_out[:, :1])
        *slopes, offset = self.scale
        logits = slopes[0] * found + offset
        if self.trees is None:
            return logits
        is_new = left_out is None or left_out.shape[1] == 1
        return logits + slopes[1] * (self.trees(X) if is_new else left_out[:, 1:])


def _without_own_part(found, Y, leverage):
    """Predictions as they would be without the sample."""
    return (found - leverage * Y) / (1 - leverage)


def _sum_rows(columns, table, starts, values):
    """Sum of the rows of a table, weighted by the stored values of sparse rows."""
    return F.embedding_bag(
        columns, table, starts, mode="sum", per_sample_weights=values
    )


def solve_first_look(look, scaler, X, Y, rng):
    """Set the weights of a first look.

    Parameters
    ----------
    look : FirstLook
        On the CPU.

    scaler : torch.nn.Module
        Applied to the samples before.

    X : ndarray or CSR matrix of shape (n_samples, n_features), dtype float32
        Training samples.

    Y : CSR matrix of shape (n_samples, n_labels)
        Their sets.

    rng : RandomState
        Source of the random features.

    Returns
    -------
    left_out : ndarray of shape (n_samples, 1) or (n_samples, 1 + n_labels), float32
        Share of each sample in its own prediction by the ridge regression, and its
        logits by the trees that have not seen it.

    Notes
    -----
    Penalty, and the width of the kernel or the weighting of the columns (as they are, or
    rare ones more and rows of length one), have the least squared error with each
    sample left out.
    O(n M^2 + M^3) for M features, for all penalties together, and what `grow_trees`
    costs.
    """
    n_hidden = len(look.weight) - 1
    if look.fourier:
        directions = rng.normal(size=look.projection.shape)
        phase = rng.uniform(0, 2 * np.pi, size=n_hidden)
        look.phase.copy_(torch.from_numpy(phase))
        best = None
        for width in WIDTHS:
            scaled = directions * np.sqrt(2 * width / X.shape[1])
            look.projection.copy_(torch.from_numpy(scaled))
            found = _ridge(_fourier_blocks(look, scaler, X), n_hidden, Y)
            if best is None or found.error < best[0].error:
                best = found, look.projection.clone()
        found, projection = best
        look.projection.copy_(projection)
    else:
        place = np.full(X.shape[1], n_hidden)
        n_rows = X.count_nonzero(axis=0)
        columns = np.sort(np.argsort(-n_rows, kind="stable")[:n_hidden])
        place[columns] = np.arange(n_hidden)
        look.place.copy_(torch.from_numpy(place))
        factor = float(scaler.factor)
        rarity = np.log((1 + X.shape[0]) / (1 + n_rows[columns])) + 1  # "idf"
        found, power = _ridge(_column_blocks(X, columns, factor), n_hidden, Y), 0
        other = _column_blocks(X, columns, factor * rarity, normalize=True)
        other = _ridge(other, n_hidden, Y)
        if other.error < found.error:
            found, power = other, 1
        look.column_weight.zero_()
        look.column_weight[:-1] = torch.from_numpy(rarity**power)
        look.power.fill_(power)
    look.weight.zero_()
    look.weight[:-1] = torch.from_numpy(found.coefficients)
    look.bias.copy_(torch.from_numpy(found.bias))
    left_out = found.leverage[:, None].astype(np.float32)
    opinions = [found.honest]
    if look.trees is not None:
        rows = np.concatenate(
            [scaler(torch.from_numpy(X[s].copy())) for s in _slices(X)]
        )
        left_out = np.hstack([left_out, grow_trees(look.trees, rows, Y, rng)])
        opinions.append(left_out[: len(found.honest), 1:])
    n_rows = len(found.honest)
    values = np.stack([part.ravel() for part in opinions])
    scale = platt_scale(values, Y[:n_rows].toarray().ravel())
    look.scale.copy_(torch.from_numpy(scale))
    return left_out


def _fourier_blocks(look, scaler, X):
    """A function that goes through the features of the rows, in float64."""

    def blocks():
        for rows in _slices(X):
            values = look.features(scaler(torch.from_numpy(X[rows].copy())))
            yield rows, values.numpy().astype(np.float64)

    return blocks


def _column_blocks(X, columns, factor, normalize=False):
    def blocks():
        for rows in _slices(X):
            values = X[rows][:, columns].toarray().astype(np.float64) * factor
            if normalize:
                values /= np.linalg.norm(values, axis=1, keepdims=True).clip(1e-12)
            yield rows, values

    return blocks


def _slices(X, n_rows=4096):
    for start in range(0, X.shape[0], n_rows):
        yield slice(start, min(start + n_rows, X.shape[0]))


class _Ridge(NamedTuple):
    """Ridge regression at its best penalty."""

    error: float
    coefficients: np.ndarray  # (M, L)
    bias: np.ndarray
    leverage: np.ndarray
    honest: np.ndarray  # (n, L), of as many rows as two or three numbers need


def _ridge(blocks, n_hidden, Y):
    """Solve for all penalties by one eigendecomposition, and take the best."""
    n_samples, n_labels = Y.shape
    mean_y = Y.sum(0) / n_samples
    mean_x = sum(values.sum(0) for _, values in blocks()) / n_samples
    eigenvalues, vectors = _principal_axes(blocks, mean_x, n_samples)
    moment = np.zeros((n_hidden, n_labels))
    for rows, values in blocks():
        moment += (values - mean_x).T @ (Y[rows].toarray() - mean_y)
    rotated = vectors.T @ moment
    penalties = np.array(PENALTIES) * max(eigenvalues.sum() / n_samples, 1e-12)
    shrunk = [rotated / (eigenvalues + penalty)[:, None] for penalty in penalties]
    errors = np.zeros(len(penalties))
    leverages = np.zeros((len(penalties), n_samples))
    for rows, values in blocks():
        values = (values - mean_x) @ vectors
        truth = Y[rows].toarray() - mean_y
        for index, penalty in enumerate(penalties):
            share = (values**2) @ (1 / (eigenvalues + penalty)) + 1 / n_samples
            share = np.minimum(share, 0.99)
            leverages[index, rows] = share
            missed = (truth - values @ shrunk[index]) / (1 - share)[:, None]
            errors[index] += (missed**2).sum()
    best = int(errors.argmin())
    coefficients = vectors @ shrunk[best]
    bias = mean_y - mean_x @ coefficients
    honest = []
    for rows, values in blocks():
        found, share = values @ coefficients + bias, leverages[best, rows, None]
        honest.append(_without_own_part(found, Y[rows].toarray(), share))
        if sum(part.size for part in honest) > 2**21:
            break
    honest = np.concatenate(honest)
    return _Ridge(errors[best], coefficients, bias, leverages[best], honest)


def _principal_axes(blocks, mean, n_samples):
    """Eigenvalues and eigenvectors of the sum of squares of the features."""
    n_hidden = len(mean)
    if n_samples < n_hidden:  # the same numbers from the smaller products of the rows
        rows = np.concatenate([values - mean for _, values in blocks()])
        eigenvalues, left = scipy.linalg.eigh(rows @ rows.T, check_finite=False)
        used = eigenvalues > 1e-10 * max(eigenvalues[-1], 1e-300)
        return eigenvalues[used], rows.T @ (left[:, used] / eigenvalues[used] ** 0.5)
    gram = np.zeros((n_hidden, n_hidden))
    for _, values in blocks():
        values = values - mean
        gram += values.T @ values
    eigenvalues, vectors = scipy.linalg.eigh(gram, overwrite_a=True, check_finite=False)
    return np.maximum(eigenvalues, 0), vectors


def platt_scale(values, truth):
    """Slopes and offset that turn values into logits, by Newton's method.

    Parameters
    ----------
    values : ndarray of shape (n_predictions, n)
        One or more predictions of each truth.

    truth : ndarray of shape (n,)
        0 or 1 for each.

    Returns
    -------
    scale : ndarray of shape (n_predictions + 1,)
        Slopes and offset of the logistic regression of `truth` on `values`, with truths a
        little inside of 0 and 1 so that separable data have finite slopes [1]_.

    References
    ----------
    .. [1] Platt, "Probabilistic outputs for support vector machines and comparisons to
       regularized likelihood methods", 1999.
    """
    n_true = truth.sum()
    high, low = (n_true + 1) / (n_true + 2), 1 / (len(truth) - n_true + 2)
    truth = np.where(truth > 0, high, low)
    design = np.vstack([values, np.ones(len(truth))])
    scale = np.zeros(len(design))
    scale[0], scale[-1] = 4.0, -2.0
    for _ in range(25):
        proba = 1 / (1 + np.exp(-np.clip(scale @ design, -30, 30)))
        spread = proba * (1 - proba) + 1e-9
        hessian = (design * spread) @ design.T + 1e-6 * np.eye(len(design))
        step = np.linalg.solve(hessian, design @ (proba - truth))
        scale -= step * min(1, 5 / max(abs(step).max(), 1e-12))
    return scale
