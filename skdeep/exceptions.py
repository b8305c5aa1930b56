"""Errors of the package; each refines a built-in one, so old handlers catch it."""

from sklearn.exceptions import InconsistentVersionWarning

__all__ = [
    "DatasetNotAvailableError",
    "DivergedError",
    "InvalidParameterError",
    "ModelFileError",
    "ModelVersionWarning",
]


class InvalidParameterError(ValueError, TypeError):
    """A constructor parameter has a type or a value that is not allowed."""


class DivergedError(ValueError):
    """The training loss became NaN or infinite."""


class ModelFileError(ValueError):
    """A model file is damaged, foreign, of a newer format, or not what was expected."""


class DatasetNotAvailableError(OSError):
    """A data set is not in the data home and could not be downloaded."""


class ModelVersionWarning(InconsistentVersionWarning):
    """A model file was written by another version of skdeep or scikit-learn.

    Parameters
    ----------
    estimator_name : str
        Class of the model.

    package : str
        The package whose versions differ.

    original_version, current_version : str
        Its version then and now.
    """

    def __init__(self, *, estimator_name, package, original_version, current_version):
        self.estimator_name = estimator_name
        self.package = package
        self.original_version = original_version
        self.current_version = current_version

    def __str__(self):
        return (
            f"This {self.estimator_name} was saved with {self.package} "
            f"{self.original_version}, and {self.current_version} is installed. "
            "Predictions may differ; check them, or fit the model again."
        )
