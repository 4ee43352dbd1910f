"""Which runs are trained as one network, and how many of them."""

from __future__ import annotations

import heapq
import itertools
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from types import MappingProxyType
from typing import Any

import torch

from bnbench.components import Components
from bnbench.data import Data, order_of
from bnbench.global_state import preserved_global_state
from bnbench.notices import step
from bnbench.plan.calibration import CPU, quickest, seconds_per_lane
from bnbench.plan.proofs import folds, trains_natively, unfoldable
from bnbench.plan.size import lane_bytes, seconds_alone
from bnbench.spec import RunSpec, arm, stack_key
from bnbench.training import gpus, memory_of
from bnbench.training.evaluation import LANE_BATCH
from bnbench.training.timeline import timeline_of

WORKING_SET = 8 * 2**20
"""Bytes of activations that a stack may have on the CPU: more lanes than fit into a core's caches gain nothing."""
MEMORY = 2**28
"""Bytes of activations that a stack may have at all."""
MEMORY_SHARE = 0.25
"""Share of a GPU's free memory for the outputs of a stack's layers; gradients and all else need about as much."""
MOST_LANES = 64
MOST_LANES_OF_GPU = 256
MEASURED_LANES = 8
"""So many lanes are tried where fewer would fill the caches: a deep network may gain more than they cost."""
WORTH_MEASURING = 500
"""Lane-steps from which it pays to measure the 18 that tell whether compiled code is quicker."""
WORTH_PROVING = 5.0
"""Seconds that torch takes for a run alone from which it pays to prove that compiled code may train it."""
STEP_OVERHEAD = 6
"""What a step costs whatever its lanes, in lanes."""

Stack = tuple[str, ...]
"""The run_ids of a stack; a run stacked with itself is there twice."""


