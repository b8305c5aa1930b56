"""What an embedding is for: accept or refuse pairs, name samples, set the threshold."""

import warnings
from numbers import Real

import numpy as np
from sklearn.utils import check_consistent_length, check_random_state
from sklearn.utils.validation import check_is_fitted

from skdeep.metric_learning import _calibration as calibration
from skdeep.utils._params import Interval, StrOptions, check_param
from skdeep.utils._validation import encode_labels

_MANY = 250  # rows of one class that a calibration at the end of a fit looks at
_RATE = Interval(Real, 0, 1, closed="neither")
_DISTANCE = Interval(Real, None, None, closed="neither")


class VerificationMixin:
    """Pairs, galleries and thresholds, on top of ``transform`` and ``metric``."""

    @property
    def _fitted_metric(self):
        """Distance of the last fit; files of earlier versions have not recorded it."""
        return vars(self).get("_metric", self.metric)

    def pair_distance(self, X1, X2=None):
        """Distance of the embeddings of each pair.

        Parameters
        ----------
        X1 : array-like of shape (n_pairs, n_features) or (n_pairs, 2, n_features)
            First sample of each pair, or both samples.

        X2 : array-like of shape (n_pairs, n_features) or None, default=None
            Second sample of each pair; None if `X1` holds both.

        Returns
        -------
        distance : ndarray of shape (n_pairs,), dtype float64
            In [0, 2].
        """
        check_is_fitted(self)
        if X2 is None:
            X1 = np.asarray(X1)
            if X1.ndim != 3 or X1.shape[1] != 2:
                raise ValueError(
                    "Without `X2`, `X1` must hold pairs, as an array of shape (n_pairs,"
                    f" 2, n_features), but it has the shape {X1.shape}."
                )
            X1, X2 = X1[:, 0], X1[:, 1]
        first, second = self._embed(X1), self._embed(X2)
        if len(first) != len(second):
            raise ValueError(
                f"`X1` has {len(first)} samples and `X2` has {len(second)}; a pair "
                "needs one of each."
            )
        return calibration.pair_distances(first, second, self._fitted_metric)

    def pair_score(self, X1, X2=None):
        """Minus the distance of each pair: higher is more alike.

        Parameters
        ----------
        X1, X2 : array-like
            As in `pair_distance`.

        Returns
        -------
        score : ndarray of shape (n_pairs,), dtype float64
            In [-2, 0].
        """
        return -self.pair_distance(X1, X2)

    def predict_pairs(self, X1, X2=None, threshold=None):
        """Tell for each pair whether it is of one class.

        Parameters
        ----------
        X1, X2 : array-like
            As in `pair_distance`.

        threshold : float or None, default=None
            Largest distance that is accepted; None takes ``threshold_``.

        Returns
        -------
        accepted : ndarray of shape (n_pairs,), dtype bool
            Whether the distance is at most the threshold.
        """
        distance = self.pair_distance(X1, X2)
        return distance <= self._threshold_or(threshold)

    def identify(self, X, gallery_X, gallery_y, *, threshold=None, unknown_label=None):
        """Name samples by their nearest gallery item, or call them unknown.

        Parameters
        ----------
        X : array-like of shape (n_samples, n_features)
            Samples to be named.

        gallery_X : array-like of shape (n_gallery, n_features)
            Samples with known classes, which may be new to the embedder.

        gallery_y : array-like of shape (n_gallery,)
            Their classes.

        threshold : float or None, default=None
            Largest distance to the gallery; None takes ``threshold_``.

        unknown_label : str, int or None, default=None
            Label of samples further away, none of the gallery; None is "unknown" for
            text and -1 for numbers. Booleans need one.

        Returns
        -------
        y : ndarray of shape (n_samples,)
            Labels.

        Notes
        -----
        O(n_samples n_gallery n_components) time, in blocks of `X`.
        """
        check_is_fitted(self)
        labels, codes = encode_labels(self, gallery_y)
        labels = _with_unknown(labels, unknown_label)
        gallery, embeddings = self._embed(gallery_X), self._embed(X)
        check_consistent_length(gallery, codes)
        threshold = self._threshold_or(threshold)
        nearest = np.empty(len(embeddings), dtype=np.int64)
        block = max(1, 2**24 // len(gallery))
        for start in range(0, len(embeddings), block):
            rows = slice(start, start + block)
            nearest[rows] = (embeddings[rows] @ gallery.T).argmax(axis=1)
        distance = calibration.pair_distances(
            embeddings, gallery[nearest], self._fitted_metric
        )
        return labels[np.where(distance <= threshold, codes[nearest], -1)]

    def calibrate_threshold(
        self, X, y, *, target_far=None, target_frr=None, beta=1.0, criterion=None
    ):
        """Set ``threshold_`` on samples of classes that the training did not see.

        Parameters
        ----------
        X : array-like of shape (n_samples, n_features)
            Samples.

        y : array-like of shape (n_samples,)
            Their classes.

        target_far : float or None, default=None
            Wanted false accept rate; None takes the parameter of the estimator.

        target_frr : float or None, default=None
            Wanted false reject rate; if given, `criterion` is "frr". Not together with
            `target_far`.

        beta : float, default=1.0
            Weight of the sensitivity, for the criterion "utility".

        criterion : {"far", "frr", "eer", "utility", "worst_class_far"} or None, \
                default=None
            What decides; None is "far", or "frr" if that rate is given. "eer" is where
            both rates meet, "utility" where the classes fare best on average, and
            "worst_class_far" where the false accept rate of no class exceeds
            `target_far`.

        Returns
        -------
        self : TCMEmbedder
            With a new ``threshold_`` and ``calibration_curve_``.
        """
        owner = f"{type(self).__name__}.calibrate_threshold"
        check_param("target_far", target_far, [_RATE, None], owner=owner)
        check_param("target_frr", target_frr, [_RATE, None], owner=owner)
        options = StrOptions(calibration.CRITERIA)
        check_param("criterion", criterion, [options, None], owner=owner)
        if target_far is not None and target_frr is not None:
            raise ValueError("Give `target_far` or `target_frr`: one rate is wanted.")
        embeddings = self._embed(X)
        if criterion is None:
            given = target_frr is not None
            default = self.target_frr is not None and target_far is None
            criterion = "frr" if given or default else "far"
        rate_of = calibration.CRITERIA[criterion]
        for name, rate in (("target_far", target_far), ("target_frr", target_frr)):
            if rate is not None and name != rate_of:
                raise ValueError(
                    f"`{name}` means nothing to criterion={criterion!r}; leave it out, "
                    "or choose another criterion."
                )
        target = target_far or self.target_far
        if criterion == "frr":
            target = target_frr or self.target_frr
            if target is None:
                raise ValueError(
                    "criterion='frr' needs `target_frr`, a rate in (0, 1)."
                )
        self._set_threshold(
            y, embeddings, criterion=criterion, target=target, beta=beta
        )
        return self

    def calibrate_threshold_unlabeled(self, X, *, target_far=None):
        """Set ``threshold_`` without labels, if X has many classes.

        Parameters
        ----------
        X : array-like of shape (n_samples, n_features)
            Samples of many classes, none of them frequent.

        target_far : float or None, default=None
            Wanted false accept rate; None takes the parameter of the estimator.

        Returns
        -------
        self : TCMEmbedder
            With a new ``threshold_``, and without a ``calibration_curve_``.

        Notes
        -----
        The threshold is a quantile of all pairs, as if all were of two classes. With C
        classes of equal size the false accept rate stays between ``target_far - 1 / C``
        and ``target_far``, up to the sampling error: pairs are sampled beyond two
        million.
        """
        owner = f"{type(self).__name__}.calibrate_threshold_unlabeled"
        check_param("target_far", target_far, [_RATE, None], owner=owner)
        embeddings = self._embed(X)
        if len(embeddings) < 2:
            raise ValueError("X has n_samples=1, but a pair needs 2 samples or more.")
        self.threshold_ = calibration.unlabeled_threshold(
            embeddings,
            target_far or self.target_far,
            metric=self._fitted_metric,
            rng=check_random_state(self.random_state),
        )
        self.threshold_origin_ = "calibrated"
        vars(self).pop("calibration_curve_", None)  # it needs labels
        return self

    def threshold_report(self, X, y, *, as_frame=False):
        """Rates of each class at ``threshold_``.

        Parameters
        ----------
        X : array-like of shape (n_samples, n_features)
            Samples, usually of classes that neither the training nor the calibration
            has seen: then this tells how well the threshold carries over.

        y : array-like of shape (n_samples,)
            Their classes.

        as_frame : bool, default=False
            Whether "per_class" is a pandas DataFrame.

        Returns
        -------
        report : dict
            "threshold"; "far" and "frr" over all pairs; "per_class", a dict of arrays
            "class", "far", "frr" and "utility", with one entry for each class of two
            samples or more.
        """
        embeddings = self._embed(X)
        curves = calibration.rates_at(
            y, embeddings, [self.threshold_], metric=self._fitted_metric
        )
        per_class = {
            "class": curves.classes,
            "far": 1 - curves.specificity[:, 0],
            "frr": 1 - curves.sensitivity[:, 0],
            "utility": curves.utility[:, 0],
        }
        if as_frame:
            import pandas as pd

            per_class = pd.DataFrame(per_class)
        return {
            "threshold": self.threshold_,
            "far": float(curves.far[0]),
            "frr": float(curves.frr[0]),
            "per_class": per_class,
        }

    def _threshold_or(self, threshold):
        owner = type(self).__name__
        check_param("threshold", threshold, [_DISTANCE, None], owner=owner)
        if threshold is not None:
            return threshold
        if self.threshold_origin_ == "training":
            warnings.warn(
                "`threshold_` was calibrated on the classes of the training and may let "
                "far too many pairs of other classes pass. Call `calibrate_threshold` "
                "with classes that the training did not see, or fit with "
                "early_stopping=True.",
                UserWarning,
                stacklevel=3,
            )
        return self.threshold_

    def _calibrate(self, X, y, rng, origin, max_samples=5000):
        """Calibrate at the end of `fit`; more samples would add time, not accuracy."""
        if X.shape[0] > max_samples:
            rows = _some_of_each(y, max_samples, rng)
            X, y = X[rows], y[rows]
        by_frr = self.target_frr is not None
        self._set_threshold(
            y,
            self._forward(X),
            criterion="frr" if by_frr else "far",
            target=self.target_frr if by_frr else self.target_far,
            origin=origin,
        )

    def _set_threshold(
        self, y, embeddings, *, criterion, target, beta=1.0, origin="calibrated"
    ):
        threshold = calibration.find_threshold(
            y,
            embeddings,
            criterion=criterion,
            target=target,
            beta=beta,
            metric=self._fitted_metric,
        )
        curves = calibration.rate_curves(
            y, embeddings, metric=self._fitted_metric, n_thresholds=201
        )
        self.calibration_curve_ = {
            "thresholds": curves.thresholds,
            "far": curves.far,
            "frr": curves.frr,
        }
        self.threshold_ = threshold
        self.threshold_origin_ = origin


def _some_of_each(y, max_samples, rng):
    """About `max_samples` rows: of some classes all, or many of a large one."""
    classes, codes, sizes = np.unique(y, return_inverse=True, return_counts=True)
    most = max(_MANY, max_samples // len(classes))  # of one class
    order = rng.permutation(len(classes))
    taken = np.cumsum(np.minimum(sizes, most)[order])
    chosen = order[: max(2, np.searchsorted(taken, max_samples))]
    rows = [np.flatnonzero(codes == code) for code in chosen]
    return np.sort(
        np.concatenate(
            [r if len(r) <= most else rng.choice(r, most, replace=False) for r in rows]
        )
    )


def _with_unknown(labels, unknown_label):
    """Labels of a gallery with the label of the unknown behind them."""
    is_text = labels.dtype.kind in "OUS"
    if unknown_label is None:
        if labels.dtype.kind == "b":
            raise ValueError(
                "`gallery_y` is boolean, which leaves no label for the unknown; give "
                "`unknown_label`, or labels that are text or integers."
            )
        unknown_label = "unknown" if is_text else -1
    if unknown_label in labels.tolist():
        raise ValueError(
            f"`unknown_label` is {unknown_label!r}, which is a class of the gallery; "
            "give another one."
        )
    joined = np.concatenate([labels, np.array([unknown_label])])
    if joined.tolist() == [*labels.tolist(), unknown_label]:
        return joined
    # no plain dtype holds them all as they are
    return np.array([*labels.tolist(), unknown_label], dtype=object)
