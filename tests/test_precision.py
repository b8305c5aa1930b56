"""Settings of the training that come with `net_params`: precision, compiling, names."""

import pickle

import numpy as np
import pytest
import torch
from estimators import CASES, IDS
from refusals import forbid_training
from sklearn.model_selection import GridSearchCV
from skorch.callbacks import Callback

from skdeep import SequenceTagger, TCMEmbedder
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


@pytest.mark.parametrize("precision", MIXED)
def test_tagger_learns_in_mixed_precision(precision):
    X, y = (
        [["we", "met", "Ann"], ["see", "Bob"]] * 10,
        [["O", "O", "P"], ["O", "P"]] * 10,
    )
    tagger = SequenceTagger(
        max_epochs=8, random_state=0, device="cpu", net_params={"precision": precision}
    )
    assert tagger.fit(X, y).predict(X) == y


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
