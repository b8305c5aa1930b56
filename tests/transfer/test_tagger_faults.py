"""Wrong parameters of SequenceTagger, and trainings that are stopped or diverge."""

import copy
import inspect
import os
import pickle
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest
from numpy.testing import assert_array_equal
from refusals import assert_refused, forbid_training
from sklearn.exceptions import NotFittedError
from sklearn.model_selection import GridSearchCV
from skorch.callbacks import Callback
from tagging_data import X_NEW, X_OLD, Y_OLD, quick_tagger

from skdeep.base import BaseDeepEstimator
from skdeep.exceptions import DivergedError, InvalidParameterError
from skdeep.transfer import SequenceTagger
from skdeep.utils._params import StrOptions

X_TEST = [*X_NEW[:3], [], ["Blue"], ["unheard", "of"]]


@pytest.fixture(scope="module")
def fitted():
    """A fitted tagger; tests must not change it."""
    return quick_tagger().fit(X_OLD, Y_OLD)


@pytest.fixture(scope="module")
def expected(fitted):
    return fitted.predict_marginals(X_TEST)


def assert_answers(tagger, expected):
    for one, other in zip(tagger.predict_marginals(X_TEST), expected):
        assert_array_equal(one, other)


WRONG = {
    "object": object(),
    "text": "nonsense",
    "NaN": float("nan"),
    "-1": -1,
    "minus infinity": -np.inf,
    "bytes": b"1",
    "complex": 1j,
    "set": {1, 2},
    "list of None": [None],
}
# skorch itself tells what a callback is
LEGAL = {("callbacks", "list of None")}
CASES = [
    (name, kind)
    for name in SequenceTagger().get_params()
    for kind in WRONG
    if (name, kind) not in LEGAL
]


@pytest.mark.parametrize(("name", "kind"), CASES, ids=map("-".join, CASES))
def test_wrong_parameter_is_refused_by_name(name, kind, fitted, monkeypatch):
    forbid_training(monkeypatch)
    tagger = copy.copy(fitted).set_params(**{name: WRONG[kind]})
    message = assert_refused(
        tagger,
        lambda: tagger.fit(X_OLD, Y_OLD),
        rf"(?<!\w){name}(?!\w)",
        error=InvalidParameterError,
    )
    options = {
        option
        for rule in SequenceTagger._parameter_constraints[name]
        if isinstance(rule, StrOptions)
        for option in rule.options
    }
    assert all(repr(option) in message for option in options)


def test_every_parameter_has_a_rule_and_no_rule_is_left_over():
    names = set(SequenceTagger().get_params())
    assert names <= set(SequenceTagger._parameter_constraints)
    own = set(SequenceTagger._parameter_constraints)
    assert own - names <= set(BaseDeepEstimator._parameter_constraints)
    SequenceTagger()._validate_params()


def test_parameters_are_stored_as_they_are():
    for name in inspect.signature(SequenceTagger).parameters:
        token = object()
        assert getattr(SequenceTagger(**{name: token}), name) is token


def test_neither_path_is_no_tagger(monkeypatch):
    forbid_training(monkeypatch)
    tagger = quick_tagger(wide=False, deep=False)
    assert_refused(
        tagger,
        lambda: tagger.fit(X_OLD, Y_OLD),
        "wide=False and deep=False",
        error=InvalidParameterError,
    )


def test_values_of_numpy_are_as_good_as_those_of_python(expected):
    kinds = {int: np.int64, float: np.float64, str: np.str_, bool: np.bool_}
    params = {
        name: kinds[type(value)](value)
        for name, value in quick_tagger().get_params().items()
        if type(value) in kinds
    }
    tagger = SequenceTagger(**params).fit(X_OLD, Y_OLD)
    assert_answers(tagger, expected)


@pytest.mark.parametrize("how", ["generator", "random state"])
def test_random_state_of_every_kind_is_taken(how, expected):
    state = {"generator": np.random.RandomState(0), "random state": np.int64(0)}[how]
    assert_answers(quick_tagger(random_state=state).fit(X_OLD, Y_OLD), expected)


