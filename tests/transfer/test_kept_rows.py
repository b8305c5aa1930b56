"""Tests of rows of old classes that a source holds in itself."""

import numpy as np
import pytest
import scipy.sparse as sp
from numpy.testing import assert_allclose, assert_array_equal
from sklearn.datasets import load_digits
from sklearn.frozen import FrozenEstimator
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import GridSearchCV
from sklearn.neighbors import KNeighborsClassifier, KNeighborsRegressor
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import MaxAbsScaler, StandardScaler
from sklearn.svm import SVC, LinearSVC

from skdeep.transfer import AdapterExtender
from skdeep.transfer._gate import learn_gate
from skdeep.transfer._kept_rows import (
    _MOST,
    KeptRows,
    find_kept_rows,
    measure_old,
    rows_kept_in,
)

RNG = np.random.RandomState(0)
CODES = np.repeat([0, 1, 2, 3], 12)
X = 4 * np.eye(4, 5)[CODES] + RNG.normal(size=(48, 5))
OLD, NEW = CODES < 3, CODES == 3
NAMES = np.array(["a", "b", "c", "d"])[CODES]


def kept_of(source, X=X, **params):
    """What an extender finds in a source that was fitted to the old rows."""
    est = AdapterExtender(
        source.fit(X[OLD], NAMES[OLD]),
        new_annotation="new_only",
        device="cpu",
        random_state=0,
        **params,
    )
    est.fit(X[NEW], NAMES[NEW])
    steps = est._feature_place == "steps"
    features = source[:-1].transform(X) if steps else X
    return find_kept_rows(est, features), features


def test_rows_and_classes_of_neighbors_are_those_of_the_fit():
    kept, _ = kept_of(KNeighborsClassifier())
    order = np.argsort(kept.places, kind="stable")
    assert_array_equal(kept.features[order], X[OLD].astype(np.float32))
    assert_array_equal(kept.places[order], CODES[OLD])
    assert kept.scores.shape == (36, 3)


def test_support_vectors_have_the_classes_that_they_were_given():
    model = SVC().fit(X[OLD], NAMES[OLD])
    rows, places = rows_kept_in(model)
    assert_array_equal(rows, X[OLD][model.support_])
    assert_array_equal(places, CODES[OLD][model.support_])


def test_other_models_keep_nothing():
    for model in (LogisticRegression(), LinearSVC()):
        assert rows_kept_in(model.fit(X, CODES)) == (None, None)
        assert kept_of(model)[0] is None
    two_outputs = KNeighborsClassifier().fit(X, np.stack([CODES, CODES], axis=1))
    assert rows_kept_in(two_outputs) == (None, None)
    regressor = KNeighborsRegressor().fit(X, np.stack([CODES, CODES], axis=1))
    assert rows_kept_in(regressor) == (None, None)


@pytest.mark.parametrize(
    "wrap",
    [
        lambda model: make_pipeline(StandardScaler(), model),
        lambda model: make_pipeline(
            StandardScaler(), GridSearchCV(model, {"n_neighbors": [3]}, cv=2)
        ),
    ],
)
def test_rows_in_a_pipeline_are_in_the_space_of_its_last_step(wrap):
    kept, features = kept_of(wrap(KNeighborsClassifier()))
    expected = features[OLD].astype(np.float32)
    assert_allclose(np.sort(kept.features, axis=0), np.sort(expected, axis=0))


def test_wrappers_do_not_hide_rows():
    model = KNeighborsClassifier().fit(X[OLD], NAMES[OLD])
    for source in (FrozenEstimator(model), make_pipeline(model)):
        est = AdapterExtender(source, new_annotation="new_only", device="cpu")
        est.fit(X[NEW], NAMES[NEW])
        assert len(find_kept_rows(est, X).places) == 36


def test_rows_of_another_space_are_not_taken():
    pipeline = make_pipeline(StandardScaler(), KNeighborsClassifier())
    assert kept_of(pipeline, features="input")[0] is None
    assert kept_of(KNeighborsClassifier(), features="both")[0] is None
    inner = make_pipeline(MaxAbsScaler(), KNeighborsClassifier())
    assert kept_of(make_pipeline(StandardScaler(), inner))[0] is None
    inner = make_pipeline(KNeighborsClassifier())
    assert kept_of(inner, features=MaxAbsScaler().fit(X))[0] is None


