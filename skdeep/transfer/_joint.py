"""Networks beside a source classifier: the adapter, and plain fine-tuning."""

import math
from dataclasses import dataclass

import numpy as np
import scipy.sparse as sp
import torch
from scipy.special import log_softmax

from skdeep._callbacks import bridge
from skdeep._engine import take_rows
from skdeep.nn import seed_dropout
from skdeep.transfer._holding import hold_out
from skdeep.transfer._joint_modules import JointLoss, JointNet, joint_inputs
from skdeep.transfer._scaling import Scaling, learn_scaling
from skdeep.transfer._settings import classifier_epochs, setting
from skdeep.utils._torch import build, make_generator


@dataclass
class JointHead:
    """A trained network; its weights are in ``est.module_``.

    Attributes
    ----------
    scaling : Scaling

    gamma : float or None
        Factor of the source's scores.

    n_parameters : int
        Numbers learned.

    name : str
        Method.
    """

    scaling: Scaling
    gamma: float | None
    n_parameters: int
    name: str

    def log_proba(self, est, features, scores):
        """Log probabilities (n_samples, n_classes)."""
        X = stacked(self.scaling, features, scores)
        return log_softmax(est._forward(X), axis=1)

    def represent(self, est, features, scores):
        """Hidden layer and adapter, [h; a]."""
        X = stacked(self.scaling, features, scores)
        return est._apply(_Representation(est.module_), X)


class _Representation(torch.nn.Module):
    """The lower part of a `JointNet`."""

    def __init__(self, network):
        super().__init__()
        self.network = network

    def forward(self, X):
        parts = [part for part in self.network.represent(X) if part is not None]
        return torch.cat(parts, dim=1)


def stacked(scaling, features, scores):
    """Columns of features, scores as inputs and scores to be added, side by side."""
    parts = [scaling.features(features), scaling.scores(scores), scaling.skip(scores)]
    parts = [part.astype(np.float32) for part in parts]
    if sp.issparse(parts[0]):
        return sp.hstack(parts, format="csr", dtype=np.float32)
    return np.hstack(parts)


class JointBatches:
    """Mini-batches of rows with their labels, weights and source scores.

    Parameters
    ----------
    features : ndarray or CSR matrix of shape (n_samples, n_features), dtype float32
        Scaled.

    inputs, skip : ndarray of shape (n_samples, n_old), dtype float32
        Scores in their two forms.

    codes, weight : ndarray of shape (n_samples,)

    batch_size : int

    generator : torch.Generator or None
        Source of the order; None keeps it.
    """

    def __init__(self, features, inputs, skip, codes, weight, batch_size, generator):
        self.parts = features, inputs, skip
        self.codes, self.weight = codes, weight
        self.batch_size = batch_size
        self.generator = generator

    def __len__(self):
        return math.ceil(len(self.codes) / self.batch_size)

    def __iter__(self):
        order = torch.arange(len(self.codes))
        if self.generator is not None:
            order = torch.randperm(len(self.codes), generator=self.generator)
        for rows in order.split(self.batch_size):
            rows = rows.numpy()
            features, inputs, skip = (
                take_rows(part, rows, True) for part in self.parts
            )
            codes, weight = (
                torch.from_numpy(a[rows]) for a in (self.codes, self.weight)
            )
            yield joint_inputs(features, inputs, skip), (codes, weight, skip)


def make_joint(**network):
    """Make the network from the arguments that were recorded at its fit."""
    return JointNet(**network)


def fit_adapter(est, rows, layout, rng, pool=None):
    """Train the adapter and the network that it is joined to.

    Parameters
    ----------
    est : AdapterExtender
        Its parameters are read; gets ``module_``, ``_module_args`` and ``history_``.

    rows : NewRows

    layout : Layout

    rng : RandomState

    pool : object, default=None
        Not used.

    Returns
    -------
    head : JointHead
    """
    skip = bool(est.skip_connection)
    network = {
        **_sizes(est, rows, layout),
        "adapter_hidden_size": setting(est, "adapter_hidden_size")
        if len(layout.old)
        else 0,
        "skip": skip,
        "start_at_zero": skip or not len(layout.old),
    }
    return _train(est, rows, layout, rng, network, "adapter")


