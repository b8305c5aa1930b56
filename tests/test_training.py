"""What steers a training: rates, schedules, clipping, optimizers and their arguments."""

import math

import numpy as np
import pytest
import torch
from estimators import CASES, IDS
from refusals import assert_refused, forbid_training
from skorch.callbacks import Callback

from skdeep import TCMEmbedder
from skdeep.exceptions import InvalidParameterError


@pytest.fixture(scope="module", params=CASES, ids=IDS)
def case(request):
    return request.param


class Rates(Callback):
    """Write down the learning rates of each step."""

    def __init__(self):
        self.rates_ = []
        self.starts_ = []

    def on_train_begin(self, net, X=None, y=None, **kwargs):
        self.starts_.append(len(self.rates_))

    def on_batch_begin(self, net, batch=None, training=False, **kwargs):
        if training:
            groups = net.optimizer_.param_groups
            self.rates_.append([group["lr"] for group in groups])


def rates_of(case, **params):
    """Learning rates of each step, one array for each of the trainings of a fit."""
    rates = Rates()
    case.fitted(callbacks=[rates], **params)
    assert len(rates.starts_) == len(case.earlier) + len(case.stages)
    return np.split(np.array(rates.rates_), rates.starts_[1:])


def test_learning_rate_is_constant_without_schedule(case):
    for rates in rates_of(case, lr=0.02, lr_schedule=None):
        assert (rates == rates[0]).all()
        assert 0.02 in rates


def test_linear_schedule_falls_to_zero_after_the_last_step(case):
    for part in rates_of(case, lr=0.02, lr_schedule="linear"):
        rates, n_steps = part.max(axis=1), len(part)
        expected = [rates[0] * (1 - step / n_steps) for step in range(n_steps)]
        np.testing.assert_allclose(rates, expected, rtol=1e-12)


def test_cosine_schedule_is_half_a_cosine(case):
    for part in rates_of(case, lr=0.02, lr_schedule="cosine"):
        rates, n_steps = part.max(axis=1), len(part)
        expected = [
            rates[0] * (1 + math.cos(math.pi * step / n_steps)) / 2
            for step in range(n_steps)
        ]
        np.testing.assert_allclose(rates, expected, rtol=1e-12)


def test_class_vectors_learn_faster_than_the_network(blobs):
    rates = Rates()
    TCMEmbedder(
        "proxy_anchor",
        4,
        hidden_layer_sizes=(4,),
        max_epochs=1,
        lr=0.001,
        lr_schedule=None,
        loss_lr_multiplier=7.0,
        callbacks=[rates],
        device="cpu",
    ).fit(*blobs)
    np.testing.assert_allclose(sorted(rates.rates_[0]), [0.001, 0.007])


class Steps(Callback):
    """Write down how far the weights move in each step."""

    def __init__(self):
        self.lengths_ = []

    def weights(self, net):
        parts = [weight.detach().flatten() for weight in net.module_.parameters()]
        return torch.cat(parts).double()

    def on_batch_begin(self, net, batch=None, training=False, **kwargs):
        self.before_ = self.weights(net)

    def on_batch_end(self, net, batch=None, training=False, **kwargs):
        self.lengths_.append((self.weights(net) - self.before_).norm().item())


def step_lengths(case, **params):
    steps = Steps()
    settings = {"lr": 1.0, "lr_schedule": None, "weight_decay": 0.0, "optimizer": "sgd"}
    case.fitted(callbacks=[steps], **{**settings, **params})
    return np.array(steps.lengths_)


def test_max_grad_norm_bounds_each_step(case):
    free = step_lengths(case, max_grad_norm=None)
    bound = free.max() / 10
    clipped = step_lengths(case, max_grad_norm=float(bound))
    assert clipped.max() <= bound * (1 + 1e-3)
    assert clipped.max() >= bound * 0.99


def test_arguments_of_the_optimizer_are_passed_on(case):
    plain = step_lengths(case)
    pushed = step_lengths(case, optimizer_params={"momentum": 0.9})
    assert plain[0] == pushed[0]  # momentum needs a step before
    assert not np.allclose(plain[1:], pushed[1:])


@pytest.mark.parametrize("optimizer", ["adam", "adamw", "sgd", torch.optim.RMSprop])
def test_optimizers_by_name_and_by_class(optimizer, case):
    estimator = case.fitted(optimizer=optimizer, lr=1e-3)
    kind = {"adam": "Adam", "adamw": "AdamW", "sgd": "SGD"}.get(optimizer, "RMSprop")
    assert type(estimator.net_.optimizer_).__name__ == kind


def test_arguments_of_skorch_are_passed_on_last(case):
    estimator = case.fitted(net_params={"optimizer__weight_decay": 0.5})
    assert all(
        group["weight_decay"] == 0.5 for group in estimator.net_.optimizer_.param_groups
    )


BAD_SETTINGS = {
    "unknown name": (
        {"optimizer_params": {"moment": 0.9}},
        "optimizer_params",
        "moment",
    ),
    "name of another optimizer": (
        {"optimizer": "adam", "optimizer_params": {"momentum": 0.9}},
        "optimizer_params",
        "momentum",
    ),
    "value of a wrong type": (
        {"optimizer": "adam", "optimizer_params": {"betas": "fast"}},
        "optimizer_params",
    ),
    "value out of range": (
        {"optimizer": "adam", "optimizer_params": {"betas": (2.0, 2.0)}},
        "optimizer_params",
        "beta",
    ),
    "unknown argument of skorch": ({"net_params": {"speed": 3}}, "net_params", "speed"),
    "unknown device of skorch": (
        {"net_params": {"optimizer__speed": 3}},
        "net_params",
        "speed",
    ),
    "name that is no text": ({"net_params": {3: 3}}, "net_params"),
    "optimizer that is none": ({"optimizer": dict}, "optimizer"),
    "network twice": (
        {"net_params": {"module": torch.nn.Linear}},
        "net_params",
        "module",
    ),
}


@pytest.mark.parametrize("row", BAD_SETTINGS)
def test_bad_settings_are_refused_by_name(row, case, monkeypatch):
    forbid_training(monkeypatch)
    X, y, _ = case.make_data()
    params, *words = BAD_SETTINGS[row]
    estimator = case.new(**params)
    assert_refused(
        estimator, lambda: estimator.fit(X, y), *words, error=InvalidParameterError
    )
