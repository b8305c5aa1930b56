"""The network of the tagger: a deep path over characters, words and sentences, a wide
path over hashed features, and the neural adapter."""

from typing import NamedTuple

import torch
from torch import nn

from skdeep.nn import Dropout
from skdeep.transfer._crf import LinearChainCRF
from skdeep.transfer._token_features import N_AFFIX_ROWS


class TagScores(NamedTuple):
    """Score of each tag of each token, and what turns them into probabilities.

    Attributes
    ----------
    scores : Tensor of shape (B, L, n_tags)

    lengths : Tensor of shape (B,)

    crf : LinearChainCRF or None
        None makes each token's probabilities a softmax.
    """

    scores: torch.Tensor
    lengths: torch.Tensor
    crf: nn.Module


class BiLSTM(nn.Module):
    """Long short-term memory from both sides, of padded rows.

    The second direction reads each row reversed, so that what stands behind the end of
    a row comes behind its tokens in both directions, and is never read.

    Parameters
    ----------
    n_inputs, hidden_size : int
        Sizes of inputs, and of the state of each direction.
    """

    def __init__(self, n_inputs, hidden_size):
        super().__init__()
        self.forth = nn.LSTM(n_inputs, hidden_size, batch_first=True)
        self.back = nn.LSTM(n_inputs, hidden_size, batch_first=True)

    def forward(self, rows, turned):
        """Return the states of both directions, (B, L, hidden_size) each.

        `turned` (B * L,) has the place of each token in its row reversed.
        """
        if rows.device.type == "cpu":  # torch has no LSTM of half floats there
            rows = rows.float()
        with torch.autocast("cpu", enabled=False):
            states, back = self.forth(rows)[0], self.back(reorder(rows, turned))[0]
        return states, reorder(back, turned)


def reorder(rows, place):
    """Rows of a tensor (B, L, d) in another order, given by flat places (B * L,)."""
    return rows.flatten(0, 1).index_select(0, place).view(rows.shape)


def tokens_inside(lengths, rows):
    """Mask (B, L) of what stands before the end of each of some rows (B, L, ...)."""
    return torch.arange(rows.shape[1], device=rows.device) < lengths[:, None]


class LockedDropout(Dropout):
    """Dropout that hides the same values of all tokens of a sentence."""

    def forward(self, input):
        # (B, L, d) -> (B, L, d)
        if not self.training or self.p == 0:
            return input
        return input * super().forward(torch.ones_like(input[:, :1]))


class Table(nn.EmbeddingBag):
    """Rows of vectors, which are summed where there are several numbers a word."""

    def __init__(self, n_rows, size):
        super().__init__(n_rows, size, mode="sum")

    def init_weights(self, generator):
        """Draw small vectors."""
        nn.init.normal_(self.weight, std=0.2, generator=generator)


class ZeroLinear(nn.Linear):
    """Linear layer without a bias that begins at zero."""

    def __init__(self, n_inputs, n_outputs):
        super().__init__(n_inputs, n_outputs, bias=False)

    def init_weights(self, generator):
        """Draw nothing."""
        nn.init.zeros_(self.weight)


class WordEncoder(nn.Module):
    """Vector of a word: its own row, those of its affixes and shape, its characters.

    Parameters
    ----------
    n_words, n_characters : int
        Rows of the tables.

    n_dimensions : int
        Dimensions of the vectors given by the user, or 0.

    word_size, affix_size, character_size : int
        Sizes of what the three tables give.
    """

    def __init__(
        self,
        n_words,
        n_characters,
        n_dimensions,
        word_size,
        affix_size,
        character_size,
    ):
        super().__init__()
        self.words = Table(n_words, word_size)
        self.affixes = Table(N_AFFIX_ROWS, affix_size)
        self.characters = nn.Embedding(n_characters, character_size, padding_idx=0)
        self.spelling = nn.Conv1d(character_size, 2 * character_size, 3, padding=1)
        self.vectors = None
        if n_dimensions:
            self.vectors = nn.Linear(n_dimensions, word_size, bias=False)
        self.size = word_size + affix_size + 2 * character_size

    def forward(self, batch):
        """Vectors of the distinct words of a batch, (n_words, size)."""
        word = self.words(batch.rows[:, None])
        if self.vectors is not None:
            word = word + self.vectors(batch.vectors)
        letters = self.characters(batch.characters).mT
        inside = batch.characters > 0  # longer words of the batch change nothing
        spelling = (self.spelling(letters).relu() * inside[:, None]).amax(dim=2)
        return torch.cat([word, self.affixes(batch.affixes), spelling], dim=1)


