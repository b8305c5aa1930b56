"""What the default reaches on classes never seen, at least."""

import pathlib
import sys

import numpy as np
import pytest
from sklearn.metrics import normalized_mutual_info_score

from skdeep import HiLanderClusterer
from skdeep.metrics import bcubed_f_score, pairwise_f_score

BENCHMARKS = pathlib.Path(__file__).parents[2] / "benchmarks"


@pytest.fixture(autouse=True)
def with_benchmarks(monkeypatch):
    if not BENCHMARKS.is_dir():
        pytest.skip("needs the folder benchmarks of the repository")
    monkeypatch.setattr(sys, "path", [str(BENCHMARKS), *sys.path])


@pytest.mark.slow
def test_characters_of_new_alphabets():
    with np.load(BENCHMARKS / "data" / "omniglot_features.npz") as file:
        X, y, part = file["X"].astype(np.float32), file["y"], file["split"]
    model = HiLanderClusterer(random_state=0).fit(X[part == 1], y[part == 1])
    labels, y = model.predict(X[part == 2]), y[part == 2]
    assert pairwise_f_score(y, labels) >= 0.60
    assert bcubed_f_score(y, labels) >= 0.65
    assert normalized_mutual_info_score(y, labels) >= 0.885


@pytest.mark.slow
def test_clusters_whose_sizes_have_a_long_tail():
    from _long_tail import make_long_tail

    model = HiLanderClusterer(random_state=0).fit(*make_long_tail(10_000, 1))
    X, y = make_long_tail(20_000, 0)
    assert bcubed_f_score(y, model.predict(X)) >= 0.95
