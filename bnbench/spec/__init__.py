"""RunSpec and its identity. Standard library only.

A spec is made of frozen values, so equal specs are equal objects, and its identity (:func:`run_id`) is a hash of its
content.
"""

from bnbench.spec.checks import MOST_STEPS, check
from bnbench.spec.identity import by_stack_key, common_split, kind_key, run_id, split_of_stack, stack_key, stream
from bnbench.spec.optim import OPTIMS, Adam, AdamW, Optim, Sgd
from bnbench.spec.run import (
    PROBE_NAMES,
    Batches,
    Choice,
    Domain,
    Evaluate,
    ProbeName,
    RunSpec,
    Split,
    Train,
    Value,
    effective_lr,
)
from bnbench.spec.schedule import SCHEDULES, Constant, Cosine, OneCycle, Schedule, Step
from bnbench.spec.tree import LATER, arm, as_tree, flatten, kind_name

__all__ = [
    "LATER",
    "MOST_STEPS",
    "OPTIMS",
    "PROBE_NAMES",
    "SCHEDULES",
    "Adam",
    "AdamW",
    "Batches",
    "Choice",
    "Constant",
    "Cosine",
    "Domain",
    "Evaluate",
    "OneCycle",
    "Optim",
    "ProbeName",
    "RunSpec",
    "Schedule",
    "Sgd",
    "Split",
    "Step",
    "Train",
    "Value",
    "arm",
    "as_tree",
    "by_stack_key",
    "check",
    "common_split",
    "effective_lr",
    "flatten",
    "kind_key",
    "kind_name",
    "run_id",
    "split_of_stack",
    "stack_key",
    "stream",
]
