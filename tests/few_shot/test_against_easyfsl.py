"""Our rules against those of easyfsl, where it is installed.

They get the same rows and parameters. Nothing of it is needed otherwise.
"""

import sys
from pathlib import Path

import numpy as np
import pytest
import torch
from torch.nn.functional import normalize, one_hot

from skdeep.few_shot._rules import RULES
from skdeep.few_shot._tasks import Tasks

pytest.importorskip("easyfsl")
N_WAY, N_SHOT, N_QUERY = 5, 3, 12


@pytest.fixture(scope="module")
def methods():
    """The module ``easyfsl.methods``, as the benchmark imports it."""
    folder = Path(__file__).parents[2] / "benchmarks"
    if not (folder / "_few_shot_peers.py").exists():
        pytest.skip("the benchmarks are not there")
    sys.path.insert(0, str(folder))
    try:
        from _few_shot_peers import easyfsl_methods
    finally:
        sys.path.remove(str(folder))
    return easyfsl_methods()


@pytest.fixture(params=range(5))
def task(request):
    """Unit rows that are never negative, as after a ReLU: support, y and query."""
    rng = np.random.RandomState(request.param)
    centres = rng.rand(N_WAY, 32)
    y = np.repeat(np.arange(N_WAY), N_SHOT)
    hidden = np.repeat(np.arange(N_WAY), N_QUERY)
    rows = centres[np.r_[y, hidden]]
    rows = np.maximum(rows + 0.4 * rng.randn(*rows.shape), 0).astype(np.float32)
    rows /= np.linalg.norm(rows, axis=1, keepdims=True)
    rows = torch.from_numpy(rows)
    return rows[: len(y)], torch.from_numpy(y), rows[len(y) :]


def ours(name, task, **options):
    """Probabilities of the query by our rule."""
    support, y, query = task
    targets = one_hot(y, N_WAY).float()
    tasks = Tasks(support[None], targets[None], query[None], torch.ones(1, len(query)))
    return RULES[name](tasks, **options).proba[0]


def theirs(model, task):
    support, y, query = task
    with torch.no_grad():
        model.process_support_set(support, y)
        return model(query)


def test_bd_cspn_is_that_of_easyfsl(methods, task):
    cosines = theirs(methods.BDCSPN(), task)
    found = ours("bd_cspn", task, scale=10.0, sharpness=1.0)
    torch.testing.assert_close(found, (10 * cosines).softmax(1), rtol=0, atol=1e-5)


def test_laplacian_shot_is_that_of_easyfsl(methods, task):
    # easyfsl counts a row among its own neighbours, and takes it out then
    expected = theirs(methods.LaplacianShot(knn=3, lambda_regularization=0.7), task)
    found = ours("laplacian", task, n_neighbors=2, smoothness=0.7, n_steps=20)
    # it stops when its bound moves by less than one part in a million
    torch.testing.assert_close(found, expected, rtol=0, atol=1e-4)
    assert torch.equal(found.argmax(1), expected.argmax(1))


@pytest.mark.parametrize("lr", [1e-4, 1e-3])
def test_tim_is_that_of_easyfsl(methods, task, lr):
    model = methods.TIM(
        fine_tuning_steps=50,
        fine_tuning_lr=lr,
        cross_entropy_weight=1.0,
        marginal_entropy_weight=1.0,
        conditional_entropy_weight=0.5,
        temperature=10.0,
        use_softmax=True,
    )
    found = ours("tim", task, n_steps=50, lr=lr, conditional_weight=0.5)
    torch.testing.assert_close(found, theirs(model, task), rtol=0, atol=1e-5)


def test_pt_map_is_that_of_easyfsl_on_rows_that_are_centred(methods, task):
    # easyfsl leaves out what the article does after the root: centre rows, unit length
    support, y, query = task
    model = methods.PTMAP(fine_tuning_steps=20, fine_tuning_lr=0.2)
    model.compute_features = lambda rows: rows
    centred = [normalize(rows - rows.mean(0), dim=1) for rows in (support, query)]
    expected = theirs(model, (centred[0], y, centred[1]))
    found = ours("pt_map", task, n_steps=20, lr=0.2, sharpness=10.0)
    torch.testing.assert_close(found, expected, rtol=0, atol=3e-3)
    assert torch.equal(found.argmax(1), expected.argmax(1))
