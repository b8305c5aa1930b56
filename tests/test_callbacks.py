"""Callbacks of scikit-learn and of skorch, the history, and what steers a training."""

import copy
import logging
import pickle
import threading

import numpy as np
import pytest
import rich.console
import torch
from estimators import CASES, IDS, answers, assert_same_answers
from refusals import assert_refused, forbid_training
from sklearn.callback import ProgressBar, ScoringMonitor
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import GridSearchCV
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from skorch import NeuralNet
from skorch.callbacks import Callback, EarlyStopping, EpochScoring
from skorch.helper import predefined_split
from torch.utils.data import TensorDataset

from skdeep import TCMEmbedder
from skdeep._engine import KeepBest, Net, TensorBatches, run
from skdeep.exceptions import InvalidParameterError


@pytest.fixture(scope="module", params=CASES, ids=IDS)
def case(request):
    return request.param


def own_score(estimator, X, y):
    return estimator.score(X, y)


def score_monitor():
    # scikit-learn 1.9.1 cannot log a single score that has no name
    return ScoringMonitor(scoring={"score": own_score})


# callbacks of scikit-learn


def test_progress_bar_shows_the_estimator_and_all_epochs(case, capsys):
    X, y, _ = case.make_data()
    threads = set(threading.enumerate())
    estimator = case.new().set_callbacks(ProgressBar())
    estimator.fit(X, y)
    assert all(thread.daemon for thread in set(threading.enumerate()) - threads)
    shown = capsys.readouterr().out
    assert case.name in shown
    assert "100%" in shown


def test_listening_changes_no_bit_and_leaves_no_data_in_the_model(case, capsys):
    X, y, rows = case.make_data()
    estimator = case.new().set_callbacks(ProgressBar(), score_monitor())
    estimator.fit(X, y)
    assert_same_answers(answers(estimator, rows), answers(case.fitted(), rows))
    leftovers = [name for name in vars(estimator) if "_callback" in name]
    assert leftovers == ["_skl_callbacks"]
    names = [type(callback).__name__ for _, callback in estimator.net_.callbacks_]
    assert "SklearnBridge" not in names
    estimator.set_callbacks()
    content = pickle.dumps(estimator)
    assert not any(row.tobytes() in content for row in X)


def test_scoring_monitor_logs_one_row_an_epoch(case):
    X, y, _ = case.make_data()
    monitor = score_monitor()
    estimator = case.new().set_callbacks(monitor).fit(X, y)
    log = monitor.get_logs()
    assert log.estimator_name == case.name
    epochs = [row for row in log.data if row["task_name"] == "epoch"]
    assert [row["task_id"] for row in epochs] == list(range(estimator.n_iter_))
    assert epochs[-1]["score"] == pytest.approx(estimator.score(X, y))
    assert len(log.data) == estimator.n_iter_ + 1
    assert len(log.data_as_pandas) == len(log.data)


def weight_norm(estimator, X=None, y=None):
    """Length of all weights, of an estimator of ours or of a net of skorch."""
    with torch.no_grad():
        parts = [weight.flatten() for weight in estimator.module_.parameters()]
        return torch.cat(parts).norm().item()


def test_scoring_monitor_sees_the_model_of_its_epoch(case):
    X, y, _ = case.make_data()
    norm = EpochScoring(weight_norm, name="norm", on_train=True, use_caching=False)
    monitor = ScoringMonitor(scoring={"norm": weight_norm})
    estimator = case.new(callbacks=[norm]).set_callbacks(monitor).fit(X, y)
    logged = [
        row["norm"] for row in monitor.get_logs().data if row["task_name"] == "epoch"
    ]
    assert len(set(logged)) == len(logged) == estimator.n_iter_
    # skorch hears of the part that is being trained
    if len(case.stages) == 1 and not case.earlier:
        assert logged == [epoch["norm"] for epoch in estimator.history_]


def pipeline_of(estimator):
    """A pipeline around a transformer, or in front of a classifier."""
    if hasattr(estimator, "transform"):
        return make_pipeline(StandardScaler(), estimator, LogisticRegression())
    return make_pipeline(StandardScaler(), estimator)


def test_callbacks_of_a_pipeline_reach_the_estimator(case, capsys, monkeypatch):
    # room for long names, whatever terminal an earlier test has found
    monkeypatch.setattr(rich, "_console", rich.console.Console(width=200))
    X, y, _ = case.make_data()
    monitor = score_monitor()
    pipeline = pipeline_of(case.new().set_callbacks(monitor))
    pipeline.set_callbacks(ProgressBar()).fit(X, y)
    shown = capsys.readouterr().out
    assert "Pipeline" in shown
    assert case.name in shown
    log = monitor.get_logs()
    assert log.estimator_name == "Pipeline"
    assert len(log.data) == case.n_epochs() + 1


