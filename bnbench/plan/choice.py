"""By which engine runs are trained, and how many at a time: found by proofs and, where need be, by timing."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass

import torch

from bnbench.components import Components
from bnbench.data import Data
from bnbench.global_state import preserved_global_state
from bnbench.notices import step
from bnbench.plan.calibration import CPU
from bnbench.plan.execution import ALONE, Division, Execution
from bnbench.plan.lanes import quick_lanes
from bnbench.plan.proofs import folds, unfoldable, why_not_native
from bnbench.plan.size import seconds_alone
from bnbench.spec import RunSpec, arm, by_stack_key, kind_key

WORTH_PROVING = 5.0
"""Seconds that torch takes for a run alone from which it pays to prove that compiled code may train it."""


@dataclass(frozen=True)
class Means:
    """What runs are trained with.

    Attributes:
        workers: how many train at a time; on GPUs they share their memory.
        lanes: runs per stack; None lets the size of a network's activations decide, or a few measured steps.
        device: where they will be trained.
    """

    workers: int = 1
    lanes: int | None = None
    device: torch.device = CPU


@preserved_global_state()
def division(
    specs: Mapping[str, RunSpec],
    components: Components,
    data: Callable[[RunSpec], Data],
    means: Means,
    known: Mapping[str, int] | None = None,
) -> Division:
    """Find how runs are trained; a network is stacked, and compiled, only if it is proved to be right.

    Args:
        specs: by run_id.
        known: by stack key, how many runs are trained together at most, as it was found before.
    """
    kinds: dict[tuple[object, ...], Execution] = {}
    amounts: dict[tuple[object, ...], float] = {}
    executions: dict[str, Execution] = {}
    sizes: dict[str, float] = {}
    groups = by_stack_key(specs)
    for number, (key, members) in enumerate(groups.items(), 1):
        spec = specs[members[0]]
        kind = (kind_key(spec), len(members) > 1, (known or {}).get(key))
        if kind not in kinds:
            step(f"proving {arm(spec)} batch_size={spec.batch_size} ({number} of {len(groups)} kinds)")
            amounts[kind] = _size(spec, components, data)
            runs = -(-len(members) // means.workers)
            kinds[kind] = _execution(spec, components, data, means, runs, len(members) > 1, (known or {}).get(key))
        executions[key], sizes[key] = kinds[kind], amounts[kind]
    return Division(executions, sizes)


def _execution(
    spec: RunSpec,
    components: Components,
    data: Callable[[RunSpec], Data],
    means: Means,
    runs: int,
    has_companions: bool,
    known: int | None,
) -> Execution:
    """How runs of a kind are trained.

    Args:
        runs: of the kind, for each worker.
        has_companions: whether there are others with its stack key.
        known: how many are trained together at most, as it was found before.
    """
    lanes = known or means.lanes
    if lanes == 1 or not (has_companions or known or (lanes is None and _is_long(spec, components, data))):
        return ALONE
    loaded = data(spec)
    slow = why_not_native(spec, components, loaded, means.device)
    native = slow is None and folds(spec, components, loaded)
    if not (has_companions or known or native):
        return ALONE
    lanes = lanes or quick_lanes(spec, components, loaded, runs, means.device, means.workers, native)
    looked_at = lanes > 1 or spec.plugin is not None
    if looked_at and (reason := unfoldable(spec, components, loaded)) is not None:
        return Execution(reasons=(reason,))
    if lanes == 1:
        return ALONE
    if native:
        return Execution("native", lanes)
    return Execution("stacked", lanes, (f"not compiled: {slow}",) if means.device.type == "cpu" else ())


def _is_long(spec: RunSpec, components: Components, data: Callable[[RunSpec], Data]) -> bool:
    """Whether a run alone takes so long that proofs pay."""
    return _size(spec, components, data) >= WORTH_PROVING


def _size(spec: RunSpec, components: Components, data: Callable[[RunSpec], Data]) -> float:
    try:
        return seconds_alone(spec, components, data(spec))
    except (Exception, SystemExit):  # a component that fails will fail its own run
        return 0.0
