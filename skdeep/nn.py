"""Networks that anybody may reuse, and the rule that turns `module` into one."""

import math

import torch
import torch.nn.functional as F
from torch import nn

from skdeep.exceptions import InvalidParameterError
from skdeep.utils._torch import build, build_foreign, copy_module

__all__ = [
    "MLP",
    "ConvEncoder",
    "Dropout",
    "InputLinear",
    "Linear",
    "SparseRows",
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


class Linear(nn.Linear):
    """Linear layer whose output for a row depends on nothing but that row.

    Matrix products sum in another order where a row is not aligned in memory. Where no
    gradient is asked for, rows are therefore padded with zeros to a multiple of 8 values, so
    that a row gives the same bits wherever it stands.
    """

    def forward(self, input):
        # (..., D) -> (..., O)
        return row_linear(input, self.weight, self.bias)


def row_linear(input, weight, bias=None):
    """``torch.nn.functional.linear`` whose inner size is padded outside of training."""
    # (..., D), (O, D) -> (..., O)
    n_missing = -input.shape[-1] % 8
    if torch.is_grad_enabled() or not n_missing:
        return F.linear(input, weight, bias)
    return F.linear(F.pad(input, (0, n_missing)), F.pad(weight, (0, n_missing)), bias)


class SparseRows:
    """Rows of a CSR matrix as tensors, for networks that can do without the zeros.

    Parameters
    ----------
    columns : tensor of shape (n_stored,), dtype int64
        Column of each stored value, row after row.

    starts : tensor of shape (n_rows,), dtype int64
        Where each row begins.

    values : tensor of shape (n_stored,)
        Stored values.
    """

    def __init__(self, columns, starts, values):
        self.columns, self.starts, self.values = columns, starts, values

    @classmethod
    def from_csr(cls, X):
        """Take over a CSR matrix of float32."""
        return cls(
            torch.from_numpy(X.indices.astype("int64")),
            torch.from_numpy(X.indptr[:-1].astype("int64")),
            torch.from_numpy(X.data.copy()),
        )

    def __len__(self):
        return len(self.starts)

    def __getitem__(self, rows):
        """Some rows that follow each other."""
        bounds = [*self.starts.tolist(), len(self.values)]
        start, stop, _ = rows.indices(len(self))
        stored = slice(bounds[start], bounds[stop])
        starts = self.starts[rows] - bounds[start]
        return SparseRows(self.columns[stored], starts, self.values[stored])

    def to(self, device):
        """Send the tensors to a device."""
        parts = (self.columns, self.starts, self.values)
        return SparseRows(*(part.to(device) for part in parts))

    def map_values(self, function):
        """Apply a function to the stored values."""
        return SparseRows(self.columns, self.starts, function(self.values))


class InputLinear(nn.Module):
    """Linear layer for dense or sparse rows, with the weights of `torch.nn.Linear`.

    Parameters
    ----------
    n_features : int
        Size of an input row, D.

    n_outputs : int
        Size of an output row, O.

    projection_scale : float or None, default=None
        If given, the layer starts as a random projection that multiplies lengths by
        about this number and keeps angles; else as `torch.nn.Linear` does.

    Notes
    -----
    O(B D O) for dense rows, O(n_stored O) for sparse ones.
    """

    def __init__(self, n_features, n_outputs, *, projection_scale=None):
        super().__init__()
        self.weight = nn.Parameter(torch.empty(n_features, n_outputs))
        self.bias = nn.Parameter(torch.empty(n_outputs))
        self.projection_scale = projection_scale
        self.init_weights()

    def init_weights(self, generator=None):
        """Draw the weights."""
        if self.projection_scale is not None:
            std = self.projection_scale * self.weight.shape[1] ** -0.5
            nn.init.normal_(self.weight, std=std, generator=generator)
            nn.init.zeros_(self.bias)
            return
        bound = len(self.weight) ** -0.5
        for weight in (self.weight, self.bias):
            nn.init.uniform_(weight, -bound, bound, generator=generator)

    def forward(self, X):
        # (B, D) or SparseRows -> (B, O)
        if not isinstance(X, SparseRows):
            if self.training:
                return torch.addmm(self.bias, X, self.weight)
            n_in, n_out = self.weight.shape  # see Linear
            weight = F.pad(self.weight, (0, -n_out % 8, 0, -n_in % 8))
            bias = F.pad(self.bias, (0, -n_out % 8))
            return torch.addmm(bias, F.pad(X, (0, -n_in % 8)), weight)[:, :n_out]
        total = F.embedding_bag(
            X.columns,
            self.weight,
            X.starts,
            mode="sum",
            per_sample_weights=X.values,
        )
        return total + self.bias


class MLP(nn.Module):
    """Multi-layer perceptron with batch normalisation, for dense or sparse rows.

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

    input_dropout : float, default=0.0
        Dropout of the input; of its stored values if it is sparse.

    input_scale : float, default=1.0
        Factor on the input, to bring rows to about length one.

    skip_scale : float or None, default=None
        If given, a linear map of the input is added to the output. It starts as a
        random projection with this scale, so that the network begins near the geometry
        of its input.
    """

    def __init__(
        self,
        n_features,
        hidden_layer_sizes,
        n_outputs,
        *,
        dropout=0.0,
        input_dropout=0.0,
        input_scale=1.0,
        skip_scale=None,
    ):
        super().__init__()
        self.input_scale = input_scale
        sizes = [*hidden_layer_sizes, n_outputs]
        self.input_dropout = Dropout(input_dropout)
        self.first = InputLinear(n_features, sizes[0])
        layers = []
        for width, size in zip(sizes, sizes[1:]):
            layers += [nn.BatchNorm1d(width), nn.ReLU(), Dropout(dropout)]
            layers += [Linear(width, size)]
        self.layers = nn.Sequential(*layers)
        self.skip = None
        if skip_scale is not None:
            self.skip = InputLinear(n_features, n_outputs, projection_scale=skip_scale)

    def forward(self, X):
        # (B, D) or SparseRows -> (B, O)
        if isinstance(X, SparseRows):
            X = X.map_values(lambda x: self.input_dropout(x * self.input_scale))
        else:
            X = self.input_dropout(X * self.input_scale)
        output = self.layers(self.first(X))
        return output if self.skip is None else output + self.skip(X)


class ConvEncoder(nn.Module):
    """Small convolutional network for images given as flat rows.

    Each block is a 3 x 3 convolution, the maximum over 2 x 2 pixels (not in the last
    block), batch normalisation and ReLU.

    Parameters
    ----------
    image_shape : tuple of int
        (channels, height, width); a row is the flattened image.

    n_outputs : int
        Size of an output row, O.

    channels : sequence of int, default=(16, 32, 64, 128)
        Channels of each block.

    dropout : float, default=0.0
        Dropout in front of the last, linear layer.
    """

    def __init__(
        self, image_shape, n_outputs, *, channels=(16, 32, 64, 128), dropout=0.0
    ):
        super().__init__()
        self.image_shape = tuple(image_shape)
        depth, height, width = image_shape
        blocks = []
        for number, size in enumerate(channels, 1):
            layers = [nn.Conv2d(depth, size, 3, padding=1, bias=False)]
            if number < len(channels):
                # before the normalisation: the same maximum, on a quarter of the pixels
                layers.append(nn.MaxPool2d(2, ceil_mode=True))
                height, width = -(-height // 2), -(-width // 2)
            blocks.append(nn.Sequential(*layers, nn.BatchNorm2d(size), nn.ReLU()))
            depth = size
        self.blocks = nn.ModuleList(blocks)
        self.dropout = Dropout(dropout)
        self.head = Linear(depth * height * width, n_outputs)

    def forward(self, X):
        # (B, C * H * W) -> (B, O)
        X = X.unflatten(1, self.image_shape)
        for block in self.blocks:
            # channels last is the faster layout on most processors
            X = block(X.contiguous(memory_format=torch.channels_last))
        return self.head(self.dropout(X.flatten(1)))


def make_module(
    module,
    module_params=None,
    *,
    n_features,
    n_outputs,
    hidden_layer_sizes=(),
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
            return MLP(n_features, hidden_layer_sizes, n_outputs, **params)
        if module == "identity":
            return MLP(n_features, (), n_outputs, **params)
        if module == "conv":
            shape = image_shape or find_image_shape(params, n_features)
            params.pop("image_shape", None)
            return ConvEncoder(shape, n_outputs, **params)
        network = module if isinstance(module, nn.Module) else module(**params)
    except InvalidParameterError:
        raise
    except (TypeError, ValueError) as error:
        raise InvalidParameterError(
            f"`module_params` does not fit module={module!r}: {error}"
        ) from error
    if image_shape is None:
        return network
    return nn.Sequential(nn.Unflatten(1, tuple(image_shape)), network)


def find_image_shape(module_params, n_features):
    """Shape of the images that rows for "conv" are made of.

    Parameters
    ----------
    module_params : dict or None
        May hold "image_shape"; else the images are grey and square.

    n_features : int
        Size of a row.

    Returns
    -------
    image_shape : tuple of int
        (channels, height, width).
    """
    shape = tuple((module_params or {}).get("image_shape") or ())
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
