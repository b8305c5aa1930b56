"""From the rows of tasks to classifiers, many tasks at once."""

from typing import NamedTuple

import numpy as np
import scipy.sparse as sp
import torch
from scipy.special import softmax

from skdeep.few_shot._balanced_rules import sinkhorn
from skdeep.few_shot._features import class_means
from skdeep.few_shot._rules import RULES
from skdeep.few_shot._sib import Adapter, Refinement, cosine, directions
from skdeep.few_shot._tasks import Tasks
from skdeep.nn import row_linear

_ENTRIES_AT_ONCE = 2**22
_MOST_TASKS = 128  # more of them do not fit into the cache
_BY_ROW = "rows", "there", "known", "wider", "reach"
_TINY = 1e-6


class TaskRows(NamedTuple):
    """One task before it is put into a batch.

    Attributes
    ----------
    support : ndarray or CSR matrix of shape (s, d), dtype float32
        Unit rows with a label.

    codes : ndarray of shape (s,), dtype int64
        Their classes 0, ..., C - 1, each with a row at least.

    pile : ndarray or CSR matrix of shape (n, d), dtype float32
        Unit rows without a label.
    """

    support: object
    codes: np.ndarray
    pile: object

    @property
    def n_classes(self):
        return int(self.codes.max()) + 1

    @property
    def sizes(self):
        return self.support.shape[0], self.pile.shape[0]


class How(NamedTuple):
    """How tasks are adapted to.

    Attributes
    ----------
    method : str
        "sib", or a name in `RULES`.

    adapter : torch.nn.Module or None
        For "sib".

    n_steps : int or None
        Of the adapter; None is its own number.

    class_prior : "auto", "uniform", None or ndarray of shape (C,)
        Shares of the classes in the pile.

    outlier_weight : float or None
        How sharply rows that are far from all classes lose their weight.

    device : str
        Where to compute.
    """

    method: str
    adapter: torch.nn.Module | None
    n_steps: int | None = None
    class_prior: object = "auto"
    outlier_weight: float | None = None
    device: str = "cpu"


