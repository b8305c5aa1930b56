"""The public answers of a fitted chain classifier."""

from numbers import Integral

import numpy as np
import scipy.sparse as sp
import torch
from sklearn.metrics import accuracy_score
from sklearn.utils import check_consistent_length, check_random_state
from sklearn.utils.validation import check_is_fitted

from skdeep.base import use_one_thread_after_fork
from skdeep.exceptions import InvalidParameterError
from skdeep.multilabel._inference import Inference
from skdeep.multilabel._labels import (
    check_label_names,
    indicator_matrix,
    names_of_columns,
)
from skdeep.multilabel._set_proba import log_set_proba
from skdeep.utils._params import Interval, check_param
from skdeep.utils._torch import make_generator
from skdeep.utils._validation import validate_rows

_SWITCHES = (
    "beam_size",
    "joint_decoding",
    "min_labels",
    "max_labels",
    "n_draws",
    "proba",
    "rescore_weight",
    "threshold",
)


class ChainAnswersMixin:
    """Sets, scores, orders and samples, all from one trained ensemble."""

    @property
    def threshold_(self):
        """Cut that was tuned for the scores of `proba`; 0.5 if none was."""
        kind = self.proba if self._order is not None else "head"
        return self._thresholds.get(kind, 0.5)

    def predict(self, X):
        """Find the set of labels of each row.

        Parameters
        ----------
        X : {array-like, sparse matrix} of shape (n_samples, n_features)
            Rows.

        Returns
        -------
        Y : ndarray or CSR matrix of shape (n_samples, n_labels), dtype int64, or \
                ndarray of shape (n_samples,)
            Indicator matrix, sparse if the target of `fit` was; or the class of each row if
            the target was 1-d.
        """
        check_is_fitted(self)
        if self._single:
            scores = self._ask(X, Inference.scores)
            return self.classes_[scores.argmax(1)]
        parts = [sp.csr_array(part) for part in self._ask_parts(X, Inference.sets)]
        sets = sp.vstack(parts, format="csr").astype(np.int64)
        return sets if self._sparse_output else sets.toarray()

    def predict_proba(self, X):
        """Score each label.

        Parameters
        ----------
        X : {array-like, sparse matrix} of shape (n_samples, n_features)
            Rows.

        Returns
        -------
        scores : ndarray of shape (n_samples, n_labels), dtype float32
            In [0, 1]. How they come about is set by `proba`; for a 1-d target they are
            the probabilities of the classes.
        """
        return self._ask(X, Inference.scores)

    def score(self, X, y, sample_weight=None):
        """Share of rows whose set is right, or accuracy for a 1-d target.

        Parameters
        ----------
        X : {array-like, sparse matrix} of shape (n_samples, n_features)
            Rows.

        y : {array-like, sparse matrix} of shape (n_samples, n_labels), or array-like \
                of shape (n_samples,)
            True targets.

        sample_weight : array-like of shape (n_samples,), default=None
            Weights of the rows.

        Returns
        -------
        score : float
        """
        check_is_fitted(self)
        if self._single:
            return super().score(X, y, sample_weight)
        Y = self._check_sets(X, y)
        right = (indicator_matrix(self.predict(X)) != Y).sum(1) == 0
        return accuracy_score(np.ones_like(right), right, sample_weight=sample_weight)

    def decision_function(self, X):
        """Logits of `predict_proba`.

        Parameters
        ----------
        X : {array-like, sparse matrix} of shape (n_samples, n_features)
            Rows.

        Returns
        -------
        decision : ndarray of shape (n_samples, n_labels), dtype float32
            For a 1-d target with two classes of shape (n_samples,), positive for the
            second class.
        """
        scores = self._ask(X, Inference.scores)
        tiny = np.float32(1e-7)
        decision = np.log(np.maximum(scores, tiny)) - np.log(
            np.maximum(1 - scores, tiny)
        )
        if self._single and len(self.classes_) == 2:
            return decision[:, 1]
        return decision

    def predict_order(self, X, max_labels=None):
        """Tell in which order the labels of each row were found.

        Parameters
        ----------
        X : {array-like, sparse matrix} of shape (n_samples, n_features)
            Rows.

        max_labels : int or None, default=None
            If given, each order goes on to this many labels, past the stop too.

        Returns
        -------
        orders : list of (ndarray, ndarray)
            For each row the column numbers of the labels in the order taken, and the
            probability of each step. All members of an ensemble walk together.
        """
        check_param(
            "max_labels",
            max_labels,
            [Interval(Integral, 1, None, closed="left"), None],
            owner="predict_order",
        )
        self._check_chained("predict_order")
        n_steps = min(max_labels or self._limits()[1], self.n_labels_)

        def walk(inference, contexts):
            path = inference.path(contexts, n_steps)
            counts = path.n_taken[:, None].double()
            return torch.cat([counts, path.labels.double(), path.proba.double()], dim=1)

        found = np.concatenate(list(self._ask_parts(X, walk)))
        counts, labels, proba = np.split(found, [1, 1 + n_steps], axis=1)
        labels, proba = labels.astype(np.int64), proba.astype(np.float32)
        counts = (
            counts[:, 0].astype(int) if max_labels is None else [n_steps] * len(found)
        )
        return [(labels[row, :n], proba[row, :n]) for row, n in enumerate(counts)]

    def predict_top_k(self, X, k=5):
        """Find the labels with the highest scores.

        Parameters
        ----------
        X : {array-like, sparse matrix} of shape (n_samples, n_features)
            Rows.

        k : int, default=5
            Labels a row, at most all.

        Returns
        -------
        indices : ndarray of shape (n_samples, k), dtype int64
            Column numbers, best first.

        scores : ndarray of shape (n_samples, k), dtype float32
            Their scores.

        Notes
        -----
        Scores of all labels exist for one slice of rows at a time only.
        """
        check_param(
            "k",
            k,
            [Interval(Integral, 1, None, closed="left")],
            owner="predict_top_k",
        )
        check_is_fitted(self)
        k = min(k, self.n_labels_)

        def top(inference, contexts):
            best = torch.topk(inference.scores(contexts), k, dim=1)
            return torch.stack([best.indices.double(), best.values.double()], 1)

        found = np.concatenate(list(self._ask_parts(X, top)))
        return found[:, 0].astype(np.int64), found[:, 1].astype(np.float32)

    def sample_labels(self, X, n_draws=1, random_state=None):
        """Draw sets of labels from the model.

        Parameters
        ----------
        X : {array-like, sparse matrix} of shape (n_samples, n_features)
            Rows.

        n_draws : int, default=1
            Sets a row.

        random_state : int, RandomState instance or None, default=None
            Seeds the draws; None takes the parameter of the estimator.

        Returns
        -------
        Y : CSR matrix of shape (n_samples * n_draws, n_labels), dtype int64
            The sets of a row follow each other.
        """
        check_param(
            "n_draws",
            n_draws,
            [Interval(Integral, 1, None, closed="left")],
            owner="sample_labels",
        )
        self._check_chained("sample_labels")
        inference = self._inference(self._generator(random_state))
        parts = self._ask_parts(
            X, lambda _, contexts: inference.sample(contexts, n_draws), n_draws
        )
        sets = [sp.csr_array(part.reshape(-1, self.n_labels_)) for part in parts]
        return sp.vstack(sets, format="csr").astype(np.int64)

    def log_set_proba(self, X, y, random_state=None):
        """Log-probability of given sets, whatever the order of their labels.

        Parameters
        ----------
        X : {array-like, sparse matrix} of shape (n_samples, n_features)
            Rows.

        y : {array-like, sparse matrix} of shape (n_samples, n_labels)
            A set for each row.

        random_state : int, RandomState instance or None, default=None
            Seeds the draws; None takes the parameter of the estimator.

        Returns
        -------
        log_proba : ndarray of shape (n_samples,), dtype float64
            Exact for sets of at most 5 labels; beyond, an estimate from `n_draws`
            orders drawn from the model.
        """
        self._check_chained("log_set_proba")
        X = self._check_rows(X)
        Y = self._check_sets(X, y)
        inference = self._inference(self._generator(random_state))
        with torch.inference_mode():
            return log_set_proba(inference, X, Y)

    def set_decision(self, decision, **switches):
        """Change how sets are chosen, without another fit.

        Parameters
        ----------
        decision : {"beam", "chain", "greedy", "marginal", "f1"}
            The new value of the parameter `decision`.

        **switches : dict
            New values of `beam_size`, `joint_decoding`, `min_labels`, `max_labels`,
            `n_draws`, `proba`, `rescore_weight` or `threshold`.

        Returns
        -------
        self : estimator
            The same estimator.
        """
        unknown = sorted(set(switches) - set(_SWITCHES))
        if unknown:
            raise InvalidParameterError(
                f"`set_decision` cannot change {unknown}; it takes {list(_SWITCHES)}. "
                "Other parameters need another fit."
            )
        switches = {"decision": decision, **switches}
        for name, value in switches.items():
            rules = self._parameter_constraints[name]
            check_param(name, value, rules, owner=type(self).__name__)
        before = {name: getattr(self, name) for name in switches}
        self.set_params(**switches)
        try:
            if hasattr(self, "module_"):
                self._limits()
        except InvalidParameterError:
            self.set_params(**before)
            raise
        return self

    def _check_chained(self, name):
        check_is_fitted(self)
        if self._order is None:
            raise InvalidParameterError(
                f"`{name}` needs a chain, but the fit had order=None, the network "
                "without one."
            )

    def _check_sets(self, X, y):
        """Sets beside rows as a CSR matrix, with the labels of the fit."""
        Y = indicator_matrix(y)
        check_consistent_length(X, Y)
        if Y.shape[1] != self.n_labels_:
            raise ValueError(
                f"y has {Y.shape[1]} labels, but {type(self).__name__} was fitted on "
                f"{self.n_labels_}."
            )
        check_label_names(self, names_of_columns(y))
        return Y

    def _check_rows(self, X):
        check_is_fitted(self)
        use_one_thread_after_fork()
        return validate_rows(self, X, reset=False, accept_sparse=True)

    def _generator(self, random_state):
        state = self.random_state if random_state is None else random_state
        return make_generator(check_random_state(state), self.device_)

    def _ask_parts(self, X, answer, width=1):
        """Answers ``answer(inference, contexts)`` to one slice of rows after the other.

        `width` is the number of hypotheses that it takes for a row, beside the beam.
        """
        X = self._check_rows(X)
        drawn = self.proba == "sample"
        inference = self._inference(self._generator(None) if drawn else None)
        width = max(width, self.beam_size, self.n_draws if drawn else 1)
        with torch.inference_mode():
            for found in inference.ask(X, lambda c: answer(inference, c), width):
                yield found.numpy()

    def _ask(self, X, answer):
        return np.concatenate(list(self._ask_parts(X, answer)))

    def _limits(self):
        """Least and greatest number of labels of an answer."""
        if self._single:
            return 1, 1
        least = self.min_labels_ if self.min_labels == "auto" else self.min_labels
        most = self.max_labels_ if self.max_labels is None else self.max_labels
        most = min(most, self.n_labels_)
        if least > most:
            raise InvalidParameterError(
                f"min_labels={least} is more than {most}, the greatest number of labels "
                "in a set; set `max_labels` or lower `min_labels`."
            )
        return least, most

    def _inference(self, generator=None, module=None, threshold=None):
        """What answers, as the parameters have it now."""
        for name in ("decision", *_SWITCHES):
            rules = self._parameter_constraints[name]
            check_param(name, getattr(self, name), rules, owner=type(self).__name__)
        if threshold is None:
            threshold = self.threshold_ if self.threshold == "auto" else self.threshold
        chained = self._order is not None
        head_only = (0.0, 0.0, 1.0, 0.0)
        return Inference(
            self.module_ if module is None else module,
            device=self.device_,
            chained=chained,
            joint=self.joint_decoding,
            limits=self._limits(),
            n_steps=self._n_path_steps,
            decision=self.decision,
            beam_size=self.beam_size,
            proba=self.proba if chained else "head",
            score_weights=self.score_weights_ if chained else head_only,
            threshold=threshold,
            n_draws=self.n_draws,
            rescore_weight=self.rescore_weight,
            generator=generator,
        )
