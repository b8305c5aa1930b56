"""Sequence tagging: a deep and a wide path under a conditional random field."""

import copy
from numbers import Integral, Real
from os import PathLike

from sklearn.utils import check_random_state
from sklearn.utils.validation import check_is_fitted

from skdeep.base import BaseDeepEstimator, all_or_nothing, use_one_thread_after_fork
from skdeep.exceptions import InvalidParameterError
from skdeep.transfer._sentences import (
    check_sentences,
    check_tags,
    encode_tags,
    entity_types,
    forbidden_moves,
    from_bio,
    same_scheme,
    split_rows,
)
from skdeep.transfer._tagger_modules import TaggerNetwork, describe_network
from skdeep.transfer._tagger_training import (
    Steps,
    hold_out,
    tagging_score,
    train_network,
)
from skdeep.transfer._tagging import decode, encode, learn_vocabulary, tag_probabilities
from skdeep.transfer._token_features import Vocabulary
from skdeep.transfer._word_vectors import WordVectors
from skdeep.utils._params import HasMethods, Interval, StrOptions
from skdeep.utils._torch import build, make_generator, resolve_device

_COUNT = Interval(Integral, 1, None, closed="left")
_SHARE = Interval(Real, 0, 1, closed="left")
_RATE = Interval(Real, 0, None, closed="neither")


