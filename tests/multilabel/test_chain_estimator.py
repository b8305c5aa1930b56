"""DynamicChainClassifier beyond what all estimators share."""

import pickle

import joblib
import numpy as np
import pandas as pd
import pytest
import scipy.sparse as sp
import torch
from numpy.testing import assert_allclose, assert_array_equal
from sklearn.base import clone
from sklearn.feature_extraction.text import TfidfTransformer
from sklearn.model_selection import (
    GridSearchCV,
    cross_val_predict,
    cross_val_score,
    cross_validate,
)
from sklearn.pipeline import Pipeline
from tiny_chains import few_rows, small

from skdeep.exceptions import InvalidParameterError
from skdeep.multilabel import DynamicChainClassifier, _chain, _tuning
from skdeep.multilabel._objectives import OBJECTIVES
from skdeep.multilabel._tuning import example_f1, tune_answers

DECISIONS = ("beam", "chain", "greedy", "marginal", "f1")
PROBAS = ("auto", "path", "position", "head", "beam", "sample")
FIXED = ("frequent", "rare", "random")


@pytest.fixture(scope="module")
def data():
    return few_rows(60, 4, allow_unlabeled=False)


@pytest.fixture(scope="module")
def counts():
    """Rows of small counts, as of words: CSR X, and Y."""
    X, Y = few_rows(60, 4, allow_unlabeled=False)
    return sp.csr_array(np.where(X > 5, X, 0)), Y


@pytest.fixture(scope="module")
def fitted(data):
    return small(n_estimators=3).fit(*data)


@pytest.fixture
def loose(fitted):
    """A copy whose parameters may be changed."""
    return pickle.loads(pickle.dumps(fitted))


# orders


@pytest.mark.parametrize("order", ["frequent", "rare"])
def test_orders_by_frequency_are_those_of_the_training_data(order, data):
    X, Y = data
    estimator = small(order=order, max_epochs=1).fit(X, Y)
    frequency = Y.sum(0)[estimator.label_order_]
    sign = -1 if order == "frequent" else 1
    assert (np.diff(sign * frequency) >= 0).all()
    assert sorted(estimator.label_order_) == [0, 1, 2, 3]
    assert_array_equal(estimator.label_frequency_, Y.sum(0))


def test_random_order_is_drawn_once_from_the_seed(data):
    orders = [
        tuple(
            small(order="random", max_epochs=1, random_state=s).fit(*data).label_order_
        )
        for s in (0, 0, 1, 2, 3, 4)
    ]
    assert orders[0] == orders[1]
    assert len(set(orders)) > 1
    assert all(sorted(order) == [0, 1, 2, 3] for order in orders)


def test_orders_without_a_permutation_have_none(data):
    for order in ("dynamic", "instance_random", None):
        assert small(order=order, max_epochs=1).fit(*data).label_order_ is None


@pytest.mark.parametrize("order", [[2, 0, 3, 1], [1, 3, 0, 2], "frequent", "rare"])
def test_chains_learn_to_keep_to_a_fixed_order(order, data):
    X, Y = data
    estimator = small(order=order, max_epochs=40, lr=0.02, n_estimators=1).fit(X, Y)
    rank = np.argsort(estimator.label_order_)
    found = [labels for labels, _ in estimator.predict_order(X) if len(labels) > 1]
    assert len(found) > 10
    in_order = [(np.diff(rank[labels]) > 0).all() for labels in found]
    assert np.mean(in_order) > 0.9


def test_network_without_a_chain_cuts_its_scores_at_one_half(data):
    X, Y = data
    estimator = small(order=None).fit(X, Y)
    scores = estimator.predict_proba(X)
    best = scores.argmax(1)
    expected = scores > 0.5
    expected[np.arange(len(X)), best] = True  # every row of the training has a label
    most = Y.sum(1).max()
    assert expected.sum(1).max() <= most
    assert_array_equal(estimator.predict(X), expected)
    assert {"train_loss", "train_head_loss"} <= set(estimator.history_[0])
    assert "train_chain_loss" not in estimator.history_[0]


