"""From embeddings with known classes to one distance threshold."""

import functools
import math

import numpy as np
from sklearn.utils import gen_batches

from skdeep.metrics import (
    map_at_r_score,
    recall_at_k_score,
    threshold_at_far,
    threshold_at_frr,
    utility_curves,
)
from skdeep.metrics._curves import exact_curves
from skdeep.metrics._pairs import Pairs

# an embedding of zeros, which only a network without a bias gives, is like no other
_ZEROS = {"zero_rows": "ignore_direction"}


def mean_utility(y_true, embeddings):
    """Mean utility of the classes over the default calibration range."""
    return float(np.mean(utility_curves(y_true, embeddings, **_ZEROS).utility))


VALIDATION_METRICS = {
    "recall_at_1": functools.partial(recall_at_k_score, **_ZEROS),
    "map_at_r": functools.partial(map_at_r_score, **_ZEROS),
    "mean_utility": mean_utility,
}

# what puts a threshold, and the rate that it needs
CRITERIA = {
    "far": "target_far",
    "frr": "target_frr",
    "eer": None,
    "utility": None,
    "worst_class_far": "target_far",
}

# distances between vectors of length one are at most 2, in both metrics
MAX_DISTANCE = 2.0


def find_threshold(
    y_true, embeddings, *, criterion, target=None, beta=1.0, metric="euclidean"
):
    """Choose the distance up to which pairs are accepted.

    Parameters
    ----------
    y_true : ndarray of shape (n_samples,)
        Class of each embedding.

    embeddings : ndarray of shape (n_samples, n_components)
        Rows of length one.

    criterion : {"far", "frr", "eer", "utility", "worst_class_far"}
        "far": the largest distance with a false accept rate of at most `target`;
        "frr": the smallest with a false reject rate of at most `target`; "eer": where
        both rates are closest; "utility": where the mean utility of the classes is
        greatest; "worst_class_far": the largest distance at which no class has a false
        accept rate above `target`. The last three look at distances 0, .002, ..., 2.

    target : float or None, default=None
        Rate for the criteria that have one.

    beta : float, default=1.0
        Weight of the sensitivity in the utility.

    metric : {"euclidean", "cosine"}, default="euclidean"
        Distance.

    Returns
    -------
    threshold : float
        Distance.
    """
    if criterion == "far":
        return threshold_at_far(
            y_true, embeddings, target_far=target, metric=metric, **_ZEROS
        )
    if criterion == "frr":
        return threshold_at_frr(
            y_true, embeddings, target_frr=target, metric=metric, **_ZEROS
        )
    curves = rate_curves(y_true, embeddings, beta=beta, metric=metric)
    if criterion == "eer":
        best = np.abs(curves.far - curves.frr).argmin()
    elif criterion == "utility":
        best = curves.utility.mean(axis=0).argmax()
    else:
        worst = (1 - curves.specificity).max(axis=0)
        best = np.flatnonzero(worst <= target).max(initial=-1)
        if best < 0:  # not even identical samples may pass
            return float(np.nextafter(0, -1))
    return float(curves.thresholds[best])


def rates_at(y_true, embeddings, thresholds, *, metric):
    """Rates and utilities of each class at given distances."""
    pairs = Pairs(y_true, embeddings, metric=metric, **_ZEROS)
    return exact_curves(pairs, np.asarray(thresholds, dtype=np.float64))


def rate_curves(y_true, embeddings, *, beta=1.0, metric="euclidean", n_thresholds=1001):
    """Rates and utilities on a grid over all possible distances."""
    return utility_curves(
        y_true,
        embeddings,
        beta=beta,
        distance_range=(0, MAX_DISTANCE),
        n_thresholds=n_thresholds,
        metric=metric,
        **_ZEROS,
    )


def unlabeled_threshold(embeddings, target_far, *, metric, rng, max_pairs=2_000_000):
    """Quantile of the distances of all pairs: a threshold without labels.

    Among many classes nearly all pairs are of two classes, so that the fraction of
    accepted pairs is about the false accept rate. With C classes of equal size it is
    too large by the accepted pairs of one class, at most 1 / C.
    """
    n_samples = len(embeddings)
    n_pairs = n_samples * (n_samples - 1) // 2
    if n_pairs <= max_pairs:
        first, second = np.triu_indices(n_samples, 1)
    else:
        first = rng.randint(n_samples, size=max_pairs)
        second = (first + rng.randint(1, n_samples, size=max_pairs)) % n_samples
    distance = np.empty(len(first))
    for rows in gen_batches(len(first), 2**16):
        distance[rows] = pair_distances(
            embeddings[first[rows]], embeddings[second[rows]], metric
        )
    distance.sort()
    rank = max(1, math.floor(target_far * len(distance)))
    return float(distance[rank - 1])


def pair_distances(first, second, metric):
    """Distances between the rows of two arrays of unit vectors, in float64.

    A row of zeros has the similarity 0 to all others. Works a slice at a time.
    """
    squared = np.empty(len(first))
    for rows in gen_batches(len(first), max(1, 2**20 // first.shape[1])):
        difference = first[rows].astype(np.float64) - second[rows]
        squared[rows] = np.einsum("ij,ij->i", difference, difference)
        squared[rows][~(first[rows].any(axis=1) & second[rows].any(axis=1))] = 2
    return squared / 2 if metric == "cosine" else np.sqrt(squared)
