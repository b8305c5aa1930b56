"""Smooth versions of average precision and of recall at k.

Both compare, for each query q and each of its positives i, the similarity s_qi with
those of all other items: a sigmoid in place of the step "z is ranked before i" makes
the rank differentiable. Only (query, positive) pairs are expanded, so a batch of B
samples with K a class costs O(B^2 K) instead of the O(B^3) of the usual code.
"""

import torch

from skdeep.metric_learning._pair_losses import PairLoss


def soft_ranks(similarity, is_pos, temperature):
    """Compare each positive of each query with all other items.

    Parameters
    ----------
    similarity : tensor of shape (B, B)
        Row q holds the similarities of query q.

    is_pos : bool tensor of shape (B, B)
        Pairs of one class, without the diagonal.

    temperature : float
        Width of the sigmoid; the step function is the limit at 0.

    Returns
    -------
    before : tensor of shape (n_pairs, B)
        How far (0 to 1) item z is ranked before the positive of the pair; 0 where z is
        that positive itself.

    query, positive : tensors of shape (n_pairs,)
        Row and column of each pair.
    """
    query, positive = is_pos.nonzero(as_tuple=True)
    rows = similarity[query]  # (n_pairs, B)
    target = similarity[query, positive]  # (n_pairs,)
    before = torch.sigmoid((rows - target[:, None]) / temperature)
    keep = torch.ones_like(before)
    keep.scatter_(1, positive[:, None], 0)
    return before * keep, query, positive


def _mean_over_queries(value, query, n_rows):
    """Mean over the pairs of a query, then over the queries that have any."""
    count = torch.bincount(query, minlength=n_rows)
    weight = 1 / count[query].to(value.dtype)
    return (value * weight).sum() / (count > 0).sum().clamp(min=1)


class SmoothAPLoss(PairLoss):
    r"""One minus a smooth average precision.

    With :math:`G_{qi,z} = \sigma((s_{qz} - s_{qi}) / \tau)`,

    .. math::
        L = 1 - \operatorname{mean}_q \operatorname{mean}_{i \in P_q}
            \frac{1 + \sum_{z \in P_q, z \ne i} G_{qi,z}}{1 + \sum_{z \ne i} G_{qi,z}} .

    Parameters
    ----------
    temperature : float, default=0.01
        Width :math:`\tau` of the sigmoid.

    include_query : bool, default=False
        Whether the query is in its own gallery, and one of its own positives, as in the
        authors' code. False is retrieval as it is done.

    References
    ----------
    .. [1] Brown, Xie, Kalogeiton and Zisserman, "Smooth-AP: Smoothing the Path Towards
       Large-Scale Image Retrieval", ECCV 2020, eq. (5).
    """

    def __init__(self, temperature=0.01, include_query=False):
        super().__init__()
        self.temperature = temperature
        self.include_query = include_query

    def forward(self, similarity, is_pos, is_neg):
        # (B, B), (B, B), (B, B) -> ()
        if self.include_query:
            is_pos = is_pos | torch.eye(
                len(is_pos), dtype=torch.bool, device=is_pos.device
            )
        before, query, _ = soft_ranks(similarity, is_pos, self.temperature)
        before_pos = (before * is_pos[query]).sum(dim=1)  # (n_pairs,)
        before_neg = (before * is_neg[query]).sum(dim=1)
        precision = (1 + before_pos) / (1 + before_pos + before_neg)
        # the mean of 1 - AP, so that no positive pair means no loss
        return _mean_over_queries(1 - precision, query, len(is_pos))


class RecallAtKLoss(PairLoss):
    r"""One minus a smooth recall at k, averaged over several k.

    With the smooth rank :math:`r_{qi} = 1 + \sum_{z \ne i} G_{qi,z}`,

    .. math::
        L = \operatorname{mean}_q \operatorname{mean}_{k} \left( 1 -
            \frac{\min(k, \sum_{i \in P_q} \sigma((k - r_{qi}) / \tau_k))}
                 {\min(k, |P_q|)} \right) .

    Parameters
    ----------
    k_values : sequence of int, default=(1, 2, 4, 8, 16)
        The k; those larger than the batch are clipped to its size.

    temperature : float, default=0.01
        Width of the sigmoid over similarities.

    rank_temperatures : sequence of float or None, default=None
        Widths :math:`\tau_k` of the sigmoids over ranks; None takes the k.

    rank_includes_query : bool, default=False
        Whether the query counts in its own ranking, as in the authors' code, where it
        makes every rank one too large.

    References
    ----------
    .. [1] Patel, Tolias and Matas, "Recall@k Surrogate Loss with Large Batches and
       Similarity Mixup", CVPR 2022, eq. (6).
    """

    def __init__(
        self,
        k_values=(1, 2, 4, 8, 16),
        temperature=0.01,
        rank_temperatures=None,
        rank_includes_query=False,
    ):
        super().__init__()
        self.k_values = tuple(k_values)
        self.temperature = temperature
        self.rank_temperatures = tuple(rank_temperatures or k_values)
        self.rank_includes_query = rank_includes_query

    def forward(self, similarity, is_pos, is_neg):
        # (B, B), (B, B), (B, B) -> ()
        n_rows = len(is_pos)
        before, query, _ = soft_ranks(similarity, is_pos, self.temperature)
        in_gallery = is_pos | is_neg
        if self.rank_includes_query:
            in_gallery = torch.ones_like(in_gallery)
        rank = 1 + (before * in_gallery[query]).sum(dim=1)  # (n_pairs,)
        n_pos = is_pos.sum(dim=1)
        has_pos = n_pos > 0
        cost = similarity.new_zeros(())
        for k, width in zip(self.k_values, self.rank_temperatures):
            k = min(k, n_rows)
            hit = torch.sigmoid((k - rank) / width)
            found = hit.new_zeros(n_rows).index_add(0, query, hit).clamp(max=k)
            recall = found / n_pos.clamp(min=1, max=k)
            cost = cost + (1 - recall)[has_pos].sum()
        return cost / (len(self.k_values) * has_pos.sum().clamp(min=1))
