"""Clusterers of others: for each a function from unit rows to labels, and its grid.

Each function builds all it needs from the rows, so that its CPU seconds are those of a
user who has rows and wants clusters. The graph of the graph methods joins each row with
its `k` nearest rows, both ways, and weighs an edge by its cosine similarity.
"""

import random
from importlib.util import find_spec

import numpy as np
import scipy.sparse as sp
from sklearn.cluster import (
    DBSCAN,
    HDBSCAN,
    AgglomerativeClustering,
    KMeans,
    MiniBatchKMeans,
)
from sklearn.neighbors import NearestNeighbors

# pairwise distances of more rows than these take many gigabytes
LARGEST_DENSE = 20_000


def nearest(X, k):
    """Indices of the `k` nearest rows of each row, itself left out, and similarities."""
    search = NearestNeighbors(n_neighbors=k, algorithm="brute").fit(X)
    distances, indices = search.kneighbors()
    return indices, np.clip(1 - distances**2 / 2, 1e-6, 1)


def neighbour_graph(X, k):
    """Symmetric k-NN graph as a sparse matrix of similarities."""
    indices, similarities = nearest(X, k)
    starts = np.arange(0, indices.size + 1, k)
    graph = sp.csr_matrix(
        (similarities.ravel(), indices.ravel(), starts), (len(X), len(X))
    )
    return graph.maximum(graph.T)


def edges_of(graph):
    """Each edge once: rows, columns, weights."""
    upper = sp.triu(graph, 1).tocoo()
    return upper.row, upper.col, upper.data


def noise_alone(labels):
    """A cluster of its own for each row that is marked as noise."""
    noise = labels < 0
    own = labels.max() + 1 + np.arange(noise.sum())
    labels = labels.copy()
    labels[noise] = own
    return labels


def kmeans(X, n_clusters):
    """KMeans with three starts; in mini-batches of 4096 if there are many rows."""
    if len(X) > LARGEST_DENSE:
        model = MiniBatchKMeans(
            n_clusters, n_init=3, batch_size=4096, max_iter=100, random_state=0
        )
    else:
        model = KMeans(n_clusters, n_init=3, random_state=0)
    return model.fit_predict(X)


def average_linkage(X, threshold):
    """Average cosine distance up to a threshold."""
    return AgglomerativeClustering(
        None, metric="cosine", linkage="average", distance_threshold=threshold
    ).fit_predict(X)


def ward_linkage(X, threshold):
    """Ward's criterion up to a threshold."""
    return AgglomerativeClustering(
        None, linkage="ward", distance_threshold=threshold
    ).fit_predict(X)


def dbscan(X, eps, min_samples):
    """DBSCAN on cosine distances; rows of noise stay alone."""
    model = DBSCAN(eps=eps, min_samples=min_samples, metric="cosine")
    return noise_alone(model.fit_predict(X))


def hdbscan(X, **params):
    """HDBSCAN on Euclidean distances of unit rows; rows of noise stay alone."""
    return noise_alone(HDBSCAN(copy=True, **params).fit_predict(X))


def leiden(X, k, objective, resolution):
    """Leiden of igraph, iterated until nothing moves."""
    from igraph import Graph

    rows, columns, weights = edges_of(neighbour_graph(X, k))
    graph = Graph(n=len(X), edges=np.column_stack([rows, columns]))
    random.seed(0)  # igraph draws from the module `random`
    found = graph.community_leiden(
        objective, weights=weights.tolist(), resolution=resolution, n_iterations=-1
    )
    return np.asarray(found.membership)


def leiden_modularity(X, k, resolution):
    return leiden(X, k, "modularity", resolution)


def leiden_cpm(X, k, resolution):
    return leiden(X, k, "CPM", resolution)


def infomap(X, k, markov_time):
    """Infomap with two levels."""
    from infomap import Infomap

    model = Infomap(silent=True, two_level=True, seed=1, markov_time=markov_time)
    rows, columns, weights = edges_of(neighbour_graph(X, k))
    model.add_links(zip(rows.tolist(), columns.tolist(), weights.tolist()))
    modules = model.run().modules()
    return np.asarray([modules[i] for i in range(len(X))])