def adapt_to_tasks(tasks, how):
    """Adapt to tasks of any sizes.

    Parameters
    ----------
    tasks : list of TaskRows

    how : How

    Returns
    -------
    results : list of (dict, ndarray of shape (n, C))
        The state for `task_logits`, and the probabilities of the pile.
    """
    results = [None] * len(tasks)
    for numbers in _chunks(tasks):
        start, size = 0, len(numbers)
        while start < len(numbers):
            part = numbers[start : start + size]
            try:
                found = _adapt_chunk([tasks[number] for number in part], how)
            except torch.OutOfMemoryError:
                if size == 1:
                    raise
                size = max(1, size // 2)
                continue
            for number, result in zip(part, found):
                results[number] = result
            start += size
    return results


def task_logits(state, rows, how):
    """Logits of further rows of one task.

    Parameters
    ----------
    state : dict
        From `adapt_to_tasks`.

    rows : ndarray or CSR matrix of shape (n, d), dtype float32
        Unit rows.

    how : How

    Returns
    -------
    logits : ndarray of shape (n, C), dtype float32
        The logit of a row does not depend on the others; that of a row of zeros is 0.
    """
    state = {
        name: torch.from_numpy(np.require(value, requirements="W")).to(how.device)[None]
        for name, value in state.items()
        if name != "columns"
    } | {"columns": state.get("columns")}
    refinement = _unpack(state)
    parts = [np.zeros((0, state["bias"].shape[1]), np.float32)]
    with torch.inference_mode():
        prototypes = directions(state["prototypes"][0])
        size = _rows_at_once(state)
        for start in range(0, rows.shape[0], size):
            part = _in_columns(rows[start : start + size], state["columns"])
            # float sums depend on the height of a matrix, unless it is 8k
            padded = np.pad(part, ((0, -len(part) % 8), (0, 0)))
            filled = torch.from_numpy(padded)[None].to(how.device)
            rows_cosine = _cosine_by_row(filled[0] - state["center"], prototypes)
            logits = state["scale"] * rows_cosine[None] + state["bias"][:, None]
            if refinement is not None:
                logits = how.adapter.refine(filled, logits, refinement)
            known = part.any(axis=1, keepdims=True)  # of a row of zeros nothing is
            parts.append(logits[0, : len(part)].cpu().numpy() * known)
    return np.concatenate(parts)


def _cosine_by_row(rows, unit_prototypes):
    """Cosines (n, C) of rows (n, d), bit for bit the same wherever a row stands."""
    rows = torch.nn.functional.pad(rows, (0, -rows.shape[1] % 8))
    missing = rows.shape[1] - unit_prototypes.shape[1]
    unit_prototypes = torch.nn.functional.pad(unit_prototypes, (0, missing))
    length = rows.norm(dim=1, keepdim=True).clamp_min(_TINY)
    return row_linear(rows, unit_prototypes) / length


def _rows_at_once(state):
    others = state["rows"].shape[1] if "rows" in state else 1
    return max(8, 2**24 // (state["prototypes"].shape[2] + others) // 8 * 8)


def _chunks(tasks):
    """Numbers of tasks that have as many classes and are of about one size."""
    keys = [
        (task.n_classes, task.sizes[1] > 0, sum(task.sizes), number)
        for number, task in enumerate(tasks)
    ]
    chunk, kind, largest = [], None, 0
    for n_classes, has_pile, size, number in sorted(keys):
        entries = (len(chunk) + 1) * size * (tasks[number].support.shape[1] + size)
        full = len(chunk) == _MOST_TASKS or entries > _ENTRIES_AT_ONCE
        if chunk and (full or kind != (n_classes, has_pile) or size > 2 * largest):
            yield chunk
            chunk = []
        if not chunk:
            kind, largest = (n_classes, has_pile), size
        chunk.append(number)
    if chunk:
        yield chunk


def _adapt_chunk(tasks, how):
    """States and probabilities of tasks with equally many classes."""
    columns = None
    parts = [part for task in tasks for part in (task.support, task.pile)]
    if any(sp.issparse(part) for part in parts) and not _has_weights(how):
        columns = np.unique(np.concatenate([_used_columns(part) for part in parts]))
        if _needs_means_only(tasks, how):
            return [_adapt_by_means(task, how, columns) for task in tasks]
    batch = _pad(tasks, columns).to(how.device)
    with torch.inference_mode():
        if how.outlier_weight is not None and batch.query.shape[1]:
            weight = inlier_weight(batch, how.outlier_weight)
            batch = batch._replace(weight=batch.weight * weight)
        answer, refinement = _answer(batch, how)
        nothing = ~batch.query.any(dim=2, keepdim=True)  # of a row of zeros
        proba = answer.proba.masked_fill(nothing, 1 / batch.targets.shape[2])
    packed = _pack(answer, refinement, len(tasks))
    return [
        (_own_part(packed, number, task, columns, batch), proba)
        for number, (task, proba) in enumerate(
            zip(
                tasks,
                [p[: t.sizes[1]] for p, t in zip(proba.cpu().numpy(), tasks)],
            )
        )
    ]


def _has_weights(how):
    """Whether the adapter has a weight for each column."""
    return how.method == "sib" and not isinstance(how.adapter, Adapter)


def _needs_means_only(tasks, how):
    """Whether the answer to some tasks depends on nothing but the means of the classes."""
    if not any(task.sizes[1] for task in tasks):
        return True
    prior = how.class_prior
    has_shares = prior is not None and not (isinstance(prior, str) and prior == "auto")
    return how.method == "prototype" and not has_shares


def _adapt_by_means(task, how, columns):
    """State and probabilities of one task of sparse rows, none of which becomes dense.

    The means of the classes stand for their rows.
    """
    support = sp.csr_array(task.support)[:, columns]
    means = class_means(support, task.codes, task.n_classes)
    means = np.pad(means, ((0, 0), (0, 1)))  # no length is left in other columns
    small = TaskRows(means, np.arange(task.n_classes), means[:0])
    batch = _pad([small], None).to(how.device)
    with torch.inference_mode():
        answer, _ = _answer(batch, how)
    state = _own_part(_pack(answer, None, 1), 0, small, columns, batch)
    length = np.linalg.norm(state["prototypes"], axis=1, keepdims=True)
    unit = (state["prototypes"] / np.maximum(length, _TINY))[:, :-1]  # (C, d)
    pile = sp.csr_array(task.pile)[:, columns]
    return state, softmax(state["scale"] * (pile @ unit.T), axis=1)


def _answer(batch, how):
    """Apply the method, and project its answer on known shares."""
    shares = None
    n_classes = batch.targets.shape[2]
    if isinstance(how.class_prior, str):
        if how.class_prior == "uniform":
            shares = batch.support.new_full((len(batch.support), n_classes), 1.0)
    elif how.class_prior is not None:
        prior = torch.as_tensor(np.asarray(how.class_prior, np.float32))
        shares = prior.to(batch.support.device).expand(len(batch.support), -1)
    if shares is not None:
        shares = shares / shares.sum(dim=1, keepdim=True)
    if how.method == "sib" and isinstance(how.adapter, Adapter):
        estimate = how.class_prior is not None
        return how.adapter.adapt(batch, how.n_steps, shares, estimate)
    if how.method == "sib":
        answer, _ = how.adapter.adapt(batch, how.n_steps)
    elif how.method in ("pt_map", "ilpc") and batch.query.shape[1]:
        # what they do is to fit given shares
        return RULES[how.method](batch, shares=shares), None
    else:
        answer = RULES[how.method](batch)
    if shares is not None and batch.query.shape[1]:
        logits = answer.proba.clamp_min(torch.finfo(torch.float32).tiny).log()
        proba, bias = sinkhorn(logits, shares, batch.weight)
        answer = answer._replace(proba=proba, bias=answer.bias + bias)
    elif shares is not None:
        answer = answer._replace(bias=answer.bias + (shares * n_classes).log())
    return answer, None


def inlier_weight(tasks, sharpness):
    """What rows of the pile count, by their cosine to the nearest class, (B, n).

    A row counts 1 if it is as near as half of the labelled rows are to the others of
    their class; of classes with one row each, as half of the pile is.
    """
    counts = tasks.targets.sum(dim=1)
    total = tasks.targets.mT @ tasks.support
    best = cosine(tasks.query, total / counts[..., None]).amax(dim=2)
    others = (tasks.targets @ total) - tasks.support  # (B, s, d)
    alone = (tasks.targets @ counts[..., None])[..., 0] < 2
    own = torch.nn.functional.cosine_similarity(tasks.support, others, dim=2)
    own = own.masked_fill(alone, torch.nan)
    usual = own.nanmedian(dim=1, keepdim=True).values
    pile = best.masked_fill(tasks.weight == 0, torch.nan)
    usual = torch.where(
        usual.isnan(), pile.nanmedian(dim=1, keepdim=True).values, usual
    )
    return (2 * torch.sigmoid(sharpness * (best - usual))).clamp(max=1)


def _pad(tasks, columns):
    """Rows of tasks as one batch, filled up with zeros."""
    n_classes = tasks[0].n_classes
    n_labelled, n_others = np.max([task.sizes for task in tasks], axis=0)
    width = tasks[0].support.shape[1] if columns is None else len(columns) + 1
    support = np.zeros((len(tasks), n_labelled, width), np.float32)
    targets = np.zeros((len(tasks), n_labelled, n_classes), np.float32)
    query = np.zeros((len(tasks), n_others, width), np.float32)
    weight = np.zeros((len(tasks), n_others), np.float32)
    for number, task in enumerate(tasks):
        s, n = task.sizes
        support[number, :s] = _in_columns(task.support, columns)
        targets[number, np.arange(s), task.codes] = 1
        if n:
            query[number, :n] = _in_columns(task.pile, columns)
            weight[number, :n] = 1
    return Tasks(
        *(torch.from_numpy(part) for part in (support, targets, query, weight))
    )


def _used_columns(rows):
    """Numbers of columns that are not all zero, of sparse rows with repetitions."""
    return rows.indices if sp.issparse(rows) else np.flatnonzero(rows.any(axis=0))


def _in_columns(rows, columns):
    """Dense rows; of sparse ones some columns, and the length of all that is left.

    The last column keeps lengths and distances to rows that are zero elsewhere.
    """
    if columns is None:
        rows = rows.toarray() if sp.issparse(rows) else rows
        return np.ascontiguousarray(rows, dtype=np.float32)
    rows = sp.csr_array(rows)
    part = np.zeros((rows.shape[0], len(columns) + 1), np.float32)
    part[:, :-1] = rows[:, columns].toarray()
    left = rows.multiply(rows).sum(axis=1) - (part**2).sum(axis=1)
    part[:, -1] = np.sqrt(np.maximum(left, 0))
    part[part[:, -1] < 1e-3, -1] = 0  # rounding
    return part


def _pack(answer, refinement, n_tasks):
    """Arrays of a batch by name; the first axis is the task."""
    prototypes = answer.prototypes
    center = answer.center
    if not isinstance(center, torch.Tensor):
        center = prototypes.new_zeros(n_tasks, prototypes.shape[2])
    packed = {
        "prototypes": prototypes,
        "scale": answer.scale.expand(n_tasks),
        "bias": answer.bias,
        "center": center,
    }
    if refinement is not None:
        first, second = refinement.statistics
        packed |= {
            "rows": refinement.rows,
            "there": refinement.there,
            "known": refinement.known,
            "wider": refinement.wider,
            "reach": refinement.reach,
            "log_share": refinement.log_share,
            "balance": refinement.balance.expand_as(refinement.log_share),
            "first_factor": first[0],
            "first_offset": first[1],
            "second_factor": second[0],
            "second_offset": second[1],
        }
    return {name: value.detach().cpu().numpy() for name, value in packed.items()}


def _own_part(packed, number, task, columns, batch):
    """State of one task of a batch, as arrays of its own."""
    (s, n), first = task.sizes, batch.support.shape[1]
    filled = s + n < first + batch.query.shape[1]
    state = {}
    for name, value in packed.items():
        value = value[number]
        if filled and name in _BY_ROW:  # without rows that only fill up
            state[name] = np.concatenate([value[:s], value[first : first + n]])
        else:
            state[name] = value.copy()
    if columns is not None:
        state["columns"] = columns
    return state


def _unpack(state):
    """Refinement of a state whose arrays are tensors, or None."""
    if "rows" not in state:
        return None
    statistics = tuple(
        (state[f"{which}_factor"], state[f"{which}_offset"])
        for which in ("first", "second")
    )
    names = ("rows", "there", "known", "wider", "reach", "log_share", "balance")
    return Refinement(*(state[name] for name in names), statistics)
