"""Defaults of the extender that are not the same for classifiers and taggers."""

import math

AUTO = {
    "adapter_hidden_size": {"classifier": 100, "sequence": "auto"},
    "hidden_layer_sizes": {"classifier": (128,), "sequence": ()},
    "dropout": {"classifier": 0.2, "sequence": 0.5},
    "distill": {"classifier": 1.0, "sequence": 0.0},
    "max_epochs": {"classifier": 60, "sequence": 20},
    "batch_size": {"classifier": 64, "sequence": 32},
    "lr": {"classifier": 3e-3, "sequence": 1e-3},
    "source_signal": {"classifier": "logits", "sequence": "hard"},
}

# beyond so many steps a network beside a classifier gains nothing
_STEPS, _FEWEST_EPOCHS = 320, 15


def setting(est, name):
    """Value of a parameter, after "auto" has been resolved.

    Parameters
    ----------
    est : AdapterExtender
        Its `mode_` is known.

    name : str
        A parameter.

    Returns
    -------
    value : object
        The parameter itself, or what "auto" means in this mode.
    """
    value = getattr(est, name)
    if not isinstance(value, str) or value != "auto":
        return value
    return AUTO[name][est.mode_]


def classifier_epochs(est, n_rows):
    """Epochs of a network beside a classifier.

    Parameters
    ----------
    est : AdapterExtender
        Its `max_epochs` and `batch_size` are read.

    n_rows : int
        Number of new rows.

    Returns
    -------
    n_epochs : int
    """
    epochs = setting(est, "max_epochs")
    if est.max_epochs != "auto":
        return epochs
    n_batches = math.ceil(n_rows / setting(est, "batch_size"))
    return min(epochs, max(_FEWEST_EPOCHS, _STEPS // max(n_batches, 1)))
