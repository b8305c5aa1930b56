"""What a classifier of new classes says, however the pile and the labels are given."""

import pickle

import numpy as np
import pandas as pd
import pytest
import scipy.sparse as sp
from new_classes import NEW, draw
from sklearn.pipeline import Pipeline, make_pipeline
from sklearn.preprocessing import FunctionTransformer, StandardScaler

from skdeep import FewShotClassifier
from skdeep.few_shot import SemiSupervisedMetaLearner, adapt
from skdeep.few_shot._adapting import How, TaskRows, adapt_to_tasks
from skdeep.few_shot._learned import METHODS

LIKE = {"rtol": 1e-4, "atol": 1e-5}


def test_new_classes_are_told_apart(learner, support, pile):
    classifier = learner.adapt(*support, pile[0])
    assert isinstance(classifier, FewShotClassifier)
    assert classifier.classes_.tolist() == [20, 21, 22]
    assert classifier.score(*pile) > 0.9


# rules whose answers for further rows are not made for those of the pile
OF_THEIR_OWN = {"laplacian", "tim", "alpha_tim", "pt_map", "label_propagation", "ilpc"}


@pytest.mark.parametrize("method", sorted(METHODS))
def test_adapting_to_the_questions_is_the_transductive_classifier(
    method, learner, support, pile
):
    X = pile[0]
    adapted = learner.adapt(*support, X, method=method)
    fitted = FewShotClassifier(learner, transductive=True, method=method).fit(*support)
    found = fitted.predict(X)
    np.testing.assert_array_equal(adapted.transduction_[len(support[1]) :], found)
    if method not in OF_THEIR_OWN:
        np.testing.assert_array_equal(adapted.predict(X), found)
        np.testing.assert_allclose(
            adapted.predict_proba(X), fitted.predict_proba(X), **LIKE
        )
    assert (adapted.predict(X) == found).mean() >= 0.9


def test_transduction_starts_with_the_labels_given(learner, support, pile):
    classifier = learner.adapt(*support, pile[0])
    n_labelled = len(support[1])
    np.testing.assert_array_equal(classifier.transduction_[:n_labelled], support[1])
    assert len(classifier.transduction_) == n_labelled + len(pile[1])


def test_rows_marked_with_minus_1_are_the_pile(learner, support, pile):
    X = np.concatenate([pile[0][:10], support[0], pile[0][10:]])
    y = np.concatenate([[-1] * 10, support[1], [-1] * 20])
    one = learner.adapt(*support, pile[0])
    two = learner.adapt(X, y)
    three = FewShotClassifier(learner).fit(X, y)
    four = learner.adapt(X[:29], y[:29], X[29:])  # some here and some there
    for other in (two, three, four):
        np.testing.assert_allclose(
            other.predict_proba(pile[0]), one.predict_proba(pile[0]), **LIKE
        )
    np.testing.assert_array_equal(two.transduction_, three.transduction_)
    np.testing.assert_array_equal(two.transduction_, four.transduction_)
    np.testing.assert_array_equal(two.transduction_[10:19], support[1])


def test_without_a_pile_none_and_empty_are_the_same(learner, support, pile):
    expected = learner.adapt(*support).predict_proba(pile[0])
    for nothing in (None, pile[0][:0], []):
        classifier = learner.adapt(*support, nothing)
        np.testing.assert_array_equal(classifier.predict_proba(pile[0]), expected)
        np.testing.assert_array_equal(classifier.transduction_, support[1])
    fitted = FewShotClassifier(learner).fit(*support)
    np.testing.assert_allclose(fitted.predict_proba(pile[0]), expected, **LIKE)


@pytest.mark.parametrize("method", sorted(METHODS))
def test_order_of_the_labelled_rows_does_not_matter(method, learner, support, pile):
    X, y = support
    order = np.random.RandomState(3).permutation(len(y))
    one = learner.adapt(X, y, pile[0], method=method)
    two = learner.adapt(X[order], y[order], pile[0], method=method)
    np.testing.assert_array_equal(one.predict(pile[0]), two.predict(pile[0]))
    np.testing.assert_allclose(
        one.predict_proba(pile[0]), two.predict_proba(pile[0]), rtol=1e-2, atol=1e-3
    )


