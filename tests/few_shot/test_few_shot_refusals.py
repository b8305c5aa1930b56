"""Bad support sets and piles: a clear error, or a documented answer.

Identifiers such as R214 name a promise.
"""

import copy
import pickle

import numpy as np
import pytest
from new_classes import quick_learner
from refusals import assert_refused, forbid_training
from sklearn.base import clone
from sklearn.exceptions import NotFittedError
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from skdeep import FewShotClassifier, SemiSupervisedMetaLearner
from skdeep.exceptions import InvalidParameterError
from skdeep.few_shot import adapt


def with_value(X, value):
    X = X.copy()
    X[1, 2] = value
    return X


# what is done to (X_support, y_support, X_unlabeled), and words of the message
REFUSED = {
    "R201 no labels": (lambda X, y, pile: (X, None, pile), "requires y", "None"),
    "R202 too few labels": (lambda X, y, pile: (X, y[:-1], pile), "9", "8"),
    "R203 missing label": (lambda X, y, pile: (X, [None, *y[1:]], pile), "None"),
    "R204 fractions": (
        lambda X, y, pile: (X, y + 0.5, pile),
        "Unknown label type: continuous",
    ),
    "R206 mixed labels": (
        lambda X, y, pile: (X, np.array(["a", *y[1:]], dtype=object), pile),
        "mixed types",
    ),
    "R208 one-hot": (lambda X, y, pile: (X, np.eye(3)[y - 20], pile), "1d array"),
    "R210 one class": (
        lambda X, y, pile: (X[:3], y[:3], pile),
        "at least 2 classes, got 1",
    ),
    "R210 one class among marks": (
        lambda X, y, pile: (X, np.where(y == 20, 20, -1), pile),
        "at least 2 classes, got 1",
    ),
    "R214 no labelled row": (
        lambda X, y, pile: (X, np.full(len(y), -1), pile),
        "no support row",
        "-1",
    ),
    "R214 empty support": (
        lambda X, y, pile: (X[:0], y[:0], pile),
        "X_support",
        "empty",
    ),
    "R214 no support": (lambda X, y, pile: (None, y, pile), "X_support", "empty"),
    "R214 narrow support": (
        lambda X, y, pile: (X[:, :5], y, pile),
        "X_support",
        "5 features",
        "16",
    ),
    "R214 narrow pile": (
        lambda X, y, pile: (X, y, pile[:, :5]),
        "X_unlabeled",
        "5 features",
        "16",
    ),
    "R214 narrow support and pile": (
        lambda X, y, pile: (X[:, :5], y, pile[:, :5]),
        "X_support",
        "5 features",
    ),
    "R105 one row of a pile": (lambda X, y, pile: (X, y, pile[0]), "X_unlabeled", "1D"),
    "R101 NaN in the support": (
        lambda X, y, pile: (with_value(X, np.nan), y, pile),
        "X_support",
        "NaN",
    ),
    "R101 NaN in the pile": (
        lambda X, y, pile: (X, y, with_value(pile, np.nan)),
        "X_unlabeled",
        "NaN",
    ),
    "R102 infinity in the pile": (
        lambda X, y, pile: (X, y, with_value(pile, np.inf)),
        "X_unlabeled",
        "infinity",
    ),
    "R132 too large": (
        lambda X, y, pile: (X, y, with_value(pile, 1e300)),
        "X_unlabeled",
        "too large for float32",
    ),
}


@pytest.mark.parametrize("row", REFUSED)
def test_bad_tasks_are_refused(row, learner, support, pile):
    spoil, *words = REFUSED[row]
    assert_refused(learner, lambda: learner.adapt(*spoil(*support, pile[0])), *words)
    # and among good ones, too
    tasks = [(*support, pile[0]), spoil(*support, pile[0])]
    assert_refused(learner, lambda: learner.adapt_many(tasks), words[-1])


@pytest.mark.parametrize("row", REFUSED)
def test_bad_tasks_are_refused_by_the_classifier_which_stays_as_it_was(
    row, learner, support, pile
):
    X, y, others = REFUSED[row][0](*support, pile[0])
    if others is not pile[0] or X is None:
        return  # it is about the pile alone
    classifier = FewShotClassifier(learner).fit(*support)
    words = [word for word in REFUSED[row][1:] if "support" not in word]
    words = [word for word in words if word != "empty"]
    assert_refused(classifier, lambda: classifier.fit(X, y), *words)
    unfitted = clone(classifier)
    assert_refused(unfitted, lambda: unfitted.fit(X, y), *words)