def test_members_of_a_mixture_take_turns(data):
    estimator = small(n_estimators=3, training="mixed", rl_start=0, max_epochs=3)
    estimator.fit(*data)
    assert estimator.net_.criterion_.objectives == [
        "permutation",
        "reinforce",
        "permutation",
    ]
    assert "train_reward" not in estimator.history_[0]  # never from scratch
    assert 0 <= estimator.history_[-1]["train_reward"] <= 1


# answers


def test_predicted_sets_are_those_of_the_columns_of_y(data):
    X, Y = data
    estimator = small(max_epochs=30, lr=0.02).fit(X, Y)
    right = [(estimator.predict(X) == Y[:, order]).mean() for order in _rotations(4)]
    assert np.argmax(right) == 0
    assert right[0] > 0.8


def _rotations(n):
    return [np.roll(np.arange(n), shift) for shift in range(n)]


@pytest.mark.parametrize("proba", PROBAS)
def test_scores_are_between_zero_and_one(proba, loose, data):
    scores = loose.set_decision("beam", proba=proba).predict_proba(data[0])
    assert scores.shape == data[1].shape
    assert scores.dtype == np.float32
    assert (scores >= 0).all()
    assert (scores <= 1).all()


@pytest.mark.parametrize("proba", PROBAS)
def test_best_labels_are_the_top_of_all_scores(proba, loose, data):
    loose.set_decision("beam", proba=proba, threshold=0.5)
    scores = loose.predict_proba(data[0])
    for k in (1, 3, 4):
        indices, values = loose.predict_top_k(data[0], k)
        assert indices.shape == values.shape == (60, k)
        assert indices.dtype == np.int64
        expected = -np.sort(-scores, axis=1)[:, :k]
        assert_array_equal(values, expected)
        assert_array_equal(np.take_along_axis(scores, indices, axis=1), expected)
        assert all(len(set(row)) == k for row in indices.tolist())


def test_more_best_labels_than_labels_are_all_labels(loose, data):
    indices, _ = loose.predict_top_k(data[0], 99)
    assert_array_equal(np.sort(indices, axis=1), np.tile(np.arange(4), (60, 1)))


def test_decision_function_is_the_logit_of_the_scores(loose, data):
    scores = loose.predict_proba(data[0]).astype(float)
    decision = loose.decision_function(data[0])
    assert_allclose(1 / (1 + np.exp(-decision)), scores, atol=1e-6)


@pytest.mark.parametrize("joint", [True, False])
def test_order_ends_where_the_greedy_set_does(joint, loose, data):
    loose.set_decision("greedy", joint_decoding=True)
    sets = loose.predict(data[0])
    loose.set_decision("greedy", joint_decoding=joint)
    for found, (labels, proba) in zip(sets, loose.predict_order(data[0])):
        assert sorted(labels) == np.flatnonzero(found).tolist()
        assert labels.shape == proba.shape
        assert (proba > 0).all()
        assert (proba <= 1).all()


def test_order_goes_on_to_the_asked_number_of_labels(loose, data):
    for labels, proba in loose.predict_order(data[0], max_labels=3):
        assert len(labels) == len(proba) == len(set(labels)) == 3
    for labels, _ in loose.predict_order(data[0], max_labels=99):
        assert sorted(labels) == [0, 1, 2, 3]


def test_order_and_position_go_on_past_the_greatest_number_of_labels(loose, data):
    found = []
    for most in (1, 4):
        loose.set_decision("beam", max_labels=most, min_labels=0, proba="position")
        orders = loose.predict_order(data[0], max_labels=4)
        found.append((np.stack(orders), loose.predict_proba(data[0])))
    (bound, bound_scores), (free, free_scores) = found
    assert_array_equal(bound, free)
    assert_array_equal(bound_scores, free_scores)
    loose.set_decision("beam", max_labels=1, min_labels=0)
    assert max(len(labels) for labels, _ in loose.predict_order(data[0])) == 1


def test_drawn_sets_follow_each_other_row_by_row(loose, data):
    drawn = loose.sample_labels(data[0], 3, random_state=0)
    assert drawn.format == "csr"
    assert drawn.shape == (180, 4)
    again = loose.sample_labels(data[0], 3, random_state=0)
    assert_array_equal(drawn.toarray(), again.toarray())
    other = loose.sample_labels(data[0], 3, random_state=1)
    assert (drawn.toarray() != other.toarray()).any()
    many = loose.sample_labels(data[0][:1], 400, random_state=0).toarray().mean(0)
    loose.set_decision("beam", proba="sample", n_draws=400)
    scores = loose.predict_proba(data[0][:1])[0]
    assert_allclose(many, scores, atol=0.15)


