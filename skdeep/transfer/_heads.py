"""Which method learns the new classes, and the call of it."""

import numpy as np

from skdeep.exceptions import InvalidParameterError

METHODS = ("adapter", "finetune", "stacking", "gate")
_LEAST_FOR_GATE = 5


def pick_method(est, rows, layout, rng, pool):
    """Resolve the parameter `method`.

    Parameters
    ----------
    est : AdapterExtender
        With ``annotation_``.

    rows : NewRows

    layout : Layout

    rng : RandomState

    pool : (features, scores) or None

    Returns
    -------
    method : {"adapter", "finetune", "stacking", "gate", "source"}
        "source" where all rows are of one class that the source knows.
    """
    counts = np.bincount(rows.codes, minlength=layout.n_classes)
    if not len(layout.new) and (counts > 0).sum() < 2:
        return "source"
    method = est.method
    if method == "auto" and est.annotation_ == "new_only":
        # held-out rows are new, too, so a trial would tell nothing about the old classes
        method = "adapter" if est.novelty is None else "gate"
    if method == "gate":
        check_gate(est, counts, layout)
    if method != "auto":
        return method
    from skdeep.transfer._choose import choose_method

    return choose_method(est, rows, layout, rng, pool)


def check_gate(est, counts, layout):
    """Refuse what no gate can be calibrated on."""
    if est.novelty is None:
        raise InvalidParameterError(
            "method='gate' tells new rows by their novelty, but `novelty` is None; set "
            "novelty='auto'."
        )
    if not len(layout.new):
        raise ValueError("method='gate' needs rows of a new class; y has none.")
    few = layout.new[counts[layout.new] < _LEAST_FOR_GATE]
    if len(few):
        raise ValueError(
            f"The new class {est.classes_.tolist()[few[0]]!r} has {counts[few[0]]} samples; the "
            f"gate for data of new classes alone is calibrated on {_LEAST_FOR_GATE} or "
            "more. Add samples, or rows of old classes, or set novelty=None."
        )


def fit_head(est, rows, layout, rng, pool):
    """Learn with the method ``est.method_``; see `skdeep.transfer._rows`."""
    if est.method_ == "gate":
        from skdeep.transfer._gate import fit_gate as fit
    elif est.method_ == "stacking":
        from skdeep.transfer._stacking import fit_stacking as fit
    elif est.method_ == "adapter":
        from skdeep.transfer._joint import fit_adapter as fit
    else:
        from skdeep.transfer._joint import fit_finetune as fit
    return fit(est, rows, layout, rng, pool)
