"""A fitted source is handed on by reference, wherever the extender is copied."""

import numpy as np
from sklearn.base import clone

from skdeep.transfer._source_kinds import is_fitted

_BY_REFERENCE = ("estimator", "features")


class FrozenSourceMixin:
    """`clone` and parameters of an estimator whose `estimator` is fitted already.

    `sklearn.base.clone` strips a fitted model of its fit, which leaves nothing to extend
    in a grid search or a cross-validation.
    """

    def __sklearn_clone__(self):
        params = self.get_params(deep=False)
        for name, value in params.items():
            if not self._is_frozen(name, value):
                params[name] = clone(value, safe=False)
        copied = type(self)(**params)
        by_value = "_metadata_request", "_sklearn_output_config"
        for name in (*by_value, "_skl_callbacks"):
            if hasattr(self, name):
                value = getattr(self, name)
                value = clone(value, safe=False) if name in by_value else value
                setattr(copied, name, value)
        return copied

    def get_params(self, deep=True):
        """Parameters of the extender, and of an `estimator` that is yet to be fitted.

        Parameters
        ----------
        deep : bool, default=True
            Whether to name the parameters of the models inside, too; never those of one
            that is fitted already, for they can have no effect.

        Returns
        -------
        params : dict
            Names and values.
        """
        params = super().get_params(deep=deep)
        frozen = [name for name in _BY_REFERENCE if self._is_frozen(name, params[name])]
        return {
            name: value
            for name, value in params.items()
            if "__" not in name or name.partition("__")[0] not in frozen
        }

    def set_params(self, **params):
        """Set parameters of the extender, or of an `estimator` that is yet to be fitted.

        Parameters
        ----------
        **params : dict
            Names and values; ``estimator__<name>`` only with ``prefit=False``.

        Returns
        -------
        self : AdapterExtender
            The extender.
        """
        for name in params:
            owner, nested, inner = name.partition("__")
            if nested and self._is_frozen(
                owner, params.get(owner, getattr(self, owner, None))
            ):
                raise ValueError(
                    f"`{owner}` is frozen: it was fitted before and is never trained "
                    f"here, so {inner!r} would have no effect. Fit another one with this "
                    f"parameter and set {owner}=..., or use prefit=False."
                )
        return super().set_params(**params)

    def _is_frozen(self, name, model):
        """Whether a parameter is a model that is used as it is."""
        if name not in _BY_REFERENCE or isinstance(model, (str, type, type(None))):
            return False
        if name == "estimator" and not np.all(self.prefit):  # any object, unchecked
            return False
        return is_fitted(model)