class Raise(Callback):
    """Raise an error at an event of the training."""

    def __init__(self, error, event):
        self.error, self.event = error, event

    def on_train_begin(self, net, **kwargs):
        self.notify_of("on_train_begin")

    def on_batch_end(self, net, **kwargs):
        if len(net.history) >= 2:
            self.notify_of("on_batch_end")

    def on_epoch_end(self, net, **kwargs):
        self.notify_of("on_epoch_end")

    def on_train_end(self, net, **kwargs):
        self.notify_of("on_train_end")

    def notify_of(self, event):
        if event == self.event:
            raise self.error


EVENTS = ["on_train_begin", "on_batch_end", "on_epoch_end", "on_train_end"]


@pytest.mark.parametrize("event", EVENTS)
@pytest.mark.parametrize("warm_start", [False, True])
@pytest.mark.parametrize("error", [KeyboardInterrupt(), RuntimeError("no luck")])
def test_R501_stopped_refit_leaves_the_old_tagger_bit_for_bit(error, event, warm_start):
    tagger = quick_tagger(warm_start=warm_start).fit(X_OLD, Y_OLD)
    before, attributes = pickle.dumps(tagger), vars(tagger).copy()
    tagger.set_params(callbacks=[Raise(error, event)])
    with pytest.raises(type(error)) as caught:
        tagger.fit(X_OLD[:5], Y_OLD[:5])
    assert caught.value is error
    tagger.set_params(callbacks=None)
    assert vars(tagger) == attributes
    assert pickle.dumps(tagger) == before


def test_R501_stopped_first_fit_leaves_an_unfitted_tagger():
    tagger = quick_tagger(callbacks=[Raise(KeyboardInterrupt(), "on_batch_end")])
    with pytest.raises(KeyboardInterrupt):
        tagger.fit(X_OLD, Y_OLD)
    with pytest.raises(NotFittedError):
        tagger.predict(X_OLD)
    assert vars(tagger).keys() == tagger.get_params().keys()


def test_R501_interrupt_stops_a_search():
    stop = Raise(KeyboardInterrupt(), "on_epoch_end")
    search = GridSearchCV(quick_tagger(callbacks=[stop]), {"lr": [1e-3, 1e-2]}, cv=2)
    with pytest.raises(KeyboardInterrupt):
        search.fit(X_OLD, Y_OLD)
    assert not hasattr(search, "cv_results_")


INTERRUPTED = """
import sys
import torch
torch.set_num_threads(1)
from skorch.callbacks import Callback
from tagging_data import X_OLD, Y_OLD, quick_tagger

class Tell(Callback):
    told = False
    def on_batch_begin(self, net, **kwargs):
        if not self.told:
            self.told = True
            sys.stdout.write("training\\n")
            sys.stdout.flush()

tagger = quick_tagger().fit(X_OLD, Y_OLD)
before = tagger.predict(X_OLD)
tagger.set_params(max_epochs=10**6, callbacks=[Tell()])
try:
    tagger.fit(X_OLD, Y_OLD)
except KeyboardInterrupt:
    assert tagger.predict(X_OLD) == before
    sys.stdout.write("interrupted\\n")
"""


@pytest.mark.slow
def test_R501_ctrl_c_arrives():
    folder = Path(__file__).parent
    path = os.pathsep.join([str(folder), str(folder.parents[1])])
    child = subprocess.Popen(
        [sys.executable, "-c", INTERRUPTED],
        env={**os.environ, "PYTHONPATH": path, "OMP_NUM_THREADS": "1"},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    try:
        assert child.stdout.readline() == "training\n"
        time.sleep(0.5)
        child.send_signal(signal.SIGINT)
        assert child.stdout.readline() == "interrupted\n"
        _, errors = child.communicate(timeout=60)
        assert child.returncode == 0, errors
    finally:
        child.kill()
        child.communicate()


@pytest.mark.parametrize("warm_start", [False, True])
def test_R512_diverging_training_is_an_error_and_leaves_the_old_tagger(warm_start):
    tagger = quick_tagger(warm_start=warm_start).fit(X_OLD, Y_OLD)
    tagger.set_params(lr=1e30, crf_lr=1e30, optimizer="sgd", max_grad_norm=None)
    assert_refused(
        tagger,
        lambda: tagger.fit(X_OLD, Y_OLD),
        "epoch",
        "lr",
        error=DivergedError,
    )


def test_R512_weights_of_the_wide_path_that_diverge_are_noticed():
    tagger = quick_tagger(deep=False, wide_lr=1e38, max_epochs=1)
    assert_refused(tagger, lambda: tagger.fit(X_OLD, Y_OLD), error=DivergedError)
