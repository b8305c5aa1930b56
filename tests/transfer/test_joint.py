"""Tests of the adapter and of fine-tuning on plain arrays."""

import numpy as np
import pytest
import torch
from head_data import (
    LAYOUT,
    N_CLASSES,
    accuracy,
    all_classes,
    draw,
    make_rows,
    settings,
)
from numpy.testing import assert_allclose, assert_array_equal

from skdeep.transfer._joint import fit_adapter, fit_finetune, make_joint, stacked
from skdeep.transfer._joint_modules import JointLoss
from skdeep.transfer._rows import Layout, NewRows
from skdeep.transfer._scaling import are_log_proba, learn_scaling, pad_old
from skdeep.transfer._settings import classifier_epochs
from skdeep.utils._torch import build

RNG = np.random.RandomState
FITS = [fit_adapter, fit_finetune]


def fit(method, rows, layout=LAYOUT, seed=0, **params):
    est = settings(**{"max_epochs": 30, **params})
    return est, method(est, rows, layout, RNG(seed))


@pytest.mark.parametrize("combine", ["concat", "sum"])
@pytest.mark.parametrize("hidden", [(), (7,), (7, 4)])
def test_network_without_a_step_is_the_source(combine, hidden):
    rows = make_rows(all_classes(4))
    module = build(
        lambda: make_joint(
            n_features=6,
            old=LAYOUT.old.tolist(),
            n_classes=N_CLASSES,
            hidden_layer_sizes=hidden,
            adapter_hidden_size=5,
            dropout=0.2,
            adapter_dropout=0.1,
            combine=combine,
            skip=True,
        ),
        generator=torch.Generator().manual_seed(0),
    ).eval()
    X = stacked(learn_scaling(rows.features, rows.scores), rows.features, rows.scores)
    logits = module(torch.from_numpy(X)).detach().numpy()
    centred = rows.scores - rows.scores.mean(axis=1, keepdims=True)
    assert_allclose(logits[:, LAYOUT.old], centred, atol=1e-5)
    assert_array_equal(logits[:, LAYOUT.new], 0)


@pytest.mark.parametrize("method", FITS)
def test_probabilities_sum_to_one_and_classes_are_found(method):
    rows = make_rows(all_classes(20))
    est, head = fit(method, rows, max_epochs=60)
    test = make_rows(all_classes(20), seed=1)
    log_proba = head.log_proba(est, test.features, test.scores)
    assert np.isfinite(log_proba).all()
    assert_allclose(np.exp(log_proba).sum(axis=1), 1, rtol=1e-5)
    assert accuracy(log_proba, test.codes) > 0.9


@pytest.mark.parametrize("method", FITS)
def test_a_row_has_the_same_bits_in_any_company(method):
    rows = make_rows(all_classes(6))
    est, head = fit(method, rows)
    whole = head.log_proba(est, rows.features, rows.scores)
    order = RNG(0).permutation(30)
    mixed = head.log_proba(est, rows.features[order], rows.scores[order])
    assert_array_equal(mixed, whole[order])
    alone = head.log_proba(est, rows.features[3:4], rows.scores[3:4])
    assert_array_equal(alone, whole[3:4])


@pytest.mark.parametrize("method", FITS)
def test_same_seed_same_result(method):
    rows = make_rows(all_classes(5))
    answers = []
    for _ in range(2):
        est, head = fit(method, rows, early_stopping=True)
        answers.append(head.log_proba(est, rows.features, rows.scores))
    assert_array_equal(*answers)


@pytest.mark.parametrize("method", FITS)
def test_sparse_features_are_taken(method):
    rows = make_rows(all_classes(20), sparse=True)
    est, head = fit(method, rows, max_epochs=60)
    log_proba = head.log_proba(est, rows.features, rows.scores)
    assert accuracy(log_proba, rows.codes) > 0.9


def test_combine_sum_and_hidden_layers_learn_too():
    rows = make_rows(all_classes(20))
    for params in (
        {"combine": "sum"},
        {"hidden_layer_sizes": ()},
        {"trainable": "top"},
    ):
        est, head = fit(fit_adapter, rows, max_epochs=60, **params)
        log_proba = head.log_proba(est, rows.features, rows.scores)
        assert accuracy(log_proba, rows.codes) > 0.9, params


def test_top_training_leaves_the_hidden_layers_alone():
    rows = make_rows(all_classes(5))
    est, _ = fit(fit_adapter, rows, max_epochs=1, trainable="top")
    early = est.module_.hidden[0].weight.detach().clone()
    est, _ = fit(fit_adapter, rows, max_epochs=9, trainable="top")
    assert torch.equal(est.module_.hidden[0].weight, early)


