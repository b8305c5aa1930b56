"""Errors of the package; each refines a built-in one, so old handlers catch it."""

__all__ = [
    "DatasetNotAvailableError",
    "DivergedError",
    "InvalidParameterError",
    "ModelFileError",
]


class InvalidParameterError(ValueError, TypeError):
    """A constructor parameter has a type or a value that is not allowed."""


class DivergedError(ValueError):
    """The training loss became NaN or infinite."""


class ModelFileError(ValueError):
    """A model file is damaged, foreign, of a newer format, or not what was expected."""


class DatasetNotAvailableError(OSError):
    """A data set is not in the data home and could not be downloaded."""
