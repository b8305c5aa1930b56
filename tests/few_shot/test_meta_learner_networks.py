"""The gradient network: where it comes from, the published one, and going on."""

import copy
import pickle

import numpy as np
import pytest
import torch
from new_classes import NEW, draw, fitted_learner, quick_learner
from refusals import assert_refused, forbid_training

import skdeep
from skdeep.exceptions import InvalidParameterError
from skdeep.few_shot._training import builtin_adapter


def weights_of(network):
    return {name: value.clone() for name, value in network.state_dict().items()}


def are_equal(one, other):
    assert one.keys() == other.keys()
    return all(torch.equal(value, other[name]) for name, value in one.items())


def test_pretrained_network_is_taken_as_it_is(learner):
    assert are_equal(
        weights_of(learner.module_.adapter), builtin_adapter().state_dict()
    )
    assert learner.n_iter_ == 0
    assert learner.history_ == []


def test_pretrained_network_is_there_with_other_methods_beside_it(support, pile):
    learner = fitted_learner(phi="pretrained")
    one = learner.adapt(*support, pile[0], method="tim")
    two = fitted_learner(method="tim").adapt(*support, pile[0])
    np.testing.assert_array_equal(one.predict(pile[0]), two.predict(pile[0]))


def test_fit_goes_on_from_the_pretrained_network_and_scratch_does_not():
    small = {"lr": 1e-9, "max_epochs": 1}
    near, far = fitted_learner(**small), fitted_learner(phi="scratch", **small)
    for name, value in builtin_adapter().state_dict().items():
        torch.testing.assert_close(near.module_.adapter.state_dict()[name], value)
    last = far.phi_.state_dict()["last.weight"]
    assert torch.allclose(last, torch.zeros_like(last), atol=1e-6)


@pytest.mark.parametrize("n_steps", [1, 3, 7])
def test_number_of_steps_may_differ_from_the_pretrained_one(n_steps, support, pile):
    learner = fitted_learner(n_steps=n_steps)
    assert learner.step_sizes_.shape == (n_steps,)
    assert learner.support_weights_.shape == (n_steps,)
    assert learner.adapt(*support, pile[0]).score(*pile) > 0.9


def test_network_of_another_learner_is_taken_over(support, pile):
    giver = fitted_learner(n_steps=5)
    before = pickle.dumps(giver)
    X, y = draw(np.arange(12, 20), 8, 5)
    learner = quick_learner(phi=giver).fit(X, y)
    assert are_equal(
        weights_of(learner.module_.adapter), weights_of(giver.module_.adapter)
    )
    assert learner.module_.adapter is not giver.module_.adapter
    assert learner.step_sizes_.shape == (5,)
    assert learner.n_iter_ == 0
    assert learner.classes_.tolist() == list(range(12, 20))
    assert learner.adapt(*support, pile[0]).score(*pile) > 0.8
    copied = pickle.loads(pickle.dumps(learner))
    np.testing.assert_array_equal(copied.predict_proba(X), learner.predict_proba(X))
    assert pickle.dumps(giver) == before


def test_learners_without_a_network_have_none_to_give(known):
    giver = fitted_learner(method="prototype")
    learner = quick_learner(phi=giver)
    assert_refused(learner, lambda: learner.fit(*known), "phi", "no gradient network")
    learner = quick_learner(phi=quick_learner())
    assert_refused(
        learner, lambda: learner.fit(*known), "'phi'", "fitted", error=ValueError
    )


@pytest.mark.parametrize("kind", ["equivariant", "paper"])
def test_network_of_another_kind_is_no_phi(
    kind, known, learner, published, monkeypatch
):
    forbid_training(monkeypatch)
    giver = learner if kind == "paper" else published
    taker = quick_learner(backbone="mlp", phi=giver, gradient_net=kind)
    words = f"phi.*gradient_net='{giver.gradient_net}'.*'{kind}' is asked for"
    assert_refused(taker, lambda: taker.fit(*known), words, error=InvalidParameterError)
    # other rules do not ask for it
    assert taker.set_params(method="tim", backbone=None).fit(*known).phi_ is None


