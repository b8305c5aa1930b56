"""How far a row is from the rows of each new class.

Every measure knows the rows of one class, and gives a distance that grows the less a row
looks like them. For the rows themselves it is the distance from all others of the class,
so that they can be compared with rows never seen.
"""

from dataclasses import dataclass

import numpy as np
import scipy.sparse as sp
import torch
from sklearn.covariance import ledoit_wolf

N_NEIGHBORS = 3
_N_HULL = 20
_HULL_RIDGE = 0.1
_N_FOLDS = 5
_SLICE = 1024


@dataclass
class Ruler:
    """How features are scaled before distances are measured.

    Attributes
    ----------
    factor : ndarray of shape (n_features,) or None
        What dense features are multiplied with; None brings rows to length one, which
        is for sparse features.
    """

    factor: np.ndarray | None

    def apply(self, features):
        """Scaled rows in float64."""
        if self.factor is not None:
            with np.errstate(over="ignore"):
                scaled = features.astype(np.float64) * self.factor
            return np.clip(scaled, -1e6, 1e6)
        rows = sp.csr_matrix(features, dtype=np.float64)
        length = np.sqrt(np.asarray(rows.multiply(rows).sum(axis=1)).ravel())
        return sp.csr_matrix(rows.multiply(1 / np.maximum(length, 1e-12)[:, None]))


def learn_ruler(features):
    """Find out whether features have one unit.

    Parameters
    ----------
    features : ndarray or CSR matrix of shape (n_samples, n_features)
        Rows of the new classes.

    Returns
    -------
    ruler : Ruler
        Dense features whose deviations differ by a factor of less than ten from their
        median, such as pixels or standardised ones, share one factor; the deviations of
        others are made equal.
    """
    if sp.issparse(features):
        return Ruler(None)
    deviation = features.astype(np.float64).std(axis=0)
    moving = deviation > 1e-6 * np.abs(features).max(axis=0, initial=0)
    if not moving.any():
        return Ruler(np.ones(features.shape[1]))
    if deviation.max() < 10 * np.median(deviation[moving]):
        total = np.sqrt((deviation**2).mean())
        return Ruler(np.full(features.shape[1], 1 / total))
    return Ruler(np.divide(1, deviation, where=moving, out=np.zeros(len(deviation))))


def row_products(rows, reference):
    """Dot products of all rows with all rows of a reference.

    Parameters
    ----------
    rows, reference : ndarray or CSR matrix of shape (n, n_features), dtype float64

    Returns
    -------
    products : ndarray of shape (n_rows, n_reference)
        Those of a row are the same bits whatever other rows there are.
    """
    if sp.issparse(rows):
        return (rows @ reference.T).toarray()
    n_rows, size = rows.shape
    pad = torch.nn.functional.pad
    right = pad(torch.from_numpy(reference), (0, -size % 8, 0, -len(reference) % 8))
    parts = []
    for start in range(0, n_rows, _SLICE):
        left = torch.from_numpy(np.ascontiguousarray(rows[start : start + _SLICE]))
        # float sums depend on the height of a matrix, unless it is always the same
        padded = pad(left, (0, -size % 8, 0, _SLICE - len(left)))
        parts.append((padded @ right.T)[: len(left), : len(reference)].numpy())
    return np.concatenate(parts) if parts else np.zeros((0, len(reference)))


def _squares(rows):
    if sp.issparse(rows):
        return np.asarray(rows.multiply(rows).sum(axis=1)).ravel()
    return (rows * rows).sum(axis=1)


@dataclass
class NeighborDistance:
    """Mean distance from the nearest rows of a class.

    Attributes
    ----------
    rows : ndarray or CSR matrix of shape (n_rows, n_features)
        Scaled rows of the class.
    """

    rows: object

    def distance(self, rows, *, own=False):
        """Distances of rows; `own` says that they are those of the class.

        Parameters
        ----------
        rows : ndarray or CSR matrix of shape (n_samples, n_features)

        own : bool, default=False
            Whether each row is to be compared with all rows but itself.

        Returns
        -------
        distance : ndarray of shape (n_samples,)
        """
        squares = _squares(rows)[:, None] + _squares(self.rows)[None, :]
        squares = np.maximum(squares - 2 * row_products(rows, self.rows), 0)
        if own:
            np.fill_diagonal(squares, np.inf)
        count = max(1, min(N_NEIGHBORS, self.rows.shape[0] - own))
        nearest = np.sort(squares, axis=1)[:, :count]
        return np.sqrt(np.where(np.isinf(nearest), 0, nearest)).mean(axis=1)


