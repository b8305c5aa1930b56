"""A clustering in one page: sizes, purity, split classes, merged clusters, scores."""

import numpy as np

from skdeep.metrics._cluster import bcubed_of, nmi_of, pairwise_of
from skdeep.metrics._contingency import count_cells

QUANTILES = {"min": 0, "25%": 0.25, "50%": 0.5, "75%": 0.75, "max": 1}


def cluster_report(y_true, y_pred, *, output_dict=False):
    """Sizes, purity and scores of a clustering, to read or to compute with.

    Parameters
    ----------
    y_true : array-like of shape (n_samples,)
        Class of each row; any hashable labels.

    y_pred : array-like of shape (n_samples,)
        Cluster of each row; any hashable labels, which need not be those of `y_true`.

    output_dict : bool, default=False
        Whether to return a dict rather than text.

    Returns
    -------
    report : str or dict
        The dict has the keys

        n_samples, n_classes, n_clusters : int
            Numbers of rows, of classes and of clusters.
        n_singleton_classes, n_singleton_clusters : int
            Those with one row.
        n_split_classes, n_merged_clusters : int
            Classes in more than one cluster; clusters of more than one class.
        class_sizes, cluster_sizes : dict of str to float
            Their quantiles "min", "25%", "50%", "75%" and "max".
        purity, inverse_purity : float
            Share of the rows that belong to the most frequent class of their cluster,
            and that are in the most frequent cluster of their class.
        pairwise, bcubed : dict of str to float
            "precision", "recall" and "fscore".
        nmi : float
            Mutual information over the mean of the two entropies.

    See Also
    --------
    sklearn.metrics.classification_report : The same for predicted classes.

    Notes
    -----
    O(n_samples log n_samples) time for sorts of integers, O(n_samples) memory. A label
    for noise, such as -1, is a cluster like any other.

    Examples
    --------
    >>> from skdeep.metrics import cluster_report
    >>> print(cluster_report(list("aaabbc"), [0, 0, 1, 1, 2, 3]))
                    precision    recall    fscore
    <BLANKLINE>
          pairwise      0.500     0.250     0.333
            bcubed      0.833     0.611     0.705
    <BLANKLINE>
                      classes  clusters
    <BLANKLINE>
            number          3         4
        singletons          1         2
      split/merged          2         1
          min size          1         1
          25% size        1.5         1
          50% size          2       1.5
          75% size        2.5         2
          max size          3         2
    <BLANKLINE>
               nmi      0.667
            purity      0.833
    inverse purity      0.667
           samples          6
    >>> report = cluster_report(list("aaabbc"), [0, 0, 1, 1, 2, 3], output_dict=True)
    >>> report["n_split_classes"], report["pairwise"]["recall"]
    (2, 0.25)
    """
    report = _report(count_cells(y_true, y_pred))
    return report if output_dict else _as_text(report)


def _report(table):
    """All numbers of the report, as plain Python numbers."""
    names = ("precision", "recall", "fscore")
    clusters_of_class = np.bincount(table.cell_class)
    classes_of_cluster = np.bincount(table.cell_cluster)
    return {
        "n_samples": table.n_samples,
        "n_classes": len(table.class_sizes),
        "n_clusters": len(table.cluster_sizes),
        "n_singleton_classes": int(np.sum(table.class_sizes == 1)),
        "n_singleton_clusters": int(np.sum(table.cluster_sizes == 1)),
        "n_split_classes": int(np.sum(clusters_of_class > 1)),
        "n_merged_clusters": int(np.sum(classes_of_cluster > 1)),
        "class_sizes": _quantiles(table.class_sizes),
        "cluster_sizes": _quantiles(table.cluster_sizes),
        "purity": _share_of_largest(table.cell_sizes, table.cell_cluster),
        "inverse_purity": _share_of_largest(table.cell_sizes, table.cell_class),
        "pairwise": dict(zip(names, pairwise_of(table))),
        "bcubed": dict(zip(names, bcubed_of(table))),
        "nmi": nmi_of(table),
    }


def _quantiles(sizes):
    return dict(zip(QUANTILES, np.quantile(sizes, list(QUANTILES.values())).tolist()))


def _share_of_largest(cell_sizes, group):
    """Share of the rows that are in the largest cell of their group."""
    largest = np.zeros(group.max() + 1, dtype=np.int64)
    np.maximum.at(largest, group, cell_sizes)
    return int(largest.sum()) / int(cell_sizes.sum())


def _as_text(report):
    """Lines of the report, each a name and its numbers in columns."""
    scores = ("pairwise", "bcubed")
    sizes = report["class_sizes"], report["cluster_sizes"]
    pairs = {
        "number": ("n_classes", "n_clusters"),
        "singletons": ("n_singleton_classes", "n_singleton_clusters"),
        "split/merged": ("n_split_classes", "n_merged_clusters"),
    }
    lines = [
        _line("", ["precision", "recall", "fscore"]),
        "",
        *(_line(name, [f"{v:.3f}" for v in report[name].values()]) for name in scores),
        "",
        _line("", ["classes", "clusters"]),
        "",
        *(_line(name, [report[key] for key in keys]) for name, keys in pairs.items()),
        *(_line(f"{q} size", [f"{s[q]:.10g}" for s in sizes]) for q in QUANTILES),
        "",
        _line("nmi", [f"{report['nmi']:.3f}"]),
        _line("purity", [f"{report['purity']:.3f}"]),
        _line("inverse purity", [f"{report['inverse_purity']:.3f}"]),
        _line("samples", [report["n_samples"]]),
    ]
    return "\n".join(lines)


def _line(name, values):
    return f"{name:>14} " + "".join(f"{value:>10}" for value in values)
