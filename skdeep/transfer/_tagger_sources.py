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
    known = _flat(_predicted(source, X)) if known is None else known
    tags = [str(tag) for tag in known]
    scheme = getattr(source, "scheme_", None) or detect_scheme(
        tags, "the classes of `estimator`"
    )
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
    predicted = _predicted(source, X)
    tags = [to_bio([str(tag) for tag in sentence], scheme) for sentence in predicted]
    place = {tag: number for number, tag in enumerate(classes.tolist())}
    pairs = zip(_flat(predicted), _flat(tags))
    unknown = sorted({str(given) for given, tag in pairs if tag not in place})
    if unknown:
        raise ValueError(
            f"`estimator` predicted the tags {unknown}, which are not among its classes;"
            " name all of them with `classes=` of fit if it has no `classes_`."
        )
    if not with_proba:
        return SourceView(tags, None)
    codes = np.array([place[tag] for tag in _flat(tags)], np.int64)
    proba = _marginals(source, X, place, scheme)
    if proba is None:
        proba = np.eye(len(classes), dtype=np.float32)[codes]
    if not np.isfinite(proba).all():
        n_bad = int((~np.isfinite(proba).all(axis=1)).sum())
        raise ValueError(
            f"`estimator` produced non-finite scores for {n_bad} of {len(proba)} tokens."
        )
    return SourceView(tags, proba)


def _predicted(source, X):
    """Tags of a source for each sentence, one for each token."""
    predicted = source.predict(X)
    if not _is_list(predicted):
        raise ValueError(
            "`predict` of `estimator` must give a list of tags for each sentence; got "
            f"{type(predicted).__name__} for sentences 0 to {len(X) - 1}."
        )
    if len(predicted) != len(X):
        raise ValueError(
            f"`estimator` predicted {len(predicted)} lists of tags for {len(X)} "
            "sentences."
        )
    for index, (sentence, found) in enumerate(zip(X, predicted)):
        if not _is_list(found):
            raise ValueError(
                "`predict` of `estimator` must give a list of tags for each sentence; "
                f"got {found!r:.60} for sentence {index}."
            )
        if len(sentence) != len(found):
            raise ValueError(
                f"`estimator` predicted {len(found)} tags for the {len(sentence)} tokens "
                f"of sentence {index}."
            )
    return predicted


def _is_list(answer):
    """Whether an answer has a length and places; neither text nor a dict has any."""
    is_sized = hasattr(answer, "__len__") and hasattr(answer, "__getitem__")
    return is_sized and not isinstance(answer, (str, bytes, dict))


def _marginals(source, X, place, scheme):
    """Probabilities of a source that tells some for the tags that it predicts."""
    own = hasattr(unwrap(source), "scheme_")  # ours tell probabilities of BIO tags
    if not hasattr(source, "predict_marginals"):
        return None
    if not own and scheme in ("BIOES", "BILOU"):
        return None
    answers = _checked_marginals(source.predict_marginals(X), X)
    rows = _flat(answers)
    if rows and not isinstance(rows[0], dict):
        names = getattr(source, "classes_", None)
        if names is None:
            return None
        columns = [place[str(tag)] for tag in names]
    proba = np.zeros((len(rows), len(place)), np.float32)
    first = 0
    for index, (sentence, answer) in enumerate(zip(X, answers)):
        if not sentence:
            continue
        part = proba[first : first + len(sentence)]
        first += len(sentence)
        try:
            if isinstance(rows[0], dict):
                _fill_from_dicts(part, answer, place)
            else:
                part[:, columns] = _as_matrix(answer, len(columns))
        except (TypeError, ValueError, AttributeError) as error:
            raise ValueError(
                "`predict_marginals` of `estimator` is wrong about sentence "
                f"{index}: {error}"
            ) from error
    return proba


def _checked_marginals(answers, X):
    """Marginals of each sentence, of which there is one row for each token."""
    if not hasattr(answers, "__iter__"):
        raise ValueError(
            "`predict_marginals` of `estimator` must give an array or a list of dicts "
            f"for each sentence; got {type(answers).__name__} for sentences 0 to "
            f"{len(X) - 1}."
        )
    answers = list(answers)
    if len(answers) != len(X):
        raise ValueError(
            f"`predict_marginals` of `estimator` tells of {len(answers)} sentences, "
            f"its `predict` of {len(X)}; the first one that differs is sentence "
            f"{min(len(answers), len(X))}."
        )
    for index, (sentence, answer) in enumerate(zip(X, answers)):
        n_rows = len(answer) if _is_list(answer) else None
        if n_rows != len(sentence):
            got = f"{answer!r:.60}" if n_rows is None else f"{n_rows} rows"
            raise ValueError(
                "`predict_marginals` of `estimator` must give one row for each of the "
                f"{len(sentence)} tokens of sentence {index}; got {got}."
            )
    return answers


def _as_matrix(answer, n_tags):
    """Numbers of a sentence, an array (n_tokens, n_tags)."""
    matrix = np.asarray(answer, dtype=np.float32)
    if matrix.ndim != 2 or matrix.shape[1] != n_tags:
        raise ValueError(
            f"it gives {matrix.shape[1:]} numbers a token for its {n_tags} tags."
        )
    return matrix


def _fill_from_dicts(proba, answer, place):
    """Write the probabilities of a sentence into its rows (n_tokens, n_tags)."""
    for row, values in zip(proba, answer):
        for tag, value in values.items():
            if tag in place:
                row[place[tag]] = value
