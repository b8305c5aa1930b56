"""The networks of the default mode: small, and blind to coordinates."""

from itertools import pairwise

import torch
from torch import nn

_LARGEST = 10.0  # standard deviations; what lies further out is no news


class LinkNetwork(nn.Module):
    """Log-odds that the two ends of an edge belong together, from its features.

    Parameters
    ----------
    n_features : int
        Features of an edge, F.

    hidden_layer_sizes : sequence of int
        Width of each hidden layer.
    """

    def __init__(self, n_features, hidden_layer_sizes):
        super().__init__()
        self.register_buffer("mean", torch.zeros(n_features))
        self.register_buffer("scale", torch.ones(n_features))
        layers = []
        for n_in, n_out in pairwise([n_features, *hidden_layer_sizes]):
            layers += [nn.Linear(n_in, n_out), nn.ReLU(inplace=True)]
        self.body = nn.Sequential(
            *layers, nn.Linear(n_out if layers else n_features, 1)
        )

    def init_weights(self, generator):
        """Leave the features as they are until their moments are known."""
        self.mean.zero_()
        self.scale.fill_(1)

    def forward(self, features):
        # (n, k, F) -> (n, k)
        standard = (features - self.mean).div_(self.scale).clamp_(-_LARGEST, _LARGEST)
        return self.body(standard).squeeze(-1)


class LinkNetworks(nn.Module):
    """A network for the first look at rows, one for the second, one for groups.

    Parameters
    ----------
    n_features : tuple of three int
        Features of an edge for each network.

    hidden_layer_sizes : sequence of int
        Width of each hidden layer.
    """

    def __init__(self, n_features, hidden_layer_sizes):
        super().__init__()
        self.first, self.second, self.groups = (
            LinkNetwork(n, hidden_layer_sizes) for n in n_features
        )