@pytest.mark.parametrize("method", sorted(METHODS))
def test_other_names_of_the_classes_permute_the_answer(method, learner, support, pile):
    X, y = support
    one = learner.adapt(X, y, pile[0], method=method)
    two = learner.adapt(X, 100 - y, pile[0], method=method)
    np.testing.assert_array_equal(one.predict(pile[0]), 100 - two.predict(pile[0]))
    np.testing.assert_allclose(
        one.predict_proba(pile[0]),
        two.predict_proba(pile[0])[:, ::-1],
        rtol=1e-2,
        atol=1e-3,
    )


def test_order_of_the_pile_does_not_matter(learner, support, pile):
    order = np.random.RandomState(3).permutation(len(pile[1]))
    one = learner.adapt(*support, pile[0])
    two = learner.adapt(*support, pile[0][order])
    np.testing.assert_allclose(
        one.predict_proba(pile[0]), two.predict_proba(pile[0]), **LIKE
    )


def test_labelled_rows_may_differ_in_number(learner, pile):
    X, y = draw(NEW, 5, 4)
    few = np.r_[0, 5:8, 10:15]  # 1, 3 and 5 rows
    assert learner.adapt(X[few], y[few], pile[0]).score(*pile) > 0.9


def test_adapting_leaves_the_learner_as_it_is(learner, support, pile):
    before, attributes = pickle.dumps(learner), vars(learner).copy()
    classifier = learner.adapt(*support, pile[0], method="tim", n_steps=2)
    classifier.predict_proba(pile[0])
    learner.adapt_many([(*support, None)])[0].predict(pile[0])
    FewShotClassifier(learner, transductive=True).fit(*support).predict(pile[0])
    assert vars(learner) == attributes
    assert pickle.dumps(learner) == before


LABELS = {
    "text": np.array(["ant", "bee", "cat"]),
    "text objects": np.array(["ant", "bee", "cat"], dtype=object),
    "negative": np.array([-7, -5, -3]),
    "large": np.array([2**60, 2**60 + 1, 2**60 + 2]),
    "whole floats": np.array([0.0, 1.0, 5.0]),
    "known to the learner": np.array([0, 1, 2]),
}


@pytest.mark.parametrize("kind", LABELS)
def test_R213_labels_of_the_new_classes_may_be_anything(kind, learner, support, pile):
    names = LABELS[kind]
    expected = learner.adapt(*support, pile[0]).predict(pile[0])
    classifier = learner.adapt(support[0], names[support[1] - 20], pile[0])
    assert classifier.classes_.dtype == names.dtype
    found = classifier.predict(pile[0])
    assert found.dtype == names.dtype
    np.testing.assert_array_equal(found, names[expected - 20])


def test_R213_labels_may_be_booleans_of_two_classes(learner, support, pile):
    two = support[1] < 22
    classifier = learner.adapt(support[0][two], support[1][two] == 21, pile[0][:20])
    assert classifier.classes_.tolist() == [False, True]
    np.testing.assert_array_equal(classifier.predict(pile[0][:20]), pile[1][:20] == 21)
    assert classifier.decision_function(pile[0]).shape == (30,)


def test_R213_frames_lists_and_series_are_taken_by_position(learner, support, pile):
    X, y = support
    expected = learner.adapt(X, y, pile[0]).predict_proba(pile[0])
    index = np.arange(len(y))[::-1]
    given = [
        (X.tolist(), y.tolist(), pile[0].tolist()),
        (X.astype(np.float32), pd.Series(y, index=index), pile[0]),
        (pd.DataFrame(X, index=index), pd.Series(y), pd.DataFrame(pile[0])),
    ]
    for problem in given:
        found = learner.adapt(*problem).predict_proba(pile[0])
        np.testing.assert_allclose(found, expected, rtol=1e-3, atol=1e-4)


def test_text_labels_have_a_mark_of_text(learner, support, pile):
    names = np.array(["ant", "bee", "cat"])[support[1] - 20]
    X, y = np.concatenate([support[0], pile[0]]), np.r_[names, [""] * 30]
    classifier = learner.adapt(X, y, unlabeled_label="")
    assert classifier.classes_.tolist() == ["ant", "bee", "cat"]
    numbers = learner.adapt(*support, pile[0]).transduction_
    np.testing.assert_array_equal(
        classifier.transduction_, np.array(["ant", "bee", "cat"])[numbers - 20]
    )


