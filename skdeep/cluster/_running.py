"""Steps of `HiLanderClusterer.predict`: from rows to a `ClusterResult`."""

import warnings

import numpy as np

from skdeep.cluster._levels import Forest, Level, Nodes, density, find_roots, grow, link
from skdeep.cluster._paper_inference import link_probability
from skdeep.cluster._result import ClusterResult
from skdeep.cluster._rows import graph_rows, prepare
from skdeep.cluster._search import make_search, measure_recall
from skdeep.cluster._structural import RowGraph, cluster
from skdeep.neighbors import knn_graph

MOST_NEIGHBORS = 80  # of those that "auto" compares
_NO_EDGES = (np.empty(0, np.int64), np.empty(0, np.int64), np.empty(0, np.float32))


def settled(est, name, default=None):
    """Value of a parameter; what `fit` has settled, or a default, for "auto"."""
    value = getattr(est, name)
    if not isinstance(value, str) or value != "auto":
        return value
    return getattr(est, f"{name}_") if default is None else default


def rows_of(est, X):
    """`Rows` of validated input."""
    if est.metric != "precomputed":
        return prepare(X)
    is_auto = isinstance(est.n_neighbors, str)
    return graph_rows(X, MOST_NEIGHBORS if is_auto else est.n_neighbors)


def search_of(est):
    """Neighbour search of an estimator."""
    return make_search(est.knn, est.n_jobs, est._knn_seed)


def node_feature_of(est):
    """What represents a cluster in the next graph."""
    if est.node_feature != "auto":
        return est.node_feature
    return "peak" if est.mode == "paper" else "mean"


def decoding(est):
    """How clusters are cut out of probabilities."""
    return {
        "decode": est.decode,
        "tau": settled(est, "tau"),
        "resolution": settled(est, "resolution"),
        "min_inside": est.min_inside,
        "node_feature": node_feature_of(est),
    }


def neighbors_for(est, rows):
    """Number of neighbours, or as many as there are."""
    wanted = settled(est, "n_neighbors")
    if wanted < len(rows):
        return wanted
    if est.n_neighbors != "auto":
        warnings.warn(
            f"n_neighbors={wanted}, but there are only {len(rows)} rows (of zeros "
            f"apart); each has {len(rows) - 1} neighbors.",
            UserWarning,
            stacklevel=4,
        )
    return len(rows) - 1


def run_clusterer(est, rows, graph=None):
    """Cluster rows by the trained network.

    Parameters
    ----------
    est : HiLanderClusterer
        Fitted.

    rows : Rows
        What to cluster.

    graph : RowGraph or None, default=None
        Graph with probabilities, if it is there already.

    Returns
    -------
    result : ClusterResult
        Rows of zeros are clusters of their own.
    """
    tau = settled(est, "tau")
    if len(rows) < 2:
        forest, rest, kept = Forest.of_rows(len(rows)), _NO_EDGES, None
        recall = 1.0
    else:
        search = search_of(est)
        run = run_paper if est._module_args["mode"] == "paper" else run_structural
        forest, rest, kept = run(est, rows, search, graph)
        recall = 1.0
        if rows.is_dense and est.knn not in ("exact", "faiss"):
            recall = measure_recall(rows.features, kept[1])
    result = ClusterResult(
        labels=forest.labels,
        parent=forest.parent,
        parent_proba=forest.parent_proba,
        density=forest.density,
        level_labels=forest.level_labels,
        level_sizes=forest.log,
        tau=tau,
        open_edges=rest,
        knn_recall=recall,
        graph=kept,
    )
    return result if rows.kept is None else spread(result, rows)


def run_structural(est, rows, search, graph):
    """Clusters of the default mode."""
    if graph is None:
        level = rows.graph(neighbors_for(est, rows), search)
        graph = RowGraph.linked(level, est._edge_kind, est.module_)
    forest, rest = cluster(
        graph,
        est.module_,
        **decoding(est),
        max_levels=est.max_levels,
        search=search,
    )
    level = graph.level
    kept = rows.features, level.neighbors, level.similarity, graph.probability
    return forest, rest, kept


def run_paper(est, rows, search, graph):
    """Clusters of the published recursion."""
    k = neighbors_for(est, rows)
    level = rows.graph(k, search)
    found = []

    def model(level):
        found.append(link_probability(est.module_, level, est.device_))
        return found[-1]

    forest = grow(
        rows.features,
        model,
        n_neighbors=k,
        tau=settled(est, "tau"),
        max_levels=est.max_levels,
        early_stop=est.level_stop,
        min_nodes=k + 2,
        threshold=est.threshold,
        break_ties=False,
        node_feature=node_feature_of(est),
        search=search,
        first_level=level,
    )
    kept = rows.features, level.neighbors, level.similarity, found[0]
    return forest, _NO_EDGES, kept


def spread(result, rows):
    """Put rows of zeros back in, each a cluster of its own."""
    n, kept = rows.n_samples, rows.kept
    parent, proba, heights = (
        np.arange(n),
        np.zeros(n, np.float32),
        np.zeros(n, np.float32),
    )
    parent[kept] = kept[result.parent]
    proba[kept], heights[kept] = result.parent_proba, result.density
    ends, others, probability = result.open_edges
    return ClusterResult(
        labels=number(parent),
        parent=parent,
        parent_proba=proba,
        density=heights,
        level_labels=[put_back(labels, kept, n) for labels in result.level_labels],
        level_sizes=result.level_sizes,
        tau=result.tau,
        open_edges=(kept[ends], kept[others], probability),
        knn_recall=result.knn_recall,
        graph=None,
    )


