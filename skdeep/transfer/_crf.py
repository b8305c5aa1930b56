"""Linear-chain conditional random field.

The score of tags y of a sentence is start[y_1] + sum_t scores[t, y_t] +
sum_t transitions[y_t, y_t+1] + end[y_L]; their log-probability is the score minus the
log-sum of all tag sequences. Three things make it fast: the recursions from the left
and from the right run side by side in one loop, on probabilities (a step is one small
matrix product) where the range of the transitions allows it and on logarithms where it
does not; the tokens stand in order of time, the longest sentences first, so that a step
is a slice without padding; the gradient is written down (it is the marginals), so that
no step is recorded. Shapes: B sentences, L tokens at most, N tokens in all, C tags.
"""

import math

import numpy as np
import torch
from torch import nn
from torch.autograd.function import once_differentiable

_RESCALE_EVERY = 8  # steps of Viterbi between two shifts of its scores
_FEW_PAIRS = 100_000  # below, numpy does a Viterbi step faster than torch


class LinearChainCRF(nn.Module):
    """Probability of tag sequences with a score for each tag and each pair.

    Parameters
    ----------
    n_tags : int
        Number of tags, C.

    Attributes
    ----------
    start : Parameter of shape (C,)
        Score of each tag at the first token; zero before training.

    transitions : Parameter of shape (C, C)
        Score of moving from the tag of the row to the tag of the column.

    end : Parameter of shape (C,)
        Score of each tag at the last token.

    Notes
    -----
    All methods take `scores` of shape (B, L, C), float32 or float64, and `lengths` of
    shape (B,), int64, at least 1; what stands behind the end of a sentence is not read.
    O(N C^2) time, O(N C) memory. Second derivatives are refused.

    References
    ----------
    .. [1] Lafferty, McCallum, Pereira, "Conditional Random Fields: Probabilistic Models
       for Segmenting and Labeling Sequence Data", ICML 2001.
    """

    def __init__(self, n_tags):
        super().__init__()
        self.start = nn.Parameter(torch.zeros(n_tags))
        self.transitions = nn.Parameter(torch.zeros(n_tags, n_tags))
        self.end = nn.Parameter(torch.zeros(n_tags))

    def init_weights(self, generator=None):
        """Set all parameters to zero; nothing is drawn."""
        for parameter in self.parameters():
            nn.init.zeros_(parameter)

    def log_likelihood(self, scores, tags, lengths):
        """Log-probability of `tags` (B, L), shape (B,)."""
        return self._log_probability(scores, lengths, tags=tags)

    def log_likelihood_of_allowed(self, scores, allowed, lengths):
        """Log of the summed probability of all tag sequences inside a mask.

        Parameters
        ----------
        scores : Tensor of shape (B, L, C)

        allowed : bool Tensor of shape (B, L, C)
            Tags that a token may have; each token needs one at least.

        lengths : Tensor of shape (B,)

        Returns
        -------
        log_likelihood : Tensor of shape (B,)
        """
        every = self._log_probability(scores, lengths, wide=True)
        some = self._log_probability(scores, lengths, allowed=allowed, wide=True)
        return (every - some).to(scores.dtype)

    def log_partition(self, scores, lengths):
        """Log-sum of the exponential scores of all tag sequences, shape (B,)."""
        return -self._log_probability(scores, lengths)

    @torch.no_grad()
    def marginals(self, scores, lengths):
        """Probability of each tag at each token, (B, L, C); 0 behind the end."""
        packing = _Packing(lengths, *scores.shape[:2], scores.device)
        sums = _sums(packing.pack(scores), *self._parameters_like(scores), packing)
        return packing.unpack(sums.marginals()).to(scores.dtype)

    @torch.no_grad()
    def decode(self, scores, lengths, forbidden=None):
        """Find the most probable tags.

        Parameters
        ----------
        scores : Tensor of shape (B, L, C)

        lengths : Tensor of shape (B,)

        forbidden : tuple of three bool Tensors or None, default=None
            Masks of illegal first tags (C,), moves (C, C) and last tags (C,).

        Returns
        -------
        tags : int64 Tensor of shape (B, L)
            -1 behind the end.
        """
        packing = _Packing(lengths, *scores.shape[:2], scores.device)
        parameters = self._parameters_like(scores)
        if forbidden is not None:
            parameters = [
                values.masked_fill(mask.to(values.device), -math.inf)
                for values, mask in zip(parameters, forbidden)
            ]
        tags = _best_tags(packing.pack(scores), *parameters, packing)
        return packing.unpack(tags, -1)

    def _parameters_like(self, scores):
        """Start, transitions and end in the type of `scores`."""
        return [p.to(scores) for p in (self.start, self.transitions, self.end)]

    def _log_probability(self, scores, lengths, *, tags=None, allowed=None, wide=False):
        """Log of the share of `tags` in the sum of the allowed sequences."""
        parameters = self._parameters_like(scores)
        differentiable = torch.is_grad_enabled() and any(
            tensor.requires_grad for tensor in (scores, *parameters)
        )
        result = _LogProbability.apply(
            scores, *parameters, lengths, tags, allowed, differentiable
        )
        return result if wide else result.to(scores.dtype)


