"""A set whose best order depends on the row: no fixed chain of hard decisions wins.

Rows are of two kinds. For the first kind label 0 is easy and label 1 hard: of 50 rows
24 have both labels, 13 label 0 alone, 13 none. Who decides on label 0 first takes it
(37 of 50), and then takes label 1 (24 of 37): the likeliest set. Who decides on label 1
first leaves it out (24 of 50), and has lost. For the second kind the labels have changed
their roles.
"""

import numpy as np
import pytest
from sklearn.multioutput import ClassifierChain
from sklearn.tree import DecisionTreeClassifier
from tiny_chains import small

COUNTS = {(1, 1): 24, (1, 0): 13, (0, 0): 13}
BEST = 24 / 50  # the likeliest set of each kind
FIXED = (24 + 13) / 100  # of the other kind, no order gets more


@pytest.fixture(scope="module")
def toy():
    easy_first = np.repeat(list(COUNTS), list(COUNTS.values()), axis=0)
    Y = np.concatenate([easy_first, easy_first[:, ::-1]])
    X = np.repeat(np.eye(2), 50, axis=0)
    return X, Y


@pytest.fixture(scope="module")
def dynamic(toy):
    estimator = small(
        training="permutation",
        first_look=None,
        proba="path",
        threshold=0.5,
        max_epochs=40,
        batch_size=100,
        lr=0.05,
        dropout=0.0,
        input_dropout=0.0,
    )
    return estimator.fit(*toy)


@pytest.mark.parametrize("order", [[0, 1], [1, 0]])
def test_chain_of_hard_decisions_loses_one_kind_of_rows(toy, order):
    X, Y = toy
    exact = DecisionTreeClassifier(random_state=0)  # knows all frequencies
    chain = ClassifierChain(exact, order=order).fit(X, Y)
    assert (chain.predict(X) == Y).all(1).mean() == FIXED


def test_labels_each_by_itself_lose_both_kinds(toy):
    X, Y = toy
    found = DecisionTreeClassifier(random_state=0).fit(X, Y).predict(X)
    assert (found == Y).all(1).mean() == 13 / 50


@pytest.mark.parametrize("decision", ["greedy", "beam"])
@pytest.mark.parametrize("joint", [True, False])
def test_dynamic_order_reaches_the_best_set_of_both_kinds(
    toy, dynamic, decision, joint
):
    X, Y = toy
    dynamic.set_decision(decision, joint_decoding=joint)
    assert (dynamic.predict(X) == Y).all(1).mean() == BEST > FIXED


def test_order_found_for_each_kind_has_its_easy_label_first(toy, dynamic):
    dynamic.set_decision("beam", joint_decoding=True)
    (first, _), (second, _) = dynamic.predict_order(toy[0][[0, -1]])
    assert first.tolist() == [0, 1]
    assert second.tolist() == [1, 0]


def test_set_probabilities_are_the_shares_of_the_sets(toy, dynamic):
    dynamic.set_decision("beam", min_labels=0)
    sets = np.array(list(COUNTS))
    for row, columns in ((0, [0, 1]), (-1, [1, 0])):
        X = np.repeat(toy[0][[row]], len(sets), axis=0)
        found = np.exp(dynamic.log_set_proba(X, sets[:, columns]))
        expected = np.array(list(COUNTS.values())) / 50
        np.testing.assert_allclose(found, expected, atol=0.05)
