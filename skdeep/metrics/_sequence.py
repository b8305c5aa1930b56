"""Precision, recall and F1 of entities in tagged sentences.

An entity is found if its first token, its last token and its type are those of the truth.
"""

import warnings
from numbers import Real

import numpy as np
from sklearn.exceptions import UndefinedMetricWarning

from skdeep.metrics._pairs import check_choice
from skdeep.metrics._spans import (
    MODES,
    check_same_lengths,
    check_sentences,
    find_spans,
)

AVERAGES = ("micro", "macro")
COLUMNS = ("precision", "recall", "f1-score", "support")


def entity_f1_score(
    y_true,
    y_pred,
    *,
    types=None,
    average="micro",
    mode="conlleval",
    zero_division="warn",
):
    """F1 of the entities of tagged sentences: exact span and type.

    Parameters
    ----------
    y_true : list of list of str
        The right tags of each sentence: "O", or a prefix and a type such as "B-city".
        Schemes IO, BIO (IOB1, IOB2) and BIOES (BILOU) are understood, and need not be
        the same in `y_pred`.

    y_pred : list of list of str
        The tags to be judged, one a token.

    types : list of str, default=None
        Types of entities that count. None: all that occur.

    average : {"micro", "macro"}, default="micro"
        Whether each entity counts the same, or each type.

    mode : {"conlleval", "strict"}, default="conlleval"
        What is done with a tag that continues nothing, such as "I-city" behind "O". It
        begins an entity for "conlleval", as in the shared tasks of CoNLL. "strict"
        drops an entity that does not begin with B or, if there are tags with E or S, is
        not S alone or B to E.

    zero_division : {"warn"} or float, default="warn"
        Score where there is no entity, neither right nor found. "warn" is 0 with a
        warning; NaN leaves the type out of the macro average.

    Returns
    -------
    score : float
        In [0, 1]; larger is better.

    See Also
    --------
    entity_report : Precision, recall and F1 of each type.
    entity_spans : The entities themselves.

    Notes
    -----
    O(n_tokens) time and memory. Tags without a type, such as those of parts of speech,
    are no entities and are refused; flatten them for `sklearn.metrics.f1_score`.

    References
    ----------
    E. F. Tjong Kim Sang, F. De Meulder (2003). Introduction to the CoNLL-2003 Shared
    Task: Language-Independent Named Entity Recognition. CoNLL, 142-147.

    Examples
    --------
    >>> from skdeep.metrics import entity_f1_score
    >>> y_true = [["B-person", "I-person", "O", "B-city"], ["O", "B-city"]]
    >>> y_pred = [["B-person", "O", "O", "B-city"], ["O", "B-city"]]
    >>> round(entity_f1_score(y_true, y_pred), 3)
    0.667
    >>> entity_f1_score(y_true, y_pred, average="macro")
    0.5
    """
    check_choice("average", average, AVERAGES)
    _check_zero_division(zero_division)
    counts, _ = _count(y_true, y_pred, types, mode)
    if average == "micro":
        counts = counts.sum(axis=1, keepdims=True)
    f1 = rates(counts, zero_division, warn_about=("f1-score",))[2]
    return _mean(f1, zero_division)


def entity_report(
    y_true,
    y_pred,
    *,
    types=None,
    mode="conlleval",
    zero_division="warn",
    output_dict=False,
):
    """Precision, recall and F1 of each type of entity, to read or to compute with.

    Parameters
    ----------
    y_true : list of list of str
        The right tags of each sentence, as in `entity_f1_score`.

    y_pred : list of list of str
        The tags to be judged, one a token.

    types : list of str, default=None
        Types of entities that count, in the order of the report. None: all that occur,
        sorted.

    mode : {"conlleval", "strict"}, default="conlleval"
        What is done with a tag that continues nothing, as in `entity_f1_score`.

    zero_division : {"warn"} or float, default="warn"
        Value of a ratio whose denominator is 0. "warn" is 0 with a warning; NaN leaves
        the type out of the averages.

    output_dict : bool, default=False
        Whether to return a dict rather than text.

    Returns
    -------
    report : str or dict
        The dict maps each type to a dict with "precision", "recall", "f1-score" and
        "support", the number of right entities; then "micro avg", "macro avg" and
        "weighted avg", which is weighted by support, to the same.

    See Also
    --------
    entity_f1_score : A single number.
    sklearn.metrics.classification_report : The same for classes.

    Notes
    -----
    O(n_tokens) time and memory.

    Examples
    --------
    >>> from skdeep.metrics import entity_report
    >>> y_true = [["B-person", "I-person", "O", "B-city"], ["O", "B-city"]]
    >>> y_pred = [["B-person", "O", "O", "B-city"], ["O", "B-city"]]
    >>> print(entity_report(y_true, y_pred))
                  precision    recall  f1-score   support
    <BLANKLINE>
            city      1.000     1.000     1.000         2
          person      0.000     0.000     0.000         1
    <BLANKLINE>
       micro avg      0.667     0.667     0.667         3
       macro avg      0.500     0.500     0.500         3
    weighted avg      0.667     0.667     0.667         3
    """
    _check_zero_division(zero_division)
    counts, names = _count(y_true, y_pred, types, mode)
    by_type = rates(counts, zero_division, warn_about=COLUMNS[:3])
    in_all = rates(counts.sum(axis=1, keepdims=True), zero_division, warn_about=())
    support, total = counts[0], int(counts[0].sum())
    report = {
        name: {**dict(zip(COLUMNS, map(float, row))), "support": int(n)}
        for name, row, n in zip(names, by_type.T, support)
    }
    averages = {
        "micro avg": in_all[:, 0],
        "macro avg": [_mean(row, zero_division) for row in by_type],
        "weighted avg": [_mean(row, zero_division, support) for row in by_type],
    }
    for name, row in averages.items():
        report[name] = {**dict(zip(COLUMNS, map(float, row))), "support": total}
    return report if output_dict else _as_text(report)


