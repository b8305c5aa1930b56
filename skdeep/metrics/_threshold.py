"""Scores of threshold consistency: does one threshold suit every class?

`utility_curves` gives the curves of all classes; `opis_score` their variance over
the calibration range; `epsilon_opis_score` the gap between the worst classes and the
others. Counting is in `_counts.py`, formulas are in `_opis.py`.
"""

import warnings
from numbers import Real

import numpy as np
from sklearn.utils import Bunch, check_random_state

from skdeep.metrics import _opis
from skdeep.metrics._curves import calibrated_curves, check_count
from skdeep.metrics._pairs import Pairs, check_choice, check_flag


def utility_curves(
    y_true,
    embeddings,
    *,
    beta=1.0,
    far_range=(0.01, 0.1),
    frr_range=None,
    distance_range=None,
    n_thresholds=101,
    metric="euclidean",
    normalize=True,
    zero_rows="raise",
    groups=None,
    pairs="all",
    max_negatives=1000,
    random_state=None,
    block_size="auto",
    dtype="auto",
    backend="numpy",
):
    r"""Utility of each class as a function of the distance threshold.

    With :math:`\psi_c` the share of the pairs inside class c that are accepted, and
    :math:`\phi_c` the share of its pairs with other classes that are refused, the
    utility is their weighted harmonic mean

    .. math::
        U_c = \frac{(1 + \beta^2) \phi_c \psi_c}{\beta^2 \phi_c + \psi_c} .

    Parameters
    ----------
    y_true : array-like of shape (n_samples,)
        Class of each row; numbers or strings.

    embeddings : array-like of shape (n_samples, n_components)
        One row per sample.

    beta : float, default=1.0
        Weight of the sensitivity in the utility; more than 1 favours accepting.

    far_range : (float, float), default=(0.01, 0.1)
        Calibration range: distances at which the false accept rate over all negative
        pairs is between these bounds. Not read if another range is given.

    frr_range : (float, float), default=None
        Calibration range by bounds on the false reject rate over all positive pairs.

    distance_range : (float, float), default=None
        Calibration range as two distances. The other two ranges depend on the
        embeddings; give this one to compare models, or folds, at equal thresholds.

    n_thresholds : int, default=101
        Number of equally spaced thresholds, ends included.

    metric : {"euclidean", "cosine"}, default="euclidean"
        Distance of two rows: length of their difference, or 1 - cosine. A pair is
        accepted if its distance is at most the threshold.

    normalize : bool, default=True
        Whether to scale rows to length one first; distances are then in [0, 2]. The
        cosine distance does not depend on it.

    zero_rows : {"raise", "ignore_direction"}, default="raise"
        What to do with a zero row, which has no direction: refuse it, or let its
        cosine with every other row be 0.

    groups : array-like of shape (n_samples,), default=None
        Group (customer, domain) of each row. If given, there is one curve per group
        instead of one per class; a pair belongs to the groups of both its ends.

    pairs : {"all", "sample"}, default="all"
        Whether to count every pair, or all positive pairs and a sample of the
        negative ones, for more than a million rows.

    max_negatives : int, default=1000
        Negative pairs drawn for each class. Only used if `pairs="sample"`.

    random_state : int, RandomState instance or None, default=None
        Seeds the draws of `pairs="sample"`.

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
    curves : Bunch
        With the attributes

        thresholds : ndarray of shape (n_thresholds,)
            Distances in ascending order.
        utility, sensitivity, specificity : ndarray of shape (n_classes, n_thresholds)
            Rates of each class, or group, in [0, 1].
        classes : ndarray of shape (n_classes,)
            Names of the rows. Classes with a single sample have no curve; their
            samples still are negatives of the others.
        far, frr : ndarray of shape (n_thresholds,)
            False accept and false reject rate over all pairs.

    See Also
    --------
    opis_score : Variance of these curves.
    skdeep.metrics.ThresholdConsistencyDisplay : Picture of these curves.

    Notes
    -----
    O(n_samples^2 n_components) time, twice if the range is given by rates. Memory
    O(n_samples n_components + n_classes n_thresholds): the n x n matrix is never
    held. The counts equal those of a double precision brute force; distances closer
    than some 1e-7 to zero count as zero.

    Examples
    --------
    >>> from skdeep.metrics import utility_curves
    >>> y = ["a", "a", "b", "b"]
    >>> embeddings = [[1, 0], [1, 0.1], [0, 1], [0.5, 1]]
    >>> curves = utility_curves(y, embeddings, distance_range=(0.2, 0.6), n_thresholds=3)
    >>> curves.utility
    array([[1., 1., 1.],
           [0., 0., 1.]])
    """
    every_pair = Pairs(
        y_true,
        embeddings,
        metric=metric,
        normalize=normalize,
        zero_rows=zero_rows,
        dtype=dtype,
        block_size=block_size,
        backend=backend,
    )
    curves = calibrated_curves(
        every_pair,
        beta=beta,
        far_range=far_range,
        frr_range=frr_range,
        distance_range=distance_range,
        n_thresholds=n_thresholds,
        groups=groups,
        sampling=pairs,
        max_negatives=max_negatives,
        random_state=random_state,
    )
    curves.pop("replicates", None)
    return curves


