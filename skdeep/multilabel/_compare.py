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
RANKING_METRICS = {
    "P@1": (precision_at_k_score, 1),
    "P@3": (precision_at_k_score, 3),
    "P@5": (precision_at_k_score, 5),
    "nDCG@3": (ndcg_at_k_score, 3),
    "nDCG@5": (ndcg_at_k_score, 5),
}


def compare_orders(
    X, Y, X_test, Y_test, *, orders=ORDERS, estimator=None, random_state=0
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

    estimator : DynamicChainClassifier or None, default=None
        All its other parameters hold for each order, but that orders which are given
        are learned by ``training="permutation"`` where its own is for "dynamic" alone.
        None takes the defaults.

    random_state : int, RandomState instance or None, default=0
        Seeds each fit alike.

    Returns
    -------
    rows : list of dict
        For each order: "order", the "subset accuracy" and "example F1" of the sets,
        "P@1", "P@3", "P@5", "nDCG@3", "nDCG@5" of the scores, and "seconds" of CPU time.
        ``pandas.DataFrame(rows)`` makes a table of it.

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
    """
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
    rows = []
    for order in [orders] if isinstance(orders, str) else orders:
        start = time.process_time()
        chain = clone(estimator).set_params(order=order, random_state=random_state)
        is_given = not (isinstance(order, str) and order == "dynamic")
        if is_given and estimator.training not in _OF_ANY_ORDER:
            chain.set_params(training="permutation")
        chain.fit(X, Y)
        sets = indicator_matrix(chain.predict(X_test)).toarray() > 0
        scores = chain.predict_proba(X_test)
        rows.append(
            {
                "order": order,
                "subset accuracy": float((sets == truth).all(1).mean()),
                "example F1": example_f1(truth, sets),
                **{
                    name: float(metric(truth, scores, k=k))
                    for name, (metric, k) in RANKING_METRICS.items()
                },
                "seconds": time.process_time() - start,
            }
        )
    return rows
