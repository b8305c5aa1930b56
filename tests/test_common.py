"""What every estimator has in common: the contract of scikit-learn, and ours beyond it.

The estimators come from the list in `estimators.py`.
"""

import copy
import inspect
import io
import json
import pickle
from unittest import SkipTest

import joblib
import numpy as np
import pandas as pd
import polars as pl
import pytest
import skops.io
from estimators import (
    CASES,
    IDS,
    answers,
    assert_same_answers,
    callables,
)
from sklearn.base import clone, is_classifier, is_clusterer
from sklearn.exceptions import NotFittedError
from sklearn.frozen import FrozenEstimator
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import GridSearchCV, cross_val_score
from sklearn.neighbors import KNeighborsClassifier
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from sklearn.utils import get_tags
from sklearn.utils.estimator_checks import (
    estimator_checks_generator,
    parametrize_with_checks,
)

import skdeep


@pytest.mark.filterwarnings("ignore:.*rows hold zeros only:UserWarning")
@parametrize_with_checks([case.estimator for case in CASES if case.contract])
def test_scikit_learn_contract(estimator, check):
    try:
        check(estimator)
    except SkipTest as skipped:  # a check that does not look is no check
        pytest.fail(f"skipped: {skipped}")


@pytest.fixture(scope="module", params=CASES, ids=IDS)
def case(request):
    return request.param


@pytest.fixture(scope="module")
def fitted(case):
    """A fitted estimator; tests must not change it."""
    return case.fitted()


@pytest.fixture(scope="module")
def rows(case):
    return case.make_data()[2]


@pytest.fixture(scope="module")
def expected(fitted, rows):
    return answers(fitted, rows)


def as_pipeline(case, estimator):
    """The estimator behind a scaler, with something that predicts at the end."""
    steps = [StandardScaler(), estimator]
    if hasattr(estimator, "transform"):
        steps.append(KNeighborsClassifier(3))
    return make_pipeline(*steps)


def test_no_check_is_excused(case):
    tags = get_tags(case.estimator)
    assert not tags.no_validation
    assert not tags._skip_test
    assert not tags.non_deterministic
    if tags.classifier_tags is not None:
        assert not tags.classifier_tags.poor_score


def test_all_checks_are_generated(case):
    # an estimator that takes no 2-d array would be left with a single check
    assert len(list(estimator_checks_generator(case.estimator))) > 40


def test_parameters_are_stored_as_they_are_and_listed_by_keyword(case):
    signature = inspect.signature(type(case.estimator)).parameters
    kinds = {name: parameter.kind for name, parameter in signature.items()}
    assert inspect.Parameter.VAR_KEYWORD not in kinds.values()
    assert (
        sum(kind is not inspect.Parameter.KEYWORD_ONLY for kind in kinds.values()) <= 2
    )
    for name in kinds:
        token = object()
        assert getattr(case.new(**{name: token}), name) is token


def test_clone_has_the_same_parameters_and_no_fitted_state(case, fitted):
    copied = clone(fitted)
    assert copied.get_params() == fitted.get_params()
    with pytest.raises(NotFittedError):
        answers(copied, case.make_data()[2])


COPIES = {
    "pickle": lambda estimator: pickle.loads(pickle.dumps(estimator)),
    "pickle 2": lambda estimator: pickle.loads(pickle.dumps(estimator, protocol=2)),
    "deepcopy": copy.deepcopy,
    "copy": copy.copy,
}


@pytest.mark.parametrize("how", COPIES)
def test_copies_answer_alike(how, fitted, rows, expected):
    assert_same_answers(answers(COPIES[how](fitted), rows), expected)


@pytest.mark.parametrize("compress", [0, 3])
def test_joblib_file_answers_alike(compress, fitted, rows, expected, tmp_path):
    joblib.dump(fitted, tmp_path / "model.joblib", compress=compress)
    assert_same_answers(answers(joblib.load(tmp_path / "model.joblib"), rows), expected)


def test_joblib_memory_map_answers_alike(fitted, rows, expected, tmp_path):
    joblib.dump(fitted, tmp_path / "model.joblib")
    loaded = joblib.load(tmp_path / "model.joblib", mmap_mode="r")
    assert_same_answers(answers(loaded, rows), expected)


def test_saved_file_answers_alike(case, fitted, rows, expected, tmp_path):
    skdeep.save(fitted, tmp_path / "model.skdeep")
    loaded = skdeep.load(tmp_path / "model.skdeep")
    assert loaded.get_params() == fitted.get_params()
    assert_same_answers(answers(loaded, rows), expected)
    X, y, _ = case.make_data()
    assert_same_answers(answers(loaded.fit(X, y), rows), expected)


