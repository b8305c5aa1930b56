"""Tests of what carries over between calls: labels, warm starts, outputs, frozen parts."""

import pickle

import numpy as np
import pytest
import torch
from numpy.testing import assert_array_equal

from skdeep.exceptions import DivergedError, InvalidParameterError
from skdeep.metric_learning import SmoothAPLoss, SupConLoss, TCMEmbedder


def small(**params):
    defaults = {
        "n_components": 4,
        "hidden_layer_sizes": (8,),
        "max_epochs": 1,
        "device": "cpu",
        "random_state": 0,
    }
    return TCMEmbedder(**{**defaults, **params})


@pytest.fixture(scope="module")
def names():
    X = np.random.RandomState(0).rand(60, 5)
    y = np.repeat(["ant", "bee", "cat"], 20)
    X.flags.writeable = y.flags.writeable = False
    return X, y


@pytest.mark.parametrize("kind", ["U", object])
def test_text_labels_of_any_dtype_are_named_in_messages(names, kind):
    X, y = names
    y = y.astype(kind)
    embedder = small(base_loss="arcface").partial_fit(X, y)
    other = np.where(np.arange(60) < 10, "dog", y).astype(kind)
    with pytest.raises(ValueError, match="Class 'dog' is new"):
        embedder.partial_fit(X, other)
    lone = np.where(np.arange(60) < 1, "eel", y).astype(kind)
    with pytest.warns(UserWarning, match="such as 'eel'"):
        small().fit(X, lone)


@pytest.mark.parametrize("container", ["pandas", "polars"])
def test_pairs_and_galleries_work_whatever_transform_returns(names, container):
    pytest.importorskip(container)
    X, y = names
    embedder = small().set_output(transform=container).fit(X, y)
    embedder.calibrate_threshold(X, y)
    assert embedder.predict_pairs(X[:3], X[3:6]).shape == (3,)
    assert embedder.identify(X[:4], X, y).shape == (4,)
    assert 0 <= embedder.score(X, y) <= 1
    assert embedder.threshold_report(X, y)["far"] >= 0
    assert embedder.calibrate_threshold_unlabeled(X).threshold_ > 0


def test_class_of_a_loss_gets_only_what_it_asks_for(names):
    losses = pytest.importorskip("pytorch_metric_learning.losses")
    fitted = small(base_loss=SmoothAPLoss).fit(*names)
    assert fitted.net_.criterion_.base_loss.temperature == 0.01
    fitted = small(base_loss=losses.MultiSimilarityLoss).fit(*names)
    assert fitted.net_.criterion_.base_loss.alpha == 2
    params = {"base_loss_params": {"alpha": 16}}
    fitted = small(base_loss=losses.ProxyAnchorLoss, **params).fit(*names)
    assert fitted.net_.criterion_.base_loss.proxies.shape == (3, 4)
    assert fitted.net_.criterion_.base_loss.alpha == 16


@pytest.mark.parametrize(
    ("params", "message"),
    [
        ({"base_loss": torch.nn.Linear(2, 2)}, "base_loss.*embeddings, labels"),
        ({"base_loss": "supcon", "base_loss_params": {"temperature": 0}}, "finite"),
        ({"base_loss": "supcon", "base_loss_params": {"temperature": "a"}}, "wrong"),
        ({"base_loss": SupConLoss(), "base_loss_params": {"temperature": 1}}, "instan"),
        ({"base_loss": lambda n, d: 3}, "`base_loss` must be or return"),
        ({"net_params": {"callbacks": []}}, r"net_params.*\['callbacks'\]"),
        ({"module": torch.nn.LSTM(5, 4)}, "one vector|cannot be applied"),
    ],
)
def test_misfits_are_refused_before_training(names, params, message):
    with pytest.raises(InvalidParameterError, match=message):
        small(**params).fit(*names)


def test_foreach_may_be_chosen_instead_of_the_fused_optimizer(names):
    embedder = small(optimizer_params={"foreach": True}).fit(*names)
    assert not embedder.net_.optimizer_.param_groups[0].get("fused")


def test_warm_start_with_another_network_or_loss_is_refused_by_name(names):
    embedder = small(warm_start=True, base_loss="arcface").fit(*names)
    before = embedder.transform(names[0])
    for change in ({"n_components": 5}, {"hidden_layer_sizes": (9,)}):
        with pytest.raises(InvalidParameterError, match="warm_start=False"):
            embedder.set_params(**change).fit(*names)
        embedder.set_params(n_components=4, hidden_layer_sizes=(8,))
    with pytest.raises(InvalidParameterError, match="base_loss.*warm_start=False"):
        embedder.set_params(base_loss="smooth_ap").fit(*names)
    assert_array_equal(embedder.transform(names[0]), before)


