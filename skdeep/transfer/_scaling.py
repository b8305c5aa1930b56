"""Features and source scores on a scale that suits a linear map."""

from dataclasses import dataclass

import numpy as np
import scipy.sparse as sp

# no weight learned from a small set should be asked about rows farther out than this
_FARTHEST = 5.0


@dataclass
class Scaling:
    """How rows are brought to a common scale; learned from the new rows.

    Attributes
    ----------
    mean : ndarray of shape (n_features,) or None
        Subtracted from dense features; None for sparse ones.

    factor : ndarray of shape (n_features,) or float
        What features are multiplied with. Zero for a feature that was constant: nothing
        is known about its effect.

    score_factor : float
        What centred scores are multiplied with to have standard deviation 1.

    are_logs : bool
        Whether the scores are logs of probabilities.
    """

    mean: np.ndarray | None
    factor: np.ndarray | float
    score_factor: float
    are_logs: bool

    def features(self, features):
        """Scale features.

        Parameters
        ----------
        features : ndarray or CSR matrix of shape (n_samples, n_features)

        Returns
        -------
        scaled : ndarray or CSR matrix of shape (n_samples, n_features), dtype float32
            Rows of squared length about 1. Dense values lie within 5 standard
            deviations.
        """
        if sp.issparse(features):
            return (features * self.factor).astype(np.float32)
        if self.mean is None:
            features = np.asarray(features, dtype=np.float64) * self.factor
            return features.astype(np.float32)
        with np.errstate(over="ignore", invalid="ignore"):
            z = (features.astype(np.float64) - self.mean) * self.factor
        z = np.clip(z, -_FARTHEST, _FARTHEST)
        return (z * max(z.shape[1], 1) ** -0.5).astype(np.float32)

    def skip(self, scores):
        """Scores as they are added to those of the old classes: centred in each row.

        Decision values are brought to standard deviation 1 besides, since their scale
        says nothing.
        """
        centred = _centre(scores)
        return centred if self.are_logs else centred * self.score_factor

    def scores(self, scores):
        """Scores as inputs: centred in each row, standard deviation 1."""
        return _centre(scores) * (self.score_factor * scores.shape[1] ** -0.5)

    def represent(self, features, scores):
        """Scaled features and scores side by side; CSR if the features are sparse."""
        parts = [
            part.astype(np.float32)
            for part in (self.features(features), self.scores(scores))
        ]
        if sp.issparse(features):
            return sp.hstack(parts, format="csr", dtype=np.float32)
        return np.hstack(parts)


def _centre(scores):
    scores = scores.astype(np.float64)
    return scores - scores.mean(axis=1, keepdims=True)


def learn_scaling(features, scores):
    """Learn how to scale rows.

    Parameters
    ----------
    features : ndarray or CSR matrix of shape (n_samples, n_features)

    scores : ndarray of shape (n_samples, n_old)

    Returns
    -------
    scaling : Scaling
    """
    spread = _centre(scores).std()
    score_factor = 1 / spread if spread > 1e-6 else 1.0
    if sp.issparse(features):
        length = np.sqrt(features.multiply(features).sum() / max(features.shape[0], 1))
        mean, factor = None, float(1 / length) if length > 0 else 1.0
    else:
        values = features.astype(np.float64)
        mean, deviation = values.mean(axis=0), values.std(axis=0)
        moving = deviation > 1e-6 * np.abs(values).max(axis=0, initial=0)
        factor = np.divide(
            1, _units(deviation, moving), where=moving, out=np.zeros(len(mean))
        )
    return Scaling(mean, factor, float(score_factor), are_log_proba(scores))


def _units(deviation, moving):
    """What a step of one is for each feature.

    Features whose deviations differ by less than a factor of ten from their median, such
    as pixels, have one unit in common: those that hardly vary say little.
    """
    if moving.any() and deviation.max() < 10 * np.median(deviation[moving]):
        return np.full(len(deviation), np.sqrt((deviation[moving] ** 2).mean()))
    return deviation


def are_log_proba(scores):
    """Whether scores are logs of probabilities, clipped maybe."""
    # clipping at 1e-6 adds less than that for each class
    slack = 1e-4 + 1e-5 * scores.shape[1]
    if scores.size == 0 or scores.max() > slack:
        return False
    total = np.exp(scores.astype(np.float64)).sum(axis=1)
    return bool((np.abs(total - 1) <= slack).all())


def pad_old(scores, layout):
    """Put source scores into the columns of the old classes, zeros into the others."""
    padded = np.zeros((len(scores), layout.n_classes), dtype=scores.dtype)
    padded[:, layout.old] = scores
    return padded
