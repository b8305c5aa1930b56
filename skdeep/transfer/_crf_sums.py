"""Sums over all tag sequences of a batch of sentences.

The recursions from the left and from the right run side by side in one loop over the
steps, as two chains of one array. They run on probabilities, where a step is one small
matrix product, if the range of the transitions allows it, and on logarithms if not. The
tokens stand in order of time, the longest sentences first, so that a step is a slice
without padding. Shapes: B sentences, N tokens in all, C tags.
"""

import math

import numpy as np
import torch

# below, numpy is faster than torch and multiplies matrices in the calling thread
_SMALL_STEP = 2**18


class Packing:
    """Order of the tokens of a padded batch by time, the longest sentences first.

    Attributes
    ----------
    steps : list of (before, now, n)
        Step t reads the rows from `before` on and writes those from `now` on, `n` each.
    tokens : Tensor of shape (N,)
        Where each token stands in the padded batch, flattened.
    rows : Tensor of shape (N,)
        Its sentence.
    mirror : Tensor of shape (N,)
        Position of the token that is as far from the end as this one from the start.
    previous : Tensor of shape (N - B,)
        Positions of the tokens before all that are not the first.
    last : Tensor of shape (B,)
        Positions of the last tokens.
    """

    def __init__(self, lengths, n_rows, width, device):
        lengths = lengths.cpu().numpy()
        if lengths.shape != (n_rows,) or not (
            lengths.min() > 0 and lengths.max() <= width
        ):
            raise ValueError(
                f"`lengths` must hold one length between 1 and {width} for each of "
                f"the {n_rows} rows of `scores`; remove empty rows before."
            )
        order = np.argsort(-lengths, kind="stable")
        lengths = lengths[order]
        sizes = n_rows - np.cumsum(np.bincount(lengths))[:-1]  # rows alive at each step
        starts = np.cumsum(sizes) - sizes
        time = np.repeat(np.arange(len(sizes)), sizes)
        position = np.arange(len(time))
        row = position - starts[time]
        previous = position - sizes[time - 1]
        mirror = starts[lengths[row] - 1 - time] + row
        rows = order[row]
        index = torch.from_numpy(
            np.stack([rows * width + time, rows, mirror, previous])
        )
        self.tokens, self.rows, self.mirror, previous = index.to(device)
        self.previous, self.last = previous[n_rows:], self.mirror[:n_rows]
        starts = starts.tolist()
        self.steps = list(zip(starts, starts[1:], sizes[1:].tolist()))
        self.shape = n_rows, width

    def pack(self, values):
        """(B, L, ...) -> (N, ...)"""
        return values.flatten(0, 1).index_select(0, self.tokens)

    def unpack(self, values, fill=0):
        """(N, ...) -> (B, L, ...)"""
        n_rows, width = self.shape
        out = values.new_full((n_rows * width, *values.shape[1:]), fill)
        return out.index_copy_(0, self.tokens, values).unflatten(0, self.shape)

    def row_sums(self, values):
        """(N,) -> (B,)"""
        return self.unpack(values).sum(1)


def log_sums(x, start, transitions, end, packing, both=True):
    """Sum over all tag sequences, in the fastest way that is exact.

    Parameters
    ----------
    x : Tensor of shape (N, C)
        Packed scores.

    start, transitions, end : Tensors of shape (C,), (C, C) and (C,)

    packing : Packing

    both : bool, default=True
        Whether the recursion from the right is wanted too, for probabilities.

    Returns
    -------
    sums : _ScaledSums or _LogSums
        Its `terms` (N,), float64, add up to the log-sum of each sentence.
    """
    parameters = start, transitions, end
    flat = torch.cat([p.flatten() for p in parameters])
    low, top = torch.stack(flat.aminmax()).tolist()
    for dtype in dict.fromkeys([x.dtype, torch.float64]):
        period = _period(top - low, len(start), torch.finfo(dtype))
        if period:
            x, *parameters = (tensor.to(dtype) for tensor in (x, *parameters))
            return _ScaledSums(x, *parameters, packing, top, period, both)
    return _LogSums(*(tensor.double() for tensor in (x, *parameters)), packing)


def _period(spread, n_tags, limits):
    """Steps between two rescalings of the probabilities; 0: logarithms are needed.

    With the largest score of each token and each parameter shifted to 0, a step shrinks
    the sum of a row by exp(-spread) at most and lets it grow n_tags times at most. A
    tag that matters to the last digit is not below eps * exp(-2 * spread) of the sum.
    """
    room = math.log(limits.eps / limits.tiny)
    return int(max(0, room / max(1, math.log(n_tags), spread) - 1) / 2)


