"""Split tagged sentences into those of a source and those that bring new types."""

from numbers import Integral, Real

ANNOTATIONS = ("full", "new_only")


def extension_split(
    X, y, new_types, *, source_fraction=0.8, annotation="full", n_samples=None
):
    """Hold types of entities back as new ones, as if a tagger had never seen them.

    The first sentences are for the source, and the new types are not marked in them.
    The others are the target, from which a model is to learn the new types.

    Parameters
    ----------
    X : list of list of str
        The tokens of each sentence, in random order.

    y : list of list of str
        Their tags, such as "B-city" and "O".

    new_types : str or list of str
        The types that are new, such as "city".

    source_fraction : float, default=0.8
        Share of the sentences that is for the source, rounded down.

    annotation : {"full", "new_only"}, default="full"
        Whether all types are marked in the target, or the new ones only.

    n_samples : int, default=None
        Number of sentences that both parts have together: the first ones of each part
        of the whole, so that results for few and for all sentences compare. None: all.

    Returns
    -------
    source : tuple of (X, y)
        Sentences and tags, in which new types are replaced by "O".

    target : tuple of (X, y)
        Sentences and tags; old types are replaced by "O" if `annotation` is "new_only".

    See Also
    --------
    class_disjoint_split : Split samples, so that no class is on both sides.
    skdeep.metrics.entity_f1_score : Scores; `types` restricts it to old or new types.

    Notes
    -----
    O(n_tokens) time. Lists of `y` are copied, those of `X` are not.

    Examples
    --------
    >>> from skdeep.datasets import extension_split
    >>> X = [["Ada", "sleeps"], ["Oslo"], ["in", "Rome"], ["Bo"], ["Bo", "in", "Oslo"]]
    >>> y = [["B-who", "O"], ["B-city"], ["O", "B-city"], ["B-who"], ["B-who", "O", "B-city"]]
    >>> source, target = extension_split(X, y, "city")
    >>> source[1]
    [['B-who', 'O'], ['O'], ['O', 'O'], ['B-who']]
    >>> target
    ([['Bo', 'in', 'Oslo']], [['B-who', 'O', 'B-city']])
    """
    X, y = list(X), list(y)
    _check(X, y, source_fraction, annotation)
    new_types = {new_types} if isinstance(new_types, str) else set(new_types)
    known = {_type_of(tag) for tags in y for tag in tags} - {""}
    if not new_types or not new_types < known:
        raise ValueError(
            f"`new_types` is {sorted(new_types)}, and y has entities of the types "
            f"{sorted(known)}; give one or more of these, and leave one."
        )
    n_source = int(source_fraction * len(X))
    stop = _check_n_samples(n_samples, len(X), source_fraction)
    kept = new_types if annotation == "new_only" else known
    source = slice(0, stop[0]), known - new_types
    target = slice(n_source, n_source + stop[1]), kept
    return tuple((X[rows], _masked(y[rows], types)) for rows, types in (source, target))


def _check(X, y, source_fraction, annotation):
    if len(X) != len(y):
        raise ValueError(
            f"X has {len(X)} sentences and y has {len(y)}; give the same number."
        )
    for i, (tokens, tags) in enumerate(zip(X, y)):
        if len(tokens) != len(tags):
            raise ValueError(
                f"Sentence {i} has {len(tokens)} tokens in X and {len(tags)} tags in y; "
                "give one tag a token."
            )
    if not isinstance(source_fraction, Real) or not 0 < source_fraction < 1:
        raise ValueError(
            f"`source_fraction` is {source_fraction!r}; give a fraction in (0, 1)."
        )
    if annotation not in ANNOTATIONS:
        raise ValueError(f"`annotation` is {annotation!r}; give 'full' or 'new_only'.")


def _check_n_samples(n_samples, n_all, source_fraction):
    """Sizes of the two parts."""
    if n_samples is None:
        n_samples = n_all
    is_count = isinstance(n_samples, Integral) and not isinstance(n_samples, bool)
    n_source = int(source_fraction * n_samples) if is_count else 0
    if not is_count or not 0 < n_source < n_samples <= n_all:
        raise ValueError(
            f"`n_samples` is {n_samples!r} of {n_all} sentences, which leaves a part "
            "empty or asks for more than there are; give another number."
        )
    return n_source, n_samples - n_source


def _type_of(tag):
    """Type of a tag, "" for "O"."""
    if tag == "O":
        return ""
    _, hyphen, type_ = tag.partition("-")
    if not type_:
        raise ValueError(f"y holds {tag!r}, which is no tag; give 'O' or 'B-city'.")
    return type_


def _masked(y, types):
    """The tags of some types, and "O" for those of others."""
    return [[tag if _type_of(tag) in types else "O" for tag in tags] for tags in y]