class WidePath(nn.Module):
    """Linear scores of hashed features; only the rows that occur are touched.

    The weights are a buffer, not a parameter, because an optimizer would walk over all
    of them at every step: `step` does plain gradient descent on the rows of the last
    batch. Row 0 stands for features never seen and stays zero.

    Parameters
    ----------
    n_rows, n_tags : int
        Features, and scores.

    dropout : float
        Probability of overlooking a feature in training.
    """

    def __init__(self, n_rows, n_tags, dropout):
        super().__init__()
        self.register_buffer("weight", torch.zeros(n_rows + 1, n_tags))
        self.dropout = Dropout(dropout)
        self._drawn = None

    def init_weights(self, generator):
        """Begin at zero."""
        nn.init.zeros_(self.weight)

    def forward(self, rows):
        """Sum of the weights of each token's features, (N, n_tags)."""
        if not torch.is_grad_enabled() or not self.training:
            return nn.functional.embedding_bag(rows, self.weight, mode="sum")
        if self.dropout.p:
            kept = self.dropout(torch.ones(rows.shape, device=rows.device)) > 0
            rows = rows * kept
        used, place = torch.unique(rows, return_inverse=True)
        part = self.weight[used].requires_grad_()
        self._drawn = used, part
        return nn.functional.embedding_bag(place, part, mode="sum")

    def step(self, lr, scale=1.0):
        """Descend along the gradient of the last batch.

        The loss was multiplied by `scale`; where that was too much there is no step.
        """
        used, part = self._drawn
        self._drawn = None
        if part.grad is None or (scale != 1 and not part.grad.isfinite().all()):
            return
        change = part.grad * (used > 0)[:, None]
        self.weight.index_add_(0, used, change * (-lr / scale))


class Adapter(nn.Module):
    """The neural adapter: a second view of the sentence through the source's eyes.

    Parameters
    ----------
    n_inputs : int
        Size of what the source says of a token, plus that of the word vectors.

    kind : {"lstm", "conv", "linear"}
        How neighbouring tokens are read.

    hidden_size : int
        Size of the outputs.

    n_layers : int
        Layers, one behind the other.

    dropout : float
        Of the outputs.
    """

    def __init__(self, n_inputs, kind, hidden_size, n_layers, dropout):
        super().__init__()
        sizes = [n_inputs, *[hidden_size] * n_layers]
        pairs = list(zip(sizes, sizes[1:]))
        if kind == "lstm":
            layers = [BiLSTM(*pair) for pair in pairs]
        elif kind == "conv":
            layers = [nn.Conv1d(*pair, kernel_size=5, padding=2) for pair in pairs]
        else:
            layers = [nn.Linear(*pair) for pair in pairs]
        self.kind = kind
        self.layers = nn.ModuleList(layers)
        self.dropout = Dropout(dropout)

    def forward(self, rows, batch):
        """Map (B, L, n_inputs) to (B, L, hidden_size)."""
        inside = tokens_inside(batch.lengths, rows)
        for layer in self.layers:
            if self.kind == "lstm":
                rows = torch.add(
                    *layer(rows, batch.turned)
                )  # the two directions, summed
            elif self.kind == "conv":
                rows = (rows * inside[..., None]).mT
                rows = torch.tanh(layer(rows)).mT
            else:
                rows = torch.tanh(layer(rows))
        return self.dropout(rows)


