"""Tests of what is read out of fitted models."""

import copy
import pickle

import numpy as np
import pytest
import scipy.sparse as sp
import torch
from extension_data import fitted_source, four_blobs, small_network
from numpy.testing import assert_allclose, assert_array_equal
from scipy.special import log_softmax, softmax
from sklearn.dummy import DummyClassifier
from sklearn.frozen import FrozenEstimator
from sklearn.linear_model import LogisticRegression, Perceptron, RidgeClassifier
from sklearn.model_selection import GridSearchCV
from sklearn.naive_bayes import GaussianNB
from sklearn.neighbors import KNeighborsClassifier
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from sklearn.svm import SVC, LinearSVC
from skorch import NeuralNetClassifier

from skdeep.transfer._source_kinds import (
    is_fitted,
    network_of,
    settled,
    source_classes,
    takes_missing,
    takes_sparse,
    unwrap,
)
from skdeep.transfer._sources import (
    as_signal,
    class_scores,
    find_signal,
    outputs,
    votes_of_pairs,
)


@pytest.fixture(scope="module")
def problem():
    return four_blobs()


def scores_of(source, X, classes=None):
    return class_scores(source, X, source_classes(source, classes))


def test_scores_of_probabilities_are_their_clipped_logs(problem):
    source = KNeighborsClassifier(3).fit(problem.X_new, problem.y_new)
    proba = source.predict_proba(problem.X_test)
    assert (proba == 0).any()
    scores = scores_of(source, problem.X_test)
    assert scores.dtype == np.float32
    assert_allclose(scores, np.log(np.where(proba == 0, 1e-6, proba)), rtol=1e-6)


def test_scores_of_decision_values_are_these_values(problem):
    source = RidgeClassifier().fit(problem.X_new, problem.y_new)
    expected = source.decision_function(problem.X_test)
    assert_allclose(scores_of(source, problem.X_test), expected, rtol=1e-6)


def test_two_classes_get_half_of_a_binary_decision_value_each(problem):
    source = LinearSVC().fit(problem.X_old, problem.y_old)
    value = source.decision_function(problem.X_test)
    scores = scores_of(source, problem.X_test)
    assert_allclose(scores, np.column_stack([-value / 2, value / 2]), rtol=1e-6)
    # so that a softmax of them is the logistic function of the decision value
    assert_allclose(softmax(scores, axis=1)[:, 1], 1 / (1 + np.exp(-value)), rtol=1e-4)


def test_a_model_that_only_predicts_gives_one_hot_scores(problem):
    class OnlyPredicts:
        classes_ = np.array([5, 3])

        def predict(self, X):
            return np.where(X[:, 0] > 0, 3, 5)

    scores = scores_of(OnlyPredicts(), np.array([[1.0], [-1.0]]))
    assert_allclose(scores, np.log([[1e-6, 1], [1, 1e-6]]), rtol=1e-6)
    assert find_signal(OnlyPredicts()) == "predict"


def test_a_prediction_that_is_no_class_is_refused():
    class Liar:
        classes_ = np.array(["a", "b"])

        def predict(self, X):
            return np.array(["a", "c"])

    with pytest.raises(ValueError, match="predicts 'c', which is none of its classes"):
        scores_of(Liar(), np.zeros((2, 1)))


@pytest.mark.parametrize("n_classes", [3, 4])
def test_pairwise_decisions_become_one_score_a_class(problem, n_classes):
    known = problem.y_new < n_classes
    X, y = problem.X_new[known], problem.y_new[known]
    pairs = SVC(decision_function_shape="ovo").fit(X, y)
    scores = scores_of(pairs, problem.X_test)
    assert_array_equal(scores.argmax(axis=1), pairs.predict(problem.X_test))
    rest = SVC(decision_function_shape="ovr").fit(X, y)
    assert_allclose(scores, rest.decision_function(problem.X_test), rtol=1e-5)