def put_back(labels, kept, n):
    """Labels of all rows, those left out last and each by itself."""
    all_labels = np.empty(n, np.int64)
    all_labels[kept] = labels
    left = np.setdiff1d(np.arange(n), kept)
    all_labels[left] = labels.max(initial=-1) + 1 + np.arange(len(left))
    return all_labels


def number(parent):
    """Clusters 0, 1, ... of a forest in the order of their roots."""
    return np.unique(find_roots(parent), return_inverse=True)[1].astype(np.int64)


def join(results, parts, n):
    """One result for rows that were clustered in several graphs.

    Parameters
    ----------
    results : list of ClusterResult
        Of the parts.

    parts : list of ndarray
        Indices of the rows of each part.

    n : int
        Number of rows.
    """
    if len(results) == 1:
        return results[0]
    parent, proba, heights = (
        np.arange(n),
        np.zeros(n, np.float32),
        np.zeros(n, np.float32),
    )
    edges = []
    for result, index in zip(results, parts):
        parent[index] = index[result.parent]
        proba[index], heights[index] = result.parent_proba, result.density
        ends, others, probability = result.open_edges
        edges.append((index[ends], index[others], probability))
    return ClusterResult(
        labels=number(parent),
        parent=parent,
        parent_proba=proba,
        density=heights,
        level_labels=[],
        level_sizes=[],
        tau=results[0].tau,
        open_edges=tuple(np.concatenate(column) for column in zip(*edges)),
        knn_recall=float(np.mean([result.knn_recall for result in results])),
    )


def attach(est, result, rows):
    """Clusters of further rows, beside those that are there.

    A row joins the cluster of level 0 that gains most by it, as in `partition`, unless
    less than `min_inside` of its links to known rows lead into that cluster; with
    trees, the one whose links to it are most probable in sum, if one of them exceeds
    `tau`. What is left over links among itself.

    Parameters
    ----------
    est : HiLanderClusterer
        Fitted.

    result : ClusterResult
        With its graph.

    rows : Rows
        Further rows.

    Returns
    -------
    labels : ndarray of shape (n_rows,), dtype int64
        Known clusters keep their numbers, new ones follow.
    """
    known, neighbors, similarity, _ = result.graph
    n_known, k, tau = len(known), neighbors.shape[1], result.tau
    X = np.concatenate([known, rows.features])
    new = np.arange(n_known, len(X))
    found, near = neighbors_of_some(X, new, k)
    level = Level(
        **vars(Nodes.of_rows(X)),
        neighbors=np.concatenate([neighbors, found]),
        similarity=np.concatenate([similarity, np.clip(near, 0, 1)]),
    )
    probability = link_all(est, level)
    heights = density(probability, level.similarity)
    is_known, mine = found < n_known, probability[new]
    by_gain = est._module_args["mode"] == "structural" and est.decode == "partition"
    base = result.level_labels[0] if by_gain else result.labels
    votes = np.where(is_known, mine**2 / 2 if by_gain else mine, 0)
    target = np.where(is_known, base[np.where(is_known, found, 0)], -1)
    same = target[:, :, None] == target[:, None, :]  # (n_rows, k, k)
    worth = (same * votes[:, None, :]).sum(2)
    if by_gain:
        worth -= settled(est, "resolution") * np.bincount(base)[target]
    worth = np.where(is_known, worth, -np.inf)
    winner = worth.argmax(1)
    if by_gain:
        owner = np.where(is_known, result.labels[np.where(is_known, found, 0)], -1)
        home = np.take_along_axis(owner, winner[:, None], 1)
        known_links = np.where(is_known, mine, 0)
        inside = np.where(owner == home, known_links, 0).sum(1)
        joins = (worth.max(1) > 0) & (inside >= est.min_inside * known_links.sum(1))
    else:
        joins = np.where(is_known, mine, 0).max(1) > tau
    parent, _ = link(
        level.neighbors,
        np.where(level.neighbors < n_known, -1, probability),
        heights,
        tau,
    )
    parent[:n_known] = np.arange(n_known)
    parent[new[joins]] = found[joins, winner[joins]]
    roots = find_roots(parent)[new]
    labels = np.empty(len(new), np.int64)
    at_home = roots < n_known
    labels[at_home] = result.labels[roots[at_home]]
    labels[~at_home] = np.unique(roots[~at_home], return_inverse=True)[1]
    labels[~at_home] += result.n_clusters
    return labels


def neighbors_of_some(X, rows, k):
    """Neighbours, other than themselves, of some rows among all."""
    found, near = knn_graph(X, min(k + 1, len(X)), queries=X[rows])
    own = found == rows[:, None]
    own[~own.any(axis=1), -1] = True  # behind too many duplicates: drop the last
    shape = len(rows), found.shape[1] - 1
    return found[~own].reshape(shape), near[~own].reshape(shape)


def link_all(est, level):
    """Link probabilities of level 0."""
    if est._module_args["mode"] == "paper":
        return link_probability(est.module_, level, est.device_)
    return RowGraph.linked(level, est._edge_kind, est.module_).probability
