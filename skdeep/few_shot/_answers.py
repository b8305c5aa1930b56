"""What learner and adapted classifier have in common: they answer for rows."""

import scipy.special
from sklearn.utils.validation import check_is_fitted

from skdeep.base import use_one_thread_after_fork


class TaskAnswersMixin:
    """`predict` and its like, for an estimator with `classes_` and one task.

    The estimator has `_logits`, which maps X to an array (n_samples, n_classes).
    """

    def decision_function(self, X):
        """Logits of the classes.

        Parameters
        ----------
        X : {array-like, sparse matrix} of shape (n_samples, n_features)
            Rows.

        Returns
        -------
        scores : ndarray of shape (n_samples, n_classes) or (n_samples,)
            With two classes, the logit of the second one minus that of the first.
        """
        logits = self._checked_logits(X)
        return logits[:, 1] - logits[:, 0] if logits.shape[1] == 2 else logits

    def predict_proba(self, X):
        """Probabilities of the classes.

        Parameters
        ----------
        X : {array-like, sparse matrix} of shape (n_samples, n_features)
            Rows.

        Returns
        -------
        proba : ndarray of shape (n_samples, n_classes), dtype float32
            In the order of `classes_`.
        """
        return scipy.special.softmax(self._checked_logits(X), axis=1)

    def predict(self, X):
        """Most probable classes.

        Parameters
        ----------
        X : {array-like, sparse matrix} of shape (n_samples, n_features)
            Rows.

        Returns
        -------
        labels : ndarray of shape (n_samples,)
            In the dtype of the labels of the fit.
        """
        best = self._checked_logits(X).argmax(axis=1)
        return self.classes_[best]

    def _checked_logits(self, X):
        check_is_fitted(self)
        use_one_thread_after_fork()
        return self._logits(X)
