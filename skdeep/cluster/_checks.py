"""Refusal of labels, groups and distances that cannot be worked with."""

import warnings

import numpy as np
import scipy.sparse as sp

from skdeep.cluster._result import ClusterResult
from skdeep.exceptions import InvalidParameterError
from skdeep.utils._validation import plain_labels

_LARGEST_COSINE_DISTANCE = 2 + 1e-6


def needs_labels(est):
    """Whether the networks read coordinates: none of the built-in ones does."""
    return est.mode == "paper" or est.edge_features != "structural"


def check_combination(est, y, groups):
    """Refuse parameters and arguments that contradict each other."""
    paper, reads_coordinates = est.mode == "paper", needs_labels(est)
    if y is None and reads_coordinates:
        raise ValueError(
            f"{type(est).__name__} requires y to be passed, but the target y is None: "
            "the built-in networks are for mode='structural' and "
            "edge_features='structural' only."
        )
    if y is None and groups is not None:
        raise ValueError("`groups` have a meaning only with `y`; leave them out.")
    sizes = len(est.fit_neighbors), len(est.fit_levels)
    if paper and (sizes[0] != sizes[1] or sizes[0] == 0):
        raise InvalidParameterError(
            "`fit_neighbors` and `fit_levels` must be equally long and not empty, but "
            f"have {sizes[0]} and {sizes[1]} items."
        )
    if reads_coordinates and est.metric == "precomputed":
        raise InvalidParameterError(
            "metric='precomputed' has no coordinates to read: it needs "
            "mode='structural' with edge_features='structural'."
        )
    if reads_coordinates and est.allow_other_dim:
        refuse_other_dim()


def check_other_dim(est):
    """Refuse rows of other dimensions for networks that read coordinates."""
    if est._module_args["mode"] == "paper" or est._edge_kind != "structural":
        refuse_other_dim()


def refuse_other_dim():
    raise InvalidParameterError(
        "allow_other_dim=True needs mode='structural' with edge_features='structural': "
        "other networks read coordinates."
    )


def check_classes(y):
    """Refuse labels that tell nothing about which rows belong together."""
    sizes = np.bincount(y)
    if len(sizes) < 2:
        raise ValueError(
            "HiLanderClusterer learns to tell classes apart, but y has 1 class only. "
            "Give rows of at least 2 classes, or y=None for the built-in networks."
        )
    if sizes.max() < 2:
        raise ValueError(
            "HiLanderClusterer learns from rows that belong together, but each of the "
            f"{len(sizes)} classes in y has 1 row only: no positive pair. Give more rows "
            "per class, or y=None for the built-in networks."
        )


def split_groups(groups, n):
    """Indices of the rows of each group."""
    if groups is None:
        return [np.arange(n)]
    groups = np.asarray(groups)
    if groups.ndim == 1:
        groups = plain_labels(groups, "groups")
    if groups.shape != (n,):
        raise ValueError(
            f"`groups` must hold one entry per row, {n}, but has shape {groups.shape}."
        )
    _, code = np.unique(groups, return_inverse=True)
    return [np.flatnonzero(code == number) for number in range(code.max() + 1)]


def check_distances(estimator, X, reset):
    """Square CSR matrix of distances that are not negative."""
    if not sp.issparse(X) or X.shape[0] != X.shape[1]:
        kind = "an array" if not sp.issparse(X) else f"of shape {X.shape}"
        raise ValueError(
            "With metric='precomputed' X must be a square sparse matrix of cosine "
            f"distances between the rows to cluster, but it is {kind}. Use "
            "KNeighborsTransformer(metric='cosine', mode='distance').fit_transform."
        )
    if not X.shape[0]:
        raise ValueError(
            "Found array with 0 sample(s) while a minimum of 1 is required."
        )
    X = sp.csr_array(X)
    if not np.isfinite(X.data).all() or X.data.min(initial=0) < 0:
        raise ValueError("Precomputed distances must be finite and not negative.")
    largest = X.data.max(initial=0)
    if largest > _LARGEST_COSINE_DISTANCE:
        raise ValueError(
            f"X holds distances up to {largest:.3g}, but cosine distances are at most 2. "
            "Use KNeighborsTransformer(metric='cosine', mode='distance')."
        )
    if X.nnz > X.shape[0] and X.data.min() >= 1:
        warnings.warn(
            "All precomputed distances are 1 or more: no row is similar to another, so "
            "each is a cluster of its own. Give cosine distances, not a graph of ones.",
            UserWarning,
            stacklevel=6,
        )
    if reset:
        estimator.n_features_in_ = X.shape[1]
    return X


def check_extendable(est, result):
    """Refuse to add rows to clusters whose rows are not there."""
    if est.metric == "precomputed":
        raise ValueError(
            "metric='precomputed' has no rows to compare new ones with; use "
            "metric='cosine' with the rows themselves."
        )
    if not isinstance(result, ClusterResult):
        raise TypeError(
            "`result` must be a ClusterResult, as `cluster` and `result_` give it; got "
            f"{type(result).__name__}."
        )
    if result.graph is None:
        raise ValueError(
            "The clusters to extend come without their graph: those of a fit with "
            "labels, of a single row, and of rows of which some are zeros do. Give "
            "result=clusterer.cluster(X) with other rows to start from."
        )


def check_alike(result, rows):
    """Refuse rows of another kind than those of the clusters."""
    n_features = result.graph[0].shape[1]
    if rows.features.shape[1] != n_features or not rows.is_dense:
        raise ValueError(
            f"X must be dense rows with {n_features} features like those of the "
            "clusters to extend."
        )
