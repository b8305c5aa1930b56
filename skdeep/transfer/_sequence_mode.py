"""Sequence mode of the extender: a trained tagger learns new types of entities."""

import warnings
from typing import NamedTuple

import numpy as np
from sklearn.utils import check_random_state

from skdeep.base import use_one_thread_after_fork
from skdeep.transfer._new_data import check_expected
from skdeep.transfer._pseudo_tags import allowed_tags, fill_in
from skdeep.transfer._sentences import (
    Tokens,
    check_sentences,
    check_tags,
    encode_tags,
    entity_types,
    forbidden_moves,
    from_bio,
    same_scheme,
    split_rows,
)
from skdeep.transfer._settings import setting
from skdeep.transfer._source_kinds import tells_classes
from skdeep.transfer._tagger import SequenceTagger
from skdeep.transfer._tagger_modules import TaggerNetwork
from skdeep.transfer._tagger_sources import SourceView, source_classes, view
from skdeep.transfer._tagger_training import Steps, hold_out, train_network
from skdeep.transfer._tagging import (
    decode,
    encode,
    tag_probabilities,
)
from skdeep.transfer._target import make_target
from skdeep.transfer._token_features import signal_buckets

make_sequence = TaggerNetwork
_STACK = 8  # frames between a warning and the caller of `fit`
RATES = (0.5, 0.03, 0.5)  # of the wide path, of the transitions; word dropout


def fit_sequence(est, source, X, y, *, X_unlabeled=None):
    """Fit an extender to tagged sentences.

    Parameters
    ----------
    est : AdapterExtender
        Gets the fitted attributes.

    source : object
        A fitted tagger.

    X, y : list of n_sentences lists of str
        Tokens and tags.

    X_unlabeled : list of lists of str or None, default=None
        Further sentences, which the source alone tags; they remind of the old classes.
    """
    if est.method not in ("auto", "adapter", "finetune"):
        raise ValueError(
            f"method={est.method!r} is for classifiers; a tagger is extended with "
            "method='adapter' or 'finetune'."
        )
    rng = check_random_state(est.random_state)
    tokens = check_sentences(X)
    tags = check_tags(tokens, y)
    found = sorted({tag for sentence in tags for tag in sentence} - {"O"})
    if tells_classes(source):
        check_expected(np.array(found), est._named)
    X = tokens.sentences()
    known, scheme = source_classes(source, X, est._named)
    tags = same_scheme(tags, scheme)
    _set_classes(est, known, tags, scheme)
    est.method_ = "finetune" if est.method == "finetune" else "adapter"
    n_labelled = len(X)
    if X_unlabeled is not None:
        X += check_sentences(X_unlabeled, "X_unlabeled").sentences()
        tokens = check_sentences(X)
        tags += [["O"] * len(sentence) for sentence in X[n_labelled:]]
    with_proba = (
        est.annotation_ == "new_only"
        or X_unlabeled is not None
        or setting(est, "distill") > 0
        or setting(est, "source_signal") in ("proba", "logits")
    )
    said = view(source, X, known, scheme, with_proba=with_proba)
    task = _make_task(est, tokens, tags, said, n_labelled)
    _train(est, source, task, rng, (X[:n_labelled], y))
    est.gamma_ = None
    est.retention_ = _retention(est, X, said, task.codes)
    est.n_parameters_ = sum(w.numel() for w in est.module_.state_dict().values())


class Task(NamedTuple):
    """What an extender of taggers learns from.

    Attributes
    ----------
    tokens : Tokens
        Labelled sentences, then those without labels.

    said : SourceView
        What the source says of them.

    gold : list of list of str
        The right tags as far as the source knows them, else "O".

    codes : ndarray of shape (n_tokens,)
        Tags to be learned.

    allowed : ndarray of shape (n_tokens, n_tags) or None
        Tags that are as good as those, if there are any.
    """

    tokens: Tokens
    said: SourceView
    gold: list
    codes: np.ndarray
    allowed: np.ndarray


