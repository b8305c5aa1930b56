"""What happens when a fit is stopped, diverges, or runs out of memory.

Identifiers such as R501 name a promise.
"""

import os
import pickle
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest
import sklearn
import torch
from estimators import CASES, IDS, answers, assert_same_answers, assert_valid_answers
from refusals import assert_refused
from sklearn.base import clone
from sklearn.exceptions import FitFailedWarning, NotFittedError
from sklearn.model_selection import GridSearchCV
from skorch.callbacks import Callback

from skdeep.exceptions import DivergedError


@pytest.fixture(scope="module", params=CASES, ids=IDS)
def case(request):
    return request.param


class Raise(Callback):
    """Raise an error at an event of the training."""

    def __init__(self, error, event="on_batch_end", epoch=2):
        self.error = error
        self.event = event
        self.epoch = epoch

    def notify(self, event, net):
        if event == self.event and len(net.history) >= self.epoch:
            raise self.error

    def on_train_begin(self, net, **kwargs):
        self.notify("on_train_begin", net)

    def on_batch_end(self, net, **kwargs):
        self.notify("on_batch_end", net)

    def on_epoch_end(self, net, **kwargs):
        self.notify("on_epoch_end", net)

    def on_train_end(self, net, **kwargs):
        self.notify("on_train_end", net)


EVENTS = ["on_train_begin", "on_batch_end", "on_epoch_end", "on_train_end"]
ERRORS = [KeyboardInterrupt(), SystemExit(3), RuntimeError("no luck"), MemoryError()]


def failing_fit(estimator, X, y, error, event):
    epoch = 0 if event == "on_train_begin" else 2
    estimator.set_params(callbacks=[Raise(error, event, epoch)])
    with pytest.raises(type(error)) as caught:
        estimator.fit(X, y)
    assert caught.value is error
    estimator.set_params(callbacks=None)


@pytest.mark.parametrize("event", EVENTS)
@pytest.mark.parametrize("error", ERRORS, ids=lambda error: type(error).__name__)
def test_R501_stopped_refit_leaves_the_old_model_bit_for_bit(case, error, event):
    X, y, rows = case.make_data()
    estimator = case.new().fit(X, y)
    before, attributes = pickle.dumps(estimator), vars(estimator).copy()
    failing_fit(estimator, X[:, ::-1], y, error, event)
    assert vars(estimator) == attributes
    assert pickle.dumps(estimator) == before
    expected = case.fitted()
    assert_same_answers(answers(estimator, rows), answers(expected, rows))
    assert_same_answers(answers(estimator.fit(X, y), rows), answers(expected, rows))


@pytest.mark.parametrize("event", EVENTS)
def test_R501_stopped_first_fit_leaves_an_unfitted_estimator(case, event):
    X, y, rows = case.make_data()
    estimator = case.new()
    failing_fit(estimator, X, y, KeyboardInterrupt(), event)
    with pytest.raises(NotFittedError):
        answers(estimator, rows)
    assert vars(estimator).keys() == vars(case.new()).keys()
    assert_same_answers(
        answers(estimator.fit(X, y), rows), answers(case.fitted(), rows)
    )


@pytest.mark.parametrize("how", ["fit", "partial_fit"])
def test_R501_stopped_continuation_leaves_the_old_model(case, how):
    if "warm_start" not in case.estimator.get_params() or not hasattr(
        case.estimator, how
    ):
        pytest.skip("cannot go on")
    X, y, rows = case.make_data()
    estimator = case.new(warm_start=True).fit(X, y)
    before = answers(estimator, rows)
    weights = pickle.dumps(estimator)
    estimator.set_params(callbacks=[Raise(KeyboardInterrupt(), "on_epoch_end", 1)])
    with pytest.raises(KeyboardInterrupt):
        getattr(estimator, how)(X, y)
    estimator.set_params(callbacks=None)
    assert_same_answers(answers(estimator, rows), before)
    assert pickle.dumps(estimator) == weights


def test_R501_interrupt_stops_a_grid_search(case):
    X, y, _ = case.make_data()
    stop = Raise(KeyboardInterrupt(), epoch=1)
    search = GridSearchCV(case.new(callbacks=[stop]), {"lr": [1e-3, 1e-2]}, cv=2)
    with pytest.raises(KeyboardInterrupt):
        search.fit(X, y)
    assert not hasattr(search, "cv_results_")


