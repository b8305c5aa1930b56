"""A batch of few-shot tasks as four tensors, and the answer of a rule to them."""

from typing import NamedTuple

import torch


class Tasks(NamedTuple):
    """B tasks with C classes each; rows that only fill up a task are zeros.

    Attributes
    ----------
    support : Tensor of shape (B, s, d)
        Labelled rows, of length 1.

    targets : Tensor of shape (B, s, C)
        One 1 a row, in the column of its class; all zeros for filling rows.

    query : Tensor of shape (B, n, d)
        Rows without label, of length 1; n may be 0.

    weight : Tensor of shape (B, n)
        What a row without label counts: 1, or less if it may belong to none of the
        classes; 0 for filling rows.
    """

    support: torch.Tensor
    targets: torch.Tensor
    query: torch.Tensor
    weight: torch.Tensor

    def to(self, device):
        """Send the tensors to a device."""
        return Tasks(*(part.to(device) for part in self))


class Answer(NamedTuple):
    """What a rule says about a batch of tasks.

    Attributes
    ----------
    prototypes : Tensor of shape (B, C, d)
        One vector a class, of any length.

    scale : Tensor of shape (B,)
        Factor on the cosine between a row and the prototypes.

    bias : Tensor of shape (B, C)
        Added to the logits: ``scale * cosine + bias`` classifies any further row.

    proba : Tensor of shape (B, n, C)
        Probabilities of the rows without label, as the rule itself gives them.

    center : Tensor of shape (B, d) or 0.0, default=0.0
        Subtracted from a row before its cosine with the prototypes.
    """

    prototypes: torch.Tensor
    scale: torch.Tensor
    bias: torch.Tensor
    proba: torch.Tensor
    center: torch.Tensor | float = 0.0
