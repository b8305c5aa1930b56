"""Scores on old and new classes, counted from labels or from tags of sentences."""

from itertools import chain

import numpy as np
from sklearn.utils import assert_all_finite, check_consistent_length, column_or_1d

from skdeep.metrics._sequence import count_entities, rates
from skdeep.metrics._spans import (
    check_same_lengths,
    check_sentences,
    find_spans,
    parse_tag,
)

NAMES = ("y_true", "y_pred", "source_pred")
_EXACT = 2**53  # float64 tells larger integers no longer apart


def scores_of_classes(given, old_classes):
    """Scores of one class a sample.

    Parameters
    ----------
    given : tuple of (y_true, y_pred, source_pred)
        Labels; the first or the last may be None.

    old_classes : list of labels
        Classes of the source.

    Returns
    -------
    scores : dict
        As described in `extension_scores`.
    """
    classes, (true, pred, source), is_old = _encode(given, old_classes)
    kept = is_old[pred]
    retention = None if source is None else _share((source == pred)[kept])
    if true is None:
        return _scores(None, None, None, retention=retention)
    of_old = is_old[true]
    is_right = pred == true
    counts = np.array(
        [
            np.bincount(codes, minlength=len(classes))
            for codes in (true, pred, true[is_right])
        ]
    )
    source_recall = np.full(len(classes), None)
    if source is not None:
        hits = np.bincount(true[(source == true) & of_old], minlength=len(classes))
        known = is_old & (counts[0] > 0)
        source_recall[known] = (hits[known] / counts[0, known]).tolist()
    return _scores(
        _share(is_right[of_old]),
        _share(is_right[~of_old]),
        _share(is_right),
        source_old=None if source is None else _share((source == true)[of_old]),
        intrusion=_share(~kept[of_old]),
        leak=_share(kept[~of_old]),
        retention=retention,
        n_old=int(of_old.sum()),
        n_new=int((~of_old).sum()),
        per_class=_table(classes, counts, is_old, "source_recall", source_recall),
    )


def _encode(given, old_classes):
    """Sorted classes, codes of each array given, and which classes are old."""
    arrays = [
        values if values is None else column_or_1d(_as_labels(values))
        for values in given
    ]
    check_consistent_length(*arrays)
    names = [*(n for n, a in zip(NAMES, arrays) if a is not None), "old_classes"]
    parts = [*(a for a in arrays if a is not None), _as_labels(old_classes)]
    kinds = {name: _kind(part, name) for name, part in zip(names, parts) if len(part)}
    if len(set(kinds.values())) > 1:
        found = ", ".join(f"`{name}` {kind}" for name, kind in kinds.items())
        raise TypeError(
            f"Classes must be of one kind, all str or all numbers; {found}."
        )
    parts[-1] = parts[-1] if len(parts[-1]) else parts[0][:0]
    if np.result_type(*parts).kind == "f" and any(map(_is_large, parts)):
        parts = [part.astype(object) for part in parts]
    classes, codes = np.unique(np.concatenate(parts), return_inverse=True)
    split = iter(np.split(codes, np.cumsum([len(part) for part in parts])[:-1]))
    coded = [values if values is None else next(split) for values in arrays]
    is_old = np.zeros(len(classes), dtype=bool)
    is_old[next(split)] = True
    return classes.tolist(), coded, is_old


def _as_labels(values):
    """An array of labels, of objects where floats would merge integers of a list."""
    array = np.asarray(values)
    is_list = isinstance(values, list | tuple)
    if is_list and array.dtype.kind == "f" and np.isfinite(array).all():
        whole = [v for v in values if isinstance(v, int | np.integer)]
        if any(abs(int(v)) > _EXACT for v in whole):
            return np.array(values, dtype=object)
    return array


def _is_large(values):
    """Whether an array holds integers that float64 does not hold exactly."""
    if values.dtype.kind not in "iu" or not len(values):
        return False
    return int(values.max()) > _EXACT or int(values.min()) < -_EXACT


def _kind(values, name):
    """What the labels are, in words that fit an error."""
    if values.dtype.kind in "fc":
        assert_all_finite(values, input_name=name)
    if values.dtype.kind in "biufc":
        return "holds numbers"
    if values.dtype.kind == "U" or all(isinstance(v, str) for v in values):
        return "holds str"
    if all(isinstance(v, int | float | np.number) for v in values):
        return "holds numbers"
    raise TypeError(f"`{name}` holds labels that are neither all str nor all numbers.")


