"""The extender among the estimators of scikit-learn: checks, copies, searches."""

import copy
import pickle
from concurrent.futures import ThreadPoolExecutor
from unittest import SkipTest

import joblib
import numpy as np
import pytest
import sklearn
import torch
from extension_data import fitted_source, four_blobs, quick_extender, small_network
from numpy.testing import assert_array_equal
from sklearn.base import clone, is_classifier
from sklearn.ensemble import BaggingClassifier
from sklearn.exceptions import NotFittedError
from sklearn.frozen import FrozenEstimator
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import GridSearchCV, cross_val_score, cross_validate
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import FunctionTransformer, StandardScaler
from sklearn.utils import get_tags
from sklearn.utils.estimator_checks import (
    estimator_checks_generator,
    parametrize_with_checks,
)

from skdeep.metrics import make_extension_scorer
from skdeep.transfer import AdapterExtender

UNFITTED = AdapterExtender(LogisticRegression(), prefit=False, device="cpu")


@parametrize_with_checks([UNFITTED])
def test_scikit_learn_contract(estimator, check):
    try:
        check(estimator)
    except SkipTest as skipped:  # a check that does not look is no check
        pytest.fail(f"skipped: {skipped}")


def test_no_check_is_excused():
    tags = get_tags(UNFITTED)
    assert not tags.no_validation
    assert not tags._skip_test
    assert not tags.non_deterministic
    assert not tags.classifier_tags.poor_score
    assert tags.input_tags.sparse
    assert len(list(estimator_checks_generator(UNFITTED))) > 60


@pytest.fixture(scope="module")
def problem():
    return four_blobs()


@pytest.fixture(scope="module")
def source():
    return fitted_source()


@pytest.fixture(scope="module")
def fitted(source, problem):
    return quick_extender(source).fit(problem.X_new, problem.y_new)


def test_clone_hands_the_fitted_source_on(source, fitted):
    copied = clone(fitted)
    assert copied.estimator is source
    assert copied.method == "stacking"
    with pytest.raises(NotFittedError):
        copied.predict([[0.0] * 5])


def test_clone_copies_a_source_that_is_to_be_fitted(source):
    extender = AdapterExtender(source, prefit=False)
    copied = clone(extender)
    assert copied.estimator is not source
    assert not hasattr(copied.estimator, "classes_")


def test_clone_hands_networks_and_fitted_transformers_on(problem):
    network = small_network()
    scaler = StandardScaler().fit(problem.X_old)
    for prefit in (True, False):
        copied = clone(AdapterExtender(network, features=scaler, prefit=True))
        assert copied.estimator is network
        copied.set_params(prefit=prefit)
        assert copied.features is scaler
    unfitted = StandardScaler()
    assert clone(AdapterExtender(network, features=unfitted)).features is not unfitted


def test_clone_copies_the_other_parameters_and_the_requests(source):
    weights = {0: 2.0}
    with sklearn.config_context(enable_metadata_routing=True):
        extender = AdapterExtender(source, class_weight=weights)
        extender.set_fit_request(sample_weight=True, X_unlabeled=True)
        copied = clone(extender)
        assert copied.class_weight == weights
        assert copied.class_weight is not weights
        requests = copied.get_metadata_routing().fit.requests
        assert requests["sample_weight"] is True
        assert requests["X_unlabeled"] is True


def test_only_a_source_that_is_to_be_fitted_has_parameters_to_set():
    source = fitted_source()
    extender = AdapterExtender(source)
    with pytest.raises(ValueError, match="`estimator` is frozen.*'C' would have no"):
        extender.set_params(estimator__C=3.0)
    with pytest.raises(ValueError, match="frozen"):
        extender.set_params(lr=0.1, estimator__C=3.0)
    assert extender.lr == "auto"  # nothing is set by halves
    assert source.C == 1.0
    extender.set_params(prefit=False).set_params(estimator__C=3.0)
    assert extender.estimator.C == 3.0


def test_parameters_that_are_told_can_be_set(problem):
    extender = AdapterExtender(fitted_source())
    assert not any("__" in name for name in extender.get_params())
    assert extender.set_params(**extender.get_params()) is extender
    assert "estimator__C" in UNFITTED.get_params()
    bagged = BaggingClassifier(quick_extender(fitted_source()), 2, random_state=0)
    X = np.concatenate([problem.X_old, problem.X_new])
    y = np.concatenate([problem.y_old, problem.y_new])
    assert bagged.fit(X, y).score(X, y) > 0.9  # it sets a random state each


def test_a_search_may_set_parameters_of_a_source_that_is_to_be_fitted(problem):
    grid = {"estimator__C": [1e-3, 1.0]}
    search = GridSearchCV(UNFITTED, grid, cv=2).fit(problem.X_old, problem.y_old)
    assert search.best_score_ > 0.9
    best = search.best_estimator_
    assert search.best_params_ == {"estimator__C": best.estimator_.C}


