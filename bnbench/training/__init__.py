"""The parts that all engines share: records, schedules, random streams, clock, device, evaluation."""

from bnbench.training.clock import now
from bnbench.training.device import (
    brief,
    current,
    device_failure,
    free_unused,
    gpus,
    memory_of,
    prepare_process,
    release_memory,
    resolve_device,
)
from bnbench.training.records import Evaluation, Halt, JointProbe, Keep, Outcome, Probe, Reading, Record

__all__ = [
    "Evaluation",
    "Halt",
    "JointProbe",
    "Keep",
    "Outcome",
    "Probe",
    "Reading",
    "Record",
    "brief",
    "current",
    "device_failure",
    "free_unused",
    "gpus",
    "memory_of",
    "now",
    "prepare_process",
    "release_memory",
    "resolve_device",
]
