"""What the shape of a neighbour graph tells about its edges.

The numbers depend on similarities and on who is whose neighbour, never on coordinates:
a network that reads them works for any embedding of any dimension.
"""

from dataclasses import dataclass

import numpy as np
import scipy.sparse as sp

from skdeep.cluster._levels import density

N_STRUCTURAL = 20
N_REFINED = 16
_LEAST_STEP = 1e-4  # added to a probability before its logarithm


@dataclass
class EdgeFeatures:
    """Features of the edges of a graph, before they are spread over its edges.

    Parameters
    ----------
    neighbors : ndarray of shape (n, k), dtype int64
        The graph.

    of_edges : list of ndarray of shape (n, k)
        Numbers about an edge.

    of_nodes : list of ndarray of shape (n,)
        Numbers about a node; an edge takes those of both its ends.

    coordinates : ndarray of shape (n, d) or None, default=None
        Rows of whose coordinates an edge takes the d products.
    """

    neighbors: np.ndarray
    of_edges: list
    of_nodes: list
    coordinates: np.ndarray | None = None

    @property
    def n_features(self):
        n_products = 0 if self.coordinates is None else self.coordinates.shape[1]
        return len(self.of_edges) + 2 * len(self.of_nodes) + n_products

    def take(self, rows):
        """Features of the edges of some nodes.

        Parameters
        ----------
        rows : slice or ndarray of int
            The nodes.

        Returns
        -------
        features : ndarray of shape (n_rows, k, n_features), dtype float32
        """
        neighbors = self.neighbors[rows]
        features = np.empty((self.n_features, *neighbors.shape), np.float32)
        for number, values in enumerate(self.of_edges):
            features[number] = values[rows]
        for number, values in enumerate(self.of_nodes, len(self.of_edges)):
            features[number] = values[rows][:, None]
            features[number + len(self.of_nodes)] = values[neighbors]
        if self.coordinates is not None:
            X = self.coordinates
            products = np.moveaxis(features[-X.shape[1] :], 0, -1)
            np.multiply(X[rows][:, None], X[neighbors], out=products)
        return np.moveaxis(features, 0, -1)  # written feature by feature: twice as fast

    def __add__(self, other):
        return EdgeFeatures(
            self.neighbors,
            self.of_edges + other.of_edges,
            self.of_nodes + other.of_nodes,
            self.coordinates,
        )


def level_features(level, reverse, kind):
    """Describe the edges of a level.

    Parameters
    ----------
    level : Level
        The graph.

    reverse : ndarray of shape (n, k), dtype int64
        From `find_reverse`.

    kind : {"structural", "embedding", "both"}
        `structural_features`, the similarity and the products of the coordinates of
        both ends, or all of them.

    Returns
    -------
    features : EdgeFeatures
    """
    if kind == "embedding":
        return EdgeFeatures(level.neighbors, [level.similarity], [], level.features)
    features = structural_features(level, reverse)
    if kind == "both":
        features.coordinates = level.features
    return features


def n_level_features(kind, n_coordinates):
    """Number of features that `level_features` gives for rows of a size."""
    return {
        "structural": N_STRUCTURAL,
        "embedding": 1 + n_coordinates,
        "both": N_STRUCTURAL + n_coordinates,
    }[kind]


def structural_features(level, reverse):
    """Describe the edges of a level by its similarities.

    Shared neighbours, mutuality, the similarity beside those of other neighbours, a
    random walk of one and two steps, and the similarity after smoothing the features
    over the graph.

    Parameters
    ----------
    level : Level
        The graph.

    reverse : ndarray of shape (n, k), dtype int64
        From `find_reverse`.

    Returns
    -------
    features : EdgeFeatures
        12 numbers about an edge and 4 about a node: 20 features.

    Notes
    -----
    O(n k (k + d)).
    """
    a, neighbors = level.similarity, level.neighbors
    n, k = neighbors.shape
    shared = shared_neighbors(neighbors)
    back = at_reverse(a, reverse)
    # a high power, so that a step seldom leaves a cluster; larger of both directions
    walk = Graph(neighbors, np.maximum(a, back) ** 4, reverse)
    smooth = _smooth_similarities(walk, level.features)
    best = a[:, 0]
    of_edges = [
        a,
        shared,
        (reverse >= 0).astype(np.float32),
        a - best[:, None],
        a - best[neighbors],
        np.broadcast_to(np.arange(k, dtype=np.float32) / k, (n, k)),
        *walk.overlap_and_steps()[1],
        *smooth,
        *(values - values.max(axis=1, keepdims=True) for values in smooth),
    ]
    in_degree = np.bincount(neighbors.ravel(), minlength=n)
    of_nodes = [a.mean(1), a[:, -1], shared.mean(1), np.log1p(in_degree)]
    return EdgeFeatures(neighbors, of_edges, of_nodes)