def _make_task(est, tokens, tags, said, n_labelled):
    """Settle what is to be learned; see `Task`."""
    known = set(est.base_classes_.tolist())
    gold = [[tag if tag in known else "O" for tag in sentence] for sentence in tags]
    first_free = int(tokens.lengths[:n_labelled].sum())
    unsure = np.zeros(len(tokens.ids), bool)
    new_only, pool = est.annotation_ == "new_only", n_labelled < len(tokens.lengths)
    if new_only or pool:
        filled, unsure = fill_in(tags, said, est.base_classes_, est.scheme_)
        if not new_only:
            filled[:n_labelled] = tags[:n_labelled]
            unsure[:first_free] = False
        tags = filled
    gold[n_labelled:] = said.tags[n_labelled:]  # of the pile only the source knows
    codes = _codes(tags, est.classes_)
    allowed = None
    if unsure.any() or pool:
        outside = est.classes_ == "O"
        allowed = allowed_tags(codes, unsure, outside)
        free = np.arange(len(codes)) >= first_free
        # the source cannot tell "O" from a new class
        allowed[np.ix_(free & outside[codes], ~est.old_class_mask_)] = True
    return Task(tokens, said, gold, codes, allowed)


def _set_classes(est, known, tags, scheme):
    """Attributes that follow from the tags alone."""
    found, _, _ = encode_tags(tags)
    if scheme in ("plain", "IO"):
        found = np.unique([tag for sentence in tags for tag in sentence])
    est.classes_ = np.union1d(known, found)
    est.base_classes_ = known
    est.old_class_mask_ = np.isin(est.classes_, known)
    est.new_classes_ = est.classes_[~est.old_class_mask_]
    est.scheme_ = scheme
    est.old_types_ = entity_types(known, scheme)
    est.new_types_ = [
        name
        for name in entity_types(est.classes_, scheme)
        if name not in est.old_types_
    ]
    used = entity_types({tag for sentence in tags for tag in sentence}, scheme)
    if not est.new_types_:
        warnings.warn(
            "y holds no new type of entity; the tagger is adapted to the new data only.",
            UserWarning,
            stacklevel=_STACK,
        )
    est.annotation_ = est.new_annotation
    if est.new_annotation == "auto":
        has_old = bool(set(used) & set(est.old_types_))
        est.annotation_ = "full" if has_old or not est.new_types_ else "new_only"
        if est.annotation_ == "new_only":
            warnings.warn(
                "y has tags of new types only, so tokens tagged 'O' may be old entities:"
                " the source's own predictions fill them in. Set "
                "new_annotation='full' if the old types do not occur.",
                UserWarning,
                stacklevel=_STACK,
            )
    if est.annotation_ == "new_only" and est.source_signal == "gold":
        raise ValueError(
            "source_signal='gold' needs the true old tags, and y has tags of new types "
            "only; choose 'hard', 'proba' or 'logits'."
        )
    if est.source_signal == "gold" and "O" not in known and len(est.new_classes_):
        raise ValueError(
            "source_signal='gold' says 'O' where a tag is new, but `estimator` does not "
            "know the tag 'O'; choose 'hard', 'proba' or 'logits'."
        )


def _codes(tags, classes):
    place = {tag: number for number, tag in enumerate(classes.tolist())}
    return np.array([place[tag] for sentence in tags for tag in sentence], np.int64)


def _signal(est, said, kind, gold=None):
    """What the adapter sees of the source for each token."""
    tags = said.tags if gold is None else gold
    place = {tag: number for number, tag in enumerate(est.base_classes_.tolist())}
    codes = np.array([place[tag] for sentence in tags for tag in sentence], np.int64)
    if kind in ("hard", "gold"):
        return np.eye(len(place), dtype=np.float32)[codes], codes
    proba = np.clip(said.proba, 1e-6, 1.0)
    return (np.log(proba) if kind == "logits" else proba), codes