@dataclass
class HullDistance:
    r"""Distance from the affine hull of the nearest rows of a class.

    With differences :math:`g_j` to the k nearest rows,

    .. math::
        d^2 = \min_{\sum w_j = 1} \|\sum_j w_j g_j\|^2 + \lambda \|w\|^2
            = 1 / (1^T (G G^T + \lambda I)^{-1} 1) .

    Attributes
    ----------
    rows : ndarray or CSR matrix of shape (n_rows, n_features)
        Scaled rows of the class.

    products : ndarray of shape (n_rows, n_rows)
        Their dot products.

    ridge : float
        :math:`\lambda`, a tenth of the variance of the class.
    """

    rows: object
    products: np.ndarray
    ridge: float

    def distance(self, rows, *, own=False):
        """Distances of rows; see `NeighborDistance.distance`.

        Costs O(n_rows * n_features + 20^3) for each row.
        """
        count = min(_N_HULL, self.rows.shape[0] - own)
        if count < 1:
            return np.zeros(rows.shape[0])
        parts = []
        for start in range(0, rows.shape[0], _SLICE):
            part = rows[start : start + _SLICE]
            parts.append(self._of_slice(part, count, start if own else None))
        return np.concatenate(parts) if parts else np.zeros(0)

    def _of_slice(self, rows, count, first_own):
        cross, squares = row_products(rows, self.rows), _squares(rows)
        away = squares[:, None] - 2 * cross + np.diag(self.products)
        if first_own is not None:
            place = np.arange(len(away))
            away[place, first_own + place] = np.inf
        nearest = np.argsort(away, axis=1, kind="stable")[:, :count]  # (n, k)
        near = np.take_along_axis(cross, nearest, axis=1)
        gram = self.products[nearest[:, :, None], nearest[:, None, :]]
        gram = gram - near[:, :, None] - near[:, None, :] + squares[:, None, None]
        gram += self.ridge * np.eye(count)
        # so far out that the ridge is lost in rounding, the nearest row is all that counts
        closest = np.maximum(np.take_along_axis(away, nearest[:, :1], axis=1)[:, 0], 0)
        far = closest > 1e8 * self.ridge
        gram[far] = np.eye(count)
        ones = np.ones((len(gram), count, 1))
        total = np.linalg.solve(gram, ones).sum(axis=(1, 2))
        return np.sqrt(np.where(far, closest, 1 / np.maximum(total, 1e-300)))


@dataclass
class GaussianDistance:
    """Mahalanobis distance from the mean of a class.

    Attributes
    ----------
    mean : ndarray of shape (n_features,)

    whitening : ndarray of shape (n_features, n_features)
        Of the covariance that all classes share.

    rows_distance : ndarray of shape (n_rows,)
        Those of the rows of the class, by a fit to four fifths of the rows that does
        not hold them.
    """

    mean: np.ndarray
    whitening: np.ndarray
    rows_distance: np.ndarray

    def distance(self, rows, *, own=False):
        """Distances of rows; see `NeighborDistance.distance`."""
        if own:
            return self.rows_distance
        return np.sqrt(_squares(row_products(_dense(rows) - self.mean, self.whitening)))


def _dense(rows):
    return rows.toarray() if sp.issparse(rows) else rows


def make_measures(kind, rows, codes):
    """Learn one measure a class.

    Parameters
    ----------
    kind : {"auto", "knn", "mahalanobis"}
        "auto" is the distance from the hull.

    rows : ndarray or CSR matrix of shape (n_samples, n_features)
        Scaled rows of the new classes.

    codes : ndarray of shape (n_samples,)
        Their classes.

    Returns
    -------
    measures : list
        In the order of the sorted codes.
    """
    members = [np.flatnonzero(codes == code) for code in np.unique(codes)]
    if kind == "knn":
        return [NeighborDistance(rows[inside]) for inside in members]
    if kind == "mahalanobis":
        return _gaussians([_dense(rows[inside]) for inside in members])
    return [_hull(rows[inside]) for inside in members]


