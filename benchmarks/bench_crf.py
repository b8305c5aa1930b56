"""Speed of the conditional random field beside pytorch-crf.

A training step (log-likelihood and its gradient in scores and parameters) and decoding,
for 13 and 79 tags, 32 and 128 sentences, with the lengths of spoken commands (mean 9)
and of news (mean 20, ragged); float32, one thread. Targets: a step at least twice as
fast, decoding at least three times. `difference` is the largest one between the
log-likelihoods of both, `same_tags` the share of sentences decoded alike.
"""

import numpy as np
import torch
from _tools import interleaved, report
from torchcrf import CRF

from skdeep.transfer._crf import LinearChainCRF

SPREADS = {"commands": (9, 9.0), "news": (20, 2.5)}  # mean, shape of the gamma law
N_CALLS = 5  # in a row, as in an epoch


def batch(n_tags, n_rows, kind):
    """Random scores, tags and lengths."""
    mean, shape = SPREADS[kind]
    rng = np.random.default_rng(0)
    drawn = rng.gamma(shape, mean / shape, n_rows).round().clip(1, 100)
    lengths = torch.from_numpy(drawn.astype(np.int64))
    generator = torch.Generator().manual_seed(0)
    width = int(lengths.max())
    scores = 2 * torch.randn(n_rows, width, n_tags, generator=generator)
    tags = torch.randint(n_tags, (n_rows, width), generator=generator)
    return scores, tags, lengths


def models(n_tags):
    """Ours and the peer with the same random parameters."""
    ours, peer = LinearChainCRF(n_tags), CRF(n_tags, batch_first=True)
    generator = torch.Generator().manual_seed(1)
    with torch.no_grad():
        for parameter in ours.parameters():
            torch.nn.init.normal_(parameter, generator=generator)
        peer.start_transitions.copy_(ours.start)
        peer.transitions.copy_(ours.transitions)
        peer.end_transitions.copy_(ours.end)
    return ours, peer


def compare(n_tags, n_rows, kind):
    """One row of the table."""
    ours, peer = models(n_tags)
    scores, tags, lengths = batch(n_tags, n_rows, kind)
    mask = torch.arange(scores.shape[1]) < lengths[:, None]

    def our_values(x):
        return ours.log_likelihood(x, tags, lengths)

    def peer_values(x):
        return peer(x, tags, mask, reduction="none")

    def step(values, model):
        x = scores.clone().requires_grad_()
        model.zero_grad()
        (-values(x).mean()).backward()

    works = {
        "ours": lambda: step(our_values, ours),
        "peer": lambda: step(peer_values, peer),
        "our_tags": lambda: ours.decode(scores, lengths),
        "peer_tags": lambda: peer.decode(scores, mask),
    }
    seconds = interleaved(
        {
            name: lambda w=work: [w() for _ in range(N_CALLS)]
            for name, work in works.items()
        }
    )
    seconds = {name: value / N_CALLS for name, value in seconds.items()}
    found = ours.decode(scores, lengths).tolist()
    same = [a[: len(b)] == b for a, b in zip(found, peer.decode(scores, mask))]
    n_tokens = int(lengths.sum())
    with torch.no_grad():
        difference = (our_values(scores) - peer_values(scores)).abs().max().item()
    return {
        "tags": n_tags,
        "sentences": n_rows,
        "lengths": kind,
        "tokens": n_tokens,
        "longest": scores.shape[1],
        "step_ms": 1e3 * seconds["ours"],
        "peer_step_ms": 1e3 * seconds["peer"],
        "step_ratio": seconds["peer"] / seconds["ours"],
        "step_tokens_per_s": round(n_tokens / seconds["ours"]),
        "decode_ms": 1e3 * seconds["our_tags"],
        "peer_decode_ms": 1e3 * seconds["peer_tags"],
        "decode_ratio": seconds["peer_tags"] / seconds["our_tags"],
        "decode_tokens_per_s": round(n_tokens / seconds["our_tags"]),
        "difference": difference,
        "same_tags": np.mean(same),
    }


if __name__ == "__main__":
    torch.set_num_threads(1)
    report(
        "crf",
        [
            compare(n_tags, n_rows, kind)
            for n_tags in (13, 79)
            for n_rows in (32, 128)
            for kind in SPREADS
        ],
    )
