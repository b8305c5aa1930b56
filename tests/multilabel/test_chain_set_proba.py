"""Probability of a set: the sum over its orders, and its estimate."""

import copy

import numpy as np
import pytest
import scipy.sparse as sp
import torch
from numpy.testing import assert_allclose, assert_array_equal
from tiny_chains import (
    N_FEATURES,
    all_sets,
    few_rows,
    indicator,
    make_inference,
    random_net,
    random_rows,
    set_probabilities,
    small,
)

from skdeep.multilabel import _set_proba
from skdeep.multilabel._set_proba import log_set_proba


def of_every_set(nets, x, n_labels, limits=None, **options):
    """Log-probability of all sets of one row."""
    sets = all_sets(n_labels)
    X = x.float().expand(len(sets), N_FEATURES).numpy()
    options = {"limits": limits or (0, n_labels), **options}
    inference = make_inference(nets, **options)
    with torch.no_grad():
        return log_set_proba(inference, X, sp.csr_array(indicator(sets, n_labels)))


@pytest.mark.parametrize("joint", [True, False])
@pytest.mark.parametrize("limits", [(0, 3), (1, 2), (2, 3)])
def test_set_probability_is_the_sum_over_the_orders(joint, limits):
    nets = [random_net(3, seed=seed) for seed in range(2)]
    for x in random_rows(2):
        found = np.exp(of_every_set(nets, x, 3, limits, joint=joint))
        expected = set_probabilities(nets, x, joint, limits)
        assert_allclose(
            found, [expected.get(labels, 0) for labels in all_sets(3)], atol=1e-6
        )


@pytest.mark.parametrize("n_labels", [1, 3, 5])
@pytest.mark.parametrize("joint", [True, False])
def test_probabilities_of_all_sets_add_up_to_one(n_labels, joint):
    nets = [random_net(n_labels, seed=seed) for seed in range(2)]
    found = of_every_set(nets, random_rows(1)[0], n_labels, joint=joint)
    assert np.exp(found).sum() == pytest.approx(1, abs=1e-5)


def test_estimate_for_large_sets_is_close_to_the_sum_over_all_orders(monkeypatch):
    nets, X = [random_net(6, spread=0.3)], random_rows(3).float().numpy()
    Y = sp.csr_array(np.ones((3, 6), dtype=np.int64))
    inference = make_inference(nets, n_draws=2000)
    with torch.no_grad():
        estimate = log_set_proba(inference, X, Y)
        monkeypatch.setattr(_set_proba, "_N_EXACT", 6)
        exact = log_set_proba(inference, X, Y)
    assert_allclose(estimate, exact, atol=0.1)
    assert (estimate != exact).all()


def test_estimate_is_right_on_average_however_few_the_draws(monkeypatch):
    nets, x = [random_net(6, spread=0.3)], random_rows(1).float()
    X = x.expand(2000, -1).numpy()
    Y = sp.csr_array(np.ones((2000, 6), dtype=np.int64))
    with torch.no_grad():
        found = log_set_proba(make_inference(nets, n_draws=2), X, Y)
        monkeypatch.setattr(_set_proba, "_N_EXACT", 6)
        exact = log_set_proba(make_inference(nets), X[:1], Y[:1])
    found = np.exp(found)
    error = found.std() / len(found) ** 0.5
    assert abs(found.mean() - np.exp(exact[0])) < 3 * error
    assert error < 0.1 * found.mean()


def test_sets_beyond_the_limits_are_impossible():
    nets = [random_net(7)]
    Y = sp.csr_array(indicator([range(7), range(2), range(3), ()], 7))
    X = random_rows(4).float().numpy()
    with torch.no_grad():
        found = log_set_proba(make_inference(nets, limits=(1, 2)), X, Y)
    assert np.isneginf(found).tolist() == [True, False, True, True]


@pytest.fixture(scope="module")
def data():
    return few_rows(60, 4)