def opis_score(
    y_true,
    embeddings,
    *,
    beta=1.0,
    far_range=(0.01, 0.1),
    frr_range=None,
    distance_range=None,
    n_thresholds=101,
    metric="euclidean",
    normalize=True,
    zero_rows="raise",
    groups=None,
    pairs="all",
    max_negatives=1000,
    n_bootstraps=0,
    random_state=None,
    block_size="auto",
    dtype="auto",
    backend="numpy",
    return_details=False,
):
    r"""Operating-point inconsistency: class variance of the utility.

    .. math::
        \mathrm{OPIS} = \frac{1}{T (d_{max} - d_{min})} \sum_{c=1}^T
        \int_{d_{min}}^{d_{max}} (U_c(d) - \bar U(d))^2 \, \mathrm{d}d

    for the utilities :math:`U_c` of :func:`utility_curves`, their mean
    :math:`\bar U`, and the calibration range of distances. 0 is best: every class is
    served equally well by any threshold of the range. The largest value is 0.25.

    **Read it beside the mean utility** (`return_details=True`): embeddings that are
    equally bad for all classes have a low OPIS too.

    Parameters
    ----------
    y_true : array-like of shape (n_samples,)
        Class of each row; numbers or strings.

    embeddings : array-like of shape (n_samples, n_components)
        One row per sample.

    beta : float, default=1.0
        Weight of the sensitivity in the utility; more than 1 favours accepting.

    far_range : (float, float), default=(0.01, 0.1)
        Calibration range: distances at which the false accept rate over all negative
        pairs is between these bounds. Not read if another range is given.

    frr_range : (float, float), default=None
        Calibration range by bounds on the false reject rate over all positive pairs.

    distance_range : (float, float), default=None
        Calibration range as two distances. The other two ranges depend on the
        embeddings; give this one to compare models, or folds, at equal thresholds.

    n_thresholds : int, default=101
        Number of equally spaced thresholds, ends included.

    metric : {"euclidean", "cosine"}, default="euclidean"
        Distance of two rows: length of their difference, or 1 - cosine. A pair is
        accepted if its distance is at most the threshold.

    normalize : bool, default=True
        Whether to scale rows to length one first; distances are then in [0, 2]. The
        cosine distance does not depend on it.

    zero_rows : {"raise", "ignore_direction"}, default="raise"
        What to do with a zero row, which has no direction: refuse it, or let its
        cosine with every other row be 0.

    groups : array-like of shape (n_samples,), default=None
        Group (customer, domain) of each row. If given, there is one curve per group
        instead of one per class; a pair belongs to the groups of both its ends.

    pairs : {"all", "sample"}, default="all"
        Whether to count every pair, or all positive pairs and a sample of the
        negative ones, for more than a million rows.

    max_negatives : int, default=1000
        Negative pairs drawn for each class. Only used if `pairs="sample"`.

    n_bootstraps : int, default=0
        Draws of the classes with replacement, for a standard error and an interval.
        The calibration range is held fixed. Needs `return_details=True`.

    random_state : int, RandomState instance or None, default=None
        Seeds the bootstrap, and the draws of `pairs="sample"`.

    block_size : int or "auto", default="auto"
        Side of the square tiles in which pairs are processed. It changes time and
        memory, not the result.

    dtype : {"auto", "float32", "float64"}, default="auto"
        Precision of the tiles. Pairs near a decision are compared in double precision
        in any case, so that it changes time, not the result.

    backend : {"numpy", "torch"}, default="numpy"
        Library of the matrix product. "torch" uses its CPU threads.

    return_details : bool, default=False
        Whether to return a Bunch with the score and what it is made of.

    Returns
    -------
    score : float or Bunch
        The score; or with `return_details` the attributes of :func:`utility_curves`
        and

        opis : float
            The score.
        opis_per_class : ndarray of shape (n_classes,)
            Contribution of each class; its mean is the score.
        mean_utility : float
            Mean over classes and thresholds.
        bootstrap_scores : ndarray of shape (n_bootstraps,)
            With `n_bootstraps`: scores of the draws; `standard_error` is their
            standard deviation, `interval` their 2.5 and 97.5 percentiles.
        sampling_error : float
            With `pairs="sample"`: standard error of the score due to the draws.

    See Also
    --------
    epsilon_opis_score : Gap between the worst classes and the others.

    Notes
    -----
    Cost as for :func:`utility_curves`; n_bootstraps times O(n_classes n_thresholds)
    more. With some ten classes a variance is a noisy number: use the bootstrap.

    References
    ----------
    .. [1] Q. Zhang et al., "Threshold-Consistent Margin Loss for Open-World Deep
           Metric Learning", ICLR 2024.

    Examples
    --------
    >>> from sklearn.datasets import load_digits
    >>> from skdeep.metrics import opis_score
    >>> X, y = load_digits(return_X_y=True)
    >>> details = opis_score(y, X, return_details=True)
    >>> f"{details.opis:.4f} at mean utility {details.mean_utility:.2f}"
    '0.0132 at mean utility 0.68'
    >>> int(details.classes[details.opis_per_class.argmax()])
    0
    """
    _check_bootstraps(n_bootstraps, return_details)
    every_pair = Pairs(
        y_true,
        embeddings,
        metric=metric,
        normalize=normalize,
        zero_rows=zero_rows,
        dtype=dtype,
        block_size=block_size,
        backend=backend,
    )
    rng = check_random_state(random_state)
    curves = calibrated_curves(
        every_pair,
        beta=beta,
        far_range=far_range,
        frr_range=frr_range,
        distance_range=distance_range,
        n_thresholds=n_thresholds,
        groups=groups,
        sampling=pairs,
        max_negatives=max_negatives,
        random_state=rng,
    )
    if len(curves.classes) == 1:
        warnings.warn(
            f"Only {curves.classes.tolist()[0]!r} has a utility curve; the OPIS of a single "
            "class is 0 by definition.",
            UserWarning,
            stacklevel=2,
        )
    score = _opis.opis(curves.utility)
    if not return_details:
        return score
    curves.opis = score
    curves.opis_per_class = _opis.opis_per_class(curves.utility)
    return _with_errors(curves, _opis.opis, n_bootstraps, rng)


