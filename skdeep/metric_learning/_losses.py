"""The threshold-consistent margin (TCM), and the loss of a training step.

A step computes the matrix of cosine similarities once; the base loss and TCM share it.
"""

import inspect

import numpy as np
import torch
from torch import nn

from skdeep.exceptions import InvalidParameterError
from skdeep.metric_learning import _pair_losses as pairs
from skdeep.metric_learning import _proxy_losses as proxies
from skdeep.metric_learning import _ranking_losses as ranking
from skdeep.utils._torch import build, build_foreign, copy_module

BASE_LOSSES = {
    "smooth_ap": ranking.SmoothAPLoss,
    "recall_at_k": ranking.RecallAtKLoss,
    "contrastive": pairs.ContrastiveLoss,
    "triplet": pairs.TripletLoss,
    "multi_similarity": pairs.MultiSimilarityLoss,
    "supcon": pairs.SupConLoss,
    "norm_softmax": proxies.NormSoftmaxLoss,
    "arcface": proxies.ArcFaceLoss,
    "cosface": proxies.CosFaceLoss,
    "proxy_nca": proxies.ProxyNCALoss,
    "proxy_anchor": proxies.ProxyAnchorLoss,
}

_NUMPY_DTYPES = torch.float32, torch.float64


class TCMLoss(pairs.PairLoss):
    r"""Threshold-consistent margin: one absolute margin for all classes.

    .. math::
        L = \lambda^+ \frac{\sum_{S^+} (m^+ - s) \, 1[s \le m^+]}
                           {\sum_{S^+} 1[s \le m^+]}
          + \lambda^- \frac{\sum_{S^-} (s - m^-) \, 1[s \ge m^-]}
                           {\sum_{S^-} 1[s \ge m^-]}

    over the similarities :math:`s` of the pairs of one class, :math:`S^+`, and of two
    classes, :math:`S^-`. Each side is a mean over its *hard* pairs only, so that a few
    of them keep their full weight; a side without a hard pair is zero.

    Parameters
    ----------
    pos_margin : float, default=0.9
        Similarity :math:`m^+` above which a pair of one class costs nothing.

    neg_margin : float, default=0.5
        Similarity :math:`m^-` below which a pair of two classes costs nothing.

    pos_weight : float, default=1.0
        The :math:`\lambda^+`.

    neg_weight : float, default=1.0
        The :math:`\lambda^-`.

    Notes
    -----
    The indicators are constants to the gradient, so the loss is linear in the
    similarities: one product with a matrix of coefficients, forward and backward, after
    O(B^2) comparisons. Rectangular similarities work too, e.g. against a memory bank.

    References
    ----------
    .. [1] Zhang et al., "Threshold-Consistent Margin Loss for Open-World Deep Metric
       Learning", ICLR 2024, eq. (4).

    Examples
    --------
    >>> import torch
    >>> from skdeep.metric_learning import TCMLoss
    >>> similarity = torch.tensor([[1.0, 0.7, 0.6], [0.7, 1.0, 0.1], [0.6, 0.1, 1.0]])
    >>> y = torch.tensor([0, 0, 1])
    >>> same = y[:, None] == y
    >>> loss = TCMLoss()(similarity, same & ~torch.eye(3, dtype=bool), ~same)
    >>> round(loss.item(), 4)  # 0.9 - 0.7 for the positive, 0.6 - 0.5 for the negative
    0.3
    """

    def __init__(self, pos_margin=0.9, neg_margin=0.5, pos_weight=1.0, neg_weight=1.0):
        super().__init__()
        self.pos_margin = pos_margin
        self.neg_margin = neg_margin
        self.pos_weight = pos_weight
        self.neg_weight = neg_weight

    def forward(self, similarity, is_pos, is_neg):
        # (B, M), (B, M), (B, M) -> ()
        return self.with_parts(similarity, is_pos, is_neg)[0]

    def with_parts(self, similarity, is_pos, is_neg):
        """Return the loss, and a dict of its sides and the fractions of hard pairs."""
        on_cpu = similarity.device.type == "cpu" and similarity.dtype in _NUMPY_DTYPES
        find = _hard_pairs_on_cpu if on_cpu else _hard_pairs
        slope, other, numbers = find(
            similarity.detach(), is_pos, is_neg, self.pos_margin, self.neg_margin
        )
        hard_pos, hard_neg, n_pos, n_neg, total_pos, total_neg = numbers
        pos_level = self.pos_margin * min(hard_pos, 1)
        neg_level = self.neg_margin * min(hard_neg, 1)
        parts = {
            "tcm_pos": abs(pos_level - total_pos / max(hard_pos, 1)),
            "hard_pos": hard_pos / max(n_pos, 1),
            "tcm_neg": abs(total_neg / max(hard_neg, 1) - neg_level),
            "hard_neg": hard_neg / max(n_neg, 1),
        }
        slope *= -self.pos_weight / max(hard_pos, 1)
        other *= self.neg_weight / max(hard_neg, 1)
        slope += other
        slope = torch.as_tensor(slope).reshape(-1)
        offset = self.pos_weight * pos_level - self.neg_weight * neg_level
        return similarity.reshape(-1).dot(slope) + offset, parts