@pytest.mark.parametrize("joint", [True, False])
def test_drawn_probabilities_of_a_row_do_not_depend_on_the_others(joint, data):
    estimator = small(proba="sample", joint_decoding=joint, n_draws=9).fit(*data)
    together = estimator.predict_proba(data[0])
    backwards = estimator.predict_proba(data[0][::-1])[::-1]
    alone = [estimator.predict_proba(row[None])[0] for row in data[0][:5]]
    assert_allclose(backwards, together, atol=1e-5)
    assert_allclose(alone, together[:5], atol=1e-5)


@pytest.mark.parametrize("decision", DECISIONS)
@pytest.mark.parametrize("joint", [True, False])
@pytest.mark.parametrize("limits", [(0, 1), (2, 2), (2, 3), (4, 4)])
def test_answers_keep_to_the_asked_number_of_labels(
    decision, joint, limits, loose, data
):
    least, most = limits
    loose.set_decision(
        decision, joint_decoding=joint, min_labels=least, max_labels=most
    )
    sizes = loose.predict(data[0]).sum(1)
    assert sizes.min() >= least
    assert sizes.max() <= most


def test_changed_decision_changes_no_weight_and_no_other_parameter(loose, data):
    weights = {k: v.clone() for k, v in loose.module_.state_dict().items()}
    before = loose.get_params()
    fitted = {k: v for k, v in vars(loose).items() if k.endswith("_") and k[0] != "_"}
    assert loose.set_decision("f1", beam_size=3) is loose
    loose.predict(data[0])
    after = loose.get_params()
    changed = {name for name in after if after[name] is not before[name]}
    assert changed <= {"decision", "beam_size"}
    assert (loose.decision, loose.beam_size) == ("f1", 3)
    for name, value in loose.module_.state_dict().items():
        assert torch.equal(value, weights[name])
    for name, value in fitted.items():
        assert getattr(loose, name) is value


@pytest.mark.parametrize("decision", DECISIONS)
def test_changed_decision_is_that_of_a_fit_with_it(decision, loose, data):
    X, Y = data
    expected = small(n_estimators=3, decision=decision).fit(X, Y).predict(X)
    assert_array_equal(loose.set_decision(decision).predict(X), expected)


def test_number_as_threshold_overrides_the_tuned_one(loose, data):
    loose.set_decision("marginal", min_labels=0, max_labels=4)
    scores = loose.predict_proba(data[0])
    cut = float(np.median(scores))
    loose.set_decision("marginal", threshold=cut)
    assert_array_equal(loose.predict(data[0]), scores > cut)
    loose.set_decision("marginal", threshold="auto")
    assert_array_equal(loose.predict(data[0]), scores > loose.threshold_)


# sparse rows


def test_sparse_rows_train_like_dense_ones(counts):
    X, Y = counts
    params = {
        "first_look": None,  # dense rows get another kind
        "input_scale": 0.1,  # dense rows are brought to variance 1
        "dropout": 0.0,
        "input_dropout": 0.0,  # drawn for the stored values alone
        "max_epochs": 3,
    }
    sparse = small(**params).fit(X, Y)
    dense = small(**params).fit(X.toarray(), Y)
    assert_allclose(
        sparse.predict_proba(X), dense.predict_proba(X.toarray()), atol=1e-4
    )
    assert_array_equal(sparse.predict(X), dense.predict(X.toarray()))


@pytest.mark.parametrize("kind", [sp.csr_matrix, sp.csc_array, sp.coo_array])
def test_rows_of_any_sparse_kind_are_answered_alike(kind, counts):
    X, Y = counts
    estimator = small().fit(kind(X), Y)
    expected = estimator.predict_proba(X)
    assert_array_equal(estimator.predict_proba(kind(X)), expected)
    assert_allclose(estimator.predict_proba(X.toarray()), expected, atol=1e-6)


def test_dense_fit_answers_sparse_rows_too(fitted, data):
    X = data[0]
    expected = fitted.predict_proba(X)
    assert_allclose(fitted.predict_proba(sp.csr_array(X)), expected, atol=1e-6)


