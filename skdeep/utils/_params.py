"""Rules for constructor parameters.

An estimator lists what each parameter may be in `_parameter_constraints`, and
`validate_params` compares at the start of `fit`. The form of the table and the wording
of the message follow scikit-learn, whose own validator is private.
"""

import math
from numbers import Integral

import numpy as np

from skdeep.exceptions import InvalidParameterError


class Interval:
    """Numbers of a type within bounds; NaN is never inside.

    Parameters
    ----------
    number : type
        ``numbers.Integral`` or ``numbers.Real``. Booleans are neither.

    left, right : float or None
        Bounds; None is no bound.

    closed : {"left", "right", "both", "neither"}
        Which bounds belong to the interval.
    """

    def __init__(self, number, left, right, *, closed):
        self.number = number
        self.left = -math.inf if left is None else left
        self.right = math.inf if right is None else right
        self.closed = closed

    def accepts(self, value):
        if not isinstance(value, self.number) or isinstance(value, (bool, np.bool_)):
            return False
        above = value > self.left or (
            self.closed in ("left", "both") and value == self.left
        )
        below = value < self.right or (
            self.closed in ("right", "both") and value == self.right
        )
        return bool(above and below and abs(value) != math.inf)

    def __str__(self):
        name = "an int" if self.number is Integral else "a float"
        opening = "[" if self.closed in ("left", "both") else "("
        closing = "]" if self.closed in ("right", "both") else ")"
        return f"{name} in the range {opening}{self.left}, {self.right}{closing}"


class StrOptions:
    """One of a set of strings."""

    def __init__(self, options):
        self.options = set(options)

    def accepts(self, value):
        return isinstance(value, str) and value in self.options

    def __str__(self):
        return f"a str among {sorted(self.options)}"


class ListOf:
    """A list, tuple or 1-d array whose items all meet one rule; may be empty."""

    def __init__(self, rule):
        self.rule = rule

    def accepts(self, value):
        if not isinstance(value, (list, tuple, np.ndarray)) or np.ndim(value) != 1:
            return isinstance(value, (list, tuple)) and len(value) == 0
        return all(self.rule.accepts(item) for item in value)

    def __str__(self):
        return f"a sequence whose items are each {self.rule}"


class HasMethods:
    """Objects, no classes, that have some methods.

    Parameters
    ----------
    *names : str
        What the methods are called.
    """

    def __init__(self, *names):
        self.names = names

    def accepts(self, value):
        return not isinstance(value, type) and all(
            callable(getattr(value, name, None)) for name in self.names
        )

    def __str__(self):
        return f"an object with {' and '.join(map(repr, self.names))}"


class _Kind:
    """A rule given by a short name or a type, with the words of the message."""

    def __init__(self, accepts, words):
        self.accepts = accepts
        self.words = words

    def __str__(self):
        return self.words


def _is_seed(value):
    if isinstance(value, (bool, np.bool_)):
        return False
    if isinstance(value, Integral):
        return 0 <= value < 2**32
    return value is None or isinstance(value, np.random.RandomState)


_NAMED = {
    "boolean": _Kind(lambda value: isinstance(value, (bool, np.bool_)), "a bool"),
    "random_state": _Kind(
        _is_seed, "None, an int in the range [0, 4294967295] or a RandomState instance"
    ),
    "verbose": _Kind(
        lambda value: isinstance(value, (Integral, np.bool_)) and value >= 0,
        "an int in the range [0, inf) or a bool",
    ),
    callable: _Kind(callable, "a callable"),
    None: _Kind(lambda value: value is None, "None"),
}


def _as_rule(constraint):
    if isinstance(constraint, (Interval, StrOptions, ListOf, HasMethods)):
        return constraint
    if constraint is None or isinstance(constraint, str) or constraint is callable:
        return _NAMED[constraint]
    return _Kind(
        lambda value: isinstance(value, constraint),
        f"an instance of {constraint.__name__!r}",
    )


def validate_params(estimator):
    """Compare the parameters of `estimator` with its table of constraints.

    Parameters
    ----------
    estimator : estimator
        Its ``_parameter_constraints`` maps each parameter to a list of rules, of which
        one has to accept the value.

    Raises
    ------
    InvalidParameterError
        Names the class, the parameter, what it may be and what it is.
    """
    owner = type(estimator).__name__
    for name, value in estimator.get_params(deep=False).items():
        check_param(name, value, estimator._parameter_constraints[name], owner=owner)


def check_param(name, value, constraints, *, owner):
    """Raise InvalidParameterError unless one of `constraints` accepts `value`."""
    rules = [_as_rule(constraint) for constraint in constraints]
    if any(rule.accepts(value) for rule in rules):
        return
    words = [str(rule) for rule in rules]
    allowed = words[0] if len(words) == 1 else f"{', '.join(words[:-1])} or {words[-1]}"
    raise InvalidParameterError(
        f"The {name!r} parameter of {owner} must be {allowed}. "
        f"Got {_short(value)} instead."
    )


def _short(value):
    text = repr(value)
    return text if len(text) <= 100 else f"{text[:97]}..."
