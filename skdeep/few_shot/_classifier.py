"""The classifier of one task: few labelled rows, and a pile without labels."""

import copy
from numbers import Integral, Real

import numpy as np
from sklearn.base import BaseEstimator, ClassifierMixin
from sklearn.utils import check_consistent_length
from sklearn.utils.validation import check_is_fitted

from skdeep.base import use_one_thread_after_fork
from skdeep.few_shot._adapting import TaskRows, adapt_to_tasks, task_logits
from skdeep.few_shot._answers import TaskAnswersMixin
from skdeep.few_shot._features import class_means
from skdeep.few_shot._labels import encode_partly
from skdeep.few_shot._learned import METHODS, check_codes, full_prototypes, learned_of
from skdeep.utils._params import Interval, StrOptions, validate_params


class FewShotClassifier(TaskAnswersMixin, ClassifierMixin, BaseEstimator):
    """Classify with a few labelled rows of each class and a pile of unlabelled ones.

    Fitting takes milliseconds: what there is to be learned was learned on other classes,
    by a `SemiSupervisedMetaLearner`, or by the network that comes with the package. Rows
    without a label are marked with -1, as in `sklearn.semi_supervised`.

    Parameters
    ----------
    estimator : fitted SemiSupervisedMetaLearner, fitted Pipeline or None, default=None
        What was learned on other classes. A pipeline ends with a meta-learner, and its
        earlier steps transform X. None takes rows as they are and the built-in network.

    transductive : bool, default=False
        Whether `predict` takes the rows that it is asked about for the pile. The answer
        for a row then depends on the others.

    method : {"sib", "prototype", "soft_kmeans", "bd_cspn", "laplacian", "tim", \
            "alpha_tim", "pt_map", "label_propagation", "ilpc"} or None, default=None
        How to adapt; None is what `estimator` says, or "sib".

    n_steps : int or None, default=None
        Steps of "sib"; None is the number that was trained.

    class_prior : {"auto", "uniform"}, array-like of shape (n_classes,) or None, \
            default="auto"
        Shares of the classes in the pile. "auto" estimates them. "uniform" takes them
        for equal, which pays where it is true, and costs much where it is not. An array
        is known shares, in the order of `classes_`. None does not care about shares.

    outlier_weight : float or None, default=None
        Rows of the pile that are further from all classes than labelled rows are from
        each other lose their weight, the more sharply the larger the number; 20 is
        sharp. None trusts the network to know.

    power : float or "auto", default="auto"
        Exponent of the magnitudes of the features, without `estimator`; a learner has
        chosen its own. "auto" is 0.5, the root, if no feature is negative, else 1.

    unlabeled_label : int, str or float, default=-1
        Label that marks a row without one; -1 and 1 alone are two classes in `fit`.

    Attributes
    ----------
    classes_ : ndarray of shape (n_classes,)
        Labels.

    prototypes_ : ndarray of shape (n_classes, n_components)
        What rows are compared with, in the space of the learner's features.

    initial_prototypes_ : ndarray of shape (n_classes, n_components)
        Means of the labelled rows.

    transduction_ : ndarray of shape (n_samples,)
        Labels of all rows of the fit: those given, and those found.

    power_ : float
        Exponent of the features, without `estimator`.

    n_features_in_ : int
        Number of features seen in `fit`.

    feature_names_in_ : ndarray of shape (`n_features_in_`,)
        Names of the features, if X had any.

    See Also
    --------
    SemiSupervisedMetaLearner : Learns from many classes how to learn new ones.
    sklearn.semi_supervised.LabelSpreading : Spreads labels over a graph.

    Notes
    -----
    With n rows, C classes and d features, a fit costs O(n (n + C) d) time, as each row
    of the pile is compared with all others, and O(n d) memory. The rows of the fit are
    kept where the answers for new rows depend on them.

    `predict` only approximates what "laplacian", "label_propagation" and "ilpc" found for
    the pile, `transduction_`: it compares rows with prototypes and knows no neighbours.

    `clone` copies the parameters but shares the fitted `estimator`.

    References
    ----------
    .. [1] Hu et al., "Empirical Bayes Transductive Meta-Learning with Synthetic
       Gradients", ICLR 2020.

    Examples
    --------
    >>> import numpy as np
    >>> from sklearn.datasets import load_digits
    >>> from skdeep.few_shot import FewShotClassifier
    >>> X, y = load_digits(return_X_y=True)
    >>> few = np.concatenate([np.flatnonzero(y == digit)[:2] for digit in range(10)])
    >>> y_partly = np.full(len(y), -1)
    >>> y_partly[few] = y[few]  # 20 of 1,797 rows have a label
    >>> classifier = FewShotClassifier().fit(X, y_partly)
    >>> bool((classifier.transduction_ == y).mean() > 0.85)
    True
    """

    learns_from_unlabeled = True

    _parameter_constraints = {
        "estimator": [object],
        "transductive": ["boolean"],
        "method": [StrOptions(METHODS), None],
        "n_steps": [Interval(Integral, 0, None, closed="left"), None],
        "class_prior": [StrOptions({"auto", "uniform"}), list, tuple, np.ndarray, None],
        "outlier_weight": [Interval(Real, 0, None, closed="neither"), None],
        "power": [Interval(Real, 0, 1, closed="right"), StrOptions({"auto"})],
        "unlabeled_label": [Interval(Real, None, None, closed="neither"), str],
    }

    def __init__(
        self,
        estimator=None,
        *,
        transductive=False,
        method=None,
        n_steps=None,
        class_prior="auto",
        outlier_weight=None,
        power="auto",
        unlabeled_label=-1,
    ):
        self.estimator = estimator
        self.transductive = transductive
        self.method = method
        self.n_steps = n_steps
        self.class_prior = class_prior
        self.outlier_weight = outlier_weight
        self.power = power
        self.unlabeled_label = unlabeled_label

    def fit(self, X, y):
        """Adapt to the labelled rows and to the pile.

        Parameters
        ----------
        X : {array-like, sparse matrix} of shape (n_samples, n_features)
            Rows, with and without a label.

        y : array-like of shape (n_samples,)
            Labels; `unlabeled_label` for rows without one.

        Returns
        -------
        self : FewShotClassifier
            Fitted estimator.
        """
        self._validate_params()
        use_one_thread_after_fork()
        before = vars(self).copy()
        try:
            return self._fit(X, y)
        except BaseException:
            vars(self).clear()
            vars(self).update(before)
            raise

    def _validate_params(self):
        validate_params(self)

    def _fit(self, X, y):
        learned = learned_of(self.estimator)
        rows = learned.unit_rows(self, X, reset=True)
        classes, codes = encode_partly(self, y, self.unlabeled_label)
        check_consistent_length(rows, codes)
        check_codes(self, codes)
        labelled, pile = np.flatnonzero(codes >= 0), np.flatnonzero(codes < 0)
        task = TaskRows(rows[labelled], codes[labelled], rows[pile])
        how = learned.how(self, len(classes))
        ((state, proba),) = adapt_to_tasks([task], how)
        codes[pile] = proba.argmax(axis=1) if len(pile) else []
        return self._keep(classes, task, state, codes)

    def _keep(self, classes, task, state, codes):
        """Set what a fit leaves behind."""
        self.classes_ = classes
        self.transduction_ = classes[codes]
        self.initial_prototypes_ = class_means(task.support, task.codes, len(classes))
        self._state = state
        self._support = (task.support, task.codes) if self.transductive else None
        return self

    @property
    def prototypes_(self):
        """What rows are compared with."""
        check_is_fitted(self)
        return full_prototypes(self._state, self.initial_prototypes_.shape[1])

    def _logits(self, X):
        learned = learned_of(self.estimator)
        rows = learned.unit_rows(self, X, reset=False)
        how = learned.how(self, len(self.classes_))
        if not self.transductive:
            return task_logits(self._state, rows, how)
        ((_, proba),) = adapt_to_tasks([TaskRows(*self._support, rows)], how)
        return np.log(np.maximum(proba, np.finfo(np.float32).tiny))

    def __sklearn_clone__(self):
        params = self.get_params(deep=False)
        params = {
            name: value if name == "estimator" else copy.deepcopy(value)
            for name, value in params.items()
        }
        copied = type(self)(**params)
        for name in ("_metadata_request", "_sklearn_output_config"):
            if hasattr(self, name):
                setattr(copied, name, copy.deepcopy(getattr(self, name)))
        return copied

    def __sklearn_tags__(self):
        tags = super().__sklearn_tags__()
        tags.input_tags.sparse = True
        return tags
