"""All orders of the labels side by side, with the same network and budget."""

import time
from numbers import Integral

from sklearn.base import clone
from sklearn.utils import check_consistent_length, check_random_state

from skdeep.metrics import ndcg_at_k_score, precision_at_k_score
from skdeep.multilabel._chain import DynamicChainClassifier
from skdeep.multilabel._labels import indicator_matrix
from skdeep.multilabel._orders import ORDERS
from skdeep.multilabel._tuning import example_f1

_OF_ANY_ORDER = ("permutation", "mixed")  # values of `training`


def _ranking_metric(score, k):
    return lambda truth, sets, scores: score(truth, scores, k=k)


METRICS = {
    "subset accuracy": lambda truth, sets, scores: (sets == truth).all(1).mean(),
    "example F1": lambda truth, sets, scores: example_f1(truth, sets),
    **{f"P@{k}": _ranking_metric(precision_at_k_score, k) for k in (1, 3, 5)},
    **{f"nDCG@{k}": _ranking_metric(ndcg_at_k_score, k) for k in (3, 5)},
}


class Comparison(list):
    """List of dicts with the same keys, printed as a table."""

    def __repr__(self):
        if not self:
            return "[]"
        lines = [list(self[0]), *([_text(v) for v in row.values()] for row in self)]
        widths = [max(map(len, column)) for column in zip(*lines)]
        return "\n".join(
            "  ".join([line[0].ljust(widths[0]), *map(str.rjust, line[1:], widths[1:])])
            for line in lines
        )


def _text(value):
    return f"{value:.3f}" if isinstance(value, float) else str(value)


def compare_orders(
    X,
    Y,
    X_test,
    Y_test,
    *,
    orders=ORDERS,
    metrics=tuple(METRICS),
    estimator=None,
    random_state=0,
):
    """Fit one network with every order of the labels, and measure each.

    Parameters
    ----------
    X : {array-like, sparse matrix} of shape (n_samples, n_features)
        Rows to learn from.

    Y : {array-like, sparse matrix} of shape (n_samples, n_labels)
        Their sets, as an indicator matrix.

    X_test : {array-like, sparse matrix} of shape (n_test_samples, n_features)
        Rows to measure on.

    Y_test : {array-like, sparse matrix} of shape (n_test_samples, n_labels)
        Their sets.

    orders : sequence, default=("frequent", "rare", "random", "instance_random", \
            "dynamic")
        Values of the parameter `order`; None is the network without a chain.

    metrics : sequence of str, or dict, default=("subset accuracy", "example F1", \
            "P@1", "P@3", "P@5", "nDCG@3", "nDCG@5")
        What to measure: some of these names; or a dict, name -> function
        ``metric(Y_true, Y_pred, scores) -> float`` of arrays of shape (n_test_samples,
        n_labels), the first two boolean.

    estimator : DynamicChainClassifier or None, default=None
        All its other parameters hold for each order, but that orders which are given
        are learned by ``training="permutation"`` where its own is for "dynamic" alone.
        None takes the defaults.

    random_state : int, RandomState instance or None, default=0
        Seeds each fit alike.

    Returns
    -------
    rows : list of dict
        For each order: "order", the value of each metric by its name, and "seconds" of
        CPU time. It prints as a table; ``pandas.DataFrame(rows)`` makes one to go on
        with.

    See Also
    --------
    skdeep.metrics.LabelOrderDisplay : See the order that was used.

    Examples
    --------
    >>> from sklearn.datasets import make_multilabel_classification
    >>> from skdeep.multilabel import DynamicChainClassifier, compare_orders
    >>> X, Y = make_multilabel_classification(300, n_classes=4, random_state=0)
    >>> chain = DynamicChainClassifier(max_epochs=3, hidden_size=32)
    >>> rows = compare_orders(X[:200], Y[:200], X[200:], Y[200:], estimator=chain)
    >>> [row["order"] for row in rows]
    ['frequent', 'rare', 'random', 'instance_random', 'dynamic']
    >>> print(rows)  # doctest: +SKIP
    order            subset accuracy  example F1    P@1  ...  seconds
    frequent                   0.410       0.732  0.890  ...    1.204
    """
    metrics = _checked_metrics(metrics)
    estimator = DynamicChainClassifier() if estimator is None else estimator
    truth = indicator_matrix(Y_test).toarray() > 0
    check_consistent_length(X_test, truth)
    n_labels = indicator_matrix(Y).shape[1]
    if truth.shape[1] != n_labels:
        raise ValueError(
            f"Y_test has {truth.shape[1]} labels, but Y has {n_labels}; give both the "
            "same columns."
        )
    if not isinstance(random_state, Integral):  # one seed for all fits
        random_state = check_random_state(random_state).randint(2**31 - 1)
    rows = Comparison()
    for order in [orders] if isinstance(orders, str) else orders:
        start = time.process_time()
        chain = clone(estimator).set_params(order=order, random_state=random_state)
        is_given = not (isinstance(order, str) and order == "dynamic")
        if is_given and estimator.training not in _OF_ANY_ORDER:
            chain.set_params(training="permutation")
        chain.fit(X, Y)
        sets = indicator_matrix(chain.predict(X_test)).toarray() > 0
        scores = chain.predict_proba(X_test)
        seconds = time.process_time() - start
        found = {
            name: float(metric(truth, sets, scores)) for name, metric in metrics.items()
        }
        rows.append({"order": order, **found, "seconds": seconds})
    return rows


def _checked_metrics(metrics):
    """Metrics as a dict, name -> function."""
    if isinstance(metrics, dict):
        wrong = [name for name, metric in metrics.items() if not callable(metric)]
        if wrong:
            raise TypeError(
                f"`metrics` holds {metrics[wrong[0]]!r} for {wrong[0]!r}; give a function "
                "metric(Y_true, Y_pred, scores)."
            )
        return metrics
    metrics = [metrics] if isinstance(metrics, str) else list(metrics)
    wrong = [name for name in metrics if name not in METRICS]
    if wrong:
        raise ValueError(
            f"`metrics` holds {wrong[0]!r}; give names out of {list(METRICS)}, or a dict "
            "of functions."
        )
    return {name: METRICS[name] for name in metrics}
