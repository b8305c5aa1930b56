"""New classes for a trained classifier or tagger, from new data alone."""

from skdeep.transfer._compare import compare_extensions
from skdeep.transfer._extender import AdapterExtender
from skdeep.transfer._tagger import SequenceTagger

__all__ = ["AdapterExtender", "SequenceTagger", "compare_extensions"]
