"""The fit of the extender: from any state and mode to the one that does the work."""

from skdeep.transfer._adopting import (
    adopt_source,
    be_the_source,
    fit_source,
    fitted_copy,
)
from skdeep.transfer._extending import extend_source
from skdeep.transfer._features import settle_features
from skdeep.transfer._modes import resolve_mode
from skdeep.transfer._new_data import check_classes, read_new_data
from skdeep.transfer._sentences import check_list
from skdeep.transfer._source_kinds import check_fitted
from skdeep.transfer._sources import without_tensors
from skdeep.utils._torch import resolve_device
from skdeep.utils._validation import encode_labels


def fit_extender(est, X, y, X_unlabeled, sample_weight, classes, *, go_on=False):
    """Fit an extender.

    Parameters
    ----------
    est : AdapterExtender
        Gets the fitted attributes.

    X, y, X_unlabeled, sample_weight, classes : object
        What `fit` or `partial_fit` was called with.

    go_on : bool, default=False
        Whether the new data are added to those of earlier calls.
    """
    if go_on and est.method_ != "source" and not hasattr(est, "_seen"):
        raise ValueError(
            "partial_fit needs the new data of the earlier calls, which a copy or pickle "
            "of an extender does not hold. Set warm_start=True before the first call to "
            "keep them; or use `extend`, which takes the model as it is."
        )
    if y is None:
        encode_labels(est, y)  # refuses it before anything else
    classes = check_classes(classes)
    X, X_unlabeled = without_tensors(X), without_tensors(X_unlabeled)
    mode = est.mode_ if go_on else resolve_mode(est, X, y)
    est.mode_ = mode
    est.device_ = resolve_device(est.device)
    if not est.prefit and not go_on and X_unlabeled is not None:
        raise ValueError(
            "With prefit=False the first call fits the source, which takes no "
            "X_unlabeled; pass it to partial_fit, with the new classes."
        )
    if mode == "sequence":
        _fit_tagger(est, X, y, X_unlabeled, sample_weight, classes, go_on)
        return
    est._fit_data = X, y  # for callbacks that score
    if not go_on:
        if not est.prefit:
            fit_source(est, X, y, sample_weight, classes)
            del est._fit_data
            return
        adopt_source(est, est.estimator, classes)
        settle_features(est, X)
    seen = read_new_data(
        est, X, y, X_unlabeled, sample_weight, classes, reset=not go_on
    )
    earlier = est._seen if go_on and hasattr(est, "_seen") else None
    if earlier is not None:
        seen = earlier.plus(seen)
    extend_source(est, seen, quiet=earlier is not None)
    del est._fit_data


def _fit_tagger(est, X, y, X_unlabeled, sample_weight, classes, go_on):
    """Fit in sequence mode; the sentences of earlier calls come first."""
    from skdeep.transfer._sequence_mode import fit_sequence

    if not go_on and not est.prefit:
        est.estimator_ = fitted_copy(est.estimator, X, y, sample_weight)
        est.base_classes_ = est.estimator_.classes_
        be_the_source(est)
        est._seen = est._named = None
        return
    if sample_weight is not None:
        raise ValueError(
            "A tagger takes no sample_weight; repeat the sentences that are to count "
            "more."
        )
    if not go_on:
        check_fitted(est.estimator)
        est.estimator_ = est.estimator
        est._named = None if classes is None else classes.astype(str)
    seen = [
        check_list(X, "X", "sentences, lists of tokens"),
        check_list(y, "y", "tag lists, one a sentence"),
        X_unlabeled,
    ]
    if X_unlabeled is not None:
        seen[2] = check_list(X_unlabeled, "X_unlabeled", "sentences, lists of tokens")
    earlier = getattr(est, "_seen", None) if go_on else None
    if earlier is not None:
        check_same_pool(earlier[2], seen[2])
        seen = [
            None if old is None else [*old, *new] for old, new in zip(earlier, seen)
        ]
    X, y, X_unlabeled = seen
    fit_sequence(est, est.estimator_, X, y, X_unlabeled=X_unlabeled)
    est._seen = seen


def check_same_pool(earlier, pool):
    """Refuse sentences without tags in one call of partial_fit and not in another."""
    if (earlier is None) != (pool is None):
        raise ValueError(
            "`X_unlabeled` was given to one call of partial_fit and not to another; "
            "give it to all of them or to none."
        )


def make_extension(*, part, **module_args):
    """Make the network of either mode from the arguments recorded at its fit.

    Parameters
    ----------
    part : {"classifier", "sequence"}
        Mode.

    **module_args : dict
        Arguments of the function that makes the network.

    Returns
    -------
    module : torch.nn.Module
    """
    if part == "classifier":
        from skdeep.transfer._joint import make_joint

        return make_joint(**module_args)
    from skdeep.transfer._sequence_mode import make_sequence

    return make_sequence(**module_args)