@pytest.mark.parametrize("n_jobs", [1, pytest.param(2, marks=pytest.mark.slow)])
def test_callbacks_of_a_grid_search_reach_all_fits(n_jobs, case, capsys):
    X, y, _ = case.make_data()
    monitor = score_monitor()
    search = GridSearchCV(
        case.new(max_epochs=2).set_callbacks(monitor),
        {"lr": [1e-3, 1e-2]},
        cv=2,
        n_jobs=n_jobs,
    )
    search.set_callbacks(ProgressBar()).fit(X, y)
    shown = capsys.readouterr().out
    assert "GridSearchCV" in shown
    # four fits and the refit, with their epochs and an end each
    assert len(monitor.get_logs().data) == 5 * (case.n_epochs(2) + 1)
    assert "_parent_callback_ctx" not in vars(search.best_estimator_)


class Listener:
    """Callback of scikit-learn that writes down what it hears, and may stop or fail."""

    def __init__(self, stop_after=None, fail_after=None):
        self.heard = []
        self.stop_after = stop_after
        self.fail_after = fail_after

    def setup(self, estimator, context):
        self.heard.append("setup")

    def teardown(self, estimator, context):
        self.heard.append("teardown")

    def on_fit_task_begin(self, estimator, context):
        self.heard.append(f"begin {context.task_name}")

    def on_fit_task_end(self, estimator, context, *, X, y, fitted_estimator):
        self.heard.append(f"end {context.task_name}")
        self.data = X, y
        self.fitted = fitted_estimator
        n_epochs = self.heard.count("end epoch")
        if n_epochs == self.fail_after:
            raise RuntimeError("no luck")
        return context.task_name == "epoch" and n_epochs == self.stop_after


def test_tasks_come_in_order(case):
    X, y, rows = case.make_data()
    listener = Listener()
    estimator = case.new(max_epochs=2).set_callbacks(listener).fit(X, y)
    epochs = ["begin epoch", "end epoch"] * case.n_epochs(2)
    assert listener.heard == ["setup", "begin fit", *epochs, "end fit", "teardown"]
    assert listener.data[0] is X
    assert listener.data[1] is y
    assert_same_answers(answers(listener.fitted, rows), answers(estimator, rows))


def test_callback_may_stop_the_training(case):
    X, y, rows = case.make_data()
    listener = Listener(stop_after=2)
    estimator = case.new(max_epochs=9).set_callbacks(listener).fit(X, y)
    # it stops one of several trainings
    n_epochs = 2 + case.n_epochs(9) - 9 * case.stages[0]
    assert estimator.n_iter_ == len(estimator.history_) == n_epochs
    assert listener.heard[-2:] == ["end fit", "teardown"]
    assert_same_answers(answers(listener.fitted, rows), answers(estimator, rows))


def test_failing_callback_is_torn_down_and_the_old_model_stays(case):
    X, y, rows = case.make_data()
    estimator = case.fitted()
    before = answers(estimator, rows)
    listener = Listener(fail_after=1)
    estimator.set_callbacks(listener)
    attributes = vars(estimator).copy()
    with pytest.raises(RuntimeError, match="no luck"):
        estimator.fit(X, y)
    assert listener.heard[-1] == "teardown"
    assert vars(estimator) == attributes
    assert_same_answers(answers(estimator, rows), before)


def test_refused_input_starts_no_callback(case):
    X, y, _ = case.make_data()
    listener = Listener()
    estimator = case.new().set_callbacks(listener)
    with pytest.raises(ValueError, match="NaN"):
        estimator.fit(X * np.nan, y)
    assert "begin epoch" not in listener.heard
    assert listener.heard in ([], ["setup", "teardown"])


# callbacks of skorch


