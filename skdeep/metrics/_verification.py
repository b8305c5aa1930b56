"""Error rates of one threshold for all classes, and thresholds for a target rate.

A pair is accepted if its distance is at most the threshold. FAR is the share of the
negative pairs that are accepted, FRR the share of the positive pairs that are not.
"""

from numbers import Real

import numpy as np
from sklearn.utils import Bunch

from skdeep.metrics import _opis
from skdeep.metrics._counts import count_accepted
from skdeep.metrics._curves import (
    check_count,
    check_has_pairs,
    check_positive_number,
    check_share,
    distance_range_of,
    equally_spaced,
    exact_curves,
)
from skdeep.metrics._pairs import Pairs
from skdeep.metrics._retrieval import map_at_r_score, recall_at_k_score
from skdeep.metrics._select import (
    draw_negative_pairs,
    draw_positive_pairs,
    kth_smallest_distances,
)

N_DRAWS = 200_000


def far_frr_curve(
    y_true,
    embeddings,
    *,
    thresholds=None,
    n_thresholds=200,
    metric="euclidean",
    normalize=True,
    zero_rows="raise",
    block_size="auto",
    dtype="auto",
    backend="numpy",
):
    """False accept and false reject rate at each distance threshold.

    Parameters
    ----------
    y_true : array-like of shape (n_samples,)
        Class of each row; numbers or strings.

    embeddings : array-like of shape (n_samples, n_components)
        One row per sample.

    thresholds : array-like of shape (n_thresholds,), default=None
        Distances. None: distances of pairs, chosen so that small values of both rates
        are covered evenly on a logarithmic scale.

    n_thresholds : int, default=200
        Largest number of thresholds. Only used if `thresholds` is None.

    metric : {"euclidean", "cosine"}, default="euclidean"
        Distance of two rows: length of their difference, or 1 - cosine. A pair is
        accepted if its distance is at most the threshold.

    normalize : bool, default=True
        Whether to scale rows to length one first; distances are then in [0, 2]. The
        cosine distance does not depend on it.

    zero_rows : {"raise", "ignore_direction"}, default="raise"
        What to do with a zero row, which has no direction: refuse it, or let its
        cosine with every other row be 0.

    block_size : int or "auto", default="auto"
        Side of the square tiles in which pairs are processed. It changes time and
        memory, not the result.

    dtype : {"auto", "float32", "float64"}, default="auto"
        Precision of the tiles. Pairs near a decision are compared in double precision
        in any case, so that it changes time, not the result.

    backend : {"numpy", "torch"}, default="numpy"
        Library of the matrix product. "torch" uses its CPU threads.

    Returns
    -------
    far : ndarray of shape (n_thresholds,)
        Accepted share of the pairs of two classes; rises with the threshold.

    frr : ndarray of shape (n_thresholds,)
        Refused share of the pairs of one class; falls with the threshold.

    thresholds : ndarray of shape (n_thresholds,)
        Distances in ascending order.

    See Also
    --------
    sklearn.metrics.det_curve : The same curve from scores of single pairs.

    Notes
    -----
    O(n_samples^2 n_components) time; memory as for :func:`utility_curves`.

    Examples
    --------
    >>> from skdeep.metrics import far_frr_curve
    >>> embeddings = [[1, 0], [1, 0.1], [0, 1], [0.5, 1]]
    >>> far, frr, _ = far_frr_curve([0, 0, 1, 1], embeddings, thresholds=[0.2, 0.6, 1])
    >>> far, frr
    (array([0.  , 0.  , 0.25]), array([0.5, 0. , 0. ]))
    """
    pairs = Pairs(
        y_true,
        embeddings,
        metric=metric,
        normalize=normalize,
        zero_rows=zero_rows,
        dtype=dtype,
        block_size=block_size,
        backend=backend,
    )
    check_has_pairs(pairs)
    if thresholds is None:
        check_count("n_thresholds", n_thresholds, 2)
        thresholds = spread_thresholds(pairs, n_thresholds)
    else:
        thresholds = np.sort(_as_distances("thresholds", thresholds))
    far, frr = _global_rates(pairs, thresholds)
    return far, frr, thresholds