class _ScaledSums:
    """Sums over all tag sequences by recursions on rescaled probabilities."""

    def __init__(self, x, start, transitions, end, packing, top, period, both):
        n_rows, n_chains = len(packing.last), 1 + both
        xp = backend(x, n_rows)
        x, start, transitions, end = views(xp, x, start, transitions, end)
        mirror, last = views(xp, packing.mirror, packing.last)
        peaks = xp.amax(x, 1)[:, None]
        moves = xp.exp(transitions - top)
        edges = xp.exp(xp.stack([start, end]) - top)  # (2, C)
        chain = xp.exp(x - peaks)
        chains = xp.stack([chain, chain[mirror]] if both else [chain])  # (2, N, C)
        arrived, scales = xp.empty_like(chains), xp.ones_like(chains[:, :, :1])
        arrived[:, :n_rows] = edges[:n_chains, None]
        chains[:, :n_rows] *= arrived[:, :n_rows]
        both_moves = xp.stack([moves, moves.T][:n_chains])
        _recur(xp, chains, arrived, both_moves, scales, packing.steps, period)
        terms = (peaks + xp.log(scales[0]))[:, 0]
        terms[:n_rows] += xp.log(chains[0][last] @ edges[1])
        # (N,): the log-sum of a row is the sum of the terms of its tokens
        self.terms = torch.as_tensor(terms).double().add_(top)
        self.terms[:n_rows] += top
        if both:
            joint = arrived[1][mirror]
            joint *= chains[0]
            arrays = joint, joint.sum(1)[:, None], chains, moves
            self.joint, self.sums, self.chains, self.moves = map(
                torch.as_tensor, arrays
            )
        self.packing = packing

    def marginals(self):
        """Probability of each tag at each token, (N, C)."""
        return self.joint / self.sums

    def pairs(self, weights):
        """Weighted sum of the probabilities of all moves; (N,) -> (C, C)"""
        before = self.packing.previous
        behind = self.packing.mirror[len(self.packing.last) :]
        scale = (weights[:, None] / self.sums).index_select(0, before)
        left = self.chains[0].index_select(0, before).mul_(scale)
        return self.moves * (left.T @ self.chains[1].index_select(0, behind))


def _recur(xp, chains, arrived, moves, scales, steps, period):
    """Fill `arrived` and `chains` (2, N, C), with numpy or torch as `xp`, in place.

    ``arrived`` is what comes in from the neighbour, ``chains`` that times the emission.
    """
    for step, (before, now, n) in enumerate(steps, 1):
        come, chain = arrived[:, now : now + n], chains[:, now : now + n]
        xp.matmul(chains[:, before : before + n], moves, out=come)
        xp.multiply(chain, come, out=chain)
        if step % period == 0:
            scale = chain.sum(-1, keepdims=True)
            scales[:, now : now + n] = scale
            xp.divide(chain, scale, out=chain)


class _LogSums:
    """Sums over all tag sequences by recursions on logarithms, (B C^2) a step."""

    def __init__(self, x, start, transitions, end, packing):
        self.packing, self.transitions = packing, transitions
        n_rows = len(packing.last)
        moves = torch.stack([transitions, transitions.T])[:, None]
        chains = torch.stack([x, x[packing.mirror]])  # (2, N, C)
        arrived = torch.empty_like(chains)
        arrived[:, :n_rows] = torch.stack([start, end])[:, None]
        chains[:, :n_rows] += arrived[:, :n_rows]
        for before, now, n in packing.steps:
            come = arrived[:, now : now + n]
            come[:] = (chains[:, before : before + n, :, None] + moves).logsumexp(2)
            chains[:, now : now + n] += come
        joint = chains[0] + arrived[1][packing.mirror]  # (N, C)
        log_sum = joint.logsumexp(1, keepdim=True)  # the same at each token of a row
        self.log_shares = joint - log_sum
        self.left, self.right = chains[0] - log_sum, chains[1]
        self.terms = torch.zeros_like(log_sum[:, 0])
        self.terms[:n_rows] = log_sum[:n_rows, 0]

    def marginals(self):
        """Probability of each tag at each token, (N, C)."""
        return self.log_shares.exp()

    def pairs(self, weights):
        """Weighted sum of the probabilities of all moves; (N,) -> (C, C)"""
        total = torch.zeros_like(self.transitions)
        for before, now, n in self.packing.steps:
            left = self.left[before : before + n, :, None]
            right = self.right[self.packing.mirror[now : now + n], None]
            shares = (left + self.transitions + right).exp()  # (n, C, C)
            total += torch.tensordot(weights[before : before + n], shares, 1)
        return total


def backend(x, n_rows):
    """The faster module for loops: numpy for small steps on the CPU, torch for others."""
    small = n_rows * x.shape[1] ** 2 <= _SMALL_STEP
    return np if small and x.device.type == "cpu" else torch


def views(xp, *tensors):
    """The tensors, or numpy views of them."""
    return tensors if xp is torch else [t.detach().numpy() for t in tensors]