def test_skops_needs_to_trust_nothing_but_skdeep(fitted, rows, expected):
    content = skops.io.dumps(fitted)
    unknown = skops.io.get_untrusted_types(data=content)
    assert [name for name in unknown if not name.startswith("skdeep.")] == []
    loaded = skops.io.loads(content, trusted=unknown)
    assert_same_answers(answers(loaded, rows), expected)


def test_pickled_state_holds_arrays_and_plain_values_only(fitted):
    plain = (np.ndarray, np.generic, str, int, float, bool, type(None))

    def visit(value, path):
        if isinstance(value, dict):
            for key, item in value.items():
                visit(item, f"{path}[{key!r}]")
        elif isinstance(value, (list, tuple)):
            for index, item in enumerate(value):
                visit(item, f"{path}[{index}]")
        else:
            assert isinstance(value, plain), f"{path} is {type(value)}"

    visit(fitted.__getstate__(), "state")


def test_unpickled_model_ignores_parameters_changed_after_the_fit(case, rows):
    estimator = case.fitted()
    before = answers(estimator, rows)
    for name, value in {"hidden_layer_sizes": (3, 3), "n_components": 2}.items():
        if name in estimator.get_params():
            estimator.set_params(**{name: value})
    assert_same_answers(answers(estimator, rows), before)
    assert_same_answers(answers(pickle.loads(pickle.dumps(estimator)), rows), before)


def test_model_trained_on_a_missing_device_comes_back_on_the_cpu(
    fitted, rows, expected
):
    state = fitted.__getstate__()
    assert state["device_"] == "cpu"
    elsewhere = type(fitted).__new__(type(fitted))
    elsewhere.__setstate__({**state, "device_": "cuda:0"})
    if elsewhere.device_ == "cpu":
        assert_same_answers(answers(elsewhere, rows), expected)
    else:
        for name, answer in answers(elsewhere, rows).items():
            np.testing.assert_allclose(answer, expected[name], rtol=1e-3, atol=1e-5)


def test_fitting_and_pickling_leave_no_trace_in_the_caller_s_parameters(case):
    estimator = case.new()
    before = copy.deepcopy(estimator.get_params())
    X, y, rows = case.make_data()
    answers(estimator.fit(X, y), rows)
    pickle.dumps(estimator)
    assert estimator.get_params() == before


def test_frozen_in_a_pipeline_is_not_fitted_again(case, fitted, rows, expected):
    X, y, _ = case.make_data()
    if is_classifier(fitted) or is_clusterer(fitted):
        model = make_pipeline(StandardScaler(with_mean=False, with_std=False))
        model.steps.append(("frozen", FrozenEstimator(fitted)))
        model.fit(X, y[::-1])
        np.testing.assert_array_equal(model.predict(rows), fitted.predict(rows))
    else:
        model = make_pipeline(FrozenEstimator(fitted), LogisticRegression())
        model.fit(X, y)
        np.testing.assert_array_equal(model[:-1].transform(rows), expected["transform"])
        assert model.score(X, y) > 0.9


@pytest.fixture(scope="module")
def transformer(fitted):
    if not hasattr(fitted, "transform"):
        pytest.skip("no transformer")
    return fitted


@pytest.mark.parametrize(
    ("container", "kind"), [("pandas", pd.DataFrame), ("polars", pl.DataFrame)]
)
def test_set_output_gives_frames_with_names(container, kind, transformer, rows):
    framed = copy.deepcopy(transformer).set_output(transform=container)
    frame = framed.transform(rows)
    assert isinstance(frame, kind)
    assert list(frame.columns) == list(transformer.get_feature_names_out())
    np.testing.assert_array_equal(frame.to_numpy(), transformer.transform(rows))
    assert frame.to_numpy().dtype == np.float32


def test_feature_names_out_count_the_columns(transformer, rows):
    names = transformer.get_feature_names_out()
    prefix = type(transformer).__name__.lower()
    n_columns = transformer.transform(rows).shape[1]
    assert list(names) == [f"{prefix}{column}" for column in range(n_columns)]


@pytest.mark.parametrize("frame", [pd.DataFrame, pl.DataFrame])
def test_feature_names_of_a_frame_are_kept(frame, case, rows, expected):
    X, y, _ = case.make_data()
    names = [f"column {number}" for number in range(X.shape[1])]
    framed = {
        name: frame(dict(zip(names, data.T)))
        for name, data in {"X": X, "rows": rows}.items()
    }
    estimator = case.new().fit(framed["X"], y)
    assert list(estimator.feature_names_in_) == names
    assert_same_answers(answers(estimator, framed["rows"]), expected)
    assert not hasattr(estimator.fit(X, y), "feature_names_in_")


