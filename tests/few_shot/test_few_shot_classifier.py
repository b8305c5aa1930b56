"""The classifier of few-shot tasks as an estimator among those of scikit-learn."""

import copy
import pickle
from unittest import SkipTest

import joblib
import numpy as np
import pytest
import sklearn
from new_classes import NEW, draw
from sklearn.base import clone
from sklearn.datasets import load_digits
from sklearn.ensemble import BaggingClassifier, VotingClassifier
from sklearn.exceptions import NotFittedError
from sklearn.model_selection import GridSearchCV, StratifiedKFold, cross_val_score
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from sklearn.utils import get_tags
from sklearn.utils.estimator_checks import parametrize_with_checks

from skdeep import FewShotClassifier, SemiSupervisedMetaLearner, load, save
from skdeep.few_shot._learned import METHODS

CONTRACT = [
    FewShotClassifier(),
    FewShotClassifier(transductive=False, method="tim"),
    FewShotClassifier(method="prototype", class_prior=None),
    FewShotClassifier(method="pt_map", outlier_weight=20.0),
]


@parametrize_with_checks(CONTRACT)
def test_scikit_learn_contract(estimator, check):
    try:
        check(estimator)
    except SkipTest as skipped:  # a check that does not look is no check
        pytest.fail(f"skipped: {skipped}")


def test_no_check_is_excused():
    tags = get_tags(FewShotClassifier())
    assert not tags.no_validation
    assert not tags._skip_test
    assert not tags.non_deterministic
    assert not tags.classifier_tags.poor_score
    assert tags.input_tags.sparse


@pytest.fixture
def partly(support, pile):
    """Labelled rows and pile as one table."""
    return np.concatenate([support[0], pile[0]]), np.r_[support[1], [-1] * 30]


def test_classifier_without_a_learner_works_on_any_table(partly, pile):
    classifier = FewShotClassifier().fit(*partly)
    assert classifier.score(*pile) > 0.9
    assert (classifier.transduction_[9:] == pile[1]).mean() > 0.9


def test_fitted_attributes_are_those_of_the_docstring(learner, partly):
    X, y = partly
    for estimator in (learner, None):
        classifier = FewShotClassifier(estimator).fit(X, y)
        assert classifier.classes_.tolist() == [20, 21, 22]
        assert classifier.prototypes_.shape == (3, 16)
        assert classifier.initial_prototypes_.shape == (3, 16)
        assert classifier.transduction_.shape == (39,)
        assert classifier.transduction_.dtype == y.dtype
        assert classifier.n_features_in_ == 16
        assert not hasattr(classifier, "feature_names_in_")
        proba = classifier.predict_proba(X)
        assert proba.dtype == np.float32
        np.testing.assert_allclose(proba.sum(axis=1), 1, rtol=1e-5)
        assert classifier.decision_function(X).shape == (39, 3)


def test_initial_prototypes_are_means_of_unit_rows(learner, support):
    classifier = learner.adapt(*support)
    rows = learner.transform(support[0])
    expected = [rows[support[1] == label].mean(axis=0) for label in NEW]
    np.testing.assert_allclose(classifier.initial_prototypes_, expected, rtol=1e-5)


def test_feature_names_of_the_learner_are_those_of_the_classifier(support, pile):
    pd = pytest.importorskip("pandas")
    from new_classes import KNOWN, quick_learner

    names = [f"column {number}" for number in range(16)]
    X, y = draw(KNOWN, 6, 0)
    learner = quick_learner(phi="pretrained").fit(pd.DataFrame(X, columns=names), y)
    frame = pd.DataFrame(support[0], columns=names)
    for classifier in (
        FewShotClassifier(learner).fit(frame, support[1]),
        learner.adapt(frame, support[1]),
    ):
        assert classifier.feature_names_in_.tolist() == names
        assert classifier.predict(pd.DataFrame(pile[0], columns=names)).shape == (30,)
        with pytest.raises(ValueError, match="feature names"):
            classifier.predict(frame.rename(columns={"column 0": "other"}))


def test_binary_decisions_are_one_column(learner, support, pile):
    two = support[1] < 22
    classifier = learner.adapt(support[0][two], support[1][two], pile[0][:20])
    decision = classifier.decision_function(pile[0])
    assert decision.shape == (30,)
    np.testing.assert_array_equal(
        classifier.predict(pile[0]), np.where(decision > 0, 21, 20)
    )


