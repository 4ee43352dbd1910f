"""How many runs are trained as one network."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from types import MappingProxyType
from typing import Any

import torch

from bnbench.components import Components
from bnbench.data import Data, order_of
from bnbench.global_state import preserved_global_state
from bnbench.notices import step
from bnbench.plan.calibration import CPU, quickest, seconds_per_lane
from bnbench.plan.grouping import Division, groups
from bnbench.plan.proofs import folds, trains_natively, unfoldable
from bnbench.plan.size import lane_bytes, seconds_alone
from bnbench.spec import RunSpec, arm
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
    grouped = groups(specs)
    for number, (key, members) in enumerate(grouped.items(), 1):
        if key in limits:
            continue
        spec = specs[members[0]]
        said = f"proving {arm(spec)} batch_size={spec.batch_size} ({number} of {len(grouped)} kinds)"
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


def division(
    specs: Mapping[str, RunSpec], components: Components, data: Callable[[RunSpec], Data], **named: Any
) -> Division:
    """What :func:`lane_limits` returns, the reasons that it finds, and the size of a run."""
    reasons: dict[str, str] = {}
    limits = lane_limits(specs, components, data, reasons=reasons, **named)
    found: dict[tuple[object, ...], float] = {}
    sizes: dict[str, float] = {}
    for key, members in groups(specs).items():
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
