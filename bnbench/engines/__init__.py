"""Engines: a spec, a network and data in, a stream of records out. They never write, print or read files."""

from bnbench.engines.interleaved import train_abreast
from bnbench.engines.reference import total_steps, train
from bnbench.engines.stacked import train_stack

__all__ = ["total_steps", "train", "train_abreast", "train_stack"]
