"""The default method: prototypes moved by labelled rows, the pile and its neighbours.

Letters: B tasks, C classes, s rows with and n rows without label, d features, K steps.
Each step is a gradient step, in closed form, on the squared distances between rows and
prototypes. The labels that the pile lacks are made up by the network of `_gradient_net`
from the logits of each row and from the votes of its nearest neighbours.
"""

import math
from typing import NamedTuple

import torch
from torch import nn

from skdeep.few_shot._balanced_rules import balancing_bias
from skdeep.few_shot._gradient_net import GradientNet, describe
from skdeep.few_shot._tasks import Answer

_TINY = 1e-6
_ROUNDS = 3  # of Sinkhorn's iteration
_SPREADING_ROUNDS = 6
_LITTLE = 0.02
_ENTRIES_AT_ONCE = 2**24
_A_COPY = 1 - 1e-5  # cosine
_GREATEST_PULL = 3.0  # logarithm of what a row of the pile may count
_FREE_LR = 3.0  # where the rates of the steps start, before the sigmoid


class Refinement(NamedTuple):
    """What the last look at the pile has left for further rows.

    Attributes
    ----------
    rows : Tensor of shape (B, s + n, d)
        Labelled rows and pile.

    there : bool Tensor of shape (B, s + n)
        False for filling rows.

    known : Tensor of shape (B, s + n, C)
        Their labels and probabilities.

    wider : Tensor of shape (B, s + n, C)
        Their labels and the votes of their neighbours.

    reach : Tensor of shape (B, s + n, C)
        Labels that reached their neighbours, see `spread`.

    log_share : Tensor of shape (B, 1, C)
        Logarithm of the shares of the classes.

    balance : Tensor of shape (B, 1, C)
        Added to the corrected logits, so that the pile has known shares.

    statistics : nested tuple of Tensor
        Of `GradientNet`.
    """

    rows: torch.Tensor
    there: torch.Tensor
    known: torch.Tensor
    wider: torch.Tensor
    reach: torch.Tensor
    log_share: torch.Tensor
    balance: torch.Tensor
    statistics: tuple


