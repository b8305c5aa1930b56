"""The published method: prototypes moved by a network that guesses their gradient.

Letters: B tasks, C classes, s rows with and n rows without label, d features, K steps.
The classes of a task start at the mean of their labelled rows, and the cosine to them
gives the logits of the rows without label. The gradient of the loss with respect to these
logits is unknown, as the classes of the rows are. A network trained on other tasks
supplies it, and what it says is carried back to the prototypes by the chain rule.
"""

from typing import NamedTuple

import torch
from torch import nn

from skdeep.few_shot._tasks import Answer
from skdeep.nn import Linear

# rows without label that a task needs for statistics of its own
MIN_ROWS = 8
# a cosine to the zero vector has no direction to move in; this keeps the step finite
MIN_NORM = 1e-6


class TaskShares(NamedTuple):
    """What each row counts in the statistics of its task.

    Attributes
    ----------
    shares : Tensor of shape (B, 1, n)
        Weights of the rows; their sum is 1, or 0 for a task without rows.

    bessel : Tensor of shape (B, 1, 1)
        Factor that makes the variance of a sample an unbiased one.

    enough : Tensor of shape (B, 1, 1), dtype bool
        Whether the task has rows enough for statistics of its own.

    plain : bool
        Whether there is but one task, with enough rows that all count 1.
    """

    shares: torch.Tensor
    bessel: torch.Tensor
    enough: torch.Tensor
    plain: bool

    @classmethod
    def of_weight(cls, weight, min_rows):
        """Shares of rows with weights, (B, n)."""
        total = weight.sum(1)[:, None, None]
        enough = ((weight > 0).sum(1) >= min_rows)[:, None, None]
        return cls(
            weight[:, None] / torch.where(total > 0, total, 1),
            total / (total - 1).clamp(min=1),
            enough,
            len(weight) == 1 and bool((enough & (weight == 1)).all()),
        )


class TaskNorm(nn.BatchNorm1d):
    """Batch normalisation by the statistics of each task, or by running ones.

    Running statistics serve the tasks with too few rows; in training they move towards
    the mean over the tasks that have enough.
    """

    def forward(self, values, shares):
        # (B, n, H), TaskShares -> (B, n, H); without shares by running statistics
        if shares is not None and shares.plain and self.training:
            # in batches of one task, training takes 1.7 times as long without this
            return super().forward(values[0])[None]
        if shares is None:
            centered, variance = values - self.running_mean, self.running_var
        else:
            mean = shares.shares @ values  # (B, 1, H)
            own = shares.shares @ (values - mean).square()
            if self.training:
                running = self.running_mean.clone(), self.running_var.clone()
                self._remember(mean, own * shares.bessel, shares.enough)
            else:
                running = self.running_mean, self.running_var
            centered = values - torch.where(shares.enough, mean, running[0])
            variance = torch.where(shares.enough, own, running[1])
        scale = self.weight * (variance + self.eps).rsqrt()
        return torch.addcmul(self.bias, centered, scale)

    @torch.no_grad()
    def _remember(self, mean, variance, enough):
        """Move the running statistics."""
        used = enough.flatten()
        if used.any():
            self.running_mean.lerp_(mean[used].mean((0, 1)), self.momentum)
            self.running_var.lerp_(variance[used].mean((0, 1)), self.momentum)
            self.num_batches_tracked += 1