@pytest.fixture(scope="module", params=[True, False], ids=["joint", "apart"])
def fitted(request, data):
    joint = request.param
    return small(joint_decoding=joint, min_labels=0, max_labels=4).fit(*data)


def all_rows_and_sets(X, n_labels):
    sets = indicator(all_sets(n_labels), n_labels)
    return np.repeat(X, len(sets), axis=0), np.tile(sets, (len(X), 1))


def test_fitted_probabilities_of_all_sets_add_up_to_one(fitted, data):
    found = fitted.log_set_proba(*all_rows_and_sets(data[0][:5], 4))
    assert found.dtype == np.float64
    assert_allclose(np.exp(found).reshape(5, -1).sum(1), 1, atol=1e-5)


def test_set_probabilities_keep_the_order_of_the_rows(fitted, data):
    X, Y = all_rows_and_sets(data[0][:3], 4)
    found = fitted.log_set_proba(X, Y)
    order = np.random.RandomState(0).permutation(len(X))
    assert_allclose(fitted.log_set_proba(X[order], Y[order]), found[order], rtol=1e-6)


@pytest.mark.parametrize("kind", [sp.csr_matrix, sp.csc_array, sp.lil_array])
def test_set_probabilities_take_sparse_sets(fitted, data, kind):
    X, Y = data[0][:9], data[1][:9]
    assert_array_equal(fitted.log_set_proba(X, kind(Y)), fitted.log_set_proba(X, Y))


def test_drawn_sets_come_as_often_as_their_probability_says(fitted, data):
    X, n_draws = data[0][:2], 4000
    drawn = fitted.sample_labels(X, n_draws, random_state=0).toarray()
    codes = (drawn @ [8, 4, 2, 1]).reshape(2, n_draws)
    rows, sets = all_rows_and_sets(X, 4)
    proba = np.exp(fitted.log_set_proba(rows, sets)).reshape(2, -1)
    for row in range(2):
        counts = np.bincount(codes[row], minlength=16)[sets[:16] @ [8, 4, 2, 1]]
        error = np.sqrt(proba[row] * (1 - proba[row]) / n_draws)
        assert (np.abs(counts / n_draws - proba[row]) < 4.5 * error + 1e-6).all()


def permute_labels(estimator, order):
    """The same model for labels in another order of their columns."""
    estimator = copy.deepcopy(estimator)
    module, stop = estimator.module_, [*order, len(order)]
    with torch.no_grad():
        for net in module.members:
            net.embedding.copy_(net.embedding[order])
            net.output_weight.copy_(net.output_weight[stop])
            net.output_bias.copy_(net.output_bias[stop])
            if net.has_head:
                net.head_weight.copy_(net.head_weight[order])
                net.head_bias.copy_(net.head_bias[order])
        if module.look is not None:
            module.look.weight.copy_(module.look.weight[:, order])
            module.look.bias.copy_(module.look.bias[order])
    return estimator


@pytest.mark.parametrize("first_look", ["ridge", None])
@pytest.mark.parametrize("joint", [True, False])
def test_order_of_the_label_columns_means_nothing(data, first_look, joint):
    params = {"first_look": first_look, "joint_decoding": joint}
    fitted = small(min_labels=0, max_labels=4, **params).fit(*data)
    order = [2, 0, 3, 1]
    permuted = permute_labels(fitted, order)
    X, Y = all_rows_and_sets(data[0][:5], 4)
    assert_allclose(
        permuted.log_set_proba(X, Y[:, order]), fitted.log_set_proba(X, Y), rtol=1e-4
    )
    for proba in ("path", "position", "head", "beam"):
        one = fitted.set_decision("beam", proba=proba).predict_proba(data[0])
        other = permuted.set_decision("beam", proba=proba).predict_proba(data[0])
        assert_allclose(other, one[:, order], atol=1e-5)
    for decision in ("greedy", "beam", "f1", "marginal"):
        one = fitted.set_decision(decision).predict(data[0])
        other = permuted.set_decision(decision).predict(data[0])
        assert_array_equal(other, one[:, order])