def count_entities(true, pred, n_types):
    """Count entities by type.

    Parameters
    ----------
    true, pred : Spans
        Right and found entities of the same sentences.

    n_types : int
        Number of types.

    Returns
    -------
    counts : ndarray of shape (3, n_types), dtype int64
        Right, found, and both.
    """
    n_tokens = max(true.stop.max(initial=0), pred.stop.max(initial=0))
    stop_at = np.zeros(n_tokens, dtype=np.int64)
    stop_at[true.start] = true.stop
    type_at = np.full(n_tokens, -1)
    type_at[true.start] = true.type_code
    is_both = (stop_at[pred.start] == pred.stop) & (
        type_at[pred.start] == pred.type_code
    )
    codes = (true.type_code, pred.type_code, pred.type_code[is_both])
    return np.array([np.bincount(code, minlength=n_types) for code in codes])


def rates(counts, zero_division=0.0, *, warn_about=()):
    """Precision, recall and F1: (3, n_types) -> (3, n_types)."""
    n_true, n_found, n_both = counts
    pairs = {
        "precision": (n_both, n_found),
        "recall": (n_both, n_true),
        "f1-score": (2 * n_both, n_true + n_found),
    }
    value = 0.0 if zero_division == "warn" else float(zero_division)
    for name, (_, below) in pairs.items():
        n_empty = int(np.sum(below == 0)) if name in warn_about else 0
        if n_empty and zero_division == "warn":
            warnings.warn(
                f"The {name} of {n_empty} of the {len(below)} rows of the score is not "
                "defined, since there is no entity to count, and is set to 0. Use "
                "`zero_division` to choose another value and to be spared this warning.",
                UndefinedMetricWarning,
                stacklevel=3,
            )
    return np.array(
        [
            np.divide(above, below, out=np.full(len(below), value), where=below != 0)
            for above, below in pairs.values()
        ]
    )


def _count(y_true, y_pred, types, mode):
    """Counts by type, (3, n_types), and the names of the types."""
    check_choice("mode", mode, MODES)
    y_true, y_pred = (
        check_sentences(y_true, "y_true"),
        check_sentences(y_pred, "y_pred"),
    )
    check_same_lengths(y_true, y_pred, "y_true", "y_pred")
    (true, pred), found = find_spans([y_true, y_pred], ["y_true", "y_pred"], mode)
    if mode == "strict" and not true.can_begin:
        raise ValueError(
            "`y_true` has no tag that begins an entity, such as 'B-city', so it has no "
            "entity for mode='strict'. Use mode='conlleval' for tags of scheme IO."
        )
    counts = count_entities(true, pred, len(found))
    if types is None:
        return counts, found
    if isinstance(types, str):
        raise ValueError(f"`types` must be a list of types; got the str {types!r}.")
    types = list(types)
    column = {name: i for i, name in enumerate(found)}
    chosen = np.zeros((3, len(types)), dtype=np.int64)
    for i, name in enumerate(types):
        if name in column:
            chosen[:, i] = counts[:, column[name]]
    return chosen, types


def _mean(values, zero_division, weights=None):
    """Mean of what is defined; `zero_division` if nothing is."""
    defined = ~np.isnan(values)
    if weights is not None:
        defined &= weights > 0
        weights = weights[defined]
    if not defined.any():
        return 0.0 if zero_division == "warn" else float(zero_division)
    return float(np.average(values[defined], weights=weights))


def _check_zero_division(zero_division):
    is_number = isinstance(zero_division, Real) and not isinstance(zero_division, bool)
    if zero_division != "warn" and not is_number:
        raise ValueError(
            f"`zero_division` must be 'warn' or a number; got {zero_division!r}."
        )


def _as_text(report):
    width = max(len(name) for name in report) + 1
    lines = [" " * width + "".join(f"{column:>10}" for column in COLUMNS), ""]
    for name, row in report.items():
        if name == "micro avg":
            lines.append("")
        values = "".join(f"{row[column]:>10.3f}" for column in COLUMNS[:3])
        lines.append(f"{name:>{width}}{values}{row['support']:>10}")
    return "\n".join(lines)
