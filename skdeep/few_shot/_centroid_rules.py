"""Rules that move the mean of each class, and what all rules share.

Inside the rules classes come before rows, (B, C, n): a softmax over few classes is ten
times faster along an inner axis than along the last one.
"""

import functools

import torch
from torch.nn.functional import normalize, one_hot

from skdeep.few_shot._tasks import Answer


def class_means(rows, assignment):
    """Return the weighted mean of the rows of each class.

    Parameters
    ----------
    rows : Tensor of shape (B, m, d)
        Rows of B tasks.

    assignment : Tensor of shape (B, C, m)
        How much each row counts for each class, not negative.

    Returns
    -------
    means : Tensor of shape (B, C, d)
        Means; zeros for a class without rows.
    """
    total = assignment.sum(dim=2, keepdim=True)  # (B, C, 1)
    return assignment @ rows / total.clamp(min=torch.finfo(rows.dtype).tiny)


def cosines(prototypes, rows):
    """Return the cosines of prototypes (B, C, d) and unit rows (B, n, d): (B, C, n)."""
    return normalize(prototypes, dim=2) @ rows.mT


def closeness(centres, rows, sharpness):
    """Return minus the squared distances (B, C, m) times `sharpness`, up to a constant.

    The constant, one for each of the rows (B, m, d), is the square of its length.
    """
    length = centres.square().sum(dim=2, keepdim=True)  # (B, C, 1)
    return sharpness * (2 * centres @ rows.mT - length)


def cosine_answer(tasks, prototypes, scale):
    """Return the answer of a cosine classifier with these prototypes and no bias."""
    n_tasks, n_classes, _ = prototypes.shape
    logits = scale * cosines(prototypes, tasks.query)
    return Answer(
        prototypes,
        prototypes.new_full((n_tasks,), scale),
        prototypes.new_zeros(n_tasks, n_classes),
        logits.softmax(dim=1).mT,
    )


def needs_pile(rule):
    """Let tasks without a row in the pile have their plain prototypes."""

    @functools.wraps(rule)
    def wrapper(tasks, **options):
        empty = ~tasks.weight.any(dim=1)  # (B,)
        if empty.all():
            return prototype(tasks)
        answer = rule(tasks, **options)
        if not empty.any():
            return answer
        return Answer(
            *(
                _choose(empty, plain, mine)
                for plain, mine in zip(prototype(tasks), answer)
            )
        )

    return wrapper


def _choose(where, plain, mine):
    """Return `plain` for the tasks marked in `where` (B,), and `mine` for the others."""
    if not isinstance(mine, torch.Tensor):
        return mine
    return torch.where(where.reshape(-1, *[1] * (mine.dim() - 1)), plain, mine)


def prototype(tasks, scale=10.0):
    """Classify by the cosine with the mean of each class; the pile is not used.

    Parameters
    ----------
    tasks : Tasks
        B tasks.

    scale : float, default=10.0
        Factor on the cosines in front of the softmax.

    Returns
    -------
    answer : Answer
        Means of the labelled rows as prototypes.

    Notes
    -----
    O((s + n) C d) a task.

    References
    ----------
    .. [1] Snell, Swersky, Zemel, "Prototypical Networks for Few-shot Learning",
       NeurIPS 2017, eq. (1); with cosines as in Wang, Chao, Weinberger, van der Maaten,
       "SimpleShot", 2019.
    """
    return cosine_answer(tasks, class_means(tasks.support, tasks.targets.mT), scale)


@needs_pile
def soft_kmeans(tasks, scale=10.0, n_steps=1):
    r"""Move the prototypes by steps of soft k-means over the pile.

    .. math::
        z_{jc} \propto \exp(-\tfrac{s}{2} \|\tilde x_j - u_c\|^2), \qquad
        \theta_c = \frac{\sum_i y_{ic} x_i + \sum_j z_{jc} \tilde x_j}
                        {\sum_i y_{ic} + \sum_j z_{jc}}

    with the labelled rows :math:`x_i`, the pile :math:`\tilde x_j` and the unit vectors
    :math:`u_c` along the prototypes.

    Parameters
    ----------
    tasks : Tasks
        B tasks.

    scale : float, default=10.0
        The :math:`s`. The published method has 2, for features that were trained so.

    n_steps : int, default=1
        Steps; one is published.

    Returns
    -------
    answer : Answer
        The moved prototypes.

    Notes
    -----
    O(n_steps (s + n) C d) a task.

    References
    ----------
    .. [1] Ren et al., "Meta-Learning for Semi-Supervised Few-Shot Classification", ICLR
       2018, eq. (3).
    """
    targets = tasks.targets.mT
    rows = torch.cat([tasks.support, tasks.query], dim=1)
    prototypes = class_means(tasks.support, targets)
    for _ in range(n_steps):
        soft = (scale * cosines(prototypes, tasks.query)).softmax(dim=1)
        soft = soft * tasks.weight[:, None]
        prototypes = class_means(rows, torch.cat([targets, soft], dim=2))
    return cosine_answer(tasks, prototypes, scale)


@needs_pile
def bd_cspn(tasks, scale=10.0, sharpness=1.0):
    r"""Rectify the prototypes by the rows of the pile that lie nearest to each (BD-CSPN).

    The pile is shifted so that its mean falls on that of the labelled rows. A row of the
    pile counts for the class of its nearest prototype only, with the weight
    :math:`\exp(\epsilon \cos)`; labelled rows count for their class in the same way.

    Parameters
    ----------
    tasks : Tasks
        B tasks.

    scale : float, default=10.0
        Factor on the cosines in front of the softmax.

    sharpness : float, default=1.0
        The :math:`\epsilon`.

    Returns
    -------
    answer : Answer
        The rectified prototypes.

    Notes
    -----
    O((s + n) C d) a task. Rows are classified without the shift.

    References
    ----------
    .. [1] Liu, Song, Qin, "Prototype Rectification for Few-Shot Learning", ECCV 2020,
       eq. (5) to (8).
    """
    return cosine_answer(tasks, rectified_prototypes(tasks, sharpness), scale)


def rectified_prototypes(tasks, sharpness):
    """Return the prototypes of `bd_cspn`, (B, C, d)."""
    targets = tasks.targets.mT
    basic = class_means(tasks.support, targets)
    support_mean = class_means(tasks.support, targets.sum(dim=1, keepdim=True))
    query_mean = class_means(tasks.query, tasks.weight[:, None])
    shifted = tasks.query + (support_mean - query_mean)  # (B, n, d)
    near = cosines(basic, normalize(shifted, dim=2))  # (B, C, n)
    own = one_hot(near.argmax(dim=1), near.shape[1]).mT  # (B, C, n)
    # shift by the largest exponent: no overflow, the same means
    assignment = torch.cat(
        [
            targets * (sharpness * (cosines(basic, tasks.support) - 1)).exp(),
            own * (sharpness * (near - 1)).exp() * tasks.weight[:, None],
        ],
        dim=2,
    )
    return class_means(torch.cat([tasks.support, shifted], dim=1), assignment)
