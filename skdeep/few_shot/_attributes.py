"""Fitted attributes of the meta-learner that are read from its networks and state."""

from sklearn.utils.validation import check_is_fitted

from skdeep.few_shot._learned import full_prototypes, steps_of


class LearnedAttributesMixin:
    """What `SemiSupervisedMetaLearner` tells about itself."""

    @property
    def backbone_(self):
        """What makes the features."""
        check_is_fitted(self)
        return self.module_.backbone if self._transformer is None else self._transformer

    @property
    def phi_(self):
        """The gradient network."""
        check_is_fitted(self)
        adapter = self.module_.adapter
        return getattr(adapter, "gradient_net", getattr(adapter, "phi", None))

    @property
    def scale_(self):
        """Factor on the cosines."""
        check_is_fitted(self)
        return float(self._state["scale"])

    @property
    def step_sizes_(self):
        """Rates of the steps."""
        check_is_fitted(self)
        return steps_of(self.module_.adapter)[0]

    @property
    def support_weights_(self):
        """What labelled rows count."""
        check_is_fitted(self)
        return steps_of(self.module_.adapter)[1]

    @property
    def init_weight_(self):
        """Weights of the features in the first prototypes."""
        check_is_fitted(self)
        weight = getattr(self.module_.adapter, "init_weight", None)
        return 1.0 if weight is None else weight.detach().cpu().numpy().copy()

    @property
    def prototypes_(self):
        """What rows of the known classes are compared with."""
        check_is_fitted(self)
        return full_prototypes(self._state, self._n_features_out)