class Recorder(Callback):
    """Write down each event, with the side it is of."""

    def __init__(self):
        self.events_ = []

    def on_train_begin(self, net, X=None, y=None, **kwargs):
        self.events_.append("train begin")

    def on_train_end(self, net, X=None, y=None, **kwargs):
        self.events_.append("train end")

    def on_epoch_begin(self, net, dataset_train=None, dataset_valid=None, **kwargs):
        self.events_.append(("epoch begin", dataset_valid is not None))

    def on_epoch_end(self, net, dataset_train=None, dataset_valid=None, **kwargs):
        keys = {key for key in net.history[-1] if key in ("train_loss", "valid_loss")}
        self.events_.append(("epoch end", sorted(keys)))

    def on_batch_begin(self, net, batch=None, training=False, **kwargs):
        self.events_.append(("batch begin", training, len(batch[0])))

    def on_batch_end(self, net, batch=None, training=False, **kwargs):
        names = sorted(name for name in kwargs if name in ("loss", "y_pred"))
        self.events_.append(("batch end", training, *names))

    def on_grad_computed(
        self, net, named_parameters, X=None, y=None, training=False, **kw
    ):
        self.events_.append(("grad", training, len(list(named_parameters))))


@pytest.fixture(scope="module")
def tensors():
    rng = np.random.RandomState(0)
    X = rng.randn(25, 3).astype(np.float32)
    return X, rng.randn(25, 2).astype(np.float32)


@pytest.mark.parametrize("with_valid", [True, False])
def test_engine_calls_what_skorch_calls_in_the_same_order(with_valid, tensors):
    X, y = tensors
    module, losses, events = torch.nn.Linear(3, 2), [], []
    settings = {"criterion": torch.nn.MSELoss, "max_epochs": 3, "lr": 0.1, "verbose": 0}
    valid = TensorDataset(*map(torch.tensor, (X[20:], y[20:])))
    plain = NeuralNet(
        copy.deepcopy(module),
        batch_size=8,
        train_split=predefined_split(valid) if with_valid else None,
        callbacks=[Recorder()],
        **settings,
    )
    plain.fit(X[:20], y[:20])
    ours = Net(copy.deepcopy(module), callbacks=[Recorder()], **settings).initialize()
    batches = [TensorBatches(X[:20], y[:20], 8), TensorBatches(X[20:], y[20:], 8)]
    run(ours, batches[0], batches[1] if with_valid else None, 3, [])
    for net in (plain, ours):
        (recorder,) = (c for _, c in net.callbacks_ if isinstance(c, Recorder))
        events.append(recorder.events_)
        losses.append([epoch["train_loss"] for epoch in net.history])
        losses.append(net.module_.weight.detach().tolist())
    theirs, mine = (
        # skorch's scoring callbacks record the losses after the user's callbacks ran
        [event[0] if event[0] == "epoch end" else event for event in found]
        for found in events
    )
    assert mine == theirs
    assert len(mine) == 2 + 3 * (2 + 3 * 3 + 2 * with_valid)
    # theirs is a mean over rows, ours over batches; the weights are the same
    assert losses[3] == losses[1]


def test_callbacks_of_the_user_hear_the_training(case):
    X, y, rows = case.make_data()
    recorder = Recorder()
    estimator = case.new(callbacks=[recorder]).fit(X, y)
    events = recorder.events_
    assert events[0] == "train begin"
    assert events[-1] == "train end"
    assert events.count(("epoch begin", False)) == case.n_heard()
    n_batches = sum(event[0] == "batch begin" for event in events)
    assert n_batches % case.estimator.max_epochs == 0
    assert ("batch end", True, "loss", "y_pred") in events
    assert_same_answers(answers(estimator, rows), answers(case.fitted(), rows))


def test_callbacks_with_names_are_taken_too(case):
    recorder = Recorder()
    case.fitted(callbacks=[("recorder", recorder)])
    assert recorder.events_[-1] == "train end"
    assert_refused(
        case.new(),
        lambda: case.fitted(callbacks=["recorder"]),
        "callbacks",
        error=InvalidParameterError,
    )


class StubbornStopping(EarlyStopping):
    """Subclass of a callback that cannot be used here."""


@pytest.mark.parametrize(
    "callback",
    [EarlyStopping(), ("stop", EarlyStopping()), StubbornStopping(), EarlyStopping],
    ids=["instance", "with a name", "subclass", "class"],
)
def test_early_stopping_of_skorch_is_refused_with_the_way_out(
    callback, case, monkeypatch
):
    forbid_training(monkeypatch)
    X, y, _ = case.make_data()
    estimator = case.new(callbacks=[callback])
    assert_refused(
        estimator,
        lambda: estimator.fit(X, y),
        "EarlyStopping",
        "callbacks",
        "early_stopping=True",
        error=InvalidParameterError,
    )


def test_callback_of_the_caller_is_not_changed_by_clones(case):
    recorder = Recorder()
    X, y, _ = case.make_data()
    GridSearchCV(case.new(callbacks=[recorder], max_epochs=1), {"lr": [0.1]}, cv=2).fit(
        X, y
    )
    assert recorder.events_ == []


