"""Tests of what a fit of the extender sees, learns and tells, for rows with labels."""

import pickle

import numpy as np
import pandas as pd
import pytest
import scipy.sparse as sp
import torch
from extension_data import fitted_source, four_blobs, quick_extender, small_network
from numpy.testing import assert_allclose, assert_array_equal
from sklearn.ensemble import HistGradientBoostingClassifier
from sklearn.feature_extraction.text import CountVectorizer, TfidfVectorizer
from sklearn.linear_model import LogisticRegression, RidgeClassifier
from sklearn.model_selection import GridSearchCV
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import MinMaxScaler, StandardScaler
from skorch import NeuralNetClassifier

from skdeep.transfer import AdapterExtender
from skdeep.transfer._chains import soft_rows
from skdeep.transfer._labels import merge_classes, row_weights


@pytest.fixture(scope="module")
def problem():
    return four_blobs()


@pytest.fixture(scope="module")
def source():
    return fitted_source()


@pytest.fixture(scope="module")
def fitted(source, problem):
    return quick_extender(source).fit(problem.X_new, problem.y_new)


def test_one_model_knows_old_and_new_classes(fitted, problem):
    assert fitted.score(problem.X_test, problem.y_test) > 0.95
    old = problem.y_test < 2
    assert fitted.score(problem.X_test[old], problem.y_test[old]) > 0.95
    assert_array_equal(
        np.unique(fitted.predict(problem.X_test)), np.unique(problem.y_test)
    )


def test_attributes_are_those_of_the_docstring(fitted, source):
    assert fitted.classes_.tolist() == [0, 1, 2, 3]
    assert fitted.old_class_mask_.tolist() == [True, True, False, False]
    assert fitted.base_classes_.tolist() == [0, 1]
    assert fitted.new_classes_.tolist() == [2, 3]
    assert fitted.estimator_ is source
    assert (fitted.mode_, fitted.method_) == ("classifier", "stacking")
    assert fitted.annotation_ == "full"
    assert 0.9 < fitted.retention_ <= 1
    assert fitted.n_parameters_ > 0
    assert fitted.history_ == []
    assert fitted.loss_curve_ == []
    assert fitted.n_iter_ == 0
    assert fitted.n_features_in_ == 5
    assert fitted.device_ == "cpu"
    documented = AdapterExtender.__doc__
    for name in vars(fitted):
        if name.endswith("_") and not name.startswith("_"):
            assert f"\n    {name} : " in documented, f"{name} is not documented"


def test_answers_fit_together(fitted, problem):
    X = problem.X_test
    proba = fitted.predict_proba(X)
    assert proba.dtype == np.float32
    assert proba.shape == (120, 4)
    assert_allclose(proba.sum(axis=1), 1, rtol=1e-5)
    assert_allclose(fitted.predict_log_proba(X), np.log(proba), rtol=1e-5)
    assert_allclose(fitted.decision_function(X), np.log(proba), rtol=1e-3, atol=1e-4)
    assert_array_equal(fitted.predict(X), fitted.classes_[proba.argmax(axis=1)])


def test_the_source_is_asked_for_its_own_answer(fitted, source, problem):
    assert_array_equal(
        fitted.predict_source(problem.X_test), source.predict(problem.X_test)
    )


def test_the_source_is_the_same_byte_for_byte(problem):
    for source in (
        fitted_source(),
        make_pipeline(StandardScaler(), LogisticRegression()).fit(
            problem.X_old, problem.y_old
        ),
    ):
        before = pickle.dumps(source)
        extender = quick_extender(source).fit(problem.X_new, problem.y_new)
        extender.predict_proba(problem.X_test)
        extender.extend(problem.X_new, problem.y_new + 2)
        assert pickle.dumps(source) == before


NAMES = {
    "text": ["ant", "bee", "cow", "dog"],
    "text in another order": ["dog", "ant", "cow", "bee"],
    "numbers with gaps": [10**9, -5, 7, 2**60],
    "bool and beyond": [False, True, True + 1, 3],
    "floats": [0.0, 1.0, 2.0, 3.0],
}