@pytest.mark.parametrize("problem", [(1, 2, 3, 4), (1,), "abc", 3, None])
def test_problems_of_another_form_are_refused(problem, learner, support):
    tasks = [(*support, None), problem]
    words = "X_support, y_support, X_unlabeled" if problem != "abc" else "tuple"
    assert_refused(learner, lambda: learner.adapt_many(tasks), words, "problem 1")


@pytest.mark.parametrize("tasks", [np.zeros((2, 3)), {"a": 1}, "ab"])
def test_problems_that_are_no_list_of_tasks_are_refused(tasks, learner):
    words = "tuple", "X_support, y_support, X_unlabeled", "problem 0"
    assert_refused(learner, lambda: learner.adapt_many(tasks), *words)


def test_problems_may_come_from_an_iterator_or_be_none(learner, support):
    assert len(learner.adapt_many(iter([(*support, None)]))) == 1
    assert learner.adapt_many(np.zeros((0, 3))) == []


@pytest.mark.parametrize("marked", [1, 3])
def test_mark_beside_label_1_is_a_mark_for_adapt(marked, learner, support, pile):
    X, y = support[0][:6], np.array([1] * 6)
    y[:marked] = -1
    words = "at least 2 classes, got 1"
    assert_refused(learner, lambda: learner.adapt(X, y, pile[0]), words)
    assert_refused(learner, lambda: learner.adapt_many([(X, y, None)]), words)
    # scikit-learn's own checks fit classifiers of these two
    assert FewShotClassifier(learner).fit(X, y).classes_.tolist() == [-1, 1]
    # with another mark they are classes like others
    assert learner.adapt(X, y, unlabeled_label=0).classes_.tolist() == [-1, 1]


@pytest.mark.parametrize("mark", [-1, "", "a"])
@pytest.mark.parametrize("missing", ["NA", None, np.nan])
def test_missing_text_labels_are_refused_with_the_mark_to_use(mark, missing, support):
    pd = pytest.importorskip("pandas")
    missing = pd.NA if missing == "NA" else missing
    y = pd.Series([*"abcabcab", missing], dtype="string")
    classifier = FewShotClassifier(unlabeled_label=mark)
    words = "contains NaN", "position 8", f"unlabeled_label, here {mark!r}"
    assert_refused(classifier, lambda: classifier.fit(support[0], y), *words)
    if mark == -1:
        y = pd.Series([*"abcabca", -1, missing], dtype=object)
        assert_refused(classifier, lambda: classifier.fit(support[0], y), *words)


def test_only_a_learner_can_be_adapted(support):
    model = make_pipeline(StandardScaler(), LogisticRegression()).fit(*support)
    for estimator in (model, model[-1]):
        with pytest.raises(TypeError, match="`estimator` .*LogisticRegression cannot"):
            adapt(estimator, *support)


def test_R139_an_unfitted_learner_cannot_adapt(support, pile):
    learner = quick_learner()
    for call in (
        lambda: learner.adapt(*support, pile[0]),
        lambda: learner.adapt_many([]),
        lambda: learner.transform(pile[0]),
        lambda: learner.score(*support),
        lambda: FewShotClassifier(learner).fit(*support),
        lambda: adapt(make_pipeline(StandardScaler().fit(pile[0]), learner), *support),
        lambda: FewShotClassifier().predict(pile[0]),
    ):
        with pytest.raises(NotFittedError):
            call()
    for name in ("phi_", "prototypes_", "scale_", "backbone_", "step_sizes_"):
        assert not hasattr(learner, name)


@pytest.mark.parametrize(
    "estimator", [3, "sib", LogisticRegression(), SemiSupervisedMetaLearner]
)
def test_what_is_no_learner_is_refused_by_name(estimator, support):
    classifier = FewShotClassifier(estimator)
    assert_refused(classifier, lambda: classifier.fit(*support), "estimator", "fitted")


OPTIONS = {
    "method": "nearest",
    "n_steps": -1,
    "class_prior": "equal",
    "outlier_weight": 0.0,
    "transductive": "yes",
    "unlabeled_label": None,
}


