"""Where the features come from: networks, images, transformers of scikit-learn."""

import pickle

import numpy as np
import pytest
import torch
from new_classes import KNOWN, NEW, draw, fitted_learner, quick_learner
from refusals import assert_refused, forbid_training
from sklearn.base import BaseEstimator, TransformerMixin
from sklearn.decomposition import PCA
from sklearn.discriminant_analysis import LinearDiscriminantAnalysis
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from sklearn.utils import get_tags

import skdeep
from skdeep import TCMEmbedder
from skdeep.exceptions import InvalidParameterError


def make_network():
    """A network of the user; a function that pickle can find."""
    return torch.nn.Sequential(torch.nn.Linear(16, 6), torch.nn.Tanh())


def small_embedder():
    return TCMEmbedder(
        n_components=6,
        hidden_layer_sizes=(16,),
        max_epochs=2,
        random_state=0,
        device="cpu",
    )


BACKBONES = {
    "mlp": ("mlp", 8),
    "conv4": ("conv4", 8),
    "module": (torch.nn.Linear(16, 6), 6),
    "callable": (make_network, 6),
    "PCA": (PCA(6, random_state=0), 6),
    "LDA": (LinearDiscriminantAnalysis(), 11),
    "pipeline": (make_pipeline(StandardScaler(), PCA(5)), 5),
    "embedder": (small_embedder(), 6),
}


@pytest.mark.parametrize("name", BACKBONES)
def test_backbones_of_all_kinds_serve_new_classes(name, known, support, pile):
    backbone, n_components = BACKBONES[name]
    learner = fitted_learner(backbone=backbone, backbone_max_epochs=5)
    assert learner.transform(pile[0]).shape == (30, n_components)
    assert learner.prototypes_.shape == (12, n_components)
    assert len(learner.get_feature_names_out()) == n_components
    classifier = learner.adapt(*support, pile[0])
    assert classifier.prototypes_.shape == (3, n_components)
    assert classifier.score(*pile) > 0.4  # a third is chance
    copied = pickle.loads(pickle.dumps(learner))
    np.testing.assert_array_equal(
        copied.predict_proba(known[0]), learner.predict_proba(known[0])
    )
    np.testing.assert_array_equal(
        copied.adapt(*support, pile[0]).predict_proba(pile[0]),
        classifier.predict_proba(pile[0]),
    )


def test_backbone_of_the_user_is_copied_and_not_trained():
    network = torch.nn.Linear(16, 6)
    before = network.weight.detach().clone()
    learner = fitted_learner(backbone=network)
    assert torch.equal(network.weight, before)
    assert learner.backbone is network
    assert learner.backbone_ is not network
    assert not torch.equal(learner.backbone_.weight, before)


def test_transformer_of_the_user_is_cloned():
    pca = PCA(6, random_state=0)
    learner = fitted_learner(backbone=pca)
    assert not hasattr(pca, "components_")
    assert learner.backbone_.components_.shape == (6, 16)
    assert learner.module_.backbone is None


def test_built_in_features_are_never_negative():
    for backbone in ("mlp", "conv4"):
        learner = fitted_learner(backbone=backbone, phi="pretrained")
        assert (learner.transform(draw(NEW, 5, 1)[0]) >= 0).all()


@pytest.mark.parametrize("backbone", ["mlp", "conv4"])
def test_learner_with_a_built_in_network_is_saved(backbone, support, pile, tmp_path):
    learner = fitted_learner(backbone=backbone)
    skdeep.save(learner, tmp_path / "model.skdeep")
    loaded = skdeep.load(tmp_path / "model.skdeep")
    np.testing.assert_array_equal(
        loaded.adapt(*support, pile[0]).predict_proba(pile[0]),
        learner.adapt(*support, pile[0]).predict_proba(pile[0]),
    )


# images


def as_images(X):
    return X.reshape(len(X), 1, 4, 4)


def test_images_may_have_four_dimensions(known, support, pile):
    X, y = known
    rows = quick_learner(backbone="conv4").fit(X, y)
    images = quick_learner(backbone="conv4").fit(as_images(X), y)
    given = quick_learner(backbone="conv4", image_shape=(1, 4, 4)).fit(X, y)
    expected = rows.transform(pile[0])
    for learner in (images, given):
        np.testing.assert_array_equal(learner.transform(pile[0]), expected)
        np.testing.assert_array_equal(learner.transform(as_images(pile[0])), expected)
    one = rows.adapt(*support, pile[0]).predict_proba(pile[0])
    two = images.adapt(as_images(support[0]), support[1], as_images(pile[0]))
    np.testing.assert_allclose(two.predict_proba(as_images(pile[0])), one, atol=1e-5)


def test_other_image_shapes_make_another_network(known):
    X, y = known
    learner = quick_learner(backbone="conv4", image_shape=(1, 2, 8)).fit(X, y)
    square = quick_learner(backbone="conv4").fit(X, y)
    assert not np.allclose(learner.transform(X), square.transform(X))


