"""By which engine runs are trained, and how many at a time: found by proofs and, where need be, by timing."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from contextlib import nullcontext

import torch

from bnbench.components import Components
from bnbench.data import Data
from bnbench.global_state import preserved_global_state
from bnbench.native import only_loaded
from bnbench.notices import step
from bnbench.plan.case import Case
from bnbench.plan.execution import ALONE, NOT_READY, Division, Execution
from bnbench.plan.lanes import quick_lanes
from bnbench.plan.proofs import folds, unfoldable, why_not_native
from bnbench.plan.resources import Resources
from bnbench.plan.size import likely_seconds
from bnbench.spec import RunSpec, arm, by_stack_key, kind_key

WORTH_PROVING = 5.0
"""Seconds that torch takes for a run alone from which it pays to prove that compiled code may train it."""


@preserved_global_state()
def division(
    specs: Mapping[str, RunSpec],
    components: Components,
    data: Callable[[RunSpec], Data],
    resources: Resources,
) -> Division:
    """Find how runs are trained; a network is stacked, and compiled, only if it is proved to be right.

    Args:
        specs: by run_id.
    """
    with nullcontext() if resources.compiles else only_loaded():
        return _division(specs, components, data, resources)


def _division(
    specs: Mapping[str, RunSpec],
    components: Components,
    data: Callable[[RunSpec], Data],
    resources: Resources,
) -> Division:
    kinds: dict[tuple[object, ...], tuple[Execution, float]] = {}
    executions: dict[str, Execution] = {}
    sizes: dict[str, float] = {}
    groups = by_stack_key(specs)
    for number, (key, members) in enumerate(groups.items(), 1):
        spec, most = specs[members[0]], resources.known.get(key)
        kind = (kind_key(spec), len(members) > 1, most)
        if kind not in kinds:
            step(f"proving {arm(spec)} batch_size={spec.batch_size} ({number} of {len(groups)} kinds)")
            case = Case(spec, components, data(spec), torch.device(resources.device.name))
            kinds[kind] = _execution(case, resources, len(members), most), likely_seconds(case)
        executions[key], sizes[key] = kinds[kind]
    return Division(executions, sizes)


def _execution(case: Case, resources: Resources, runs: int, known: int | None) -> Execution:
    """The way in which runs of a kind are trained.

    Args:
        runs: of one stack key.
        known: how many are trained together at most, as it was found before.
    """
    lanes = known or resources.lanes
    has_companions = runs > 1 or known is not None
    if lanes == 1 or not (has_companions or (lanes is None and likely_seconds(case) >= WORTH_PROVING)):
        return ALONE
    slow = why_not_native(case)
    native = slow is None and folds(case)
    if not (has_companions or native):
        return Execution(reasons=(slow,)) if slow == NOT_READY else ALONE
    lanes = lanes or quick_lanes(case, -(-runs // resources.workers), resources.workers, native)
    looked_at = lanes > 1 or case.spec.plugin is not None
    if looked_at and (reason := unfoldable(case)) is not None:
        return Execution(reasons=(reason,))
    if lanes == 1:
        return Execution(reasons=(slow,)) if slow == NOT_READY else ALONE
    if native:
        return Execution("native", lanes)
    why = slow if slow == NOT_READY else f"not compiled: {slow}"
    return Execution("stacked", lanes, (why,) if case.device.type == "cpu" else ())