@pytest.mark.parametrize("name", OPTIONS)
def test_wrong_options_are_refused_by_name(name, learner, support):
    options = {name: OPTIONS[name]}
    for call in (
        lambda: learner.adapt(*support, **options),
        lambda: FewShotClassifier(learner, **options).fit(*support),
    ):
        message = assert_refused(learner, call, name, error=InvalidParameterError)
        assert "FewShotClassifier" in message


def test_options_that_do_not_exist_are_refused_by_name(learner, support):
    with pytest.raises(TypeError, match="steps"):
        learner.adapt(*support, steps=3)


SHARES = {
    "too few": [0.5, 0.5],
    "negative": [-0.5, 0.5, 1.0],
    "NaN": [np.nan, 0.5, 0.5],
    "all zero": [0, 0, 0],
    "one zero": [0.0, 0.5, 0.5],
    "text": ["a", "b", "c"],
    "matrix": np.ones((3, 3)),
}


@pytest.mark.parametrize("row", SHARES)
def test_wrong_shares_are_refused(row, learner, support, pile):
    assert_refused(
        learner,
        lambda: learner.adapt(*support, pile[0], class_prior=SHARES[row]),
        "class_prior",
        error=InvalidParameterError,
    )


def test_shares_must_fit_all_of_many_tasks(learner, support, pile):
    X, y = support
    tasks = [(X, y, pile[0]), (X[:6], y[:6], pile[0])]
    for order in (tasks, tasks[::-1]):
        assert_refused(
            learner,
            lambda: learner.adapt_many(order, class_prior=[1, 1, 1]),  # noqa: B023
            "class_prior",
            "2 classes",
        )


# rows of known classes at fit


def test_R210_one_known_class_is_refused(learner, known, monkeypatch):
    forbid_training(monkeypatch)
    X, y = known
    fitted = copy.copy(learner)
    assert_refused(fitted, lambda: fitted.fit(X, np.zeros(len(y))), "2 classes, got 1")
    marked = np.where(y == 3, 3, -1)
    assert_refused(fitted, lambda: fitted.fit(X, marked), "at least 2 classes, got 1")
    nothing = np.full(len(y), -1)
    assert_refused(fitted, lambda: fitted.fit(X, nothing), "labelled rows", "-1")


def test_R211_class_with_one_row_is_left_out_of_tasks_but_known(known):
    X, y = known
    y = np.where(np.arange(len(y)) == 5, 99, y)
    with pytest.warns(UserWarning, match="1 of 13 classes have fewer than 6 rows"):
        learner = quick_learner().fit(X, y)
    assert 99 in learner.classes_
    assert learner.method_ == "sib"
    assert learner.predict(X[[5]]) == [99]


def test_R212_every_row_its_own_class_leaves_prototypes(known, support, pile):
    X, _ = known
    with pytest.warns(UserWarning, match="fewer than 2 classes.*prototype"):
        learner = quick_learner().fit(X[:20], np.arange(20))
    assert learner.method_ == "prototype"
    assert learner.n_iter_ == 0
    assert learner.phi_ is None
    np.testing.assert_array_equal(learner.predict(X[:20]), np.arange(20))
    assert learner.adapt(*support, pile[0]).score(*pile) > 0.9
    with pytest.raises(ValueError, match="method='sib'"):
        learner.adapt(*support, method="sib")
    assert pickle.loads(pickle.dumps(learner)).method_ == "prototype"


def test_R215_fewer_classes_than_n_way_is_told_with_both_numbers(known):
    with pytest.warns(UserWarning, match="n_way is lowered from 20 to 12"):
        learner = quick_learner(n_way=20).fit(*known)
    assert learner.method_ == "sib"


def test_R215_more_shots_than_rows_are_lowered(known):
    learner = quick_learner(n_shot=50).fit(*known)
    assert learner.method_ == "sib"
    assert learner.n_iter_ == 2


@pytest.mark.parametrize("name", ["n_way", "n_shot"])
def test_reversed_pairs_of_numbers_are_refused(name, known, monkeypatch):
    forbid_training(monkeypatch)
    learner = quick_learner(**{name: (5, 2)})
    assert_refused(learner, lambda: learner.fit(*known), name, r"\(5, 2\)")


def test_tasks_must_be_as_many_as_rows(known, monkeypatch):
    forbid_training(monkeypatch)
    learner = quick_learner()
    assert_refused(learner, lambda: learner.fit(*known, tasks=[1, 2]), "144", r"\b2\b")
