"""Engines: a spec, a network and data in, a stream of records out. They never write, print or read files."""

from bnbench.engine.clock import now
from bnbench.engine.device import prepare_process, resolve_device
from bnbench.engine.records import Evaluation, Outcome, Record
from bnbench.engine.reference import total_steps, train

__all__ = ["Evaluation", "Outcome", "Record", "now", "prepare_process", "resolve_device", "total_steps", "train"]
