"""Settings and data shared by all tests."""

import os

os.environ["SCIPY_ARRAY_API"] = "1"  # read once, when scipy is imported
os.environ.setdefault("MPLBACKEND", "Agg")

import pytest
import torch
from sklearn.datasets import load_digits, make_blobs

# Several test processes on one machine must not fight for its cores, and answers are
# bit for bit the same on one thread only. Set here, not in a fixture: some modules fit
# their estimators when they are collected.
N_THREADS = 1
torch.set_num_threads(N_THREADS)


@pytest.fixture(autouse=True)
def _thread_count_is_kept():
    """No test, and nothing that it calls, may change the thread count for the next."""
    yield
    found = torch.get_num_threads()
    torch.set_num_threads(N_THREADS)
    assert found == N_THREADS


@pytest.fixture(scope="session")
def seed():
    """Seed of everything random in the tests; SKDEEP_SEED tries another one."""
    return int(os.environ.get("SKDEEP_SEED", 0))


def _read_only(*arrays):
    for array in arrays:
        array.flags.writeable = False
    return arrays


@pytest.fixture(scope="session")
def blobs(seed):
    """Rows of three classes that a line can tell apart: X (90, 5) and y (90,)."""
    return _read_only(
        *make_blobs(90, n_features=5, centers=3, random_state=seed, cluster_std=0.5)
    )


@pytest.fixture(scope="session")
def digits():
    """Handwritten digits, ten classes: X (1797, 64) in [0, 1] and y (1797,)."""
    X, y = load_digits(return_X_y=True)
    return _read_only(X / 16, y)
