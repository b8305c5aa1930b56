"""Tests of the comparison of methods."""

import numpy as np
import pytest
from extension_data import fitted_source, four_blobs, quick_extender, small_network

from skdeep.metrics import extension_report, extension_scores
from skdeep.transfer import AdapterExtender, compare_extensions


@pytest.fixture(scope="module")
def problem():
    return four_blobs()


def compare(problem, estimator=None, *, new_only=False, **options):
    rows = np.flatnonzero(problem.y_new >= (2 if new_only else 0))
    return compare_extensions(
        fitted_source() if estimator is None else estimator,
        problem.X_new[rows],
        problem.y_new[rows],
        problem.X_test,
        problem.y_test,
        random_state=0,
        **options,
    )


KEYS = ["name", "old", "new", "all", "harmonic", "source_old", "forgetting", "seconds"]


def test_rows_are_those_of_the_scores_of_each_method(problem):
    source = fitted_source()
    rows = compare(problem, methods=["stacking"])
    assert [list(row) for row in rows] == [KEYS, KEYS]
    alone, stacking = rows
    answers = source.predict(problem.X_test)
    scores = extension_scores(problem.y_test, answers, [0, 1], answers)
    assert alone["name"] == "source"
    assert alone["old"] == alone["source_old"] == scores["old"]
    assert (alone["new"], alone["harmonic"], alone["forgetting"]) == (0, 0, 0)
    extender = quick_extender(source).fit(problem.X_new, problem.y_new)
    scores = extension_scores(
        problem.y_test, extender.predict(problem.X_test), [0, 1], answers
    )
    assert {key: stacking[key] for key in KEYS[1:-1]} == {
        key: scores[key] for key in KEYS[1:-1]
    }
    assert stacking["seconds"] > 0


def test_methods_may_have_names_and_parameters(problem):
    rows = compare(
        problem,
        quick_extender(class_weight=None),
        methods={"plain": {}, "scores": {"features": "scores"}},
    )
    assert [row["name"] for row in rows] == ["source", "plain", "scores"]
    assert rows[1]["all"] > 0.9


@pytest.mark.slow
def test_the_choice_of_methods_follows_the_data(problem):
    extender = AdapterExtender(fitted_source(), max_epochs=2, device="cpu")
    rows = compare(problem, extender)
    names = ["source", "fine-tuning", "source-skip", "adapter", "stacking", "auto"]
    assert [row["name"] for row in rows] == names
    rows = compare(problem, extender, new_only=True)
    assert [row["name"] for row in rows] == ["source", "fine-tuning", "adapter", "gate"]
    gate = rows[-1]
    assert gate["old"] > 0.8
    assert gate["new"] > 0.8


def test_a_seed_may_come_from_a_generator(problem):
    one, other = (
        compare_extensions(
            quick_extender(),
            problem.X_new,
            problem.y_new,
            problem.X_test,
            problem.y_test,
            methods=["stacking"],
            random_state=np.random.RandomState(3),
        )[1]
        for _ in range(2)
    )
    assert one["all"] == other["all"]


@pytest.mark.parametrize("methods", [["stacking"], None])
def test_a_bare_network_is_compared_if_its_outputs_are_named(methods, problem):
    network = small_network().eval()
    extender = AdapterExtender(network, max_epochs=1, device="cpu")
    rows = compare(problem, extender, methods=methods, classes=[0, 1])
    assert [row["name"] for row in rows][:2] == [
        "source",
        "stacking" if methods else "fine-tuning",
    ]
    model = AdapterExtender(network, method="stacking", device="cpu", random_state=0)
    model.fit(problem.X_new, problem.y_new, classes=[0, 1])
    report = extension_report(model, problem.X_test, problem.y_test)
    assert rows[0]["old"] == report["source_old"]
    with pytest.raises(ValueError, match="Pass `classes=` to fit"):
        compare(problem, extender, methods=methods)


def test_no_method_or_a_text_is_refused(problem):
    with pytest.raises(ValueError, match="`methods` is empty"):
        compare(problem, methods=[])
    with pytest.raises(ValueError, match="got the str 'gate'"):
        compare(problem, methods="gate")