def test_warm_start_holds_out_the_same_classes_again(names):
    X = np.vstack([names[0]] * 2)
    y = np.repeat(list("abcdef"), 20)
    embedder = small(warm_start=True, early_stopping=True, random_state=None)
    held_out = embedder.fit(X, y)._held_out_classes
    assert_array_equal(embedder.fit(X, y)._held_out_classes, held_out)


def test_partial_fit_keeps_the_learning_rate_and_the_weight_of_tcm(names):
    embedder = small(lr=1e-3)
    for _ in range(2):
        embedder.partial_fit(*names)
        assert embedder.net_.optimizer_.param_groups[0]["lr"] == 1e-3
    row = embedder.history_[-1]
    tcm = row["train_tcm_pos"] + 0.1 * row["train_tcm_neg"]
    assert row["train_loss"] == pytest.approx(row["train_base_loss"] + tcm, rel=1e-4)


def test_variants_keep_their_vectors_when_some_classes_are_missing():
    rng = np.random.RandomState(0)
    images = rng.rand(60, 1, 6, 6)
    embedder = small(base_loss="arcface", augment="affine_turns")
    embedder.partial_fit(images, np.repeat([0, 1, 2, 3], 15))
    codes = []

    def record(net, batch=None, training=False, **kwargs):
        codes.extend(batch[1].tolist())

    from skorch.callbacks import Callback

    recorder = type("Recorder", (Callback,), {"on_batch_begin": staticmethod(record)})
    embedder.set_params(callbacks=[recorder()])
    embedder.partial_fit(images, np.repeat([0, 1], 30))
    assert {code % 4 for code in codes} == {0, 1}  # code = 4 * turn + class
    assert {code // 4 for code in codes} == {0, 1, 2, 3}


def test_validation_score_of_nan_is_an_error_and_not_an_untrained_network(names):
    X = np.vstack([names[0]] * 2)
    y = np.repeat(list("abcdef"), 20)
    with pytest.raises(DivergedError, match="validation_metric"):
        small(early_stopping=True, validation_metric=lambda y, E: np.nan).fit(X, y)


def test_frozen_parts_of_a_module_stay_frozen_in_copies(names):
    network = torch.nn.Sequential(torch.nn.Linear(5, 4), torch.nn.Linear(4, 4))
    network[0].requires_grad_(False)
    embedder = small(module=network).fit(*names)
    copy = pickle.loads(pickle.dumps(embedder))
    for model in (embedder, copy):
        flags = [p.requires_grad for p in model.module_.parameters()]
        assert flags == [False, False, True, True]


def test_net_keeps_the_users_callbacks_and_drops_what_holds_data(names):
    from skorch.callbacks import Callback

    class Counter(Callback):
        count = 0

        def on_epoch_end(self, net, **kwargs):
            self.count += 1

    X = np.vstack([names[0]] * 2)
    y = np.repeat(list("abcdef"), 20)
    embedder = small(callbacks=[Counter()], early_stopping=True, max_epochs=2).fit(X, y)
    kinds = [type(callback).__name__ for _, callback in embedder.net_.callbacks_]
    assert "KeepBest" not in kinds
    counter = dict(embedder.net_.callbacks_)["Counter"]
    assert counter.count == 2


def test_unknown_label_never_collides_with_a_class(names):
    X, _ = names
    embedder = small().fit(X, np.repeat([0, 1, 2], 20))
    small_ints = np.repeat(np.array([1, 2, 200], dtype=np.uint8), 20)
    assert set(embedder.identify(X, X, small_ints, threshold=-1.0)) == {-1}
    with pytest.raises(ValueError, match="`unknown_label` is 2"):
        embedder.identify(X, X, small_ints, unknown_label=2, threshold=1.0)
    with pytest.raises(ValueError, match="boolean.*unknown_label"):
        embedder.identify(X, X, small_ints == 1, threshold=1.0)
    marked = embedder.identify(
        X, X, small_ints == 1, threshold=-1.0, unknown_label="unsure"
    )
    assert set(marked) == {"unsure"}


def test_report_takes_any_threshold(names):
    X, y = names
    embedder = small().fit(X, y)
    for threshold, rate in ((-1.0, 0), (3.0, 1)):
        embedder.threshold_ = threshold
        report = embedder.threshold_report(X, y)
        assert report["far"] == rate
        assert report["frr"] == 1 - rate


def test_unlabeled_calibration_samples_pairs_of_large_sets(names, monkeypatch):
    from skdeep.metric_learning import _calibration

    rng = np.random.RandomState(0)
    embeddings = rng.normal(size=(400, 4))
    embeddings /= np.linalg.norm(embeddings, axis=1, keepdims=True)
    exact = _calibration.unlabeled_threshold(
        embeddings, 0.1, metric="euclidean", rng=rng
    )
    sampled = _calibration.unlabeled_threshold(
        embeddings, 0.1, metric="euclidean", rng=rng, max_pairs=20_000
    )
    assert sampled == pytest.approx(exact, abs=0.02)
    assert sampled != exact
