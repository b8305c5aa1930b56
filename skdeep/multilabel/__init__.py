"""Multi-label classification by recurrent chains.

A row carries a set of labels that depend on each other; the chain finds the easy ones
first, for each row in an order of its own.
"""

from skdeep.multilabel._chain import DynamicChainClassifier
from skdeep.multilabel._compare import compare_orders

__all__ = ["DynamicChainClassifier", "compare_orders"]
