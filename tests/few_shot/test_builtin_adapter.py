"""The weights that come with the package, and the script that makes them."""

import sys
from pathlib import Path

import numpy as np
import pytest

from skdeep.few_shot import FewShotClassifier
from skdeep.few_shot._training import builtin_adapter
from skdeep.model_selection import few_shot_score

BENCHMARKS = Path(__file__).parents[2] / "benchmarks"


@pytest.fixture
def script(monkeypatch):
    """The training script as a module."""
    monkeypatch.syspath_prepend(str(BENCHMARKS))
    yield pytest.importorskip("train_builtin_adapter")
    for name in ("train_builtin_adapter", "_few_shot_data"):
        sys.modules.pop(name, None)


def validation_rows(script):
    """Classes that neither the backbone nor the script have seen."""
    data = sys.modules["_few_shot_data"]
    rows, _ = data.load("clinc150")
    kept = rows.part == data.VALIDATION
    return rows.X[kept], rows.y[kept]


def accuracy(classifier, X, y, n_shot, balance):
    how = {"n_shot": n_shot, "balance": balance, "n_episodes": 100, "random_state": 0}
    return 100 * few_shot_score(classifier, X, y, **how).mean


@pytest.mark.parametrize(
    ("n_shot", "balance", "gain"), [(1, "balanced", 8), (5, 2.0, 1)]
)
def test_the_weights_beat_prototypes_on_classes_never_seen(
    script, n_shot, balance, gain
):
    X, y = validation_rows(script)
    prototypes = FewShotClassifier(method="prototype")
    found = accuracy(FewShotClassifier(), X, y, n_shot, balance)
    assert found > accuracy(prototypes, X, y, n_shot, balance) + gain


@pytest.mark.slow
def test_a_short_run_of_the_script_comes_close_to_the_weights(script, monkeypatch):
    X, y = validation_rows(script)
    trained = script.train(n_steps=250, seed=1)
    cells = [(1, "balanced"), (1, 2.0), (5, "balanced"), (5, 2.0)]
    known = [accuracy(FewShotClassifier(), X, y, *cell) for cell in cells]
    from skdeep.few_shot import _learned

    adapters = _learned._builtin()._replace(adapter=trained)
    monkeypatch.setattr(_learned, "_builtin", lambda: adapters)
    found = [accuracy(FewShotClassifier(), X, y, *cell) for cell in cells]
    assert np.mean(found) > np.mean(known) - 1.5


def test_the_script_makes_the_module_that_the_weights_fill(script):
    made = script.make_adapter(**script.BUILTIN_ARGS).state_dict()
    known = builtin_adapter().state_dict()
    assert {name: value.shape for name, value in made.items()} == {
        name: value.shape for name, value in known.items()
    }
