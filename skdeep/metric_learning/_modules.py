"""Network of the embedder: any encoder, then rows of length one."""

import contextlib
import copy

import numpy as np
import scipy.sparse as sp
import torch
import torch.nn.functional as F
from torch import nn
from torch.utils.checkpoint import checkpoint

from skdeep.base import forward
from skdeep.exceptions import InvalidParameterError
from skdeep.metric_learning._calibration import VALIDATION_METRICS
from skdeep.nn import MLP, ConvEncoder, Dropout, make_module, start_module


class UnitEncoder(nn.Module):
    """Scale the rows of an encoder to length one.

    Parameters
    ----------
    encoder : torch.nn.Module
        Maps (n_samples, n_features) to (n_samples, n_components).

    Attributes
    ----------
    chunk_size : int or None
        Rows that are encoded at a time in training; what is computed for them is
        forgotten until the gradient asks for it [1]_.

    References
    ----------
    .. [1] Gao, Zhang, Han and Callan, "Scaling Deep Contrastive Learning Batch Size
       under Memory Limited Setup", RepL4NLP 2021.
    """

    chunk_size = None

    def __init__(self, encoder):
        super().__init__()
        self.encoder = encoder

    def forward(self, X):
        # (B, D) -> (B, E); the eps of normalize keeps a zero row at zero
        if not self.training or self.chunk_size is None or len(X) <= self.chunk_size:
            return F.normalize(self.encoder(X), dim=1)
        # no part is so small that batch normalisation has nothing to compare
        n_parts = -(-len(X) // self.chunk_size)
        ends = [round(part * len(X) / n_parts) for part in range(n_parts + 1)]
        parts = [
            checkpoint(_Repeatable(self.encoder), X[a:b], use_reentrant=False)
            for a, b in zip(ends, ends[1:])
        ]
        return F.normalize(torch.cat(parts), dim=1)


class _Repeatable:
    """A network that says the same when asked again, and learns no moments from it."""

    def __init__(self, network):
        self.network = network
        self.states = None

    def __call__(self, X):
        drawing = [
            part.generator
            for part in self.network.modules()
            if isinstance(part, Dropout) and part.generator is not None
        ]
        now = [generator.get_state() for generator in drawing]
        if self.states is None:
            self.states = now
            return self.network(X)
        for generator, state in zip(drawing, self.states):
            generator.set_state(state)
        with contextlib.ExitStack() as stack:
            for generator, state in zip(drawing, now):
                stack.callback(generator.set_state, state)
            for part in self.network.modules():
                if getattr(part, "track_running_stats", False):
                    stack.callback(setattr, part, "momentum", part.momentum)
                    part.momentum = 0.0
                    part.num_batches_tracked -= 1
            return self.network(X)


def make_unit_encoder(**module_args):
    """`skdeep.nn.make_module` with rows of length one."""
    return UnitEncoder(make_module(**module_args))


def takes_sparse(module):
    """Whether the encoder can do without the zeros of sparse rows."""
    return isinstance(module.encoder, MLP)


def default_lr(module):
    """Learning rate for ``lr="auto"``: pixels from scratch bear larger steps."""
    rates = {MLP: 2e-4, ConvEncoder: 2e-3}
    return rates.get(type(module.encoder), 1e-3)


def encoder_args(est, X, image_shape):
    """Describe the network of an embedder as arguments of `make_unit_encoder`.

    Parameters
    ----------
    est : TCMEmbedder
        Its parameters of the network are read.

    X : ndarray or CSR matrix of shape (n_samples, n_features)
        Training samples: the perceptron depends on their scale.

    image_shape : tuple of int or None
        (channels, height, width) if the rows are images.

    Returns
    -------
    module_args : dict
        Plain values, apart from a network of the user.
    """
    params = est.module_params
    if est.module == "mlp" or (est.module is None and image_shape is None):
        input_dropout = est.input_dropout
        if input_dropout == "auto":
            input_dropout = 0.3 if sp.issparse(X) else 0.0
        params = {
            "dropout": float(est.dropout),
            "input_dropout": float(input_dropout),
            "input_scale": row_scale(X),
            "skip_scale": 3.0,
            **(params or {}),
        }
    return {
        "module": est.module,
        "module_params": params,
        "n_features": X.shape[1],
        "n_outputs": est.n_components,
        "hidden_layer_sizes": [int(size) for size in est.hidden_layer_sizes],
        "image_shape": image_shape,
    }


def row_scale(X):
    """One over the root mean square of the lengths of the rows, kept in float32."""
    values = X.data[None] if sp.issparse(X) else X
    squares = np.einsum("ij,ij->i", values, values, dtype=np.float64).sum()
    length = (squares / X.shape[0]) ** 0.5
    return float(1 / np.clip(length, 1e-30, 1e30)) if squares > 0 else 1.0


def start_encoder(est, X, go_on, generator):
    """Build the network of an embedder and try it on two rows, or copy the fitted one.

    Parameters
    ----------
    est : TCMEmbedder
        Embedder with ``_module_args``, and with ``module_`` to go on with.

    X : ndarray or CSR matrix of shape (n_samples, n_features)
        Training samples.

    go_on : bool
        Whether to copy the fitted network.

    generator : torch.Generator
        Source of the weights.

    Returns
    -------
    module : torch.nn.Module
        On the CPU, or where it was trained.
    """
    if go_on:
        _check_same_network(est, X)
        return copy.deepcopy(est.module_)
    module = start_module(make_unit_encoder, est._module_args, generator=generator)
    try:
        output = forward(module.eval(), X[:2], "cpu")
    except Exception as error:  # whatever a network of the user raises
        raise InvalidParameterError(
            f"`module` cannot be applied to float rows of {X.shape[1]} features: "
            f"{error}"
        ) from error
    if output.ndim != 2:
        raise InvalidParameterError(
            "`module` must return one vector for each row, but for 2 rows it returned "
            f"an array of shape {output.shape}."
        )
    if output.shape[1] != est.n_components:
        raise InvalidParameterError(
            f"`module` returns {output.shape[1]} values for a row, but n_components="
            f"{est.n_components}; set n_components={output.shape[1]}."
        )
    return module


def _check_same_network(est, X):
    """Refuse to go on with other parameters of the network than those of the fit."""
    before, now = est._module_args, encoder_args(est, X, est._image_shape)
    for name, value in now.items():
        if name == "module_params" and value and "input_scale" in value:
            # follows from the data, and input dropout from their kind
            kept = {k: before[name][k] for k in ("input_scale", "input_dropout")}
            value = {**value, **kept}
        if value is not before[name] and value != before[name]:
            raise InvalidParameterError(
                f"The training goes on with the fitted network, but {name!r} has "
                f"changed from {before[name]!r} to {value!r} since; set "
                "warm_start=False to fit anew, or restore the parameter."
            )


def validation_score(est, X, y):
    """Make the function that measures a network on samples of held-out classes."""
    name = est.validation_metric or "recall_at_1"
    measure = name if callable(name) else VALIDATION_METRICS[name]

    def score(module):
        return measure(y, forward(module, X, est.device_))

    return score
