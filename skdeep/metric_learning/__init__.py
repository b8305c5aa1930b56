"""Embeddings in which distance means class, with one threshold for all classes."""

from skdeep.metric_learning._embedder import TCMEmbedder
from skdeep.metric_learning._losses import TCMLoss
from skdeep.metric_learning._pair_losses import (
    ContrastiveLoss,
    MultiSimilarityLoss,
    SupConLoss,
    TripletLoss,
)
from skdeep.metric_learning._proxy_losses import (
    ArcFaceLoss,
    CosFaceLoss,
    NormSoftmaxLoss,
    ProxyAnchorLoss,
    ProxyNCALoss,
)
from skdeep.metric_learning._ranking_losses import RecallAtKLoss, SmoothAPLoss

__all__ = [
    "ArcFaceLoss",
    "ContrastiveLoss",
    "CosFaceLoss",
    "MultiSimilarityLoss",
    "NormSoftmaxLoss",
    "ProxyAnchorLoss",
    "ProxyNCALoss",
    "RecallAtKLoss",
    "SmoothAPLoss",
    "SupConLoss",
    "TCMEmbedder",
    "TCMLoss",
    "TripletLoss",
]
