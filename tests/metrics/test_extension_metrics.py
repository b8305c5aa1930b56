"""Tests of what is counted on old and on new classes."""

import numpy as np
import pytest
from sklearn.datasets import load_iris
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import classification_report, f1_score
from sklearn.model_selection import GridSearchCV
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from skdeep.metrics import (
    entity_f1_score,
    extension_report,
    extension_scores,
)

OLD = ["ant", "bee"]
Y_TRUE = ["ant", "ant", "bee", "bee", "cow", "cow", "dog", "ant"]
Y_PRED = ["ant", "cow", "bee", "ant", "cow", "bee", "cow", "dog"]
SOURCE = ["ant", "ant", "bee", "ant", "bee", "bee", "ant", "bee"]

TAGS_TRUE = [["B-who", "I-who", "O", "B-city"], ["B-city", "O"], ["O", "B-day"], []]
TAGS_PRED = [["B-city", "I-who", "O", "B-city"], ["B-day", "O"], ["O", "B-day"], []]
TAGS_SOURCE = [["B-who", "I-who", "O", "O"], ["B-who", "B-who"], ["O", "B-day"], []]
OLD_TYPES = ["who", "day"]

UNKNOWN = ("old", "new", "all", "harmonic", "source_old", "forgetting")


class NearestMean:
    """Stands for an extender: a source with two classes and a rule for the third."""

    def __init__(self, threshold=2.0):
        self.threshold = threshold
        self.classes_ = np.array(["ant", "bee", "cow"])
        self.old_class_mask_ = np.array([True, True, False])

    def predict_source(self, X):
        return np.where(np.asarray(X)[:, 0] < 1, "ant", "bee")

    def predict(self, X):
        is_new = np.asarray(X)[:, 0] >= self.threshold
        return np.where(is_new, "cow", self.predict_source(X))


class TagByTable:
    """Stands for an extended tagger."""

    classes_ = ["B-city", "B-day", "B-who", "I-city", "I-day", "I-who", "O"]
    old_class_mask_ = [False, True, True, False, True, True, True]
    old_types_, new_types_ = ["day", "who"], ["city"]

    def predict(self, X):
        return [TAGS_PRED[int(tokens[0])] if tokens else [] for tokens in X]

    def predict_source(self, X):
        return [TAGS_SOURCE[int(tokens[0])] if tokens else [] for tokens in X]


TOKENS = [["0", "x", "x", "x"], ["1", "x"], ["2", "x"], []]


def test_numbers_of_classes_counted_by_hand():
    scores = extension_scores(Y_TRUE, Y_PRED, OLD, SOURCE)
    # 5 old rows: right are the first ant and the first bee; the source has three
    assert (scores["n_old"], scores["n_new"]) == (5, 3)
    assert scores["old"] == 2 / 5
    assert scores["new"] == 1 / 3
    assert scores["all"] == 3 / 8
    assert scores["harmonic"] == pytest.approx(2 / (5 / 2 + 3))
    assert scores["source_old"] == 3 / 5
    assert scores["forgetting"] == pytest.approx(1 / 5)
    # an old row became a cow and one a dog; one cow became a bee
    assert scores["intrusion"] == 2 / 5
    assert scores["leak"] == 1 / 3
    # four rows are not predicted as new, and the source agrees on all of them
    assert scores["retention"] == 1
    assert list(scores["per_class"]) == ["ant", "bee", "cow", "dog"]
    assert scores["per_class"]["bee"] == {
        "precision": 1 / 2,
        "recall": 1 / 2,
        "f1-score": 1 / 2,
        "support": 2,
        "source_recall": 1 / 2,
        "is_new": False,
    }
    assert scores["per_class"]["dog"]["source_recall"] is None
    assert scores["per_class"]["dog"]["is_new"] is True


def test_rates_of_classes_are_those_of_sklearn(seed):
    rng = np.random.RandomState(seed)
    y_true, y_pred = rng.randint(0, 6, (2, 200))
    expected = classification_report(y_true, y_pred, output_dict=True)
    for code, row in extension_scores(y_true, y_pred, [1, 2])["per_class"].items():
        for name in ("precision", "recall", "f1-score", "support"):
            assert row[name] == pytest.approx(expected[str(code)][name])


def test_numbers_of_tags_counted_by_hand():
    scores = extension_scores(TAGS_TRUE, TAGS_PRED, OLD_TYPES, TAGS_SOURCE)
    # right: who, city, city, day; found: city, a stray who, city, day, day
    assert (scores["n_old"], scores["n_new"]) == (2, 2)
    assert scores["old"] == pytest.approx(2 * 1 / (2 + 3))
    assert scores["new"] == pytest.approx(2 * 1 / (2 + 2))
    assert scores["all"] == pytest.approx(2 * 2 / (4 + 5))
    # the source finds who twice too often
    assert scores["source_old"] == pytest.approx(2 * 2 / (2 + 4))
    assert scores["forgetting"] == pytest.approx(4 / 6 - 2 / 5)
    # a city covers half of the one who; a day covers one of two cities
    assert scores["intrusion"] == 1 / 2
    assert scores["leak"] == 1 / 2
    # of the source three are left: who, who, day; of the model: who, day, day
    assert scores["retention"] == pytest.approx(2 * 1 / (3 + 3))
    assert scores["per_class"]["who"] == {
        "precision": 0,
        "recall": 0,
        "f1-score": 0,
        "support": 1,
        "source_f1-score": pytest.approx(2 * 1 / (1 + 3)),
        "is_new": False,
    }
    assert scores["per_class"]["city"]["source_f1-score"] is None


