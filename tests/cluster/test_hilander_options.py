"""Options of the clusterer: what is chosen, how it goes on, and how it is combined."""

import copy
import pickle

import numpy as np
import pytest
import torch
from crowds import crowd, same_partition, small_clusterer
from numpy.testing import assert_allclose, assert_array_equal
from sklearn.base import clone
from sklearn.cluster import HDBSCAN
from sklearn.decomposition import PCA
from sklearn.model_selection import GridSearchCV, cross_validate
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import FunctionTransformer, StandardScaler
from sklearn.utils.estimator_checks import check_estimator
from test_paper_oracle import CASES, Case

from skdeep import HiLanderClusterer
from skdeep.metrics import bcubed_f, bcubed_f_score, nmi, pairwise_f
from skdeep.model_selection import ClassDisjointKFold, CrossFitTransformer


@pytest.fixture(scope="module")
def train():
    return crowd(n_classes=9, seed=1)


@pytest.fixture(scope="module")
def new():
    return crowd(n_classes=10, seed=2)


@pytest.fixture(scope="module")
def clusterer(train):
    return small_clusterer().fit(*train)


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore:.*rows hold zeros only:UserWarning")
def test_defaults_pass_all_checks_of_scikit_learn():
    check_estimator(HiLanderClusterer(device="cpu"), on_skip=None)


# without labels


def test_without_labels_it_is_a_clusterer_like_any_other(new):
    X, y = new
    model = HiLanderClusterer(6)
    labels = model.fit_predict(X)
    by_density = HDBSCAN(copy=True).fit_predict(X)
    assert bcubed_f_score(y, labels) > max(0.8, bcubed_f_score(y, by_density))
    assert_array_equal(model.labels_, labels)
    assert_array_equal(model.predict(X), labels)
    assert model.classes_ is None
    assert model.history_ == []
    assert model.n_iter_ == model.best_epoch_ == 0


def test_without_labels_no_seed_matters(new):
    one, two = (HiLanderClusterer(6, random_state=seed).fit(new[0]) for seed in (0, 1))
    assert_array_equal(one.labels_, two.labels_)
    assert_array_equal(one.density_, two.density_)


def test_without_labels_clear_classes_of_any_number_are_found():
    X, y = crowd(n_classes=30, n_rows=15, noise=0.1, n_features=16, seed=5)
    assert bcubed_f_score(y, HiLanderClusterer(8).fit_predict(X)) > 0.99


# what "auto" chooses


@pytest.mark.slow
def test_auto_settles_on_numbers_and_they_are_used(train, new):
    names = ("n_neighbors", "tau", "resolution")
    model = small_clusterer(**dict.fromkeys(names, "auto")).fit(*train)
    found = {name: getattr(model, f"{name}_") for name in names}
    assert found["n_neighbors"] in (10, 20, 40, 80)
    assert 0.5 <= found["tau"] <= 0.8
    assert 0 < found["resolution"] < 0.1
    plain = small_clusterer(**found).fit(*train)
    assert_array_equal(model.predict(new[0]), plain.predict(new[0]))
    assert model.cluster(new[0]).tau == found["tau"]


def test_numbers_that_are_given_are_kept(clusterer):
    assert (clusterer.n_neighbors_, clusterer.tau_) == (6, 0.6)
    assert clusterer.resolution_ == 0.02


# the levels and the decoders


def test_a_single_level_ends_with_the_communities(train, new):
    one = small_clusterer(max_levels=1).fit(*train)
    result = one.cluster(new[0])
    assert len(result.level_sizes) == one.n_levels_ == 1
    assert_array_equal(result.labels, result.level_labels[0])


@pytest.mark.parametrize("decode", ["partition", "tree"])
@pytest.mark.parametrize("edge_features", ["structural", "embedding", "both"])
def test_every_kind_of_features_and_decoder_finds_new_classes(
    edge_features, decode, train, new
):
    model = small_clusterer(
        edge_features=edge_features, decode=decode, max_epochs=10, lr=0.02, tau=0.5
    )
    assert model.fit(*train).score(*new) > 0.6
    copied = pickle.loads(pickle.dumps(model))
    assert_array_equal(copied.predict(new[0]), model.predict(new[0]))


