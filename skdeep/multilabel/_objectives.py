"""What the chains are trained for: likelihood of an order, reward, any right label."""

from typing import NamedTuple

import numpy as np
import torch
import torch.nn.functional as F
from torch import nn

from skdeep.multilabel._alignment import align
from skdeep.multilabel._decode import Walk, draw, mask_logits
from skdeep.multilabel._orders import (
    keys_of_fixed_order,
    keys_of_rollout,
    targets_from_keys,
)
from skdeep.multilabel._rewards import action_rewards, rewards_of_chains

OBJECTIVES = ("permutation", "reinforce", "set", "ocd", "pla", "mla")


class Settings(NamedTuple):
    """Numbers of the objectives, named as the parameters of the estimator.

    Parameters
    ----------
    limits : (int, int)
        Least and greatest number of labels in a set.

    rollout_steps : int
        Labels taken from the model; 0 makes the order random.

    n_warmup_steps : int
        Mini-batches before reinforcement learning sets in.

    n_tokens : float
        What the likelihood of a row is divided by: the mean length of the chains, so
        that the learning rate does not depend on it, or 1.
    """

    limits: tuple
    rollout: str
    rollout_steps: int
    reward: object
    baseline: str
    n_draws: int
    all_actions: bool
    n_warmup_steps: int
    rl_weight: float
    ml_weight: float
    entropy: float
    discount: float
    n_tokens: float
    aux_weight: float