class TaggerNetwork(nn.Module):
    """Scores of the tags of each token.

    s_t = W_h h_t + W_a a_t + b + the sum of the weights of the wide features; h_t comes
    from a BiLSTM over word vectors, a_t from the adapter.

    Parameters
    ----------
    n_tags : int
        Number of tags.

    n_words, n_characters, n_wide, n_dimensions, n_signals : int
        Sizes of the tables, of the vectors given by the user, and of what the source
        says of a token; the last two may be 0.

    sizes : sequence of int
        Of word, affix and character vectors, of the state, and of the layer below the
        scores.

    dropout, wide_dropout : float
        Shares of values and of features that are dropped in training.

    output : {"crf", "softmax"}
        What stands on top.

    deep : bool
        Whether there is more than the wide path.

    adapter : dict or None
        Arguments of `Adapter`, and `combine`.
    """

    def __init__(
        self,
        n_tags,
        n_words,
        n_characters,
        n_wide,
        n_dimensions,
        n_signals,
        sizes,
        dropout,
        wide_dropout,
        output,
        deep,
        adapter,
    ):
        super().__init__()
        *word_sizes, hidden_size, top_size = sizes
        self.deep, self.adapter, self.crf, self.wide = deep, None, None, None
        self.bias = nn.Parameter(torch.zeros(n_tags))
        if output == "crf":
            self.crf = LinearChainCRF(n_tags)
        if n_wide:
            self.wide = WidePath(n_wide, n_tags, wide_dropout)
        if deep:
            self.encoder = WordEncoder(n_words, n_characters, n_dimensions, *word_sizes)
            self.dropout = LockedDropout(dropout)
            self.lstm = BiLSTM(self.encoder.size, hidden_size)
            self.hidden = nn.Linear(2 * hidden_size, top_size)
            self.top = nn.Linear(top_size, n_tags, bias=False)
        if adapter is not None:
            adapter = dict(adapter)
            self.combine = adapter.pop("combine")
            n_inputs = n_signals + (self.encoder.size if deep else 0)
            self.adapter = Adapter(n_inputs, **adapter)
            if self.combine == "concat":
                self.join = ZeroLinear(adapter["hidden_size"], n_tags)

    def init_weights(self, generator):
        """Begin without a preference for a tag."""
        nn.init.zeros_(self.bias)

    def forward(self, batch):
        """Return `TagScores` of a `SentenceBatch`."""
        shape = *batch.word.shape, len(self.bias)
        scores = self.bias.expand(shape)
        if self.wide is not None:
            wide = scores.new_zeros(shape[0] * shape[1], shape[2])
            wide = wide.index_copy(0, batch.place, self.wide(batch.wide))
            scores = scores + wide.view(shape)
        hidden, words = self.represent(batch)
        if self.deep:
            scores = scores + self.top(hidden)
        if self.adapter is not None and self.combine == "concat":
            scores = scores + self.join(self.adapt(batch, words))
        return TagScores(scores, batch.lengths, self.crf)

    def represent(self, batch):
        """States below the scores (B, L, top_size), and word vectors (B, L, d)."""
        if not self.deep:
            return None, None
        words = nn.functional.embedding(batch.word, self.encoder(batch))
        words = self.dropout(words)
        states = torch.cat(self.lstm(words, batch.turned), dim=2)
        hidden = torch.tanh(self.hidden(self.dropout(states)))
        if self.adapter is not None and self.combine == "sum":
            hidden = hidden + self.adapt(batch, words)
        return hidden, words

    def adapt(self, batch, words):
        """Output of the adapter, (B, L, adapter_hidden_size)."""
        rows = batch.signal
        if words is not None:
            rows = torch.cat([words, rows], dim=2)
        return self.adapter(rows, batch)


def describe_network(tagger, n_tags, vocabulary, n_dimensions):
    """Arguments of `TaggerNetwork` for the parameters of a tagger.

    Parameters
    ----------
    tagger : SequenceTagger
        Its parameters are read.

    n_tags : int
        Number of tags.

    vocabulary : Vocabulary
        What the tables hold.

    n_dimensions : int
        Size of the word vectors given by the user, or 0.

    Returns
    -------
    arguments : dict
        Plain values.
    """
    return {
        "n_tags": n_tags,
        "n_words": len(vocabulary.words) + 2,
        "n_characters": len(vocabulary.characters) + 2,
        "n_wide": len(vocabulary.buckets),
        "n_dimensions": n_dimensions,
        "n_signals": 0,
        "sizes": [
            int(tagger.word_size),
            int(tagger.affix_size),
            int(tagger.character_size),
            int(tagger.hidden_size),
            int(tagger.hidden_size),
        ],
        "dropout": float(tagger.dropout),
        "wide_dropout": float(tagger.feature_dropout),
        "output": tagger.output,
        "deep": tagger.deep,
        "adapter": None,
    }
