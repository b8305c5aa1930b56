"""The default network: what each row without label should do to the prototypes."""

import torch
from torch import nn

N_INPUTS = 8
_LEAST_LOG = -15.0


class RowNorm(nn.Module):
    """Standardise every hidden unit over the rows of a task, each class by itself.

    Parameters
    ----------
    n_units : int
        Hidden units.
    """

    def __init__(self, n_units):
        super().__init__()
        self.weight = nn.Parameter(torch.empty(n_units))
        self.bias = nn.Parameter(torch.empty(n_units))

    def init_weights(self, generator):
        nn.init.ones_(self.weight)
        nn.init.zeros_(self.bias)

    def forward(self, hidden, share, statistics=None):
        """Standardise by the rows given, or as other rows have been.

        Parameters
        ----------
        hidden : Tensor of shape (B, n, C, n_units)

        share : Tensor of shape (B, n)
            What each row counts in the mean; sums to 1.

        statistics : (Tensor, Tensor) or None, default=None
            Factor and offset found before, each (B, 1, C, n_units).

        Returns
        -------
        hidden : Tensor of shape (B, n, C, n_units)

        statistics : (Tensor, Tensor)
        """
        if statistics is None:
            batch, n_rows, n_classes, n_units = hidden.shape
            flat = hidden.reshape(batch, n_rows, -1)
            mean = (share[:, None] @ flat).view(batch, 1, n_classes, n_units)
            square = (share[:, None] @ flat.square()).view_as(mean)
            spread = (square - mean.square()).clamp_min(0)
            factor = self.weight * torch.rsqrt(spread + 1e-3)
            statistics = factor, self.bias - mean * factor
        return torch.addcmul(statistics[1], hidden, statistics[0]), statistics


class SilentLinear(nn.Linear):
    """Linear layer that says 0 until it is trained."""

    def init_weights(self, generator):
        nn.init.zeros_(self.weight)
        nn.init.zeros_(self.bias)


class GradientNet(nn.Module):
    """Map what is known of each row and class to a correction of its logit.

    One small network is shared by all pairs of a row and a class, so that it serves any
    number of classes, and renaming the classes renames the answer.

    Parameters
    ----------
    n_units : int, default=16
        Hidden units of both layers.
    """

    def __init__(self, n_units=16):
        super().__init__()
        self.first = nn.Linear(N_INPUTS, n_units)
        self.first_norm = RowNorm(n_units)
        self.own = nn.Linear(n_units, n_units)
        self.others = nn.Linear(n_units, n_units, bias=False)
        self.second_norm = RowNorm(n_units)
        self.last = SilentLinear(n_units, 2)

    def forward(self, inputs, share, statistics=(None, None)):
        """Correct the logits.

        Parameters
        ----------
        inputs : Tensor of shape (B, n, C, 8)
            From `describe`.

        share : Tensor of shape (B, n)
            What each row counts in the standardisation.

        statistics : pair, default=(None, None)
            Of earlier rows of the same tasks.

        Returns
        -------
        correction : Tensor of shape (B, n, C, 2)
            Of the logit, and of the logarithm of what the row counts.

        statistics : pair
            For further rows.
        """
        hidden = self.first(inputs).relu_()
        hidden, first = self.first_norm(hidden, share, statistics[0])
        around = self.others(hidden.mean(dim=2, keepdim=True))
        hidden = self.own(hidden).add_(around).relu_()
        hidden, second = self.second_norm(hidden, share, statistics[1])
        return self.last(hidden), (first, second)


def describe(logits, log_proba, views, log_share):
    """What the network reads of each row and class.

    Parameters
    ----------
    logits : Tensor of shape (B, n, C)
        Of the prototypes.

    log_proba : Tensor of shape (B, n, C)
        Their logarithmic softmax.

    views : three Tensors of shape (B, n, C)
        What the neighbours of a row say, what theirs say, and what labels come to the
        row from neighbour to neighbour.

    log_share : Tensor of shape (B, 1, C)
        Logarithm of the estimated shares of the classes in the pile.

    Returns
    -------
    inputs : Tensor of shape (B, n, C, 8)
        Log-probability, probability, distance to the best other logit, the logit, the
        views, and the log-ratio of the class's share to an equal share.
    """
    best, second = logits.topk(2, dim=2).values.split(1, dim=2)
    margin = logits - torch.where(logits >= best, second, best)
    return torch.stack(
        [
            log_proba.clamp_min(_LEAST_LOG) / 5,
            log_proba.exp(),
            margin.clamp(_LEAST_LOG, -_LEAST_LOG) / 5,
            logits / 10,
            *views,
            (log_share - log_share.mean(dim=2, keepdim=True)).expand_as(logits),
        ],
        dim=3,
    )
