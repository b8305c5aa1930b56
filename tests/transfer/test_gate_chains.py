"""Tests of gates one after the other: the smallest novelty wins."""

import numpy as np
import pytest
from extension_data import four_blobs, quick_extender
from numpy.testing import assert_allclose, assert_array_equal
from scipy.special import expit
from sklearn.datasets import make_blobs
from sklearn.linear_model import LogisticRegression

from skdeep.transfer import AdapterExtender
from skdeep.transfer._features import for_method
from skdeep.transfer._gate_chains import Link, ask_in_turn, links_of, read_turns, turn
from skdeep.transfer._pool import split_by

LINKS = (Link(np.array([1]), 0.5, 0.3), Link(np.array([0, 3]), 0.8, 0.4))


def answers_of(u):
    """Probabilities of a chain of two gates and a source of class 2, by the formula."""
    proba = []
    for values in u:
        keys = [turn(value, link.threshold) for value, link in zip(values, LINKS)]
        row, left = np.zeros(4), 1.0
        for place in np.argsort(keys):
            link = LINKS[place]
            taken = left * expit((link.threshold - values[place]) / link.width)
            row[link.places] = taken / len(link.places)
            left -= taken
        row[2] = left
        proba.append(row)
    return np.log(proba)


def test_gates_are_asked_by_their_u_and_those_that_are_passed_come_first():
    assert turn(-1.0, 0.0) < turn(-0.9, 0.5) < turn(0.1, 0.5)
    assert turn(0.4, 0.5) < turn(0.1, 0.0)  # smaller, but above its own threshold


def test_what_a_chain_has_found_can_be_read_off_its_answers():
    u = np.random.RandomState(0).normal(size=(200, 2))
    expected = np.column_stack(
        [turn(part, link.threshold) for part, link in zip(u.T, LINKS)]
    )
    assert_allclose(read_turns(answers_of(u), LINKS), expected, atol=1e-6)


def test_a_gate_takes_its_share_of_what_others_leave():
    log_old = np.log([[0.5, 0.3, 0.2], [0.5, 0.3, 0.2]])
    before = np.array([[False, False, False], [True, False, False]])
    odds = np.log([3.0, 3.0])  # three quarters
    found, log_new = ask_in_turn(log_old, odds, before)
    assert_allclose(np.exp(log_new), [0.75, 0.375])
    assert_allclose(np.exp(found), [[0.125, 0.075, 0.05], [0.5, 0.075, 0.05]])


def test_a_gate_alone_shares_as_its_odds_say():
    log_old = np.log([[0.6, 0.4]])
    found, log_new = ask_in_turn(log_old, np.array([0.7]), np.zeros((1, 2), bool))
    whole = split_by(np.append(log_old, [[0.0]], axis=1), np.array([0.7]), [0, 1], [2])
    assert_allclose(np.append(found, log_new[:, None], axis=1), whole)


@pytest.fixture(scope="module")
def chain():
    """Three gates over a source of classes 0 and 1 of five, and rows of all."""
    X, y = make_blobs(600, 3, centers=5, random_state=1, cluster_std=2.5)
    old = np.flatnonzero(y[:300] < 2)
    links = [LogisticRegression().fit(X[old], y[old])]
    for label in (2, 3, 4):
        rows = np.flatnonzero(y[:300] == label)[:15]
        link = AdapterExtender(links[-1], new_annotation="new_only", device="cpu")
        links.append(link.fit(X[rows], y[rows]))
    return links[1:], X[300:]


def novelty(extender, X):
    features, scores = for_method(extender, *extender._see(X))
    return extender._head.gate.unlikeness(features, scores)


def test_the_smallest_novelty_wins_over_all_links(chain):
    links, X = chain
    u = np.column_stack([novelty(link, X) for link in links])
    passed = u <= [link._head.gate.threshold for link in links]
    several = np.flatnonzero(passed.sum(axis=1) > 1)
    assert len(several) > 20
    smallest = np.where(passed, u, np.inf)[several].argmin(axis=1)
    assert set(smallest) == {0, 1, 2}
    found = links[-1].predict(X[several])
    assert (found == smallest + 2).mean() > 0.97  # all but ties of near certainty


def test_gates_of_a_chain_are_found_and_others_are_not(chain):
    links, _ = chain
    assert links_of(links[0]) == ()
    inner = links_of(links[2])
    assert [link.places.tolist() for link in inner] == [[2], [3]]
    assert inner[1].threshold == links[1]._head.gate.threshold
    problem = four_blobs()
    stacked = quick_extender().fit(problem.X_new, problem.y_new)
    above = AdapterExtender(stacked, new_annotation="new_only", device="cpu")
    assert links_of(above.fit(problem.X_test, [7] * 120)) == ()


def test_a_row_has_the_same_answer_in_any_company_of_a_chain(chain):
    links, X = chain
    whole = links[-1].predict_proba(X)
    assert_array_equal(links[-1].predict_proba(X[7:8]), whole[7:8])
    assert_allclose(whole.sum(axis=1), 1, rtol=1e-6)