def test_clone_shares_the_fitted_learner_and_nothing_else(learner, support):
    shares = [1.0, 2.0, 3.0]
    classifier = FewShotClassifier(learner, class_prior=shares, n_steps=2)
    classifier.fit(*support)
    copied = clone(classifier)
    assert copied.estimator is learner
    assert copied.class_prior == shares
    assert copied.class_prior is not shares
    assert copied.n_steps == 2
    with pytest.raises(NotFittedError):
        copied.predict(support[0])


def test_clone_keeps_what_was_asked_of_routing_and_output(learner):
    with sklearn.config_context(enable_metadata_routing=True):
        classifier = FewShotClassifier(learner).set_score_request(sample_weight=True)
        classifier._sklearn_output_config = {"transform": "pandas"}
        copied = clone(classifier)
        assert copied._metadata_request is not classifier._metadata_request
        assert copied.get_metadata_routing().score.requests == {"sample_weight": True}
        assert copied._sklearn_output_config == {"transform": "pandas"}
        assert copied._sklearn_output_config is not classifier._sklearn_output_config
    assert not hasattr(clone(FewShotClassifier(learner)), "_sklearn_output_config")


def test_other_copies_answer_alike(learner, support, pile, tmp_path):
    for transductive in (False, True):
        classifier = FewShotClassifier(learner, transductive=transductive)
        expected = classifier.fit(*support).predict_proba(pile[0])
        joblib.dump(classifier, tmp_path / "model.joblib")
        for copied in (
            pickle.loads(pickle.dumps(classifier)),
            copy.deepcopy(classifier),
            joblib.load(tmp_path / "model.joblib"),
            joblib.load(tmp_path / "model.joblib", mmap_mode="r"),
        ):
            np.testing.assert_array_equal(copied.predict_proba(pile[0]), expected)


def test_failed_refit_leaves_the_old_model(learner, support, pile):
    classifier = FewShotClassifier(learner).fit(*support)
    before, attributes = pickle.dumps(classifier), vars(classifier).copy()
    with pytest.raises(ValueError, match="NaN"):
        classifier.fit(pile[0] * np.nan, pile[1])
    assert vars(classifier) == attributes
    assert pickle.dumps(classifier) == before


def test_refit_forgets_the_last_task(learner, support, pile):
    classifier = FewShotClassifier(learner, transductive=True).fit(*draw([5, 6], 4, 3))
    expected = FewShotClassifier(learner, transductive=True).fit(*support)
    classifier.fit(*support)
    np.testing.assert_array_equal(
        classifier.predict_proba(pile[0]), expected.predict_proba(pile[0])
    )


def test_prediction_of_a_transductive_classifier_changes_nothing(
    learner, support, pile
):
    classifier = FewShotClassifier(learner, transductive=True).fit(*support)
    before = pickle.dumps(classifier)
    classifier.predict(pile[0])
    assert pickle.dumps(classifier) == before


def test_answers_to_rows_are_independent_of_each_other(learner, partly, pile):
    classifier = FewShotClassifier(learner).fit(*partly)
    rows = draw(NEW, 10, 5)[0]
    whole = classifier.predict_proba(rows)
    for part in ([3], [2, 1], np.arange(29, -1, -1)):
        np.testing.assert_allclose(
            classifier.predict_proba(rows[part]), whole[part], rtol=1e-4, atol=1e-6
        )


def test_inputs_are_never_written_to(learner, partly, pile):
    kept = [part.copy() for part in (*partly, pile[0])]
    for dtype in (np.float32, np.float64):
        X = partly[0].astype(dtype)
        FewShotClassifier(learner).fit(X, partly[1]).predict(pile[0])
        FewShotClassifier().fit(X, partly[1]).predict(pile[0].astype(dtype))
        np.testing.assert_array_equal(X, kept[0].astype(dtype))
    for part, copied in zip((*partly, pile[0]), kept):
        np.testing.assert_array_equal(part, copied)


def test_global_generators_are_left_alone(learner, partly):
    import torch

    before = np.random.get_state()[1].copy(), torch.get_rng_state()  # noqa: NPY002
    for method in sorted(METHODS):
        FewShotClassifier(learner, method=method).fit(*partly).predict(partly[0])
    np.testing.assert_array_equal(np.random.get_state()[1], before[0])  # noqa: NPY002
    assert torch.equal(torch.get_rng_state(), before[1])


def test_grid_search_over_steps_trains_no_learner_again(learner, monkeypatch):
    monkeypatch.setattr(type(learner), "fit", lambda *_: pytest.fail("trained again"))
    X, y = draw(NEW, 9, 4)
    search = GridSearchCV(FewShotClassifier(learner), {"n_steps": [0, 3, 5]}, cv=3)
    search.fit(X, y)
    assert (search.cv_results_["mean_test_score"] > 0.8).all()
    assert search.best_estimator_.estimator is learner
    methods = {"method": ["sib", "tim", "prototype"]}
    search = GridSearchCV(FewShotClassifier(learner), methods, cv=3).fit(X, y)
    assert (search.cv_results_["mean_test_score"] > 0.8).all()


