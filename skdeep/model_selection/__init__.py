"""Splitters for classes that were never seen, and cross fitting over classes."""

from skdeep.model_selection._cross_fit import CrossFitTransformer
from skdeep.model_selection._split import (
    ClassDisjointKFold,
    ClassDisjointShuffleSplit,
)

__all__ = ["ClassDisjointKFold", "ClassDisjointShuffleSplit", "CrossFitTransformer"]