@pytest.mark.parametrize("decision", DECISIONS)
def test_sparse_rows_are_answered_one_by_one_as_at_once(decision, counts):
    X, Y = counts
    estimator = small(decision=decision, n_estimators=3).fit(X, Y)
    order = np.random.RandomState(0).permutation(60)
    expected = estimator.predict(X)
    assert_array_equal(estimator.predict(X[order]), expected[order])
    for row in range(0, 60, 13):
        assert_array_equal(estimator.predict(X[[row]]), expected[[row]])


# scikit-learn around it


def test_search_over_the_order_in_a_pipeline_with_sparse_rows(counts):
    X, Y = counts
    pipeline = Pipeline([("tfidf", TfidfTransformer()), ("clf", small(max_epochs=1))])
    orders = ["dynamic", "frequent", "rare", "random", "instance_random", None]
    search = GridSearchCV(
        pipeline, {"clf__order": orders}, scoring="f1_samples", cv=2, refit=True
    )
    search.fit(X, Y)
    assert np.isfinite(search.cv_results_["mean_test_score"]).all()
    assert search.best_params_["clf__order"] in orders
    assert search.predict(X).shape == Y.shape


def test_search_over_the_order_with_sparse_sets(counts):
    X, Y = counts
    grid = {"order": ["dynamic", [3, 2, 1, 0]], "decision": ["beam", "f1"]}
    search = GridSearchCV(small(max_epochs=1), grid, scoring="f1_samples", cv=2)
    sparse = search.fit(X, sp.csr_matrix(Y)).cv_results_["mean_test_score"]
    dense = clone(search).fit(X, Y).cv_results_["mean_test_score"]
    assert_array_equal(sparse, dense)
    assert sp.issparse(search.predict(X))


def test_cross_validated_scores_are_those_of_the_single_fits(data):
    X, Y = data
    found = cross_val_predict(small(), X, Y, cv=2, method="predict_proba")
    half = np.arange(60) < 30
    assert_array_equal(
        found[half], small().fit(X[~half], Y[~half]).predict_proba(X[half])
    )
    assert_array_equal(
        found[~half], small().fit(X[half], Y[half]).predict_proba(X[~half])
    )


def test_cross_validation_with_several_scorers(data):
    scoring = ["f1_samples", "f1_micro", "accuracy", "roc_auc"]
    result = cross_validate(small(), *data, cv=2, scoring=scoring)
    for name in scoring:
        assert np.isfinite(result[f"test_{name}"]).all()
    accuracy = cross_val_score(small(), *data, cv=2)  # `score` is subset accuracy
    assert_array_equal(accuracy, result["test_accuracy"])


def test_score_is_the_share_of_right_sets(fitted, data):
    X, Y = data
    assert fitted.score(X, Y) == (fitted.predict(X) == Y).all(1).mean()


def test_score_of_sparse_sets_and_of_a_single_sparse_label(fitted, data):
    X, Y = data
    assert fitted.score(X, sp.csr_array(Y)) == fitted.score(X, Y)
    one = small(max_epochs=1).fit(X, sp.csr_array(Y[:, :1]))
    right = one.predict(X).toarray()[:, 0] == Y[:, 0]
    assert one.score(X, sp.csr_array(Y[:, :1])) == right.mean()
    weight = np.arange(60)
    expected = np.average(right, weights=weight)
    assert one.score(X, sp.csr_array(Y[:, :1]), weight) == pytest.approx(expected)


def test_frames_as_rows_and_sets(data):
    X = pd.DataFrame(data[0], columns=list("uvwxyz"))
    Y = pd.DataFrame(data[1], columns=["calm", "sad", "loud", "fast"])
    estimator = small().fit(X, Y)
    assert estimator.feature_names_in_.tolist() == list("uvwxyz")
    assert estimator.label_names_.tolist() == ["calm", "sad", "loud", "fast"]
    assert_array_equal(estimator.predict(X), small().fit(*data).predict(data[0]))
    search = GridSearchCV(estimator, {"order": FIXED}, cv=2, scoring="f1_samples")
    assert np.isfinite(search.fit(X, Y).best_score_)


