"""Fitted attributes that tell about the clusters of the fit."""

from sklearn.utils.validation import check_is_fitted

from skdeep.cluster._result import ClusterResult


class ResultAttributesMixin:
    """Attributes of an estimator that keeps the fields of a result in `_result`."""

    @property
    def result_(self):
        """Clusters of the rows given to `fit`."""
        check_is_fitted(self)
        return ClusterResult(**self._result)

    @property
    def labels_(self):
        """Labels of the rows given to `fit`."""
        return self.result_.labels

    @property
    def n_clusters_(self):
        """Number of clusters found in `fit`."""
        return self.result_.n_clusters

    @property
    def n_levels_(self):
        """Number of levels in `fit`."""
        return len(self.result_.level_sizes)

    @property
    def level_labels_(self):
        """Labels after each level."""
        return self.result_.level_labels

    @property
    def peaks_(self):
        """Rows at the roots of the clusters."""
        return self.result_.exemplars

    @property
    def density_(self):
        """Densities of the rows given to `fit`."""
        return self.result_.density

    @property
    def outlier_scores_(self):
        """Outlier scores of the rows given to `fit`."""
        return self.result_.outlier_scores

    @property
    def parent_(self):
        """Rows that the rows given to `fit` are linked to."""
        return self.result_.parent

    @property
    def parent_proba_(self):
        """Probabilities of these links."""
        return self.result_.parent_proba

    @property
    def hierarchy_(self):
        """Linkage matrix of the rows given to `fit`."""
        return self.result_.hierarchy

    @property
    def knn_recall_(self):
        """Recall of the neighbour search in `fit`."""
        return self.result_.knn_recall
