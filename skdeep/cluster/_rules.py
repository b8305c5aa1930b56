"""What the parameters of the clusterer may be."""

from numbers import Integral, Real

from skdeep.cluster._search import NAMES
from skdeep.utils._params import Interval, ListOf, StrOptions

_COUNT = Interval(Integral, 1, None, closed="left")

PARAMETER_RULES = {
    "n_neighbors": [_COUNT, StrOptions({"auto"})],
    "mode": [StrOptions({"structural", "paper"})],
    "decode": [StrOptions({"partition", "tree"})],
    "tau": [Interval(Real, 0, 1, closed="both"), StrOptions({"auto"})],
    "min_inside": [Interval(Real, 0, 1, closed="both")],
    "resolution": [Interval(Real, 0, 1, closed="neither"), StrOptions({"auto"})],
    "init": [StrOptions({"auto", "builtin", "random"})],
    "edge_features": [StrOptions({"structural", "embedding", "both"})],
    "node_feature": [StrOptions({"auto", "mean", "peak"})],
    "max_levels": [_COUNT],
    "metric": [StrOptions({"cosine", "precomputed"})],
    "knn": [StrOptions(set(NAMES)), callable],
    "allow_other_dim": ["boolean"],
    "hidden_layer_sizes": [ListOf(_COUNT)],
    "hidden_size": [Interval(Integral, 2, None, closed="left")],
    "n_layers": [Interval(Integral, 1, 4, closed="both")],
    "attention": ["boolean"],
    "n_heads": [_COUNT],
    "dropout": [Interval(Real, 0, 1, closed="left")],
    "use_cluster_features": ["boolean"],
    "fit_neighbors": [ListOf(_COUNT)],
    "fit_levels": [ListOf(_COUNT)],
    "balance": ["boolean"],
    "focal_gamma": [Interval(Real, 0, None, closed="left"), None],
    "level_stop": ["boolean"],
    "threshold": [StrOptions({"prob", "sim"})],
    "batch_size": [_COUNT],
    "n_jobs": [_COUNT, Interval(Integral, None, -1, closed="right"), None],
}
