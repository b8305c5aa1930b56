"""New classes from a few labelled rows and a pile of unlabelled ones."""

from skdeep.few_shot._classifier import FewShotClassifier
from skdeep.few_shot._compare import compare_few_shot
from skdeep.few_shot._learner import SemiSupervisedMetaLearner
from skdeep.few_shot._many import adapt

__all__ = [
    "FewShotClassifier",
    "SemiSupervisedMetaLearner",
    "adapt",
    "compare_few_shot",
]