@pytest.mark.parametrize("shape", [(1, 3, 3), (2, 4, 4)])
def test_image_shape_that_does_not_fit_is_refused(shape, known):
    learner = quick_learner(backbone="conv4", image_shape=shape)
    assert_refused(
        learner, lambda: learner.fit(*known), "conv4", "16 features", "image_shape"
    )


def test_rows_that_are_no_images_are_refused(known):
    learner = quick_learner(backbone="conv4")
    assert_refused(
        learner, lambda: learner.fit(known[0][:, :15], known[1]), "conv4", "15 features"
    )


# what is no backbone


@pytest.mark.parametrize("backbone", [3, "resnet", [1, 2], object()])
def test_what_is_no_backbone_is_refused_by_name(backbone, known):
    learner = quick_learner(backbone=backbone)
    assert_refused(
        learner,
        lambda: learner.fit(*known),
        "'backbone' parameter of SemiSupervisedMetaLearner",
        "'conv4', 'mlp'",
        error=InvalidParameterError,
    )


@pytest.mark.parametrize("backbone", [dict, PCA, torch.nn.Linear])
def test_callables_that_make_no_network_are_refused_by_name(backbone, known):
    learner = quick_learner(backbone=backbone)
    assert_refused(
        learner, lambda: learner.fit(*known), "backbone", error=InvalidParameterError
    )


# out-of-fold features


class Recorder(TransformerMixin, BaseEstimator):
    """A transformer that writes down how many rows and classes it was fitted on."""

    log = []

    def fit(self, X, y=None):
        self.log.append((len(X), len(np.unique(y))))
        self.fitted_ = True
        return self

    def transform(self, X):
        return X


@pytest.mark.parametrize(
    ("cross_fit", "expected"),
    [
        (0, [(144, 12)]),
        (1, [(144, 12)]),
        (2, [(72, 6), (72, 6), (144, 12)]),
        (3, [(96, 8), (96, 8), (96, 8), (144, 12)]),
    ],
)
def test_folds_are_of_classes_and_the_last_backbone_knows_all(cross_fit, expected):
    Recorder.log.clear()
    fitted_learner(backbone=Recorder(), cross_fit=cross_fit)
    assert Recorder.log == expected


def test_too_few_classes_for_folds_take_one_backbone(known):
    X, y = known
    few = y < 3
    Recorder.log.clear()
    learner = quick_learner(backbone=Recorder()).fit(X[few], y[few])
    assert Recorder.log == [(36, 3)]
    trained = quick_learner(backbone="mlp", backbone_max_epochs=5).fit(X[few], y[few])
    assert trained.score(X[few], y[few]) > 0.6
    assert learner.method_ == "sib"


def test_tasks_stay_whole_across_folds(known):
    X, y = known
    Recorder.log.clear()
    quick_learner(backbone=Recorder(), n_way=2).fit(X, y, tasks=y // 3)
    assert Recorder.log == [(72, 6), (72, 6), (144, 12)]


def test_centre_of_a_backbone_is_that_of_its_own_features(known):
    X = known[0]
    learner = fitted_learner(backbone="mlp", center=True, power=1.0, phi="pretrained")
    plain = fitted_learner(backbone="mlp", center=False, power=1.0, phi="pretrained")
    unit = plain.transform(X)
    centred = unit - unit.mean(axis=0)
    expected = centred / np.linalg.norm(centred, axis=1, keepdims=True)
    np.testing.assert_allclose(learner.transform(X), expected, atol=1e-4)


def test_dense_only_transformers_are_not_offered_sparse_rows():
    assert get_tags(quick_learner()).input_tags.sparse
    assert get_tags(quick_learner(backbone="mlp")).input_tags.sparse
    lda = quick_learner(backbone=LinearDiscriminantAnalysis())
    assert not get_tags(lda).input_tags.sparse


def test_backbone_is_a_classifier_of_the_known_classes(known):
    learner = fitted_learner(
        backbone="mlp", backbone_max_epochs=30, phi="pretrained", backbone_lr=0.01
    )
    assert learner.score(*known) > 0.9
    assert learner.score(*draw(KNOWN, 5, 9)) > 0.7


MISFITS = {
    "width": (torch.nn.Linear(15, 6), "16 features"),
    "one number a row": (
        torch.nn.Sequential(torch.nn.Linear(16, 1), torch.nn.Flatten(0)),
        "one vector for each row of 16 features",
    ),
}


@pytest.mark.parametrize("kind", MISFITS)
@pytest.mark.parametrize("cross_fit", [0, 2])
def test_networks_that_do_not_fit_the_rows_are_refused(
    kind, cross_fit, known, monkeypatch
):
    forbid_training(monkeypatch)
    backbone, words = MISFITS[kind]
    learner = quick_learner(backbone=backbone, cross_fit=cross_fit)
    assert_refused(
        learner,
        lambda: learner.fit(*known),
        "'backbone'",
        words,
        error=InvalidParameterError,
    )
