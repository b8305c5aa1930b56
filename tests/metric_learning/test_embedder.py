"""Tests of TCMEmbedder beyond what all estimators share."""

import warnings

import numpy as np
import pytest
import scipy.sparse as sp
import torch
from numpy.testing import assert_allclose, assert_array_equal
from sklearn.base import clone
from sklearn.feature_extraction.text import TfidfVectorizer
from sklearn.model_selection import GridSearchCV
from sklearn.neighbors import KNeighborsClassifier
from sklearn.pipeline import make_pipeline
from skorch.callbacks import Callback
from torch import nn

from skdeep.exceptions import InvalidParameterError
from skdeep.metric_learning import TCMEmbedder
from skdeep.metrics import consistency_constrained_refit, get_embedding_scorers
from skdeep.model_selection import ClassDisjointKFold


def small(**params):
    defaults = {
        "n_components": 8,
        "hidden_layer_sizes": (32,),
        "max_epochs": 4,
        "lr": 3e-3,
        "device": "cpu",
        "random_state": 0,
    }
    return TCMEmbedder(**{**defaults, **params})


class TwoLayers(nn.Module):
    """A network of the user."""

    def __init__(self, width=16, n_out=8):
        super().__init__()
        self.layers = nn.Sequential(
            nn.Linear(64, width), nn.Tanh(), nn.Linear(width, n_out)
        )

    def forward(self, X):
        return self.layers(X)


@pytest.fixture(scope="module")
def fitted(known_digits):
    return small().fit(*known_digits)


def test_embeddings_are_float32_rows_of_length_one(fitted, new_digits):
    embeddings = fitted.transform(new_digits[0])
    assert embeddings.dtype == np.float32
    assert_allclose(np.linalg.norm(embeddings, axis=1), 1, rtol=1e-5)


def test_training_beats_a_network_with_random_weights(known_digits):
    X, y = known_digits
    random = small(max_epochs=1, lr=1e-12).fit(X[::2], y[::2])
    trained = small(max_epochs=12).fit(X[::2], y[::2])
    assert trained.score(X[1::2], y[1::2]) > max(random.score(X[1::2], y[1::2]), 0.95)


@pytest.mark.parametrize(
    "base_loss",
    [
        "recall_at_k",
        "proxy_anchor",
        "arcface",
        "cosface",
        "norm_softmax",
        "proxy_nca",
        "multi_similarity",
        "contrastive",
        "triplet",
        "supcon",
    ],
)
def test_every_base_loss_learns(base_loss, known_digits):
    embedder = small(base_loss=base_loss, tcm_weight=0).fit(*known_digits)
    first, *_, last = embedder.loss_curve_
    assert last < first


def test_loss_of_pytorch_metric_learning_as_instance_or_factory(known_digits):
    losses = pytest.importorskip("pytorch_metric_learning.losses")
    instance = losses.MultiSimilarityLoss()
    before = [p.clone() for p in instance.parameters()]
    for base_loss in (instance, losses.ProxyAnchorLoss):
        embedder = small(base_loss=base_loss, tcm_weight=0).fit(*known_digits)
        assert embedder.loss_curve_[-1] < embedder.loss_curve_[0]
    assert all(torch.equal(a, b) for a, b in zip(before, instance.parameters()))


def test_history_tells_the_parts_of_the_loss(known_digits):
    embedder = small(tcm_warmup=0, tcm_neg_weight=0.5).fit(*known_digits)
    row = embedder.history_[-1]
    tcm = row["train_tcm_pos"] + 0.5 * row["train_tcm_neg"]
    assert row["train_loss"] == pytest.approx(row["train_base_loss"] + tcm, rel=1e-4)
    assert 0 <= row["train_hard_neg"] <= 1
    assert len(embedder.history_) == embedder.n_iter_ == 4


def test_weight_of_tcm_rises_over_the_whole_training_by_default(known_digits):
    rows = small(max_epochs=8, tcm_neg_weight=1).fit(*known_digits).history_
    shares = [
        (row["train_loss"] - row["train_base_loss"])
        / (row["train_tcm_pos"] + row["train_tcm_neg"])
        for row in rows
    ]
    # the mean weight of epoch k of 8 is (k - 1/2) / 8, up to half a step
    assert_allclose(shares, (np.arange(8) + 0.5) / 8, atol=0.03)


def test_without_tcm_the_other_tcm_parameters_change_nothing(known_digits, new_digits):
    plain = small(tcm_weight=0).fit(*known_digits).transform(new_digits[0])
    other = small(tcm_weight=0, neg_margin=0.1, tcm_pos_weight=3).fit(*known_digits)
    assert_array_equal(other.transform(new_digits[0]), plain)


