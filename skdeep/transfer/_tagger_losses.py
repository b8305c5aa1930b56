"""Losses of the tagger: right tags, allowed tags, and the answers of another tagger."""

import torch
from torch import nn

from skdeep.transfer._tagger_modules import tokens_inside


class TaggingLoss(nn.Module):
    """Mean negative log-likelihood: of sentences (CRF) or of tokens (softmax).

    Parameters
    ----------
    distill : float, default=0
        Weight of the cross-entropy to soft tags [1]_.

    References
    ----------
    .. [1] Hinton et al., "Distilling the Knowledge in a Neural Network", 2015; Li and
       Hoiem, "Learning without Forgetting", ECCV 2016.
    """

    def __init__(self, distill=0.0):
        super().__init__()
        self.distill = distill

    def forward(self, outputs, targets):
        """Compare `TagScores` with their targets.

        Targets are tags (B, L), or masks of the tags that are allowed (B, L, C); with
        soft tags, a pair of those and of probabilities (B, L, C).
        """
        scores, lengths, crf = outputs
        soft = None
        if isinstance(targets, tuple):
            targets, soft = targets
        partial = targets.dtype == torch.bool
        if crf is not None:
            likelihood = (
                crf.log_likelihood_of_allowed if partial else crf.log_likelihood
            )
            loss = -likelihood(scores, targets, lengths).mean()
            if soft is not None:
                distance = crf.log_partition(scores, lengths)
                distance = distance - expected_score(crf, scores, soft, lengths)
                loss = loss + self.distill * distance.mean()
            return loss
        inside = tokens_inside(lengths, scores)
        log_proba = scores[inside].log_softmax(dim=1)
        targets = targets[inside]
        if partial:
            loss = -log_proba.masked_fill(~targets, -torch.inf).logsumexp(dim=1).mean()
        else:
            loss = nn.functional.nll_loss(log_proba, targets)
        if soft is not None:
            distance = -(soft[inside] * log_proba).sum(dim=1).mean()
            loss = loss + self.distill * distance
        return loss


def expected_score(crf, scores, soft, lengths):
    """Mean score of tag sequences whose tags are drawn independently.

    Parameters
    ----------
    crf : LinearChainCRF

    scores : Tensor of shape (B, L, C)

    soft : Tensor of shape (B, L, C)
        Probability of each tag at each token.

    lengths : Tensor of shape (B,)

    Returns
    -------
    expected : Tensor of shape (B,)
        The log-partition minus this is the cross-entropy of the drawn sequences.
    """
    soft = soft * tokens_inside(lengths, soft)[..., None]
    last = soft.take_along_dim((lengths - 1)[:, None, None], dim=1)[:, 0]
    moves = torch.einsum("blc,cd,bld->b", soft[:, :-1], crf.transitions, soft[:, 1:])
    return (
        (soft * scores).sum(dim=(1, 2))
        + soft[:, 0] @ crf.start
        + last @ crf.end
        + moves
    )
