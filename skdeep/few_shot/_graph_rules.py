"""Rules by which neighbours in the pile get similar answers."""

import torch

from skdeep.few_shot._balanced_rules import answer_by_means
from skdeep.few_shot._centroid_rules import (
    class_means,
    closeness,
    cosine_answer,
    cosines,
    needs_pile,
    rectified_prototypes,
)
from skdeep.few_shot._graph import (
    nearest_neighbours,
    similarity_graph,
    spread_labels,
)


@needs_pile
def laplacian(
    tasks, scale=10.0, smoothness=0.7, n_neighbors=2, n_steps=20, sharpness=1.0
):
    r"""Let each row of the pile agree with its nearest ones (LaplacianShot).

    From :math:`y_i = \operatorname{softmax}(-a_i)` on, `n_steps` times,

    .. math::
        y_i \leftarrow \operatorname{softmax}\Big(-a_i + \lambda
        \sum_{j \in N(i)} y_j\Big)

    with the squared distances :math:`a_{ic}` to the prototypes of `bd_cspn` and the
    nearest rows :math:`N(i)` of the pile.

    Parameters
    ----------
    tasks : Tasks
        B tasks.

    scale : float, default=10.0
        Factor on the cosines for rows outside the pile.

    smoothness : float, default=0.7
        The :math:`\lambda`.

    n_neighbors : int, default=2
        Rows in :math:`N(i)`.

    n_steps : int, default=20
        Steps.

    sharpness : float, default=1.0
        As in `bd_cspn`.

    Returns
    -------
    answer : Answer
        The rectified prototypes, and probabilities of the pile that agree.

    Notes
    -----
    O(n^2 d) time and O(n n_neighbors) memory a task.

    References
    ----------
    .. [1] Ziko, Dolz, Granger, Ben Ayed, "Laplacian Regularized Few-Shot Learning",
       ICML 2020, algorithm 1.
    """
    query, weight = tasks.query, tasks.weight
    prototypes = rectified_prototypes(tasks, sharpness)
    logits = closeness(prototypes, query, 1.0)  # (B, C, n)
    ids, similarity = nearest_neighbours(query, weight > 0, n_neighbors)
    n_tasks, n_classes, n_rows = logits.shape
    # an all-zero row is near to nothing
    near = similarity.isfinite() & query.any(dim=2, keepdim=True)
    edges = weight.gather(1, ids.flatten(1)).reshape(ids.shape) * near * smoothness
    edges = edges[:, None]  # (B, 1, n, k)
    ids = ids.reshape(n_tasks, 1, -1).expand(-1, n_classes, -1)  # (B, C, n * k)
    proba = logits.softmax(dim=1)
    for _ in range(n_steps):
        around = proba.gather(2, ids).reshape(n_tasks, n_classes, n_rows, -1)
        proba = (logits + (edges * around).sum(dim=3)).softmax(dim=1)
    return cosine_answer(tasks, prototypes, scale)._replace(proba=proba.mT)


@needs_pile
def label_propagation(
    tasks, scale=10.0, n_neighbors=15, damping=0.8, exponent=3.0, n_rounds=30
):
    r"""Spread the labels over a graph of nearest neighbours.

    :math:`F = (I - \alpha S)^{-1} Y`, rows of the pile take the shares of the classes in
    their row of :math:`F`. The labelled rows of a class have the sum 1 in :math:`Y`.

    Parameters
    ----------
    tasks : Tasks
        B tasks.

    scale : float, default=10.0
        Factor on the cosines for rows outside the pile.

    n_neighbors : int, default=15
        Neighbours of a row in the graph of labelled rows and pile.

    damping : float, default=0.8
        The :math:`\alpha`, how far labels spread; less than 1.

    exponent : float, default=3.0
        Power of the cosine that is the weight of an edge.

    n_rounds : int, default=30
        Rounds in which the system is solved.

    Returns
    -------
    answer : Answer
        Probabilities by the graph, and as prototypes the means of the rows so assigned.
        Rows that no label reaches have the probabilities of plain prototypes.

    Notes
    -----
    O((s + n)^2 d) time and O((s + n) n_neighbors) memory a task.

    References
    ----------
    .. [1] Zhou et al., "Learning with Local and Global Consistency", NeurIPS 2004.
    .. [2] Lazarou, Avrithis, Stathaki, "Iterative label cleaning for transductive and
       semi-supervised few-shot learning", ICCV 2021, eq. (2) to (5), for the edges.
    """
    graph, seeds = task_graph(tasks, n_neighbors, exponent)
    reached = spread_labels(graph, per_class(seeds), damping, n_rounds)
    reached = reached[:, :, tasks.support.shape[1] :]
    plain = class_means(tasks.support, tasks.targets.mT)
    plain = (scale * cosines(plain, tasks.query)).softmax(dim=1)
    found = reached.any(dim=1, keepdim=True)  # (B, 1, n)
    return answer_by_means(tasks, torch.where(found, per_row(reached), plain), scale)


def task_graph(tasks, n_neighbors, exponent):
    """Return the graph of labelled rows and pile, and their labels (B, C, s + n)."""
    rows = torch.cat([tasks.support, tasks.query], dim=1)
    weight = torch.cat([tasks.targets.sum(dim=2), tasks.weight], dim=1)
    n_tasks, n_rows, _ = tasks.query.shape
    unknown = tasks.targets.new_zeros(n_tasks, tasks.targets.shape[2], n_rows)
    labels = torch.cat([tasks.targets.mT, unknown], dim=2)
    return similarity_graph(rows, weight, n_neighbors, exponent), labels


def per_class(labels):
    """Divide labels (B, C, m) by the sum of each class."""
    total = labels.sum(dim=2, keepdim=True)
    return labels / total.clamp(min=torch.finfo(labels.dtype).tiny)


def per_row(reached):
    """Divide what labels reach (B, C, n) by the sum of each row."""
    total = reached.sum(dim=1, keepdim=True)
    return reached / total.clamp(min=torch.finfo(reached.dtype).tiny)
