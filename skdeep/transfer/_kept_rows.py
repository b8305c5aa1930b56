"""Rows of old classes that a source holds in itself.

The data of a source may be gone, and yet some of its rows be there: neighbours are looked
up in them, and a support vector machine keeps those at its margins. A gate can then ask
whether a row is nearer to the new classes than to the old one that the source sees in it.
"""

import warnings
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np
import scipy.sparse as sp
from sklearn.pipeline import Pipeline

from skdeep.transfer._novelty import make_measures
from skdeep.transfer._source_kinds import unwrap
from skdeep.transfer._sources import class_scores

# of each class; more cost time and say little
_MOST = 500


class KeptRows(NamedTuple):
    """Rows out of a source.

    Attributes
    ----------
    features : ndarray or CSR matrix of shape (n_kept, n_features), dtype float32

    scores : ndarray of shape (n_kept, n_old)
        What the source says of them.

    places : ndarray of shape (n_kept,)
        Their classes, as places among those of the source; each has two rows or more.
    """

    features: Any
    scores: np.ndarray
    places: np.ndarray


def find_kept_rows(est, features):
    """Rows that the source of an extender holds, as the gate sees rows.

    Parameters
    ----------
    est : AdapterExtender
        With its source and the place of its features.

    features : ndarray or CSR matrix of shape (n_samples, n_features)
        Of the new rows.

    Returns
    -------
    kept : KeptRows or None
        None if there are none, or if features are something else than what the model at
        the end of the source sees.
    """
    source = unwrap(est.estimator_, Pipeline)
    place, model = "input", source
    if isinstance(source, Pipeline):
        place = "steps" if len(source.steps) > 1 else "input"
        model = unwrap(source.steps[-1][1], Pipeline)
    if est._feature_place != place or est._with_scores:
        return None
    rows, places = rows_kept_in(model)
    if rows is None or rows.shape[1] != features.shape[1]:
        return None
    n_old = len(est.base_classes_)
    counts = np.bincount(places, minlength=n_old)
    if len(counts) > n_old or counts.min() < 2:
        return None
    chosen = [_spread(np.flatnonzero(places == place)) for place in range(n_old)]
    chosen = np.concatenate(chosen)
    rows = rows[chosen]
    with warnings.catch_warnings():  # its rows have lost their names inside it
        warnings.filterwarnings("ignore", "X does not have valid feature names")
        scores = class_scores(model, rows, est.base_classes_)
    if sp.issparse(rows) and not sp.issparse(features):
        rows = rows.toarray()
    make = sp.csr_matrix if sp.issparse(features) else np.asarray
    return KeptRows(make(rows, dtype=np.float32), scores, places[chosen])


def rows_kept_in(model):
    """Training rows inside a fitted model, and the places of their classes.

    Parameters
    ----------
    model : object
        Fitted classifier.

    Returns
    -------
    rows : ndarray or CSR matrix of shape (n_kept, n_features) or None
        None if it keeps none that is known of.

    places : ndarray of shape (n_kept,) or None
    """
    if hasattr(model, "support_vectors_") and hasattr(model, "n_support_"):
        counts = model.n_support_
        return model.support_vectors_, np.repeat(np.arange(len(counts)), counts)
    rows, places = getattr(model, "_fit_X", None), getattr(model, "_y", None)
    if rows is None or np.ndim(places) != 1 or not hasattr(model, "n_neighbors"):
        return None, None
    return rows, places


def _spread(rows):
    """At most so many of them, evenly spread."""
    if len(rows) <= _MOST:
        return rows
    return rows[np.linspace(0, len(rows) - 1, _MOST).astype(np.int64)]


@dataclass
class OldDistance:
    """Distance from the kept rows of one old class.

    Attributes
    ----------
    measures : list
        One for each old class.
    """

    measures: list

    def distance(self, rows, places):
        """Distances (n_samples,) of rows from the classes at these places."""
        found = np.zeros(len(places))
        for place in np.unique(places):
            own = np.flatnonzero(places == place)
            found[own] = self.measures[place].distance(rows[own])
        return found


def measure_old(kind, rows, places):
    """Learn distances from old classes.

    Parameters
    ----------
    kind : {"auto", "knn", "mahalanobis"}

    rows : ndarray or CSR matrix of shape (n_kept, n_features)
        Scaled; of all old classes.

    places : ndarray of shape (n_kept,)
        Their classes.

    Returns
    -------
    old : OldDistance

    own : ndarray of shape (n_kept,)
        Distance of each of the rows from the others of its class.
    """
    measures = make_measures(kind, rows, places)
    own = np.zeros(len(places))
    for place, measure in enumerate(measures):
        inside = np.flatnonzero(places == place)
        own[inside] = measure.distance(rows[inside], own=True)
    return OldDistance(measures), own
