"""Rules that maximise what the predictions say about the pile: TIM and alpha-TIM.

The gradient of the loss with respect to the logits is written out, and so is the step
of Adam: no graph is recorded, and all tasks move together.
"""

import math

import torch

from skdeep.few_shot._centroid_rules import class_means, cosine_answer, needs_pile

_BETA_1, _BETA_2, _EPSILON = 0.9, 0.999, 1e-8
_SMALLEST_LENGTH = 1e-6


@needs_pile
def tim(
    tasks,
    scale=10.0,
    n_steps=50,
    lr=1e-3,
    support_weight=1.0,
    marginal_weight=1.0,
    conditional_weight=0.5,
):
    r"""Maximise the mutual information of rows and predictions (TIM-GD).

    .. math::
        L = \lambda_s \operatorname{CE}(\text{support}) - \lambda_m H(\bar p)
          + \lambda_c \operatorname{mean}_i H(p_i)

    is minimised over the prototypes by Adam, where :math:`p_i` are the predictions of
    the pile, :math:`\bar p` is their mean and :math:`H` Shannon's entropy.

    Parameters
    ----------
    tasks : Tasks
        B tasks.

    scale : float, default=10.0
        Factor on the cosines in front of the softmax.

    n_steps : int, default=50
        Steps of Adam.

    lr : float, default=1e-3
        Learning rate of Adam. Published are 1000 steps of 1e-4.

    support_weight : float, default=1.0
        The :math:`\lambda_s`.

    marginal_weight : float, default=1.0
        The :math:`\lambda_m`, which pulls towards classes of equal size.

    conditional_weight : float, default=0.5
        The :math:`\lambda_c`, which pulls towards certain predictions. Published is 0.1
        (and 0.1 for `support_weight`), which loses more if the classes of the pile
        differ in size.

    Returns
    -------
    answer : Answer
        The trained prototypes.

    Notes
    -----
    O(n_steps (s + n) C d) a task.

    References
    ----------
    .. [1] Boudiaf et al., "Transductive Information Maximization for Few-Shot Learning",
       NeurIPS 2020, eq. (3).
    """
    weights = support_weight, marginal_weight, conditional_weight
    prototypes = _maximize_information(tasks, scale, n_steps, lr, weights, None)
    return cosine_answer(tasks, prototypes, scale)


@needs_pile
def alpha_tim(
    tasks,
    scale=10.0,
    n_steps=50,
    lr=2e-3,
    support_weight=1.0,
    marginal_weight=1.0,
    conditional_weight=1.0,
    alpha="auto",
):
    r"""Maximise the information with Tsallis' entropy, for classes of any size.

    As `tim`, with :math:`H_\alpha(p) = (1 - \sum_c p_c^\alpha) / (\alpha - 1)` in place
    of Shannon's entropy in both terms of the pile: classes of unequal size cost less.

    Parameters
    ----------
    tasks : Tasks
        B tasks.

    scale : float, default=10.0
        Factor on the cosines in front of the softmax. Published is 15, for distances.

    n_steps : int, default=50
        Steps of Adam.

    lr : float, default=2e-3
        Learning rate of Adam. Published are 1000 steps of 1e-4.

    support_weight : float, default=1.0
        The :math:`\lambda_s`.

    marginal_weight : float, default=1.0
        The :math:`\lambda_m`.

    conditional_weight : float, default=1.0
        The :math:`\lambda_c`.

    alpha : float or "auto", default="auto"
        The :math:`\alpha`; 1 is Shannon's entropy. "auto" takes the published 2 for one
        labelled row a class and 7 for five or more, and the line between them.

    Returns
    -------
    answer : Answer
        The trained prototypes.

    Notes
    -----
    O(n_steps (s + n) C d) a task.

    References
    ----------
    .. [1] Veilleux et al., "Realistic Evaluation of Transductive Few-Shot Learning",
       NeurIPS 2021, eq. (7) and (8).
    """
    if alpha == "auto":
        shots = tasks.targets.sum(dim=(1, 2)) / tasks.targets.shape[2]  # (B,)
        alpha = (2 + 1.25 * (shots - 1)).clamp(2, 7)[:, None, None]
    elif alpha == 1:
        alpha = None
    weights = support_weight, marginal_weight, conditional_weight
    prototypes = _maximize_information(tasks, scale, n_steps, lr, weights, alpha)
    return cosine_answer(tasks, prototypes, scale)


def _maximize_information(tasks, scale, n_steps, lr, weights, alpha):
    """Return the prototypes (B, C, d) after `n_steps` of Adam from the class means."""
    targets = tasks.targets.mT  # (B, C, s)
    rows = torch.cat([tasks.support, tasks.query], dim=1)  # (B, s + n, d)
    shares = _share_of_each(targets.sum(dim=1)), _share_of_each(tasks.weight)
    theta = class_means(tasks.support, targets)
    mean, square = torch.zeros_like(theta), torch.zeros_like(theta)
    for step in range(1, n_steps + 1):
        length = theta.norm(dim=2, keepdim=True).clamp(min=_SMALLEST_LENGTH)
        unit = theta / length
        cosine = unit @ rows.mT  # (B, C, s + n)
        log_proba = (scale * cosine).log_softmax(dim=1)
        slope = scale * _slope_of_logits(log_proba, targets, shares, weights, alpha)
        along = (slope * cosine).sum(dim=2, keepdim=True)
        gradient = (slope @ rows - along * unit) / length  # (B, C, d)
        mean = torch.lerp(gradient, mean, _BETA_1)
        square = torch.lerp(gradient * gradient, square, _BETA_2)
        spread = square.sqrt() / math.sqrt(1 - _BETA_2**step) + _EPSILON
        theta = theta - lr / (1 - _BETA_1**step) * mean / spread
    return theta


def _share_of_each(weight):
    """Divide weights (B, m) by their sum in each task, as (B, 1, m)."""
    total = weight.sum(dim=1, keepdim=True)
    return (weight / total.clamp(min=torch.finfo(weight.dtype).tiny))[:, None]


def _slope_of_logits(log_proba, targets, shares, weights, alpha):
    """Return the gradient of the loss with respect to the logits, (B, C, s + n)."""
    support_weight, marginal_weight, conditional_weight = weights
    support_share, query_share = shares  # (B, 1, s), (B, 1, n)
    n_rows = support_share.shape[2], query_share.shape[2]
    proba, proba_q = log_proba.exp().split(n_rows, dim=2)
    log_q = log_proba[:, :, n_rows[0] :]
    from_support = support_weight * support_share * (proba - targets)
    marginal = (query_share * proba_q).sum(dim=2, keepdim=True)  # (B, C, 1)
    log_marginal = marginal.clamp(min=torch.finfo(marginal.dtype).tiny).log()
    slope = marginal_weight * _slope_of_order(log_marginal, alpha)
    slope = slope - conditional_weight * _slope_of_order(log_q, alpha)  # (B, C, n)
    # through the softmax: constants in the slope of a row cancel out
    inner = (proba_q * slope).sum(dim=1, keepdim=True)
    return torch.cat([from_support, query_share * proba_q * (slope - inner)], dim=2)


def _slope_of_order(log_proba, alpha):
    """Return the derivative of minus the entropy by each probability, up to a constant.

    `alpha` is a float, a Tensor of shape (B, 1, 1), or None for Shannon's entropy.
    """
    if alpha is None:
        return log_proba
    return alpha / (alpha - 1) * ((alpha - 1) * log_proba).exp()
