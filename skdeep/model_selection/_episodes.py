"""Splitter that deals out few-shot episodes."""

import warnings
from numbers import Integral, Real

import numpy as np
from sklearn.model_selection import BaseCrossValidator
from sklearn.utils import check_consistent_length, check_random_state, column_or_1d

from skdeep.model_selection._draw_episodes import draw_episodes, group_rows
from skdeep.utils._params import Interval, StrOptions, check_param
from skdeep.utils._validation import encode_labels

MAX_SIZES = 10  # class sizes named in an error

POSITIVE_INT = Interval(Integral, 1, None, closed="left")
RULES = {
    "n_way": [Interval(Integral, 2, None, closed="left")],
    "n_shot": [POSITIVE_INT],
    "n_query": [POSITIVE_INT],
    "n_episodes": [POSITIVE_INT],
    "balance": [StrOptions({"balanced"}), Interval(Real, 0, None, closed="neither")],
    "random_state": ["random_state"],
}


class EpisodeSampler(BaseCrossValidator):
    """Splitter for few-shot classification: learn from a few rows of a few classes.

    Each split is an episode: `n_way` random classes, `n_shot` rows of each to learn from
    (the training part, called support) and others to be classified (the test part,
    called query). As `cv=` of scikit-learn it measures any classifier in this way.

    Parameters
    ----------
    n_way : int, default=5
        Classes of an episode. Lowered, under a warning, if there are fewer.

    n_shot : int, default=1
        Support rows of each class.

    n_query : int, default=15
        Query rows a class; an episode has ``n_way * n_query``.

    n_episodes : int, default=600
        Number of splits.

    balance : "balanced" or float, default="balanced"
        "balanced": each class has `n_query` query rows. A float is the concentration of
        a Dirichlet distribution, from which the shares of the classes are drawn: 10 is
        nearly equal, 0.5 leaves some classes without any query row. No class gives more
        rows than it has.

    random_state : int, RandomState instance or None, default=None
        Seeds the draws. An int gives the same episodes in each call of `split`.

    unlabeled : object, default=-1
        Label that marks rows without a class, which are never drawn. None: every label
        is a class.

    See Also
    --------
    few_shot_score : Accuracy over episodes, also of classifiers that learn from the
        query rows, or of a meta-learner.
    ClassDisjointKFold : Classes for meta-training, and others for episodes.

    Notes
    -----
    Classes with fewer than ``n_shot + n_query`` rows are left out. With `groups`, an
    episode has classes of one group, of those with `n_way` classes if there are any; a
    label in two groups is two classes. All classes come up equally often.

    O(n_samples log n_samples) for the classes, and for an episode with k rows of a class
    O(n_way k^2); all of them are drawn in one go.

    References
    ----------
    .. [1] O. Vinyals et al., "Matching networks for one shot learning", NeurIPS 2016.
    .. [2] O. Veilleux et al., "Realistic evaluation of transductive few-shot learning",
       NeurIPS 2021, for the Dirichlet distribution.

    Examples
    --------
    >>> from sklearn.datasets import load_digits
    >>> from sklearn.model_selection import cross_val_score
    >>> from sklearn.neighbors import KNeighborsClassifier
    >>> from skdeep.model_selection import EpisodeSampler
    >>> X, y = load_digits(return_X_y=True)
    >>> episodes = EpisodeSampler(n_way=5, n_shot=3, n_episodes=100, random_state=0)
    >>> support, query = next(episodes.split(X, y))
    >>> support.shape, query.shape
    ((15,), (75,))
    >>> f"{cross_val_score(KNeighborsClassifier(1), X, y, cv=episodes).mean():.2f}"
    '0.88'
    """

    # groups given to a search or to `cross_validate` are passed on, as by GroupKFold
    __metadata_request__split = {"groups": True}

    def __init__(
        self,
        n_way=5,
        n_shot=1,
        n_query=15,
        n_episodes=600,
        *,
        balance="balanced",
        random_state=None,
        unlabeled=-1,
    ):
        self.n_way = n_way
        self.n_shot = n_shot
        self.n_query = n_query
        self.n_episodes = n_episodes
        self.balance = balance
        self.random_state = random_state
        self.unlabeled = unlabeled
        for name, rules in RULES.items():
            check_param(name, getattr(self, name), rules, owner=type(self).__name__)

    def split(self, X, y=None, groups=None):
        """Draw the episodes.

        Parameters
        ----------
        X : object
            Not used.

        y : array-like of shape (n_samples,), default=None
            Classes of the rows: integers, booleans or strings. None is refused.

        groups : array-like of shape (n_samples,), default=None
            Tasks, alphabets, customers: episodes stay within one of them.

        Yields
        ------
        support : ndarray of shape (n_way * n_shot,)
            Rows to learn from, class by class.

        query : ndarray of shape (n_way * n_query,)
            Rows to be classified, class by class in the same order.
        """
        episodes = sample_episodes(self, y, groups)
        yield from zip(episodes.support, episodes.query)

    def get_n_splits(self, X=None, y=None, groups=None):
        """Number of splits.

        Parameters
        ----------
        X, y, groups : object
            Not used.

        Returns
        -------
        n_splits : int
            The parameter `n_episodes`.
        """
        return self.n_episodes


