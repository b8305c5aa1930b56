"""Splitters for classes that were never seen, episodes of few shots, cross fitting."""

from skdeep.model_selection._cross_fit import CrossFitTransformer
from skdeep.model_selection._episodes import EpisodeSampler
from skdeep.model_selection._few_shot_score import few_shot_score
from skdeep.model_selection._split import (
    ClassDisjointKFold,
    ClassDisjointShuffleSplit,
)

__all__ = [
    "ClassDisjointKFold",
    "ClassDisjointShuffleSplit",
    "CrossFitTransformer",
    "EpisodeSampler",
    "few_shot_score",
]
