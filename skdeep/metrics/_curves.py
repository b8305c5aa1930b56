"""Which thresholds to look at, and the curves of each class at these thresholds."""

import warnings
from numbers import Integral, Real

import numpy as np
from sklearn.utils import (
    Bunch,
    check_consistent_length,
    check_random_state,
    column_or_1d,
)

from skdeep.metrics._counts import count_accepted
from skdeep.metrics._opis import ceil_share, utility_of
from skdeep.metrics._pairs import check_choice
from skdeep.metrics._sampled import sample_accepted, sampled_distances
from skdeep.metrics._select import kth_smallest_distances
from skdeep.utils._validation import plain_labels


def check_count(name, value, low):
    """Refuse anything but an integer of at least `low`."""
    if isinstance(value, bool) or not isinstance(value, Integral):
        raise TypeError(f"`{name}` must be an int; got {value!r}.")
    if value < low:
        raise ValueError(f"`{name}` must be at least {low}; got {value}.")


def check_positive_number(name, value):
    """Refuse anything but a finite number above 0."""
    if not isinstance(value, Real) or not 0 < value < np.inf:
        raise ValueError(f"`{name}` must be a finite number > 0; got {value!r}.")


def check_share(name, value):
    """Refuse anything but a number in [0, 1]."""
    if not isinstance(value, Real) or not 0 <= value <= 1:
        raise ValueError(f"`{name}` must be a number in [0, 1]; got {value!r}.")


def check_has_pairs(pairs):
    """Refuse data in which no rate can be computed."""
    n_classes = len(pairs.classes)
    if pairs.n_positives == 0:
        raise ValueError(
            f"There is no positive pair: each of the {n_classes} classes of `y_true` "
            "has 1 sample only. At least one class needs 2 samples."
        )
    if pairs.n_negatives == 0:
        raise ValueError(
            "There is no negative pair: `y_true` has 1 class only "
            f"({pairs.classes.tolist()[0]!r}) in {pairs.n_samples} samples. Give samples of at "
            "least 2 classes."
        )


def check_range(name, bounds, *, low, high):
    """Return a pair of increasing numbers; `low` and `high` word the allowed range."""
    try:
        first, last = (float(bound) for bound in bounds)
    except (TypeError, ValueError):
        raise ValueError(
            f"`{name}` must be a pair of numbers (lo, hi); got {bounds!r}."
        ) from None
    is_low = first > 0 if low == "0 <" else first >= 0
    limits = {"<= 1": last <= 1, "< 1": last < 1, "< inf": last < np.inf}
    if not (is_low and first < last and limits[high]):
        raise ValueError(f"`{name}` must satisfy {low} lo < hi {high}; got {bounds!r}.")
    return first, last


def distance_range_of(pairs, far_range, frr_range, distance_range, rng=None):
    """Ends of the calibration range, as distances.

    With a generator `rng` the quantiles come from random pairs, otherwise they are
    exact order statistics.
    """
    if frr_range is not None and distance_range is not None:
        raise ValueError(
            "`frr_range` and `distance_range` both set the calibration range; give one."
        )
    if distance_range is not None:
        return check_range("distance_range", distance_range, low="0 <=", high="< inf")
    if frr_range is not None:
        low, high = check_range("frr_range", frr_range, low="0 <=", high="< 1")
        shares = [1 - high, 1 - low]  # FRR falls as the distance grows
        total = pairs.n_positives
    else:
        shares = check_range("far_range", far_range, low="0 <", high="<= 1")
        total = pairs.n_negatives
        if shares[0] * total < 1:
            warnings.warn(
                f"A FAR of {shares[0]:g} is less than one of the {total} negative "
                "pairs; the calibration range starts at their smallest distance.",
                UserWarning,
                stacklevel=4,
            )
    positive = frr_range is not None
    if rng is not None and total > 1_000_000:
        distances = sampled_distances(pairs, rng, positive=positive)
        ranks = [max(1, ceil_share(share, len(distances))) for share in shares]
        return tuple(distances[[rank - 1 for rank in ranks]])
    ranks = [max(1, ceil_share(share, total)) for share in shares]
    return tuple(kth_smallest_distances(pairs, ranks, positive=positive))


def equally_spaced(first, last, n_thresholds):
    """Thresholds from `first` to `last`; only one, with a warning, if they are tied."""
    if first < last:
        return np.linspace(first, last, n_thresholds)
    warnings.warn(
        f"The calibration range is the single distance {first:g} because pairs are "
        "tied there; the scores are those of this one threshold.",
        UserWarning,
        stacklevel=4,
    )
    return np.array([first])


