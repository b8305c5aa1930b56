"""Data and a learner shared by the tests of few-shot estimators."""

import pytest
from new_classes import KNOWN, NEW, draw, fitted_learner


@pytest.fixture(scope="session")
def known():
    """Rows and labels of the known classes."""
    return draw(KNOWN, 12, 0)


@pytest.fixture(scope="session")
def support():
    """Three labelled rows of each new class."""
    return draw(NEW, 3, 1)


@pytest.fixture(scope="session")
def pile():
    """Ten rows of each new class, and the labels that nobody is told."""
    return draw(NEW, 10, 2)


@pytest.fixture(scope="session")
def learner():
    """A fitted learner with the built-in gradient network; tests must not change it."""
    return fitted_learner(phi="pretrained")
