"""Episodes as training batches."""

import math

import numpy as np
import scipy.sparse as sp
import torch

from skdeep.few_shot._tasks import Tasks
from skdeep.model_selection._draw_episodes import draw_episodes


class EpisodeBatches:
    """New tasks in every batch, drawn from the classes of a table.

    Parameters
    ----------
    rows : ndarray or CSR matrix of shape (n_samples, d), dtype float32
        Unit rows.

    table : ClassRows
        Rows by class, from `group_rows`.

    n_episodes : int
        Tasks in a pass.

    batch_size : int
        Tasks in a batch.

    rng : RandomState
        Source of the tasks.

    all_columns : bool, default=False
        As for `as_tasks`.

    **how : dict
        ``n_way``, ``n_shot``, ``n_query`` and ``balance`` of `draw_episodes`.
    """

    def __init__(
        self, rows, table, n_episodes, batch_size, rng, all_columns=False, **how
    ):
        self.rows, self.table, self.rng, self.how = rows, table, rng, how
        self.all_columns = all_columns
        self.n_episodes, self.batch_size = n_episodes, batch_size

    def __len__(self):
        return math.ceil(self.n_episodes / self.batch_size)

    def __iter__(self):
        for start in range(0, self.n_episodes, self.batch_size):
            size = min(self.batch_size, self.n_episodes - start)
            episodes = draw_episodes(self.table, size, rng=self.rng, **self.how)
            yield as_tasks(self.rows, episodes, self.all_columns)


def as_tasks(rows, episodes, all_columns=False):
    """Turn row numbers into `Tasks`, and the classes of the query into a tensor.

    Columns of sparse rows that are not used are left out, but with `all_columns`.
    """
    n_tasks, n_way = episodes.classes.shape
    numbers = np.concatenate([episodes.support, episodes.query], axis=1)
    values = take_dense(rows, numbers, all_columns)
    n_labelled = episodes.support.shape[1]
    one_hot = torch.eye(n_way, dtype=torch.float32)[
        torch.from_numpy(episodes.support_targets)
    ]
    targets = torch.from_numpy(episodes.targets)
    weight = (targets >= 0).float()
    query = values[:, n_labelled:] * weight[..., None]
    tasks = Tasks(
        values[:, :n_labelled], one_hot.expand(n_tasks, -1, -1), query, weight
    )
    return tasks, targets


def take_dense(rows, numbers, all_columns=False):
    """Copy rows (B, m) into a tensor (B, m, d), in the columns that they use."""
    part = rows[numbers.ravel()]
    if sp.issparse(part) and all_columns:
        part = part.toarray()
    elif sp.issparse(part):
        columns = np.unique(part.indices)
        part = (
            part[:, columns].toarray() if len(columns) else np.zeros((part.shape[0], 1))
        )
    part = torch.from_numpy(np.ascontiguousarray(part, dtype=np.float32))
    return part.unflatten(0, numbers.shape)


class EpisodeLoss(torch.nn.Module):
    """Mean cross-entropy of the query rows, over all steps that the adapter tells."""

    def forward(self, outputs, targets):
        losses = [
            torch.nn.functional.cross_entropy(
                logits.flatten(0, 1), targets.flatten(), ignore_index=-1
            )
            for logits in outputs
        ]
        return torch.stack(losses).mean()


def episode_accuracies(adapter, tasks_and_targets):
    """Accuracy of each of some tasks, as one array."""
    found = []
    with torch.inference_mode():
        for tasks, targets in tasks_and_targets:
            answer = adapter(tasks)[-1].argmax(dim=2)
            there = targets >= 0
            right = ((answer == targets) & there).sum(dim=1)
            found.append(right.cpu().numpy() / there.sum(dim=1).cpu().numpy())
    return np.concatenate(found)
