"""The network: an encoder of the sample, and a recurrent chain over its labels."""

import copy
from typing import NamedTuple

import torch
import torch.nn.functional as F
from torch import nn

from skdeep.multilabel._first_look import FirstLook
from skdeep.nn import MLP, Dropout, SparseRows, make_module, row_linear


class Context(NamedTuple):
    """What a chain needs to know about samples, computed once for all its steps.

    Parameters
    ----------
    gates : tensor of shape (B, 3 * H)
        Part of the gates of the recurrent cell that stems from the sample.

    readout : tensor of shape (B, E)
        Part of the read-out that stems from the sample.

    state : tensor of shape (B, H)
        State before the first step.

    head : tensor of shape (B, L)
        Logits of the labels, each by itself: the first look.
    """

    gates: torch.Tensor
    readout: torch.Tensor
    state: torch.Tensor
    head: torch.Tensor

    def take(self, rows):
        """Context of some rows, or of repeated ones."""
        return Context(*(part[rows] for part in self))

    def detach(self):
        """The same numbers without their history."""
        return Context(*(part.detach() for part in self))


class Scaler(nn.Module):
    """Shift and scale of dense rows, or one factor for sparse ones."""

    def __init__(self, n_features, sparse):
        super().__init__()
        self.sparse = sparse
        size = 1 if sparse else n_features
        self.register_buffer("shift", torch.empty(size, dtype=torch.float32))
        self.register_buffer("factor", torch.empty(size, dtype=torch.float32))

    def init_weights(self, generator):
        """Start as the identity; nothing is drawn."""
        nn.init.zeros_(self.shift)
        nn.init.ones_(self.factor)

    def forward(self, X):
        # (B, D) or SparseRows -> the same
        if isinstance(X, SparseRows):
            return X.map_values(lambda x: x * self.factor)
        return (X - self.shift) * self.factor


class Encoder(nn.Module):
    """A network for samples, behind it ReLU and dropout.

    The dropout mask of a sample holds for all steps of its chain.
    """

    def __init__(self, network, dropout):
        super().__init__()
        self.network = network
        self.dropout = Dropout(dropout)

    def forward(self, X):
        # (B, D) or SparseRows -> (B, C)
        return self.dropout(F.relu(self.network(X)))


