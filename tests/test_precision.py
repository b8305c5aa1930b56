"""Settings of the training that come with `net_params`: precision, compiling, names."""

import pickle

import numpy as np
import pytest
import torch
from estimators import CASES, IDS
from refusals import forbid_training
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import GridSearchCV
from skorch.callbacks import Callback

from skdeep import AdapterExtender, HiLanderClusterer, SequenceTagger, TCMEmbedder
from skdeep.exceptions import InvalidParameterError

MIXED = ["bf16-mixed", "fp16-mixed"]


@pytest.fixture(scope="module", params=CASES, ids=IDS)
def case(request):
    return request.param


class Lengths(Callback):
    """Write down the norms of the gradients as callbacks see them."""

    def __init__(self):
        self.norms_ = []

    def on_grad_computed(self, net, named_parameters=None, **kwargs):
        parts = [p.grad.flatten() for _, p in named_parameters if p.grad is not None]
        assert all(part.dtype == torch.float32 for part in parts)
        self.norms_.append(torch.cat(parts).norm().item())


@pytest.mark.parametrize("precision", MIXED)
def test_training_is_about_the_same_in_mixed_precision(precision, case):
    plain, mixed = Lengths(), Lengths()
    exact = case.fitted(callbacks=[plain])
    rounded = case.fitted(callbacks=[mixed], net_params={"precision": precision})
    if not getattr(rounded.net_.module_, "needs_float32", False):
        assert mixed.norms_ != plain.norms_
    np.testing.assert_allclose(
        rounded.loss_curve_, exact.loss_curve_, rtol=0.1, atol=0.1
    )
    # not scaled for callbacks, although fp16 scales the loss by up to 65,536; steps
    # whose gradients overflow by that are left out
    taken = np.isfinite(mixed.norms_)
    assert precision == "fp16-mixed" or taken.all()
    assert np.max(np.compress(taken, mixed.norms_)) < 2 * np.max(plain.norms_)
    for weight in rounded.module_.parameters():
        assert weight.dtype == torch.float32


SENTENCES = [["we", "met", "Ann"], ["see", "Bob", "there"], ["no", "one"]] * 15
TAGS = [["O", "O", "P"], ["O", "P", "O"], ["O", "O"]] * 15


@pytest.mark.parametrize("settings", [{}, {"deep": False, "output": "softmax"}])
@pytest.mark.parametrize("precision", MIXED)
def test_tagger_in_mixed_precision(precision, settings):
    def trained(net_params):
        tagger = SequenceTagger(random_state=0, device="cpu", max_epochs=4, **settings)
        return tagger.set_params(net_params=net_params).fit(SENTENCES, TAGS)

    exact, rounded = trained(None), trained({"precision": precision})
    np.testing.assert_allclose(
        rounded.loss_curve_, exact.loss_curve_, rtol=0.1, atol=0.1
    )
    # its own steps must not follow a gradient that fp16 has scaled
    wide, about = (model.module_.wide.weight.abs().max() for model in (exact, rounded))
    np.testing.assert_allclose(wide, about, rtol=0.1)


def test_wide_path_takes_no_step_that_overflows(blobs):
    tagger = SequenceTagger(random_state=0, device="cpu", max_epochs=1)
    wide = tagger.fit(SENTENCES, TAGS).module_.wide
    before = wide.weight.clone()
    for value, moves in ((np.inf, False), (4.0, True)):
        part = before[:2].clone().requires_grad_()
        part.grad = torch.full_like(part, value)
        wide._drawn = torch.tensor([1, 2]), part
        wide.step(0.5, scale=8.0)
        assert bool((wide.weight != before).any()) == moves
    np.testing.assert_allclose(wide.weight[1:3] - before[1:3], -0.25, atol=1e-6)


@pytest.mark.parametrize("method", ["auto", "adapter", "finetune", "stacking"])
@pytest.mark.parametrize("precision", MIXED)
def test_extender_in_mixed_precision(precision, method, blobs):
    X, y = blobs
    source = LogisticRegression().fit(X[y < 2], y[y < 2])
    extender = AdapterExtender(
        source,
        method=method,
        max_epochs=10,
        random_state=0,
        device="cpu",
        net_params={"precision": precision},
    )
    assert extender.fit(X, y).score(X, y) > 0.9


