"""How a trained ensemble answers: contexts in slices, walks, scores, sets."""

import numpy as np
import scipy.sparse as sp
import torch
import torch.nn.functional as F

from skdeep._engine import take_rows
from skdeep.multilabel._decisions import (
    best_f1_sets,
    cheapest_chains,
    likeliest_sets,
    position_scores,
    sets_of_chains,
    vote,
)
from skdeep.multilabel._decode import Walk, draw, draw_inclusion, follow, search_beam
from skdeep.multilabel._modules import KnownRows, takes_sparse


class Inference:
    """A trained ensemble, and all that decides how it answers.

    Parameters
    ----------
    module : ChainEnsemble
        In evaluation mode.

    device : str
        Where it is.

    chained : bool
        False if only the heads answer.

    joint : bool
        Whether all members take the same labels, or each walks by itself.

    limits : (int, int)
        Least and greatest number of labels in a set.

    n_steps : int
        Length of the path that scores are made of.

    decision : {"beam", "chain", "greedy", "marginal", "f1"}
        How sets are chosen.

    beam_size : int
        Chains kept for each sample.

    proba : {"auto", "path", "position", "head", "sample", "beam"}
        What scores are.

    score_weights : tuple of four floats
        Shares of path, position, head and beam for "auto".

    threshold : float
        Cut for "marginal".

    n_draws : int
        Chains drawn for "sample".

    rescore_weight : float
        Weight of the heads in the choice between the chains of a beam.

    generator : torch.Generator or None, default=None
        Source of drawn sets.

    Attributes
    ----------
    members : sequence of int
        Members that answer, all of them at first.
    """

    PARTS = ("path", "position", "head", "beam")

    def __init__(
        self,
        module,
        *,
        device,
        chained,
        joint,
        limits,
        n_steps,
        decision,
        beam_size,
        proba,
        score_weights,
        threshold,
        n_draws,
        rescore_weight,
        generator=None,
    ):
        self.module, self.device, self.generator = module, device, generator
        self.seed = None if generator is None else generator.initial_seed()
        self.chained, self.joint = chained, joint
        self.limits, self.n_steps = limits, n_steps
        self.decision, self.beam_size = decision, beam_size
        self.threshold, self.n_draws = threshold, n_draws
        self.rescore_weight = rescore_weight
        self.proba, self.score_weights = proba, score_weights
        if proba in self.PARTS:
            self.score_weights = tuple(float(proba == name) for name in self.PARTS)
        self.members = range(len(module.members))
        self.tables = [member.label_table() for member in module.members]

    @property
    def n_labels(self):
        """L."""
        return self.module.n_labels

    def ask(self, X, answer, width=1, known=None):
        """Go through rows, some at a time; fewer if memory does not suffice.

        Parameters
        ----------
        X : ndarray or CSR matrix of shape (n_samples, n_features), dtype float32
            Rows.

        answer : callable
            Maps the contexts of the members, for some rows, to a tensor with an entry
            for each row.

        width : int, default=1
            Hypotheses that a row will need.

        known : (ndarray, ndarray) or None, default=None
            Sets, and what the first look says apart from the rows, if it saw them.

        Yields
        ------
        found : tensor of shape (n_rows, ...)
            Answer to some rows, on the CPU.
        """
        size = max(8, min(2**22 // (self.n_labels * width), 1024) // 8 * 8)
        start = 0
        while start < X.shape[0]:
            n_rows = min(size, X.shape[0] - start)
            try:
                found = answer(self._contexts(X, start, n_rows, known))[:n_rows].cpu()
            except torch.OutOfMemoryError:
                if size <= 8:
                    raise
                size = max(8, size // 16 * 8)
                continue
            yield found
            start += n_rows

    def _contexts(self, X, start, n_rows, known):
        """Context of each member, for some rows and repetitions at the end."""
        # float sums depend on the height of a matrix, unless it is 8k
        rows = start + np.arange(n_rows + -n_rows % 8) % n_rows
        keep_sparse = takes_sparse(self.module) and self.module.scaler.sparse
        part = X[rows]
        if keep_sparse and not sp.issparse(part):  # fitted on sparse rows
            part = sp.csr_array(part)
        batch = take_rows(part, slice(None), keep_sparse)
        if known is not None:
            Y, left_out = (torch.from_numpy(part[rows]) for part in known)
            batch = KnownRows(batch, Y.float(), left_out)
        found = self.module(batch.to(self.device))
        return [found[index][1] for index in self.members]

    def walks(self, contexts, joint=None):
        """One walk for all members, or one for each."""
        joint = self.joint if joint is None else joint
        chains = [self.module.members[index] for index in self.members]
        tables = [self.tables[index] for index in self.members]
        if joint:
            return [Walk(chains, contexts, self.limits, tables)]
        return [
            Walk([chain], [context], self.limits, [table])
            for chain, context, table in zip(chains, contexts, tables)
        ]

    def path(self, contexts, n_steps=None):
        """The greedy path that all members walk together."""
        return follow(self.walks(contexts, joint=True)[0], n_steps or self.n_steps)

    def beams(self, contexts):
        """Likely chains with weights that sum up to one.

        Returns
        -------
        symbols : tensor of shape (B, N, T), dtype int64

        weights : tensor of shape (B, N)

        values : tensor of shape (B, N)
            Log-probabilities, with the logits of the heads as far as they count.
        """
        n_steps = self.limits[1] + 1
        beams = [search_beam(w, self.beam_size, n_steps) for w in self.walks(contexts)]
        longest = max(beam.symbols.shape[2] for beam in beams)
        heads = F.pad(sum(context.head for context in contexts), (0, 1)) / len(contexts)
        symbols, weights, values = [], [], []
        for beam in beams:
            n_missing = longest - beam.symbols.shape[2]
            chains = F.pad(beam.symbols, (0, n_missing), value=self.n_labels)
            support = heads.gather(1, chains.flatten(1)).unflatten(1, chains.shape[1:])
            value = beam.log_proba + self.rescore_weight * support.sum(-1)
            symbols.append(chains)
            weights.append(torch.softmax(value, dim=1) / len(beams))
            values.append(value)
        return tuple(torch.cat(parts, 1) for parts in (symbols, weights, values))

    def parts(self, contexts, wanted=(True,) * 4):
        """What scores are made of, each a tensor (B, L); None if not wanted."""
        paths, parts = [], dict.fromkeys(self.PARTS)
        wanted = dict(zip(self.PARTS, wanted))
        if wanted["path"] or wanted["position"]:
            paths = [follow(walk, self.n_steps) for walk in self.walks(contexts)]
        if wanted["path"]:
            parts["path"] = sum(path.scores for path in paths) / len(paths)
        if wanted["position"]:
            parts["position"] = sum(position_scores(p) for p in paths) / len(paths)
        if wanted["head"]:
            heads = [torch.sigmoid(context.head) for context in contexts]
            parts["head"] = sum(heads) / len(heads)
        if wanted["beam"]:
            symbols, weights, _ = self.beams(contexts)
            flat = weights[..., None].expand(symbols.shape).flatten(1)
            total = contexts[0].head.new_zeros(len(flat), self.n_labels + 1)
            total = total.scatter_add(1, symbols.flatten(1), flat)
            parts["beam"] = total[:, :-1].clamp(max=1)
        return list(parts.values())

    def scores(self, contexts):
        """Scores of the labels in [0, 1]: (B, L)."""
        if self.proba == "sample":
            return self.inclusion(contexts, self.n_draws)
        parts = self.parts(contexts, [weight > 0 for weight in self.score_weights])
        pairs = zip(self.score_weights, parts)
        scores = sum(weight * part for weight, part in pairs if part is not None)
        if self.limits == (1, 1):  # one class for each row
            return scores / scores.sum(1, keepdim=True).clamp(min=1e-30)
        return scores

    def sample(self, contexts, n_draws):
        """Sets drawn from the members in turn, or from all of them: (B, n_draws, L)."""
        n_rows = len(contexts[0].head)
        out = contexts[0].head.new_zeros(n_rows, n_draws, self.n_labels)
        for mine, walk in self._walks_to_draw(contexts, n_draws):
            symbols, _ = draw(walk, self.n_labels + 1, self.generator)
            flags = sets_of_chains(symbols, self.n_labels).unflatten(0, (n_rows, -1))
            out[:, mine] = flags.to(out.dtype)
        return out

    def inclusion(self, contexts, n_draws):
        """Probability to be in a set, estimated along drawn chains: (B, L)."""
        n_rows, n_steps, total = len(contexts[0].head), self.n_labels + 1, 0
        for number, (mine, walk) in enumerate(self._walks_to_draw(contexts, n_draws)):
            self.generator.manual_seed(self.seed + number)  # the same for all slices
            proba = draw_inclusion(walk, n_steps, self.generator, len(mine))
            total = total + proba.unflatten(0, (n_rows, -1)).sum(1)
        return (total / n_draws).clamp(max=1)

    def _walks_to_draw(self, contexts, n_draws):
        """Of each walk the numbers of its draws, and the walk for all of them."""
        n_rows = len(contexts[0].head)
        walks = self.walks(contexts)
        for index, walk in enumerate(walks):
            mine = range(index, n_draws, len(walks))
            if len(mine):
                rows = torch.arange(n_rows, device=self.device)
                walk.keep(rows.repeat_interleave(len(mine)))
                yield mine, walk

    def sets(self, contexts):
        """Decided sets: bool (B, L)."""
        if not self.chained or self.decision == "marginal":
            cut = self.threshold if self.decision == "marginal" else 0.5
            return self._cut(self.scores(contexts), cut)
        if self.decision == "greedy":
            found = [draw(w, self.limits[1] + 1) for w in self.walks(contexts)]
            symbols, log_proba = zip(*found)
            sets = [sets_of_chains(chain, self.n_labels) for chain in symbols]
            return vote(torch.stack(sets), torch.stack(log_proba))
        symbols, weights, values = self.beams(contexts)
        if self.decision == "chain":
            return cheapest_chains(symbols, values, self.n_labels)
        if self.decision == "f1":
            return best_f1_sets(symbols, weights, self.n_labels, self.limits[0])
        return likeliest_sets(symbols, weights, self.n_labels)

    def _cut(self, scores, threshold):
        """Labels above a threshold, within the limits."""
        least, greatest = self.limits
        order = torch.sort(scores, dim=1, descending=True, stable=True).indices
        rank = order.argsort(1)
        return ((scores > threshold) | (rank < least)) & (rank < greatest)