def epsilon_opis_score(
    y_true,
    embeddings,
    *,
    epsilon=0.1,
    reference="rest",
    grouping="pointwise",
    beta=1.0,
    far_range=(0.01, 0.1),
    frr_range=None,
    distance_range=None,
    n_thresholds=101,
    metric="euclidean",
    normalize=True,
    zero_rows="raise",
    groups=None,
    pairs="all",
    max_negatives=1000,
    n_bootstraps=0,
    random_state=None,
    block_size="auto",
    dtype="auto",
    backend="numpy",
    return_details=False,
):
    r"""Squared utility gap between the worst classes and the others.

    .. math::
        \epsilon\text{-OPIS} = \frac{1}{d_{max} - d_{min}}
        \int_{d_{min}}^{d_{max}} (U_{worst}(d) - U_{ref}(d))^2 \, \mathrm{d}d

    where :math:`U_{worst}` is the mean utility of the ceil(epsilon T) of T classes
    with the lowest utility. 0 is best. Values of different `reference` or `grouping`
    must not be compared.

    Parameters
    ----------
    y_true : array-like of shape (n_samples,)
        Class of each row; numbers or strings.

    embeddings : array-like of shape (n_samples, n_components)
        One row per sample.

    epsilon : float, default=0.1
        Share of classes in the worst group, in (0, 1].

    reference : {"rest", "best", "all"}, default="rest"
        What the worst group is compared with: all other classes, the equally many
        best classes, or all classes.

    grouping : {"pointwise", "overall"}, default="pointwise"
        Whether the worst classes are found at each threshold, or once, by their mean
        utility over the range.

    beta : float, default=1.0
        Weight of the sensitivity in the utility; more than 1 favours accepting.

    far_range : (float, float), default=(0.01, 0.1)
        Calibration range: distances at which the false accept rate over all negative
        pairs is between these bounds. Not read if another range is given.

    frr_range : (float, float), default=None
        Calibration range by bounds on the false reject rate over all positive pairs.

    distance_range : (float, float), default=None
        Calibration range as two distances. The other two ranges depend on the
        embeddings; give this one to compare models, or folds, at equal thresholds.

    n_thresholds : int, default=101
        Number of equally spaced thresholds, ends included.

    metric : {"euclidean", "cosine"}, default="euclidean"
        Distance of two rows: length of their difference, or 1 - cosine. A pair is
        accepted if its distance is at most the threshold.

    normalize : bool, default=True
        Whether to scale rows to length one first; distances are then in [0, 2]. The
        cosine distance does not depend on it.

    zero_rows : {"raise", "ignore_direction"}, default="raise"
        What to do with a zero row, which has no direction: refuse it, or let its
        cosine with every other row be 0.

    groups : array-like of shape (n_samples,), default=None
        Group (customer, domain) of each row. If given, there is one curve per group
        instead of one per class; a pair belongs to the groups of both its ends.

    pairs : {"all", "sample"}, default="all"
        Whether to count every pair, or all positive pairs and a sample of the
        negative ones, for more than a million rows.

    max_negatives : int, default=1000
        Negative pairs drawn for each class. Only used if `pairs="sample"`.

    n_bootstraps : int, default=0
        Draws of the classes with replacement, for a standard error and an interval.
        The calibration range is held fixed. Needs `return_details=True`.

    random_state : int, RandomState instance or None, default=None
        Seeds the bootstrap, and the draws of `pairs="sample"`.

    block_size : int or "auto", default="auto"
        Side of the square tiles in which pairs are processed. It changes time and
        memory, not the result.

    dtype : {"auto", "float32", "float64"}, default="auto"
        Precision of the tiles. Pairs near a decision are compared in double precision
        in any case, so that it changes time, not the result.

    backend : {"numpy", "torch"}, default="numpy"
        Library of the matrix product. "torch" uses its CPU threads.

    return_details : bool, default=False
        Whether to return a Bunch with the score and what it is made of.

    Returns
    -------
    score : float or Bunch
        The score; or with `return_details` the attributes of :func:`utility_curves`,
        `epsilon_opis`, `worst_classes` (lowest mean utility over the range),
        `mean_utility`, and the errors as in :func:`opis_score`.

    See Also
    --------
    opis_score : Variance over all classes.

    Notes
    -----
    Cost as for :func:`utility_curves`, and O(n_thresholds T log T) to rank.

    References
    ----------
    .. [1] Q. Zhang et al., "Threshold-Consistent Margin Loss for Open-World Deep
           Metric Learning", ICLR 2024.

    Examples
    --------
    >>> from sklearn.datasets import load_digits
    >>> from skdeep.metrics import epsilon_opis_score
    >>> X, y = load_digits(return_X_y=True)
    >>> details = epsilon_opis_score(y, X, return_details=True)
    >>> f"{details.epsilon_opis:.3f}; worst class {details.worst_classes[0]}"
    '0.018; worst class 1'
    """
    _check_bootstraps(n_bootstraps, return_details)
    check_choice("reference", reference, ("rest", "best", "all"))
    check_choice("grouping", grouping, ("pointwise", "overall"))
    if not isinstance(epsilon, Real) or not 0 < epsilon <= 1:
        raise ValueError(f"`epsilon` must be a number in (0, 1]; got {epsilon!r}.")
    every_pair = Pairs(
        y_true,
        embeddings,
        metric=metric,
        normalize=normalize,
        zero_rows=zero_rows,
        dtype=dtype,
        block_size=block_size,
        backend=backend,
    )
    rng = check_random_state(random_state)
    curves = calibrated_curves(
        every_pair,
        beta=beta,
        far_range=far_range,
        frr_range=frr_range,
        distance_range=distance_range,
        n_thresholds=n_thresholds,
        groups=groups,
        sampling=pairs,
        max_negatives=max_negatives,
        random_state=rng,
    )
    n_classes = len(curves.classes)
    size = _opis.n_worst(epsilon, n_classes)
    if n_classes < 2:
        raise ValueError(
            f"Only {curves.classes.tolist()[0]!r} has a utility curve; epsilon-OPIS compares "
            "classes and needs at least 2 of them with 2 samples or more."
        )
    if reference == "rest" and size == n_classes:
        raise ValueError(
            f"epsilon={epsilon:g} puts all {n_classes} classes into the worst group and "
            "leaves no rest; use a smaller `epsilon`, or reference='all'."
        )

    def statistic(utility):
        return _opis.epsilon_opis(
            utility, epsilon=epsilon, reference=reference, grouping=grouping
        )

    score = statistic(curves.utility)
    if not return_details:
        return score
    curves.epsilon_opis = score
    ranking = _opis.mean_over_range(curves.utility).argsort(kind="stable")
    curves.worst_classes = curves.classes[ranking[:size]]
    return _with_errors(curves, statistic, n_bootstraps, rng)


def _check_bootstraps(n_bootstraps, return_details):
    check_flag("return_details", return_details)
    check_count("n_bootstraps", n_bootstraps, 0)
    if n_bootstraps and not return_details:
        raise ValueError(
            f"n_bootstraps={n_bootstraps} would be computed in vain: the errors are in "
            "the details. Use return_details=True."
        )


def _with_errors(curves, statistic, n_bootstraps, rng):
    """Add the mean utility and the errors asked for to the curves."""
    details = Bunch(**curves)
    details.mean_utility = float(_opis.mean_over_range(curves.utility).mean())
    replicates = details.pop("replicates", None)
    if replicates is not None:
        details.sampling_error = _opis.jackknife_error(statistic, replicates)
    if n_bootstraps:
        scores = _opis.bootstrap(statistic, curves.utility, n_bootstraps, rng)
        details.bootstrap_scores = scores
        details.standard_error = float(scores.std(ddof=1)) if n_bootstraps > 1 else 0.0
        details.interval = tuple(np.percentile(scores, [2.5, 97.5]).tolist())
    return details
