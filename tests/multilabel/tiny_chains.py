"""Networks of a few weights, and slow versions of what the package computes on them."""

import copy
from itertools import permutations

import numpy as np
import torch
from sklearn.datasets import make_multilabel_classification

from skdeep.multilabel import DynamicChainClassifier
from skdeep.multilabel._inference import Inference
from skdeep.multilabel._modules import ChainEnsemble, ChainNet, Encoder, Scaler

N_FEATURES = 5


def random_net(n_labels=3, seed=0, spread=0.7, **options):
    """A chain in float64 with random weights, not trained for anything."""
    options = {
        "hidden_size": 8,
        "label_size": 8,
        "label_skip": True,
        "has_look": False,
        "has_head": True,
        **options,
    }
    encoder = Encoder(torch.nn.Identity(), 0.0)
    net = ChainNet(encoder, N_FEATURES, n_labels, **options).double().eval()
    generator = torch.Generator().manual_seed(seed)
    for weight in net.parameters():
        torch.nn.init.normal_(weight, std=spread, generator=generator)
    return net


def random_rows(n_rows=2, seed=0):
    generator = torch.Generator().manual_seed(seed)
    return torch.randn(
        n_rows, N_FEATURES, generator=generator, dtype=torch.float64
    ).abs()


def make_inference(nets, **options):
    """What a fitted estimator asks, without an estimator; in float32, as there."""
    scaler = Scaler(N_FEATURES, sparse=False)
    scaler.init_weights(None)
    nets = [copy.deepcopy(net).float() for net in nets]
    module = ChainEnsemble(nets, scaler, None).eval()
    n_labels = nets[0].n_labels
    defaults = {
        "device": "cpu",
        "chained": True,
        "joint": True,
        "limits": (0, n_labels),
        "n_steps": n_labels,
        "decision": "beam",
        "beam_size": 5,
        "proba": "path",
        "score_weights": (1.0, 0.0, 0.0, 0.0),
        "threshold": 0.5,
        "n_draws": 32,
        "rescore_weight": 0.0,
        "generator": torch.Generator().manual_seed(0),
    }
    return Inference(module, **{**defaults, **options})


def all_chains(n_labels, least=0, greatest=None):
    """Every sequence of distinct labels, without the stop."""
    greatest = n_labels if greatest is None else greatest
    sizes = range(least, greatest + 1)
    return [chain for size in sizes for chain in permutations(range(n_labels), size)]


def all_sets(n_labels, least=0, greatest=None):
    """Every set of labels, as sorted tuples."""
    return sorted({tuple(sorted(c)) for c in all_chains(n_labels, least, greatest)})


def indicator(sets, n_labels):
    """Matrix of zeros and ones from sets."""
    Y = np.zeros((len(sets), n_labels), dtype=np.int64)
    for row, labels in enumerate(sets):
        Y[row, list(labels)] = 1
    return Y


def as_symbols(chains, n_labels):
    """Tensor of chains, filled up with the stop; each has one at least."""
    width = max(map(len, chains)) + 1
    rows = [[*chain, *[n_labels] * (width - len(chain))] for chain in chains]
    return torch.tensor(rows)


def step_log_proba(logits, taken, n_taken, limits, n_labels):
    """Log-probabilities of one row by a loop over what may be taken."""
    least, greatest = limits
    allowed = [label not in taken and n_taken < greatest for label in range(n_labels)]
    allowed.append(n_taken >= least)
    total = sum(logit.exp() for logit, fine in zip(logits, allowed) if fine)
    return torch.stack(
        [
            logit - total.log() if fine else torch.tensor(-torch.inf).double()
            for logit, fine in zip(logits, allowed)
        ]
    )


def chain_log_proba(nets, x, chain, limits=None):
    """Log-probability of one chain and its stop, one row, step by step."""
    n_labels = nets[0].n_labels
    limits = limits or (0, n_labels)
    contexts = [net(x[None]) for net in nets]
    states = [context.state for context in contexts]
    symbols, total = [n_labels, *chain], 0.0
    for step, symbol in enumerate([*chain, n_labels]):
        mean = 0.0
        for index, net in enumerate(nets):
            part = net.label_table()[symbols[step]][None]
            states[index], logits = net.step(contexts[index], states[index], part)
            found = step_log_proba(logits[0], chain[:step], step, limits, n_labels)
            mean = mean + found / len(nets)
        total = total + mean[symbol] - mean.exp().sum().log()
    return total


def set_probabilities(nets, x, joint=True, limits=None):
    """Probability of every set of one row: dict, sorted tuple -> float."""
    groups = [nets] if joint else [[net] for net in nets]
    n_labels = nets[0].n_labels
    found = dict.fromkeys(all_sets(n_labels, *(limits or ())), 0.0)
    for group in groups:
        for chain in all_chains(n_labels, *(limits or ())):
            proba = chain_log_proba(group, x, chain, limits).exp().item()
            found[tuple(sorted(chain))] += proba / len(groups)
    return found


def small(**params):
    """An estimator that is fitted in a blink."""
    defaults = {
        "n_estimators": 2,
        "hidden_layer_sizes": (8,),
        "hidden_size": 8,
        "label_size": 8,
        "max_epochs": 2,
        "early_stopping": False,
        "rescore_weight": 0.0,
        "device": "cpu",
        "random_state": 0,
    }
    return DynamicChainClassifier(**{**defaults, **params})


def few_rows(n_samples=60, n_labels=4, seed=0, **options):
    """Rows of six features and their label sets, read-only."""
    X, Y = make_multilabel_classification(
        n_samples,
        n_features=6,
        n_classes=n_labels,
        random_state=seed,
        **options,
    )
    for array in (X, Y):
        array.flags.writeable = False
    return X, Y