@pytest.mark.parametrize("node_feature", ["mean", "peak"])
def test_clusters_are_represented_by_a_mean_or_a_peak(node_feature, train, new):
    assert small_clusterer(node_feature=node_feature).fit(*train).score(*new) > 0.8


# going on, and stopping


def test_warm_start_goes_on_from_the_built_in_networks(train, new):
    model = HiLanderClusterer(6, max_epochs=1, warm_start=True, device="cpu")
    model.fit(new[0])
    before = copy.deepcopy(model.module_.state_dict())
    model.fit(*train)
    assert len(model.history_) == model.n_iter_ > 0
    moved = [
        (before[name] - value).abs().max().item()
        for name, value in model.module_.state_dict().items()
    ]
    assert 0 < max(moved) < 1


def test_early_stopping_holds_out_classes_and_keeps_the_best(train):
    model = small_clusterer(early_stopping=True, n_iter_no_change=1, max_epochs=6)
    model.fit(*train)
    scored = [row for row in model.history_ if "valid_score" in row]
    assert scored
    assert {row["stage"] for row in scored} <= {1, 2}
    assert model.validation_scores_ == [row["valid_score"] for row in scored]
    assert 1 <= model.best_epoch_ <= model.n_iter_ == len(model.history_)


def test_history_names_the_training_of_each_epoch(clusterer):
    stages = [row["stage"] for row in clusterer.history_]
    assert stages == [1] * 2 + [2] * 2 + [3] * 6 + [4] * 6
    assert [row["epoch"] for row in clusterer.history_] == list(range(1, 17))


# groups


def test_rows_of_two_groups_never_share_a_cluster(train):
    X, y = train
    groups = np.arange(len(y)) % 2
    model = small_clusterer(n_neighbors=4).fit(X, y, groups=groups)
    assert len(model.labels_) == len(y)
    shared = set(model.labels_[groups == 0]) & set(model.labels_[groups == 1])
    assert not shared
    assert_array_equal(groups[model.parent_], groups)
    assert model.hierarchy_.shape == (len(y) - 1, 4)
    assert model.level_labels_ == []
    assert model.score(X, y) > 0.8


def test_one_group_is_no_group(train, new):
    X, y = train
    one = small_clusterer().fit(X, y, groups=["a"] * len(y))
    plain = small_clusterer().fit(X, y)
    assert_array_equal(one.labels_, plain.labels_)
    assert_array_equal(one.predict(new[0]), plain.predict(new[0]))


# further rows


@pytest.fixture(scope="module")
def builtin(new):
    return HiLanderClusterer(6, device="cpu").fit(new[0])


def test_rows_that_come_again_get_their_clusters(builtin, new):
    X, _ = new
    result = builtin.cluster(X)
    labels = builtin.partial_predict(X[::3], result=result)
    assert_array_equal(labels, result.labels[::3])


def test_a_fit_without_labels_can_be_extended_as_it_is(builtin, new):
    labels = builtin.partial_predict(new[0][:20])
    assert_array_equal(labels, builtin.labels_[:20])


def test_further_rows_of_a_cluster_join_it(builtin, new):
    X, y = new
    known = np.arange(len(X)) % 4 > 0
    result = builtin.cluster(X[known])
    before = result.labels.copy()
    labels = builtin.partial_predict(X[~known], result=result)
    assert_array_equal(result.labels, before)
    usual = [np.bincount(before[y[known] == label]).argmax() for label in range(10)]
    assert (labels == np.array(usual)[y[~known]]).mean() > 0.9


def test_rows_that_are_near_nothing_get_clusters_of_their_own(builtin, new):
    X, y = new
    result = builtin.cluster(X[y < 8])
    others = X[y >= 8]
    labels = builtin.partial_predict(others, result=result)
    assert (labels >= result.n_clusters).mean() > 0.8
    fresh = labels[labels >= result.n_clusters]
    assert_array_equal(np.unique(fresh), result.n_clusters + np.arange(len(set(fresh))))
    assert bcubed_f_score(y[y >= 8], labels) > 0.6


def test_rows_of_zeros_get_clusters_of_their_own(builtin, new):
    result = builtin.cluster(new[0])
    rows = np.vstack([np.zeros(10), new[0][0], np.zeros(10)])
    with pytest.warns(UserWarning, match="2 of 3 rows hold zeros only"):
        labels = builtin.partial_predict(rows, result=result)
    assert labels.tolist() == [
        result.n_clusters,
        result.labels[0],
        result.n_clusters + 1,
    ]


