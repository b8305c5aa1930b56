"""Splitters for classes that were never seen."""

from skdeep.model_selection._split import (
    ClassDisjointKFold,
    ClassDisjointShuffleSplit,
)

__all__ = ["ClassDisjointKFold", "ClassDisjointShuffleSplit"]
