"""The meta-learner itself: what it knows, what it forgets, and how it is steered."""

import pickle

import numpy as np
import pytest
import sklearn
import torch
from new_classes import KNOWN, draw, fitted_learner, quick_learner
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

import skdeep
from skdeep import SemiSupervisedMetaLearner


@pytest.fixture(scope="module")
def trained():
    return fitted_learner(early_stopping=True, n_way=2, max_epochs=3)


def test_fitted_attributes_are_those_of_the_docstring(trained, known):
    learner = trained
    assert learner.classes_.tolist() == KNOWN.tolist()
    assert learner.backbone_ is None
    assert isinstance(learner.phi_, torch.nn.Module)
    assert learner.power_ in (0.5, 1.0)
    assert type(learner.scale_) is float
    n_steps = learner.n_steps
    assert learner.step_sizes_.shape == learner.support_weights_.shape == (n_steps,)
    assert ((learner.step_sizes_ > 0) & (learner.step_sizes_ < 1)).all()
    assert (learner.support_weights_ > 0).all()
    assert learner.init_weight_ == 1.0
    assert learner.prototypes_.shape == (12, 16)
    assert learner.method_ == "sib"
    assert isinstance(learner.module_, torch.nn.Module)
    assert len(learner.history_) == learner.n_iter_
    assert {"epoch", "train_loss", "valid_score", "seconds"} <= set(learner.history_[0])
    assert 1 <= learner.best_epoch_ <= learner.n_iter_
    assert len(learner.validation_scores_) == learner.n_iter_
    assert learner.device_ == "cpu"
    assert learner.n_features_in_ == 16
    assert learner.net_.module_ is learner.module_.adapter
    assert not hasattr(pickle.loads(pickle.dumps(learner)), "net_")


def test_every_attribute_of_the_docstring_is_there(trained):
    attributes = SemiSupervisedMetaLearner.__doc__.split("Attributes\n    ----------\n")
    section = attributes[1].split("See Also")[0]
    names = [
        line.split(" :")[0].strip() for line in section.split("\n") if " : " in line
    ]
    assert len(names) > 15
    for name in names:
        assert hasattr(trained, name) or name == "feature_names_in_"


def test_learner_is_a_classifier_of_the_known_classes(trained, known):
    X, y = known
    assert trained.score(X, y) > 0.9
    assert trained.predict_proba(X).shape == (144, 12)
    assert trained.decision_function(X).shape == (144, 12)
    np.testing.assert_array_equal(
        trained.predict(X), trained.predict_proba(X).argmax(axis=1)
    )


def test_features_are_of_length_one(trained, known):
    features = trained.transform(known[0])
    assert features.dtype == np.float32
    np.testing.assert_allclose(np.linalg.norm(features, axis=1), 1, rtol=1e-5)
    model = make_pipeline(quick_learner(), LogisticRegression()).fit(*known)
    assert model.score(*known) > 0.9


def test_power_is_the_signed_one_of_the_features(known):
    X = known[0]
    learner = fitted_learner(phi="pretrained", power=0.5)
    assert learner.power_ == 0.5
    root = np.sign(X) * np.sqrt(np.abs(X))
    expected = root / np.linalg.norm(root, axis=1, keepdims=True)
    np.testing.assert_allclose(learner.transform(X), expected, atol=1e-6)
    cube = np.cbrt(X)
    expected = cube / np.linalg.norm(cube, axis=1, keepdims=True)
    learner = fitted_learner(phi="pretrained", power=1 / 3)
    np.testing.assert_allclose(learner.transform(X), expected, atol=1e-6)


def test_centre_is_the_mean_of_known_unit_rows(known):
    X = known[0]
    learner = fitted_learner(phi="pretrained", power=1.0, center=True)
    unit = X / np.linalg.norm(X, axis=1, keepdims=True)
    centred = unit - unit.mean(axis=0)
    expected = centred / np.linalg.norm(centred, axis=1, keepdims=True)
    np.testing.assert_allclose(learner.transform(X), expected, atol=1e-5)
    assert (learner.transform(np.zeros((1, 16))) == 0).all()