# the published method through the shell


@pytest.mark.parametrize("name", CASES)
def test_paper_mode_with_the_weights_of_the_official_program_has_its_labels(name):
    case = Case(name)
    config = case.config
    model = HiLanderClusterer(
        case.n_neighbors,
        mode="paper",
        tau=config["tau"],
        hidden_size=config["hidden"],
        n_layers=config["num_conv"],
        attention=config["gat"],
        n_heads=config["heads"],
        use_cluster_features=config["use_cluster_feat"],
        level_stop=config["early_stop"],
        fit_neighbors=(3,),
        fit_levels=(1,),
        max_epochs=1,
        device="cpu",
    ).fit(case.X, case.y)
    model.module_.load_state_dict(case.module.state_dict())
    result = model.cluster(case.X)
    assert_array_equal(result.labels, case.numbers["labels"])
    assert [list(level) for level in result.level_sizes] == np.reshape(
        case.numbers["infer_log"], (-1, 2)
    ).tolist()


@pytest.mark.parametrize(
    "params",
    [
        {"attention": True, "n_heads": 2},
        {"n_layers": 3, "dropout": 0.2},
        {"focal_gamma": 2.0, "balance": False},
        {"use_cluster_features": False, "threshold": "sim"},
        {"early_stopping": True, "level_stop": False},
    ],
    ids=lambda params: " ".join(params),
)
def test_options_of_paper_mode_train_and_cluster(params, train, new):
    model = small_clusterer(mode="paper", hidden_size=8, **params).fit(*train)
    labels = model.predict(new[0])
    assert_array_equal(np.unique(labels), range(labels.max() + 1))
    copied = pickle.loads(pickle.dumps(model))
    assert_array_equal(copied.predict(new[0]), labels)


# together with others


def test_pipeline_with_scaler_and_pca(train, new):
    model = make_pipeline(StandardScaler(), PCA(8), small_clusterer()).fit(*train)
    assert bcubed_f_score(new[1], model.predict(new[0])) > 0.7
    assert model.score(*new) == bcubed_f_score(new[1], model.predict(new[0]))


@pytest.mark.slow
def test_grid_search_with_classes_apart(train):
    search = GridSearchCV(
        small_clusterer(),
        {"tau": [0.5, 0.9], "n_neighbors": [4, 6]},
        cv=ClassDisjointKFold(3),
        scoring=bcubed_f,
    )
    search.fit(*train)
    assert len(search.cv_results_["mean_test_score"]) == 4
    assert search.best_score_ > 0.8
    assert search.best_estimator_.n_neighbors_ == search.best_params_["n_neighbors"]


def test_all_scores_in_cross_validation(train):
    scoring = {"pairwise_f": pairwise_f, "bcubed_f": bcubed_f, "nmi": nmi}
    scores = cross_validate(
        small_clusterer(), *train, cv=ClassDisjointKFold(3), scoring=scoring
    )
    for name in scoring:
        assert (scores[f"test_{name}"] > 0.7).all()


def test_after_a_transformer_that_has_not_seen_the_classes(train, new):
    turn = FunctionTransformer(np.negative)
    model = make_pipeline(CrossFitTransformer(turn, cv=3), small_clusterer())
    assert bcubed_f_score(new[1], model.fit(*train).predict(new[0])) > 0.8


# the same again


def test_R401_equal_seeds_give_equal_answers(clusterer, train, new):
    again = clone(clusterer).fit(*train)
    one, other = (model.cluster(new[0]) for model in (clusterer, again))
    assert_array_equal(one.labels, other.labels)
    assert_array_equal(one.parent_proba, other.parent_proba)
    assert_array_equal(one.hierarchy, other.hierarchy)


@pytest.mark.slow
def test_R408_threads_of_torch_and_of_the_search_change_no_cluster(
    clusterer, train, new
):
    before = torch.get_num_threads()
    try:
        torch.set_num_threads(2)
        model = small_clusterer(n_jobs=2).fit(*train)
        result = model.cluster(new[0])
    finally:
        torch.set_num_threads(before)
    expected = clusterer.cluster(new[0])
    assert same_partition(result.labels, expected.labels)
    assert_allclose(result.density, expected.density, atol=1e-3)
