"""From sentences to a network's input, and from its scores to tags."""

import numpy as np
import torch

from skdeep.transfer._token_batches import Sentences, make_batch
from skdeep.transfer._token_features import Vocabulary, wide_buckets
from skdeep.utils._torch import private_mode

_TOKENS_AT_ONCE = 8192  # in a batch of prediction


def encode(tokens, vocabulary, *, wide=True, vectors=None, signal=None, extra=None):
    """Encode sentences.

    Parameters
    ----------
    tokens : Tokens
        The sentences.

    vocabulary : Vocabulary
        Rows of the tables.

    wide : bool, default=True
        Whether the network has a wide path.

    vectors : callable or None, default=None
        Maps words to an array (n_words, n_dimensions).

    signal : ndarray of shape (n_tokens, n_signals) or None, default=None
        What the source says of each token.

    extra : ndarray of shape (n_tokens, n_extra) or None, default=None
        More buckets for the wide path.

    Returns
    -------
    sentences : Sentences
        Without targets.
    """
    codes = vocabulary.word_codes(tokens.words)
    parts = [wide_buckets(codes.hashes, tokens)] if wide else []
    parts += [] if extra is None else [extra]
    buckets = np.hstack(parts) if parts else np.zeros((len(tokens.ids), 0), np.int32)
    return Sentences(
        tokens,
        codes,
        vocabulary.wide_rows(buckets),
        None if vectors is None else vectors(tokens.words),
        signal,
    )


def learn_vocabulary(tokens, wide, extra=None):
    """Vocabulary of sentences, with the features of the wide path if there is one."""
    empty = Vocabulary([], [], np.zeros(0, np.int32))
    parts = []
    if wide:
        parts.append(wide_buckets(empty.word_codes(tokens.words).hashes, tokens))
    parts += [] if extra is None else [extra]
    return Vocabulary.of(tokens, np.hstack(parts) if parts else empty.buckets)


def tag_scores(module, sentences, device):
    """Apply a network in evaluation mode, some sentences at a time.

    Yields
    ------
    token : ndarray of shape (N,)
        Places of the tokens in the flat order of `sentences`.

    place : Tensor of shape (N,)
        The same tokens in the flat array of B x L.

    scores : TagScores
    """
    lengths = sentences.tokens.lengths
    order = np.argsort(-lengths, kind="stable")[: np.count_nonzero(lengths)]
    starts = sentences.tokens.starts
    first, size = 0, _TOKENS_AT_ONCE
    while first < len(order):
        n_rows = max(1, size // int(lengths[order[first]]))
        numbers = order[first : first + n_rows]
        batch, _ = make_batch(sentences, numbers)
        try:
            with torch.inference_mode():
                scores = module(batch.to(device))
        except torch.OutOfMemoryError:
            if n_rows == 1:
                raise
            size //= 2
            continue
        first += n_rows
        token = np.concatenate([starts[n] + np.arange(lengths[n]) for n in numbers])
        yield token, batch.place, scores


@private_mode()
def decode(module, sentences, device, forbidden=None):
    """Most probable tags.

    Parameters
    ----------
    module : TaggerNetwork
        In evaluation mode.

    sentences : Sentences
        Encoded for this network.

    device : str
        Where the network lives.

    forbidden : pair of bool ndarrays or None, default=None
        Tags that begin no sentence, and moves that do not occur.

    Returns
    -------
    codes : ndarray of shape (n_tokens,), dtype int64
        Number of the tag of each token.
    """
    codes = np.zeros(len(sentences.tokens.ids), np.int64)
    if forbidden is not None:
        start, moves = (torch.from_numpy(part).to(device) for part in forbidden)
        forbidden = start, moves, torch.zeros_like(start)
    for token, place, (scores, lengths, crf) in tag_scores(module, sentences, device):
        if crf is None and forbidden is not None:
            crf = _no_transitions(scores)
        with torch.inference_mode():
            if crf is None:
                found = scores.argmax(dim=2)
            else:
                found = crf.decode(scores, lengths, forbidden)
        codes[token] = found.cpu().flatten()[place].numpy()
    return codes


def _no_transitions(scores):
    """A CRF whose only transitions are the forbidden ones."""
    from skdeep.transfer._crf import LinearChainCRF

    crf = LinearChainCRF(scores.shape[2]).to(scores.device)
    crf.init_weights()
    return crf


@private_mode()
def tag_probabilities(module, sentences, device, raw=False):
    """Marginal probability of each tag of each token, shape (n_tokens, n_tags), float32.

    With `raw`, the scores below the output layer.
    """
    found = np.zeros((len(sentences.tokens.ids), len(module.bias)), np.float32)
    for token, place, (scores, lengths, crf) in tag_scores(module, sentences, device):
        with torch.inference_mode():
            if crf is not None and not raw:
                scores = crf.marginals(scores, lengths)
            elif not raw:
                scores = scores.softmax(dim=2)
        found[token] = scores.cpu().flatten(0, 1)[place].numpy()
    return found
