"""The published network: a graph encoder of the nodes, and a head for the links.

Letters: n nodes, k neighbours, D size of the input of a node, H of its code. With one
layer and no attention the sum over the neighbours has no weights to learn. It is part of
the input then, computed once for a graph, and what remains to be trained is a perceptron.
"""

from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import nn

from skdeep.nn import Dropout, Linear, row_linear

MAX_LAYERS = 4


@dataclass
class GraphBatch:
    """Some nodes of a graph, the centres, with all that the network must see of others.

    Every set of nodes begins with those of the next set, and the last set begins with
    the centres, so that one numbering serves all sets.

    Parameters
    ----------
    inputs : tensor of shape (N, D)
        What the first layer gets of each node; with the sums over its neighbours if the
        network has ``sums_first``.

    hops : list of (tensor of shape (M, k), tensor of shape (M, k))
        For each layer that looks at neighbours: positions of the neighbours of the nodes
        that are left after it, and the weights of the edges.

    neighbors : tensor of shape (B, k), dtype int64
        Positions of the neighbours of the B centres.
    """

    inputs: torch.Tensor
    hops: list
    neighbors: torch.Tensor

    def __len__(self):
        return len(self.neighbors)

    def to(self, device):
        """Send the tensors to a device."""
        hops = [(ids.to(device), weight.to(device)) for ids, weight in self.hops]
        return GraphBatch(self.inputs.to(device), hops, self.neighbors.to(device))


def neighbor_sum(values, neighbors, weight):
    """Weighted sums over the neighbours, (N, D), (M, k), (M, k) -> (M, D)."""
    # the fastest of many ways, and the only one without an array of (M, k, D)
    values = values.to(weight.dtype)  # they are of half precision under autocast
    return F.embedding_bag(neighbors, values, per_sample_weights=weight, mode="sum")


class SumLayer(nn.Module):
    r"""Combine each node with the weighted sum of its neighbours.

    .. math::
        z_i = \operatorname{ReLU}(W [h_i ; \sum_j w_{ij} h_j] + b)

    Parameters
    ----------
    n_inputs, n_outputs : int
        Sizes of :math:`h` and :math:`z`.

    dropout : float
        Dropout of :math:`z`.
    """

    def __init__(self, n_inputs, n_outputs, dropout):
        super().__init__()
        self.linear = Linear(2 * n_inputs, n_outputs)
        self.dropout = Dropout(dropout)

    def combine(self, pairs):
        """The layer for nodes whose sums are there already, (M, 2 D) -> (M, O)."""
        return self.dropout(F.relu(self.linear(pairs)))

    def project(self, h):
        """What is computed for each node by itself: nothing here."""
        return h

    def aggregate(self, h, own, neighbors, weight):
        """The layer for the nodes ``h[own]``; (N, D), (M, k), (M, k) -> (M, O)."""
        return self.combine(torch.cat([h[own], neighbor_sum(h, neighbors, weight)], 1))


class AttentionLayer(nn.Module):
    r"""Average the neighbours of each node with learned weights, by several heads.

    For each head, with :math:`u = W h`,

    .. math::
        e_{ij} = \operatorname{LeakyReLU}(a^s \cdot u_j + a^t \cdot u_i), \quad
        o_i = \sum_j \operatorname{softmax}_j(e_{ij}) u_j + b + b' ,

    and the output is ReLU of the mean of :math:`o_i` over the heads. The node itself and
    the similarities take no part. Two biases do what one could, but they were trained so.

    Parameters
    ----------
    n_inputs, n_outputs : int
        Sizes of :math:`h` and of the output.

    dropout : float
        Dropout of the output.

    n_heads : int
        Number of heads.

    References
    ----------
    .. [1] Velickovic et al., "Graph Attention Networks", ICLR 2018.
    """

    def __init__(self, n_inputs, n_outputs, dropout, n_heads):
        super().__init__()
        self.n_heads = n_heads
        self.n_outputs = n_outputs
        shapes = {
            "weight": (n_heads * n_outputs, n_inputs),
            "source": (n_heads, n_outputs),
            "target": (n_heads, n_outputs),
            "bias": (n_heads, n_outputs),
            "outer_bias": (n_heads, n_outputs),
        }
        for name, shape in shapes.items():
            setattr(self, name, nn.Parameter(torch.empty(shape, dtype=torch.float32)))
        self.dropout = Dropout(dropout)

    def init_weights(self, generator):
        """Draw the weights: Glorot-normal with the gain of ReLU, zero biases."""
        gain = 2**0.5
        nn.init.xavier_normal_(self.weight, gain, generator=generator)
        # as if the vectors were filters of one input channel with n_heads outputs
        std = gain * (2 / (self.n_outputs * (self.n_heads + 1))) ** 0.5
        for vector in (self.source, self.target):
            nn.init.normal_(vector, std=std, generator=generator)
        nn.init.zeros_(self.bias)
        nn.init.zeros_(self.outer_bias)

    def project(self, h):
        """What is computed for each node by itself: codes and two scores a head."""
        u = row_linear(h, self.weight).unflatten(1, (self.n_heads, self.n_outputs))
        return u, (u * self.source).sum(-1), (u * self.target).sum(-1)

    def aggregate(self, projected, own, neighbors, weight):
        """The layer for the nodes `own`; N nodes, (M, k) -> (M, O)."""
        u, source, target = projected  # (N, heads, O), (N, heads), (N, heads)
        total = 0
        for head in range(self.n_heads):
            score = source[:, head][neighbors] + target[own, head, None]  # (M, k)
            share = F.leaky_relu(score, 0.2).softmax(1)
            total = total + neighbor_sum(u[:, head], neighbors, share)
        bias = (self.bias + self.outer_bias).mean(0)
        return self.dropout(F.relu(total / self.n_heads + bias))