def scikit_network_leiden(X, k, resolution):
    from sknetwork.clustering import Leiden

    model = Leiden(resolution, random_state=0)
    return model.fit_predict(neighbour_graph(X, k))


def scikit_network_louvain(X, k, resolution):
    from sknetwork.clustering import Louvain

    model = Louvain(resolution, random_state=0)
    return model.fit_predict(neighbour_graph(X, k))


def finch_partitions(X):
    """All partitions of FINCH, finest first, as columns; first neighbours are exact."""
    from finch import FINCH

    first = nearest(X, 1)[0].ravel()
    return FINCH(X, initial_rank=first, distance="cosine", random_state=0)[0]


def finch(X, partition):
    """The partition with a given number, or the last one."""
    found = finch_partitions(X)
    return found[:, min(partition, found.shape[1] - 1)]


def finch_near(X, n_clusters):
    """The partition with the number of clusters that is nearest to one given."""
    found = finch_partitions(X)
    counts = found.max(axis=0) + 1.0
    return found[:, np.abs(np.log(counts / n_clusters)).argmin()]


K = [5, 10, 20, 40, 80]
MODULARITY = {"k": K, "resolution": [0.5, 1, 2, 4, 8, 16, 32, 64, 128]}

# name -> function, grid, module that has to be installed
TUNED = {
    "Agglomerative, average cosine": (
        average_linkage,
        {"threshold": np.linspace(0.2, 0.95, 16).round(2)},
        "sklearn",
    ),
    "Agglomerative, Ward": (
        ward_linkage,
        {"threshold": np.geomspace(0.8, 16, 16).round(2)},
        "sklearn",
    ),
    "DBSCAN": (
        dbscan,
        {"eps": np.linspace(0.05, 0.6, 12).round(2), "min_samples": [1, 2, 5, 10, 20]},
        "sklearn",
    ),
    "HDBSCAN": (
        hdbscan,
        {
            "min_cluster_size": [2, 5, 10, 20, 40],
            "min_samples": [1, 5],
            "cluster_selection_method": ["eom", "leaf"],
        },
        "sklearn",
    ),
    "HDBSCAN()": (hdbscan, {}, "sklearn"),
    "Leiden, modularity": (leiden_modularity, MODULARITY, "igraph"),
    "Leiden, CPM": (
        leiden_cpm,
        {"k": K, "resolution": np.geomspace(0.001, 0.5, 16).round(4)},
        "igraph",
    ),
    "Infomap": (
        infomap,
        {"k": K, "markov_time": [0.5, 0.75, 1, 1.5, 2, 3]},
        "infomap",
    ),
    "scikit-network Leiden": (scikit_network_leiden, MODULARITY, "sknetwork"),
    "scikit-network Louvain": (scikit_network_louvain, MODULARITY, "sknetwork"),
    "FINCH, partition by number": (finch, {"partition": [0, 1, 2, 3, 4]}, "finch"),
}


def tuned_peers():
    """Name -> function and grid of the peers that are installed."""
    return {
        name: (function, grid)
        for name, (function, grid, module) in TUNED.items()
        if find_spec(module)
    }


def counted_peers(y_fit, X, y):
    """Name -> function and parameters of what has to be told a number of clusters.

    Without the truth there are two guesses: as many as there are if new classes have the
    mean size of those known (which is exact where all classes have one size), and the
    square root of half the number of rows.
    """
    truth = len(np.unique(y))
    by_size = max(1, round(len(X) * len(np.unique(y_fit)) / len(y_fit)))
    peers = {
        "KMeans, true number": (kmeans, {"n_clusters": truth}),
        "KMeans, n / known mean size": (kmeans, {"n_clusters": by_size}),
        "KMeans, sqrt(n / 2)": (kmeans, {"n_clusters": round((len(X) / 2) ** 0.5)}),
    }
    if find_spec("finch"):
        peers["FINCH, n / known mean size"] = (finch_near, {"n_clusters": by_size})
    return peers