def _train(est, source, task, rng, data):
    """Make the target's network, and train it."""
    est._signal = kind = setting(est, "source_signal")
    distill = setting(est, "distill")
    adapts = est.method_ == "adapter"
    signal, source_codes = _signal(
        est, task.said, kind, task.gold if kind == "gold" else None
    )
    lengths = task.tokens.lengths
    est._skips = adapts and est.skip_connection
    extra = None
    if est._skips:
        extra = signal_buckets(est.base_classes_, source_codes, lengths)
    module = make_target(
        est,
        source,
        SequenceTagger(),
        task.tokens,
        signal.shape[1] if adapts else 0,
        extra,
        rng,
    )
    sentences = _encode(est, task.tokens, signal if adapts else None, extra)
    sentences = sentences._replace(
        targets=task.codes if task.allowed is None else task.allowed,
        soft=_soft_tags(est, task) if distill else None,
    )
    steps = Steps(
        setting(est, "max_epochs"),
        setting(est, "batch_size"),
        setting(est, "lr"),
        *RATES,
        distill,
    )
    held = hold_out(lengths, est.early_stopping, est.validation_fraction, rng)
    train_network(
        est, module, sentences, steps, rng, held=held, codes=task.codes, data=data
    )


def _soft_tags(est, task):
    """The source's probabilities, flattened; certainty where a tag is new."""
    soft = np.zeros((len(task.codes), len(est.classes_)), np.float32)
    flat = np.clip(task.said.proba, 1e-6, 1) ** np.float32(1 / est.temperature)
    soft[:, est.old_class_mask_] = flat / flat.sum(axis=1, keepdims=True)
    new = ~est.old_class_mask_[task.codes]
    soft[new] = np.eye(len(est.classes_), dtype=np.float32)[task.codes[new]]
    return soft


def _encode(est, tokens, signal, extra):
    return encode(
        tokens,
        est._lookup,
        wide=est._wide,
        vectors=est._vectors,
        signal=signal,
        extra=extra,
    )


def _read(est, X):
    """Encode sentences for prediction, with what the source says of them."""
    tokens = check_sentences(X)
    signal = extra = None
    if est.method_ == "adapter":
        kind = "hard" if est._signal == "gold" else est._signal
        said = view(
            est.estimator_,
            tokens.sentences(),
            est.base_classes_,
            est.scheme_,
            with_proba=kind in ("proba", "logits"),
        )
        signal, codes = _signal(est, said, kind)
        if est._skips:
            extra = signal_buckets(est.base_classes_, codes, tokens.lengths)
    return _encode(est, tokens, signal, extra)


def predict_sequence(est, X):
    """Tags of each sentence, in the scheme of the source."""
    use_one_thread_after_fork()
    sentences = _read(est, X)
    forbidden = None
    if getattr(est.estimator_, "constrained_decoding", True):
        forbidden = forbidden_moves(est.classes_, est.scheme_)
    codes = decode(est.module_, sentences, est.device_, forbidden)
    tags = split_rows(est.classes_[codes].tolist(), sentences.tokens.lengths)
    return [from_bio(part, est.scheme_) for part in tags]


def sequence_marginals(est, X):
    """Probabilities of the tags of each token, one array a sentence."""
    use_one_thread_after_fork()
    sentences = _read(est, X)
    proba = tag_probabilities(est.module_, sentences, est.device_)
    return split_rows(proba, sentences.tokens.lengths)


def _retention(est, X, said, codes):
    """Share of the tokens with an old tag whose tag is the source's."""
    old = est.old_class_mask_[codes] & (est.classes_[codes] != "O")
    if not old.any():
        return None
    answers = np.array([tag for tags in predict_sequence(est, X) for tag in tags])
    source = np.array([tag for tags in said.tags for tag in tags])
    return float(np.mean(answers[old] == source[old]))