INTERRUPTED = """
import os, pickle, sys, time
import numpy as np, torch
torch.set_num_threads(1)
from estimators import CASES, answers, assert_same_answers
from skorch.callbacks import Callback

class Tell(Callback):
    def on_batch_begin(self, net, **kwargs):
        if not self.told:
            self.told = True
            sys.stdout.write("training\\n")
            sys.stdout.flush()

(case,) = (case for case in CASES if case.id == sys.argv[1])
X, y, rows = case.make_data()
estimator = case.new().fit(X, y)
before = answers(estimator, rows)
tell = Tell()
tell.told = False
estimator.set_params(max_epochs=10**6, callbacks=[tell])
try:
    estimator.fit(X, y)
except KeyboardInterrupt:
    sys.stdout.write("interrupted\\n")
    sys.stdout.flush()
    assert_same_answers(answers(estimator, rows), before)
    estimator.set_params(max_epochs=case.estimator.max_epochs, callbacks=None)
    assert_same_answers(answers(estimator.fit(X, y), rows), before)
    os._exit(7)
"""


@pytest.mark.slow
def test_R501_ctrl_c_arrives_within_about_a_second(case):
    folder = Path(__file__).parent
    path = os.pathsep.join([str(folder), str(folder.parent)])
    child = subprocess.Popen(
        [sys.executable, "-c", INTERRUPTED, case.id],
        env={**os.environ, "PYTHONPATH": path, "OMP_NUM_THREADS": "1"},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    try:
        assert child.stdout.readline() == "training\n"
        time.sleep(0.5)
        start = time.monotonic()
        child.send_signal(signal.SIGINT)
        assert child.stdout.readline() == "interrupted\n"
        # one second, and one more for a machine that is busy with other tests
        assert time.monotonic() - start < 2
        _, errors = child.communicate(timeout=60)
        assert child.returncode == 7, errors
    finally:
        child.kill()
        child.communicate()


def test_R510_failed_refit_on_bad_data_leaves_the_old_model(case):
    X, y, rows = case.make_data()
    estimator = case.fitted()
    before = answers(estimator, rows)
    for bad_X, bad_y in ((X * np.nan, y), (X, y[:-1]), (X[:1], y[:1]), (X * 1e300, y)):
        assert_refused(estimator, lambda: estimator.fit(bad_X, bad_y))  # noqa: B023
    assert_same_answers(answers(estimator, rows), before)


BAD_POINTS = {
    "refused": ({"lr": [1e-2, -1.0]}, 1),
    "diverging": ({"lr": [1e-2, 1e18], "optimizer": ["sgd"]}, 1),
    "in front": ({"max_epochs": [0, 2]}, 0),
}


@pytest.mark.parametrize("row", BAD_POINTS)
def test_R510_bad_grid_point_scores_nan_and_leaves_the_others(row, case):
    if row == "diverging" and not case.diverges:
        pytest.skip("does not diverge")
    X, y, _ = case.make_data()
    grid, bad = BAD_POINTS[row]
    search = GridSearchCV(case.new(), grid, cv=2, error_score=np.nan)
    with (
        pytest.warns(FitFailedWarning, match="2 fits failed"),
        pytest.warns(UserWarning, match="non-finite"),
    ):
        search.fit(X, y)
    scores = search.cv_results_["mean_test_score"]
    assert np.isnan(scores[bad])
    good = {
        name: [values[-1 - bad if len(values) > 1 else 0]]
        for name, values in grid.items()
    }
    alone = GridSearchCV(case.new(), good, cv=2).fit(X, y)
    assert scores[1 - bad] == alone.cv_results_["mean_test_score"][0]
    assert search.best_index_ == 1 - bad


@pytest.mark.slow
def test_R510_bad_grid_point_is_the_same_with_two_processes(case):
    X, y, _ = case.make_data()
    scores = []
    for n_jobs in (1, 2):
        search = GridSearchCV(case.new(), {"lr": [1e-2, -1.0]}, cv=2, n_jobs=n_jobs)
        with (
            pytest.warns(FitFailedWarning, match="2 fits failed"),
            pytest.warns(UserWarning, match="non-finite"),
        ):
            scores.append(search.fit(X, y).cv_results_["mean_test_score"])
    np.testing.assert_array_equal(*scores)


def diverging(case, **params):
    return case.new(lr=1e18, optimizer="sgd", **params)


def test_R512_diverging_loss_is_an_error_that_names_place_and_remedy(case):
    if not case.diverges:
        pytest.skip("does not diverge")
    X, y, rows = case.make_data()
    estimator = diverging(case)
    message = assert_refused(
        estimator,
        lambda: estimator.fit(X, y),
        r"loss became (nan|inf|-inf)",
        r"epoch \d",
        r"batch \d",
        r"lr=1e\+?18",
        "Lower `lr`",
        "scale X",
        "max_grad_norm",
        error=DivergedError,
    )
    assert "\n" not in message
    with pytest.raises(NotFittedError):
        answers(estimator, rows)


def test_R512_diverging_refit_leaves_the_old_model(case):
    if not case.diverges:
        pytest.skip("does not diverge")
    X, y, rows = case.make_data()
    estimator = case.fitted()
    before = answers(estimator, rows)
    estimator.set_params(lr=1e18, optimizer="sgd")
    with pytest.raises(DivergedError):
        estimator.fit(X, y)
    assert_same_answers(answers(estimator, rows), before)


class Spoil(Callback):
    """Make one weight NaN at the end of an epoch, as a silent numerical fault would."""

    def on_epoch_end(self, net, **kwargs):
        with torch.no_grad():
            next(net.module_.parameters()).view(-1)[0] = np.nan


def test_R512_spoilt_weights_are_noticed_in_the_next_batch(case):
    X, y, _ = case.make_data()
    with pytest.raises(DivergedError, match="epoch 2, batch 1"):
        case.new(callbacks=[Spoil()]).fit(X, y)


def test_R512_weights_spoilt_by_the_last_step_are_noticed_too(case):
    X, y, _ = case.make_data()
    with pytest.raises(ValueError, match="NaN|nan|inf"):
        case.new(callbacks=[Spoil()], max_epochs=1).fit(X, y)


@pytest.mark.parametrize("scale", [1e6, 1e-6])
def test_R512_unscaled_samples_give_finite_answers(scale, case):
    X, y, rows = case.make_data()
    estimator = case.new().fit(X * scale, y)
    assert_valid_answers(estimator, rows * scale, len(rows))


class Full(torch.nn.Module):
    """Network that runs out of memory with more rows than a number."""

    limit = 10**9

    def __init__(self, n_outputs=4):
        super().__init__()
        self.layer = torch.nn.Linear(5, n_outputs)

    def forward(self, X):
        if len(X) > self.limit:
            raise torch.OutOfMemoryError("the accelerator is full")
        return self.layer(X)


def test_R513_answers_come_in_smaller_slices_when_memory_is_short(case, monkeypatch):
    if "module" not in case.estimator.get_params():
        pytest.skip("takes no network")
    X, y, rows = case.make_data()
    rows = np.tile(rows, (200, 1))
    estimator = case.new(module=Full).fit(X, y)
    expected = answers(estimator, rows)
    for limit in (3000, 100, 8):
        monkeypatch.setattr(Full, "limit", limit)
        found = answers(estimator, rows)
        for name in found:
            np.testing.assert_allclose(
                found[name], expected[name], rtol=1e-5, atol=1e-6
            )
    monkeypatch.setattr(Full, "limit", 7)
    with pytest.raises(torch.OutOfMemoryError):
        answers(estimator, rows)


def test_R513_fit_out_of_memory_gives_advice(case, monkeypatch):
    if "module" not in case.estimator.get_params():
        pytest.skip("takes no network")
    X, y, _ = case.make_data()
    monkeypatch.setattr(Full, "limit", 8)
    estimator = case.new(module=Full)
    with pytest.raises(torch.OutOfMemoryError) as caught:
        estimator.fit(X, y)
    notes = getattr(caught.value, "__notes__", [])
    advice = " ".join([str(caught.value), *notes])
    assert "batch" in advice
    assert vars(estimator).keys() == vars(clone(estimator)).keys()


def test_R508_working_memory_changes_no_bit(case):
    X, y, rows = case.make_data()
    rows = np.tile(rows, (50, 1))
    expected = answers(case.fitted(), rows)
    with sklearn.config_context(working_memory=1):
        assert_same_answers(answers(case.new().fit(X, y), rows), expected)