@pytest.mark.parametrize("settings", [{"attention": True}, {"n_layers": 2}])
@pytest.mark.parametrize("precision", MIXED)
def test_published_clusterer_in_mixed_precision(precision, settings, blobs):
    X, y = blobs
    settings = {"mode": "paper", "hidden_size": 16, "max_epochs": 2, **settings}
    model = HiLanderClusterer(4, random_state=0, device="cpu", **settings)
    exact = model.fit(X, y).loss_curve_
    rounded = model.set_params(net__precision=precision).fit(X, y).loss_curve_
    np.testing.assert_allclose(rounded, exact, rtol=0.1)


def test_steps_that_overflow_are_left_out(blobs):
    # the first scale of the loss is far too large for half floats
    seen = Lengths()
    rows, y = blobs
    model = TCMEmbedder(
        max_epochs=5,
        lr=1e-3,
        callbacks=[seen],
        net_params={"precision": "fp16-mixed", "optimizer__fused": False},
        device="cpu",
        random_state=0,
    ).fit(rows * 100, y)
    assert np.isfinite(model.transform(rows)).all()
    assert np.isfinite(model.loss_curve_).all()


@pytest.mark.filterwarnings("ignore:The .grad attribute:UserWarning")  # torch's own
def test_a_compiled_training_is_the_same_and_leaves_no_trace(blobs):
    graphs = []

    def backend(graph, inputs):
        graphs.append(graph)
        return graph.forward

    settings = {"max_epochs": 2, "random_state": 0, "device": "cpu"}
    compiling = {"compile": True, "compile__backend": backend, "compile__dynamic": True}
    plain = TCMEmbedder(**settings).fit(*blobs)
    fast = TCMEmbedder(net_params=compiling, **settings).fit(*blobs)
    assert graphs
    n_graphs = len(graphs)
    assert list(fast.module_.state_dict()) == list(plain.module_.state_dict())
    np.testing.assert_allclose(fast.loss_curve_, plain.loss_curve_, rtol=1e-5)
    embedded = fast.transform(blobs[0][:7])
    assert len(graphs) == n_graphs, "predictions must not be compiled"
    fast.set_params(net_params=None)
    np.testing.assert_array_equal(
        pickle.loads(pickle.dumps(fast)).transform(blobs[0][:7]), embedded
    )


def test_unknown_precision_is_refused(case, monkeypatch):
    forbid_training(monkeypatch)
    X, y, _ = case.make_data()
    estimator = case.new(net_params={"precision": "int4"})
    with pytest.raises(InvalidParameterError, match=r"net_params.*precision.*int4"):
        estimator.fit(X, y)


def test_entries_of_net_params_have_names_of_their_own(case):
    estimator = case.new(net_params={"optimizer__weight_decay": 0.1})
    assert estimator.get_params()["net__optimizer__weight_decay"] == 0.1
    assert "net__optimizer__weight_decay" not in estimator.get_params(deep=False)
    given = estimator.net_params
    estimator.set_params(net__precision="bf16-mixed", net__optimizer__weight_decay=0)
    assert given == {"optimizer__weight_decay": 0.1}
    assert estimator.net_params == {
        "optimizer__weight_decay": 0,
        "precision": "bf16-mixed",
    }


def test_a_search_may_compare_entries_of_net_params(blobs):
    model = TCMEmbedder(max_epochs=1, device="cpu", random_state=0)
    grid = {"net__optimizer__weight_decay": [0.0, 0.5]}
    search = GridSearchCV(model, grid, cv=2, scoring=lambda est, X, y=None: est.n_iter_)
    search.fit(*blobs)
    found = search.best_estimator_.net_.optimizer_.param_groups[0]["weight_decay"]
    assert found == search.best_params_["net__optimizer__weight_decay"]
