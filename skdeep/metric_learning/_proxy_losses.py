"""Losses against one learned vector a class: softmax, ArcFace, CosFace, proxies.

The vectors are parameters of the loss. They learn faster than the network: their
learning rate is multiplied (`loss_lr_multiplier` of the embedder).
"""

import math

import torch
import torch.nn.functional as F
from torch import nn

from skdeep.metric_learning._pair_losses import masked_logsumexp


class ProxyLoss(nn.Module):
    """Base of the losses with one vector a class.

    Parameters
    ----------
    n_classes : int
        Number of classes, C.

    n_components : int
        Size of an embedding, E.
    """

    def __init__(self, n_classes, n_components):
        super().__init__()
        self.proxies = nn.Parameter(torch.empty(n_classes, n_components))
        self.init_weights()

    def init_weights(self, generator=None):
        """Draw directions uniformly."""
        nn.init.normal_(self.proxies, generator=generator)

    def cosine(self, embeddings):
        """Cosines of unit embeddings with the class vectors, (B, E) -> (B, C)."""
        return embeddings @ F.normalize(self.proxies, dim=1).T


class NormSoftmaxLoss(ProxyLoss):
    """Cross entropy of the cosines with the class vectors, over a temperature.

    Parameters
    ----------
    n_classes, n_components : int
        Shape of the class vectors.

    temperature : float, default=0.05
        Divides the cosines.

    References
    ----------
    .. [1] Zhai and Wu, "Classification is a Strong Baseline for Deep Metric Learning",
       BMVC 2019.
    """

    def __init__(self, n_classes, n_components, temperature=0.05):
        super().__init__(n_classes, n_components)
        self.temperature = temperature

    def forward(self, embeddings, y):
        return F.cross_entropy(self.cosine(embeddings) / self.temperature, y)


class ArcFaceLoss(ProxyLoss):
    """Softmax with a margin added to the angle of the true class.

    Parameters
    ----------
    n_classes, n_components : int
        Shape of the class vectors.

    margin : float, default=28.6
        Added angle in degrees.

    scale : float, default=64.0
        Multiplies the cosines.

    References
    ----------
    .. [1] Deng, Guo, Xue and Zafeiriou, "ArcFace: Additive Angular Margin Loss for Deep
       Face Recognition", CVPR 2019, eq. (3).
    """

    def __init__(self, n_classes, n_components, margin=28.6, scale=64.0):
        super().__init__(n_classes, n_components)
        self.margin = math.radians(margin)
        self.scale = scale

    def forward(self, embeddings, y):
        cosine = self.cosine(embeddings)
        true = cosine.gather(1, y[:, None])
        # the derivative of acos is infinite at +-1
        angle = torch.acos(true.clamp(-1 + 1e-7, 1 - 1e-7))
        # beyond pi the cosine would rise again: go on along a line
        moved = torch.where(
            angle <= math.pi - self.margin,
            torch.cos(angle + self.margin),
            true - self.margin * math.sin(self.margin),
        )
        logits = cosine.scatter(1, y[:, None], moved)
        return F.cross_entropy(self.scale * logits, y)


class CosFaceLoss(ProxyLoss):
    """Softmax with a margin taken from the cosine of the true class.

    Parameters
    ----------
    n_classes, n_components : int
        Shape of the class vectors.

    margin : float, default=0.35
        Subtracted cosine.

    scale : float, default=64.0
        Multiplies the cosines.

    References
    ----------
    .. [1] Wang et al., "CosFace: Large Margin Cosine Loss for Deep Face Recognition",
       CVPR 2018, eq. (4).
    """

    def __init__(self, n_classes, n_components, margin=0.35, scale=64.0):
        super().__init__(n_classes, n_components)
        self.margin = margin
        self.scale = scale

    def forward(self, embeddings, y):
        cosine = self.cosine(embeddings)
        is_true = F.one_hot(y, cosine.shape[1]).to(cosine.dtype)
        logits = cosine - self.margin * is_true
        return F.cross_entropy(self.scale * logits, y)


class ProxyNCALoss(ProxyLoss):
    """Softmax over minus the squared distances to the class vectors.

    Parameters
    ----------
    n_classes, n_components : int
        Shape of the class vectors.

    scale : float, default=1.0
        Multiplies the squared distances.

    References
    ----------
    .. [1] Movshovitz-Attias et al., "No Fuss Distance Metric Learning using Proxies",
       ICCV 2017.
    """

    def __init__(self, n_classes, n_components, scale=1.0):
        super().__init__(n_classes, n_components)
        self.scale = scale

    def forward(self, embeddings, y):
        # |e - p|^2 = 2 - 2 cos on the unit sphere; the 2 cancels in the softmax
        return F.cross_entropy(2 * self.scale * self.cosine(embeddings), y)


class ProxyAnchorLoss(ProxyLoss):
    r"""Each class vector is an anchor for all samples of the batch.

    .. math::
        L = \operatorname{mean}_{p \in P^+} \log(1 + \sum_{x \in X_p}
        e^{-\alpha (s_{xp} - \delta)}) + \operatorname{mean}_{p}
        \log(1 + \sum_{x \notin X_p} e^{\alpha (s_{xp} + \delta)})

    where :math:`P^+` are the classes in the batch.

    Parameters
    ----------
    n_classes, n_components : int
        Shape of the class vectors.

    margin : float, default=0.1
        The :math:`\delta`.

    alpha : float, default=32.0
        Sharpness.

    References
    ----------
    .. [1] Kim, Kim, Cho and Kwak, "Proxy Anchor Loss for Deep Metric Learning", CVPR
       2020, eq. (4).
    """

    def __init__(self, n_classes, n_components, margin=0.1, alpha=32.0):
        super().__init__(n_classes, n_components)
        self.margin = margin
        self.alpha = alpha

    def forward(self, embeddings, y):
        cosine = self.cosine(embeddings).T  # (C, B)
        is_pos = F.one_hot(y, len(cosine)).T.bool()
        pos = masked_logsumexp(-self.alpha * (cosine - self.margin), is_pos)
        neg = masked_logsumexp(self.alpha * (cosine + self.margin), ~is_pos)
        return pos.sum() / is_pos.any(dim=1).sum().clamp(min=1) + neg.mean()