def test_steps_change_the_answer_only_if_there_is_a_pile(learner, support, pile):
    proba = {}
    for X in (None, pile[0]):
        proba = [
            learner.adapt(*support, X, n_steps=n_steps).predict_proba(pile[0])
            for n_steps in (0, 3)
        ]
        assert (proba[0] == proba[1]).all() == (X is None)


def test_default_number_of_steps_is_the_trained_one(learner, support, pile):
    one = learner.adapt(*support, pile[0])
    two = learner.adapt(*support, pile[0], n_steps=len(learner.step_sizes_))
    np.testing.assert_array_equal(
        one.predict_proba(pile[0]), two.predict_proba(pile[0])
    )


def test_bagging_and_voting_share_the_learner(learner, pile):
    X, y = draw(NEW, 8, 4)
    bagging = BaggingClassifier(FewShotClassifier(learner), 3, random_state=0)
    assert bagging.fit(X, y).score(*pile) > 0.9
    assert all(member.estimator is learner for member in bagging.estimators_)
    voting = VotingClassifier(
        [(name, FewShotClassifier(learner, method=name)) for name in ("sib", "tim")],
        voting="soft",
    )
    assert voting.fit(X, y).score(*pile) > 0.9
    assert all(member.estimator is learner for member in voting.estimators_)


def test_cross_validation_of_a_pipeline(learner):
    X, y = draw(NEW, 8, 4)
    scaler = StandardScaler(with_mean=False, with_std=False)
    model = make_pipeline(scaler, FewShotClassifier(learner))
    cv = StratifiedKFold(4, shuffle=True, random_state=0)
    assert cross_val_score(model, X, y, cv=cv).mean() > 0.9


def test_nested_parameters_of_the_learner_are_listed(learner):
    params = FewShotClassifier(learner).get_params()
    assert params["estimator"] is learner
    assert params["estimator__n_steps"] == learner.n_steps
    assert "FewShotClassifier" in repr(FewShotClassifier(learner))
    assert FewShotClassifier(learner)._repr_html_()


def test_R415_rows_are_kept_only_where_answers_depend_on_them(learner, support, pile):
    unit = learner.transform(pile[0])

    def holds_rows(classifier):
        state = {
            name: value
            for name, value in vars(classifier).items()
            if name != "estimator"
        }
        content = pickle.dumps(state)
        return any(row.tobytes() in content for row in unit)

    assert not holds_rows(learner.adapt(*support, pile[0], method="prototype"))
    assert not holds_rows(FewShotClassifier(learner).fit(*support))
    # its answers to further rows ask the neighbours in the pile, as its docstring says
    assert holds_rows(learner.adapt(*support, pile[0]))
    assert "rows of the fit are kept" in " ".join(FewShotClassifier.__doc__.split())


def test_a_classifier_without_a_learner_can_be_saved_to_a_file(tmp_path):
    X, y = load_digits(return_X_y=True)
    partly = np.where(np.arange(len(y)) < 30, y, -1)
    classifier = FewShotClassifier().fit(X, partly)
    save(classifier, tmp_path / "classifier.skdeep")
    loaded = load(tmp_path / "classifier.skdeep")
    assert (loaded.predict_proba(X) == classifier.predict_proba(X)).all()
    assert (loaded.transduction_ == classifier.transduction_).all()


def test_roots_are_taken_of_features_that_are_never_negative():
    X, y = load_digits(return_X_y=True)
    assert FewShotClassifier().fit(X[:60], y[:60]).power_ == 0.5
    assert FewShotClassifier().fit(X[:60] - 8, y[:60]).power_ == 1.0
    alone = FewShotClassifier(power=1.0).fit(np.sqrt(X[:60]), y[:60])
    roots = FewShotClassifier(power=0.5).fit(X[:60], y[:60])
    np.testing.assert_allclose(
        alone.predict_proba(np.sqrt(X)), roots.predict_proba(X), atol=1e-5
    )


def test_a_power_beside_a_learner_is_refused():
    X, y = load_digits(return_X_y=True)
    learner = SemiSupervisedMetaLearner(phi="pretrained").fit(X[:60], y[:60])
    with pytest.raises(ValueError, match="power.*estimator=None"):
        FewShotClassifier(learner, power=0.5).fit(X[:60], y[:60])
    with pytest.raises(ValueError, match="power.*estimator=None"):
        learner.adapt(X[:60], y[:60], power=0.5)