class ChannelPReLU(nn.PReLU):
    """ReLU with a learned slope for negative values, one for each column."""

    def __init__(self, n_channels):
        super().__init__(n_channels, init=0.25)

    def init_weights(self, generator):
        """Start with the slope 1/4; nothing is drawn."""
        nn.init.constant_(self.weight, 0.25)


class LanderNetwork(nn.Module):
    """Predict for each edge whether its ends belong together.

    Parameters
    ----------
    n_features : int
        Size of the feature of a node.

    hidden_size : int, default=128
        Size of the code of a node, H; at least 2.

    n_layers : int, default=1
        Layers of the encoder, 1 to 4. From the third on they have half the size.

    attention : bool, default=False
        Whether neighbours are weighted by attention instead of similarity.

    n_heads : int, default=1
        Heads of the attention.

    dropout : float, default=0.0
        Dropout behind each layer of the encoder.

    use_cluster_features : bool, default=True
        Whether the mean over the rows in a node is part of its input.

    Attributes
    ----------
    sums_first : bool
        Whether the inputs hold the sums that the first layer needs.

    n_hops : int
        Number of layers that look at neighbours themselves.

    Notes
    -----
    With one layer O(N D H + B k H^2) for a batch of B centres with N nodes in all.

    References
    ----------
    .. [1] Xing et al., "Learning Hierarchical Graph Neural Networks for Image
       Clustering", ICCV 2021, section 3.
    """

    def __init__(
        self,
        n_features,
        hidden_size=128,
        n_layers=1,
        attention=False,
        n_heads=1,
        dropout=0.0,
        use_cluster_features=True,
    ):
        super().__init__()
        self.use_cluster_features = use_cluster_features
        self.sums_first = not attention
        self.n_hops = n_layers - self.sums_first
        half = hidden_size // 2
        sizes = [n_features * (1 + use_cluster_features)]
        sizes += [hidden_size, hidden_size, half, half][:n_layers]
        kind, extra = (AttentionLayer, (n_heads,)) if attention else (SumLayer, ())
        self.layers = nn.ModuleList(
            kind(n_in, n_out, dropout, *extra) for n_in, n_out in zip(sizes, sizes[1:])
        )
        self.source = Linear(sizes[-1], half)
        self.target = Linear(sizes[-1], half)
        self.head = nn.Sequential(
            ChannelPReLU(half), Linear(half, half), ChannelPReLU(half), Linear(half, 2)
        )

    def forward(self, batch):
        # GraphBatch -> (B, k, 2): logits of "apart" and "together"
        codes = batch.inputs
        layers = list(self.layers)
        if self.sums_first:
            codes = layers.pop(0).combine(codes)
        for layer, (neighbors, weight) in zip(layers, batch.hops):
            own = slice(len(neighbors))
            codes = layer.aggregate(layer.project(codes), own, neighbors, weight)
        target = self.target(codes[: len(batch)])
        return self.edge_logits(self.source(codes), target, batch.neighbors)

    def edge_logits(self, source, target, neighbors):
        """Logits of the edges to some nodes.

        Parameters
        ----------
        source : tensor of shape (N, H // 2)
            What nodes say as neighbours.

        target : tensor of shape (B, H // 2)
            What the nodes in question say.

        neighbors : tensor of shape (B, k), dtype int64
            Their neighbours.

        Returns
        -------
        logits : tensor of shape (B, k, 2)
            Of "apart" and "together".
        """
        # a flat list of edges: PReLU takes the second axis for the channels
        edges = F.embedding(neighbors, source) + target[:, None]  # (B, k, H // 2)
        return self.head(edges.flatten(0, 1)).unflatten(0, neighbors.shape)


def input_parts(level, use_cluster_features):
    """What the input of the nodes of a level consists of, each part as (n, d)."""
    if use_cluster_features:
        return as_tensor(level.features), as_tensor(level.means)
    return (as_tensor(level.features),)


def edge_weights(level):
    """Similarities of each node to its neighbours, divided by their sum: (n, k)."""
    similarity = as_tensor(level.similarity)
    total = similarity.sum(1, keepdim=True)
    return similarity / torch.where(total > 0, total, 1)


def as_tensor(array):
    """Share the memory of an array, or copy it if it must not be written to."""
    return torch.from_numpy(array if array.flags.writeable else array.copy())
