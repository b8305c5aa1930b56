"""Network of the embedder: any encoder, then rows of length one."""

import torch.nn.functional as F
from torch import nn

from skdeep.nn import make_module


class UnitEncoder(nn.Module):
    """Scale the rows of an encoder to length one.

    Parameters
    ----------
    encoder : torch.nn.Module
        Maps (n_samples, n_features) to (n_samples, n_components).
    """

    def __init__(self, encoder):
        super().__init__()
        self.encoder = encoder

    def forward(self, X):
        # (B, D) -> (B, E); the eps of normalize keeps a zero row at zero
        return F.normalize(self.encoder(X), dim=1)


def make_unit_encoder(**module_args):
    """`skdeep.nn.make_module` with rows of length one."""
    return UnitEncoder(make_module(**module_args))
