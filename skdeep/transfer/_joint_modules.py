"""Network beside a source classifier, and its loss."""

import torch
import torch.nn.functional as F
from torch import nn

from skdeep.nn import Dropout, InputLinear, Linear, SparseRows, row_linear


class ZeroLinear(InputLinear):
    """Linear layer whose weights are zero at the start."""

    def init_weights(self, generator=None):
        """Set the weights."""
        nn.init.zeros_(self.weight)
        nn.init.zeros_(self.bias)


class Factor(nn.Module):
    """One number to be learned, 1 at the start."""

    def __init__(self):
        super().__init__()
        self.value = nn.Parameter(torch.empty(()))

    def init_weights(self, generator):
        """Set the number."""
        nn.init.ones_(self.value)


class JointNet(nn.Module):
    """Classifier that sees features of a row and the source's scores for it.

    With phi the features, v the scores as inputs and s the scores to be added,

        h = ReLU(W_1 phi + b_1),   a = tanh(W_2 v + b_2),
        logits = W_h h + W_a a + b + gamma pad(s) .

    W_h, W_a and b are zero and gamma is one at the start, so that the network begins as
    the source. `combine="sum"` has W (h + U a) in the place of W_h h + W_a a, with U zero
    at the start.

    Parameters
    ----------
    n_features : int
        Size of phi, D.

    old : sequence of int
        Places of the source's classes among all classes; n_old of them.

    n_classes : int
        Number of all classes, C.

    hidden_layer_sizes : sequence of int
        Width of each hidden layer; empty for h = phi.

    adapter_hidden_size : int
        Size of a; 0 for no adapter.

    dropout, adapter_dropout : float
        Dropout of h and of a.

    combine : {"concat", "sum"}

    skip : bool
        Whether there is the term with gamma.

    start_at_zero : bool, default=True
        Whether W_h is zero at the start.
    """

    def __init__(
        self,
        n_features,
        old,
        n_classes,
        *,
        hidden_layer_sizes,
        adapter_hidden_size,
        dropout,
        adapter_dropout,
        combine,
        skip,
        start_at_zero=True,
    ):
        super().__init__()
        self.n_features, self.n_classes, self.old = n_features, n_classes, list(old)
        sizes = [n_features, *hidden_layer_sizes]
        layers = []
        for number, (n_in, n_out) in enumerate(zip(sizes, sizes[1:])):
            first = number == 0
            layers.append(InputLinear(n_in, n_out) if first else Linear(n_in, n_out))
            layers += [nn.ReLU(), Dropout(dropout)]
        self.hidden = nn.ModuleList(layers)
        layer = ZeroLinear if start_at_zero else InputLinear
        self.output = layer(sizes[-1], n_classes)
        self.adapter = self.join = None
        if adapter_hidden_size:
            self.adapter = Linear(len(self.old), adapter_hidden_size)
            self.adapter_dropout = Dropout(adapter_dropout)
            n_joined = n_classes if combine == "concat" else sizes[-1]
            self.join = ZeroLinear(adapter_hidden_size, n_joined)
        self.combine = combine
        self.gamma = Factor() if skip else None

    def represent(self, X):
        """Parts that are joined below the output layer, h and a; a can be None."""
        features, inputs, _ = self.split(X)
        for layer in self.hidden:
            features = layer(features)
        if self.adapter is None:
            return features, None
        return features, self.adapter_dropout(torch.tanh(self.adapter(inputs)))

    def split(self, X):
        """Features, scores as inputs, and scores to be added."""
        if isinstance(X, tuple):
            return X
        sizes = [self.n_features, len(self.old), len(self.old)]
        return X.split(sizes, dim=1)

    def forward(self, X):
        # (B, D + 2 n_old), or (SparseRows, (B, n_old), (B, n_old)) -> (B, C)
        hidden, adapted = self.represent(X)
        logits = self.output(hidden)
        if adapted is not None:
            added = self.join(adapted)
            if self.combine == "sum":
                added = row_linear(added, self.output.weight.T)
            logits = logits + added
        if self.gamma is None:
            return logits
        scores = self.split(X)[2]
        skip = scores.new_zeros(logits.shape)
        skip[:, self.old] = scores
        return logits + self.gamma.value * skip


class JointLoss(nn.Module):
    r"""Cross-entropy on the labels, and divergence from the source on the old classes.

    With weights :math:`w_i`, source :math:`q_i` and model :math:`p_i`, both over the old
    classes alone and flattened by the temperature T,

    .. math::
        L = \operatorname{mean}_i w_i (- \log p(y_i) + \lambda T^2 KL(q_i \| p_i)) .

    Parameters
    ----------
    old : sequence of int
        Places of the source's classes.

    distill : float
        Weight :math:`\lambda`.

    temperature : float
        T.

    use_labels : bool, default=True
        Whether there is the first term.
    """

    def __init__(self, old, distill, temperature, use_labels=True):
        super().__init__()
        self.old = list(old)
        self.distill = distill
        self.temperature = temperature
        self.use_labels = use_labels

    def forward(self, logits, target):
        # logits: (B, C); target: codes (B,), weight (B,), scores of the source (B, n_old)
        codes, weight, scores = target
        loss = logits.sum() * 0
        if self.use_labels:
            loss = (
                loss
                + (weight * F.cross_entropy(logits, codes, reduction="none")).mean()
            )
        if not self.distill or len(self.old) < 2:
            return loss
        teacher = F.log_softmax(scores / self.temperature, dim=1)
        student = F.log_softmax(logits[:, self.old] / self.temperature, dim=1)
        divergence = F.kl_div(student, teacher, reduction="none", log_target=True).sum(
            1
        )
        distance = self.temperature**2 * (weight * divergence).mean()
        return loss + self.distill * distance, {"distillation": distance}


def joint_inputs(features, inputs, skip):
    """A batch for `JointNet`; sparse features stay sparse."""
    if isinstance(features, SparseRows):
        return features, inputs, skip
    return torch.cat([features, inputs, skip], dim=1)
