"""The published loss: densities and links from the same probabilities."""

import torch
import torch.nn.functional as F
from torch import nn

from skdeep.cluster._levels import density


class LanderLoss(nn.Module):
    r"""Squared error of the densities plus cross-entropy of the links that may be used.

    .. math::
        L = \operatorname{mean}_i (\hat d_i - d_i)^2
          + \operatorname{mean}_{(i, j) : d_j > d_i} -\log \hat p_{ij}(y_i = y_j)

    where :math:`d` are the true densities: no tree ever uses an edge to a node that is
    less dense.

    Parameters
    ----------
    balance : bool, default=True
        Whether edges of the more frequent kind, same class or not, are left out at
        random, anew for each batch, until both kinds are equally frequent. In training
        only: a validation loss stays comparable.

    focal_gamma : float or None, default=None
        If given, the cross-entropy of each edge is multiplied by :math:`(1 - p)^\gamma`,
        with :math:`p` the probability of what is true.

    generator : torch.Generator or None, default=None
        Source of the edges left out, on any device; needed with `balance`.

    Notes
    -----
    O(B k). A batch without an edge to learn from has the density part only.

    References
    ----------
    .. [1] Xing et al., "Learning Hierarchical Graph Neural Networks for Image
       Clustering", ICCV 2021, section 3.4.
    .. [2] Lin et al., "Focal Loss for Dense Object Detection", ICCV 2017, eq. (4).
    """

    def __init__(self, balance=True, focal_gamma=None, generator=None):
        super().__init__()
        self.balance = balance
        self.focal_gamma = focal_gamma
        self.generator = generator

    def forward(self, logits, target):
        """Loss of a batch of B centres.

        Parameters
        ----------
        logits : tensor of shape (B, k, 2)
            Of "apart" and "together".

        target : (similarity, density, same, usable)
            Similarity (B, k), true density (B,), whether the classes are the same
            (B, k), and whether the neighbour is denser (B, k).

        Returns
        -------
        loss : tensor of shape ()

        parts : dict of str to tensor of shape ()
            "density" and "link", which add up to the loss.
        """
        similarity, true, same, usable = target
        found = density(logits.softmax(-1)[..., 1], similarity)
        parts = {
            "density": F.mse_loss(found, true),
            "link": self._link_loss(logits, same, usable),
        }
        return parts["density"] + parts["link"], parts

    def _link_loss(self, logits, same, usable):
        logits, same = logits[usable], same[usable]  # (E, 2), (E,)
        if self.balance and self.training:
            kept = balanced_edges(same, self.generator)
            logits, same = logits[kept], same[kept]
        if len(same) == 0:
            return logits.sum()  # zero, and part of the graph
        cost = F.cross_entropy(logits, same.long(), reduction="none")
        if self.focal_gamma is not None:
            # 1 - p without cancellation; the clamp keeps the slope finite at p = 1
            miss = -torch.expm1(-cost)
            cost = cost * miss.clamp(min=1e-12) ** self.focal_gamma
        return cost.mean()


def balanced_edges(same, generator):
    """Choose edges so that those of equal and of different classes are as many.

    Parameters
    ----------
    same : tensor of shape (E,), dtype bool
        Kind of each edge.

    generator : torch.Generator
        Source of the choice.

    Returns
    -------
    kept : tensor of shape (2 * n_rarer,), dtype int64
        Indices; all of the rarer kind are among them.
    """
    kinds = [torch.nonzero(same)[:, 0], torch.nonzero(~same)[:, 0]]
    rarer, other = sorted(kinds, key=len)
    order = torch.randperm(len(other), generator=generator, device=generator.device)
    return torch.cat([rarer, other[order[: len(rarer)].to(other.device)]])