@pytest.mark.parametrize("row", NAMES)
def test_R217_names_of_classes_change_nothing_but_their_order(row, fitted, problem):
    names = np.array(NAMES[row])
    extender = quick_extender(fitted_source(names)).fit(
        problem.X_new, names[problem.y_new]
    )
    assert extender.classes_.tolist() == sorted(names.tolist())
    assert extender.classes_.dtype == names.dtype
    assert set(extender.new_classes_.tolist()) == set(names[2:].tolist())
    assert_array_equal(extender.classes_[extender.old_class_mask_], np.sort(names[:2]))
    expected = names[fitted.predict(problem.X_test)]
    assert (extender.predict(problem.X_test) == expected).mean() > 0.98


DTYPES = [
    (np.int64, np.int32, np.int64),
    (np.int32, np.int64, np.int32),
    (np.int64, np.float64, np.int64),
    (np.float32, np.int64, np.float32),
    (np.uint8, np.int64, np.uint8),
    ("U1", "U3", "U3"),
    ("U1", object, object),
]


@pytest.mark.parametrize(("old", "new", "merged"), DTYPES)
def test_labels_of_one_kind_are_merged_into_one_dtype(old, new, merged, problem):
    source = LogisticRegression().fit(problem.X_old, problem.y_old.astype(old))
    labels = problem.y_new.astype("U3").astype(new) if new is object else problem.y_new
    extender = quick_extender(source).fit(problem.X_new, labels.astype(new))
    assert extender.classes_.dtype == merged
    assert [int(label) for label in extender.classes_] == [0, 1, 2, 3]
    assert extender.predict(problem.X_test).dtype == merged


def test_new_numbers_that_the_dtype_of_the_old_ones_cannot_hold_widen_it(problem):
    source = LogisticRegression().fit(problem.X_old, problem.y_old.astype(np.uint8))
    labels = np.array([0, 1, -7, 2**62 + 1])[problem.y_new]
    extender = quick_extender(source).fit(problem.X_new, labels)
    assert extender.classes_.tolist() == [-7, 0, 1, 2**62 + 1]


def test_order_of_the_source_s_classes_does_not_matter(problem):
    network = small_network().eval()
    one = quick_extender(network).fit(problem.X_new, problem.y_new, classes=[0, 1])
    turned = small_network().eval()
    with torch.no_grad():
        for part in (turned[-1].weight, turned[-1].bias):
            part.copy_(part.flip(0))
    other = quick_extender(turned).fit(problem.X_new, problem.y_new, classes=[1, 0])
    assert other.base_classes_.tolist() == [1, 0]
    assert_allclose(
        other.predict_proba(problem.X_test),
        one.predict_proba(problem.X_test),
        rtol=1e-3,
        atol=1e-5,
    )


CONTAINERS = {
    "list": lambda X: X.tolist(),
    "float32": lambda X: X.astype(np.float32),
    "tensor": lambda X: torch.tensor(X, requires_grad=True),
    "csr": sp.csr_array,
    "coo": sp.coo_matrix,
}


@pytest.mark.parametrize("row", CONTAINERS)
def test_other_containers_of_the_rows_give_the_same_labels(
    row, fitted, source, problem
):
    convert = CONTAINERS[row]
    extender = quick_extender(source).fit(convert(problem.X_new), problem.y_new)
    found = extender.predict(convert(problem.X_test))
    assert (found == fitted.predict(problem.X_test)).mean() > 0.95


def test_names_of_columns_are_kept_and_compared(problem):
    def frame(X):
        return pd.DataFrame(X, columns=list("abcde"))

    source = LogisticRegression().fit(frame(problem.X_old), problem.y_old)
    extender = quick_extender(source).fit(frame(problem.X_new), problem.y_new)
    assert extender.feature_names_in_.tolist() == list("abcde")
    extender.predict(frame(problem.X_test))
    with pytest.raises(ValueError, match="feature names should match"):
        extender.predict(frame(problem.X_test)[list("edcba")])
    with pytest.raises(ValueError, match="feature names should match"):
        extender.fit(frame(problem.X_new)[list("edcba")], problem.y_new)