def threshold_at_far(
    y_true,
    embeddings,
    *,
    target_far=0.01,
    metric="euclidean",
    normalize=True,
    zero_rows="raise",
    block_size="auto",
    dtype="auto",
    backend="numpy",
):
    """Largest distance of a negative pair at which the FAR is at most a target.

    Parameters
    ----------
    y_true : array-like of shape (n_samples,)
        Class of each row; numbers or strings.

    embeddings : array-like of shape (n_samples, n_components)
        One row per sample.

    target_far : float, default=0.01
        Largest false accept rate over all negative pairs, in [0, 1].

    metric : {"euclidean", "cosine"}, default="euclidean"
        Distance of two rows: length of their difference, or 1 - cosine. A pair is
        accepted if its distance is at most the threshold.

    normalize : bool, default=True
        Whether to scale rows to length one first; distances are then in [0, 2]. The
        cosine distance does not depend on it.

    zero_rows : {"raise", "ignore_direction"}, default="raise"
        What to do with a zero row, which has no direction: refuse it, or let its
        cosine with every other row be 0.

    block_size : int or "auto", default="auto"
        Side of the square tiles in which pairs are processed. It changes time and
        memory, not the result.

    dtype : {"auto", "float32", "float64"}, default="auto"
        Precision of the tiles. Pairs near a decision are compared in double precision
        in any case, so that it changes time, not the result.

    backend : {"numpy", "torch"}, default="numpy"
        Library of the matrix product. "torch" uses its CPU threads.

    Returns
    -------
    threshold : float
        With M negative pairs, the floor(target_far M)-th smallest of their distances,
        or a value just below it if further pairs are tied with it; just below the
        smallest if that rank is 0.

    See Also
    --------
    threshold_at_frr : Threshold for a false reject rate.

    Notes
    -----
    Cost as for :func:`far_frr_curve`. A threshold set on the classes that the
    embedder was trained on does not hold for new classes: use held-out ones.

    Examples
    --------
    >>> from sklearn.datasets import load_digits
    >>> from skdeep.metrics import threshold_at_far
    >>> X, y = load_digits(return_X_y=True)
    >>> f"{threshold_at_far(y, X, target_far=0.01):.3f}"
    '0.527'
    """
    check_share("target_far", target_far)
    pairs = Pairs(
        y_true,
        embeddings,
        metric=metric,
        normalize=normalize,
        zero_rows=zero_rows,
        dtype=dtype,
        block_size=block_size,
        backend=backend,
    )
    check_has_pairs(pairs)
    return _far_threshold(pairs, target_far)


def threshold_at_frr(
    y_true,
    embeddings,
    *,
    target_frr=0.01,
    metric="euclidean",
    normalize=True,
    zero_rows="raise",
    block_size="auto",
    dtype="auto",
    backend="numpy",
):
    """Smallest distance of a positive pair at which the FRR is at most a target.

    Parameters
    ----------
    y_true : array-like of shape (n_samples,)
        Class of each row; numbers or strings.

    embeddings : array-like of shape (n_samples, n_components)
        One row per sample.

    target_frr : float, default=0.01
        Largest false reject rate over all positive pairs, in [0, 1].

    metric : {"euclidean", "cosine"}, default="euclidean"
        Distance of two rows: length of their difference, or 1 - cosine. A pair is
        accepted if its distance is at most the threshold.

    normalize : bool, default=True
        Whether to scale rows to length one first; distances are then in [0, 2]. The
        cosine distance does not depend on it.

    zero_rows : {"raise", "ignore_direction"}, default="raise"
        What to do with a zero row, which has no direction: refuse it, or let its
        cosine with every other row be 0.

    block_size : int or "auto", default="auto"
        Side of the square tiles in which pairs are processed. It changes time and
        memory, not the result.

    dtype : {"auto", "float32", "float64"}, default="auto"
        Precision of the tiles. Pairs near a decision are compared in double precision
        in any case, so that it changes time, not the result.

    backend : {"numpy", "torch"}, default="numpy"
        Library of the matrix product. "torch" uses its CPU threads.

    Returns
    -------
    threshold : float
        With P positive pairs, the (P - floor(target_frr P))-th smallest of their
        distances; the smallest if that rank is 0.

    See Also
    --------
    threshold_at_far : Threshold for a false accept rate.

    Notes
    -----
    O(sum_c n_c^2 n_components) time for classes of n_c samples.

    Examples
    --------
    >>> from sklearn.datasets import load_digits
    >>> from skdeep.metrics import threshold_at_frr
    >>> X, y = load_digits(return_X_y=True)
    >>> f"{threshold_at_frr(y, X, target_frr=0.01):.3f}"
    '0.969'
    """
    check_share("target_frr", target_frr)
    pairs = Pairs(
        y_true,
        embeddings,
        metric=metric,
        normalize=normalize,
        zero_rows=zero_rows,
        dtype=dtype,
        block_size=block_size,
        backend=backend,
    )
    check_has_pairs(pairs)
    total = pairs.n_positives
    rank = max(1, total - _opis.floor_share(target_frr, total))
    return float(kth_smallest_distances(pairs, [rank], positive=True)[0])