def test_clone_knows_the_parameters_and_nothing_else(fitted):
    copy = clone(fitted)
    assert copy.get_params() == fitted.get_params()
    assert not hasattr(copy, "module_")
    array = clone(DynamicChainClassifier(order=np.array([1, 0])))
    assert array.order.tolist() == [1, 0]


@pytest.mark.parametrize("first_look", ["ridge", None])
@pytest.mark.parametrize("sparse", [True, False])
def test_pickled_and_dumped_estimators_answer_alike(
    first_look, sparse, counts, tmp_path
):
    X, Y = counts if sparse else (counts[0].toarray(), counts[1])
    estimator = small(first_look=first_look, order="rare").fit(X, Y)
    joblib.dump(estimator, tmp_path / "chain")
    for copy in (
        pickle.loads(pickle.dumps(estimator)),
        joblib.load(tmp_path / "chain"),
    ):
        for decision, proba in [("beam", "auto"), ("marginal", "sample")]:
            for each in (copy, estimator):
                each.set_decision(decision, proba=proba)
            assert_array_equal(copy.predict(X), estimator.predict(X))
            assert_array_equal(copy.predict_proba(X), estimator.predict_proba(X))
        assert_array_equal(copy.label_order_, estimator.label_order_)


# held-out rows


def test_early_stopping_keeps_the_best_weights(data):
    X, Y = data
    estimator = small(early_stopping=True, max_epochs=6, validation_fraction=0.3)
    estimator.fit(X, Y)
    scores = estimator.validation_scores_
    assert len(scores) == estimator.n_iter_
    assert estimator.best_epoch_ == 1 + int(np.argmax(scores))


@pytest.mark.parametrize("metric", ["f1", "ndcg", "subset_accuracy"])
def test_validation_metric_is_that_of_the_held_out_rows(metric, data):
    seen = []

    def spy(truth, sets, scores):
        seen.append((truth, sets, scores))
        return 0.0

    params = {"early_stopping": True, "max_epochs": 1, "validation_fraction": 0.3}
    small(validation_metric=spy, **params).fit(*data)
    named = small(validation_metric=metric, **params).fit(*data)
    truth, sets, scores = seen[0]
    assert truth.shape == sets.shape == scores.shape == (18, 4)
    if metric == "subset_accuracy":
        expected = (truth == sets).all(1).mean()
    elif metric == "f1":
        expected = (2 * (truth & sets).sum(1) / (truth.sum(1) + sets.sum(1))).mean()
    else:
        order = np.argsort(-scores, axis=1, kind="stable")
        gain = np.take_along_axis(truth, order, 1) @ (1 / np.log2(np.arange(2, 6)))
        ideal = np.cumsum(1 / np.log2(np.arange(2, 6)))[truth.sum(1) - 1]
        expected = (gain / ideal).mean()
    assert named.validation_scores_ == [pytest.approx(expected)]


def test_too_few_rows_switch_early_stopping_off_with_a_warning(data):
    X, Y = data
    with pytest.warns(UserWarning, match="5 rows are too few to hold out") as caught:
        estimator = small(early_stopping=True).fit(X[:5], Y[:5])
    assert [warning.filename for warning in caught] == [__file__]
    assert estimator.validation_scores_ == []
    assert estimator.n_iter_ == 2


@pytest.mark.parametrize("proba", PROBAS)
def test_cut_is_tuned_on_the_scores_that_it_cuts(proba, data, monkeypatch):
    seen = {}

    def spy(Y, scores, metric):
        assert metric is example_f1
        seen.setdefault("truth", Y)
        return round(float(np.abs(scores).mean()), 6)

    def remember(est, held):
        seen["rows"] = np.concatenate([part.X for part in held])
        tune_answers(est, held)

    monkeypatch.setattr(_tuning, "tune_threshold", spy)
    monkeypatch.setattr(_chain, "tune_answers", remember)
    estimator = small(proba=proba, first_look=None, decision="marginal").fit(*data)
    expected = estimator.predict_proba(seen["rows"])  # one pair is all members here
    assert estimator.threshold_ == pytest.approx(expected.mean(), abs=1e-5)
    assert seen["truth"].shape == expected.shape