def fit_finetune(est, rows, layout, rng, pool=None):
    """Train a network that does not see the source's scores.

    What a network of the source's own kind gets by copying weights, one of another kind
    gets by imitation: a third of the epochs bring it near the source's answers for the
    new rows, the others train it on the labels.

    Parameters
    ----------
    est : AdapterExtender
        Its parameters are read; gets ``module_``, ``_module_args`` and ``history_``.

    rows : NewRows

    layout : Layout

    rng : RandomState

    pool : object, default=None
        Not used.

    Returns
    -------
    head : JointHead
    """
    network = {
        **_sizes(est, rows, layout),
        "adapter_hidden_size": 0,
        "skip": False,
        "start_at_zero": False,
    }
    return _train(est, rows, layout, rng, network, "finetune")


def _sizes(est, rows, layout):
    return {
        "n_features": rows.features.shape[1],
        "old": [int(place) for place in layout.old],
        "n_classes": layout.n_classes,
        "hidden_layer_sizes": tuple(setting(est, "hidden_layer_sizes")),
        "dropout": setting(est, "dropout"),
        "adapter_dropout": est.adapter_dropout,
        "combine": est.combine,
    }


def _train(est, rows, layout, rng, network, name):
    generator = make_generator(rng)
    scaling = learn_scaling(rows.features, rows.scores)
    est._module_args = {"part": "classifier", **network}
    module = build(lambda: make_joint(**network), generator=generator)
    module = module.to(est.device_)
    seed_dropout(module, make_generator(rng, est.device_))
    if est.trainable == "top":
        for parameter in module.hidden.parameters():
            parameter.requires_grad_(False)
    kept = valid = None
    if est.early_stopping:
        kept, valid = hold_out(rows.codes, est.validation_fraction, rng)
    train = _batches(est, scaling, rows, kept, generator)
    epochs = classifier_epochs(est, len(rows.codes))
    options = {"batches": train, "max_epochs": epochs}
    if valid is not None and len(valid):
        options["valid_batches"] = _batches(est, scaling, rows, valid, None)
    options["lr"] = setting(est, "lr")
    heat, distill = est.temperature, setting(est, "distill")
    start = {"go_on": False}
    imitates = name == "finetune" and len(layout.old) > 1
    options["listeners"] = bridge(
        est,
        *getattr(est, "_fit_data", (None, None)),
        max(2, epochs) if imitates else epochs,
        n_parts=1 + imitates,
        derive=lambda module: {"_head": JointHead(scaling, None, 0, name)},
    )
    if imitates:
        imitate = JointLoss(layout.old, 1.0, heat, use_labels=False)
        first = max(1, epochs // 3)
        est._train(module, imitate, **{**options, "max_epochs": first})
        options["max_epochs"] = max(1, epochs - first)
        module, start = est.module_.train(), {"go_on": True}
        seed_dropout(module, make_generator(rng, est.device_))
    if name == "finetune" and est.distill == "auto":
        distill = 0.0
    est._train(module, JointLoss(layout.old, distill, heat), **options, **start)
    gamma = None if module.gamma is None else float(est.module_.gamma.value.detach())
    count = sum(p.numel() for p in est.module_.parameters() if p.requires_grad)
    return JointHead(scaling, gamma, count, name)


def _batches(est, scaling, rows, kept, generator):
    kept = np.arange(len(rows.codes)) if kept is None else kept
    scores = rows.scores[kept]
    parts = scaling.features(rows.features[kept]), scaling.scores(scores)
    parts = *parts, scaling.skip(scores)
    parts = [
        part.astype(np.float32) if sp.issparse(part) else np.asarray(part, np.float32)
        for part in parts
    ]
    labels = rows.codes[kept].astype(np.int64), rows.weight[kept].astype(np.float32)
    return JointBatches(*parts, *labels, setting(est, "batch_size"), generator)
