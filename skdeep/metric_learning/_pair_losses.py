"""Losses on the pairs of a batch: contrastive, triplet, multi-similarity, SupCon.

All take one matrix of cosine similarities and two masks over it, so that a training
step computes the matrix once, whatever the number of loss terms.
"""

import torch
from torch import nn


class PairLoss(nn.Module):
    """Base of the losses that need nothing but similarities.

    ``forward(similarity, is_pos, is_neg)`` takes similarities of shape (B, M) between B
    samples and M references and two masks of that shape: pairs of one class, and pairs
    of two classes. A sample paired with itself is in neither.
    """


def mean_of_nonzero(cost):
    """Mean over the entries above zero; zero, with a gradient, if there is none."""
    return cost.sum() / (cost > 0).sum().clamp(min=1)


def masked_logsumexp(logits, mask):
    """Logarithm of 1 + the sum of exp over the entries of each row in `mask`."""
    logits = logits.masked_fill(~mask, -torch.inf)
    zero = logits.new_zeros(len(logits), 1)
    return torch.logsumexp(torch.cat([logits, zero], dim=1), dim=1)


class ContrastiveLoss(PairLoss):
    """Pull pairs of one class above a similarity, push others below another.

    Parameters
    ----------
    pos_margin : float, default=1.0
        Similarity that pairs of one class should reach.

    neg_margin : float, default=0.5
        Similarity that pairs of two classes should stay below.

    Notes
    -----
    Each side is the mean over the pairs that violate their margin.

    References
    ----------
    .. [1] Hadsell, Chopra and LeCun, "Dimensionality Reduction by Learning an Invariant
       Mapping", CVPR 2006.
    """

    def __init__(self, pos_margin=1.0, neg_margin=0.5):
        super().__init__()
        self.pos_margin = pos_margin
        self.neg_margin = neg_margin

    def forward(self, similarity, is_pos, is_neg):
        pos = ((self.pos_margin - similarity) * is_pos).relu()
        neg = ((similarity - self.neg_margin) * is_neg).relu()
        return mean_of_nonzero(pos) + mean_of_nonzero(neg)


class TripletLoss(PairLoss):
    """Let each positive be more similar than each negative, by a margin.

    Parameters
    ----------
    margin : float, default=0.1
        Wanted difference of the similarities.

    Notes
    -----
    Mean over the triplets that violate the margin; O(B^2 K) for K samples a class.

    References
    ----------
    .. [1] Schroff, Kalenichenko and Philbin, "FaceNet: A Unified Embedding for Face
       Recognition and Clustering", CVPR 2015.
    """

    def __init__(self, margin=0.1):
        super().__init__()
        self.margin = margin

    def forward(self, similarity, is_pos, is_neg):
        anchor, positive = is_pos.nonzero(as_tuple=True)
        gap = similarity[anchor] - similarity[anchor, positive][:, None]  # (pairs, M)
        return mean_of_nonzero(((gap + self.margin) * is_neg[anchor]).relu())


class MultiSimilarityLoss(PairLoss):
    r"""Weigh each pair by its own and by its relative similarity.

    .. math::
        L = \operatorname{mean}_i \tfrac{1}{\alpha} \log(1 + \sum_{j \in P_i}
        e^{-\alpha (s_{ij} - b)}) + \tfrac{1}{\beta} \log(1 + \sum_{j \in N_i}
        e^{\beta (s_{ij} - b)})

    Parameters
    ----------
    alpha : float, default=2.0
        Sharpness among positives.

    beta : float, default=50.0
        Sharpness among negatives.

    base : float, default=0.5
        Similarity :math:`b` at which a pair begins to count.

    References
    ----------
    .. [1] Wang, Han, Huang, Dong and Scott, "Multi-Similarity Loss with General Pair
       Weighting for Deep Metric Learning", CVPR 2019.
    """

    def __init__(self, alpha=2.0, beta=50.0, base=0.5):
        super().__init__()
        self.alpha = alpha
        self.beta = beta
        self.base = base

    def forward(self, similarity, is_pos, is_neg):
        shifted = similarity - self.base
        pos = masked_logsumexp(-self.alpha * shifted, is_pos) / self.alpha
        neg = masked_logsumexp(self.beta * shifted, is_neg) / self.beta
        return (pos + neg).mean()


class SupConLoss(PairLoss):
    r"""Cross entropy of each positive against all other samples.

    .. math::
        L = -\operatorname{mean}_{i} \operatorname{mean}_{p \in P_i}
        \log \frac{e^{s_{ip} / \tau}}{\sum_{j \ne i} e^{s_{ij} / \tau}}

    Parameters
    ----------
    temperature : float, default=0.1
        Divides the similarities.

    References
    ----------
    .. [1] Khosla et al., "Supervised Contrastive Learning", NeurIPS 2020, eq. (2).
    """

    def __init__(self, temperature=0.1):
        super().__init__()
        self.temperature = temperature

    def forward(self, similarity, is_pos, is_neg):
        logits = (similarity / self.temperature).masked_fill(
            ~(is_pos | is_neg), -torch.inf
        )
        # a row that is compared with nothing stays finite
        log_total = torch.logsumexp(logits, dim=1, keepdim=True).clamp(min=-1e30)
        log_prob = (similarity / self.temperature - log_total) * is_pos
        n_pos = is_pos.sum(dim=1)
        cost = -log_prob.sum(dim=1) / n_pos.clamp(min=1)
        return cost.sum() / (n_pos > 0).sum().clamp(min=1)