def test_each_kind_of_scores_has_its_own_cut(data):
    estimator = small(n_estimators=4).fit(*data)
    cuts = {}
    for proba in ("auto", "path", "position", "head", "beam"):
        cuts[proba] = estimator.set_decision("marginal", proba=proba).threshold_
        again = small(n_estimators=4, proba=proba, decision="marginal").fit(*data)
        assert again.threshold_ == cuts[proba]
        assert_array_equal(again.predict(data[0]), estimator.predict(data[0]))
    assert len(set(cuts.values())) > 2
    assert estimator.set_decision("marginal", proba="sample").threshold_ == 0.5


def test_network_without_a_chain_has_a_tuned_cut_too(data):
    X, Y = data
    estimator = small(order=None, n_estimators=4, decision="marginal").fit(X, Y)
    head = small(n_estimators=4, proba="head").fit(X, Y).threshold_
    assert estimator.threshold_ == head != 0.5  # the first look is the same
    estimator.set_decision("marginal", min_labels=0, max_labels=4)
    scores = estimator.predict_proba(X)
    assert_array_equal(estimator.predict(X), scores > estimator.threshold_)


def test_order_set_after_the_fit_changes_no_answer(data):
    X, Y = data
    for before, after in [(None, "dynamic"), ("dynamic", None), ("rare", None)]:
        estimator = small(order=before).fit(X, Y)
        sets, scores = estimator.predict(X), estimator.predict_proba(X)
        estimator.set_params(order=after)
        assert_array_equal(estimator.predict(X), sets)
        assert_array_equal(estimator.predict_proba(X), scores)
        if before is None:
            with pytest.raises(InvalidParameterError, match="the fit had order=None"):
                estimator.predict_order(X)
        else:
            assert len(estimator.predict_order(X)) == 60


def test_nothing_is_tuned_where_nothing_is_asked(data):
    estimator = small(proba="path", threshold=0.3).fit(*data)
    assert estimator.score_weights_ == (1.0, 0.0, 0.0, 0.0)
    tuned = small().fit(*data)
    assert sum(tuned.score_weights_) == pytest.approx(1)
    assert 0 < tuned.threshold_ < 1


# every way of training


@pytest.mark.parametrize("training", ["mixed", *OBJECTIVES])
@pytest.mark.parametrize("rollout", ["greedy", "sample"])
def test_every_training_learns_something(training, rollout, data):
    X, Y = data
    estimator = small(training=training, rollout=rollout, max_epochs=10, lr=0.03)
    estimator.set_params(first_look=None, max_grad_norm=5.0).fit(X, Y)
    majority = ((Y.mean(0) > 0.5) == Y).mean()
    assert (estimator.predict(X) == Y).mean() > majority + 0.05


@pytest.mark.parametrize("reward", ["f1", "hamming", "subset", "ndcg"])
@pytest.mark.parametrize("baseline", ["rollouts", "value", "greedy"])
@pytest.mark.parametrize("all_actions", [False, True])
def test_every_kind_of_reward_runs(reward, baseline, all_actions, data):
    estimator = small(
        training="reinforce",
        reward=reward,
        baseline=baseline,
        all_actions=all_actions,
        n_estimators=1,
        max_epochs=2,
        rl_start=0,
    ).fit(*data)
    assert np.isfinite(estimator.history_[-1]["train_loss"])
    assert "train_reward" in estimator.history_[-1]


def test_callable_reward_is_asked_with_hits_life_and_sizes(data):
    shapes = []

    def reward(hits, alive, n_true):
        shapes.append((hits.shape, alive.shape, n_true.shape))
        return hits.float() / n_true[:, None]

    small(reward=reward, rl_start=0).fit(*data)
    assert shapes
    for hits, alive, n_true in shapes:
        assert hits == alive
        assert hits[:1] == n_true


def test_networks_of_the_user_encode_the_rows(data):
    X, Y = data
    own = torch.nn.Sequential(torch.nn.Linear(6, 5), torch.nn.Tanh())
    before = own[0].weight.detach().clone()
    for module in (own, lambda: torch.nn.Linear(6, 5)):
        estimator = small(module=module).fit(X, Y)
        networks = [m.encoder.network for m in estimator.module_.members]
        assert networks[0] is not networks[1]
        assert estimator.module_.members[0].context_weight.shape[1] == 5
        assert estimator.predict(X).shape == Y.shape
        assert_array_equal(estimator.input_scale_, 1.0)
    assert torch.equal(own[0].weight, before)