def sample_episodes(sampler, y, groups=None, *, n_extra=0, most_shots=0, stacklevel=3):
    """Draw all episodes of a sampler as arrays.

    Parameters
    ----------
    sampler : EpisodeSampler
        Numbers, balance and seed.

    y : array-like of shape (n_samples,)
        Classes of the rows.

    groups : array-like of shape (n_samples,), default=None
        Group of each row.

    n_extra : int, default=0
        Further rows a class, neither in the support nor in the query.

    most_shots : int, default=0
        Classes that have not enough rows for so many shots are left out, too.

    stacklevel : int, default=3
        Whom a warning is for; 3 is the caller of the caller.

    Returns
    -------
    episodes : Episodes
        Without filling rows.
    """
    classes, codes = encode_labels(sampler, y)
    codes = np.where(_is_class(classes, sampler.unlabeled)[codes], codes, -1)
    if groups is not None:
        groups = column_or_1d(groups)
        check_consistent_length(y, groups)
        groups = np.unique(groups, return_inverse=True)[1]
    n_least = max(sampler.n_shot, most_shots) + sampler.n_query + n_extra
    table = group_rows(codes, groups, n_least=n_least)
    n_way = table.n_classes.max(initial=0)
    if n_way < 2:
        raise ValueError(_too_few(sampler, n_least, codes, groups))
    if n_way < sampler.n_way:
        where = "" if groups is None else " in one group"
        warnings.warn(
            f"n_way={sampler.n_way} is lowered to {n_way}: no more classes{where} have "
            f"the {n_least} rows that an episode draws from each.",
            UserWarning,
            stacklevel=stacklevel,
        )
    return draw_episodes(
        table,
        sampler.n_episodes,
        n_way=min(n_way, sampler.n_way),
        n_shot=sampler.n_shot,
        n_query=sampler.n_query,
        n_extra=n_extra,
        balance=sampler.balance,
        rng=check_random_state(sampler.random_state),
    )


def _is_class(classes, unlabeled):
    """Which labels are not the marker of rows without one."""
    if unlabeled is None:
        return np.ones(len(classes), dtype=bool)
    return np.array([label != unlabeled for label in classes.tolist()])


def _too_few(sampler, n_least, codes, groups):
    """Words for too few classes."""
    sizes = np.sort(group_rows(codes, groups, n_least=1).sizes)[::-1]
    shown = ", ".join(str(size) for size in sizes[:MAX_SIZES])
    if len(sizes) > MAX_SIZES:
        shown += ", ..."
    where = "" if groups is None else " in one group"
    return (
        f"Episodes need at least 2 classes{where} with {n_least} rows or more each, for "
        f"n_shot={sampler.n_shot} and n_query={sampler.n_query}; the classes have "
        f"{shown or 'no'} rows. Use fewer query rows, or more data"
        + (
            f" (rows with the label {sampler.unlabeled!r} count as unlabelled)."
            if len(sizes) < 2
            else "."
        )
    )