def refined_features(level, reverse, probability):
    """Describe the edges of a level once more, now by the links found before.

    Parameters
    ----------
    level : Level
        The graph.

    reverse : ndarray of shape (n, k), dtype int64
        From `find_reverse`.

    probability : ndarray of shape (n, k), dtype float32
        First answer of the network.

    Returns
    -------
    features : EdgeFeatures
        8 numbers about an edge and 4 about a node: 16 features.

    Notes
    -----
    O(n k (k + d)).
    """
    neighbors = level.neighbors
    back = at_reverse(probability, reverse)
    links = Graph(neighbors, (probability + back) / 2, reverse)
    odds = np.log(probability + 1e-6) - np.log1p(1e-6 - probability)
    overlap, steps = links.overlap_and_steps()
    strength = links.squares()
    alike = overlap / np.maximum(
        strength[:, None] + strength[neighbors] - overlap, 1e-9
    )
    of_edges = [odds, back, alike, overlap, *steps]
    of_edges += _smooth_similarities(links, level.features, keep=0)
    heights = density(probability, level.similarity)
    of_nodes = [links.degrees, probability.mean(1), probability.max(1), heights]
    return EdgeFeatures(neighbors, of_edges, of_nodes)


def shared_neighbors(neighbors):
    """Jaccard index of the neighbours of both ends, each counted as its own neighbour."""
    from skdeep.cluster._kernels import count_common

    common, k = count_common(neighbors), neighbors.shape[1]
    return common / (2 * (k + 1) - common)


def at_reverse(values, reverse):
    """Values of the opposite edges, 0 where there is none."""
    return np.where(reverse >= 0, values.ravel()[reverse], 0).astype(values.dtype)


class Graph:
    """A weighted graph without directions, and random walks on it.

    Parameters
    ----------
    neighbors : ndarray of shape (n, k), dtype int64
        Directed graph whose edges count in both directions.

    weights : ndarray of shape (n, k), dtype float32
        Weights of the edges; the same for an edge and the one back.

    reverse : ndarray of shape (n, k), dtype int64
        From `find_reverse`.
    """

    def __init__(self, neighbors, weights, reverse):
        n, k = neighbors.shape
        self.neighbors, self.weights, self.reverse = neighbors, weights, reverse
        # small integers halve what the loops over the matrix have to read
        kind = np.int32 if 2 * n * k < 2**31 else np.int64
        columns = neighbors.ravel().astype(kind)
        starts = np.arange(0, n * k + 1, k, dtype=kind)
        out = sp.csr_array((weights.ravel(), columns, starts), (n, n))
        one_way = np.where(reverse >= 0, 0, weights).ravel()
        back = sp.csr_array((one_way, columns, starts), (n, n))
        self.matrix = out + back.T.tocsr()
        self.degrees = np.asarray(self.matrix.sum(axis=1)).ravel()

    def squares(self):
        """Sum of the squared weights around each node."""
        return np.asarray(self.matrix.multiply(self.matrix).sum(axis=1)).ravel()

    def overlap_and_steps(self):
        """Products of the rows of both ends of each edge, and random walks along it.

        Returns
        -------
        overlap : ndarray of shape (n, k)

        steps : list of two ndarray of shape (n, k)
            Log-probability of a walk of one or two steps, along each edge and back.
        """
        from skdeep.cluster._kernels import products_at

        S, degrees = self.matrix, np.maximum(self.degrees, 1e-12)
        overlap, weighted = products_at(
            self.neighbors, self.reverse, S.indptr, S.indices, S.data, 1 / degrees
        )
        two_steps = self.weights + weighted
        ends = degrees[:, None], degrees[self.neighbors]
        return overlap, [np.log(two_steps / (2 * end) + _LEAST_STEP) for end in ends]

    def smooth(self, X, keep):
        """Average rows over neighbours, (n, d) -> (n, d) of length one."""
        from skdeep.cluster._kernels import average_rows

        S = self.matrix
        return average_rows(S.indptr, S.indices, S.data, X, np.float32(keep))


def _smooth_similarities(graph, X, keep=1):
    """Cosine similarity along the edges after smoothing once and twice."""
    from skdeep.cluster._kernels import cosines_at

    values = []
    for _ in range(2):
        X = graph.smooth(X, keep)
        values.append(cosines_at(X, graph.neighbors))
    return values