@pytest.mark.parametrize("power", [0.5, 1.0])
@pytest.mark.parametrize("center", [False, True])
def test_unit_of_the_rows_does_not_matter(power, center, support, pile):
    learner = fitted_learner(phi="pretrained", power=power, center=center)
    expected = learner.transform(pile[0])
    for scale in (1e-30, 1e-3, 1e5, 1e37):
        np.testing.assert_allclose(
            learner.transform(pile[0] * scale), expected, rtol=1e-4, atol=1e-6
        )


def test_two_rows_that_differ_much_in_size_do_not_touch_each_other(learner, pile):
    rows = pile[0] * np.where(np.arange(30) == 3, 1e36, 1.0)[:, None]
    expected = learner.transform(pile[0])
    np.testing.assert_allclose(learner.transform(rows), expected, rtol=1e-4, atol=1e-6)


# score


def test_score_refuses_labels_of_which_none_is_known(trained, support):
    with pytest.raises(ValueError, match="make_few_shot_scorer"):
        trained.score(*support)
    mixed = np.where(np.arange(9) < 4, 0, support[1])
    assert 0 <= trained.score(support[0], mixed) <= 4 / 9


def test_score_takes_weights(trained, known):
    X, y = known
    wrong = np.where(y == 3, 4, y)
    assert trained.score(X, wrong, sample_weight=(y != 3).astype(float)) > 0.95


# rows without a label


def test_rows_without_a_label_are_a_pile_for_the_known_classes(known):
    X, y = known
    few = np.where(np.arange(len(y)) % 12 < 3, y, -1)
    learner = quick_learner(phi="pretrained").fit(X, few)
    alone = quick_learner(phi="pretrained").fit(X[few >= 0], y[few >= 0])
    assert learner.classes_.tolist() == KNOWN.tolist()
    assert not np.allclose(learner.prototypes_, alone.prototypes_)
    assert learner.score(X, y) >= alone.score(X, y) - 0.02


def test_text_labels_need_a_mark_of_text(known):
    X, y = known
    names = np.array([f"class {number}" for number in range(12)], dtype=object)
    partly = np.where(np.arange(len(y)) % 3, names[y], "")
    learner = quick_learner(phi="pretrained", unlabeled_label="").fit(X, partly)
    assert learner.classes_.tolist() == sorted(names)
    learner = quick_learner(phi="pretrained").fit(X, partly)
    assert "" in learner.classes_


@pytest.mark.parametrize("backbone", [None, "mlp"])
def test_R415_no_row_is_in_the_pickled_or_saved_learner(backbone, known, tmp_path):
    X, y = known
    partly = np.where(np.arange(len(y)) % 2, y, -1)
    learner = quick_learner(backbone=backbone, phi="pretrained").fit(X, partly)
    skdeep.save(learner, tmp_path / "model.skdeep")
    contents = [pickle.dumps(learner), (tmp_path / "model.skdeep").read_bytes()]
    rows = [*X.astype(np.float32), *X, *learner.transform(X)]
    for content in contents:
        assert not any(row.tobytes() in content for row in rows if row.any())
    assert len(contents[0]) < 100_000


# tasks


