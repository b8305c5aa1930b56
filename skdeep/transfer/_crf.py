"""Linear-chain conditional random field.

The score of tags y of a sentence is start[y_1] + sum_t scores[t, y_t] +
sum_t transitions[y_t, y_t+1] + end[y_L]; their log-probability is the score minus the
log-sum of all tag sequences. The gradient is written down (expected minus observed
counts), so that no step of a recursion is recorded. Shapes: B sentences of L tokens at
most, N tokens in all, C tags.
"""

import math

import numpy as np
import torch
from torch import nn

from skdeep.transfer._crf_sums import Packing, backend, log_sums, views

_RESCALE_EVERY = 8  # steps of Viterbi between two shifts of its scores
_LOWEST = -1e30


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
    O(N C^2) time, O(N C) memory, a step of Viterbi O(B C^2). Gradients of gradients are
    refused. Parameters whose range exceeds about 220 cost a slower recursion.

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
        packing = Packing(lengths, *scores.shape[:2], scores.device)
        sums = log_sums(packing.pack(scores), *self._parameters_like(scores), packing)
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
        packing = Packing(lengths, *scores.shape[:2], scores.device)
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
        packing = Packing(lengths, *scores.shape[:2], scores.device)
        x = packing.pack(scores)  # (N, C)
        if allowed is not None:
            allowed = packing.pack(allowed)
            _check_rows(allowed.any(1), packing.rows, "`allowed` leaves a token no tag")
            x = x.masked_fill(~allowed, -math.inf)
        sums = log_sums(x, start, transitions, end, packing, both=differentiable)
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
    def backward(ctx, grad_output):
        if torch.is_grad_enabled():
            raise RuntimeError(
                "LinearChainCRF has first derivatives only; use create_graph=False."
            )
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


def _check_rows(good, rows, message):
    """Raise a ValueError that names the first row that is not good."""
    if not good.all():
        raise ValueError(f"{message} in row {rows[~good].min()}.")


def _best_tags(x, start, transitions, end, packing):
    """Viterbi without stored pointers: the way back looks for its source again."""
    n_rows = len(packing.last)
    xp = np if x.device.type == "cpu" else torch
    step_xp = backend(x, n_rows)
    # rows innermost: longer inner loops if there are more rows than tags, or for torch
    rows_inside = step_xp is torch or n_rows >= x.shape[1]
    ways = x.new_empty(n_rows * x.shape[1] ** 2)
    last, rows, path = packing.last, packing.rows, torch.empty_like(packing.rows)
    x, start, transitions, end = views(xp, x, start, transitions, end)
    last, rows, path = views(xp, last, rows, path)
    best = x - xp.amax(x, 1)[:, None]  # (N, C)
    best[:n_rows] += start
    best = _transposed(best) if rows_inside else best.T  # (C, N)
    tensors = torch.as_tensor(best), torch.as_tensor(transitions[:, :, None]), ways
    _best_sums(step_xp, *views(step_xp, *tensors), packing.steps, rows_inside)
    best = _transposed(best) if rows_inside else best.T  # (N, C)
    final = best[last] + end
    message = "`scores` are not finite, or `forbidden` leaves no tag sequence,"
    _check_rows(xp.isfinite(xp.amax(final, 1)), rows[:n_rows], message)
    _trace_back(path, best, _transposed(transitions), final.argmax(1), packing.steps)
    return torch.as_tensor(path)


def _transposed(matrix):
    """The transposed matrix in new memory, row after row."""
    return matrix.T.reshape(-1).reshape(matrix.T.shape)


def _best_sums(xp, best, transitions, ways, steps, rows_inside):
    """Turn emissions (C, N) into the scores of the best ways to each tag, in place."""
    n_tags = len(best)
    highest = torch.amax if xp is torch else np.maximum.reduce
    for step, (before, now, n) in enumerate(steps, 1):
        pairs = ways[: n_tags * n_tags * n]
        if rows_inside:
            pairs = pairs.reshape(n_tags, n_tags, n)  # from, to, row
        else:
            pairs = pairs.reshape(n_tags, n, n_tags).swapaxes(1, 2)
        xp.add(transitions, best[:, None, before : before + n], out=pairs)
        here = best[:, now : now + n]
        here += highest(pairs, 0)
        if step % _RESCALE_EVERY == 0:
            # a row without a legal way stays at minus infinity
            here -= highest(here, 0).clip(_LOWEST)


def _trace_back(path, best, sources, tags, steps):
    """Fill `path` (N,) from the last tags; `sources` holds the moves to each tag."""
    for before, now, n in reversed(steps):
        here = tags[:n]
        path[now : now + n] = here
        here[:] = (sources[here] + best[before : before + n]).argmax(1)
    path[: len(tags)] = tags