def test_published_network_is_for_one_number_of_features(published, known):
    X, y = known
    params = {**PAPER, "phi": published}
    assert quick_learner(**params).fit(X, y).init_weight_.shape == (16,)
    narrow = quick_learner(**params)
    words = "phi", "16 features", "there are 5"
    assert_refused(narrow, lambda: narrow.fit(X[:, :5], y), *words)
    encoded = quick_learner(**params, backbone="mlp")
    words = "phi", "16 features", "there are 8"
    assert_refused(encoded, lambda: encoded.fit(X, y), *words)


OWN = {
    "n_steps": (5, lambda learner: len(learner.step_sizes_)),
    "n_neighbors": (3, lambda learner: learner.module_.adapter.n_neighbors),
    "support_gradient": (
        False,
        lambda learner: bool(learner.support_weights_.any()),
    ),
    "inner_lr": (0.25, lambda learner: float(learner.step_sizes_.mean())),
}


@pytest.mark.parametrize("name", OWN)
def test_pretrained_network_heeds_the_parameters_of_its_steps(
    name, learner, support, pile, tmp_path
):
    value, found = OWN[name]
    changed = fitted_learner(phi="pretrained", **{name: value})
    assert found(changed) == value
    assert changed.n_iter_ == 0
    classifier = changed.adapt(*support, pile[0])
    usual = learner.adapt(*support, pile[0])
    proba = classifier.predict_proba(pile[0])
    assert not np.array_equal(proba, usual.predict_proba(pile[0]))
    assert classifier.score(*pile) > 0.8
    skdeep.save(changed, tmp_path / "model.skdeep")
    loaded = skdeep.load(tmp_path / "model.skdeep").adapt(*support, pile[0])
    np.testing.assert_array_equal(loaded.predict_proba(pile[0]), proba)


def test_inner_rate_may_be_fixed():
    learner = fitted_learner(inner_lr=0.25)
    np.testing.assert_array_equal(learner.step_sizes_, [0.25] * learner.n_steps)


def test_labelled_rows_may_be_left_out_of_the_steps(support, pile):
    learner = fitted_learner(support_gradient=False)
    np.testing.assert_array_equal(learner.support_weights_, [0] * learner.n_steps)
    assert learner.adapt(*support, pile[0]).score(*pile) > 0.8


def test_scale_starts_where_it_is_told_to():
    learner = fitted_learner(phi="scratch", scale=7.0, lr=1e-9)
    assert learner.scale_ == pytest.approx(7.0, rel=1e-4)


# the published network

PAPER = {
    "gradient_net": "paper",
    "n_steps": 3,
    "n_shot": 1,
    "query_balance": "balanced",
}


@pytest.fixture(scope="module")
def published():
    return fitted_learner(n_way=3, **PAPER)


def test_published_network_is_trained_and_adapts(published, support, pile):
    assert published.method_ == "sib"
    assert published.n_iter_ == 2
    assert published.init_weight_.shape == (16,)
    np.testing.assert_array_equal(published.step_sizes_, [1e-3] * 3)
    np.testing.assert_array_equal(published.support_weights_, [0] * 3)
    assert published.scale_ == pytest.approx(10, abs=1)
    classifier = published.adapt(*support, pile[0])
    assert classifier.score(*pile) > 0.8
    assert classifier.transduction_.shape == (39,)


def test_published_network_answers_for_known_classes_by_their_prototypes(
    published, known
):
    assert published.score(*known) > 0.9
    assert published.prototypes_.shape == (12, 16)


