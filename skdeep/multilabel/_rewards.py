"""Rewards of reinforcement learning: what each label of a chain is worth."""

import torch

from skdeep.exceptions import InvalidParameterError

REWARDS = ("f1", "hamming", "subset", "ndcg")


def rewards_of_chains(reward, symbols, Y):
    """Reward of each step.

    Parameters
    ----------
    reward : {"f1", "hamming", "subset", "ndcg"} or callable
        A callable gets ``hits`` and ``alive``, booleans of shape (B, T), and
        ``n_true`` of shape (B,), and returns (B, T).

    symbols : tensor of shape (B, T), dtype int64
        Chains without repetition; L from the stop on.

    Y : tensor of shape (B, L), dtype bool
        True sets.

    Returns
    -------
    rewards : tensor of shape (B, T)
        0 behind the stop. Those of "f1" sum up to the F1 score of the set.
    """
    n_labels = Y.shape[1]
    is_label = symbols < n_labels
    padded = torch.cat([Y, Y.new_zeros(len(Y), 1)], dim=1)
    hits = padded.gather(1, symbols)
    n_true = Y.sum(1)
    before = torch.cat([is_label.new_ones(len(Y), 1), is_label[:, :-1]], dim=1)
    alive = before.cummin(1).values
    if callable(reward):
        return _call(reward, hits, alive, n_true) * alive
    n_hits, n_taken = hits.cumsum(1), is_label.cumsum(1)
    if reward == "hamming":
        return hits.float() - (is_label & ~hits).float()
    if reward == "f1":
        value = f1_of_counts(n_hits, n_taken, n_true[:, None])
        return torch.diff(value, dim=1, prepend=torch.zeros_like(value[:, :1]))
    if reward == "subset":
        right = (n_hits == n_true[:, None]) & (n_taken == n_true[:, None])
        return (right & alive & ~is_label).float()
    ideal = _discounts(symbols.shape[1], Y.device).cumsum(0)
    best = ideal[(n_true.clamp(1, symbols.shape[1]) - 1)]
    return hits * _discounts(symbols.shape[1], Y.device) / best[:, None]


def _call(reward, hits, alive, n_true):
    """Rewards of a function of the user, if they have the shape that is asked for."""
    values = reward(hits, alive, n_true)
    if not torch.is_tensor(values) or values.shape != hits.shape:
        shape = getattr(values, "shape", None)
        found = type(values).__name__ + (f" of shape {tuple(shape)}" if shape else "")
        raise InvalidParameterError(
            "`reward` must return a tensor with the reward of each step, of the shape of "
            f"`hits`, here {tuple(hits.shape)}; it returned a {found}."
        )
    return values.float()


def try_reward(reward, device):
    """Call a function of the user on two chains, to hear of mistakes before training."""
    symbols = torch.tensor([[0, 1, 2], [1, 2, 2]], device=device)
    Y = torch.tensor([[True, False], [True, True]], device=device)
    rewards_of_chains(reward, symbols, Y)


def f1_of_counts(n_hits, n_taken, n_true):
    """F1 score from counts; 1 if nothing is true and nothing taken."""
    size = n_taken + n_true
    return torch.where(size > 0, 2 * n_hits.float() / size.clamp(min=1), 1.0)


def action_rewards(reward, symbols, Y):
    """Reward of every symbol at each state that chains have visited.

    Parameters
    ----------
    reward : {"f1", "hamming", "subset", "ndcg"}
        Which one.

    symbols : tensor of shape (B, T), dtype int64
        Chains; L from the stop on.

    Y : tensor of shape (B, L), dtype bool
        True sets.

    Returns
    -------
    rewards : tensor of shape (B, T, L + 1)
        Of the step alone, nothing that follows counted.
    """
    n_labels = Y.shape[1]
    n_true = Y.sum(1)[:, None]
    padded = torch.cat([Y, Y.new_zeros(len(Y), 1)], dim=1)
    n_hits = torch.nn.functional.pad(
        padded.gather(1, symbols).cumsum(1)[:, :-1], (1, 0)
    )
    n_taken = torch.nn.functional.pad((symbols < n_labels).cumsum(1)[:, :-1], (1, 0))
    right = Y[:, None].float()
    if reward == "hamming":
        of_labels = (2 * right - 1).expand(-1, symbols.shape[1], -1)
        of_stop = torch.zeros(symbols.shape, device=Y.device, dtype=torch.float32)
    elif reward == "f1":
        now = f1_of_counts(n_hits, n_taken, n_true)
        earned = now * (n_taken > 0)  # nothing before the first step
        hit = f1_of_counts(n_hits + 1, n_taken + 1, n_true) - earned
        miss = f1_of_counts(n_hits, n_taken + 1, n_true) - earned
        of_labels = torch.where(Y[:, None], hit[..., None], miss[..., None])
        of_stop = now - earned
    elif reward == "subset":
        of_labels = right.new_zeros(*symbols.shape, n_labels)
        of_stop = ((n_hits == n_true) & (n_taken == n_true)).float()
    else:
        ideal = _discounts(symbols.shape[1], Y.device)
        best = ideal.cumsum(0)[n_true.clamp(1, symbols.shape[1]) - 1]
        of_labels = right * (ideal / best)[..., None]
        of_stop = torch.zeros(symbols.shape, device=Y.device, dtype=torch.float32)
    return torch.cat([of_labels, of_stop[..., None]], dim=-1)


def _discounts(n_steps, device):
    return 1 / torch.log2(
        torch.arange(2, n_steps + 2, dtype=torch.float32, device=device)
    )
