"""Choice of classes."""

import numpy as np


def hold_out_classes(y, fraction, rng):
    """Draw the classes for early stopping and calibration.

    Parameters
    ----------
    y : ndarray of shape (n_samples,)
        Labels.

    fraction : float
        Fraction of the classes with two samples or more; at least 2 are drawn.

    rng : RandomState
        Source of the draw.

    Returns
    -------
    held_out : ndarray
        Labels of the classes drawn.
    """
    classes, sizes = np.unique(y, return_counts=True)
    usable = classes[sizes >= 2]
    n_held = max(2, round(fraction * len(usable)))
    if len(usable) - n_held < 2:
        raise ValueError(
            "early_stopping=True holds out 2 classes or more and needs 2 others to "
            f"train on, each with at least 2 samples, but y has {len(usable)} such "
            "classes; set early_stopping=False or lower `validation_fraction`."
        )
    return rng.permutation(usable)[:n_held]