class _LogProbability(torch.autograd.Function):
    """Score of `tags` (0 if None) minus the log-sum of all allowed tag sequences."""

    @staticmethod
    def forward(
        ctx, scores, start, transitions, end, lengths, tags, allowed, differentiable
    ):
        packing = _Packing(lengths, *scores.shape[:2], scores.device)
        x = packing.pack(scores)  # (N, C)
        if allowed is not None:
            x = x.masked_fill(~packing.pack(allowed), -math.inf)
        sums = _sums(x, start, transitions, end, packing, both=differentiable)
        total = sums.terms.neg_()  # (N,) float64
        moves = None
        if tags is not None:
            tags = packing.pack(tags[:, :, None])[:, 0]
            n_rows, n_tags = len(lengths), len(start)
            moves = tags[packing.previous] * n_tags + tags[n_rows:]
            total += x.gather(1, tags[:, None])[:, 0]
            total[n_rows:] += transitions.reshape(-1)[moves]
            total[:n_rows] += start[tags[:n_rows]] + end[tags[packing.last]]
        ctx.packing, ctx.sums, ctx.tags, ctx.moves = packing, sums, tags, moves
        ctx.dtype = scores.dtype
        return packing.row_sums(total)

    @staticmethod
    @once_differentiable
    def backward(ctx, grad_output):
        packing, sums, tags = ctx.packing, ctx.sums, ctx.tags
        marginals = sums.marginals()  # (N, C)
        weights = grad_output[packing.rows].to(marginals.dtype)  # (N,)
        grad = marginals * -weights[:, None]
        grad_moves = -sums.pairs(weights)  # (C, C)
        if tags is not None:
            n_rows = len(packing.last)
            grad.scatter_add_(1, tags[:, None], weights[:, None])
            grad_moves.view(-1).index_add_(0, ctx.moves, weights[n_rows:])
        first, last = grad[: len(packing.last)].sum(0), grad[packing.last].sum(0)
        grads = packing.unpack(grad), first, grad_moves, last
        return (*(g.to(ctx.dtype) for g in grads), None, None, None, None)


class _Packing:
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
        index = np.stack([rows * width + time, rows, mirror, previous])
        self.tokens, self.rows, self.mirror, previous = torch.from_numpy(index).to(
            device
        )
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


