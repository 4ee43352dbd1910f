"""Engines: a spec, a network and data in, a stream of records out. They never write, print or read files."""

from bnbench.engines.interleaved import train_interleaved
from bnbench.engines.reference import train
from bnbench.engines.stacked import StackOptions, train_stack

__all__ = ["StackOptions", "train", "train_interleaved", "train_stack"]
