"""Clustering of classes never seen."""

from skdeep.cluster._compare import compare_clusterers
from skdeep.cluster._hilander import HiLanderClusterer
from skdeep.cluster._result import ClusterResult

__all__ = ["ClusterResult", "HiLanderClusterer", "compare_clusterers"]