def problems():
    """Tasks of very different sizes and numbers of classes."""
    made = []
    shapes = [(2, 1, 0), (3, 3, 10), (2, 1, 1), (9, 2, 4), (3, 1, 90), (2, 30, 2)]
    for seed, (n_way, n_shot, n_query) in enumerate(shapes * 2):
        classes = 12 + np.arange(n_way)
        X, y = draw(classes, n_shot, 2 * seed)
        pile = draw(classes, n_query, 2 * seed + 1)[0] if n_query else None
        made.append((X, y, pile))
    return made


@pytest.mark.parametrize("method", ["sib", "prototype", "bd_cspn", "tim", "pt_map"])
def test_many_tasks_at_once_are_like_one_by_one(method, learner):
    tasks = problems()
    rows, _ = draw(np.arange(12, 21), 3, 99)
    for task, classifier in zip(tasks, learner.adapt_many(tasks, method=method)):
        alone = learner.adapt(*task, method=method)
        np.testing.assert_array_equal(classifier.classes_, alone.classes_)
        np.testing.assert_array_equal(classifier.transduction_, alone.transduction_)
        # padding changes the order of sums, and steps enlarge what that changes
        np.testing.assert_allclose(
            classifier.predict_proba(rows), alone.predict_proba(rows), atol=2e-3
        )


def test_many_tasks_of_one_shape_are_like_one_by_one(learner):
    tasks = [(*draw(NEW, 2, seed), draw(NEW, 8, seed + 50)[0]) for seed in range(40)]
    for task, classifier in zip(tasks, learner.adapt_many(tasks)):
        np.testing.assert_allclose(
            classifier.predict_proba(task[2]),
            learner.adapt(*task).predict_proba(task[2]),
            rtol=1e-3,
            atol=1e-4,
        )


def test_no_task_gives_no_classifier(learner):
    assert learner.adapt_many([]) == []


def test_pipelines_are_adapted_as_a_whole(known, support, pile):
    from new_classes import quick_learner

    pipeline = make_pipeline(StandardScaler(), quick_learner(phi="pretrained"))
    pipeline.fit(*known)
    before = pickle.dumps(pipeline)
    classifier = adapt(pipeline, *support, pile[0], class_prior="uniform")
    assert isinstance(classifier, Pipeline)
    assert classifier[0] is pipeline[0]
    assert classifier[-1].class_prior == "uniform"
    assert classifier.classes_.tolist() == [20, 21, 22]
    scaled = [pipeline[0].transform(X) for X in (support[0], pile[0])]
    alone = pipeline[-1].adapt(scaled[0], support[1], scaled[1], class_prior="uniform")
    np.testing.assert_array_equal(
        classifier.predict_proba(pile[0]), alone.predict_proba(scaled[1])
    )
    inside = FewShotClassifier(pipeline, class_prior="uniform", transductive=True)
    inside.fit(*support)
    np.testing.assert_allclose(
        inside.predict_proba(pile[0]), alone.predict_proba(scaled[1]), **LIKE
    )
    assert pickle.dumps(pipeline) == before


def test_a_learner_is_adapted_like_a_pipeline_of_one(learner, support, pile):
    one = adapt(learner, *support, pile[0])
    two = adapt(Pipeline([("learner", learner)]), *support, pile[0])
    np.testing.assert_array_equal(
        one.predict_proba(pile[0]), two.predict_proba(pile[0])
    )


# marks beside text


@pytest.mark.parametrize("kind", [np.asarray, list, pd.Series])
def test_text_may_stand_beside_a_mark_that_is_a_number(kind, support, pile):
    names = np.array(["a", "b", "c"], dtype=object)
    X = np.concatenate([support[0], pile[0][:4]])
    y = np.append(names[support[1] - 20], [-1] * 4)
    found = FewShotClassifier().fit(X, kind(y))
    expected = FewShotClassifier(unlabeled_label="").fit(X, np.where(y == -1, "", y))
    assert found.classes_.tolist() == ["a", "b", "c"]
    np.testing.assert_array_equal(found.transduction_, expected.transduction_)


