"""Walks through the chain: one greedy path, sampled sets, beams.

All of them work on a `Walk`, the common step of one chain or of several that take the
same labels.
"""

from typing import NamedTuple

import torch
import torch.nn.functional as F


class Walk:
    """Chains that go on together, one symbol at a time.

    Parameters
    ----------
    members : sequence of ChainNet
        Their mean log-probability, normalised again, decides.

    contexts : sequence of Context
        One for each member, of the same B samples.

    limits : (int, int)
        Least and greatest number of labels in a set.

    Attributes
    ----------
    taken : tensor of shape (B, L + 1), dtype bool
        What has been taken so far.

    n_taken : int
        Labels taken so far.
    """

    def __init__(self, members, contexts, limits, tables=None):
        self.members = members
        self.contexts = contexts
        self.limits = limits
        self.tables = tables or [member.label_table() for member in members]
        self.states = [context.state for context in contexts]
        head = contexts[0].head
        self.stop = head.shape[1]
        self.taken = head.new_zeros(len(head), self.stop + 1, dtype=torch.bool)
        self.symbols = torch.full((len(head),), self.stop, device=head.device)
        self.n_taken = 0

    def log_proba(self):
        """Log-probabilities of the next symbol, and a step of the states."""
        # -> (B, L + 1)
        total = 0
        for index, member in enumerate(self.members):
            part = self.tables[index][self.symbols]
            state, logits = member.step(self.contexts[index], self.states[index], part)
            self.states[index] = state
            total = total + mask_logits(logits, self.taken, self.n_taken, self.limits)
        if len(self.members) == 1:
            return total
        return F.log_softmax(total / len(self.members), dim=1)

    def take(self, symbols):
        """Go on with one symbol for each sample."""
        self.symbols = symbols
        self.taken = self.taken.scatter(1, symbols[:, None], True)
        self.n_taken += 1

    def keep(self, rows):
        """Go on with some rows, or with repeated ones."""
        self.contexts = [context.take(rows) for context in self.contexts]
        self.states = [state[rows] for state in self.states]
        self.taken, self.symbols = self.taken[rows], self.symbols[rows]


def mask_logits(logits, taken, n_taken, limits):
    """Log-softmax over what may still be taken.

    Parameters
    ----------
    logits : tensor of shape (..., L + 1)
        The last column is the stop.

    taken : tensor of shape (..., L + 1), dtype bool
        Labels that are out. The stop never is.

    n_taken : int or tensor of shape (...,)
        Labels taken so far.

    limits : (int, int)
        Before the first number no stop is allowed, at the second nothing else is.

    Returns
    -------
    log_proba : tensor of shape (..., L + 1)
    """
    least, greatest = limits
    n_labels = logits.shape[-1] - 1
    steps = torch.as_tensor(n_taken, device=logits.device)
    is_stop = torch.arange(n_labels + 1, device=logits.device) == n_labels
    out = taken & ~is_stop
    if least:
        out = out | ((steps < least)[..., None] & is_stop)
    if greatest < n_labels:
        out = out | ((steps >= greatest)[..., None] & ~is_stop)
    return F.log_softmax(mask_out(logits, out), dim=-1)


def mask_out(values, out):
    """Minus infinity where something must not be chosen."""
    return values.masked_fill(out, -torch.inf)


class Path(NamedTuple):
    """One greedy path that goes on past the stop.

    Parameters
    ----------
    labels : tensor of shape (B, T), dtype int64
        Labels in the order taken.

    proba : tensor of shape (B, T)
        Probability of each.

    stop_proba : tensor of shape (B, T)
        Probability of the stop instead.

    n_taken : tensor of shape (B,), dtype int64
        Labels before the stop is the likeliest symbol, or due.

    scores : tensor of shape (B, L)
        Probability that a label is taken at some step before the stop.
    """

    labels: torch.Tensor
    proba: torch.Tensor
    stop_proba: torch.Tensor
    n_taken: torch.Tensor
    scores: torch.Tensor


def follow(walk, n_steps):
    """Take the likeliest label, never the stop, for `n_steps` steps.

    Parameters
    ----------
    walk : Walk
        At its start. The greatest number of labels ends its sets, not the path.

    n_steps : int
        At most the number of labels.

    Returns
    -------
    path : Path

    Notes
    -----
    Keeps running products, never the probabilities of all steps: O(B L) memory.
    """
    n_labels, (least, greatest) = walk.stop, walk.limits
    walk.limits = least, n_labels
    log_missed, survival = 0, walk.states[0].new_ones(len(walk.symbols))
    running, n_taken, steps = survival > 0, 0, []
    for step in range(n_steps):
        if step == greatest:
            survival, running = torch.zeros_like(survival), torch.zeros_like(running)
        proba = walk.log_proba().exp()
        labels, stop = proba[:, :n_labels], proba[:, n_labels]
        best, index = labels.masked_fill(walk.taken[:, :n_labels], -1).max(1)
        reached = survival[:, None] * labels
        log_missed = log_missed + torch.log1p(-reached.clamp(max=1 - 1e-6))
        survival = survival * (1 - stop)
        running = running & (best >= stop)
        n_taken = n_taken + running.long()
        steps.append((index, best, stop))
        walk.take(index)
    labels, best, stop = (torch.stack(part, 1) for part in zip(*steps))
    return Path(labels, best, stop, n_taken, -torch.expm1(log_missed))