@preserved_global_state()
def lane_limits(
    specs: Mapping[str, RunSpec],
    components: Components,
    data: Callable[[RunSpec], Data],
    workers: int,
    lanes: int | None = None,
    device: torch.device = CPU,
    known: Mapping[str, int] = MappingProxyType({}),
    reasons: dict[str, str] | None = None,
) -> dict[str, int]:
    """How many runs of a stack key are trained together at most; 1 if their network is not proved to fold.

    The limit of a run without companions is 1 as well, or 2 if it is trained as if it had some.

    Args:
        specs: by run_id.
        workers: how many train at a time; on GPUs they share their memory.
        lanes: runs per stack; None lets the size of a network's activations decide, or a few measured steps.
        device: where they will be trained.
        known: limits that were found before.
        reasons: takes, by stack key, why runs are trained one by one although they have companions.

    Returns:
        The limits by stack key; a key that a single run has is left out unless its limit is known or was looked for.
    """

    def quick(spec: RunSpec, loaded: Data, runs: int) -> int:
        return _quick(spec, components, loaded, runs, device, workers)

    limits = dict(known)
    found: dict[tuple[object, ...], int] = {}
    alone: dict[tuple[object, ...], str] = {}
    groups = _groups(specs)
    for number, (key, members) in enumerate(groups.items(), 1):
        if key in limits:
            continue
        spec = specs[members[0]]
        said = f"proving {arm(spec)} batch_size={spec.batch_size} ({number} of {len(groups)} kinds)"
        if len(members) == 1:
            step(said)
            if lanes is None and _gains_alone(spec, components, data(spec), device):
                limits[key] = quick(spec, data(spec), 1)
            continue
        kind = (
            *(spec.norm, spec.model, spec.train, spec.dataset, spec.split, spec.batch_size, spec.precision),
            *(type(spec.optim), spec.grad_clip is None, spec.epochs, spec.steps, spec.freeze_statistics),
        )
        if kind not in found:
            step(said)
            loaded = data(spec)
            found[kind] = lanes or quick(spec, loaded, -(-len(members) // workers))
            looked_at = lanes != 1 and (found[kind] > 1 or spec.plugin is not None)
            reason = unfoldable(spec, components, loaded) if looked_at else None
            if reason is not None:
                found[kind], alone[kind] = 1, reason
        limits[key] = found[kind]
        if kind in alone and reasons is not None:
            reasons[key] = alone[kind]
    return limits


@dataclass(frozen=True)
class Division:
    """What tells how runs are divided into stacks, and how large these are.

    Attributes:
        limits: by stack key, how many runs are trained together at most.
        reasons: by stack key, why runs are trained one by one although they have companions, if that was found now.
        sizes: by stack key, seconds that torch takes for a run alone, roughly.
    """

    limits: dict[str, int]
    reasons: dict[str, str]
    sizes: dict[str, float]


def division(
    specs: Mapping[str, RunSpec], components: Components, data: Callable[[RunSpec], Data], **named: Any
) -> Division:
    """What :func:`lane_limits` returns, the reasons that it finds, and the size of a run."""
    reasons: dict[str, str] = {}
    limits = lane_limits(specs, components, data, reasons=reasons, **named)
    found: dict[tuple[object, ...], float] = {}
    sizes: dict[str, float] = {}
    for key, members in _groups(specs).items():
        spec = specs[members[0]]
        kind = spec.norm, spec.model, spec.dataset, spec.split, spec.batch_size, spec.epochs, spec.steps
        if kind not in found:
            found[kind] = _size(spec, components, data)
        sizes[key] = found[kind]
    return Division(limits, reasons, sizes)


def _size(spec: RunSpec, components: Components, data: Callable[[RunSpec], Data]) -> float:
    try:
        return seconds_alone(spec, components, data(spec))
    except (Exception, SystemExit):  # a component that fails will fail its own run
        return 0.0


def stacks(specs: Mapping[str, RunSpec], limits: Mapping[str, int], workers: int, spread: bool = True) -> list[Stack]:
    """Group runs into stacks, the longest to train first.

    A single run that is left of a group is stacked with itself: its numbers are then those of any stack, however the
    runs were divided.

    Args:
        specs: by run_id.
        limits: runs of a stack at most, by stack key, as :func:`lane_limits` finds them.
        workers: how many train at a time.
        spread: whether stacks are made smaller to give all workers something to do.
    """
    planned: list[Stack] = []
    for key, members in _groups(specs).items():
        planned += _parts(members, -(-len(members) // limits.get(key, 1)))
    if spread:
        planned = _spread(planned, lambda stack: _cost(specs[stack[0]], len(stack)), workers)
    ordered = sorted(planned, key=lambda stack: -_cost(specs[stack[0]], len(stack)))
    return [
        stack * 2 if len(stack) == 1 and limits.get(stack_key(specs[stack[0]]), 1) > 1 else stack for stack in ordered
    ]


def _groups(specs: Mapping[str, RunSpec]) -> dict[str, list[str]]:
    """The run_ids of each stack key."""
    groups: dict[str, list[str]] = {}
    for identity, spec in specs.items():
        groups.setdefault(stack_key(spec), []).append(identity)
    return groups


def _parts(members: Sequence[str], count: int) -> list[Stack]:
    """``count`` parts of nearly equal size."""
    edges = [round(part * len(members) / count) for part in range(count + 1)]
    return [tuple(members[start:end]) for start, end in itertools.pairwise(edges)]


def _spread(planned: list[Stack], cost: Callable[[Stack], float], workers: int) -> list[Stack]:
    """Split the largest stacks as far as that lets the workers end sooner."""
    best = current = planned
    for _ in range(4 * workers):
        largest = max(current, key=cost, default=())
        if len(largest) <= 1:
            break
        current = [*(stack for stack in current if stack is not largest), *_parts(largest, 2)]
        if _makespan(current, cost, workers) < 0.98 * _makespan(best, cost, workers):
            best = current
    return best


def _makespan(planned: Sequence[Stack], cost: Callable[[Stack], float], workers: int) -> float:
    """When the last worker ends if each takes the longest stack that is left."""
    ends = [0.0] * workers
    for value in sorted(map(cost, planned), reverse=True):
        heapq.heapreplace(ends, ends[0] + value)
    return max(ends)


def _cost(spec: RunSpec, lanes: int) -> float:
    """Time of a stack, up to a factor that the stacks of a sweep share."""
    steps = spec.steps if spec.steps is not None else (spec.epochs or 1) * 1e6 / spec.batch_size
    return steps * (STEP_OVERHEAD + lanes)


def _gains_alone(spec: RunSpec, components: Components, data: Data, device: torch.device) -> bool:
    """Whether compiled code may train a run without companions, and that may be worth the proof."""
    try:
        if seconds_alone(spec, components, data) < WORTH_PROVING:
            return False
    except (Exception, SystemExit):  # a component that fails will fail its own run
        return False
    return trains_natively(spec, components, data, device) and folds(spec, components, data)


def _quick(spec: RunSpec, components: Components, data: Data, runs: int, device: torch.device, workers: int) -> int:
    """How many lanes are quick for a spec; a few steps are measured where that may be worth it.

    Args:
        runs: of this kind, for each worker.
    """
    try:
        per_lane = lane_bytes(spec, components, data)
    except (Exception, SystemExit):  # a component that fails will fail its own run
        return 1
    if trains_natively(spec, components, data, device) and folds(spec, components, data):
        return _quick_natively(spec, components, data, per_lane, runs)
    if device.type == "cuda":
        return _most_of_gpu(per_lane, runs, device, workers)
    fitting = _fitting(per_lane)
    tried = min(MEASURED_LANES, runs, MEMORY // per_lane)
    if fitting >= tried or not folds(spec, components, data):
        return fitting
    worth = runs * timeline_of(spec, order_of(spec, data.train)).total
    return quickest(spec, components, data, [fitting, tried], worth)


def _quick_natively(spec: RunSpec, components: Components, data: Data, per_lane: int, runs: int) -> int:
    """All lanes that memory holds, unless a run alone is quicker: compiled code takes them one after another.

    Memory holds weights four times, and what an evaluation puts out. Compiled code is quicker but for wide layers; with
    its gradients, weights and velocities, a small lane stays in a core's caches, and nothing needs to be measured.
    """
    weights = 4 * sum(parameter.numel() for parameter in components.build(spec, data).parameters())
    most = max(2, min(MOST_LANES, runs, MEMORY // (4 * weights + LANE_BATCH * per_lane // spec.batch_size)))
    worth = runs * timeline_of(spec, order_of(spec, data.train)).total
    if 4 * per_lane + 2 * weights <= WORKING_SET or worth < WORTH_MEASURING:
        return most
    alone, together = (seconds_per_lane(spec, components, data, lanes, native=lanes > 1) for lanes in (1, 2))
    return most if together < alone else 1


def _fitting(per_lane: int) -> int:
    """How many lanes fill the caches of a core."""
    return max(1, min(MOST_LANES, WORKING_SET // per_lane))


def _most_of_gpu(per_lane: int, runs: int, device: torch.device, workers: int) -> int:
    """As many lanes as a GPU has memory for: each of them makes a step of the others cheaper, or no dearer.

    The fullest GPU decides; the workers that share one have each a part of its memory.
    """
    used = gpus(device)[:workers]
    sharing = -(-workers // len(used))
    room = min(memory_of(gpu)[0] for gpu in used) // sharing
    return max(1, min(MOST_LANES_OF_GPU, runs, int(MEMORY_SHARE * room) // per_lane))
