"""Which method suits the new data, by what it does on rows that were left out."""

import numpy as np

from skdeep.transfer._holding import class_folds
from skdeep.transfer._joint import fit_adapter
from skdeep.transfer._rows import NewRows
from skdeep.transfer._settings import classifier_epochs, setting
from skdeep.transfer._stacking import fit_stacking
from skdeep.transfer._tuning import new_shift

_N_FOLDS = 3
# weights touched in one training of the network; beyond, no trial is made
_LARGEST_TRIAL = 2e8


def choose_method(est, rows, layout, rng, pool=None):
    """Choose between the adapter and the logistic regression, or take the gate.

    Parameters
    ----------
    est : AdapterExtender
        Stays as it is.

    rows : NewRows

    layout : Layout

    rng : RandomState

    pool : (features, scores) or None, default=None
        Not used.

    Returns
    -------
    method : {"adapter", "stacking", "gate"}

    Notes
    -----
    Three-fold cross-validation; the score is the harmonic mean of the accuracies on old
    and on new classes, and the adapter is taken if it is better by more than chance may
    make it: half of one over the root of the number of rows, old or new, of which there
    are fewer. Where a training of the network would take seconds there is no trial, and
    the regression is taken.
    """
    is_old = np.isin(rows.codes, layout.old)
    if not is_old.any() and est.novelty is not None:
        return "gate"
    trial = _quiet_copy(est)
    if _cost(trial, rows, layout) > _LARGEST_TRIAL or len(rows.codes) < 2 * _N_FOLDS:
        return "stacking"
    fold = class_folds(rows.codes, _N_FOLDS, rng)
    seed = rng.randint(2**31 - 1)
    found = {}
    for name, fit in (("stacking", _fit_fast), ("adapter", fit_adapter)):
        log_proba = np.empty((len(fold), layout.n_classes))
        for number in range(_N_FOLDS):
            train, test = np.flatnonzero(fold != number), np.flatnonzero(fold == number)
            part = NewRows(*(values[train] for values in rows))
            head = fit(trial, part, layout, np.random.RandomState(seed))
            log_proba[test] = head.log_proba(
                trial, rows.features[test], rows.scores[test]
            )
        if name == "stacking" and est.skip_connection:  # as it will be
            log_proba[:, layout.new] += new_shift(
                log_proba, rows.codes, rows.weight, layout
            )
        found[name] = held_out_score(log_proba, rows.codes, is_old)
    counts = [group.sum() for group in (is_old, ~is_old) if group.any()]
    margin = 0.5 * min(counts) ** -0.5
    return "adapter" if found["adapter"] > found["stacking"] + margin else "stacking"


def held_out_score(log_proba, codes, is_old):
    """Harmonic mean of the accuracies on old and new classes.

    Parameters
    ----------
    log_proba : ndarray of shape (n_samples, n_classes)
        Of rows that were left out.

    codes : ndarray of shape (n_samples,)
        Their classes.

    is_old : ndarray of shape (n_samples,), dtype bool
        Whether the source knows the class.

    Returns
    -------
    score : float
        With rows of one kind only, the accuracy on them.
    """
    right = log_proba.argmax(axis=1) == codes
    parts = [right[group].mean() for group in (is_old, ~is_old) if group.any()]
    return float(len(parts) / sum(1 / max(part, 1e-9) for part in parts))


def _fit_fast(est, rows, layout, rng):
    return fit_stacking(est, rows, layout, rng, search=False)


def _quiet_copy(est):
    """The same parameters and settings, to be trained on the side."""
    other = object.__new__(type(est))
    vars(other).update(vars(est))
    other.callbacks, other.verbose, other.warm_start = None, 0, False
    return other


def _cost(est, rows, layout):
    """Weights times rows times epochs of one training of the network."""
    width = max([layout.n_classes, *setting(est, "hidden_layer_sizes")])
    n_weights = (rows.features.shape[1] + layout.n_classes) * width
    # a step costs something however few the weights
    n_rows = len(rows.codes)
    return classifier_epochs(est, n_rows) * n_rows * (n_weights + 5e3)
