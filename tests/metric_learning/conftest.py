"""Data of the metric-learning tests: digits, half of the classes known."""

import numpy as np
import pytest
from sklearn.datasets import load_digits


def _frozen(*arrays):
    for array in arrays:
        array.flags.writeable = False
    return arrays


@pytest.fixture(scope="session")
def known_digits():
    X, y = load_digits(return_X_y=True)
    rows = np.flatnonzero(y < 5)[:400]
    return _frozen(X[rows] / 16, y[rows])


@pytest.fixture(scope="session")
def new_digits():
    X, y = load_digits(return_X_y=True)
    rows = np.flatnonzero(y >= 5)[:400]
    return _frozen(X[rows] / 16, y[rows])