def test_sparse_text_gives_the_same_as_its_dense_form():
    words = ["red blue", "red", "blue red", "cat dog", "dog", "dog cat cat"] * 6
    y = ["colour", "colour", "colour", "animal", "animal", "animal"] * 6
    X = TfidfVectorizer().fit_transform(words)
    quick = {"input_dropout": 0.0, "max_epochs": 1, "lr": 1e-4}
    embedder = small(**quick).fit(X, y)
    sparse = embedder.transform(X)
    dense = small(**quick).fit(X.toarray(), y).transform(X.toarray())
    assert_allclose(sparse, dense, atol=1e-4)
    for kind in (sp.csc_array, sp.coo_matrix, sp.lil_array):
        assert_array_equal(embedder.transform(kind(X)), sparse)
    for module in ("identity", lambda: nn.Linear(X.shape[1], 8)):
        assert small(module=module, max_epochs=1).fit(X, y).transform(X).shape[1] == 8


def test_images_and_their_flat_rows_are_embedded_alike(known_digits):
    X, y = known_digits
    images = X.reshape(-1, 1, 8, 8)
    embedder = small(max_epochs=1, augment=None).fit(images, y)
    assert embedder.n_features_in_ == 64
    assert_array_equal(embedder.transform(images), embedder.transform(X))
    rows = small(module="conv", max_epochs=1, augment=None).fit(X, y)
    assert_array_equal(rows.transform(X), embedder.transform(images))


def test_images_of_another_shape_are_refused(known_digits):
    X, y = known_digits
    embedder = small(max_epochs=1).fit(X.reshape(-1, 1, 8, 8), y)
    with pytest.raises(ValueError, match=r"\(1, 16, 4\).*\(1, 8, 8\)"):
        embedder.transform(X.reshape(-1, 1, 16, 4))