def test_scores_of_tags_are_entity_f1_of_their_types(seed):
    rng = np.random.RandomState(seed)
    names = ["O", *(f"{p}-{t}" for p in "BI" for t in "abcd")]
    y_true, y_pred, source = (
        [list(rng.choice(names, 9)) for _ in "x" * 20] for _ in "123"
    )
    scores = extension_scores(y_true, y_pred, ["a", "c"], source)
    assert scores["all"] == entity_f1_score(y_true, y_pred)
    assert scores["old"] == entity_f1_score(y_true, y_pred, types=["a", "c"])
    assert scores["new"] == entity_f1_score(y_true, y_pred, types=["b", "d"])
    assert scores["source_old"] == entity_f1_score(y_true, source, types=["a", "c"])


def test_of_tags_without_a_prefix_each_token_counts(seed):
    rng = np.random.RandomState(seed)
    y_true, y_pred, source = ([list(rng.choice([*"abcd"], 9))] * 3 for _ in "123")
    scores = extension_scores(y_true, y_pred, ["a", "c"], source)
    true, pred = (np.concatenate(y) for y in (y_true, y_pred))
    assert scores["all"] == pytest.approx((true == pred).mean())
    for name, tags in (("old", ["a", "c"]), ("new", ["b", "d"])):
        expected = f1_score(true, pred, labels=tags, average="micro")
        assert scores[name] == pytest.approx(expected)
    of_old = np.isin(true, ["a", "c"])
    intrusion = np.isin(pred[of_old], ["b", "d"]).mean()
    assert scores["intrusion"] == pytest.approx(intrusion)

    class Tagger:
        classes_, old_class_mask_ = [*"abcdO"], [True, False, True, False, True]

        def predict(self, X):
            return y_pred

        def predict_source(self, X):
            return source

    assert extension_report(Tagger(), [["x"] * 9] * 3, y_true) == scores
    nobody = extension_scores([["O", "x"]], [["O", "O"]], ["x"])
    assert (nobody["n_old"], nobody["n_new"], nobody["old"]) == (1, 0, 0)


def test_without_the_truth_only_the_agreement_is_known():
    scores = extension_scores(None, Y_PRED, OLD, SOURCE)
    assert scores.pop("retention") == 1
    assert scores.pop("per_class") == {}
    assert set(scores.values()) == {None}
    by_tags = extension_scores(None, TAGS_PRED, OLD_TYPES, TAGS_SOURCE)
    known = extension_scores(TAGS_TRUE, TAGS_PRED, OLD_TYPES, TAGS_SOURCE)
    assert by_tags["retention"] == known["retention"]
    assert list(by_tags) == list(known)
    all_new = extension_scores(None, ["cow", "cow"], OLD, ["ant", "bee"])
    assert all_new["retention"] is None


def test_what_the_data_do_not_tell_is_none_and_never_nan():
    only_new = extension_scores(["cow"], ["cow"], OLD, ["ant"])
    assert only_new["new"] == only_new["all"] == 1
    for name in ("old", "harmonic", "source_old", "forgetting", "intrusion"):
        assert only_new[name] is None
    only_old = extension_scores(["ant"], ["ant"], OLD)
    assert [only_old[name] for name in UNKNOWN] == [1, None, 1, None, None, None]
    assert extension_scores([], [], OLD)["all"] is None
    tags = extension_scores([["O"]], [["B-who"]], ["who"])
    assert [tags[name] for name in UNKNOWN] == [None] * 6
    both_wrong = extension_scores(["ant", "cow"], ["cow", "ant"], OLD)
    assert both_wrong["harmonic"] == 0


def test_labels_may_be_numbers_arrays_or_series():
    pd = pytest.importorskip("pandas", reason="makes the Series")
    code = {"ant": 0, "bee": 1, "cow": 2, "dog": 3}
    as_codes = [[code[name] for name in y] for y in (Y_TRUE, Y_PRED, SOURCE)]
    expected = extension_scores(Y_TRUE, Y_PRED, OLD, SOURCE)
    for convert in (list, np.array, pd.Series, lambda y: np.array(y)[:, None]):
        true, pred, source = map(convert, as_codes)
        found = extension_scores(true, pred, np.array([0, 1]), source)
        assert {k: found[k] for k in UNKNOWN} == {k: expected[k] for k in UNKNOWN}
        assert list(found["per_class"]) == [0, 1, 2, 3]
    as_series = extension_scores(pd.Series(Y_TRUE), pd.Series(Y_PRED), OLD, SOURCE)
    assert as_series == expected


