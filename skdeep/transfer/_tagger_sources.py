"""What a trained tagger says about sentences, whatever kind it is."""

from typing import NamedTuple

import numpy as np

from skdeep.transfer._sentences import detect_scheme, entity_types, to_bio
from skdeep.transfer._source_kinds import unwrap


class SourceView(NamedTuple):
    """Answers of a source, token after token.

    Attributes
    ----------
    tags : list of list of str
        Most probable tags, in the scheme BIO.

    proba : ndarray of shape (n_tokens, n_old), dtype float32, or None
        Probabilities of the source's tags; 0 and 1 if it tells none. None if they were
        not asked for.
    """

    tags: list
    proba: np.ndarray


def source_classes(source, X, named=None):
    """Tags of a source in the scheme BIO, and its scheme.

    Parameters
    ----------
    source : object
        A fitted tagger.

    X : list of list of str
        Sentences; a source without ``classes_`` knows what it predicts for them.

    named : list of str or None, default=None
        Its tags, if the user has named them.

    Returns
    -------
    classes : ndarray of shape (n_old,), dtype str
        Sorted.

    scheme : str
        How its tags mark the bounds of entities.
    """
    source = unwrap(source)
    known = getattr(source, "classes_", None)
    known = named if known is None else known
    known = _flat(source.predict(X)) if known is None else known
    tags = [str(tag) for tag in known]
    scheme = getattr(source, "scheme_", None) or detect_scheme(tags)
    if scheme not in ("plain", "IO"):
        types = entity_types(tags, scheme)
        tags = ["O", *(mark + name for name in types for mark in ("B-", "I-"))]
    return np.array(sorted(set(tags))), scheme


def _flat(sentences):
    return [tag for sentence in sentences for tag in sentence]


def view(source, X, classes, scheme, *, with_proba):
    """Ask a source.

    Parameters
    ----------
    source : object
        A fitted tagger with `predict`; `predict_marginals`, which gives an array or a
        list of dicts a sentence, is used if it is there.

    X : list of n_sentences lists of str
        Sentences.

    classes : ndarray of shape (n_old,)
        Tags of the source in the scheme BIO.

    scheme : str
        Scheme of the source.

    with_proba : bool
        Whether to ask for probabilities as well, which doubles the time.

    Returns
    -------
    view : SourceView
    """
    predicted = source.predict(X)
    if len(predicted) != len(X):
        raise ValueError(
            f"`estimator` predicted {len(predicted)} lists of tags for {len(X)} "
            "sentences."
        )
    for index, (sentence, found) in enumerate(zip(X, predicted)):
        if len(sentence) != len(found):
            raise ValueError(
                f"`estimator` predicted {len(found)} tags for the {len(sentence)} tokens "
                f"of sentence {index}."
            )
    tags = [to_bio([str(tag) for tag in sentence], scheme) for sentence in predicted]
    place = {tag: number for number, tag in enumerate(classes.tolist())}
    unknown = sorted(set(_flat(tags)) - set(place))
    if unknown:
        raise ValueError(
            f"`estimator` predicted the tags {unknown}, which are not among its classes;"
            " name all of them with `classes=` of fit if it has no `classes_`."
        )
    if not with_proba:
        return SourceView(tags, None)
    codes = np.array([place[tag] for tag in _flat(tags)], np.int64)
    proba = _marginals(source, X, place, scheme)
    if proba is None or len(proba) != len(codes):
        proba = np.eye(len(classes), dtype=np.float32)[codes]
    if not np.isfinite(proba).all():
        n_bad = int((~np.isfinite(proba).all(axis=1)).sum())
        raise ValueError(
            f"`estimator` produced non-finite scores for {n_bad} of {len(proba)} tokens."
        )
    return SourceView(tags, proba)


def _marginals(source, X, place, scheme):
    """Probabilities of a source that tells some for the tags that it predicts."""
    own = hasattr(unwrap(source), "scheme_")  # ours tell probabilities of BIO tags
    if not hasattr(source, "predict_marginals"):
        return None
    if not own and scheme in ("BIOES", "BILOU"):
        return None
    rows = [row for sentence in source.predict_marginals(X) for row in sentence]
    proba = np.zeros((len(rows), len(place)), np.float32)
    if not rows:
        return proba
    if not isinstance(rows[0], dict):
        names = getattr(source, "classes_", None)
        if names is None:
            return None
        answer = np.asarray(rows, dtype=np.float32)
        if answer.shape != (len(rows), len(names)):
            raise ValueError(
                f"`predict_marginals` of `estimator` gives {answer.shape[1:]} numbers a "
                f"token for its {len(names)} tags."
            )
        proba[:, [place[str(tag)] for tag in names]] = answer
        return proba
    for number, row in enumerate(rows):
        for tag, value in row.items():
            if tag in place:
                proba[number, place[tag]] = value
    return proba