class ChainLoss(nn.Module):
    """Loss of an ensemble: of each chain by its own objective, and of its head.

    Parameters
    ----------
    objectives : sequence of str
        Of each member, one of `OBJECTIVES`; "order" for a fixed order; "head" for no
        chain at all.

    label_order : ndarray of shape (L,) or None
        The order for "order".

    settings : Settings
        Numbers of the objectives.

    generator : torch.Generator
        Source of the rollouts, on the device of the module.

    hidden_size : int
        Size of a state, for the value baseline.
    """

    def __init__(self, objectives, label_order, settings, generator, hidden_size):
        super().__init__()
        self.objectives = objectives
        order = None if label_order is None else torch.from_numpy(label_order)
        self.register_buffer("label_order", order)
        self.settings = settings
        self.generator = generator
        self.n_steps_done = 0
        self.value = None
        if "reinforce" in objectives and settings.baseline == "value":
            shape = (len(objectives), hidden_size + 1)
            self.value = nn.Parameter(torch.zeros(shape, dtype=torch.float32))

    def forward(self, encoded, target):
        """Loss of a batch.

        Parameters
        ----------
        encoded : list of (ChainNet, Context)
            From `ChainEnsemble`.

        target : (tensor of shape (B, L), tensor of shape (B,))
            True sets as booleans, and the group of members that must not learn from each
            sample.

        Returns
        -------
        loss : tensor of shape ()

        parts : dict of str to tensor of shape ()
            Means over the members.
        """
        Y, outsiders = target
        parts = {"chain_loss": [], "head_loss": [], "reward": []}
        total = 0
        groups = group_of_members(len(encoded))
        for index, (net, context) in enumerate(encoded):
            mine = outsiders != int(groups[index])
            if net.has_head:
                head = head_loss(context.head, Y, mine)
                parts["head_loss"].append(head)
                total = total + self.settings.aux_weight * head
            objective = self.objectives[index]
            if objective == "head":
                continue
            chain = self._chain_loss(objective, net, context, Y, mine)
            parts["chain_loss"].append(chain)
            total = total + chain
            if objective == "reinforce" and self._reinforces():
                loss, reward = self._policy_loss(index, net, context, Y, mine)
                total = total + self.settings.rl_weight * loss
                total = total - (1 - self.settings.ml_weight) * chain
                parts["reward"].append(reward)
        self.n_steps_done += 1
        means = {k: torch.stack(v).mean() for k, v in parts.items() if v}
        return total, means

    def _reinforces(self):
        return self.n_steps_done >= self.settings.n_warmup_steps

    def _chain_loss(self, objective, net, context, Y, mine):
        if objective == "ocd":
            return self._completion_loss(net, context, Y, mine)
        if objective in ("pla", "mla"):
            return self._alignment_loss(objective, net, context, Y, mine)
        if objective == "order":
            keys = keys_of_fixed_order(self.label_order, Y)
        else:
            keys = keys_of_rollout(self._rollout(net, context), Y, self.generator)
        symbols, alive = targets_from_keys(keys)
        log_proba, _ = self._log_proba(net, context, symbols)
        if objective == "set":
            remaining = still_missing(symbols, Y)
            gain = log_proba.masked_fill(~remaining, -torch.inf).logsumexp(-1)
        else:
            gain = log_proba.gather(2, symbols[..., None])[..., 0]
        # not over the steps of this batch: batches hold sets of like size, and those of
        # small sets would count more
        return -row_mean(gain, alive, mine) / self.settings.n_tokens

    def _log_proba(self, net, context, symbols, limits=None):
        """Log-probabilities of all symbols at each step of given chains, and states."""
        logits, states = net.teacher_force(context, symbols)
        taken = taken_before(symbols, net.n_labels)
        steps = torch.arange(symbols.shape[1], device=symbols.device)
        limits = limits or self.settings.limits
        return mask_logits(logits, taken, steps, limits), states

    @torch.no_grad()
    def _rollout(self, net, context):
        """The model's own labels, L from its stop on."""
        n_steps = self.settings.rollout_steps
        if n_steps == 0:
            return context.head.new_zeros(len(context.head), 0, dtype=torch.long)
        walk = Walk([net], [context.detach()], self.settings.limits)
        sampled = self.settings.rollout == "sample"
        return draw(walk, n_steps, self.generator if sampled else None)[0]

    def _completion_loss(self, net, context, Y, mine):
        """Optimal completion distillation, along chains drawn from the model."""
        with torch.no_grad():
            walk = Walk([net], [context.detach()], self.settings.limits)
            symbols, _ = draw(walk, self.settings.rollout_steps + 1, self.generator)
        log_proba, _ = self._log_proba(net, context, symbols)
        wanted = still_missing(symbols, Y).to(log_proba.dtype)
        wanted = wanted / wanted.sum(-1, keepdim=True)
        gain = (wanted * log_proba.clamp(min=-30)).sum(-1)
        return -token_mean(gain, alive_steps(symbols, net.n_labels), mine)

    def _alignment_loss(self, kind, net, context, Y, mine):
        """Likelihood of the true labels at steps of the model's own chain."""
        n_steps = max(self.settings.rollout_steps, int(Y.sum(1).max()) + 1)
        sampled = self.settings.rollout == "sample"
        with torch.no_grad():  # it goes on past its stop, for there may be labels left
            walk = Walk([net], [context.detach()], (net.n_labels, net.n_labels))
            symbols, _ = draw(walk, n_steps, self.generator if sampled else None)
        log_proba, _ = self._log_proba(net, context, symbols)
        wanted, alive = targets_from_keys(align(kind, log_proba, symbols, Y))
        gain = log_proba.gather(2, wanted[..., None])[..., 0]
        return -row_mean(gain, alive, mine) / self.settings.n_tokens

    def _policy_loss(self, index, net, context, Y, mine):
        """Policy gradient over chains drawn from the model."""
        settings = self.settings
        rows = torch.arange(len(Y), device=Y.device).repeat_interleave(settings.n_draws)
        limits = settings.limits
        if settings.reward == "ndcg":  # a ranking has no stop
            limits = (net.n_labels, net.n_labels)
        many, true = context.take(rows), Y[rows]
        with torch.no_grad():
            walk = Walk([net], [many.detach()], limits)
            symbols, _ = draw(walk, settings.rollout_steps + 1, self.generator)
        log_proba, states = self._log_proba(net, many, symbols, limits)
        alive = alive_steps(symbols, net.n_labels)
        reward = rewards_of_chains(settings.reward, symbols, true)
        total = reward.sum(1)
        critic = 0
        if settings.all_actions:
            value = action_rewards(settings.reward, symbols, true)
            gain = (log_proba.exp() * value).sum(-1)
        else:
            future = returns_to_go(reward, settings.discount)
            base = self._baseline(net, context, Y, total, limits)
            if settings.baseline == "value":
                value = states.detach() @ self.value[index, :-1] + self.value[index, -1]
                critic = 0.5 * token_mean((value - future) ** 2, alive, mine[rows])
                base = value.detach()
            gain = log_proba.gather(2, symbols[..., None])[..., 0] * (future - base)
        gain = gain + settings.entropy * entropy(log_proba)
        loss = critic - token_mean(gain, alive, mine[rows])
        return loss, total.mean()

    def _baseline(self, net, context, Y, total, limits):
        """What is subtracted from the returns of each rollout: (B K, 1)."""
        kind, n_draws = self.settings.baseline, self.settings.n_draws
        if kind == "greedy":
            with torch.no_grad():
                walk = Walk([net], [context.detach()], limits)
                symbols, _ = draw(walk, self.settings.rollout_steps + 1)
            best = rewards_of_chains(self.settings.reward, symbols, Y).sum(1)
            return best.repeat_interleave(n_draws)[:, None]
        if kind == "rollouts":
            groups = total.unflatten(0, (-1, n_draws))
            others = (groups.sum(1, keepdim=True) - groups) / (n_draws - 1)
            return others.flatten()[:, None]
        return 0


