"""Engines: a spec, a network and data in, a stream of records out. They never write, print or read files."""

from bnbench.engine.abreast import train_abreast
from bnbench.engine.clock import now
from bnbench.engine.device import (
    brief,
    current,
    gpus,
    loss_of,
    memory_of,
    prepare_process,
    release_memory,
    resolve_device,
)
from bnbench.engine.folding import prove
from bnbench.engine.native import Mismatch, compiler, library, prove_native
from bnbench.engine.records import Evaluation, Halt, JointProbe, Outcome, Probe, Reading, Record
from bnbench.engine.reference import total_steps, train
from bnbench.engine.stacked import train_stack

__all__ = [
    "Evaluation",
    "Halt",
    "JointProbe",
    "Mismatch",
    "Outcome",
    "Probe",
    "Reading",
    "Record",
    "brief",
    "compiler",
    "current",
    "gpus",
    "library",
    "loss_of",
    "memory_of",
    "now",
    "prepare_process",
    "prove",
    "prove_native",
    "release_memory",
    "resolve_device",
    "total_steps",
    "train",
    "train_abreast",
    "train_stack",
]
