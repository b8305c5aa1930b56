"""Label propagation that believes the cleanest of its labels, step by step: iLPC."""

import torch
from torch.nn.functional import normalize

from skdeep.few_shot._balanced_rules import answer_by_means, balancing_bias
from skdeep.few_shot._centroid_rules import class_means, needs_pile
from skdeep.few_shot._graph import spread_labels
from skdeep.few_shot._graph_rules import per_class, per_row, task_graph

_MOMENTUM, _DECAY = 0.9, 5e-4
_FLOOR = 1e-6


@needs_pile
def ilpc(
    tasks,
    shares=None,
    scale=10.0,
    n_neighbors=15,
    damping=0.8,
    exponent=3.0,
    sharpness=3.0,
    n_steps=5,
    n_cleaning_steps=10,
    lr=0.1,
    n_rounds=20,
):
    r"""Propagate, balance, and take over the cleanest labels, until all rows have one.

    Each step spreads the labels as `label_propagation` does, raises the result to the
    power of `sharpness`, balances the classes by `sinkhorn` and guesses the label of
    each row. A linear classifier learns the guesses; the rows of each class that it
    learns most easily, one part in `n_steps`, keep theirs for good.

    Parameters
    ----------
    tasks : Tasks
        B tasks.

    shares : Tensor of shape (B, C) or None, default=None
        Shares of the classes in the pile; None: all classes have the same.

    scale : float, default=10.0
        Factor on the cosines for rows outside the pile.

    n_neighbors : int, default=15
        Neighbours of a row in the graph of labelled rows and pile.

    damping : float, default=0.8
        How far labels spread; less than 1.

    exponent : float, default=3.0
        Power of the cosine that is the weight of an edge.

    sharpness : float, default=3.0
        Power of what the labels reach.

    n_steps : int, default=5
        Steps. The published three rows a class and step are five steps for 15 rows.

    n_cleaning_steps : int, default=10
        Steps of gradient descent with momentum over which the mean loss of a row is
        taken. Published are 1000, which rank the rows much alike.

    lr : float, default=0.1
        Learning rate of the linear classifier.

    n_rounds : int, default=20
        Rounds of spreading, and of Sinkhorn's iteration, in each step.

    Returns
    -------
    answer : Answer
        The balanced probabilities with which each row got its label. Prototypes are the
        means of the rows so assigned, and the bias gives the classes their shares.

    Notes
    -----
    O((s + n)^2 d + n_steps n_cleaning_steps (s + n) C d) time a task. If the shares are
    wrong, so is much of the answer.

    References
    ----------
    .. [1] Lazarou, Avrithis, Stathaki, "Iterative label cleaning for transductive and
       semi-supervised few-shot learning", ICCV 2021, algorithm 1.
    """
    graph, labels = task_graph(tasks, n_neighbors, exponent)
    rows = torch.cat([tasks.support, tasks.query], dim=1)
    n_support = tasks.support.shape[1]
    if shares is None:
        shares = tasks.support.new_ones(labels.shape[:2])
    shares = shares / shares.sum(dim=1, keepdim=True)
    left = shares * tasks.weight.sum(dim=1, keepdim=True)  # (B, C)
    n_kept = (tasks.weight > 0).sum(dim=1) / (labels.shape[1] * n_steps)  # (B,)
    unknown = torch.ones_like(tasks.weight, dtype=torch.bool)  # (B, n)
    proba = torch.zeros_like(labels[:, :, n_support:])
    for _ in range(n_steps):
        reached = spread_labels(graph, per_class(labels), damping, n_rounds)
        # a floor, so that classes out of reach can be balanced too
        reached = per_row(reached[:, :, n_support:]).clamp(min=_FLOOR)
        logits = sharpness * reached.log()
        bias = balancing_bias(logits, left, tasks.weight * unknown, n_rounds)
        plan = (logits + bias[:, :, None]).softmax(dim=1)
        proba = torch.where(unknown[:, None], plan, proba)
        guess = torch.zeros_like(plan).scatter_(1, plan.argmax(1, keepdim=True), 1)
        guess = guess * tasks.weight[:, None] * unknown[:, None]  # (B, C, n)
        believed = labels.clone()
        believed[:, :, n_support:] += guess
        loss = _mean_loss(rows, labels, believed, n_cleaning_steps, lr)
        kept = guess * _smallest(loss[:, n_support:], guess > 0, n_kept.ceil().long())
        labels[:, :, n_support:] += kept
        unknown = unknown & ~kept.any(dim=1)
        left = (left - kept.sum(dim=2)).clamp(min=0)
    return answer_by_means(tasks, proba, scale, shares)


def _mean_loss(rows, labels, believed, n_steps, lr):
    """Return the mean loss (B, m) of the rows while a linear classifier learns them.

    It starts from the directions of the means by `labels` and learns `believed`, both
    (B, C, m), by gradient descent with momentum and weight decay.
    """
    n_rows = believed.sum(dim=(1, 2)).clamp(min=1)[:, None, None]
    weight = normalize(class_means(rows, labels), dim=2)  # (B, C, d)
    bias = torch.zeros_like(weight[:, :, :1])  # (B, C, 1)
    speed, bias_speed = torch.zeros_like(weight), torch.zeros_like(bias)
    total = torch.zeros_like(rows[:, :, 0])  # (B, m)
    count = believed.sum(dim=1, keepdim=True)  # (B, 1, m)
    for _ in range(n_steps):
        log_proba = (weight @ rows.mT + bias).log_softmax(dim=1)
        total -= (believed * log_proba).sum(dim=1)
        slope = (count * log_proba.exp() - believed) / n_rows  # (B, C, m)
        speed = _MOMENTUM * speed + slope @ rows + _DECAY * weight
        bias_speed = _MOMENTUM * bias_speed + slope.sum(dim=2, keepdim=True)
        bias_speed = bias_speed + _DECAY * bias
        weight, bias = weight - lr * speed, bias - lr * bias_speed
    tiny = torch.finfo(total.dtype).tiny
    return total / (n_steps * count[:, 0]).clamp(min=tiny)


def _smallest(loss, candidate, n_kept):
    """Mark the candidates (B, C, n) of each class with the `n_kept` (B,) least losses."""
    loss = torch.where(candidate, loss[:, None], torch.inf)  # (B, C, n)
    place = n_kept.clamp(1, loss.shape[2]) - 1
    place = place[:, None, None].expand(-1, loss.shape[1], 1)
    limit = loss.sort(dim=2).values.gather(2, place)
    return candidate & (loss <= limit)