class SequenceTagger(BaseDeepEstimator):
    """Give each token of a sentence a tag, such as the entity that it belongs to.

    Two paths add their scores. The wide one is linear in hashed features: the token, its
    affixes and its shape, the same of its neighbours up to two places away, and pairs
    of words. The deep one is a BiLSTM over vectors of words, affixes and characters,
    all learned from the training data alone. A linear-chain conditional random field on
    top scores whole sequences of tags.

    Parameters
    ----------
    output : {"crf", "softmax"}, default="crf"
        What stands on top: a conditional random field, or a softmax for each token
        alone.

    wide, deep : bool, default=True
        Whether there is a wide and a deep path. Without the deep one the tagger is a
        linear conditional random field, and several times as fast.

    word_vectors : mapping, object or path, default=None
        Vectors of words trained elsewhere: a dict, keyed vectors of gensim, or a text
        file with a word, which may hold spaces, and its numbers in each line. They stay
        as they are.

    constrained_decoding : bool, default=True
        Whether only legal sequences are predicted: an "I-" tag goes on with an entity
        of its own type.

    word_size : int, default=64
        Size of the vector of a word.

    affix_size : int, default=32
        Size of the vector of its affixes and shape.

    character_size : int, default=24
        Size of the vector of a character; that of a spelling is twice as long.

    hidden_size : int, default=64
        State of the BiLSTM in each direction, and of the layer above it.

    dropout : float, default=0.5
        Share of the inputs and of the states of the BiLSTM that is dropped in training.

    word_dropout : float, default=0.5
        How often a word that occurs once is treated as unknown in training.

    feature_dropout : float, default=0.2
        Share of the features of the wide path that is overlooked in training.

    wide_lr : float, default=0.5
        Learning rate of the wide path, which is trained by plain gradient descent.

    crf_lr : float, default=0.03
        Learning rate of the transitions between tags.

    max_epochs : int, default=15
        Passes over the sentences.

    batch_size : int, default=32
        Sentences a step.

    lr : float, default=0.002
        Learning rate of all other weights.

    lr_schedule : {"linear", "cosine"} or None, default="linear"
        How the learning rates fall.

    optimizer : {"adam", "adamw", "sgd"} or class, default="adamw"
        Optimizer of all weights but those of the wide path.

    optimizer_params : dict or None, default=None
        Its further arguments.

    weight_decay : float, default=1e-4
        Decay of the same weights.

    max_grad_norm : float or None, default=5.0
        Bound of the norm of their gradient.

    early_stopping : bool, default=False
        Whether to hold out sentences, stop when their score no longer grows, and keep
        the best weights.

    validation_fraction : float, default=0.1
        Share of the sentences to hold out.

    n_iter_no_change : int, default=5
        Epochs without progress after which `early_stopping` stops.

    warm_start : bool, default=False
        Whether `fit` goes on from the weights of the last one; the tags must be known.

    callbacks : list of skorch callbacks or None, default=None
        Called during training.

    net_params : dict or None, default=None
        Arguments of ``skorch.NeuralNet``; also ``precision=`` and ``compile=``.

    device : str, default="auto"
        Where to compute; "auto" takes an accelerator if there is one.

    random_state : int, RandomState or None, default=None
        Seed of weights, order and dropout.

    verbose : int, default=0
        1 writes a line an epoch.

    Attributes
    ----------
    classes_ : ndarray of shape (n_tags,), dtype str
        The tags, sorted; in the scheme BIO, if `scheme_` is a variant of it.

    entity_types_ : list of str
        Types of entities, sorted; with "plain" tags, the tags other than "O".

    scheme_ : {"BIO", "BIOES", "BILOU", "IO", "plain"}
        How the tags of the training data mark the bounds of entities.

    module_ : torch.nn.Module
        The network, in evaluation mode.

    n_parameters_ : int
        Number of its weights.

    history_ : list of dict
        Losses of each epoch; `loss_curve_` and `validation_scores_` show parts of it.

    net_ : skorch.NeuralNet
        Net that has trained the network; not kept when pickled.

    n_iter_, best_epoch_ : int
        Epochs trained, and the one whose weights were kept.

    device_ : str
        Where the network lives.

    See Also
    --------
    AdapterExtender : Teaches a fitted tagger new types of entities.

    Notes
    -----
    Training costs O(n_tokens) an epoch; decoding O(n_tokens * n_tags**2). Tags that
    begin with "I-" without an entity to go on with are read as "B-".

    References
    ----------
    .. [1] Lample et al., "Neural Architectures for Named Entity Recognition", NAACL 2016.
    .. [2] Cheng et al., "Wide & Deep Learning for Recommender Systems", DLRS 2016.

    Examples
    --------
    >>> from skdeep.transfer import SequenceTagger
    >>> X = [["play", "Kind", "of", "Blue"], ["rate", "Dune"], ["play", "Kind", "of"]] * 8
    >>> y = [["O", "B-album", "I-album", "I-album"], ["O", "B-book"],
    ...      ["O", "B-album", "I-album"]] * 8
    >>> tagger = SequenceTagger(hidden_size=16, random_state=0).fit(X, y)
    >>> tagger.predict([["rate", "Kind", "of", "Blue"]])
    [['O', 'B-album', 'I-album', 'I-album']]
    """

    _parameter_constraints = {
        **{
            name: rule
            for name, rule in BaseDeepEstimator._parameter_constraints.items()
            if name not in ("module", "module_params")
        },
        "output": [StrOptions({"crf", "softmax"})],
        "wide": ["boolean"],
        "deep": ["boolean"],
        "word_vectors": [HasMethods("__getitem__", "__contains__"), PathLike, None],
        "constrained_decoding": ["boolean"],
        "word_size": [_COUNT],
        "affix_size": [_COUNT],
        "character_size": [_COUNT],
        "hidden_size": [_COUNT],
        "dropout": [_SHARE],
        "word_dropout": [_SHARE],
        "feature_dropout": [_SHARE],
        "wide_lr": [_RATE],
        "crf_lr": [_RATE],
        "batch_size": [_COUNT],
    }
    _make_module = staticmethod(TaggerNetwork)

    def __init__(
        self,
        *,
        output="crf",
        wide=True,
        deep=True,
        word_vectors=None,
        constrained_decoding=True,
        word_size=64,
        affix_size=32,
        character_size=24,
        hidden_size=64,
        dropout=0.5,
        word_dropout=0.5,
        feature_dropout=0.2,
        wide_lr=0.5,
        crf_lr=0.03,
        max_epochs=15,
        batch_size=32,
        lr=2e-3,
        lr_schedule="linear",
        optimizer="adamw",
        optimizer_params=None,
        weight_decay=1e-4,
        max_grad_norm=5.0,
        early_stopping=False,
        validation_fraction=0.1,
        n_iter_no_change=5,
        warm_start=False,
        callbacks=None,
        net_params=None,
        device="auto",
        random_state=None,
        verbose=0,
    ):
        self.output = output
        self.wide = wide
        self.deep = deep
        self.word_vectors = word_vectors
        self.constrained_decoding = constrained_decoding
        self.word_size = word_size
        self.affix_size = affix_size
        self.character_size = character_size
        self.hidden_size = hidden_size
        self.dropout = dropout
        self.word_dropout = word_dropout
        self.feature_dropout = feature_dropout
        self.wide_lr = wide_lr
        self.crf_lr = crf_lr
        self.max_epochs = max_epochs
        self.batch_size = batch_size
        self.lr = lr
        self.lr_schedule = lr_schedule
        self.optimizer = optimizer
        self.optimizer_params = optimizer_params
        self.weight_decay = weight_decay
        self.max_grad_norm = max_grad_norm
        self.early_stopping = early_stopping
        self.validation_fraction = validation_fraction
        self.n_iter_no_change = n_iter_no_change
        self.warm_start = warm_start
        self.callbacks = callbacks
        self.net_params = net_params
        self.device = device
        self.random_state = random_state
        self.verbose = verbose

    @all_or_nothing
    def fit(self, X, y):
        """Learn to tag sentences.

        Parameters
        ----------
        X : iterable of n_sentences sequences of str
            Tokens of each sentence. Sentences may be empty.

        y : iterable of n_sentences sequences of str
            Tags of each sentence, in the scheme BIO, BIOES, BILOU or IO, or plain tags
            such as parts of speech.

        Returns
        -------
        self : SequenceTagger
            The fitted tagger.
        """
        if not (self.wide or self.deep):
            raise InvalidParameterError(
                "wide=False and deep=False leave nothing to learn; set one to True."
            )
        tokens = check_sentences(X)
        tags = check_tags(tokens, y)
        rng = check_random_state(self.random_state)
        go_on = self.warm_start and hasattr(self, "module_")
        classes, codes, scheme = encode_tags(tags, self.classes_ if go_on else None)
        if go_on:  # some tags alone may look like those of another scheme
            same_scheme(tags, self.scheme_)
            scheme = self.scheme_
        held = hold_out(
            tokens.lengths, self.early_stopping, self.validation_fraction, rng
        )
        if go_on:
            module, vocabulary = copy.deepcopy(self.module_), self._lookup
        else:
            self._vectors, self._wide = None, self.wide
            if self.word_vectors is not None:
                self._vectors = WordVectors(self.word_vectors)
            train = tokens if held is None else tokens.take(~held)
            vocabulary = learn_vocabulary(train, self.wide)
            self._module_args = describe_network(
                self,
                len(classes),
                vocabulary,
                self._vectors.n_dimensions if self._vectors else 0,
            )
            module = build(
                lambda: TaggerNetwork(**self._module_args),
                generator=make_generator(rng),
            )
        self.classes_, self.scheme_ = classes, scheme
        self.entity_types_ = entity_types(classes, scheme)
        self.device_ = resolve_device(self.device)
        self._keep_vocabulary(vocabulary)
        train_network(
            self,
            module,
            self._encode(tokens)._replace(targets=codes),
            Steps(*(getattr(self, name) for name in Steps._fields[:-1])),
            rng,
            held=held,
            go_on=go_on,
            data=(tokens.sentences(), tags),
        )
        self.n_parameters_ = sum(w.numel() for w in self.module_.state_dict().values())
        return self

    def predict(self, X):
        """Tag sentences.

        Parameters
        ----------
        X : iterable of n_sentences sequences of str
            Tokens of each sentence.

        Returns
        -------
        y : list of n_sentences lists of str
            Tags of each sentence, in the scheme of the training data.
        """
        sentences = self._sentences(X)
        forbidden = None
        if self.constrained_decoding:
            forbidden = forbidden_moves(self.classes_, self.scheme_)
        codes = decode(self.module_, sentences, self.device_, forbidden)
        tags = split_rows(self.classes_[codes].tolist(), sentences.tokens.lengths)
        return [from_bio(part, self.scheme_) for part in tags]

    def predict_marginals(self, X):
        """Probability of each tag of each token.

        Parameters
        ----------
        X : iterable of n_sentences sequences of str
            Tokens of each sentence.

        Returns
        -------
        proba : list of n_sentences ndarrays of shape (n_tokens, n_tags), dtype float32
            The columns follow `classes_`. With `output="crf"` the sums over all
            sequences of tags, legal or not.
        """
        sentences = self._sentences(X)
        proba = tag_probabilities(self.module_, sentences, self.device_)
        return split_rows(proba, sentences.tokens.lengths)

    def score(self, X, y):
        """F1 of the entities found; with plain tags, the share of right tags.

        Parameters
        ----------
        X : iterable of n_sentences sequences of str
            Tokens of each sentence.

        y : iterable of n_sentences sequences of str
            Their tags.

        Returns
        -------
        score : float
            Between 0 and 1.
        """
        check_is_fitted(self)
        tokens = check_sentences(X)
        tags = check_tags(tokens, y)
        return tagging_score(tags, self.predict(tokens.sentences()), self.scheme_)

    def _sentences(self, X):
        """Check and encode sentences for the fitted network."""
        check_is_fitted(self)
        use_one_thread_after_fork()
        return self._encode(check_sentences(X))

    def _encode(self, tokens):
        return encode(
            tokens,
            self._lookup,
            wide=self._wide,
            vectors=self._vectors,
        )

    def _keep_vocabulary(self, vocabulary):
        self._lookup, self._vocabulary = vocabulary, vocabulary.to_arrays()

    def __getstate__(self):
        state = super().__getstate__()
        state.pop("_lookup", None)
        return state

    def __setstate__(self, state):
        super().__setstate__(state)
        if hasattr(self, "_vocabulary"):
            self._lookup = Vocabulary.from_arrays(self._vocabulary)

    def __sklearn_tags__(self):
        tags = super().__sklearn_tags__()
        tags.input_tags.two_d_array = False
        tags.input_tags.string = True
        tags.target_tags.required = True
        return tags