def _hard_pairs(similarity, is_pos, is_neg, pos_margin, neg_margin):
    """Find the pairs on the wrong side of their margin.

    Returns
    -------
    pos, neg : torch.Tensor or ndarray of shape (B, M)
        1 for such a pair, 0 for all others, in the dtype of the similarities.

    numbers : list of six float
        How many hard ones there are, how many pairs, and the sums of the similarities of
        the hard ones, each for `is_pos` and `is_neg`.
    """
    pos = ((similarity <= pos_margin) & is_pos).to(similarity.dtype)
    neg = ((similarity >= neg_margin) & is_neg).to(similarity.dtype)
    sums = [part.sum() for part in (pos, neg, is_pos, is_neg)]
    sums += [(part * similarity).sum() for part in (pos, neg)]
    return pos, neg, torch.stack(sums).tolist()


def _hard_pairs_on_cpu(similarity, is_pos, is_neg, pos_margin, neg_margin):
    """The same with numpy, which is several times faster with truth values."""
    similarity, is_pos, is_neg = similarity.numpy(), is_pos.numpy(), is_neg.numpy()
    pos, neg = similarity <= pos_margin, similarity >= neg_margin
    pos &= is_pos
    neg &= is_neg
    numbers = [int(np.count_nonzero(part)) for part in (pos, neg, is_pos, is_neg)]
    pos, neg = pos.astype(similarity.dtype), neg.astype(similarity.dtype)
    numbers += [float(np.vdot(part, similarity)) for part in (pos, neg)]
    return pos, neg, numbers


class MetricLoss(nn.Module):
    """Base loss plus TCM on the embeddings of one batch.

    Parameters
    ----------
    base_loss : torch.nn.Module
        A pair loss, or a module that takes unit embeddings and class codes.

    tcm : TCMLoss
        The second term.

    tcm_weight : float, default=1.0
        Weight of the second term; 0 leaves it out.

    n_warmup_steps : int, default=0
        Steps over which the weight of TCM rises from zero.
    """

    def __init__(self, base_loss, tcm, tcm_weight=1.0, n_warmup_steps=0):
        super().__init__()
        self.base_loss = base_loss
        self.tcm = tcm
        self.tcm_weight = tcm_weight
        self.n_warmup_steps = n_warmup_steps
        self.step = 0

    def forward(self, embeddings, y):
        # embeddings: (B, E), unit rows; y: (B,) -> loss (), parts
        is_pair_loss = isinstance(self.base_loss, pairs.PairLoss)
        if is_pair_loss or self.tcm_weight:
            similarity = embeddings @ embeddings.T  # (B, B)
            same = y[:, None] == y
            is_pos, is_neg = same.clone().fill_diagonal_(False), ~same
        if is_pair_loss:
            base = self.base_loss(similarity, is_pos, is_neg)
        else:
            base = self.base_loss(embeddings, y)
        parts = {"base_loss": base}
        loss = base
        if self.tcm_weight:
            warm = self.step / self.n_warmup_steps if self.n_warmup_steps else 1
            weight = self.tcm_weight * min(1, warm)
            tcm, tcm_parts = self.tcm.with_parts(similarity, is_pos, is_neg)
            loss = torch.add(base, tcm, alpha=weight)
            parts |= tcm_parts
        self.step += self.training
        return loss, parts


