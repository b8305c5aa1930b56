"""What a clear refusal is, for all tests of bad input."""

import pickle
import re

import numpy as np
import pytest

UNCLEAR = (IndexError, KeyError, RuntimeError, ZeroDivisionError, np.linalg.LinAlgError)


def assert_refused(estimator, call, *words, error=(ValueError, TypeError)):
    """`call()` raises a clear error, and `estimator` is as before.

    Parameters
    ----------
    estimator : estimator
        Compared before and after, attribute by attribute.

    call : callable
        Has to raise.

    *words : str
        Regular expressions that the message has to match.

    error : type or tuple of types, default=(ValueError, TypeError)
        What has to be raised.

    Returns
    -------
    message : str
        Text of the error.
    """
    attributes, content = vars(estimator).copy(), pickle.dumps(estimator)
    with pytest.raises(error) as caught:
        call()
    assert not isinstance(caught.value, UNCLEAR)
    message = str(caught.value)
    for word in words:
        assert re.search(word, message, re.IGNORECASE), f"no {word!r} in {message!r}"
    assert vars(estimator).keys() == attributes.keys()
    for name, value in attributes.items():
        assert getattr(estimator, name) is value, f"{name} was replaced"
    assert pickle.dumps(estimator) == content, "an attribute was changed in place"
    return message


def refusal(call):
    """Message of the ValueError or TypeError that `call()` raises; None if it does not."""
    try:
        call()
    except (ValueError, TypeError) as error:
        return str(error)


def forbid_training(monkeypatch):
    """Fail as soon as a first training step is about to be taken."""

    def step(*args, **kwargs):
        pytest.fail("the training began before the input was refused")

    monkeypatch.setattr("skdeep._engine.Net.train_step", step)
