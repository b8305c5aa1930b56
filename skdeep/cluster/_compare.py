"""The clusterer beside those that a user would have tried first."""

import time

import numpy as np
import scipy.sparse as sp
from scipy.sparse.csgraph import connected_components
from sklearn.base import clone
from sklearn.cluster import DBSCAN, HDBSCAN, AgglomerativeClustering, KMeans
from sklearn.metrics import normalized_mutual_info_score

from skdeep.cluster._hilander import HiLanderClusterer
from skdeep.cluster._levels import find_roots, link, unit_rows
from skdeep.metrics import bcubed_f_score, pairwise_f_score
from skdeep.neighbors import knn_graph
from skdeep.utils._validation import encode_labels

_THRESHOLDS = np.round(np.arange(0.05, 1, 0.05), 2)
_N_NEIGHBORS = 10


def compare_clusterers(
    X_train, y_train, X_test, y_test, *, estimators=None, random_state=None
):
    """Cluster rows of new classes in many ways.

    Whatever a clusterer needs to be told is chosen on the training rows, by the mean of
    pairwise and BCubed F; only KMeans is told the true number of test classes.

    Parameters
    ----------
    X_train : array-like of shape (n_train, n_features)
        Rows of known classes.

    y_train : array-like of shape (n_train,)
        Their classes.

    X_test : array-like of shape (n_test, n_features)
        Rows of other classes.

    y_test : array-like of shape (n_test,)
        Their classes, for the scores.

    estimators : dict of str to HiLanderClusterer, default=None
        What to compare with the others. None is the default, the built-in networks,
        and the mode of the paper.

    random_state : int, RandomState instance or None, default=None
        Seed of KMeans, and of the default `estimators`.

    Returns
    -------
    rows : list of dict
        ``"method"``, ``"setting"`` (what was chosen), ``"n_clusters"``,
        ``"pairwise_f"``, ``"bcubed_f"``, ``"nmi"``, ``"seconds"`` of processor time for
        choice, fit and clustering. ``pandas.DataFrame(rows)`` makes a table of them.

    Notes
    -----
    Agglomerative clustering takes memory for all pairs of rows. Rows that DBSCAN and
    HDBSCAN call noise count as clusters of one row.

    Examples
    --------
    >>> from sklearn.datasets import load_digits
    >>> from skdeep.cluster import compare_clusterers
    >>> X, y = load_digits(return_X_y=True)
    >>> known = y < 5
    >>> rows = compare_clusterers(
    ...     X[known], y[known], X[~known], y[~known], estimators={}, random_state=0
    ... )
    >>> [row["method"] for row in rows]  # doctest: +NORMALIZE_WHITESPACE
    ['KMeans, true number', 'agglomerative', 'DBSCAN', 'HDBSCAN', 'components',
     'tree of similarities']
    """
    sets = []
    for X, y in ((X_train, y_train), (X_test, y_test)):
        X = unit_rows(np.asarray(X, dtype=np.float32))
        sets.append((X, encode_labels(HiLanderClusterer(), y)[1]))
    (X_train, y_train), (X_test, y_test) = sets
    seed = random_state
    n_clusters = y_test.max() + 1
    rows = [
        measure(
            "KMeans, true number",
            lambda X, n: KMeans(n, n_init=3, random_state=seed).fit_predict(X),
            [n_clusters],
            sets,
        )
    ]
    for name, (cluster, settings) in CHOSEN_BY_THRESHOLD.items():
        rows.append(measure(name, cluster, settings, sets))
    if estimators is None:
        estimators = {
            "HiLander, built-in networks": None,
            "HiLander, paper": HiLanderClusterer(
                mode="paper", random_state=seed, **PAPER
            ),
            "HiLander": HiLanderClusterer(random_state=seed),
        }
    for name, estimator in estimators.items():
        start = time.process_time()
        if estimator is None:
            labels = HiLanderClusterer().fit_predict(X_test)
        else:
            labels = clone(estimator).fit(X_train, y_train).predict(X_test)
        rows.append(scores(name, None, labels, y_test, start))
    return rows


# the paper's recipe with fewer epochs; its rate of 0.01 learns nothing in so few
PAPER = {
    "tau": 0.8,
    "optimizer": "sgd",
    "optimizer_params": {"momentum": 0.9},
    "weight_decay": 1e-5,
    "lr": 0.1,
    "max_grad_norm": 5.0,
    "max_epochs": 30,
}


def measure(name, cluster, settings, sets):
    """Choose a setting on the training rows, and cluster the test rows with it."""
    (X_train, y_train), (X_test, y_test) = sets
    start = time.process_time()
    best = settings[0]
    if len(settings) > 1:
        values = [quality(y_train, cluster(X_train, setting)) for setting in settings]
        best = settings[int(np.argmax(values))]
    return scores(name, best, cluster(X_test, best), y_test, start)


def scores(name, setting, labels, y, start):
    """One row of the table."""
    return {
        "method": name,
        "setting": None if setting is None else float(setting),
        "n_clusters": len(np.unique(labels)),
        "pairwise_f": pairwise_f_score(y, labels),
        "bcubed_f": bcubed_f_score(y, labels),
        "nmi": float(normalized_mutual_info_score(y, labels)),
        "seconds": time.process_time() - start,
    }


def quality(y, labels):
    """Mean of pairwise F and BCubed F."""
    return (pairwise_f_score(y, labels) + bcubed_f_score(y, labels)) / 2


def alone(labels):
    """Noise as clusters of one row."""
    noise = labels < 0
    labels = labels.copy()
    labels[noise] = labels.max(initial=-1) + 1 + np.arange(noise.sum())
    return labels


def agglomerative(X, threshold):
    """Average linkage up to a cosine distance."""
    model = AgglomerativeClustering(
        None, metric="cosine", linkage="average", distance_threshold=threshold
    )
    return model.fit_predict(X)


def dbscan(X, eps):
    """DBSCAN on cosine distances."""
    return alone(DBSCAN(eps=eps, min_samples=5, metric="cosine").fit_predict(X))


def hdbscan(X, min_cluster_size):
    """HDBSCAN on unit rows."""
    return alone(HDBSCAN(int(min_cluster_size), copy=True).fit_predict(X))


def components(X, least_similarity):
    """Connected components of the neighbour graph, from a similarity on."""
    neighbors, similarity = nearest(X)
    near = similarity >= least_similarity
    ends = np.nonzero(near)[0], neighbors[near]
    links = sp.coo_array((np.ones(len(ends[0]), bool), ends), (len(X), len(X)))
    return connected_components(links, directed=False)[1]


def tree(X, least_similarity):
    """Links to the nearest denser neighbour, as in the paper but without a network."""
    neighbors, similarity = nearest(X)
    parent, _ = link(neighbors, similarity, similarity.mean(1), least_similarity)
    return np.unique(find_roots(parent), return_inverse=True)[1]


def nearest(X):
    """Neighbour graph of few neighbours."""
    return knn_graph(X, min(_N_NEIGHBORS, len(X) - 1))


CHOSEN_BY_THRESHOLD = {
    "agglomerative": (agglomerative, _THRESHOLDS),
    "DBSCAN": (dbscan, _THRESHOLDS),
    "HDBSCAN": (hdbscan, (5, 10, 20, 40)),
    "components": (components, _THRESHOLDS),
    "tree of similarities": (tree, _THRESHOLDS),
}
