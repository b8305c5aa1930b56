"""What the tests of chains share."""

import pytest
import torch


@pytest.fixture(scope="session", autouse=True)
def _compiler_is_loaded():
    # torch imports its compiler with the first optimizer, which takes seconds
    torch.optim.SGD([torch.zeros(1, requires_grad=True)])
