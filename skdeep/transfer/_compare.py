"""Ways to teach a model new classes, side by side."""

import time

import numpy as np
from sklearn.base import clone
from sklearn.utils import check_random_state

from skdeep.metrics import extension_scores
from skdeep.metrics._extension import old_classes_of
from skdeep.transfer._extender import AdapterExtender
from skdeep.transfer._modes import resolve_mode
from skdeep.transfer._new_data import check_classes
from skdeep.transfer._source_kinds import source_classes

_COLUMNS = ("old", "new", "all", "harmonic", "source_old", "forgetting")

# the published grid for taggers; for classifiers what there is
TAGGER_METHODS = {
    "fine-tuning, top": {"method": "finetune", "trainable": "top"},
    "fine-tuning": {"method": "finetune"},
    "adapter, top": {"method": "adapter", "trainable": "top"},
    "adapter": {"method": "adapter"},
}
CLASSIFIER_METHODS = {
    "fine-tuning": {"method": "finetune", "skip_connection": False, "distill": 0.0},
    "source-skip": {"method": "finetune", "distill": 0.0},
    "adapter": {"method": "adapter"},
    "stacking": {"method": "stacking"},
    "gate": {"method": "gate"},
    "auto": {"method": "auto"},
}


def compare_extensions(
    estimator,
    X,
    y,
    X_test,
    y_test,
    *,
    methods=None,
    X_unlabeled=None,
    classes=None,
    random_state=None,
):
    """Extend a model in several ways, and measure what each gains and forgets.

    Parameters
    ----------
    estimator : object
        Fitted model, as for `AdapterExtender`; or an unfitted `AdapterExtender` around
        it, of which all have the other parameters.

    X : object of length n_samples
        New rows, or sentences.

    y : array-like of shape (n_samples,) or list of lists of str
        Their labels or tags.

    X_test : object of length n_test
        Other rows, of old and new classes.

    y_test : array-like of shape (n_test,) or list of lists of str
        Their labels or tags.

    methods : sequence of str or dict of str to dict, default=None
        Names for `method` of the extender, or names of your own with parameters of the
        extender. None is a choice of them; a gate is among it if X has new classes
        alone.

    X_unlabeled : object of length n_unlabeled, default=None
        Rows without a label, for all of them.

    classes : array-like of shape (n_classes,), default=None
        As in `fit` of `AdapterExtender`: names of the source's outputs, in their order,
        if it has no ``classes_``, such as a ``torch.nn.Module``.

    random_state : int, RandomState instance or None, default=None
        Seeds each extender alike.

    Returns
    -------
    rows : list of dict
        The source alone and each method: ``"name"``; ``"old"``, ``"new"``, ``"all"``,
        ``"harmonic"``, ``"source_old"`` and ``"forgetting"`` as in
        `skdeep.metrics.extension_scores`; ``"seconds"`` of processor time of the fit.
        ``pandas.DataFrame(rows)`` makes a table of it.

    See Also
    --------
    skdeep.metrics.extension_report : One extender, with a table of the classes.
    skdeep.metrics.ExtensionDisplay : A picture.

    Notes
    -----
    One fit and one prediction for each method. What is chosen by its result here has
    been chosen on the test data; measure it on others.

    Examples
    --------
    >>> import numpy as np
    >>> from sklearn.datasets import load_digits
    >>> from sklearn.linear_model import LogisticRegression
    >>> from skdeep.transfer import compare_extensions
    >>> X, y = load_digits(return_X_y=True)
    >>> X = X / 16
    >>> known = np.flatnonzero(y[:800] < 8)
    >>> source = LogisticRegression().fit(X[known], y[known])
    >>> rows = compare_extensions(
    ...     source, X[800:1000], y[800:1000], X[1000:], y[1000:], methods=["stacking"]
    ... )
    >>> [row["name"] for row in rows]
    ['source', 'stacking']
    >>> rows[0]["new"], rows[1]["new"] > 0.6
    (0.0, True)
    """
    for name, labels in {"y": y, "y_test": y_test}.items():
        if labels is None:
            raise ValueError(f"`{name}` is None; give the labels or tags of all rows.")
    classes = check_classes(classes)
    check_random_state(random_state)  # refuses what is none
    extender = estimator
    if not isinstance(extender, AdapterExtender) or hasattr(extender, "classes_"):
        extender = AdapterExtender(estimator)
    seed = random_state
    if not isinstance(seed, (int, np.integer, type(None))):
        seed = int(seed.randint(2**31 - 1))
    fits = {}
    for name, params in resolve_methods(methods, extender, X, y, classes).items():
        fits[name] = clone(extender).set_params(**{"random_state": seed, **params})
    rows = []
    for name, model in fits.items():
        start = time.process_time()
        model.fit(X, y, X_unlabeled=X_unlabeled, classes=classes)
        seconds = time.process_time() - start
        source_pred = model.predict_source(X_test)
        old = old_classes_of(model, y_test)
        if not rows:
            scores = extension_scores(y_test, source_pred, old, source_pred)
            rows.append(_row("source", scores, 0.0))
        scores = extension_scores(y_test, model.predict(X_test), old, source_pred)
        rows.append(_row(name, scores, seconds))
    return rows


def resolve_methods(methods, extender, X, y, classes=None):
    """Parameters of each extender that is to be compared, by name.

    Parameters
    ----------
    methods : sequence of str, dict of str to dict, or None
        As the caller gave them.

    extender : AdapterExtender
        Unfitted.

    X, y : object
        New data.

    classes : array-like or None, default=None
        Names of the source's outputs, if it does not tell them.

    Returns
    -------
    methods : dict of str to dict
    """
    if isinstance(methods, str):
        raise ValueError(
            f"`methods` must be a list or a dict; got the str {methods!r}."
        )
    if methods is not None:
        if not len(methods):
            raise ValueError("`methods` is empty; name one method or more.")
        if isinstance(methods, dict):
            for name, params in methods.items():
                if not isinstance(params, dict):
                    raise ValueError(
                        f"`methods` must give a dict of parameters for {name!r}; got "
                        f"{type(params).__name__}."
                    )
            return methods
        return {name: {"method": name} for name in methods}
    if resolve_mode(extender, X, y) == "sequence":
        return TAGGER_METHODS
    known = set(source_classes(extender.estimator, classes).tolist())
    if known.isdisjoint(np.asarray(y).tolist()):
        return {
            name: {"new_annotation": "new_only", **params}
            for name, params in CLASSIFIER_METHODS.items()
            if name in ("fine-tuning", "adapter", "gate")
        }
    return {
        name: params for name, params in CLASSIFIER_METHODS.items() if name != "gate"
    }


def _row(name, scores, seconds):
    return {"name": name, **{key: scores[key] for key in _COLUMNS}, "seconds": seconds}
