"""From counts of accepted pairs to utility curves, and from curves to scores.

The symbols of the definitions: psi is the sensitivity (accepted positive pairs), phi
the specificity (refused negative pairs), U the utility. Every function takes arrays
of shape (n_classes, n_thresholds) and averages over equally spaced thresholds with
the trapezoidal rule.
"""

import numpy as np

N_REPLICATES = 10


def utility_of(sensitivity, specificity, beta):
    """Weighted harmonic mean of two rates; 0 where both are 0."""
    top = (1 + beta**2) * specificity * sensitivity
    bottom = beta**2 * specificity + sensitivity
    return np.divide(top, bottom, out=np.zeros_like(bottom), where=bottom > 0)


def mean_over_range(values):
    """Trapezoidal mean over the last axis, (..., n_thresholds) -> (...)."""
    if values.shape[-1] == 1:
        return values[..., 0]
    ends = values[..., 0] + values[..., -1]
    return (values.sum(axis=-1) - ends / 2) / (values.shape[-1] - 1)


def opis_per_class(utility):
    """Mean squared distance of each class from the mean curve, (T, K) -> (T,)."""
    return mean_over_range((utility - utility.mean(axis=0)) ** 2)


def opis(utility):
    """Class variance of the utility, averaged over the range."""
    return float(opis_per_class(utility).mean())


def n_worst(epsilon, n_classes):
    """Size of the worst group: ceil(epsilon T), at least 1."""
    return max(1, ceil_share(epsilon, n_classes))


def epsilon_opis(utility, *, epsilon, reference, grouping):
    """Squared gap between the worst classes and a reference, averaged over the range.

    Parameters
    ----------
    utility : ndarray of shape (n_classes, n_thresholds)
        Curves of at least two classes.

    epsilon : float
        Share of classes in the worst group.

    reference : {"rest", "best", "all"}
        What the worst group is compared with.

    grouping : {"pointwise", "overall"}
        Whether the group is found at each threshold, or once for the range.

    Returns
    -------
    gap : float
        The score.
    """
    size = n_worst(epsilon, len(utility))
    if grouping == "pointwise":
        ranked = np.sort(utility, axis=0)
    else:
        ranked = utility[np.argsort(mean_over_range(utility), kind="stable")]
    others = {"rest": ranked[size:], "best": ranked[-size:], "all": ranked}[reference]
    gap = ranked[:size].mean(axis=0) - others.mean(axis=0)
    return float(mean_over_range(gap**2))


def bootstrap(statistic, utility, n_bootstraps, rng):
    """Scores of classes drawn with replacement, (n_bootstraps,)."""
    n = len(utility)
    return np.array(
        [statistic(utility[rng.randint(n, size=n)]) for _ in range(n_bootstraps)]
    )


def jackknife_error(statistic, replicates):
    """Standard error of a score from curves that leave out one part of the draws."""
    scores = np.array([statistic(utility) for utility in replicates])
    n = len(scores)
    return float(np.sqrt((n - 1) / n * ((scores - scores.mean()) ** 2).sum()))


def ceil_share(share, n):
    """Smallest count that is at least `share` * `n`, whatever the rounding."""
    return int(np.ceil(share * n * (1 - 1e-12)))


def floor_share(share, n):
    """Largest count that is at most `share` * `n`, whatever the rounding."""
    return int(np.floor(share * n * (1 + 1e-12)))