def test_features_of_a_pipeline_are_what_its_last_step_sees(problem):
    pipeline = make_pipeline(MinMaxScaler(), StandardScaler(), LogisticRegression())
    pipeline.fit(problem.X_old, problem.y_old)
    search = GridSearchCV(pipeline, {"logisticregression__C": [1.0]}, cv=2)
    search.fit(problem.X_old, problem.y_old)
    features = pipeline[:-1].transform(problem.X_new)
    by_hand = quick_extender(pipeline[-1]).fit(features, problem.y_new)
    expected = by_hand.predict_proba(pipeline[:-1].transform(problem.X_test))
    for source in (pipeline, search):
        extender = quick_extender(source).fit(problem.X_new, problem.y_new)
        assert_allclose(
            extender.predict_proba(problem.X_test), expected, rtol=1e-4, atol=1e-6
        )


def test_features_are_those_asked_for(source, problem):
    X, y = problem.X_new, problem.y_new
    scaler = StandardScaler().fit(problem.X_old)
    seen = {}
    for features in ("auto", "input", "scores", "both", scaler):
        extender = quick_extender(source, features=features).fit(X, y)
        rows = extender._see(X)[0]
        seen[str(features)] = rows
        assert extender.score(problem.X_test, problem.y_test) > 0.5
    assert_array_equal(seen["auto"], X.astype(np.float32))
    assert_array_equal(seen["input"], seen["auto"])
    assert seen["scores"] is None
    assert_array_equal(seen["both"], seen["auto"])
    assert_allclose(seen["StandardScaler()"], scaler.transform(X), rtol=1e-5)


TEXTS = ["red apple", "green pear", "blue sky", "grey sky", "fast car", "slow car"] * 4
KINDS = ["fruit", "fruit", "sky", "sky", "car", "car"] * 4


@pytest.mark.parametrize(
    "container", [list, np.array, pd.Series, lambda rows: np.array(rows, dtype=object)]
)
def test_text_goes_through_the_pipeline_of_the_source(container):
    known = [place for place, kind in enumerate(KINDS) if kind != "car"]
    source = make_pipeline(TfidfVectorizer(), LogisticRegression())
    source.fit([TEXTS[place] for place in known], [KINDS[place] for place in known])
    vectorizer = CountVectorizer().fit(TEXTS)
    for features in ("auto", "scores", vectorizer):
        extender = quick_extender(source, features=features)
        extender.fit(container(TEXTS), container(KINDS))
        assert extender.classes_.tolist() == ["car", "fruit", "sky"]
        assert not hasattr(extender, "n_features_in_")
    assert extender.predict(container(TEXTS)).tolist() == KINDS


def test_missing_values_are_left_to_a_source_that_takes_them(problem):
    X_old, X_new = problem.X_old.copy(), problem.X_new.copy()
    X_old[::7, 0] = X_new[::5, 1] = np.nan
    source = HistGradientBoostingClassifier(max_iter=5).fit(X_old, problem.y_old)
    extender = quick_extender(source).fit(X_new, problem.y_new)
    assert np.isfinite(extender.predict_proba(X_new)).all()
    with pytest.raises(ValueError, match="contains NaN"):
        quick_extender(source, features="input").fit(X_new, problem.y_new)


def test_networks_are_extended_and_left_in_training_mode(problem):
    network = small_network()
    before = pickle.dumps(network)
    extender = quick_extender(network).fit(problem.X_new, problem.y_new, classes=[0, 1])
    assert extender.estimator_ is not network
    assert extender.score(problem.X_test, problem.y_test) > 0.9
    assert_array_equal(
        pickle.loads(pickle.dumps(extender)).predict(problem.X_test),
        extender.predict(problem.X_test),
    )
    assert set(extender.predict_source(problem.X_test)) <= {0, 1}
    assert pickle.dumps(network) == before


def test_images_are_seen_by_a_network_as_they_are(problem):
    network = torch.nn.Sequential(
        torch.nn.Conv2d(1, 2, 2), torch.nn.Flatten(), torch.nn.Linear(8, 2)
    ).eval()
    images = np.random.RandomState(0).rand(40, 1, 3, 3)
    y = np.arange(40) % 3
    images[y == 2] += 3
    extender = quick_extender(network).fit(images, y, classes=[0, 1])
    assert extender.n_features_in_ == 9
    assert (extender.predict(images) == 2).tolist() == (y == 2).tolist()


