"""What the methods of the extender work on: plain arrays.

Every method is a function ``fit_<method>(est, rows, layout, rng, pool=None)`` that returns
a head. A head has ``log_proba(est, features, scores)``, which gives an array (n_samples,
n_classes) of log probabilities in the order of ``classes_``. `pool` is a pair (features,
scores) of rows without a label, or None. Parameters that may be "auto" are read with
`skdeep.transfer._settings.setting`. A head that is a network trains with ``est._train``
and leaves ``est.module_``, ``est._module_args`` and ``est.history_`` behind; any head is an
object of plain values and arrays (a dataclass) that can be pickled, has
``represent(est, features, scores)``, what is below its output layer as float32, may have
``gamma`` and ``n_parameters``, and names in ``name`` what it is.
"""

from typing import Any, NamedTuple

import numpy as np


class NewRows(NamedTuple):
    """Labelled rows of the new data, as a method sees them.

    Attributes
    ----------
    features : ndarray or CSR matrix of shape (n_samples, n_features), dtype float32
        What the network beside the source sees.

    scores : ndarray of shape (n_samples, n_old), dtype float32
        What the source says: logs of probabilities, clipped at 1e-6, or decision values.

    codes : ndarray of shape (n_samples,), dtype int64
        Place of each label in ``classes_``.

    weight : ndarray of shape (n_samples,), dtype float32
        Weight of each row; mean 1.
    """

    features: Any
    scores: np.ndarray
    codes: np.ndarray
    weight: np.ndarray


class Layout(NamedTuple):
    """Where the classes of the source stand among all classes.

    Attributes
    ----------
    old : ndarray of shape (n_old,), dtype int64
        Place of each class of the source in ``classes_``.

    n_classes : int
        Number of classes, old and new.
    """

    old: np.ndarray
    n_classes: int

    @property
    def new(self):
        """Places of the other classes."""
        return np.setdiff1d(np.arange(self.n_classes), self.old)
