"""The extender in the middle of a pipeline: its representation of rows."""

import pickle

import numpy as np
import pytest
import scipy.sparse as sp
from extension_data import fitted_source, four_blobs, quick_extender
from numpy.testing import assert_allclose, assert_array_equal
from sklearn.base import clone
from sklearn.exceptions import NotFittedError
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import GridSearchCV, cross_val_score
from sklearn.pipeline import make_pipeline

from skdeep.transfer import AdapterExtender, SequenceTagger

METHODS = ["auto", "adapter", "finetune", "stacking", "gate"]


@pytest.fixture(scope="module")
def problem():
    return four_blobs()


def extender_with(method, **params):
    return quick_extender(method=method, skip_connection=True, max_epochs=5, **params)


@pytest.mark.parametrize("method", METHODS)
def test_any_method_has_a_place_in_the_middle_of_a_pipeline(method, problem):
    model = make_pipeline(extender_with(method), LogisticRegression())
    model.fit(problem.X_new, problem.y_new)
    assert model.score(problem.X_test, problem.y_test) > 0.9
    rows = model[:-1].transform(problem.X_test)
    assert rows.dtype == np.float32
    assert len(model[:-1].get_feature_names_out()) == rows.shape[1]
    assert_array_equal(model[:-1].transform(problem.X_test[3:4]), rows[3:4])


def test_pipelines_with_it_are_searched_and_pickled(problem):
    X, y = problem.X_new, problem.y_new
    model = make_pipeline(extender_with("stacking"), LogisticRegression())
    assert cross_val_score(model, X, y, cv=2).min() > 0.9
    grid = {"adapterextender__class_weight": ["auto", None]}
    search = GridSearchCV(model, grid, cv=2, error_score="raise").fit(X, y)
    copied = pickle.loads(pickle.dumps(search.best_estimator_))
    assert_array_equal(copied.predict(X), search.predict(X))


def test_a_network_gives_its_hidden_layer_and_the_adapter(problem):
    sizes = {"hidden_layer_sizes": (7,), "adapter_hidden_size": 5}
    extender = extender_with("adapter", **sizes).fit(problem.X_new, problem.y_new)
    rows = extender.transform(problem.X_test)
    assert rows.shape == (120, 12)
    assert rows[:, :7].min() == 0
    assert np.abs(rows[:, 7:]).max() < 1


@pytest.mark.parametrize("method", ["stacking", "gate"])
def test_other_methods_give_features_and_scores_on_one_scale(method, problem):
    extender = extender_with(method).fit(problem.X_new, problem.y_new)
    rows = extender.transform(problem.X_new)
    assert rows.shape == (120, 5 + 2)
    assert_allclose(rows[:, 5:].sum(axis=1), 0, atol=1e-6)
    assert_array_equal(extender.fit_transform(problem.X_new, problem.y_new), rows)


def test_sparse_rows_stay_sparse(problem):
    X = sp.csr_array(problem.X_new)
    extender = extender_with("stacking").fit(X, problem.y_new)
    assert sp.issparse(extender.transform(X))
    model = make_pipeline(extender_with("stacking"), LogisticRegression())
    assert model.fit(X, problem.y_new).score(X, problem.y_new) > 0.9


def test_with_nothing_but_a_source_its_scores_are_given(problem):
    extender = AdapterExtender(LogisticRegression(), prefit=False, device="cpu")
    extender.fit(problem.X_old, problem.y_old)
    assert_allclose(
        extender.transform(problem.X_test),
        np.log(np.clip(extender.estimator_.predict_proba(problem.X_test), 1e-6, 1)),
        rtol=1e-5,
    )


def test_frames_are_given_where_they_are_asked_for(problem):
    extender = extender_with("stacking").set_output(transform="pandas")
    assert hasattr(clone(extender).fit_transform(problem.X_new, problem.y_new), "iloc")
    model = make_pipeline(extender, LogisticRegression()).set_output(transform="polars")
    model.fit(problem.X_new, problem.y_new)
    assert model[-1].feature_names_in_[0] == "adapterextender0"


def test_before_a_fit_there_is_nothing_to_give(problem):
    with pytest.raises(NotFittedError):
        quick_extender().transform(problem.X_test)
    with pytest.raises(NotFittedError):
        quick_extender().get_feature_names_out()


def test_taggers_have_no_representation():
    extender = AdapterExtender(SequenceTagger(), prefit=False)
    for name in ("transform", "fit_transform", "get_feature_names_out", "set_output"):
        assert not hasattr(extender, name)
    model = make_pipeline(AdapterExtender(fitted_source(), mode="sequence"))
    assert model.set_output(transform="pandas") is model