def _sums(x, start, transitions, end, packing, both=True):
    """Sums over all tag sequences, on probabilities if that is exact enough."""
    flat = torch.cat([start, transitions.flatten(), end])
    low, top = torch.stack(flat.aminmax()).tolist()
    for dtype in dict.fromkeys([x.dtype, torch.float64]):
        period = _period(top - low, len(start), torch.finfo(dtype))
        if period:
            parameters = (p.to(dtype) for p in (start, transitions, end))
            return _ScaledSums(x.to(dtype), *parameters, packing, top, period, both)
    parameters = (p.double() for p in (start, transitions, end))
    return _LogSums(x.double(), *parameters, packing)


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
        self.packing = packing
        n_rows, n_chains = len(packing.last), 1 + both
        peaks = x.amax(1, keepdim=True)
        self.moves = (transitions - top).exp()
        edges = (torch.stack([start, end]) - top).exp()  # (2, C)
        chains = x.new_empty(n_chains, *x.shape)
        torch.sub(x, peaks, out=chains[0]).exp_()
        if both:
            torch.index_select(chains[0], 0, packing.mirror, out=chains[1])
        arrived = torch.empty_like(chains)
        arrived[:, :n_rows] = edges[:n_chains, None]
        chains[:, :n_rows] *= edges[:n_chains, None]
        moves = torch.stack([self.moves, self.moves.T][:n_chains])
        scales = x.new_ones(n_chains, len(x), 1)
        xp = np if x.device.type == "cpu" else torch
        arrays = _as(xp, chains, arrived, moves, scales)
        _recur(xp, *arrays, packing.steps, period)
        self.chains, self.arrived = chains, arrived
        if both:
            self.joint = arrived[1].index_select(0, packing.mirror).mul_(chains[0])
            self.sums = self.joint.sum(1, keepdim=True)  # (N, 1)
        # (N,): the log-sum of a row is the sum of the terms of its tokens
        self.terms = (peaks + scales[0].log_())[:, 0].double().add_(top)
        last = chains[0].index_select(0, packing.last) @ edges[1]
        self.terms[:n_rows] += last.log_() + top

    def marginals(self):
        """Probability of each tag at each token, (N, C)."""
        return self.joint / self.sums

    def pairs(self, weights):
        """Weighted sum of the probabilities of all moves; (N,) -> (C, C)"""
        before = self.packing.previous
        scale = (weights[:, None] / self.sums).index_select(0, before)
        left = self.chains[0].index_select(0, before).mul_(scale)
        right = self.chains[1].index_select(
            0, self.packing.mirror[len(self.packing.last) :]
        )
        return self.moves * (left.T @ right)


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
    """Sums over all tag sequences by recursions on logarithms."""

    def __init__(self, x, start, transitions, end, packing):
        self.packing, self.transitions = packing, transitions
        n_rows = len(packing.last)
        moves = torch.stack([transitions, transitions.T])
        chains = torch.stack([x, x[packing.mirror]])  # (2, N, C)
        arrived = torch.empty_like(chains)
        arrived[:, :n_rows] = torch.stack([start, end])[:, None]
        chains[:, :n_rows] += arrived[:, :n_rows]
        for before, now, n in packing.steps:
            past = chains[:, before : before + n, :, None] + moves[:, None]
            arrived[:, now : now + n] = past.logsumexp(2)
            chains[:, now : now + n] += arrived[:, now : now + n]
        self.joint = chains[0] + arrived[1][packing.mirror]
        self.chains = chains
        self.log_sum = self.joint.logsumexp(1, keepdim=True)
        self.terms = torch.zeros_like(self.log_sum[:, 0])
        self.terms[:n_rows] = self.log_sum[:n_rows, 0]

    def marginals(self):
        return (self.joint - self.log_sum).exp()

    def pairs(self, weights):
        total = torch.zeros_like(self.transitions)
        for before, now, n in self.packing.steps:
            left = (
                self.chains[0][before : before + n] - self.log_sum[before : before + n]
            )
            right = self.chains[1][self.packing.mirror[now : now + n]]
            pair = (left[:, :, None] + self.transitions + right[:, None]).exp()
            total += torch.einsum("nij,n->ij", pair, weights[before : before + n])
        return total


def _best_tags(x, start, transitions, end, packing):
    """Viterbi without stored pointers: the way back looks for its source again."""
    n_rows, n_tags = len(packing.last), len(start)
    emissions = (x - x.amax(1, keepdim=True)).T.contiguous()  # (C, N)
    emissions[:, :n_rows] += start[:, None]
    n_pairs = n_rows * n_tags**2
    xp = np if x.device.type == "cpu" and n_pairs < _FEW_PAIRS else torch
    pairs = x.new_empty(n_pairs)
    arrays = emissions, transitions[:, :, None], pairs
    _best_sums(xp, *_as(xp, *arrays), packing.steps)
    best = emissions.T.contiguous()  # (N, C)
    tags = (best[packing.last] + end).argmax(1)
    path = torch.empty_like(packing.rows)
    xp = np if x.device.type == "cpu" else torch
    arrays = path, best, transitions.T.contiguous(), tags
    _trace_back(*_as(xp, *arrays), packing.steps)
    path[:n_rows] = tags
    return path


def _best_sums(xp, best, transitions, pairs, steps):
    """Turn emissions (C, N) into the scores of the best ways to each tag, in place."""
    n_tags = len(best)
    for step, (before, now, n) in enumerate(steps, 1):
        ways = pairs[: n_tags * n_tags * n].reshape(n_tags, n_tags, n)  # from, to, row
        xp.add(transitions, best[:, None, before : before + n], out=ways)
        here = best[:, now : now + n]
        here += xp.amax(ways, 0)
        if step % _RESCALE_EVERY == 0:
            here -= xp.amax(here, 0)


def _trace_back(path, best, sources, tags, steps):
    """Fill `path` (N,) from the last tags; `sources` holds the moves to each tag."""
    for before, now, n in reversed(steps):
        here = tags[:n]
        path[now : now + n] = here
        here[:] = (sources[here] + best[before : before + n]).argmax(1)


def _as(xp, *tensors):
    """The tensors, or numpy views of them."""
    return tensors if xp is torch else [tensor.numpy() for tensor in tensors]