class ChainNet(nn.Module):
    """Recurrent classifier chain: one step for each label that is taken.

    Parameters
    ----------
    encoder : torch.nn.Module
        Maps samples to (B, C).

    n_encoded : int
        C.

    n_labels : int
        L. The symbol L stands for "stop", and for "begin" in front of the first label.

    hidden_size : int
        Size of the state, H.

    label_size : int
        Size of a label embedding, E.

    label_skip : bool
        Whether the logits of the head are added to those of each step.

    has_look : bool
        Whether a first look is handed over, which becomes part of the head.

    has_head : bool
        Whether the head has weights of its own.
    """

    def __init__(
        self,
        encoder,
        n_encoded,
        n_labels,
        *,
        hidden_size,
        label_size,
        label_skip,
        has_look,
        has_head,
    ):
        super().__init__()
        self.encoder = encoder
        self.n_labels = n_labels
        self.hidden_size = hidden_size
        self.label_skip = label_skip
        self.has_look, self.has_head = has_look, has_head
        n_context = 4 * hidden_size + label_size  # gates, read-out, first state
        shapes = {
            "embedding": (n_labels, label_size),
            "context_weight": (n_context, n_encoded),
            "context_bias": (n_context,),
            "label_weight": (3 * hidden_size + label_size, label_size),
            "state_weight": (3 * hidden_size, hidden_size),
            "state_bias": (3 * hidden_size,),
            "readout_weight": (label_size, hidden_size),
            "output_weight": (n_labels + 1, label_size),
            "output_bias": (n_labels + 1,),
        }
        if has_head:
            shapes["head_weight"] = (n_labels, n_encoded)
            shapes["head_bias"] = (n_labels,)
        for name, shape in shapes.items():
            setattr(self, name, nn.Parameter(torch.empty(shape, dtype=torch.float32)))

    def init_weights(self, generator):
        """Draw the weights: orthogonal recurrence, Glorot-uniform maps, zero biases."""
        for name, weight in self.named_parameters(recurse=False):
            if name.endswith("bias") or (name == "head_weight" and self.has_look):
                nn.init.zeros_(weight)
            elif name == "embedding":
                std = self.n_labels**-0.5
                nn.init.normal_(weight, std=std, generator=generator)
            elif name == "state_weight":
                for gate in weight.chunk(3):
                    nn.init.orthogonal_(gate, generator=generator)
            else:
                nn.init.xavier_uniform_(weight, generator=generator)

    def forward(self, X, look=None):
        # (B, D) or SparseRows, (B, L) -> Context
        encoded = self.encoder(X)
        parts = row_linear(encoded, self.context_weight, self.context_bias)
        head = 0
        if self.has_head:
            head = row_linear(encoded, self.head_weight, self.head_bias)
        if self.has_look:
            head = head + look
        sizes = [3 * self.hidden_size, self.embedding.shape[1], self.hidden_size]
        gates, readout, state = parts.split(sizes, dim=1)
        return Context(gates, readout, torch.tanh(state), head)

    def label_table(self):
        """What each symbol adds to gates and read-out; nothing at the beginning."""
        # -> (L + 1, 3H + E)
        return F.pad(row_linear(self.embedding, self.label_weight), (0, 0, 0, 1))

    def step(self, context, state, label_part):
        """Take one step.

        Parameters
        ----------
        context : Context
            Of B samples.

        state : tensor of shape (B, H)
            State before the step.

        label_part : tensor of shape (B, 3 * H + E)
            Row of the label table for the symbol before the step.

        Returns
        -------
        state : tensor of shape (B, H)

        logits : tensor of shape (B, L + 1)
            Not masked.
        """
        gates, read = self._gates_and_read(label_part)
        state = self._cell(gates + context.gates, state)
        return state, self._read_out(state, read + context.readout, context.head)

    def teacher_force(self, context, symbols):
        """Logits of all steps of given chains.

        Parameters
        ----------
        context : Context
            Of B samples.

        symbols : tensor of shape (B, T), dtype int64
            What is taken at each step; L is the stop.

        Returns
        -------
        logits : tensor of shape (B, T, L + 1)
            Of each step before its symbol is known; not masked.

        states : tensor of shape (B, T, H)

        Notes
        -----
        Only the recurrence runs step by step: O(B T H^2). All else is one product over
        all steps: O(B T E (H + L)).
        """
        before = F.pad(symbols[:, :-1], (1, 0), value=self.n_labels)
        if self.n_labels < symbols.numel():
            parts = F.embedding(before, self.label_table())
        else:
            vectors = F.embedding(before, F.pad(self.embedding, (0, 0, 0, 1)))
            parts = row_linear(vectors, self.label_weight)
        gates, read = self._gates_and_read(parts)
        gates = gates + context.gates[:, None]
        state, states = context.state, []
        for gate in gates.unbind(1):
            state = self._cell(gate, state)
            states.append(state)
        states = torch.stack(states, 1)
        read = read + context.readout[:, None]
        return self._read_out(states, read, context.head[:, None]), states

    def _gates_and_read(self, label_part):
        # (..., 3H + E) -> (..., 3H), (..., E); one split has a cheaper gradient than two
        # slices, which fill a tensor of zeros each
        return label_part.split([3 * self.hidden_size, self.embedding.shape[1]], dim=-1)

    def _cell(self, gates, state):
        """Gated recurrent unit, with the part of its input ready in `gates`."""
        sizes = [2 * self.hidden_size, self.hidden_size]
        own, own_new = row_linear(state, self.state_weight, self.state_bias).split(
            sizes, dim=1
        )
        both, new = gates.split(sizes, dim=1)
        reset, keep = torch.sigmoid(both + own).chunk(2, dim=1)
        new = torch.tanh(torch.addcmul(new, reset, own_new))
        return torch.lerp(new, state, keep)

    def _read_out(self, state, read, head):
        """Logits from the state, the last label, the sample and the head."""
        hidden = torch.tanh(row_linear(state, self.readout_weight) + read)
        logits = row_linear(hidden, self.output_weight, self.output_bias)
        return logits + F.pad(head, (0, 1)) if self.label_skip else logits