def test_a_class_with_a_single_row_is_too_few():
    few = np.concatenate([np.flatnonzero(CODES == 0), [12], np.flatnonzero(CODES == 2)])
    model = KNeighborsClassifier(1).fit(X[few], NAMES[few])
    est = AdapterExtender(model, new_annotation="new_only", device="cpu")
    est.fit(X[NEW], NAMES[NEW])
    assert find_kept_rows(est, X) is None


@pytest.mark.parametrize("of_source", [False, True])
@pytest.mark.parametrize("of_rows", [False, True])
def test_sparse_and_dense_meet(of_source, of_rows):
    make = {False: np.asarray, True: sp.csr_matrix}
    model = KNeighborsClassifier(algorithm="brute")
    model.fit(make[of_source](X[OLD]), NAMES[OLD])
    est = AdapterExtender(model, new_annotation="new_only", device="cpu")
    est.fit(make[of_rows](X[NEW]), NAMES[NEW])
    kept = find_kept_rows(est, make[of_rows](X[NEW]))
    assert sp.issparse(kept.features) == of_rows
    assert (est.predict(make[of_rows](X)) == NAMES).mean() > 0.9


def test_of_many_rows_some_are_taken_from_each_class():
    places = np.repeat([0, 1], [3 * _MOST, 10])
    rows = np.arange(len(places), dtype=float)[:, None]
    model = KNeighborsClassifier().fit(rows, places)
    est = AdapterExtender(model, new_annotation="new_only", device="cpu")
    est.fit(rows[:8] - 100, np.full(8, 2))
    kept = find_kept_rows(est, rows)
    assert np.bincount(kept.places).tolist() == [_MOST, 10]
    assert kept.features.max() == len(rows) - 1


def test_distance_is_that_from_the_class_named():
    rows = np.array([[0.0], [2.0], [10.0], [13.0]])
    places = np.array([0, 0, 1, 1])
    old, own = measure_old("knn", rows, places)
    assert_allclose(own, [2, 2, 3, 3])  # from the other row of the class
    # means of the distances from two rows
    found = old.distance(np.array([[1.0], [1.0], [4.0]]), np.array([0, 1, 0]))
    assert_allclose(found, [1, (9 + 12) / 2, 3])


@pytest.mark.parametrize("other", [(1.5, 8.0), (1.5, 5.0), (8.0, 9.0)])
def test_kept_rows_raise_the_threshold_as_far_as_half_of_the_misses(other):
    features = np.array([[0.0], [1.0], [3.0], [4.5]], np.float32)
    scores = np.log(np.full((4, 2), 0.5))  # the first class wins
    places = np.array([0, 0, 1, 1])
    rows = np.array([-2.0, -3.0, *other])
    gate = learn_gate(
        features,
        scores,
        np.zeros(4),
        kind="knn",
        quantile=0.5,
        are_logs=True,
        kept=KeptRows(rows[:, None].astype(np.float32), scores, places),
    )
    # from three other new rows, and from two rows of the first class
    near = np.array([8.5, 6.5, 6.5, 9.5]) / 3 - (features[:, 0] + 2.5)
    u = np.sort((near - near.mean()) / near.std())
    away = np.sort(np.abs(rows[:, None] - features[:, 0]), axis=1)[:, :3].mean(axis=1)
    away -= [1, 1, *[abs(other[1] - other[0])] * 2]  # from the other row of the class
    of_kept = (away - near.mean()) / near.std()
    expected = np.clip(np.quantile(of_kept, 0.01), u[1], u[2])
    assert gate.threshold == pytest.approx(expected, rel=1e-5)


@pytest.mark.parametrize("make", [SVC, lambda: KNeighborsClassifier(3)])
def test_kept_rows_make_a_better_gate(make):
    X, y = load_digits(return_X_y=True)
    old = np.flatnonzero(y < 8)
    source = make().fit(X[old[::2]], y[old[::2]])
    new = np.concatenate([np.flatnonzero(y == digit)[:30] for digit in (8, 9)])
    test = np.setdiff1d(np.arange(len(y)), [*new, *old[::2]])[::3]
    est = AdapterExtender(source, new_annotation="new_only", device="cpu")
    est.fit(X[new], y[new])
    assert est._head.gate.old is not None
    right = (est.predict(X[test]) == y[test]).mean()
    est._head.gate = learn_gate(
        X[new].astype(np.float32),
        est._seen.scores,
        y[new],
        kind="auto",
        quantile=est.novelty_quantile,
        are_logs=est._head.scaling.are_logs,
    )
    assert right > (est.predict(X[test]) == y[test]).mean() + 0.01