def verification_report(
    y_true,
    embeddings,
    *,
    threshold=None,
    target_far=0.01,
    beta=1.0,
    far_range=(0.01, 0.1),
    metric="euclidean",
    normalize=True,
    zero_rows="raise",
    block_size="auto",
    dtype="auto",
    backend="numpy",
):
    """How well one threshold verifies "same class", in all and for each class.

    Parameters
    ----------
    y_true : array-like of shape (n_samples,)
        Class of each row; numbers or strings.

    embeddings : array-like of shape (n_samples, n_components)
        One row per sample.

    threshold : float, default=None
        Distance at which the rates are reported, for example one that was set on
        other classes. None: the threshold for `target_far` on these data.

    target_far : float, default=0.01
        False accept rate at which `frr_at_target_far` is read.

    beta : float, default=1.0
        Weight of the sensitivity in the utility.

    far_range : (float, float), default=(0.01, 0.1)
        Calibration range of `mean_utility` and `opis`.

    metric : {"euclidean", "cosine"}, default="euclidean"
        Distance of two rows: length of their difference, or 1 - cosine. A pair is
        accepted if its distance is at most the threshold.

    normalize : bool, default=True
        Whether to scale rows to length one first; distances are then in [0, 2]. The
        cosine distance does not depend on it.

    zero_rows : {"raise", "ignore_direction"}, default="raise"
        What to do with a zero row, which has no direction: refuse it, or let its
        cosine with every other row be 0.

    block_size : int or "auto", default="auto"
        Side of the square tiles in which pairs are processed. It changes time and
        memory, not the result.

    dtype : {"auto", "float32", "float64"}, default="auto"
        Precision of the tiles. Pairs near a decision are compared in double precision
        in any case, so that it changes time, not the result.

    backend : {"numpy", "torch"}, default="numpy"
        Library of the matrix product. "torch" uses its CPU threads.

    Returns
    -------
    report : Bunch
        With the attributes

        threshold, far, frr : float
            The threshold and its rates over all pairs.
        eer, eer_threshold : float
            Equal error rate: mean of FAR and FRR where they are closest.
        target_far_threshold, frr_at_target_far : float
            Threshold for `target_far` on these data, and its FRR.
        classes : ndarray of shape (n_classes,)
            Classes with at least two samples.
        far_per_class, frr_per_class, utility_per_class : ndarray of shape (n_classes,)
            Their rates at `threshold`.
        far_mean, far_std, far_worst, frr_mean, frr_std, frr_worst : float
            Mean, standard deviation and maximum over the classes.
        mean_utility, opis : float
            Over the calibration range.
        recall_at_1, map_at_r : float
            Retrieval scores, which know no threshold.

    See Also
    --------
    opis_score : One number for the spread of the classes over a range of thresholds.

    Notes
    -----
    O(n_samples^2 n_components) time, some six times.

    Examples
    --------
    >>> from sklearn.datasets import load_digits
    >>> from skdeep.metrics import verification_report
    >>> X, y = load_digits(return_X_y=True)
    >>> report = verification_report(y, X, target_far=0.01)
    >>> f"FRR {report.frr:.2f}, of the worst class {report.frr_worst:.2f}"
    'FRR 0.59, of the worst class 0.72'
    >>> f"EER {report.eer:.3f}"
    'EER 0.216'
    """
    check_share("target_far", target_far)
    check_positive_number("beta", beta)
    pairs = Pairs(
        y_true,
        embeddings,
        metric=metric,
        normalize=normalize,
        zero_rows=zero_rows,
        dtype=dtype,
        block_size=block_size,
        backend=backend,
    )
    check_has_pairs(pairs)
    target_threshold = _far_threshold(pairs, target_far)
    if threshold is None:
        threshold = target_threshold
    elif not isinstance(threshold, Real) or np.isnan(threshold):
        raise ValueError(f"`threshold` must be a distance or None; got {threshold!r}.")
    ends = distance_range_of(pairs, far_range, None, None)
    thresholds = equally_spaced(*ends, 101)
    points = [threshold, target_threshold]
    every, place = np.unique([*points, *thresholds], return_inverse=True)
    curves = exact_curves(pairs, every, beta=beta)
    here, at_target = place[:2]
    over_range = curves.utility[:, place[2:]]
    eer, eer_threshold = _equal_error(pairs)
    far_per_class = 1 - curves.specificity[:, here]
    frr_per_class = 1 - curves.sensitivity[:, here]
    search = {"metric": metric, "normalize": normalize, "zero_rows": zero_rows}
    return Bunch(
        threshold=float(threshold),
        far=float(curves.far[here]),
        frr=float(curves.frr[here]),
        eer=eer,
        eer_threshold=eer_threshold,
        target_far_threshold=target_threshold,
        frr_at_target_far=float(curves.frr[at_target]),
        classes=curves.classes,
        far_per_class=far_per_class,
        frr_per_class=frr_per_class,
        utility_per_class=curves.utility[:, here],
        **_spread("far", far_per_class),
        **_spread("frr", frr_per_class),
        mean_utility=float(_opis.mean_over_range(over_range).mean()),
        opis=_opis.opis(over_range),
        recall_at_1=recall_at_k_score(y_true, embeddings, **search),
        map_at_r=map_at_r_score(y_true, embeddings, **search),
    )


