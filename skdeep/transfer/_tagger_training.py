"""Training of the tagger's network."""

from typing import NamedTuple

import numpy as np
from skorch.callbacks import Callback

from skdeep.exceptions import DivergedError
from skdeep.metrics import entity_f1_score
from skdeep.metrics._spans import check_same_lengths
from skdeep.nn import seed_dropout
from skdeep.transfer._sentences import forbidden_moves, split_rows
from skdeep.transfer._tagger_losses import TaggingLoss
from skdeep.transfer._tagging import decode
from skdeep.transfer._token_batches import LengthSortedBatches
from skdeep.utils._torch import make_generator

# times `lr`: what begins from nothing, or at zero, beside a network that is trained
_FASTER = {"adapter.*": 3.0, "join.*": 30.0}


class RowSteps(Callback):
    """Let the wide path step after each batch.

    Parameters
    ----------
    lr : float
        Length of the first steps; it follows the schedule of the other weights.
    """

    def __init__(self, lr):
        self.lr = lr

    def on_grad_computed(self, net, named_parameters, **kwargs):
        group = net.optimizer_.param_groups[-1]
        share = group["lr"] / group.get("initial_lr", group["lr"])
        if net.module_.wide is not None:
            net.module_.wide.step(self.lr * share, net.scaler_.get_scale())


class Steps(NamedTuple):
    """How long and how fast a tagger learns.

    Attributes
    ----------
    max_epochs, batch_size : int
        Passes, and sentences of a step.

    lr, wide_lr, crf_lr : float
        Learning rates of the deep path, of the wide path and of the transitions; an
        adapter has three times that of the deep path, and what joins it thirty times.

    word_dropout : float
        See `LengthSortedBatches`.

    distill : float, default=0
        See `TaggingLoss`.
    """

    max_epochs: int
    batch_size: int
    lr: float
    wide_lr: float
    crf_lr: float
    word_dropout: float
    distill: float = 0.0


def hold_out(lengths, early_stopping, fraction, rng):
    """Mask of the sentences that are held out, or None without `early_stopping`."""
    if not early_stopping:
        return None
    present = np.flatnonzero(lengths)
    n_valid = max(1, round(fraction * len(present)))
    if n_valid >= len(present):
        raise ValueError(
            f"early_stopping=True holds out {n_valid} of {len(present)} sentences, and "
            "nothing is left to train on; set early_stopping=False or lower "
            "`validation_fraction`."
        )
    held = np.zeros(len(lengths), bool)
    held[rng.permutation(present)[:n_valid]] = True
    return held


def train_network(
    est, module, sentences, steps, rng, *, held=None, codes=None, go_on=False, data=()
):
    """Train `module`, and set what `BaseDeepEstimator._train` sets.

    Parameters
    ----------
    est : estimator
        Its training parameters are read; its `classes_` and `scheme_` are known.

    module : TaggerNetwork
        The network, on the CPU.

    sentences : Sentences
        Encoded, with targets.

    steps : Steps
        Length and speed of the training.

    rng : RandomState
        Draws batches and dropout.

    held : ndarray of shape (n_sentences,) or None, default=None
        Mask of the sentences to validate with.

    codes : ndarray of shape (n_tokens,) or None, default=None
        The right tags, if the targets are masks.

    go_on : bool, default=False
        Whether an earlier training goes on.

    data : tuple of (X, y)
        What `fit` was called with.
    """
    module.to(est.device_)
    seed_dropout(module, make_generator(rng, est.device_))
    rates = {"crf.*": steps.crf_lr, "bias": steps.crf_lr}
    rates |= {name: factor * steps.lr for name, factor in _FASTER.items()}
    train, score = sentences, None
    if held is not None:
        train, valid = sentences.take(~held), sentences.take(held)
        right = sentences.targets if codes is None else codes
        right = right[sentences.tokens.inside(held)]
        truth = as_tags(est, right, valid.tokens.lengths)
        forbidden = forbidden_moves(est.classes_, est.scheme_)

        def score(network):
            found = decode(network, valid, est.device_, forbidden)
            found = as_tags(est, found, valid.tokens.lengths)
            return tagging_score(truth, found, est.scheme_)

    est._train(
        module,
        TaggingLoss(steps.distill),
        LengthSortedBatches(train, steps.batch_size, rng, steps.word_dropout),
        go_on=go_on,
        max_epochs=steps.max_epochs,
        lr=steps.lr,
        score=score,
        param_groups=[(name, {"lr": rate}) for name, rate in rates.items()],
        extra=[RowSteps(steps.wide_lr)],
        data=data,
    )
    wide = est.module_.wide
    if wide is not None and not wide.weight.abs().sum().isfinite():
        raise DivergedError(
            "The weights of the wide path hold NaN or infinite values after the last "
            f"epoch. Lower the learning rate of the wide path, {steps.wide_lr}."
        )


def as_tags(est, codes, lengths):
    """Tags of each sentence from flat codes."""
    return split_rows(est.classes_[codes].tolist(), lengths)


def tagging_score(y_true, y_pred, scheme):
    """F1 of entities; of plain tags, the share that is right."""
    if scheme != "plain":
        return entity_f1_score(y_true, y_pred, zero_division=0.0)
    check_same_lengths(y_true, y_pred, "y", "predict(X)")
    pairs = [a == b for t, p in zip(y_true, y_pred) for a, b in zip(t, p)]
    return float(np.mean(pairs)) if pairs else 0.0