def scores_of_tags(given, old_types):
    """Scores of the entities of tagged sentences.

    Parameters
    ----------
    given : tuple of (y_true, y_pred, source_pred)
        Lists of tag lists; the first or the last may be None.

    old_types : set of str
        Types of entities that the source knows.

    Returns
    -------
    scores : dict
        As described in `extension_scores`.
    """
    names = [name for name, y in zip(NAMES, given) if y is not None]
    taggings = [
        check_sentences(y, name)
        for name, y in zip(names, (y for y in given if y is not None))
    ]
    for name, sentences in zip(names[1:], taggings[1:]):
        check_same_lengths(taggings[0], sentences, names[0], name)
    found, types = find_spans(_with_prefixes(taggings), names, "conlleval")
    found = dict(zip(names, found))
    n_types, n_tokens = len(types), sum(map(len, taggings[0]))
    is_old = np.array([name in old_types for name in types], dtype=bool)
    pred, source = found["y_pred"], found.get("source_pred")
    new_tokens = _covered(pred, ~is_old, n_tokens)
    retention = None
    if source is not None:
        kept = source.chosen(~_touches(source, new_tokens))
        retention = _f1(count_entities(kept, pred, n_types)[:, is_old])
    if "y_true" not in found:
        return _scores(None, None, None, retention=retention)
    true = found["y_true"]
    of_old = is_old[true.type_code]
    counts = count_entities(true, pred, n_types)
    source_old, source_f1 = None, np.full(n_types, None)
    if source is not None:
        of_source = count_entities(true, source, n_types)
        source_old = _f1(of_source[:, is_old], needs_true=True)
        source_f1[is_old] = rates(of_source[:, is_old])[2].tolist()
    return _scores(
        _f1(counts[:, is_old], needs_true=True),
        _f1(counts[:, ~is_old], needs_true=True),
        _f1(counts, needs_true=True),
        source_old=source_old,
        intrusion=_share(_touches(true, new_tokens)[of_old]),
        leak=_share(_touches(true, _covered(pred, is_old, n_tokens))[~of_old]),
        retention=retention,
        n_old=int(of_old.sum()),
        n_new=int((~of_old).sum()),
        per_class=_table(types, counts, is_old, "source_f1-score", source_f1),
    )


def _with_prefixes(taggings):
    """The same; of tags that are names alone each token is made an entity."""
    try:
        tags = set(chain.from_iterable(chain.from_iterable(taggings))) - {"O"}
    except TypeError:
        return taggings  # what is no tag is named where the others are read
    if any(parse_tag(tag) or not isinstance(tag, str) or not tag for tag in tags):
        return taggings
    single = {"O": "O", **{tag: f"S-{tag}" for tag in tags}}
    return [[[single[tag] for tag in row] for row in rows] for rows in taggings]


def _covered(spans, of_types, n_tokens):
    """Tokens inside spans of some types, (n_tokens,)."""
    spans = spans.chosen(of_types[spans.type_code])
    change = np.zeros(n_tokens + 1, dtype=np.int64)
    change[spans.start] += 1
    change[spans.stop] -= 1  # spans of one tagging never share a stop
    return np.cumsum(change)[:-1] > 0


def _touches(spans, tokens):
    """Which spans hold at least one of the marked tokens, (n_spans,)."""
    before = np.append(0, np.cumsum(tokens))
    return before[spans.stop] > before[spans.start]


def _f1(counts, *, needs_true=False):
    """F1 over types, (3, n_types) -> float; None if there is nothing to count."""
    total = counts.sum(axis=1, keepdims=True)
    if total[0, 0] == 0 and (needs_true or total[1, 0] == 0):
        return None
    return float(rates(total)[2, 0])


def _share(marks):
    return float(marks.mean()) if len(marks) else None


def _table(classes, counts, is_old, source_name, of_source):
    """One dict of numbers for each class that is there or was predicted."""
    columns = (*rates(counts).tolist(), counts[0].tolist(), of_source)
    names = ("precision", "recall", "f1-score", "support", source_name)
    return {
        name: {**dict(zip(names, row)), "is_new": not is_old[i]}
        for i, (name, *row) in enumerate(zip(classes, *columns))
        if counts[:2, i].any()
    }


def _scores(old, new, in_all, *, source_old=None, per_class=None, **others):
    """The dict that is returned, with all its keys."""
    harmonic = forgetting = None
    if old is not None and new is not None:
        harmonic = 2 * old * new / (old + new) if old + new else 0.0
    if old is not None and source_old is not None:
        forgetting = source_old - old
    return {
        "old": old,
        "new": new,
        "all": in_all,
        "harmonic": harmonic,
        "source_old": source_old,
        "forgetting": forgetting,
        **dict.fromkeys(("intrusion", "leak", "retention", "n_old", "n_new")),
        **others,
        "per_class": per_class or {},
    }
