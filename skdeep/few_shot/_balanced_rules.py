"""Rules that know how large the classes of the pile are: Sinkhorn and PT-MAP."""

import torch
from torch.nn.functional import normalize

from skdeep.few_shot._centroid_rules import (
    class_means,
    closeness,
    cosine_answer,
    cosines,
    needs_pile,
)
from skdeep.few_shot._tasks import Answer

_ROUNDS = 50
_KEPT = 0.9  # nearer to 1 is faster, and no longer safe for sharp logits


def sinkhorn(logits, shares, weight, n_rounds=50):
    r"""Shift the logits of each class so that the probabilities follow given shares.

    Finds :math:`b` with :math:`\sum_i w_i \operatorname{softmax}(l_i + b)_c \propto
    \pi_c`: the projection of the probabilities, in relative entropy, on those whose
    weighted sums over the rows are the shares.

    Parameters
    ----------
    logits : Tensor of shape (B, n, C)
        Logits or logarithms of probabilities.

    shares : Tensor of shape (B, C)
        Shares :math:`\pi` of the classes, not negative, of any sum; a class with share 0
        gets no probability, and the bias -inf.

    weight : Tensor of shape (B, n)
        What each row counts, :math:`w`; a row with weight 0 has no influence.

    n_rounds : int, default=50
        Rounds of Sinkhorn's iteration, each about as good as ten plain ones. The rows
        sum to 1 exactly, the columns follow the shares the better the more rounds.

    Returns
    -------
    proba : Tensor of shape (B, n, C)
        Projected probabilities.

    bias : Tensor of shape (B, C)
        The :math:`b`, which gives further rows their probabilities. Zeros for a task
        without a row.

    Notes
    -----
    O(n_rounds (n C^2 + C^3)) a task. In the domain of logarithms: nothing overflows.

    References
    ----------
    .. [1] Cuturi, "Sinkhorn Distances: Lightspeed Computation of Optimal Transport",
       NeurIPS 2013, algorithm 1.

    Examples
    --------
    >>> import torch
    >>> proba = torch.tensor([[[0.9, 0.1], [0.8, 0.2]]])
    >>> uniform = torch.ones(1, 2)
    >>> sinkhorn(proba.log(), uniform, torch.ones(1, 2))[0].sum(dim=1)
    tensor([[1., 1.]])
    """
    logits = logits.mT
    bias = balancing_bias(logits, shares, weight, n_rounds)
    return (logits + bias[:, :, None]).softmax(dim=1).mT, bias


def balancing_bias(logits, shares, weight, n_rounds, bias=None):
    r"""Return the bias (B, C) of `sinkhorn` for logits of shape (B, C, n).

    Sinkhorn's step adds the logarithms :math:`r_c` of wanted over found sums. With the
    overlap :math:`M_{ck} = \sum_i w_i p_{ic} p_{ik} / \sum_i w_i p_{ic}` of the classes
    the steps that follow are close to :math:`M r, M^2 r, \dots`; here each round takes
    their damped sum :math:`(I - 0.9 M)^{-1} r` at once, worth ten of the plain rounds.

    `bias` is where to start; None is zeros.
    """
    tiny = torch.finfo(logits.dtype).tiny
    total = weight.sum(dim=1, keepdim=True)  # (B, 1)
    mass = (weight / total.clamp(min=tiny))[:, None]  # (B, 1, n)
    wanted = shares / shares.sum(dim=1, keepdim=True).clamp(min=tiny)
    # nothing moves in a task without a row, nor a class without a share
    closed = (wanted == 0) & (total > 0)  # (B, C)
    still = closed | (total == 0)
    logits = logits.masked_fill(closed[:, :, None], -torch.inf)
    eye = torch.eye(wanted.shape[1], dtype=logits.dtype, device=logits.device)
    bias = torch.zeros_like(wanted) if bias is None else bias
    for _ in range(n_rounds):
        proba = (logits + bias[:, :, None]).softmax(dim=1)
        counted = proba * mass
        found = counted.sum(dim=2).clamp(min=tiny)  # (B, C)
        overlap = counted @ proba.mT / found[:, :, None]  # (B, C, C)
        residual = (wanted / found).log().masked_fill(still, 0)
        bias = bias + torch.linalg.solve(eye - _KEPT * overlap, residual)
    return bias.masked_fill(closed, -torch.inf)