def test_large_integers_stay_different_classes():
    true = np.array([0, 2**63 + 3, 2**63 + 4], dtype=np.uint64)
    for convert in (np.array, list, lambda y: [int(label) for label in y]):
        for old in ([0], [0, -5], np.array([0]), [0.0], [0, -(2**60)]):
            scores = extension_scores(convert(true), convert(true[[0, 2, 1]]), old)
            assert (scores["old"], scores["new"], scores["n_new"]) == (1, 0, 2)
            assert list(scores["per_class"]) == true.tolist()
    # of one list, too, numpy makes floats
    signed = [-1, 2**63 + 3, 2**63 + 4]
    scores = extension_scores(signed, [-1, 2**63 + 4, 2**63 + 3], [-1])
    assert (scores["old"], scores["new"]) == (1, 0)
    below = np.array([-(2**60), 1 - 2**60])
    assert extension_scores(below, below[::-1], [0.5])["new"] == 0
    halves = extension_scores([0.5, 1.0, 2.0], [0.5, 1.0, 1.0], np.array([1, 2]))
    assert (halves["old"], halves["new"]) == (0.5, 1)


def test_report_asks_the_model_and_its_source():
    X = np.array([[0.0], [0.5], [1.5], [1.9], [2.5], [3.0]])
    y = ["ant", "ant", "bee", "cow", "cow", "bee"]
    model = NearestMean()
    report = extension_report(model, X, y)
    assert report == extension_scores(y, model.predict(X), OLD, model.predict_source(X))
    assert report["old"] == 3 / 4
    assert report["source_old"] == 1
    assert extension_report(model, X)["retention"] == 1


def test_report_of_a_tagger_is_about_types():
    expected = extension_scores(TAGS_TRUE, TAGS_PRED, OLD_TYPES, TAGS_SOURCE)
    assert extension_report(TagByTable(), TOKENS, TAGS_TRUE) == expected
    assert extension_report(TagByTable(), iter(TOKENS), TAGS_TRUE) == expected

    class WithoutTypes(TagByTable):
        old_types_ = property()  # raises AttributeError, as if it were not there

    assert not hasattr(WithoutTypes(), "old_types_")
    assert extension_report(WithoutTypes(), TOKENS, TAGS_TRUE) == expected


class OldIsBelowTwo(LogisticRegression):
    """Stands for an extender that can be put into pipelines."""

    @property
    def old_class_mask_(self):
        return self.classes_ < 2


def test_report_looks_into_pipelines_and_searches():
    X, y = load_iris(return_X_y=True)
    X = X - X.mean(axis=0)
    pipe = make_pipeline(StandardScaler(), OldIsBelowTwo()).fit(X, y)
    search = GridSearchCV(OldIsBelowTwo(), {"C": [1.0]}, cv=2)
    for model in (pipe, search.fit(X, y), make_pipeline(OldIsBelowTwo()).fit(X, y)):
        report = extension_report(model, X, y)
        assert report["all"] == pytest.approx(
            f1_score(y, model.predict(X), average="micro")
        )
        assert report["old"] == pytest.approx(model.score(X[y < 2], y[y < 2]))
        assert report["source_old"] is None


def test_models_that_do_not_tell_their_old_classes_are_refused():
    X, y = [[0.0], [1.0]], [0, 1]
    with pytest.raises(TypeError, match="LogisticRegression does not tell which"):
        extension_report(LogisticRegression().fit(X, y), X, y)


def test_wrong_arguments_of_extension_scores_are_refused():
    with pytest.raises(ValueError, match="both None"):
        extension_scores(None, Y_PRED, OLD)
    with pytest.raises(ValueError, match="`old_classes` must be a list"):
        extension_scores(Y_TRUE, Y_PRED, "ant")
    with pytest.raises(TypeError, match="`y_true` holds str.*`old_classes` holds num"):
        extension_scores(Y_TRUE, Y_PRED, [0, 1])
    with pytest.raises(TypeError, match="`y_pred` holds labels that are neither"):
        extension_scores(Y_TRUE, np.array([None] * 8), OLD)
    with pytest.raises(ValueError, match="inconsistent numbers of samples"):
        extension_scores(Y_TRUE, Y_PRED[:3], OLD)
    with pytest.raises(ValueError, match="`y_true` has 4 sentences and `source_pred`"):
        extension_scores(TAGS_TRUE, TAGS_PRED, OLD_TYPES, TAGS_SOURCE[:2])
    with pytest.raises(ValueError, match=r"`source_pred\[0\]\[0\]` is 'who'"):
        extension_scores([["B-who"]], [["O"]], OLD_TYPES, [["who"]])
    for tag in (None, [], ""):
        with pytest.raises(ValueError, match=r"`y_pred\[0\]\[1\]` is .*no tag"):
            extension_scores([["O", "B-x"]], [["O", tag]], ["x"])
    with pytest.raises(ValueError, match="NaN"):
        extension_scores([0.0, np.nan], [0, 1], [0])
    with pytest.raises(ValueError, match="NaN"):
        extension_scores([2**60, np.nan], [0, 1], [0])