class Adapter(nn.Module):
    """Adapt prototypes to tasks, in steps that are learned.

    Parameters
    ----------
    n_steps : int, default=3
        Steps, K.

    n_neighbors : int, default=8
        Rows of the same task that vote on a row.

    n_units : int, default=16
        Hidden units of the gradient network.

    support_gradient : bool, default=True
        Whether labelled rows pull at the prototypes in every step, or only make the
        first ones.

    inner_lr : float or None, default=None
        Rate of all steps, in (0, 1]; None learns one for each.

    scale : float, default=10.0
        Where the factor on the cosines starts.
    """

    needs_float32 = True  # roundings would grow from step to step

    def __init__(
        self,
        n_steps=3,
        n_neighbors=8,
        n_units=16,
        support_gradient=True,
        inner_lr=None,
        scale=10.0,
    ):
        super().__init__()
        self.n_steps, self.n_neighbors = n_steps, n_neighbors
        self.support_gradient, self.inner_lr = support_gradient, inner_lr
        self.first_scale = scale
        self.log_scale = nn.Parameter(torch.empty(n_steps + 1))
        self.share_weight = nn.Parameter(torch.empty(n_steps + 1))
        self.centering = nn.Parameter(torch.empty(n_steps + 1))
        self.log_support = nn.Parameter(torch.empty(n_steps))
        self.rate = nn.Parameter(torch.empty(n_steps))
        self.error_rate = nn.Parameter(torch.empty(2, n_steps))
        self.log_concentration = nn.Parameter(torch.empty(()))
        self.log_sharpness = nn.Parameter(torch.empty(()))
        self.gradient_net = GradientNet(n_units)

    def init_weights(self, generator):
        """Start as expectation maximisation; nothing is drawn here."""
        nn.init.constant_(self.log_scale, math.log(self.first_scale))
        nn.init.constant_(self.share_weight, 0.5)
        nn.init.constant_(self.centering, 1.0)
        nn.init.constant_(self.log_support, 0.3)
        nn.init.constant_(self.rate, _FREE_LR)
        nn.init.constant_(self.error_rate, 0.3)
        nn.init.constant_(self.log_concentration, 2.0)
        nn.init.constant_(self.log_sharpness, 2.3)

    def forward(self, tasks):
        """Logits of the pile after each step, for training: K + 1 of shape (B, n, C)."""
        return self._unroll(tasks, self.n_steps, None, True)[0]

    def adapt(self, tasks, n_steps=None, shares=None, estimate_shares=True):
        """Classify tasks.

        Parameters
        ----------
        tasks : Tasks

        n_steps : int or None, default=None
            Steps; more than K repeat the last one. None is K.

        shares : Tensor of shape (B, C) or None, default=None
            Shares of the classes in the pile, if they are known.

        estimate_shares : bool, default=True
            Whether shares that are not known are estimated, or taken as equal.

        Returns
        -------
        answer : Answer
            Its prototypes are those of the last step.

        refinement : Refinement or None
            For `refine`; None without a pile.
        """
        n_steps = self.n_steps if n_steps is None else n_steps
        if not tasks.query.shape[1]:
            return self._without_pile(tasks, shares), None
        estimate = estimate_shares and shares is None
        logits, state, refinement = self._unroll(tasks, n_steps, shares, estimate)
        prototypes, scale, bias, center = state
        proba = logits[-1].softmax(dim=2)
        return Answer(prototypes, scale, bias, proba, center), refinement

    def refine(self, rows, logits, refinement):
        """Correct the logits of further rows of the same tasks.

        Parameters
        ----------
        rows : Tensor of shape (B, m, d)
            Of length 1.

        logits : Tensor of shape (B, m, C)
            ``scale * cosine + bias``, from the answer.

        refinement : Refinement

        Returns
        -------
        logits : Tensor of shape (B, m, C)
            Those of the pile for rows of the pile.
        """
        mean = mean_where(refinement.there, refinement.rows)
        ids, value = self._neighbors(
            directions(rows - mean),
            directions(refinement.rows - mean),
            refinement.there,
        )
        views = [
            gather_votes(ids, value, known)
            for known in (refinement.known, refinement.wider, refinement.reach)
        ]
        views[2] = shares_of(views[2])
        log_proba = over_classes(torch.log_softmax, logits)
        inputs = describe(logits, log_proba, views, refinement.log_share)
        correction, _ = self.gradient_net(inputs, None, refinement.statistics)
        return logits + correction[..., 0] + refinement.balance

    def _unroll(self, tasks, n_steps, shares, estimate_shares):
        """Run all steps: logits after each, what `Answer` needs, and the refinement."""
        support, targets, query, weight = tasks
        counts = targets.sum(dim=1)  # (B, C)
        total = targets.mT @ support  # (B, C, d)
        means = total / counts[..., None]
        share = weight / weight.sum(dim=1, keepdim=True)
        rows = torch.cat([support, query], dim=1)
        there = torch.cat([targets.sum(dim=2), weight], dim=1) > 0
        around = directions(rows - mean_where(there, rows))
        ids, value = self._neighbors(around[:, support.shape[1] :], around, there)
        log_share = query.new_zeros(len(query), 1, means.shape[1])
        balance = log_share
        if shares is not None:
            log_share = (shares * shares.shape[1]).log()[:, None]
        reach, reached = spread(ids, value, targets)
        outputs, shift = [], torch.zeros_like(means)
        for step in range(n_steps + 1):
            # the parameters of step K are those of the answer; further steps repeat K - 1
            k = self.n_steps if step == n_steps else min(step, self.n_steps - 1)
            center = self.centering[k].sigmoid() * means.mean(dim=1, keepdim=True)
            scale, bias = self.log_scale[k].exp(), self.share_weight[k] * log_share
            prototypes = means - center + shift
            centered = query - center
            logits = scale * cosine(centered, prototypes) + bias
            log_proba = over_classes(torch.log_softmax, logits)
            proba = log_proba.exp()
            known = torch.cat([targets, proba], dim=1)
            votes = gather_votes(ids, value, known)
            wider = torch.cat([targets, votes], dim=1)
            views = votes, gather_votes(ids, value, wider), reached
            inputs = describe(logits, log_proba, views, log_share)
            correction, statistics = self.gradient_net(inputs, share)
            refined = logits + correction[..., 0]
            if shares is not None:
                balance = balancing_bias(refined.mT, shares, weight, _ROUNDS)[:, None]
                refined = refined + balance
            outputs.append(refined)
            if step == n_steps:
                break
            label = over_classes(torch.softmax, refined) * weight[..., None]
            pull = label * correction[..., 1].clamp(max=_GREATEST_PULL).exp()
            error = label - proba * weight[..., None]
            shift = shift + self.error_rate[1, k] * mean_error(
                error, centered, weight.sum(dim=1)
            )
            if self.support_gradient:
                labelled = support - center
                own = scale * cosine(labelled, prototypes) + bias
                error = targets - own.softmax(dim=2) * targets.sum(2, keepdim=True)
                shift = shift + self.error_rate[0, k] * mean_error(
                    error, labelled, counts.sum(dim=1)
                )
            means = means + self._step(k, means, total, counts, pull, query)
            if estimate_shares:
                amount = label.sum(dim=1, keepdim=True) + self.log_concentration.exp()
                log_share = (amount / amount.mean(dim=2, keepdim=True)).log()
        state = prototypes, scale.expand(len(query)), bias[:, 0], center[:, 0]
        return (
            outputs,
            state,
            Refinement(
                rows, there, known, wider, reach, log_share, balance, statistics
            ),
        )

    def _step(self, k, means, total, counts, pull, query):
        """Step `k` towards the mean of labelled rows and pile, by their weights."""
        weight = self.log_support[k].exp() if self.support_gradient else 0.0
        amount = weight * counts + pull.sum(dim=1) + _TINY  # (B, C)
        target = (weight * total + pull.mT @ query) / amount[..., None]
        rate = self.rate[k].sigmoid() if self.inner_lr is None else self.inner_lr
        return rate * (target - means)

    def _neighbors(self, query, rows, there):
        """Neighbours (B, n, k) of each row of length 1, and what their votes count."""
        ids, similarity = nearest(query, rows, there, self.n_neighbors)
        value = (similarity * self.log_sharpness.exp()).softmax(dim=2)
        return ids, value * (similarity > -1)  # a row may have fewer neighbours

    def _without_pile(self, tasks, shares):
        counts = tasks.targets.sum(dim=1)
        means = tasks.targets.mT @ tasks.support / counts[..., None]
        center = self.centering[0].sigmoid() * means.mean(dim=1, keepdim=True)
        bias = torch.zeros_like(counts)
        if shares is not None:
            bias = (shares * shares.shape[1]).log()
        proba = tasks.query.new_empty(len(counts), 0, counts.shape[1])
        scale = self.log_scale[0].exp().expand(len(counts))
        return Answer(means - center, scale, bias, proba, center[:, 0])