@pytest.mark.parametrize("freeze", [lambda source: source, FrozenEstimator])
@pytest.mark.parametrize("n_jobs", [None, pytest.param(2, marks=pytest.mark.slow)])
def test_grid_search_with_a_fitted_source(freeze, n_jobs, source, problem):
    before = pickle.dumps(source)
    extender = quick_extender(freeze(source))
    search = GridSearchCV(
        extender,
        {"method": ["stacking"], "class_weight": ["auto", None]},
        cv=2,
        n_jobs=n_jobs,
        scoring=make_extension_scorer("harmonic"),
        error_score="raise",
    ).fit(problem.X_new, problem.y_new)
    assert search.best_score_ > 0.9
    assert search.best_estimator_.score(problem.X_test, problem.y_test) > 0.9
    assert pickle.dumps(source) == before


def test_cross_validation_and_pipelines_with_a_fitted_source(source, problem):
    X, y = problem.X_new, problem.y_new
    result = cross_validate(quick_extender(source), X, y, cv=2, return_estimator=True)
    assert all(found.estimator is source for found in result["estimator"])
    model = make_pipeline(FunctionTransformer(), quick_extender(source))
    assert cross_val_score(model, X, y, cv=2).min() > 0.9
    assert clone(model)[-1].estimator is source
    np.testing.assert_array_equal(
        model.fit(X, y).predict(problem.X_test),
        quick_extender(source).fit(X, y).predict(problem.X_test),
    )


def test_metadata_are_routed_by_name(source, problem):
    with sklearn.config_context(enable_metadata_routing=True):
        extender = quick_extender(source).set_fit_request(sample_weight=True)
        extender.set_score_request(sample_weight=False)
        weight = np.linspace(0.1, 1, len(problem.y_new))
        scores = cross_validate(
            extender,
            problem.X_new,
            problem.y_new,
            cv=2,
            params={"sample_weight": weight},
        )["test_score"]
    assert scores.min() > 0.9


COPIES = {
    "pickle": lambda model: pickle.loads(pickle.dumps(model)),
    "deepcopy": copy.deepcopy,
    "copy": copy.copy,
}


@pytest.mark.parametrize("how", COPIES)
def test_copies_answer_alike(how, fitted, problem):
    copied = COPIES[how](fitted)
    assert_array_equal(
        copied.predict_proba(problem.X_test), fitted.predict_proba(problem.X_test)
    )
    assert copied.classes_.tolist() == [0, 1, 2, 3]


def test_a_joblib_file_answers_alike(fitted, problem, tmp_path):
    joblib.dump(fitted, tmp_path / "model.joblib")
    for mode in (None, "r"):
        loaded = joblib.load(tmp_path / "model.joblib", mmap_mode=mode)
        assert_array_equal(
            loaded.predict(problem.X_test), fitted.predict(problem.X_test)
        )


def test_new_rows_are_in_no_pickle_unless_asked_for(source, problem):
    marks = problem.X_new.copy()
    marks[5] = 1.2345678
    mark = marks[5].astype(np.float32).tobytes()
    for warm_start in (False, True):
        extender = quick_extender(source, warm_start=warm_start)
        extender.fit(marks, problem.y_new)
        assert (mark in pickle.dumps(extender)) == warm_start


def test_answers_from_several_threads_are_the_same(fitted, problem):
    expected = fitted.predict_proba(problem.X_test)
    with ThreadPoolExecutor(4) as pool:
        for found in pool.map(fitted.predict_proba, [problem.X_test] * 16):
            assert_array_equal(found, expected)


def test_same_seed_same_model_and_the_caller_s_generators_are_left_alone(problem):
    X, y = problem.X_new, problem.y_new
    torch.manual_seed(1)
    expected = torch.rand(1)
    torch.manual_seed(1)
    one, other = (quick_extender().fit(X, y).predict_proba(X) for _ in range(2))
    assert torch.equal(torch.rand(1), expected)
    assert_array_equal(one, other)


def test_a_failed_fit_leaves_the_old_model(source, problem):
    extender = quick_extender(source).fit(problem.X_new, problem.y_new)
    before, attributes = pickle.dumps(extender), vars(extender).copy()
    for call in (extender.fit, extender.partial_fit):
        with pytest.raises(ValueError, match="NaN"):
            call(problem.X_new * np.nan, problem.y_new)
    assert vars(extender) == attributes
    assert pickle.dumps(extender) == before


def test_tags_follow_the_mode(source):
    assert is_classifier(AdapterExtender(source))
    extender = AdapterExtender(source, mode="sequence")
    assert not is_classifier(extender)
    assert get_tags(extender).estimator_type is None
    assert not hasattr(extender, "predict_proba")
    assert hasattr(extender, "predict_marginals")
    assert not hasattr(AdapterExtender(source), "predict_marginals")


def test_a_model_with_marginals_is_extended_as_a_tagger():
    class Tagger:
        def predict(self, X):
            return [["O"] * len(sentence) for sentence in X]

        def predict_marginals(self, X):
            return None

    assert not is_classifier(AdapterExtender(Tagger()))
    assert not is_classifier(AdapterExtender(FrozenEstimator(Tagger())))


def test_repr_shows_the_source(source):
    text = repr(AdapterExtender(source, method="gate"))
    assert text == "AdapterExtender(estimator=LogisticRegression(), method='gate')"
    assert "LogisticRegression" in AdapterExtender(source)._repr_html_()