class KnownRows:
    """Samples of the training, with what their first look must not have known.

    Parameters
    ----------
    X : tensor of shape (B, D) or SparseRows
        Samples.

    Y : tensor of shape (B, L)
        Their sets as zeros and ones.

    left_out : tensor of shape (B, 1) or (B, 1 + L)
        Share of each sample in its own ridge prediction, and its logits by the trees
        that have not seen it.
    """

    def __init__(self, X, Y, left_out):
        self.X, self.Y, self.left_out = X, Y, left_out

    def __len__(self):
        return len(self.Y)

    def to(self, device):
        """Send the tensors to a device."""
        return KnownRows(*(part.to(device) for part in (self.X, self.Y, self.left_out)))


class ChainEnsemble(nn.Module):
    """Chains that are trained side by side and answer together.

    Parameters
    ----------
    members : list of ChainNet
        Independent but for the scaler and the first look.

    scaler : Scaler
        Applied to all samples.

    look : FirstLook or None
        What stands in front of the chains.
    """

    def __init__(self, members, scaler, look):
        super().__init__()
        self.members = nn.ModuleList(members)
        self.scaler = scaler
        self.look = look

    @property
    def n_labels(self):
        """L."""
        return self.members[0].n_labels

    def forward(self, X):
        # (B, D), SparseRows or KnownRows -> a pair (ChainNet, Context) per member
        known = ()
        if isinstance(X, KnownRows):
            X, known = X.X, (X.Y, X.left_out)
        X = self.scaler(X)
        look = None if self.look is None else self.look(X, *known)
        return [(member, member(X, look)) for member in self.members]


def make_chains(
    *,
    n_estimators,
    n_encoded,
    n_labels,
    hidden_size,
    label_size,
    dropout,
    label_skip,
    has_head,
    n_look,
    tree_sizes,
    sparse,
    **encoder_args,
):
    """Build the network from plain values.

    Parameters
    ----------
    n_estimators : int
        Number of members.

    n_encoded, n_labels, hidden_size, label_size, label_skip, has_head
        See `ChainNet`.

    dropout : float
        Dropout behind the encoder.

    n_look : int
        Features of the first look; 0 is without one.

    tree_sizes : (int, int) or None
        Inner nodes and leaves of its trees.

    sparse : bool
        Whether the samples are sparse.

    **encoder_args : dict
        Arguments of `skdeep.nn.make_module`.

    Returns
    -------
    module : ChainEnsemble
    """
    members = []
    for _ in range(n_estimators):
        network = make_module(**encoder_args)
        if network is encoder_args["module"]:
            network = copy.deepcopy(network)
        members.append(
            ChainNet(
                Encoder(network, dropout),
                n_encoded,
                n_labels,
                hidden_size=hidden_size,
                label_size=label_size,
                label_skip=label_skip,
                has_look=n_look > 0,
                has_head=has_head,
            )
        )
    n_features = encoder_args["n_features"]
    look = None
    if n_look:
        look = FirstLook(n_features, n_look, n_labels, not sparse, tree_sizes)
    return ChainEnsemble(members, Scaler(n_features, sparse), look)


def takes_sparse(module):
    """Whether the encoders can do without the zeros of sparse rows."""
    return isinstance(module.members[0].encoder.network, MLP)