def group_codes(pairs, groups):
    """Names of the groups and the group of each sorted row; classes by default."""
    if groups is None:
        return pairs.classes, pairs.code
    groups = plain_labels(column_or_1d(groups), "groups")
    check_consistent_length(groups, pairs.order)
    names, code = np.unique(groups, return_inverse=True)
    return names, code[pairs.order]


def pairs_of_groups(pairs, group, n_groups):
    """Numbers of positive and of negative pairs with an end in each group."""
    n = pairs.n_samples
    sizes = np.bincount(group, minlength=n_groups)
    with_end = n * (n - 1) // 2 - (n - sizes) * (n - sizes - 1) // 2
    # of a class with m rows, r of them in the group, (m - r) rows make no such pair
    cell, inside = np.unique(pairs.code * n_groups + group, return_counts=True)
    of_class = pairs.class_sizes[cell // n_groups]
    outside = of_class - inside
    n_pairs = of_class * (of_class - 1) // 2 - outside * (outside - 1) // 2
    n_positive = np.zeros(n_groups, dtype=np.int64)
    np.add.at(n_positive, cell % n_groups, n_pairs)
    return n_positive, with_end - n_positive


def exact_curves(pairs, thresholds, *, beta=1.0, groups=None):
    """Curves of each class or group, from all pairs.

    Returns
    -------
    curves : Bunch
        `thresholds`, `utility`, `sensitivity`, `specificity`, `classes`, `far` and
        `frr`. Groups without a positive or without a negative pair are left out.
    """
    names, group = group_codes(pairs, groups)
    n_positive, n_negative = pairs_of_groups(pairs, group, len(names))
    used = (n_positive > 0) & (n_negative > 0)
    if not used.any():
        raise ValueError(
            f"None of the {len(names)} groups has both a positive and a negative pair."
        )
    accepted = count_accepted(pairs, thresholds, group, len(names))
    sensitivity = accepted.positive[used] / n_positive[used, None]
    specificity = 1 - accepted.negative[used] / n_negative[used, None]
    return Bunch(
        thresholds=thresholds,
        utility=utility_of(sensitivity, specificity, beta),
        sensitivity=sensitivity,
        specificity=specificity,
        classes=names[used],
        far=accepted.all_negative / pairs.n_negatives,
        frr=1 - accepted.all_positive / pairs.n_positives,
    )


def sampled_curves(pairs, thresholds, *, beta=1.0, max_negatives, rng):
    """Curves of each class from a sample of its negative pairs.

    Returns
    -------
    curves : Bunch
        As from :func:`exact_curves`, and `replicates` of shape (n_parts, n_classes,
        n_thresholds): the utility without each part of the draws.
    """
    sizes = pairs.class_sizes
    positive, negative, n_drawn, parts, part_sizes = sample_accepted(
        pairs, thresholds, max_negatives, rng
    )
    # a negative pair is drawn for both of its classes: weights sum to twice the pairs
    weight = sizes * (pairs.n_samples - sizes) / n_drawn
    far = weight @ negative / (2 * pairs.n_negatives)
    frr = 1 - positive.sum(axis=0) / pairs.n_positives
    used = sizes > 1
    sensitivity = positive[used] / (sizes * (sizes - 1) // 2)[used, None]
    specificity = 1 - negative[used] / n_drawn[used, None]
    left = (negative - parts)[:, used] / (n_drawn - part_sizes)[:, used, None]
    return Bunch(
        thresholds=thresholds,
        utility=utility_of(sensitivity, specificity, beta),
        sensitivity=sensitivity,
        specificity=specificity,
        classes=pairs.classes[used],
        far=far,
        frr=frr,
        replicates=utility_of(np.broadcast_to(sensitivity, left.shape), 1 - left, beta),
    )


def calibrated_curves(
    pairs,
    *,
    beta,
    far_range,
    frr_range,
    distance_range,
    n_thresholds,
    groups,
    sampling,
    max_negatives,
    random_state,
):
    """Check the arguments that all scores share, then compute the curves."""
    check_positive_number("beta", beta)
    check_count("n_thresholds", n_thresholds, 2)
    check_choice("pairs", sampling, ("all", "sample"))
    check_has_pairs(pairs)
    rng = None
    if sampling == "sample":
        check_count("max_negatives", max_negatives, 10)
        if groups is not None:
            raise ValueError(
                "`groups` needs every pair: use pairs='all', or leave `groups` out."
            )
        rng = check_random_state(random_state)
    ends = distance_range_of(pairs, far_range, frr_range, distance_range, rng)
    thresholds = equally_spaced(*ends, n_thresholds)
    if sampling == "sample":
        return sampled_curves(
            pairs, thresholds, beta=beta, max_negatives=max_negatives, rng=rng
        )
    return exact_curves(pairs, thresholds, beta=beta, groups=groups)