def _as_distances(name, values):
    """Thresholds as an array (n,) of float64."""
    try:
        values = np.asarray(values, dtype=np.float64)
    except (TypeError, ValueError):
        values = np.zeros(0)
    if values.ndim != 1 or not len(values) or np.isnan(values).any():
        raise ValueError(f"`{name}` must be a non-empty list of distances without NaN.")
    return values


def spread_thresholds(pairs, n_thresholds):
    """Distances that cover small FAR and small FRR evenly on a logarithmic scale."""
    chosen = []
    negative, positive = _sampled_distances(pairs)
    for distances in (negative, positive[::-1]):
        ranks = np.geomspace(1, len(distances), n_thresholds // 2).astype(int) - 1
        chosen.append(distances[ranks])
    return np.unique(np.concatenate(chosen))


def _sampled_distances(pairs):
    rng = np.random.RandomState(0)  # thresholds only; the rates at them are exact
    n_draws = min(N_DRAWS, 20 * pairs.n_negatives)
    negative = pairs.distance(*draw_negative_pairs(pairs, n_draws, rng))
    n_draws = min(N_DRAWS, 20 * pairs.n_positives)
    positive = pairs.distance(*draw_positive_pairs(pairs, n_draws, rng))
    return np.sort(negative), np.sort(positive)


def _far_threshold(pairs, target_far):
    total = pairs.n_negatives
    rank = _opis.floor_share(target_far, total)
    ranks = [max(rank, 1), min(rank + 1, total)]
    distance, following = kth_smallest_distances(pairs, ranks)
    if rank == total:
        return float(distance)
    is_tied = pairs.bound(following) >= pairs.bound(distance) - pairs.slack
    if rank == 0 or is_tied:
        return pairs.just_below(distance)
    return float(distance)


def _global_rates(pairs, thresholds):
    everyone = np.zeros(pairs.n_samples, dtype=np.intp)
    accepted = count_accepted(pairs, thresholds, everyone, 1)
    far = accepted.all_negative / pairs.n_negatives
    return far, 1 - accepted.all_positive / pairs.n_positives


def _equal_error(pairs):
    """Mean of FAR and FRR where they are closest, and the threshold."""
    low, high = _equal_error_bracket(pairs)
    while True:
        thresholds = np.linspace(low, high, 1001)
        far, frr = _global_rates(pairs, thresholds)
        crossing = int(np.argmax(far >= frr))
        if far[crossing] < frr[crossing] or (crossing == 0 and low > 0):
            low, high = 0.0, 2.01 * pairs.scale  # the sample was misleading
            continue
        before = max(crossing - 1, 0)
        n_between = (far[crossing] - far[before]) * pairs.n_negatives
        n_between += (frr[before] - frr[crossing]) * pairs.n_positives
        low, high = thresholds[before], thresholds[crossing]
        if n_between < 1.5 or high - low <= 1e-12 * high:
            break
    ends = np.array([before, crossing])
    nearest = ends[np.abs(far - frr)[ends].argmin()]
    return float(far[nearest] + frr[nearest]) / 2, float(thresholds[nearest])


def _equal_error_bracket(pairs):
    negative, positive = _sampled_distances(pairs)
    both = np.sort(np.concatenate([negative, positive]))
    far = np.searchsorted(negative, both, side="right") / len(negative)
    frr = 1 - np.searchsorted(positive, both, side="right") / len(positive)
    first = np.searchsorted(far - frr, -0.02) - 1
    last = np.searchsorted(far - frr, 0.02)
    low = both[first] if first >= 0 else 0.0
    high = both[last] if last < len(both) else 2.01 * pairs.scale
    return low, high


def _spread(name, values):
    return {
        f"{name}_mean": float(values.mean()),
        f"{name}_std": float(values.std()),
        f"{name}_worst": float(values.max()),
    }