@pytest.mark.slow
def test_grid_search_over_a_pipeline_is_the_same_with_two_processes(case):
    X, y, _ = case.make_data()
    model = as_pipeline(case, case.new(max_epochs=2))
    grid = {f"{model.steps[1][0]}__lr": [1e-3, 1e-2]}
    searches = [
        GridSearchCV(model, grid, cv=3, n_jobs=n_jobs).fit(X, y) for n_jobs in (1, 2)
    ]
    one, two = (search.cv_results_["mean_test_score"] for search in searches)
    np.testing.assert_array_equal(one, two)
    assert searches[0].best_score_ > case.min_score


def test_own_score_works_in_cross_validation(case):
    X, y, _ = case.make_data()
    scores = cross_val_score(case.new(), X, y, cv=3)
    assert (scores > case.min_score).all()


def test_refit_after_set_params_takes_the_new_parameters(case):
    X, y, _ = case.make_data()
    estimator = case.fitted().set_params(max_epochs=1).fit(X, y)
    assert estimator.n_iter_ == len(estimator.history_) == case.n_epochs(1)


def test_warm_start_goes_on_where_the_last_fit_ended(case):
    X, y, rows = case.make_data()
    if "warm_start" not in case.estimator.get_params():
        pytest.skip("has no warm start")
    estimator = case.new(warm_start=True).fit(X, y)
    n_epochs = estimator.n_iter_
    before = answers(estimator, rows)
    copied = pickle.loads(pickle.dumps(estimator))
    estimator.fit(X, y)
    assert estimator.n_iter_ == len(estimator.history_) == 2 * n_epochs
    numbers = [epoch["epoch"] for epoch in estimator.history_]
    assert numbers == list(range(1, 2 * n_epochs + 1))
    # it learns from the first weights on: less loss than at its start
    assert estimator.history_[-1]["train_loss"] < estimator.history_[0]["train_loss"]
    assert not all(
        np.array_equal(answer, before[name])
        for name, answer in answers(estimator, rows).items()
    )
    # the state of the optimizer survives the pickle, so both go the same way
    assert_same_answers(answers(copied.fit(X, y), rows), answers(estimator, rows))


def test_without_warm_start_a_second_fit_starts_anew(case, fitted, rows, expected):
    X, y, _ = case.make_data()
    again = copy.deepcopy(fitted).fit(X, y)
    assert_same_answers(answers(again, rows), expected)
    assert len(again.history_) == len(fitted.history_)


def test_partial_fit_adds_one_epoch_a_call(case):
    if not hasattr(case.estimator, "partial_fit"):
        pytest.skip("has no partial_fit")
    X, y, rows = case.make_data()
    estimator = case.new()
    for call in range(1, 4):
        assert estimator.partial_fit(X, y) is estimator
        assert estimator.n_iter_ == len(estimator.history_) == call
    answers(estimator, rows)
    with pytest.raises(ValueError, match="features"):
        estimator.partial_fit(X[:, 1:], y)
    assert estimator.n_iter_ == 3


def test_fit_returns_the_estimator_and_sets_the_documented_attributes(case, fitted):
    X, y, _ = case.make_data()
    estimator = case.new()
    assert estimator.fit(X, y) is estimator
    for name in ("module_", "device_", "history_", "n_iter_", "n_features_in_", "net_"):
        assert hasattr(estimator, name)
    assert estimator.n_features_in_ == X.shape[1]
    assert estimator.loss_curve_ == [row["train_loss"] for row in estimator.history_]
    documented = inspect.getdoc(type(estimator))
    for name in vars(estimator):
        if name.endswith("_") and not name.startswith("_"):
            assert f"\n{name} : " in documented, f"{name} is not documented"


def test_network_is_in_evaluation_mode_after_every_way_in(case, fitted, tmp_path):
    joblib.dump(fitted, tmp_path / "model.joblib")
    loaded = joblib.load(tmp_path / "model.joblib")
    for estimator in (fitted, copy.deepcopy(fitted), loaded):
        assert not any(part.training for part in estimator.module_.modules())


def test_repr_shows_changed_parameters(case):
    name = type(case.estimator).__name__
    assert repr(case.new(max_epochs=7)).startswith(f"{name}(")
    assert "max_epochs=7" in repr(case.new(max_epochs=7))
    assert name in case.estimator._repr_html_()


def test_history_is_plain_numbers(fitted):
    for epoch in json.loads(json.dumps(fitted.history_)):
        assert all(isinstance(value, (int, float)) for value in epoch.values())


def test_pickle_of_an_unfitted_estimator_fits_alike(case, rows, expected):
    stream = io.BytesIO()
    pickle.dump(case.estimator, stream)
    stream.seek(0)
    X, y, _ = case.make_data()
    assert_same_answers(answers(pickle.load(stream).fit(X, y), rows), expected)


def test_answers_are_float32_and_labels_keep_their_type(fitted, rows):
    for name in callables(fitted):
        answer = getattr(fitted, name)(rows)
        kind = np.float32
        if name == "predict":
            kind = np.int64 if is_clusterer(fitted) else fitted.classes_.dtype
        assert answer.dtype == kind