@needs_pile
def pt_map(tasks, shares=None, sharpness=10.0, n_steps=20, lr=0.2, n_rounds=5):
    r"""Move the prototypes along the optimal transport of the pile to them (PT-MAP).

    Labelled rows and pile are centred, each by its own mean, and brought to length 1.
    Then, `n_steps` times, the rows :math:`x_i` are assigned by the plan :math:`P` with
    the wanted shares of the classes that maximises :math:`-\lambda \sum_{ic} P_{ic}
    \|x_i - \mu_c\|^2 + H(P)`, and each :math:`\mu_c` takes a step towards the mean of
    what is assigned to it.

    Parameters
    ----------
    tasks : Tasks
        B tasks, of rows that should have gone through a power transform.

    shares : Tensor of shape (B, C) or None, default=None
        Shares of the classes in the pile; None: all classes have the same.

    sharpness : float, default=10.0
        The :math:`\lambda`.

    n_steps : int, default=20
        Steps of the prototypes.

    lr : float, default=0.2
        Part of the way that the prototypes go in a step.

    n_rounds : int, default=5
        Rounds of Sinkhorn's iteration in a step. Each step starts where the last one
        ended, and ten times as many rounds end the last.

    Returns
    -------
    answer : Answer
        The plan as probabilities, and the moved prototypes. Rows outside the pile are
        centred by the mean of the pile, and the bias gives the classes their shares.

    Notes
    -----
    O(n_steps (s + n) C (d + n_rounds C)) a task. If the shares are wrong, so is much of
    the answer.

    References
    ----------
    .. [1] Hu, Gripon, Pateux, "Leveraging the Feature Distribution in Transfer-based
       Few-Shot Learning", ICANN 2021, algorithm 1.
    """
    targets, weight = tasks.targets.mT, tasks.weight
    support, _ = _centred(tasks.support, targets.sum(dim=1))
    query, query_mean = _centred(tasks.query, weight)
    rows = torch.cat([support, query], dim=1)
    centres = class_means(support, targets)  # (B, C, d)
    if shares is None:
        shares = centres.new_ones(centres.shape[:2])
    logits, bias = closeness(centres, query, sharpness), None
    for _ in range(n_steps):
        bias = balancing_bias(logits, shares, weight, n_rounds, bias)
        plan = (logits + bias[:, :, None]).softmax(dim=1) * weight[:, None]
        means = class_means(rows, torch.cat([targets, plan], dim=2))
        centres = torch.lerp(centres, means, lr)
        logits = closeness(centres, query, sharpness)
    bias = balancing_bias(logits, shares, weight, 10 * n_rounds, bias)
    proba = (logits + bias[:, :, None]).softmax(dim=1)
    # one scale for all classes, where the distances have one for each
    scale = 2 * sharpness * centres.norm(dim=2).mean(dim=1)  # (B,)
    logits = scale[:, None, None] * cosines(centres, query)
    bias = balancing_bias(logits, shares, weight, _ROUNDS)
    return Answer(centres, scale, bias, proba.mT, query_mean[:, 0])


def _centred(rows, weight):
    """Return rows (B, m, d) less their mean, of length 1, and the mean (B, 1, d)."""
    mean = class_means(rows, weight[:, None])
    # an all-zero row has no direction, and gets none
    present = rows.any(dim=2, keepdim=True)
    return normalize((rows - mean) * present, dim=2), mean


def answer_by_means(tasks, proba, scale, shares=None):
    """Return the answer whose prototypes are the means of the rows as assigned.

    Parameters
    ----------
    tasks : Tasks
        B tasks.

    proba : Tensor of shape (B, C, n)
        Probabilities of the pile.

    scale : float
        Factor on the cosines.

    shares : Tensor of shape (B, C) or None, default=None
        Shares that the bias is to give the classes in the pile; None: no bias.

    Returns
    -------
    answer : Answer
        With `proba` for the pile.
    """
    assignment = torch.cat([tasks.targets.mT, proba * tasks.weight[:, None]], dim=2)
    rows = torch.cat([tasks.support, tasks.query], dim=1)
    answer = cosine_answer(tasks, class_means(rows, assignment), scale)
    if shares is not None:
        logits = scale * cosines(answer.prototypes, tasks.query)
        bias = balancing_bias(logits, shares, tasks.weight, _ROUNDS)
        answer = answer._replace(bias=bias)
    return answer._replace(proba=proba.mT)