def test_nets_of_skorch_are_extended_byte_for_byte_the_same(problem):
    net = NeuralNetClassifier(
        small_network(),
        criterion=torch.nn.CrossEntropyLoss,
        max_epochs=2,
        verbose=0,
        train_split=None,
    ).fit(problem.X_old.astype(np.float32), problem.y_old)
    before = pickle.dumps(net)
    extender = quick_extender(net).fit(problem.X_new, problem.y_new)
    assert extender.score(problem.X_test, problem.y_test) > 0.9
    assert pickle.dumps(net) == before


def test_old_and_new_classes_weigh_the_same(source, problem):
    weights = {}
    y = problem.y_new[(problem.y_new > 1) | (np.arange(120) < 30)]
    classes, layout = merge_classes(np.array([0, 1]), y)
    for name, value in {
        "auto": "auto",
        "none": None,
        "balanced": "balanced",
        "dict": {2: 3.0},
    }.items():
        est = quick_extender(source, class_weight=value)
        weights[name] = row_weights(est, classes, y, layout, None)
        assert weights[name].mean() == pytest.approx(1, rel=1e-5)
    old = y < 2
    assert weights["auto"][old].sum() == pytest.approx(weights["auto"][~old].sum())
    assert_allclose(weights["none"], 1)
    sums = np.bincount(y, weights["balanced"])
    assert_allclose(sums, sums[0], rtol=1e-5)
    ratio = weights["dict"][y == 2][0] / weights["dict"][y == 3][0]
    assert ratio == pytest.approx(3)
    given = np.linspace(1, 2, len(y))
    est = quick_extender(source)
    assert_allclose(
        row_weights(est, classes, y, layout, given), given / given.mean(), rtol=1e-5
    )


def test_a_row_of_weight_zero_is_as_good_as_none(source, problem):
    weight = np.ones(120)
    weight[:40] = 0
    weight[problem.y_new == 3] = 0
    keep = weight > 0
    one = quick_extender(source).fit(problem.X_new, problem.y_new, sample_weight=weight)
    other = quick_extender(source).fit(
        problem.X_new[keep], problem.y_new[keep], sample_weight=weight[keep]
    )
    assert one.classes_.tolist() == [0, 1, 2]
    assert_array_equal(
        one.predict_proba(problem.X_test), other.predict_proba(problem.X_test)
    )


def test_partial_fit_is_a_fit_on_the_data_of_all_calls(fitted, source, problem):
    X, y = problem.X_new, problem.y_new
    first = np.flatnonzero(y != 3)[:40]
    rest = np.setdiff1d(np.arange(len(y)), first)
    extender = quick_extender(source).partial_fit(X[first], y[first])
    assert extender.classes_.tolist() == [0, 1, 2]
    extender.partial_fit(X[rest], y[rest])
    order = np.r_[first, rest]
    whole = quick_extender(source).fit(X[order], y[order])
    assert extender.classes_.tolist() == [0, 1, 2, 3]
    assert_array_equal(
        extender.predict_proba(problem.X_test), whole.predict_proba(problem.X_test)
    )


def test_partial_fit_does_not_see_what_happens_to_earlier_rows(source, problem):
    X, y = problem.X_new.astype(np.float32), problem.y_new
    first = X[:60].copy()
    extender = quick_extender(source).partial_fit(first, y[:60])
    first[:] = 0
    extender.partial_fit(X[60:], y[60:])
    whole = quick_extender(source).fit(X, y)
    assert_array_equal(extender.predict_proba(X), whole.predict_proba(X))


def test_partial_fit_after_a_pickle_goes_on_with_warm_start_alone(source, problem):
    X, y = problem.X_new, problem.y_new
    for warm_start in (False, True):
        extender = quick_extender(source, warm_start=warm_start).fit(X[:60], y[:60])
        copied = pickle.loads(pickle.dumps(extender))
        if warm_start:
            copied.partial_fit(X[60:], y[60:])
            assert copied.score(problem.X_test, problem.y_test) > 0.9
            continue
        with pytest.raises(ValueError, match="warm_start=True before the first call"):
            copied.partial_fit(X[60:], y[60:])


def test_partial_fit_adds_up_weights_and_sparse_rows(source, problem):
    X, y = sp.csr_array(problem.X_new), problem.y_new
    extender = quick_extender(source).partial_fit(X[:60], y[:60])
    extender.partial_fit(X[60:], y[60:], sample_weight=np.full(60, 2.0))
    whole = quick_extender(source).fit(X, y, sample_weight=np.repeat([1.0, 2.0], 60))
    assert_array_equal(
        extender.predict_proba(problem.X_test), whole.predict_proba(problem.X_test)
    )