def mean_where(there, rows):
    """Mean (B, 1, d) of those of the rows (B, m, d) that are there (B, m)."""
    share = there.to(rows.dtype)
    share = share / share.sum(dim=1, keepdim=True)
    return share[:, None] @ rows


def directions(rows):
    """Bring rows to length 1, all but zeros."""
    return rows / rows.norm(dim=-1, keepdim=True).clamp_min(_TINY)


def cosine(rows, prototypes):
    """Cosines (B, n, C) of rows (B, n, d) and prototypes (B, C, d)."""
    length = rows.norm(dim=2, keepdim=True).clamp_min(_TINY)
    # a product with its many rows last is faster, as is a softmax over the result
    return (directions(prototypes) @ rows.mT).mT / length


def over_classes(softmax, logits):
    """Softmax over the last axis, of few classes; it is faster along another one."""
    return softmax(logits.mT.contiguous(), dim=1).mT


def nearest(query, rows, there, n_neighbors):
    """Find the nearest of other rows.

    Parameters
    ----------
    query : Tensor of shape (B, n, d)
        Of length 1.

    rows : Tensor of shape (B, m, d)
        Of length 1.

    there : bool Tensor of shape (B, m)
        Which of them may be neighbours.

    n_neighbors : int
        Neighbours of a row, k; fewer if there are fewer rows.

    Returns
    -------
    ids : Tensor of shape (B, n, k)

    similarity : Tensor of shape (B, n, k)
        Cosines; -2 or less where a row has fewer neighbours. A row and its copies are no
        neighbours: what is known about a row must not depend on whether it is there.

    Notes
    -----
    O(n m d) time and O(n k) memory a task.
    """
    n_tasks, n_rows, _ = query.shape
    k = min(n_neighbors, rows.shape[1])
    size = max(1, _ENTRIES_AT_ONCE // (n_tasks * rows.shape[1]))
    absent = (there.to(rows.dtype) - 1) * 4  # cosines become less than -2
    parts = []
    for start in range(0, n_rows, size):
        similarity = query[:, start : start + size] @ rows.mT + absent[:, None]
        similarity = torch.where(similarity > _A_COPY, -2.0, similarity)
        parts.append(similarity.topk(k, dim=2, sorted=False))
    if len(parts) == 1:
        return parts[0].indices, parts[0].values
    return tuple(torch.cat([part[i] for part in parts], dim=1) for i in (1, 0))


def mean_error(error, rows, amount):
    """Sum of rows (B, m, d) by their errors (B, m, C), times C / `amount`: (B, C, d).

    For errors of probabilities it is the gradient of their cross-entropy, up to the sign
    and the derivative of the cosine.
    """
    return error.mT @ rows * (error.shape[2] / amount)[:, None, None]


def spread(ids, value, targets):
    """Let the labels go from row to row of the graph, some rounds long.

    Parameters
    ----------
    ids, value : Tensor of shape (B, n, k)
        Neighbours of the rows of the pile, and their weights.

    targets : Tensor of shape (B, s, C)
        Labels.

    Returns
    -------
    reach : Tensor of shape (B, s + n, C)
        Labels, and what came to the pile one round before the end.

    shares : Tensor of shape (B, n, C)
        Class shares of what came to each row at the end.
    """
    n_tasks, n_rows, _ = ids.shape
    came = targets.new_zeros(n_tasks, n_rows, targets.shape[2])
    for _ in range(_SPREADING_ROUNDS):
        reach = torch.cat([targets, came], dim=1)
        came = gather_votes(ids, value, reach)
    return reach, shares_of(came)


def shares_of(came):
    """Class shares; near 0 for rows that next to nothing came to."""
    return came / (came.sum(dim=2, keepdim=True) + _LITTLE)


def gather_votes(ids, value, known):
    """Weighted means (B, n, C) of what is `known` (B, m, C) about the neighbours."""
    n_tasks, n_others, n_classes = known.shape
    first = torch.arange(n_tasks, device=ids.device) * n_others
    votes = torch.nn.functional.embedding_bag(
        (ids + first[:, None, None]).flatten(0, 1),
        known.reshape(-1, n_classes),
        per_sample_weights=value.flatten(0, 1),
        mode="sum",
    )
    return votes.unflatten(0, ids.shape[:2])
