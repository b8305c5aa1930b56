"""What a fitted extender says about rows and sentences."""

import numpy as np
from sklearn.base import ClassNamePrefixFeaturesOutMixin, TransformerMixin
from sklearn.utils.metaestimators import available_if
from sklearn.utils.validation import check_is_fitted

from skdeep.base import forward, use_one_thread_after_fork
from skdeep.transfer._extending import head_log_proba, represent
from skdeep.transfer._features import check_queries, for_method, see
from skdeep.transfer._modes import mode_of
from skdeep.transfer._sentences import check_sentences, check_tags
from skdeep.transfer._sources import as_source_input, without_tensors


def _classifies(est):
    return mode_of(est) == "classifier"


def _tags(est):
    return mode_of(est) == "sequence"


class _Representation(TransformerMixin):
    """Its `transform` heeds `set_output`."""

    def transform(self, X):
        """Joint representation of rows, below the output layer.

        Parameters
        ----------
        X : object of length n_samples
            Rows.

        Returns
        -------
        X_new : ndarray or CSR matrix of shape (n_samples, n_components), dtype float32
            Hidden layer and adapter of a network; features and source scores, on a
            common scale, of other methods. Those of the rows of the fit look better
            than those of others.
        """
        check_is_fitted(self)
        use_one_thread_after_fork()
        return represent(self, *for_method(self, *self._see(X)))


class ExtendedAnswersMixin:
    """`predict` and its like."""

    transform = available_if(_classifies)(_Representation.transform)
    fit_transform = available_if(_classifies)(TransformerMixin.fit_transform)
    get_feature_names_out = available_if(_classifies)(
        ClassNamePrefixFeaturesOutMixin.get_feature_names_out
    )

    def predict(self, X):
        """Most probable class of each row, or the best tags of each sentence.

        Parameters
        ----------
        X : object of length n_samples
            Rows, as the source takes them; for a tagger, lists of tokens.

        Returns
        -------
        labels : ndarray of shape (n_samples,) or list of lists of str
            Old and new classes.
        """
        check_is_fitted(self)
        if self.method_ == "source":
            answer = self.predict_source(X)
            if _tags(self):
                return answer
            return np.asarray(answer).astype(self.classes_.dtype)
        if _tags(self):
            from skdeep.transfer._sequence_mode import predict_sequence

            return predict_sequence(self, X)
        log_proba = self._log_proba(X)
        return self.classes_[log_proba.argmax(axis=1)]

    @available_if(_classifies)
    def predict_proba(self, X):
        """Probabilities of old and new classes.

        Parameters
        ----------
        X : object of length n_samples
            Rows.

        Returns
        -------
        proba : ndarray of shape (n_samples, n_classes), dtype float32
            In the order of `classes_`.
        """
        proba = np.exp(self._log_proba(X))
        return proba / proba.sum(axis=1, keepdims=True)

    @available_if(_classifies)
    def predict_log_proba(self, X):
        """Logs of the probabilities.

        Parameters
        ----------
        X : object of length n_samples
            Rows.

        Returns
        -------
        log_proba : ndarray of shape (n_samples, n_classes), dtype float32
            In the order of `classes_`.
        """
        proba = self.predict_proba(X)
        return np.log(np.maximum(proba, np.finfo(np.float32).tiny))

    @available_if(_classifies)
    def decision_function(self, X):
        """Log probabilities, as scores of the classes.

        Parameters
        ----------
        X : object of length n_samples
            Rows.

        Returns
        -------
        scores : ndarray of shape (n_samples, n_classes) or (n_samples,)
            With two classes, the score of the second one minus that of the first.
        """
        scores = self._log_proba(X)
        return scores[:, 1] - scores[:, 0] if scores.shape[1] == 2 else scores

    @available_if(_tags)
    def predict_marginals(self, X):
        """Probabilities of the tags of each token.

        Parameters
        ----------
        X : list of lists of str
            Sentences.

        Returns
        -------
        marginals : list of ndarray of shape (n_tokens, n_tags)
            One array a sentence; columns in the order of `classes_`.
        """
        check_is_fitted(self)
        if self.method_ == "source":
            return self.estimator_.predict_marginals(X)
        from skdeep.transfer._sequence_mode import sequence_marginals

        return sequence_marginals(self, X)

    def predict_source(self, X):
        """What the source itself says.

        Parameters
        ----------
        X : object of length n_samples
            Rows or sentences.

        Returns
        -------
        labels : ndarray of shape (n_samples,) or list of lists of str
            Old classes only.
        """
        check_is_fitted(self)
        if not hasattr(self.estimator_, "predict"):  # a bare network
            return self.base_classes_[self._see(X)[1].argmax(axis=1)]
        X = without_tensors(X)
        if _classifies(self):
            check_queries(self, X)
        return self.estimator_.predict(as_source_input(self.estimator_, X))

    def score(self, X, y, sample_weight=None):
        """Accuracy of a classifier, F1 of the entities of a tagger.

        It sees old and new classes in the shares of `y`; on new data alone it rewards
        forgetting.

        Parameters
        ----------
        X : object of length n_samples
            Rows or sentences.

        y : array-like of shape (n_samples,) or list of lists of str
            Their labels or tags.

        sample_weight : array-like of shape (n_samples,), default=None
            Weights of the rows; a tagger takes none.

        Returns
        -------
        score : float
        """
        if _classifies(self):
            return super().score(X, y, sample_weight)
        if sample_weight is not None:
            raise ValueError("The score of a tagger takes no sample_weight.")
        check_is_fitted(self)
        from skdeep.transfer._tagger_training import tagging_score

        scheme = getattr(self, "scheme_", getattr(self.estimator_, "scheme_", "BIO"))
        tokens = check_sentences(X)
        tags = check_tags(tokens, y)
        return tagging_score(tags, self.predict(tokens.sentences()), scheme)

    def _apply(self, module, X):
        return forward(module, X, self.device_)

    def _see(self, X):
        X = without_tensors(X)
        return see(self, X, check_queries(self, X))

    def _log_proba(self, X):
        check_is_fitted(self)
        use_one_thread_after_fork()
        return head_log_proba(self, *self._see(X))