def test_episodes_stay_within_their_task(known, monkeypatch):
    from skdeep.few_shot import _batches

    X, y = known
    tasks = np.array(["red", "green", "blue"])[y // 4]
    drawn = []
    original = _batches.as_tasks

    def watch(rows, episodes, *args):
        drawn.append(np.concatenate([episodes.support, episodes.query], axis=1))
        return original(rows, episodes, *args)

    monkeypatch.setattr(_batches, "as_tasks", watch)
    quick_learner(power=1.0).fit(X, y, tasks=tasks)
    assert drawn
    for part in drawn:
        for episode in part:
            assert len(set(tasks[episode])) == 1


def test_same_label_in_two_tasks_is_two_classes(known):
    X, y = known
    tasks = y // 4
    learner = quick_learner(n_way=4, early_stopping=False).fit(X, y % 4, tasks=tasks)
    assert learner.classes_.tolist() == [0, 1, 2, 3]
    with pytest.warns(UserWarning, match="n_way is lowered from 5 to 4.*in one task"):
        quick_learner(n_way=5).fit(X, y % 4, tasks=tasks)


def test_tasks_reach_the_learner_through_a_pipeline(known, monkeypatch):
    X, y = known
    seen = []
    original = SemiSupervisedMetaLearner.fit

    def fit(self, X, y, tasks=None):
        seen.append(tasks)
        return original(self, X, y, tasks)

    fit.__wrapped__ = original
    monkeypatch.setattr(SemiSupervisedMetaLearner, "fit", fit)
    tasks = y // 4
    with sklearn.config_context(enable_metadata_routing=True):
        learner = quick_learner(phi="pretrained").set_fit_request(tasks=True)
        pipeline = make_pipeline(StandardScaler(), learner)
        pipeline.fit(X, y, tasks=tasks)
    (found,) = seen
    np.testing.assert_array_equal(found, tasks)


# seeds and files


def test_same_seed_gives_the_same_learner(known, support, pile):
    one, two = (quick_learner().fit(*known) for _ in range(2))
    np.testing.assert_array_equal(
        one.adapt(*support, pile[0]).predict_proba(pile[0]),
        two.adapt(*support, pile[0]).predict_proba(pile[0]),
    )
    other = quick_learner(random_state=1).fit(*known)
    assert one.history_[0]["train_loss"] != other.history_[0]["train_loss"]


def test_saved_learner_adapts_alike(trained, support, pile, tmp_path):
    expected = trained.adapt(*support, pile[0]).predict_proba(pile[0])
    skdeep.save(trained, tmp_path / "model.skdeep")
    loaded = skdeep.load(tmp_path / "model.skdeep")
    for copied in (loaded, pickle.loads(pickle.dumps(trained))):
        found = copied.adapt(*support, pile[0]).predict_proba(pile[0])
        np.testing.assert_array_equal(found, expected)


def test_batches_hold_no_more_tasks_than_an_epoch(known, monkeypatch):
    from skdeep.few_shot import _batches

    sizes = []
    original = _batches.as_tasks

    def watch(rows, episodes, *args):
        sizes.append(len(episodes.support))
        return original(rows, episodes, *args)

    monkeypatch.setattr(_batches, "as_tasks", watch)
    quick_learner(episodes_per_epoch=10, batch_size=7, max_epochs=2).fit(*known)
    assert sizes == [7, 3, 7, 3]
    sizes.clear()
    quick_learner(episodes_per_epoch=3, batch_size=1000, max_epochs=1).fit(*known)
    assert sizes == [3]


def test_held_out_classes_leave_enough_or_none(known):
    assert fitted_learner(n_way=2).validation_scores_ != []
    with pytest.warns(UserWarning, match="early_stopping is switched off.*24"):
        learner = quick_learner(n_way=12, early_stopping=True).fit(*known)
    assert learner.validation_scores_ == []
    assert fitted_learner(n_way=12).validation_scores_ == []
    assert fitted_learner(early_stopping=False, n_way=2).validation_scores_ == []


@pytest.mark.parametrize("method", ["prototype", "tim", "pt_map", "label_propagation"])
def test_other_methods_train_nothing(method, support, pile):
    learner = fitted_learner(method=method)
    assert learner.method_ == method
    assert learner.n_iter_ == 0
    assert learner.phi_ is None
    assert learner.step_sizes_.shape == (0,)
    assert learner.score(*draw(KNOWN, 5, 9)) > 0.9
    classifier = learner.adapt(*support, pile[0])
    assert classifier.score(*pile) > 0.9


def test_history_has_the_interval_of_the_validation_accuracy(monkeypatch, known):
    from skdeep.few_shot import _fitting

    found = []
    original = _fitting.episode_accuracies

    def watch(network, tasks):
        found.append(original(network, tasks))
        return found[-1]

    monkeypatch.setattr(_fitting, "episode_accuracies", watch)
    learner = quick_learner(n_way=2).fit(*known)
    assert len(found) == len(learner.history_) == 2
    for row, accuracies in zip(learner.history_, found):
        assert row["valid_score"] == pytest.approx(accuracies.mean())
        expected = 1.96 * accuracies.std() / len(accuracies) ** 0.5
        assert row["valid_ci95"] == pytest.approx(expected)
    again = quick_learner(n_way=2, warm_start=True).fit(*known).fit(*known)
    assert all("valid_ci95" in row for row in again.history_)
    off = quick_learner(n_way=2, early_stopping=False).fit(*known)
    assert "valid_ci95" not in off.history_[0]