@pytest.mark.parametrize("classes", [[20, 21], [20, 21, 22, 23]])
def test_published_network_refuses_another_number_of_classes(classes, published):
    support, pile = draw(classes, 2, 1), draw(classes, 4, 2)[0]
    assert_refused(
        published,
        lambda: published.adapt(*support, pile),
        "n_way=3",
        f"{len(classes)}",
        "equivariant",
    )
    # other rules take any number
    assert published.adapt(*support, pile, method="tim").classes_.tolist() == classes


def test_published_network_is_pickled_and_saved(published, support, pile, tmp_path):
    expected = published.adapt(*support, pile[0]).predict_proba(pile[0])
    skdeep.save(published, tmp_path / "model.skdeep")
    for copied in (
        pickle.loads(pickle.dumps(published)),
        copy.deepcopy(published),
        skdeep.load(tmp_path / "model.skdeep"),
    ):
        found = copied.adapt(*support, pile[0]).predict_proba(pile[0])
        np.testing.assert_array_equal(found, expected)


def test_published_network_is_for_the_highest_of_several_numbers():
    learner = fitted_learner(n_way=(2, 4), **PAPER)
    classes = [20, 21, 22, 23]
    classifier = learner.adapt(*draw(classes, 2, 1), draw(classes, 5, 2)[0])
    assert classifier.classes_.tolist() == classes


def test_published_network_does_not_come_pretrained(known):
    learner = quick_learner(phi="pretrained", **PAPER)
    assert_refused(
        learner,
        lambda: learner.fit(*known),
        "phi",
        "paper",
        error=InvalidParameterError,
    )


def test_published_network_without_steps_is_a_prototype_classifier(
    published, support, pile
):
    still = published.adapt(*support, pile[0], n_steps=0)
    rows = published.transform(support[0])
    means = [rows[support[1] == label].mean(axis=0) for label in NEW]
    expected = published.init_weight_ * np.array(means)
    np.testing.assert_allclose(still.prototypes_, expected, rtol=1e-4, atol=1e-6)


# going on


def test_warm_start_goes_on_from_the_last_network(known):
    learner = quick_learner(warm_start=True).fit(*known)
    before = weights_of(learner.module_.adapter)
    learner.set_params(lr=1e-9, max_epochs=1).fit(*known)
    assert learner.n_iter_ == len(learner.history_) == 3
    for name, value in learner.module_.adapter.state_dict().items():
        torch.testing.assert_close(value, before[name])


def test_warm_start_takes_new_rows_and_new_classes(known):
    learner = quick_learner(warm_start=True).fit(*known)
    X, y = draw(np.arange(10, 24), 8, 5)
    learner.fit(X, y)
    assert learner.classes_.tolist() == list(range(10, 24))
    assert learner.score(X, y) > 0.8
    with pytest.raises(ValueError, match="5 features"):
        learner.fit(X[:, :5], y)


def test_warm_start_refuses_another_architecture(known):
    learner = quick_learner(warm_start=True).fit(*known)
    for change in ({"n_steps": 9}, {"gradient_net": "paper"}, {"n_neighbors": 3}):
        changed = copy.deepcopy(learner).set_params(**change)
        assert_refused(
            changed,
            lambda: changed.fit(*known),  # noqa: B023
            "warm_start",
            error=InvalidParameterError,
        )


@pytest.mark.parametrize("phi", ["pretrained", "learner"])
def test_warm_start_with_nothing_to_train_fits_anew(phi, known, learner):
    params = {"phi": learner if phi == "learner" else phi}
    again = quick_learner(warm_start=True, **params).fit(*known)
    expected = again.predict_proba(known[0])
    again.fit(*known)
    assert again.n_iter_ == 0
    np.testing.assert_array_equal(again.predict_proba(known[0]), expected)


def test_warm_start_with_a_backbone_trains_it_anew(known):
    learner = quick_learner(backbone="mlp", warm_start=True).fit(*known)
    features = learner.transform(known[0])
    learner.fit(*known)
    assert learner.n_iter_ == 4
    np.testing.assert_array_equal(learner.transform(known[0]), features)