def test_a_mark_that_is_text_by_mistake_is_worth_a_warning(support):
    y = np.where(support[1] == 20, "-1", support[1].astype(str))
    with pytest.warns(UserWarning, match="'-1' in y is text.*unlabeled_label='-1'"):
        assert "-1" in FewShotClassifier().fit(support[0], y).classes_


@pytest.mark.parametrize("missing", [np.nan, None])
def test_missing_labels_are_refused_with_the_mark_to_use(missing, support):
    y = [*support[1][:-1].tolist(), missing]
    with pytest.raises(ValueError, match="contains NaN.*unlabeled_label, here -1"):
        FewShotClassifier().fit(support[0], y)


def test_problems_without_a_pile_may_be_pairs(learner, support, pile):
    (pair, triple) = learner.adapt_many([support, (*support, None)])
    expected = triple.predict_proba(pile[0])
    np.testing.assert_array_equal(pair.predict_proba(pile[0]), expected)


def test_many_tasks_leave_the_memory_of_a_transformer_as_it_was(known, support, pile):
    table = np.random.RandomState(0).rand(2000, 16).astype(np.float32)
    before = table.copy()
    looked_up = FunctionTransformer(lambda X: table[: len(X)])
    learner = SemiSupervisedMetaLearner(
        phi="pretrained", backbone=looked_up, cross_fit=0, power=0.5
    ).fit(*known)
    learner.adapt_many([(*support, pile[0])])
    np.testing.assert_array_equal(table, before)


def test_many_tasks_leave_the_rows_as_they_were(learner, support, pile):
    before = support[0].copy(), pile[0].copy()
    learner.adapt_many([(*support, pile[0])])
    np.testing.assert_array_equal(support[0], before[0])
    np.testing.assert_array_equal(pile[0], before[1])


# rows of zeros


@pytest.mark.parametrize("method", ["sib", "prototype", "tim"])
def test_R130_row_of_zeros_is_like_every_class(method, learner, support, pile):
    zeros = np.zeros((2, 16))
    for X_unlabeled in (None, np.concatenate([pile[0], zeros])):
        classifier = learner.adapt(*support, X_unlabeled, method=method)
        found = classifier.predict_proba(np.concatenate([zeros, pile[0][:1]]))
        np.testing.assert_allclose(found[:2], 1 / 3, rtol=1e-6)
        assert found[2].max() > 0.5
    np.testing.assert_allclose(learner.predict_proba(zeros).std(axis=1), 0, atol=1e-7)
    assert (learner.transform(zeros) == 0).all()


@pytest.mark.parametrize("kind", [np.asarray, sp.csr_array])
@pytest.mark.parametrize("method", sorted(METHODS))
def test_R130_row_of_zeros_in_the_pile_is_like_every_class(
    method, kind, learner, support, pile
):
    X = np.concatenate([pile[0], np.zeros((2, 16))])
    rows = learner.transform(X)
    task = TaskRows(kind(learner.transform(support[0])), support[1] - 20, kind(rows))
    for prior in ("auto", None, np.array([0.5, 0.3, 0.2])):
        how = How(method, learner.module_.adapter, class_prior=prior)
        ((_, proba),) = adapt_to_tasks([task], how)
        np.testing.assert_array_equal(proba[-2:], np.float32(1 / 3))
        np.testing.assert_allclose(proba.sum(axis=1), 1, rtol=1e-5)
        assert (proba[:-2].max(axis=1) > 0.34).all()
    asked = FewShotClassifier(learner, transductive=True, method=method).fit(*support)
    np.testing.assert_allclose(asked.predict_proba(X)[-2:], 1 / 3, rtol=1e-6)


def test_R130_class_of_zeros_is_a_class_without_a_direction(learner, support, pile):
    X = np.concatenate([support[0], np.zeros((1, 16))])
    classifier = learner.adapt(X, np.r_[support[1], 99], pile[0])
    assert np.isfinite(classifier.predict_proba(pile[0])).all()
    assert classifier.score(*pile) > 0.9