def make_base_loss(base_loss, params, *, n_classes, n_components, generator):
    """Resolve the parameters `base_loss` and `base_loss_params` of the embedder.

    Parameters
    ----------
    base_loss : str, torch.nn.Module, class or callable
        A name of `BASE_LOSSES`; a module that takes unit embeddings and class codes; a
        class of such modules, which gets the sizes if it asks for them; or a function
        (n_classes, n_components) -> module.

    params : dict or None
        Further arguments of the constructor.

    n_classes, n_components : int
        Shape of the class vectors of a proxy loss.

    generator : torch.Generator
        Source of the class vectors.
    """
    if isinstance(base_loss, nn.Module):
        if params:
            raise InvalidParameterError(
                "`base_loss_params` is for a name or a class, but base_loss is an "
                "instance; give the arguments to its constructor."
            )
        return copy_module(base_loss)
    params = params or {}
    make = BASE_LOSSES.get(base_loss, base_loss)
    is_class = isinstance(make, type)
    is_ours = is_class and issubclass(make, (pairs.PairLoss, proxies.ProxyLoss))
    try:
        if is_ours:
            sizes = (n_classes, n_components)
            sizes = sizes if issubclass(make, proxies.ProxyLoss) else ()
            return build(lambda: make(*sizes, **params), generator=generator)
        if is_class:
            # the two names that pytorch-metric-learning has for the sizes
            known = inspect.signature(make).parameters
            sizes = {"num_classes": n_classes, "embedding_size": n_components}
            params = {**{k: v for k, v in sizes.items() if k in known}, **params}
            return build_foreign(
                lambda: make(**params), generator=generator, name="base_loss"
            )
        return build_foreign(
            lambda: make(n_classes, n_components, **params),
            generator=generator,
            name="base_loss",
        )
    except Exception as error:  # whatever a constructor of the user raises
        raise InvalidParameterError(
            f"`base_loss_params` make no module with base_loss={base_loss!r} "
            f"({type(error).__name__}: {error}); a function must be (n_classes, "
            "n_components) -> module."
        ) from error


def has_class_vectors(base_loss):
    """Whether a loss of the user knows its number of classes already."""
    is_module = isinstance(base_loss, nn.Module)
    return is_module and next(base_loss.parameters(), None) is not None


def try_loss(criterion, n_components, n_classes):
    """Apply a loss to four rows of two classes, so that a misfit shows before training.

    Parameters
    ----------
    criterion : MetricLoss
        Loss of a step.

    n_components : int
        Size of an embedding.

    n_classes : int
        Classes that the training will show, those of turned images among them.
    """
    last = n_classes - 1
    rows = torch.zeros(4, n_components, dtype=torch.float32)
    rows[:, 0] = 1
    try:
        with torch.no_grad():
            loss = criterion.eval()(rows, torch.tensor([0, 0, last, last]))[0]
        finite = bool(torch.isfinite(loss).all()) and loss.numel() == 1
    except Exception as error:  # whatever a loss of the user raises
        raise InvalidParameterError(
            "`base_loss` cannot be applied to (embeddings, labels), with embeddings of "
            f"{n_components} components and labels from 0 to {last}, or its "
            f"`base_loss_params` are wrong: {error}"
        ) from error
    criterion.train()
    if not finite:
        raise InvalidParameterError(
            f"`base_loss` gives {loss} instead of one finite number for four rows of "
            "two classes; check `base_loss_params`."
        )


def start_base_loss(est, go_on, y, n_variants, generator):
    """Make the base loss, with the class vectors of the last fit if it goes on.

    Parameters
    ----------
    est : TCMEmbedder
        Embedder; `_loss_classes`, the labels with a vector, is set.

    go_on : bool
        Whether the training continues.

    y : ndarray of shape (n_samples,)
        Labels of the training samples.

    n_variants : int
        Classes that each class is turned into by the augmentation.

    generator : torch.Generator
        Source of the class vectors.

    Returns
    -------
    base_loss : torch.nn.Module

    codes : ndarray of shape (n_samples,), dtype int64
        Class of each sample, as an index into `_loss_classes`.
    """
    earlier = getattr(est, "_loss_weights", None) if go_on else None
    classes = np.unique(y)
    if earlier:
        new = np.setdiff1d(classes, est._loss_classes)
        if len(new):
            raise ValueError(
                f"Class {new.tolist()[0]!r} is new, but base_loss={est.base_loss!r} has "
                "one vector for each class of the first fit; use a pair loss such as "
                "'smooth_ap', or fit anew."
            )
        classes = est._loss_classes
    base_loss = make_base_loss(
        est.base_loss,
        est.base_loss_params,
        n_classes=len(classes) * n_variants,
        n_components=est.n_components,
        generator=generator,
    )
    if earlier:
        tensors = {name: torch.tensor(value) for name, value in earlier.items()}
        try:
            base_loss.load_state_dict(tensors)
        except RuntimeError as error:
            raise InvalidParameterError(
                "The training goes on with the class vectors of the last fit, but "
                "`base_loss` or `augment` has changed since; set warm_start=False to "
                "fit anew, or restore the parameter."
            ) from error
    est._loss_classes = classes
    return base_loss, np.searchsorted(classes, y)