def test_images_with_colours_last_are_noticed(known_digits):
    X = np.zeros((40, 16, 16, 3)) + np.arange(40)[:, None, None, None]
    embedder = TCMEmbedder(max_epochs=1, augment=None, random_state=0)
    with pytest.warns(UserWarning, match=r"16 channels and 16 x 3 pixels.*transpose"):
        embedder.fit(X, np.arange(40) // 10)


def test_loss_with_class_vectors_of_its_own_takes_images(known_digits):
    pml = pytest.importorskip("pytorch_metric_learning.losses")
    X, y = known_digits
    images = X.reshape(-1, 1, 8, 8)
    embedder = TCMEmbedder(pml.ProxyAnchorLoss(5, 16), 16, max_epochs=1, random_state=0)
    assert embedder.fit(images, y).n_iter_ == 1
    embedder.set_params(base_loss=pml.ProxyAnchorLoss(4, 16))
    with pytest.raises(InvalidParameterError, match="labels from 0 to 4"):
        embedder.fit(X, y)
    embedder.set_params(base_loss=pml.ArcFaceLoss(5, 16), augment="affine_turns")
    with pytest.raises(InvalidParameterError, match="labels from 0 to 19"):
        embedder.fit(images, y)


def test_affine_augmentation_changes_the_training_and_not_the_transform(known_digits):
    X, y = known_digits
    images = X.reshape(-1, 1, 8, 8)
    plain = small(max_epochs=1, augment=None).fit(images, y)
    moved = small(max_epochs=1, augment="affine").fit(images, y)
    assert not np.array_equal(plain.transform(images), moved.transform(images))
    one_by_one = [moved.transform(images[i : i + 1]) for i in range(5)]
    assert_array_equal(np.vstack(one_by_one), moved.transform(images[:5]))


def test_affine_augmentation_of_rows_and_turns_of_oblongs_are_refused(known_digits):
    X, y = known_digits
    with pytest.raises(InvalidParameterError, match="affine.*rows"):
        small(augment="affine").fit(X, y)
    with pytest.raises(InvalidParameterError, match="square.*16 x 4"):
        small(augment="affine_turns").fit(X.reshape(-1, 1, 16, 4), y)


def test_square_images_are_turned_into_classes_of_their_own(known_digits):
    X, y = known_digits
    images = X.reshape(-1, 1, 8, 8)
    turned = small(base_loss="arcface", max_epochs=1).fit(images, y)
    assert turned._loss_weights["proxies"].shape == (4 * 5, 8)
    affine = small(base_loss="arcface", max_epochs=1, augment="affine").fit(images, y)
    assert affine._loss_weights["proxies"].shape == (5, 8)


@pytest.mark.parametrize(
    ("params", "lr"),
    [({}, 2e-4), ({"module": "conv"}, 2e-3), ({"module": TwoLayers}, 1e-3)],
)
def test_automatic_learning_rate_depends_on_the_network(params, lr, known_digits):
    embedder = small(lr="auto", max_epochs=1, lr_schedule=None, **params)
    group = embedder.fit(*known_digits).net_.optimizer_.param_groups[0]
    assert group["lr"] == pytest.approx(lr)


def test_scale_of_the_input_does_not_matter_to_the_perceptron(known_digits):
    X, y = known_digits
    once = small().fit(X, y).transform(X)
    times_1024 = small().fit(1024 * X, y).transform(1024 * X)
    assert_allclose(times_1024, once, atol=1e-3)


def test_own_module_as_class_instance_and_factory(known_digits):
    X, y = known_digits
    by_class = small(module=TwoLayers, module_params={"width": 24}).fit(X, y)
    assert by_class.module_.encoder.layers[0].out_features == 24
    state = torch.get_rng_state()
    again = small(module=TwoLayers, module_params={"width": 24}).fit(X, y)
    assert torch.equal(torch.get_rng_state(), state)
    assert_array_equal(again.transform(X), by_class.transform(X))
    network = TwoLayers()
    before = network.layers[0].weight.clone()
    small(module=network).fit(X, y)
    assert torch.equal(network.layers[0].weight, before)  # a copy was trained
    small(module=lambda: TwoLayers(), max_epochs=1).fit(X, y)


def test_module_with_another_output_size_is_refused(known_digits):
    with pytest.raises(InvalidParameterError, match="5 values.*set n_components=5"):
        small(module=TwoLayers, module_params={"n_out": 5}).fit(*known_digits)


def test_module_for_other_rows_is_refused_before_training(known_digits):
    X, y = known_digits
    with pytest.raises(InvalidParameterError, match="rows of 10 features"):
        small(module=TwoLayers).fit(X[:, :10], y)


def test_identity_is_one_linear_map(known_digits):
    X, y = known_digits
    embedder = small(module="identity").fit(X, y)
    layer = embedder.module_.encoder.first
    raw = X @ layer.weight.detach().numpy() + layer.bias.detach().numpy()
    expected = raw / np.linalg.norm(raw, axis=1, keepdims=True)
    assert_allclose(embedder.transform(X), expected, atol=1e-5)


def test_early_stopping_holds_out_classes_and_keeps_the_best_epoch(known_digits):
    X, y = known_digits
    embedder = small(early_stopping=True, max_epochs=30, n_iter_no_change=2).fit(X, y)
    scores = embedder.validation_scores_
    assert embedder.n_iter_ < 30
    assert embedder.best_epoch_ == 1 + int(np.argmax(scores))
    assert embedder.n_iter_ == embedder.best_epoch_ + 2
    assert embedder.best_validation_score_ == max(scores)
    assert small(max_epochs=1).fit(X, y).best_validation_score_ is None


def test_log_and_callbacks_of_the_user_know_the_validation_score(known_digits, capfd):
    seen = []

    class Watch(Callback):
        def on_epoch_end(self, net, **kwargs):
            seen.append(net.history[-1]["valid_score"])

    embedder = small(early_stopping=True, verbose=1, callbacks=[Watch()])
    embedder.fit(*known_digits)
    assert seen == embedder.validation_scores_
    assert capfd.readouterr().err.count("valid_score=") == embedder.n_iter_


def test_early_stopping_needs_four_classes(known_digits):
    X, y = known_digits
    with pytest.raises(ValueError, match="y has 3 such classes"):
        small(early_stopping=True).fit(X[y < 3], y[y < 3])


def test_validation_metric_may_be_a_function(known_digits):
    calls = []

    def constant(y_true, embeddings):
        calls.append((len(np.unique(y_true)), embeddings.shape))
        return 1.0

    small(early_stopping=True, validation_metric=constant).fit(*known_digits)
    assert set(calls) == {(2, calls[0][1])}
    embedder = small(early_stopping=True, validation_metric=lambda y, rows: "good")
    with pytest.raises(InvalidParameterError, match="`validation_metric` must return"):
        embedder.fit(*known_digits)


def test_function_that_makes_no_loss_is_refused_with_its_error(known_digits):
    embedder = small(base_loss=lambda rows, labels: rows.sum())
    with pytest.raises(InvalidParameterError, match=r"'sum'.*-> module"):
        embedder.fit(*known_digits)


def test_max_steps_rounds_up_to_whole_epochs(known_digits):
    embedder = small(max_steps=1, max_epochs=50).fit(*known_digits)
    assert embedder.n_iter_ == 1


def test_partial_fit_goes_on_and_pair_losses_take_new_classes(known_digits, new_digits):
    embedder = small().partial_fit(*known_digits).partial_fit(*known_digits)
    assert embedder.n_iter_ == 2
    embedder.partial_fit(*new_digits)
    assert_array_equal(embedder.classes_, np.arange(10))


def test_partial_fit_with_class_vectors_refuses_new_classes(known_digits, new_digits):
    embedder = small(base_loss="arcface").partial_fit(*known_digits)
    X, y = known_digits
    embedder.partial_fit(X[y < 3], y[y < 3])  # some of the classes are fine
    before = embedder.transform(new_digits[0])
    with pytest.raises(ValueError, match="Class 5 is new.*pair loss"):
        embedder.partial_fit(*new_digits)
    assert embedder.n_iter_ == 2
    assert_array_equal(embedder.transform(new_digits[0]), before)


def test_warm_start_goes_on_from_the_weights(known_digits):
    cold = small(warm_start=True, max_epochs=2).fit(*known_digits)
    first = cold.loss_curve_[0]
    warm = cold.fit(*known_digits)
    assert warm.n_iter_ == 4
    assert warm.loss_curve_[2] < first


def test_classes_with_one_sample_are_left_out_with_a_warning(known_digits):
    X, y = known_digits
    y = np.where(np.arange(len(y)) == 7, 99, y)
    with pytest.warns(UserWarning, match="1 of 6 classes have a single sample.*99"):
        embedder = small(max_epochs=1).fit(X, y)
    assert 99 in embedder.classes_


@pytest.mark.parametrize(
    ("params", "message"),
    [
        ({"pos_margin": 0.3, "neg_margin": 0.5}, "greater than `neg_margin`"),
        ({"pos_margin": 1.5}, "'pos_margin'"),
        ({"tcm_weight": -1}, "'tcm_weight'"),
        ({"classes_per_batch": 1}, "'classes_per_batch'"),
        ({"samples_per_class": 1}, "'samples_per_class'"),
        ({"base_loss": "smooth"}, "'arcface'.*'triplet'"),
        ({"hidden_layer_sizes": (0,)}, "'hidden_layer_sizes'"),
        ({"base_loss_params": {"speed": 1}}, "base_loss_params.*speed"),
        ({"module_params": {"speed": 1}}, "module_params.*speed"),
        ({"optimizer_params": {"speed": 1}}, "optimizer_params.*speed"),
        ({"module": "conv", "module_params": {"image_shape": (1, 5, 5)}}, "images"),
    ],
)
def test_wrong_parameter_is_refused_by_name(params, message, known_digits):
    with pytest.raises(InvalidParameterError, match=message):
        small(**params).fit(*known_digits)


def test_too_few_pairs_are_refused_with_the_counts():
    X = np.eye(5)
    with pytest.raises(ValueError, match="its 5 classes in 5 samples only 0"):
        small().fit(X, np.arange(5))
    with pytest.raises(ValueError, match="its 1 class in 5 samples only 1"):
        small().fit(X, np.zeros(5))


def test_works_in_a_pipeline_before_a_classifier(known_digits):
    X, y = known_digits
    model = make_pipeline(small(), KNeighborsClassifier(1))
    assert model.fit(X[::2], y[::2]).score(X[1::2], y[1::2]) > 0.9
    names = model[:-1].get_feature_names_out()
    assert names[0] == "tcmembedder0"


def test_grid_search_with_class_disjoint_folds_and_constrained_refit(known_digits):
    grid = {"base_loss": ["smooth_ap", "supcon"], "tcm_weight": [0, 1]}
    search = GridSearchCV(
        small(max_epochs=2),
        grid,
        cv=ClassDisjointKFold(2),
        scoring=get_embedding_scorers(),
        refit=consistency_constrained_refit(),
    ).fit(*known_digits)
    results = search.cv_results_
    accurate = results["mean_test_recall_at_1"] >= (
        results["mean_test_recall_at_1"].max() - 0.01
    )
    assert accurate[search.best_index_]
    chosen = results["mean_test_neg_opis"][search.best_index_]
    assert chosen == results["mean_test_neg_opis"][accurate].max()


def test_clone_and_refit_give_the_same_embedding(fitted, known_digits, new_digits):
    again = clone(fitted).fit(*known_digits)
    X = new_digits[0]
    assert_array_equal(again.transform(X), fitted.transform(X))


def test_fit_with_defaults_warns_about_nothing(known_digits):
    X, y = known_digits
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        TCMEmbedder(max_epochs=1).fit(X, y)