def test_one_row_of_a_new_class_and_constant_features():
    rows = make_rows([0, 0, 2, 4, 4, 1])
    flat = NewRows(np.full_like(rows.features, 3), *rows[1:])
    for part in (rows, flat):
        est, head = fit(fit_adapter, part)
        assert np.isfinite(head.log_proba(est, part.features, part.scores)).all()


def test_rows_far_outside_give_finite_answers():
    rows = make_rows(all_classes(5))
    est, head = fit(fit_adapter, rows)
    log_proba = head.log_proba(est, np.full_like(rows.features, 3e38), rows.scores)
    assert np.isfinite(log_proba).all()


def test_distillation_keeps_old_answers_without_an_old_row():
    rows = make_rows(np.repeat([1, 3], 20))
    test = make_rows(np.repeat([0, 2, 4], 20), seed=1)

    def drift(distill):
        est, head = fit(fit_adapter, rows, distill=distill)
        found = head.log_proba(est, rows.features, rows.scores)[:, LAYOUT.old]
        found = found - found.mean(axis=1, keepdims=True)
        centred = rows.scores - rows.scores.mean(axis=1, keepdims=True)
        return np.abs(found - centred).mean(), head, est

    with_it, head, est = drift(10.0)
    without = drift(0.0)[0]
    assert with_it <= without + 1e-6
    log_proba = head.log_proba(est, test.features, test.scores)[:, LAYOUT.old]
    assert accuracy(log_proba, np.repeat([1, 2, 0], 20)) > 0.9


def test_loss_counted_by_hand():
    # two old classes, one new; the source says 1/2 and 1/2, the model 3/4 and 1/4 of them
    logits = torch.log(torch.tensor([[0.6, 0.2, 0.2]]))
    target = torch.tensor([0]), torch.tensor([2.0]), torch.zeros(1, 2)
    loss, parts = JointLoss([0, 1], 0.5, 1.0)(logits, target)
    divergence = 0.5 * np.log(0.5 / 0.75) + 0.5 * np.log(0.5 / 0.25)
    assert parts["distillation"].item() == pytest.approx(2 * divergence, rel=1e-5)
    expected = 2 * (-np.log(0.6) + 0.5 * divergence)
    assert loss.item() == pytest.approx(expected, rel=1e-5)


def test_representation_holds_hidden_layer_and_adapter():
    rows = make_rows(all_classes(4))
    est, head = fit(fit_adapter, rows, adapter_hidden_size=5, hidden_layer_sizes=(7,))
    assert head.represent(est, rows.features, rows.scores).shape == (20, 12)
    assert head.gamma == pytest.approx(est.module_.gamma.value.item())


def test_source_of_one_class_is_enough():
    layout = Layout(np.array([1]), 2)
    features, _ = draw(np.repeat([0, 1], 10))
    codes = np.repeat([0, 1], 10)
    rows = NewRows(features, np.zeros((20, 1), np.float32), codes, np.ones(20, "f"))
    est, head = fit(fit_adapter, rows, layout, max_epochs=60)
    assert accuracy(head.log_proba(est, features, rows.scores), codes) > 0.9


def test_scores_are_put_into_the_columns_of_their_classes():
    padded = pad_old(np.array([[1.0, 2.0, 3.0]]), LAYOUT)
    assert_array_equal(padded, [[2, 0, 3, 0, 1]])


def test_logs_of_probabilities_are_told_from_decision_values():
    _, scores = draw(all_classes(3))
    assert are_log_proba(scores)
    assert not are_log_proba(scores + 1)
    assert not are_log_proba(-np.abs(scores) - 1)


def test_constant_features_have_no_weight():
    features = np.array([[1.0, 5.0], [3.0, 5.0]], np.float32)
    scaling = learn_scaling(features, np.zeros((2, 2), np.float32))
    scaled = scaling.features(np.array([[2.0, 9.0], [3.0, 5.0]], np.float32))
    assert_allclose(scaled, [[0, 0], [2**-0.5, 0]])


@pytest.mark.parametrize(
    ("n_rows", "expected"), [(1, 60), (320, 60), (640, 32), (1000, 20), (10**5, 15)]
)
def test_many_rows_need_fewer_epochs(n_rows, expected):
    # 320 steps of 64 rows
    assert classifier_epochs(settings(), n_rows) == expected
    assert classifier_epochs(settings(max_epochs=7), n_rows) == 7
    assert classifier_epochs(settings(batch_size=n_rows), n_rows) == 60