def _hull(rows):
    products = row_products(rows, rows)
    count = len(products)
    variance = np.trace(products) / count - products.mean()
    return HullDistance(rows, products, _HULL_RIDGE * max(float(variance), 1e-9))


def _gaussians(groups):
    """Gaussians with a common covariance, shrunk by the rule of Ledoit and Wolf."""
    means, whitening = _gaussian(groups)
    away = [np.empty(len(rows)) for rows in groups]
    for fold in range(_N_FOLDS):
        kept = [rows[np.arange(len(rows)) % _N_FOLDS != fold] for rows in groups]
        kept = [part if len(part) else rows for part, rows in zip(kept, groups)]
        other_means, other = _gaussian(kept)
        for rows, mean, distance in zip(groups, other_means, away):
            out = np.arange(len(rows)) % _N_FOLDS == fold
            distance[out] = np.sqrt(_squares((rows[out] - mean) @ other.T))
    return [
        GaussianDistance(mean, whitening, distance)
        for mean, distance in zip(means, away)
    ]


def _gaussian(groups):
    """Mean of each group, and a matrix that makes their common covariance the identity."""
    means = [rows.mean(axis=0) for rows in groups]
    centred = np.concatenate([rows - mean for rows, mean in zip(groups, means)])
    covariance = np.eye(centred.shape[1])
    if len(centred) > 1:
        covariance, _ = ledoit_wolf(centred, assume_centered=True)
    values, vectors = np.linalg.eigh(np.atleast_2d(covariance))
    floor = max(1e-6 * values.mean(), 1e-12)
    return means, (vectors / np.sqrt(np.maximum(values, floor))).T


def confidence(scores, are_logs):
    """How sure a source is of its best class.

    Parameters
    ----------
    scores : ndarray of shape (n_samples, n_old)
        Logs of probabilities, or decision values.

    are_logs : bool
        Which of both.

    Returns
    -------
    confidence : ndarray of shape (n_samples,)
        Log odds of the best class, or its decision value.
    """
    scores = scores.astype(np.float64)
    best = scores.max(axis=1)
    if not are_logs or scores.shape[1] < 2:
        return best
    others = scores.copy()
    others[np.arange(len(scores)), scores.argmax(axis=1)] = -np.inf
    top = others.max(axis=1, keepdims=True)
    rest = top[:, 0] + np.log(np.exp(others - top).sum(axis=1))
    return best - rest


def _taken_for(scores, are_logs):
    """Probabilities of the old classes, or one for the best."""
    if are_logs:
        return np.exp(scores.astype(np.float64))
    return np.eye(scores.shape[1])[scores.argmax(axis=1)]


def confusion(scores, are_logs, codes):
    """Which old classes the rows of each new class are taken for.

    Parameters
    ----------
    scores : ndarray of shape (n_samples, n_old)
        Of the new rows.

    are_logs : bool
        Whether they are logs of probabilities.

    codes : ndarray of shape (n_samples,)
        Classes.

    Returns
    -------
    mistaken : ndarray of shape (n_new, n_old)
        Share of each old class times the number of old classes; one row more for each
        of them is counted, so that no share is zero.

    alike : ndarray of shape (n_samples,)
        `likeness` of the new rows; of its own class without the row itself.
    """
    taken = _taken_for(scores, are_logs)
    n_old = taken.shape[1]
    mistaken, alike = [], []
    for code in np.unique(codes):
        own = codes == code
        total, count = taken[own].sum(axis=0) + 1, own.sum() + n_old
        mistaken.append(n_old * total / count)
        others = n_old * (total - own[:, None] * taken) / (count - own)[:, None]
        alike.append(np.log((taken * others).sum(axis=1)))
    return np.array(mistaken), np.max(alike, axis=0)


def likeness(scores, are_logs, mistaken):
    """How much more often than by chance new rows are taken for what a row is taken for.

    Parameters
    ----------
    scores : ndarray of shape (n_samples, n_old)

    are_logs : bool
        Whether the scores are logs of probabilities.

    mistaken : ndarray of shape (n_new, n_old)
        From `confusion`.

    Returns
    -------
    likeness : ndarray of shape (n_samples,)
        Log of the ratio, for the new class where it is largest.
    """
    taken = _taken_for(scores, are_logs)
    return np.log(row_products(taken, mistaken).max(axis=1))