def draw(walk, n_steps, generator=None):
    """Go on until all samples have stopped.

    Parameters
    ----------
    walk : Walk
        At its start.

    n_steps : int
        Greatest number of steps, the stop included.

    generator : torch.Generator or None, default=None
        Draws each symbol by its probability; None takes the likeliest one.

    Returns
    -------
    symbols : tensor of shape (B, T), dtype int64
        L from the stop on.

    log_proba : tensor of shape (B,)
        Of the chain, stop included if it was reached.
    """
    symbols, total = [], 0
    for log_proba, chosen, stopped in _go_on(walk, n_steps, generator):
        gain = log_proba.gather(1, chosen[:, None])[:, 0]
        total = total + gain.masked_fill(stopped, 0)
        symbols.append(chosen)
    return torch.stack(symbols, 1), total


def draw_inclusion(walk, n_steps, generator, n_draws):
    """Probability of each label to be taken at some step of a drawn chain.

    Parameters
    ----------
    walk : Walk
        At its start.

    n_steps : int
        Greatest number of steps, the stop included.

    generator : torch.Generator
        Draws each symbol by its probability.

    n_draws : int
        Entries of each sample, one behind the other. All samples get the same random
        numbers, so that the chains of a sample do not depend on other samples.

    Returns
    -------
    proba : tensor of shape (B, L)
        Sum over the steps of the chain, each before its symbol is known. The mean over
        many chains is the probability to be in the set, with less noise than the share
        of the chains that hold the label; of one chain it may be more than 1.
    """
    total = 0
    for log_proba, _, stopped in _go_on(walk, n_steps, generator, n_draws):
        total = total + log_proba.exp().masked_fill(stopped[:, None], 0)
    return total[:, : walk.stop]


def _go_on(walk, n_steps, generator, n_noisy=None):
    """Log-probabilities, symbol and who had stopped before, step by step.

    The random numbers repeat after `n_noisy` entries; None is never.
    """
    stopped = walk.taken[:, walk.stop]
    for _ in range(n_steps):
        log_proba = walk.log_proba()
        if generator is None:
            chosen = log_proba.argmax(1)
        else:
            noise = torch.empty_like(log_proba[:n_noisy])
            noise.exponential_(generator=generator)
            noise = noise.repeat(len(log_proba) // len(noise), 1)
            chosen = (log_proba - noise.log()).argmax(1)
        chosen = chosen.masked_fill(stopped, walk.stop)
        yield log_proba, chosen, stopped
        walk.take(chosen)
        stopped = stopped | (chosen == walk.stop)
        if bool(stopped.all()):
            break


class Beam(NamedTuple):
    """Finished chains of a beam search, in the order in which they were finished.

    Parameters
    ----------
    symbols : tensor of shape (B, K, T), dtype int64
        Chains, the stop L included and repeated up to the end.

    log_proba : tensor of shape (B, K)
        Of the whole chain; minus infinity where there are fewer than K chains.

    n_symbols : tensor of shape (B, K), dtype int64
        Length of each chain, the stop included.
    """

    symbols: torch.Tensor
    log_proba: torch.Tensor
    n_symbols: torch.Tensor


def search_beam(walk, beam_size, n_steps):
    """Find likely chains; each that is finished makes the beam narrower by one.

    Parameters
    ----------
    walk : Walk
        At its start.

    beam_size : int
        Chains kept for each sample, K.

    n_steps : int
        Steps after which what is unfinished is returned too.

    Returns
    -------
    beam : Beam

    Notes
    -----
    All samples and all their hypotheses are one batch of B K rows.
    """
    n_rows, stop, width = len(walk.symbols), walk.stop, beam_size
    device = walk.symbols.device
    first = torch.arange(n_rows, device=device) * width
    walk.keep(torch.arange(n_rows, device=device).repeat_interleave(width))
    live = torch.full((n_rows, width), -torch.inf, device=device, dtype=torch.float32)
    live[:, 0] = 0
    chains = torch.full((n_rows, width, n_steps), stop, device=device)
    done = Beam(
        chains.clone(),
        torch.full_like(live, -torch.inf),
        live.new_zeros(live.shape).long(),
    )
    n_done = torch.zeros(n_rows, 1, dtype=torch.long, device=device)
    slots = torch.arange(width, device=device)
    for step in range(n_steps):
        total = live[:, :, None] + walk.log_proba().unflatten(0, (n_rows, width))
        live, flat = total.flatten(1).topk(width)
        origin, symbols = flat // (stop + 1), flat % (stop + 1)
        live = live.masked_fill(slots >= width - n_done, -torch.inf)
        chains = chains.gather(1, origin[:, :, None].expand(chains.shape))
        chains[:, :, step] = symbols
        ends = (symbols == stop) & (live > -torch.inf)
        _store(done, n_done, chains, live, step + 1, ends)
        n_done = n_done + ends.sum(1, keepdim=True)
        live = live.masked_fill(ends, -torch.inf)
        if not bool((live > -torch.inf).any()):
            break
        walk.keep((first[:, None] + origin).flatten())
        walk.take(symbols.flatten())
    else:
        _store(done, n_done, chains, live, n_steps, live > -torch.inf)
    return Beam(done.symbols[:, :, : step + 1], done.log_proba, done.n_symbols)


def _store(done, n_done, chains, log_proba, n_symbols, which):
    """Append some hypotheses of each row to its finished ones."""
    rows, columns = torch.nonzero(which, as_tuple=True)
    slots = (n_done + which.cumsum(1) - 1)[rows, columns]
    done.symbols[rows, slots] = chains[rows, columns]
    done.log_proba[rows, slots] = log_proba[rows, columns]
    done.n_symbols[rows, slots] = n_symbols