# history


def test_history_has_a_row_an_epoch_with_plain_finite_numbers(case):
    estimator = case.fitted()
    n_epochs = case.n_epochs()
    assert len(estimator.history_) == n_epochs
    assert estimator.n_iter_ == estimator.best_epoch_ == n_epochs
    for number, epoch in enumerate(estimator.history_, 1):
        assert epoch["epoch"] == number
        assert epoch["seconds"] >= 0
        assert all(type(value) in (int, float) for value in epoch.values())
        assert np.isfinite(list(epoch.values())).all()
    assert estimator.validation_scores_ == []


def test_history_of_the_embedder_has_the_parts_of_its_loss(blobs):
    settings = {"max_epochs": 2, "hidden_layer_sizes": (4,), "device": "cpu"}
    weights = {"tcm_weight": 0.5, "tcm_pos_weight": 2.0, "tcm_neg_weight": 0.3}
    embedder = TCMEmbedder(random_state=0, tcm_warmup=0.0, **weights, **settings)
    embedder.fit(*blobs)
    for epoch in embedder.history_:
        tcm = 2 * epoch["train_tcm_pos"] + 0.3 * epoch["train_tcm_neg"]
        assert epoch["train_loss"] == pytest.approx(
            epoch["train_base_loss"] + 0.5 * tcm, rel=1e-5
        )
        assert 0 <= epoch["train_hard_pos"] <= 1
        assert 0 <= epoch["train_hard_neg"] <= 1
    plain = TCMEmbedder(random_state=0, tcm_weight=0, **settings).fit(*blobs)
    assert "train_tcm_pos" not in plain.history_[0]
    for epoch in plain.history_:
        assert epoch["train_loss"] == pytest.approx(epoch["train_base_loss"])


def test_verbose_goes_to_the_logger_if_one_listens(case, capfd, caplog):
    with caplog.at_level(logging.INFO, logger="skdeep"):
        case.fitted(verbose=1)
    assert len(caplog.records) == case.n_heard()
    assert f"[{case.name}] epoch=1 " in caplog.text
    assert "train_loss=" in caplog.text
    assert capfd.readouterr().err == ""


def test_epochs_of_a_fit_that_goes_on_are_counted_on_in_the_log(blobs, caplog):
    embedder = TCMEmbedder(max_epochs=2, warm_start=True, verbose=1, device="cpu")
    with caplog.at_level(logging.INFO, logger="skdeep"):
        embedder.fit(*blobs).fit(*blobs)
    starts = [record.getMessage().split()[1] for record in caplog.records]
    assert starts == [f"epoch={number}" for number in (1, 2, 3, 4)]


class Constant(torch.nn.Module):
    """One weight that a test moves by hand."""

    def __init__(self):
        super().__init__()
        self.weight = torch.nn.Parameter(torch.zeros(1))


class Watched:
    """Stands in for a net: a module and a history."""

    def __init__(self):
        self.module_ = Constant()
        self.history = []


def test_keep_best_waits_stops_and_restores():
    values = [1.0, 3.0, 2.0, 3.0, 2.5, 9.0]
    net, best = Watched(), KeepBest(3, score=lambda module: values[int(module.weight)])
    best.on_train_begin(net)

    class History(list):
        def record(self, name, value):
            self[-1][name] = value

    net.history = History()
    for epoch in range(5):
        net.history.append({})
        net.module_.weight.data.fill_(epoch)
        best.on_epoch_end(net)
        # the best is epoch 2; an equal value is no progress, and 3 epochs are waited
        assert best.stop == (epoch == 4)
    best.on_train_end(net)
    assert best.best_epoch_ == 2
    assert net.module_.weight.item() == 1.0
    assert [row["valid_score"] for row in net.history] == values[:5]


def test_early_stopping_keeps_the_best_epoch(digits):
    X, y = digits
    embedder = TCMEmbedder(
        n_components=8,
        hidden_layer_sizes=(16,),
        max_epochs=12,
        lr=0.03,
        lr_schedule=None,
        early_stopping=True,
        validation_fraction=0.3,
        n_iter_no_change=2,
        random_state=0,
        device="cpu",
    ).fit(X[:600], y[:600])
    scores = embedder.validation_scores_
    assert len(scores) == embedder.n_iter_ == len(embedder.history_)
    assert embedder.best_epoch_ == int(np.argmax(scores)) + 1
    if embedder.n_iter_ < 12:
        assert embedder.n_iter_ == embedder.best_epoch_ + 2
