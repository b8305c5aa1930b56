"""The network that an extender of taggers trains beside the source."""

import numpy as np
import torch
from sklearn.pipeline import Pipeline

from skdeep.exceptions import InvalidParameterError
from skdeep.transfer._growing import grow
from skdeep.transfer._settings import setting
from skdeep.transfer._source_kinds import unwrap
from skdeep.transfer._tagger_modules import TaggerNetwork, describe_network
from skdeep.transfer._tagging import learn_vocabulary
from skdeep.transfer._token_features import signal_buckets
from skdeep.utils._torch import build, make_generator

_TRUST = 2.0  # log odds that the source is right, before anything is learned


def make_target(est, source, own, tokens, n_signals, extra, rng):
    """Make the network, grown out of the source's own if that is one of ours.

    Parameters
    ----------
    est : AdapterExtender
        Gets what its network's input needs: vocabulary, word vectors, arguments.

    source : object
        A fitted tagger.

    own : SequenceTagger
        Describes the network where the source is none of ours.

    tokens : Tokens
        Sentences to be learned.

    n_signals : int
        Size of what the source says of a token; 0 without an adapter.

    extra : ndarray of shape (n_tokens, n_extra) or None
        Buckets of the source's tags in the wide path.

    rng : RandomState
        Draws what is new.

    Returns
    -------
    module : TaggerNetwork
    """
    parent = unwrap(source, Pipeline)  # other steps of one may change the tokens
    if not hasattr(getattr(parent, "module_", None), "crf"):
        parent = None
    if parent is None and est.trainable == "top":
        raise InvalidParameterError(
            "trainable='top' keeps the lower layers of the source's network, and "
            f"{type(source).__name__} has none; use trainable='all'."
        )
    est._vectors = getattr(parent, "_vectors", None)
    est._wide = getattr(parent, "_wide", own.wide)
    vocabulary = learn_vocabulary(tokens, est._wide, extra)
    if parent:
        vocabulary = parent._lookup.grown(vocabulary)
    known = parent._module_args if parent else describe_network(own, 0, vocabulary, 0)
    arguments = {
        **{name: value for name, value in known.items() if name != "part"},
        "n_tags": len(est.classes_),
        "n_words": len(vocabulary.words) + 2,
        "n_characters": len(vocabulary.characters) + 2,
        "n_wide": len(vocabulary.buckets),
        "n_signals": n_signals,
        "dropout": float(setting(est, "dropout")),
        "adapter": _describe_adapter(est, known) if n_signals else None,
    }
    est._lookup = vocabulary
    est._module_args = {"part": "sequence", **arguments}
    generator = make_generator(rng)
    if parent is None:
        module = build(lambda: TaggerNetwork(**arguments), generator=generator)
    else:
        place = {tag: number for number, tag in enumerate(est.classes_.tolist())}
        places = [place[tag] for tag in parent.classes_.tolist()]
        module = grow(arguments, parent.module_.state_dict(), places, generator)
    if extra is not None:
        _trust_source(est, module, len(parent._lookup.buckets) if parent else 0)
    if est.trainable == "top" and module.deep:
        module.encoder.requires_grad_(False)
        module.lstm.requires_grad_(False)
    return module


def _describe_adapter(est, known):
    """Arguments of the adapter that joins a network with known arguments."""
    size = top_size = known["sizes"][-1]
    if est.adapter_hidden_size != "auto":
        size = est.adapter_hidden_size
    if est.combine == "sum" and not known["deep"]:
        raise InvalidParameterError(
            "combine='sum' adds the adapter to the hidden layer, and a source with "
            "deep=False has none; use combine='concat'."
        )
    if est.combine == "sum" and size != top_size:
        raise InvalidParameterError(
            f"combine='sum' adds the adapter to a layer of {top_size} values, got "
            f"adapter_hidden_size={size}; use that number, 'auto', or combine='concat'."
        )
    return {
        "kind": est.adapter_kind,
        "hidden_size": int(size),
        "n_layers": int(est.adapter_layers),
        "dropout": float(est.adapter_dropout),
        "combine": est.combine,
    }


def _trust_source(est, module, n_known):
    """Begin with a preference for the tag that the source predicts.

    The first `n_known` rows of the wide path come from the source, which has learned
    whom to trust in a chain.
    """
    codes = np.arange(len(est.base_classes_))
    buckets = signal_buckets(est.base_classes_, codes, np.ones_like(codes))
    rows = est._lookup.wide_rows(buckets)[:, 2]
    new = rows > n_known  # 0 stands for tags that the source never predicted
    places = np.flatnonzero(est.old_class_mask_)[new]
    rows = torch.from_numpy(rows[new].astype(np.int64))
    module.wide.weight[rows, torch.from_numpy(places)] += _TRUST