def test_votes_of_three_pairs_counted_by_hand():
    # class 0 beats 1 by 2 and loses to 2 by 1; 1 beats 2 by 3
    votes = votes_of_pairs(np.array([[2.0, -1.0, 3.0]]), 3)
    margins = np.array([2 - 1, -2 + 3, 1 - 3])
    expected = [1, 1, 1] + margins / (3 * (np.abs(margins) + 1))
    assert_allclose(votes, [expected])


WRAPPED = {
    "frozen": FrozenEstimator,
    "frozen twice": lambda source: FrozenEstimator(FrozenEstimator(source)),
    "pipeline": lambda source: make_pipeline(FrozenEstimator(source)).fit(
        [[0] * 5], [0]
    ),
}


@pytest.mark.parametrize("wrap", WRAPPED)
def test_wrapped_models_give_the_scores_of_what_they_hold(problem, wrap):
    source = fitted_source()
    wrapped = WRAPPED[wrap](source)
    assert unwrap(wrapped) is source
    assert_array_equal(
        scores_of(wrapped, problem.X_test), scores_of(source, problem.X_test)
    )


def test_a_search_is_unwrapped_to_its_best_model(problem):
    pipeline = make_pipeline(StandardScaler(), LogisticRegression())
    grid = {"logisticregression__C": [0.1, 1.0]}
    search = GridSearchCV(pipeline, grid, cv=2).fit(problem.X_old, problem.y_old)
    assert unwrap(search) is search.best_estimator_[-1]
    assert scores_of(search, problem.X_test).shape == (120, 2)


def test_networks_give_log_probabilities(problem):
    network = small_network().eval()
    with torch.no_grad():
        logits = network(torch.tensor(problem.X_test, dtype=torch.float32)).numpy()
    scores = scores_of(network, problem.X_test, ["x", "y"])
    assert_allclose(scores, log_softmax(logits, axis=1), rtol=1e-4, atol=1e-5)
    assert_allclose(outputs(network, problem.X_test), logits, rtol=1e-4, atol=1e-6)


def test_a_network_that_ends_with_a_softmax_is_not_given_another_one(problem):
    plain = small_network().eval()
    proba = small_network(last=torch.nn.Softmax(dim=1)).eval()
    assert_allclose(
        scores_of(proba, problem.X_test, [0, 1]),
        scores_of(plain, problem.X_test, [0, 1]),
        rtol=1e-4,
        atol=1e-5,
    )


def test_a_single_output_tells_two_classes_apart(problem):
    network = small_network(1).eval()
    logit = outputs(network, problem.X_test).ravel()
    scores = scores_of(network, problem.X_test, ["no", "yes"])
    assert_allclose(softmax(scores, axis=1)[:, 1], 1 / (1 + np.exp(-logit)), rtol=1e-4)


def test_outputs_of_a_row_depend_on_the_others_by_rounding_at_most(problem):
    network = small_network().eval()
    whole = outputs(network, problem.X_test)
    for part in np.array_split(np.arange(len(whole)), 9):
        single = outputs(network, problem.X_test[part])
        assert_allclose(single, whole[part], rtol=1e-5, atol=1e-6)


def test_networks_take_images_and_whole_numbers():
    image_net = torch.nn.Sequential(
        torch.nn.Conv2d(1, 2, 3), torch.nn.Flatten(), torch.nn.Linear(8, 3)
    )
    assert outputs(image_net, np.zeros((5, 1, 4, 4))).shape == (5, 3)
    word_net = torch.nn.Sequential(torch.nn.EmbeddingBag(9, 4), torch.nn.Linear(4, 2))
    assert outputs(word_net, np.array([[1, 2], [3, 8]])).shape == (2, 2)
    assert outputs(small_network().eval(), np.ones((2, 5), dtype=int)).shape == (2, 2)


def test_a_network_in_training_is_copied_and_left_alone(problem):
    network = small_network()
    network[0].eval()  # some parts only
    before = pickle.dumps(network)
    copied = settled(network)
    assert copied is not network
    assert not any(part.training for part in copied.modules())
    assert pickle.dumps(network) == before
    assert settled(copied) is copied