def test_without_a_fitted_source_the_first_data_fit_it(problem):
    extender = AdapterExtender(LogisticRegression(), prefit=False, method="stacking")
    extender.fit(problem.X_old, problem.y_old)
    assert not hasattr(extender.estimator, "classes_")
    source = extender.estimator_
    assert extender.method_ == "source"
    assert_array_equal(extender.predict(problem.X_test), source.predict(problem.X_test))
    assert_allclose(
        extender.predict_proba(problem.X_test),
        source.predict_proba(problem.X_test),
        atol=2e-6,
    )
    assert extender.new_classes_.tolist() == []
    extender.partial_fit(problem.X_new, problem.y_new)
    assert extender.estimator_ is source
    assert extender.new_classes_.tolist() == [2, 3]
    by_hand = quick_extender(fitted_source()).fit(problem.X_new, problem.y_new)
    assert_array_equal(
        extender.predict(problem.X_test), by_hand.predict(problem.X_test)
    )


def test_weights_reach_a_source_at_the_end_of_a_pipeline(problem):
    X, y = problem.X_old, problem.y_old
    weight = np.where(y == 0, 1e-6, 1.0)
    pipeline = make_pipeline(StandardScaler(), LogisticRegression())
    extender = AdapterExtender(pipeline, prefit=False)
    assert (extender.fit(X, y, sample_weight=weight).predict(X) == 1).all()
    extender.set_params(class_weight={0: 1e-6})
    assert (extender.fit(X, y).predict(X) == 1).all()


def test_a_chain_of_three_knows_what_each_link_has_learned(source, problem):
    X, y = problem.X_new, problem.y_new
    first = quick_extender(source).fit(X[y < 3], y[y < 3])
    second = first.extend(X, y)
    labels = np.where((y == 3) & (np.arange(len(y)) % 2 == 0), 4, y)
    X = X + 10 * (labels == 4)[:, None]
    third = second.extend(X, labels)
    assert second.estimator is first
    assert second.estimator_ is first
    assert third.base_classes_.tolist() == [0, 1, 2, 3]
    assert third.classes_.tolist() == [0, 1, 2, 3, 4]
    assert third.n_features_in_ == 5
    assert_array_equal(third._see(X)[0], X.astype(np.float32))  # not those of a link
    assert third.score(X, labels) > 0.9
    assert first.classes_.tolist() == [0, 1, 2]
    assert second.score(problem.X_test, problem.y_test) > 0.95


def test_a_chain_collapses_into_one_extension_of_its_first_source(source, problem):
    X, y = problem.X_new, problem.y_new
    first = quick_extender(source).fit(X[y < 3], y[y < 3])
    chain = first.extend(X, y)
    single = chain.collapse(np.concatenate([problem.X_old, X]))
    assert single.estimator is source
    assert single.classes_.tolist() == [0, 1, 2, 3]
    agreement = single.predict(problem.X_test) == chain.predict(problem.X_test)
    assert agreement.mean() > 0.97


def test_a_chain_over_a_bare_network_collapses_too(problem):
    X, y = problem.X_new, problem.y_new
    network = small_network().eval()
    first = quick_extender(network).fit(X[y < 3], y[y < 3], classes=[0, 1])
    single = first.extend(X, y).collapse(X)
    assert single.estimator is network
    assert single.base_classes_.tolist() == [0, 1]


def test_soft_rows_counted_by_hand():
    proba = np.array([[0.5, 0.49, 0.01], [1.0, 0.0, 0.0]])
    row, place, share = soft_rows(proba)
    assert row.tolist() == [0, 0, 1]
    assert place.tolist() == [0, 1, 0]
    assert_allclose(share, [0.5 / 0.99, 0.49 / 0.99, 1.0])


def test_scores_of_decision_values_are_extended_as_well(problem):
    source = RidgeClassifier().fit(problem.X_old, problem.y_old)
    extender = quick_extender(source).fit(problem.X_new, problem.y_new)
    assert extender.score(problem.X_test, problem.y_test) > 0.95