class LogitGradient(nn.Module):
    """Guess the gradient of the loss with respect to the logits of each row.

    Parameters
    ----------
    n_way : int
        Number of classes, C.

    batch_norm : {"auto", "train", "eval"}
        See `PaperAdapter`.
    """

    def __init__(self, n_way, batch_norm):
        super().__init__()
        self.batch_norm = batch_norm
        hidden = 8 * n_way
        self.hidden = nn.ModuleList([Linear(n_way, hidden), Linear(hidden, hidden)])
        self.norms = nn.ModuleList([TaskNorm(hidden), TaskNorm(hidden)])
        self.output = Linear(hidden, n_way)

    def train(self, mode=True):
        """Choose between training and evaluation; the authors know training alone."""
        super().train(mode)
        for norm in self.norms:
            norm.train(mode or self.batch_norm == "train")
        return self

    def forward(self, logits, shares):
        # (B, n, C), TaskShares -> (B, n, C)
        values = logits
        if self.batch_norm == "train":  # all rows are those of one task
            values = logits.flatten(0, 1)[None]
        for linear, norm in zip(self.hidden, self.norms):
            values = norm(linear(values).relu(), shares)
        return self.output(values).view_as(logits)

    def shares(self, weight):
        """What `forward` needs to know of the rows, (B, n) -> TaskShares or None."""
        if self.batch_norm == "eval" and not self.training:
            return None
        if self.batch_norm != "train":
            return TaskShares.of_weight(weight, MIN_ROWS)
        shares = TaskShares.of_weight(weight.flatten()[None], 2)
        if not shares.enough.all():
            raise ValueError(
                'batch_norm="train" takes statistics over the rows without label, but '
                'there is only 1 such row; give more rows, or use batch_norm="auto".'
            )
        return shares


class PaperAdapter(nn.Module):
    r"""Classify tasks by K steps along a gradient that a network supplies.

    With unit rows :math:`f_i`, prototypes :math:`\theta_c`, which start at :math:`w`
    times the mean of the labelled rows, and their directions :math:`u_c`,

    .. math::
        l_{ic} &= \tau (f_i \cdot u_c + b), \quad g_i = \phi(l_i), \\
        \theta_c &\leftarrow \theta_c - \frac{\eta \tau}{\lVert \theta_c \rVert}
            \sum_i g_{ic} (f_i - (f_i \cdot u_c) u_c) .

    The last factor is the derivative of the cosine, so that the step is the chain rule
    written out, and training differentiates through all steps.

    Parameters
    ----------
    n_features : int
        Size of a row, d.

    n_way : int
        Number of classes, C, of every task; the network :math:`\phi` is made for it.

    n_steps : int, default=3
        Number of steps, K.

    inner_lr : float, default=1e-3
        Length :math:`\eta` of a step. Rows are summed, not averaged.

    scale : float, default=10.0
        Where :math:`\tau` starts.

    batch_norm : {"auto", "train", "eval"}, default="auto"
        Statistics of the batch normalisation in :math:`\phi`. "auto" takes those of the
        rows without label of each task, and running ones for a task with fewer than 8
        such rows. "eval" takes running ones in evaluation. In both, running statistics
        are learned in training alone. "train" is what the authors do: statistics of all
        rows of all tasks in a batch, always, and running ones that move at every call
        although nothing reads them.

    Attributes
    ----------
    init_weight : Parameter of shape (d,)
        :math:`w`; starts at 1.

    scale, bias : Parameter of shape (1,)
        :math:`\tau` and :math:`b`, which starts at 0.

    phi : LogitGradient
        The network.

    Notes
    -----
    O(B K n C (d + C)) time, and O(B K C (n + d)) memory in training.

    Classes are not interchangeable: in another order they get another answer.

    References
    ----------
    .. [1] Hu et al., "Empirical Bayes Transductive Meta-Learning with Synthetic
       Gradients", ICLR 2020, eq. (10).
    """

    needs_float32 = True  # roundings would grow from step to step

    def __init__(
        self,
        n_features,
        n_way,
        n_steps=3,
        inner_lr=1e-3,
        scale=10.0,
        batch_norm="auto",
    ):
        super().__init__()
        self.n_way = n_way
        self.n_steps = n_steps
        self.inner_lr = inner_lr
        self.initial_scale = scale
        self.init_weight = nn.Parameter(torch.empty(n_features))
        self.scale = nn.Parameter(torch.empty(1))
        self.bias = nn.Parameter(torch.empty(1))
        self.phi = LogitGradient(n_way, batch_norm)

    def init_weights(self, generator):
        """Start as plain prototypes; nothing is drawn."""
        nn.init.ones_(self.init_weight)
        nn.init.constant_(self.scale, self.initial_scale)
        nn.init.zeros_(self.bias)

    def forward(self, tasks):
        """Logits of the pile that the loss looks at: those after the last step."""
        return self.unroll(tasks)[1][-1:]

    def adapt(self, tasks, n_steps=None):
        """Classify tasks.

        Parameters
        ----------
        tasks : Tasks
            Tasks of C classes each.

        n_steps : int or None, default=None
            Another number of steps than that of the constructor.

        Returns
        -------
        answer : Answer

        refinement : None
            All that there is to know is in the prototypes.
        """
        prototypes, logits = self.unroll(tasks, n_steps)
        n_tasks, n_way = tasks.targets.shape[0], self.n_way
        answer = Answer(
            prototypes[-1],
            self.scale.expand(n_tasks),
            (self.scale * self.bias).expand(n_tasks, n_way),
            logits[-1].softmax(-1),
        )
        return answer, None

    def unroll(self, tasks, n_steps=None):
        """Prototypes and logits before the first step and after each one.

        Parameters
        ----------
        tasks : Tasks
            Tasks of C classes each.

        n_steps : int or None, default=None
            Another number of steps than that of the constructor.

        Returns
        -------
        prototypes : list of Tensor of shape (B, C, d)
            K + 1 of them. Without rows to step along, all are alike.

        logits : list of Tensor of shape (B, n, C)
            Those of the rows without label, to the same prototypes.
        """
        n_way = tasks.targets.shape[-1]
        if n_way != self.n_way:
            raise ValueError(
                f"The published network was trained for n_way={self.n_way} classes, but "
                f'this task has {n_way}; use gradient_net="equivariant", which takes any '
                f"number, or train with n_way={n_way}."
            )
        if n_steps is None:
            n_steps = self.n_steps
        prototypes = [initial_prototypes(tasks, self.init_weight)]
        directions, lengths = split_length(prototypes[0])
        logits = [self.logits(tasks.query, directions)]
        if n_steps == 0 or not (tasks.weight > 0).any():  # nothing to step along
            return prototypes * (n_steps + 1), logits * (n_steps + 1)
        shares = self.phi.shares(tasks.weight)
        for _ in range(n_steps):
            gradient = self.phi(logits[-1], shares)
            pulled = pull_back(gradient, tasks, directions, lengths) * self.scale
            prototypes.append(prototypes[-1] - self.inner_lr * pulled)
            directions, lengths = split_length(prototypes[-1])
            logits.append(self.logits(tasks.query, directions))
        return prototypes, logits

    def logits(self, rows, directions):
        """Logits of rows to unit prototypes, (B, n, d), (B, C, d) -> (B, n, C)."""
        return self.scale * (rows @ directions.mT + self.bias)


