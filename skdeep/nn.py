"""Networks that anybody may reuse, and the rule that turns `module` into one."""

import math

import torch
from torch import nn

from skdeep.exceptions import InvalidParameterError
from skdeep.utils._torch import build, build_foreign, copy_module

__all__ = [
    "MLP",
    "ConvEncoder",
    "Dropout",
    "make_module",
    "seed_dropout",
    "start_module",
]


class Dropout(nn.Dropout):
    """Dropout whose masks come from a generator of its own.

    Parameters
    ----------
    p : float, default=0.5
        Probability that an entry is set to zero in training.

    Attributes
    ----------
    generator : torch.Generator or None
        Handed over by `seed_dropout`; None draws from torch's global generator.
    """

    generator = None

    def forward(self, input):
        # (..., D) -> (..., D)
        if not self.training or self.p == 0:
            return input
        keep = 1 - self.p
        mask = torch.empty_like(input).bernoulli_(keep, generator=self.generator)
        return input * mask.div_(keep)


def seed_dropout(module, generator):
    """Let all our dropout layers of `module` draw from `generator`.

    Parameters
    ----------
    module : torch.nn.Module
        Any network.

    generator : torch.Generator or None
        On the device of the module. None takes an earlier generator away, so that the
        module can be copied and stored.
    """
    for part in module.modules():
        if isinstance(part, Dropout):
            part.generator = generator


class MLP(nn.Module):
    """Multi-layer perceptron with batch normalisation.

    Parameters
    ----------
    n_features : int
        Size of an input row, D.

    hidden_layer_sizes : sequence of int
        Width of each hidden layer; empty for a linear map.

    n_outputs : int
        Size of an output row, O.

    dropout : float, default=0.0
        Dropout behind each hidden layer.
    """

    def __init__(self, n_features, hidden_layer_sizes, n_outputs, *, dropout=0.0):
        super().__init__()
        layers, width = [], n_features
        for size in hidden_layer_sizes:
            layers += [nn.Linear(width, size), nn.BatchNorm1d(size), nn.ReLU()]
            layers += [Dropout(dropout)] if dropout else []
            width = size
        self.layers = nn.Sequential(*layers, nn.Linear(width, n_outputs))

    def forward(self, X):
        # (B, D) -> (B, O)
        return self.layers(X)


class ConvEncoder(nn.Module):
    """Small convolutional network for images given as flat rows.

    Each block is a 3 x 3 convolution, batch normalisation, ReLU and a 2 x 2 maximum;
    blocks stop when the image is smaller than 2 x 2.

    Parameters
    ----------
    image_shape : tuple of int
        (channels, height, width); a row is the flattened image.

    n_outputs : int
        Size of an output row, O.

    channels : sequence of int, default=(32, 64, 96, 128)
        Channels of each block.

    dropout : float, default=0.0
        Dropout in front of the last, linear layer.
    """

    def __init__(
        self, image_shape, n_outputs, *, channels=(32, 64, 96, 128), dropout=0.0
    ):
        super().__init__()
        depth, height, width = image_shape
        self.image_shape = tuple(image_shape)
        blocks = []
        for size in channels:
            if min(height, width) < 2:
                break
            blocks += [
                nn.Conv2d(depth, size, 3, padding=1, bias=False),
                nn.BatchNorm2d(size),
                nn.ReLU(),
                nn.MaxPool2d(2),
            ]
            depth, height, width = size, height // 2, width // 2
        self.blocks = nn.Sequential(*blocks)
        self.head = nn.Sequential(
            nn.Flatten(), Dropout(dropout), nn.Linear(depth * height * width, n_outputs)
        )

    def forward(self, X):
        # (B, C * H * W) -> (B, O)
        return self.head(self.blocks(X.unflatten(1, self.image_shape)))


def make_module(
    module,
    module_params=None,
    *,
    n_features,
    n_outputs,
    hidden_layer_sizes=(),
    dropout=0.0,
    image_shape=None,
):
    """Resolve the parameter `module` of the estimators.

    Parameters
    ----------
    module : {"mlp", "conv", "identity"}, class, callable, torch.nn.Module or None
        "mlp" and "conv" are the networks of this file and "identity" is one linear map.
        None is "conv" if there is an image shape, else "mlp". A class or callable is
        called with `module_params`; an instance is returned as it is.

    module_params : dict or None, default=None
        Arguments for the constructor of the network.

    n_features : int
        Size of an input row.

    n_outputs : int
        Size of an output row, for the built-in networks.

    hidden_layer_sizes : sequence of int, default=()
        For "mlp".

    dropout : float, default=0.0
        For "mlp" and "conv".

    image_shape : tuple of int or None, default=None
        (channels, height, width) if rows are flattened images. A network of the user
        then gets images instead of rows.

    Returns
    -------
    module : torch.nn.Module
        Maps (n_samples, n_features) to (n_samples, n_outputs).
    """
    params = dict(module_params or {})
    if module is None:
        module = "mlp" if image_shape is None else "conv"
    try:
        if module == "mlp":
            return MLP(
                n_features, hidden_layer_sizes, n_outputs, dropout=dropout, **params
            )
        if module == "identity":
            return nn.Linear(n_features, n_outputs, **params)
        if module == "conv":
            shape = tuple(params.pop("image_shape", None) or image_shape or ())
            shape = _checked_image_shape(shape, n_features)
            return ConvEncoder(shape, n_outputs, dropout=dropout, **params)
        network = module if isinstance(module, nn.Module) else module(**params)
    except TypeError as error:
        raise InvalidParameterError(
            f"`module_params` does not fit module={module!r}: {error}"
        ) from error
    if image_shape is None:
        return network
    return nn.Sequential(nn.Unflatten(1, tuple(image_shape)), network)


def _checked_image_shape(shape, n_features):
    if not shape:
        side = math.isqrt(n_features)
        shape = (1, side, side)
    if len(shape) != 3 or math.prod(shape) != n_features:
        raise InvalidParameterError(
            f"module='conv' needs images, but rows of {n_features} features are not "
            f"images of shape {shape}. Give X as (n_samples, channels, height, width) "
            "or module_params={'image_shape': (channels, height, width)}."
        )
    return shape


def start_module(make, module_args, *, generator):
    """Build the network that an estimator is about to train.

    Parameters
    ----------
    make : callable
        `make_module`, or a function of a method that has the same parameter `module`.

    module_args : dict
        Arguments of `make`.

    generator : torch.Generator
        Source of the weights; a module given as instance keeps its own.

    Returns
    -------
    module : torch.nn.Module
        On the CPU, in float32.
    """
    module = module_args["module"]
    if isinstance(module, (str, type(None))):
        return build(lambda: make(**module_args), generator=generator)
    if isinstance(module, nn.Module):
        return copy_module(make(**module_args))
    return build_foreign(lambda: make(**module_args), generator=generator)