def test_nets_of_skorch_take_float64_and_are_left_alone(problem):
    net = NeuralNetClassifier(
        small_network(),
        criterion=torch.nn.CrossEntropyLoss,
        max_epochs=2,
        verbose=0,
        train_split=None,
    ).fit(problem.X_old.astype(np.float32), problem.y_old)
    before = pickle.dumps(net)
    assert network_of(net) is net.module_
    source = settled(net)
    scores = scores_of(source, problem.X_test)
    proba = copy.deepcopy(net).predict_proba(problem.X_test.astype(np.float32))
    assert_allclose(scores, np.log(proba), rtol=1e-4, atol=1e-5)
    assert_array_equal(
        scores_of(source, sp.csr_array(problem.X_test)),
        scores_of(source, problem.X_test),
    )
    assert pickle.dumps(net) == before


def test_signals_by_hand():
    scores = np.log(np.array([[0.25, 0.75], [0.9, 0.1]], dtype=np.float32))
    assert as_signal(scores, "logits") is scores
    assert_allclose(as_signal(scores, "proba"), [[0.25, 0.75], [0.9, 0.1]], rtol=1e-6)
    hard = as_signal(scores, "hard")
    assert_allclose(hard, np.log([[1e-6, 1], [1, 1e-6]]), rtol=1e-6)
    assert {as_signal(scores, kind).dtype for kind in ("proba", "hard")} == {
        np.dtype(np.float32)
    }


def test_classes_are_those_of_the_model_in_its_order():
    class Model:
        classes_ = ["b", "a"]

    assert source_classes(Model()).tolist() == ["b", "a"]
    assert source_classes(small_network(), [3, 1]).tolist() == [3, 1]


def test_whether_a_model_is_fitted(problem):
    assert not is_fitted(LogisticRegression())
    assert not is_fitted(FrozenEstimator(LogisticRegression()))
    assert not is_fitted(make_pipeline(StandardScaler(), LogisticRegression()))
    assert is_fitted(FrozenEstimator(fitted_source()))
    assert is_fitted(small_network())


def test_tags_tell_what_rows_a_source_takes(problem):
    assert takes_sparse(LogisticRegression())
    assert not takes_sparse(GaussianNB())
    assert takes_sparse(small_network())
    assert not takes_missing(LogisticRegression())
    assert not takes_sparse(object())


def test_a_model_with_infinite_scores_is_refused_with_a_count(problem):
    source = Perceptron().fit(problem.X_old, problem.y_old)
    source.coef_ = source.coef_ * np.inf
    X = problem.X_test.copy()
    with (
        pytest.raises(ValueError, match="non-finite scores for 120 of 120 samples"),
        np.errstate(all="ignore"),
    ):
        scores_of(source, X)


def test_scores_of_a_wrong_width_are_refused(problem):
    with pytest.raises(ValueError, match=r"shape \(120, 3\) for its 2 classes"):
        scores_of(small_network(3).eval(), problem.X_test, [0, 1])


def test_rows_that_a_network_does_not_take_are_refused(problem):
    with pytest.raises(ValueError, match=r"Sequential\) does not take rows of shape"):
        outputs(small_network().eval(), problem.X_test[:, :3])


def test_models_that_tell_no_classes_are_refused():
    with pytest.raises(ValueError, match="does not tell its classes. Pass `classes=`"):
        source_classes(small_network())
    with pytest.raises(ValueError, match="occurs twice"):
        source_classes(small_network(), [1, 1])
    with pytest.raises(ValueError, match="1d array of labels"):
        source_classes(small_network(), [[1, 2]])
    several = DummyClassifier().fit([[0], [1]], [[0, 1], [1, 0]])
    with pytest.raises(ValueError, match="DummyClassifier.* has several outputs"):
        source_classes(several)


def test_a_model_without_any_answer_is_refused():
    with pytest.raises(ValueError, match="none of the methods `predict_proba`"):
        find_signal(StandardScaler())