def initial_prototypes(tasks, init_weight):
    """Weighted mean of the labelled rows of each class, not of length one: (B, C, d)."""
    count = tasks.targets.sum(1).clamp(min=1)  # (B, C)
    return init_weight * (tasks.targets.mT @ tasks.support) / count[..., None]


def split_length(prototypes):
    """Directions, (B, C, d), and lengths, (B, C, 1), that are never zero."""
    length = torch.linalg.vector_norm(prototypes, dim=-1, keepdim=True)
    length = length.clamp(min=MIN_NORM)
    return prototypes / length, length


def pull_back(gradient, tasks, directions, lengths):
    """Carry a gradient of the cosines back to the prototypes.

    Parameters
    ----------
    gradient : Tensor of shape (B, n, C)
        With respect to the cosines of the rows without label.

    tasks : Tasks
        Whose rows and weights are read.

    directions, lengths : Tensors of shapes (B, C, d) and (B, C, 1)
        Of the prototypes, see `split_length`.

    Returns
    -------
    pulled : Tensor of shape (B, C, d)
        What autograd would give for ``(gradient * weight * cosines).sum()``.

    Notes
    -----
    O(B n C d): two products instead of a backward pass inside the forward pass.
    """
    weighted = (gradient * tasks.weight[..., None]).mT  # (B, C, n)
    along = weighted @ tasks.query  # (B, C, d)
    # the part in the direction of a prototype changes its length and no cosine
    outward = (along * directions).sum(-1, keepdim=True)  # (B, C, 1)
    return (along - outward * directions) / lengths