def group_of_members(n_members):
    """Number of the group of each member; groups are pairs, the last may be larger."""
    n_groups = max(1, n_members // 2)
    return np.minimum(np.arange(n_members) // 2, n_groups - 1)


def head_loss(head, Y, mine):
    """Binary cross-entropy of the head, summed over labels, averaged over samples."""
    loss = F.binary_cross_entropy_with_logits(head, Y.to(head.dtype), reduction="none")
    return (loss.sum(1) * mine).sum() / mine.sum().clamp(min=1)


def token_mean(values, alive, mine):
    """Mean over the steps of all samples that count."""
    counted = alive & mine[:, None]
    return values.masked_fill(~counted, 0).sum() / counted.sum().clamp(min=1)


def row_mean(values, alive, mine):
    """Mean over the samples that count of the sum over their steps."""
    counted = alive & mine[:, None]
    return values.masked_fill(~counted, 0).sum() / mine.sum().clamp(min=1)


def taken_before(symbols, n_labels):
    """Which symbols have been taken before each step: (B, T) -> (B, T, L + 1)."""
    taken = symbols.new_zeros(*symbols.shape, n_labels + 1, dtype=torch.bool)
    for step in range(1, symbols.shape[1]):
        taken[:, step] = taken[:, step - 1].scatter(1, symbols[:, step - 1, None], True)
    return taken


def still_missing(symbols, Y):
    """Right symbols at each step: the true labels left, or the stop if none is left."""
    # (B, T), (B, L) -> (B, T, L + 1)
    taken = taken_before(symbols, Y.shape[1])[..., :-1]
    left = Y[:, None] & ~taken
    return torch.cat([left, ~left.any(-1, keepdim=True)], dim=-1)


def alive_steps(symbols, n_labels):
    """True up to and including the first stop: (B, T) -> (B, T)."""
    stopped = symbols == n_labels
    return ~F.pad(stopped[:, :-1], (1, 0)).cummax(1).values


def returns_to_go(reward, discount):
    """Discounted sum of the rewards from each step on: (B, T) -> (B, T)."""
    future, out = 0, []
    for step in reversed(range(reward.shape[1])):
        future = reward[:, step] + discount * future
        out.append(future)
    return torch.stack(out[::-1], 1)


def entropy(log_proba):
    """Entropy of each step, where impossible symbols count nothing."""
    return -(log_proba.exp() * log_proba.clamp(min=-30)).sum(-1)
