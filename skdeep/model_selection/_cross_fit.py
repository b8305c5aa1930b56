"""Features for the training rows from an embedder that never saw their classes.

An embedder separates the classes that it was trained on far better than any others.
What learns from such features, a clusterer for instance, sees a problem that is solved
already, and fails on new classes. Cross fitting over classes gives it training features
that are as good, and as bad, as those of new classes.
"""

import warnings
from numbers import Integral

from sklearn import get_config
from sklearn.base import (
    BaseEstimator,
    ClassNamePrefixFeaturesOutMixin,
    MetaEstimatorMixin,
    TransformerMixin,
    clone,
)
from sklearn.utils import check_consistent_length, get_tags, indexable
from sklearn.utils.metadata_routing import (
    MetadataRouter,
    MethodMapping,
    process_routing,
)
from sklearn.utils.parallel import Parallel, delayed
from sklearn.utils.validation import check_is_fitted

from skdeep.model_selection._blocks import as_array, assemble, in_block
from skdeep.model_selection._folds import class_folds
from skdeep.utils._params import Interval, validate_params
from skdeep.utils._validation import encode_labels


class CrossFitTransformer(
    ClassNamePrefixFeaturesOutMixin,
    TransformerMixin,
    MetaEstimatorMixin,
    BaseEstimator,
):
    """Give each training row features from a transformer that never saw its class.

    ``fit(X, y).transform(X)`` is not ``fit_transform(X, y)``, and is not meant to be:

    - `fit_transform` is for the rows that the next step learns from. It splits the
      *classes* into folds, trains a copy of `estimator` on all other classes, and
      transforms the rows of the fold with it [1]_. The features of each fold are in a
      block of columns of their own, with zeros in all other blocks.
    - `transform` is for new rows. It uses a copy trained on all classes, whose features
      are in the first block.

    A pipeline calls both at the right time. Rows of different folds have cosine
    similarity 0, because the spaces of two copies have nothing to do with each other;
    so a clusterer that learns from a graph of nearest neighbors gets one graph a fold.

    Parameters
    ----------
    estimator : transformer
        Any estimator with `fit` and `transform`, also a pipeline. It is cloned, and
        stays as it is.

    cv : int, splitter, iterable of (train, test) or None, default=None
        Folds of classes. An int is the number of folds of `ClassDisjointKFold`. None is
        three folds, or two if fewer than six classes have two rows; if fewer than four
        have, there are no folds, and `fit_transform` transforms the rows with a copy
        that saw their classes, under a warning. The training part of a splitter must
        hold no class of the test part, and the test parts each row exactly once.

    n_jobs : int or None, default=None
        Folds trained at the same time; -1 uses all processors. The result is the same.

    Attributes
    ----------
    estimator_ : transformer
        Copy of `estimator` trained on all rows. Those of the folds are not kept.

    n_blocks_ : int
        Number of blocks of columns, that is of folds.

    n_components_ : int
        Columns of a block. Copies with fewer features leave the last ones zero.

    n_features_in_ : int
        Number of features seen in `fit`, if `estimator_` knows it.

    feature_names_in_ : ndarray of shape (`n_features_in_`,)
        Names of the features, if `estimator_` knows them.

    See Also
    --------
    ClassDisjointKFold : The folds.
    sklearn.preprocessing.TargetEncoder : Cross fitting over rows, with the same
        difference between the two methods.

    Notes
    -----
    `fit_transform` costs one fit of `estimator` for each fold and one for all rows, and
    ``O(n_samples * n_blocks_ * n_components_)`` memory, or the non-zero values if the
    features are sparse. `fit` costs a single fit, and O(n_samples) for the folds; it
    takes the width of a block from `estimator_`, whereas `fit_transform` takes that of
    the widest copy.

    A row has neighbors in other folds only if fewer than ``n_neighbors`` rows of its
    own fold have a positive cosine similarity to it. The fold of a row is the block
    that is not zero:
    ``(Z.reshape(len(Z), n_blocks_, -1) != 0).any(axis=2).argmax(axis=1)``.

    Metadata such as ``sample_weight`` go to `estimator` and to the splitter by the
    metadata routing of scikit-learn; each copy gets its rows of them.

    References
    ----------
    .. [1] D. H. Wolpert, "Stacked generalization", Neural Networks 5(2), 1992; there
       with folds of rows.

    Examples
    --------
    >>> from sklearn.datasets import load_digits
    >>> from sklearn.discriminant_analysis import LinearDiscriminantAnalysis
    >>> from skdeep.metrics import recall_at_k_score
    >>> from skdeep.model_selection import CrossFitTransformer
    >>> X, y = load_digits(return_X_y=True)
    >>> old, new = y < 6, y >= 6
    >>> encoder = CrossFitTransformer(LinearDiscriminantAnalysis())
    >>> Z = encoder.fit_transform(X[old], y[old])
    >>> Z.shape, encoder.n_blocks_
    ((1083, 15), 3)

    How well neighbors agree if their classes were trained on, if they were not but are
    training rows of the next step, and if they are new.

    >>> seen, crossed, later = encoder.transform(X[old]), Z, encoder.transform(X[new])
    >>> for y_true, features in [(y[old], seen), (y[old], crossed), (y[new], later)]:
    ...     print(f"{recall_at_k_score(y_true, features):.2f}")
    0.99
    0.82
    0.72
    """

    _parameter_constraints = {
        "estimator": [object],
        "cv": [object, None],
        "n_jobs": [Interval(Integral, None, None, closed="neither"), None],
    }

    def __init__(self, estimator, cv=None, *, n_jobs=None):
        self.estimator = estimator
        self.cv = cv
        self.n_jobs = n_jobs

    def fit(self, X, y, **params):
        """Train the copy that `transform` uses; training rows need `fit_transform`.

        Parameters
        ----------
        X : array-like or sparse matrix of shape (n_samples, ...)
            Training samples, as `estimator` takes them.

        y : array-like of shape (n_samples,)
            Their classes: integers, booleans or strings.

        **params : dict
            Metadata for `estimator` and the splitter, by metadata routing.

        Returns
        -------
        self : CrossFitTransformer
            Fitted transformer.
        """
        X, y, folds, params = self._start(X, y, params, "fit")
        estimator = clone(self.estimator).fit(X, y, **params["fit"])
        self._finish(estimator, len(folds), _transform(estimator, X, [0], {}).shape[1])
        return self

    def fit_transform(self, X, y, **params):
        """Fit, and transform each row with a copy that never saw its class.

        Parameters
        ----------
        X : array-like or sparse matrix of shape (n_samples, ...)
            Training samples, as `estimator` takes them.

        y : array-like of shape (n_samples,)
            Their classes: integers, booleans or strings.

        **params : dict
            Metadata for `estimator` and the splitter, by metadata routing.

        Returns
        -------
        X_new : ndarray or CSR of shape (n_samples, `n_blocks_` * `n_components_`)
            Features of each row in the block of its fold; not those of `transform`.
        """
        X, y, folds, params = self._start(X, y, params, "fit_transform")
        if len(folds) == 1:
            warnings.warn(
                "Fewer than 4 classes in `y` have 2 rows, too few for folds of "
                "classes: the features come from an estimator that has seen the "
                "classes of all rows, and look better than those of new classes will.",
                UserWarning,
                stacklevel=3,  # the caller, outside of the wrapper of `set_output`
            )
        parts = Parallel(n_jobs=self.n_jobs)(
            delayed(_cross_fit)(clone(self.estimator), X, y, train, test, params)
            for train, test in folds
        )
        estimator = clone(self.estimator).fit(X, y, **params["fit"])
        first_row = _transform(estimator, X, [0], params["transform"])
        width = max(part.shape[1] for part in [*parts, first_row])
        self._finish(estimator, len(folds), width)
        return assemble(parts, [test for _, test in folds], width)

    def transform(self, X, **params):
        """Transform new rows with the copy that was trained on all classes.

        Parameters
        ----------
        X : array-like or sparse matrix of shape (n_samples, ...)
            Samples, also of classes never seen.

        **params : dict
            Metadata for `estimator`, by metadata routing.

        Returns
        -------
        X_new : ndarray or CSR of shape (n_samples, `n_blocks_` * `n_components_`)
            Features in the first block of columns, zeros in the others.
        """
        check_is_fitted(self)
        params = self._route(params, "transform")["estimator"]["transform"]
        part = as_array(self.estimator_.transform(X, **params))
        return in_block(part, 0, self.n_blocks_, self.n_components_)

    def _start(self, X, y, params, method):
        """Check everything that can be wrong before the first fit.

        Returns
        -------
        X : indexable of length n_samples

        y : ndarray of shape (n_samples,)

        folds : list of (train, test)
            Row numbers. A single fold holds all rows in both parts: no cross fitting.

        params : dict of dict
            Metadata for each method of `estimator`.
        """
        validate_params(self)
        for needed in ("fit", "transform"):
            if isinstance(self.estimator, type) or not hasattr(self.estimator, needed):
                raise TypeError(
                    f"`estimator` must be a transformer with `fit` and `transform`. "
                    f"Got {self.estimator!r}; pass an instance, such as TCMEmbedder()."
                )
        routed = self._route(params, method)
        classes, codes = encode_labels(self, y)
        (X,) = indexable(X)
        check_consistent_length(X, codes)
        split_params = routed["splitter"]["split"]
        folds = class_folds(self.cv, X, classes, codes, split_params)
        return X, classes[codes], folds, routed["estimator"]

    def _finish(self, estimator, n_blocks, n_components):
        self.estimator_ = estimator
        self.n_blocks_ = n_blocks
        self.n_components_ = n_components
        self._n_features_out = n_blocks * n_components

    def _route(self, params, method):
        if params and not get_config()["enable_metadata_routing"]:
            raise ValueError(
                f"{type(self).__name__}.{method} got {', '.join(sorted(params))}, which "
                "metadata routing passes on, but it is switched off; use "
                "sklearn.set_config(enable_metadata_routing=True)."
            )
        return process_routing(self, method, **params)

    def get_metadata_routing(self):
        """Tell which metadata go where.

        Returns
        -------
        routing : MetadataRouter
            Of `estimator` (`fit`, `transform`) and the splitter (`split`).
        """
        of_estimator = MethodMapping().add(caller="transform", callee="transform")
        of_estimator.add(caller="fit_transform", callee="transform")
        of_splitter = MethodMapping()
        for caller in ("fit", "fit_transform"):
            of_estimator.add(caller=caller, callee="fit")
            of_splitter.add(caller=caller, callee="split")
        router = MetadataRouter(owner=self)
        router.add(estimator=self.estimator, method_mapping=of_estimator)
        return router.add(splitter=self.cv, method_mapping=of_splitter)

    @property
    def n_features_in_(self):
        """Number of features seen in `fit`."""
        return self.estimator_.n_features_in_

    @property
    def feature_names_in_(self):
        """Names of the features seen in `fit`."""
        return self.estimator_.feature_names_in_

    def __sklearn_tags__(self):
        tags = super().__sklearn_tags__()
        tags.target_tags.required = True
        if hasattr(self.estimator, "__sklearn_tags__"):
            inner = get_tags(self.estimator)
            tags.input_tags = inner.input_tags
            tags.non_deterministic = inner.non_deterministic
            if inner.transformer_tags is not None:
                tags.transformer_tags = inner.transformer_tags
        return tags


def _cross_fit(estimator, X, y, train, test, params):
    """Features of the test rows from an estimator fitted on the training rows."""
    fit_params = _params_of_rows(params["fit"], len(y), train)
    estimator.fit(_take(X, train), y[train], **fit_params)
    return _transform(estimator, X, test, params["transform"])


def _transform(estimator, X, rows, params):
    params = _params_of_rows(params, _length(X), rows)
    return as_array(estimator.transform(_take(X, rows), **params))


def _params_of_rows(params, n_samples, rows):
    """Rows of each value that has one entry a sample; other values as they are."""
    return {
        name: _take(value, rows) if _length(value) == n_samples else value
        for name, value in params.items()
    }


def _length(value):
    shape = getattr(value, "shape", None)
    if shape:
        return shape[0]
    return len(value) if isinstance(value, (list, tuple)) else None


def _take(X, rows):
    """Rows of a frame, array, sparse matrix or list."""
    if hasattr(X, "iloc"):
        return X.iloc[rows]
    return X[rows] if hasattr(X, "shape") else [X[row] for row in rows]
