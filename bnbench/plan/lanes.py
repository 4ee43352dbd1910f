"""The number of runs that are quickest as one network."""

from __future__ import annotations

import torch

from bnbench.error_origin import is_bug
from bnbench.plan.calibration import quickest, seconds_per_lane
from bnbench.plan.case import Case
from bnbench.plan.proofs import folds
from bnbench.plan.size import lane_bytes, step_alone
from bnbench.training import gpus, memory_of
from bnbench.training.evaluation import LANE_BATCH

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

CLEARLY = 4.0
"""Times by which compiled code must be quicker than torch is thought to be, so that torch is not measured beside it: it
was never found three times as quick as thought."""


def quick_lanes(case: Case, runs: int, workers: int, native: bool, measures: bool = True) -> int:
    """A number of lanes that is quick for a case; a few steps are measured where that may be worth it.

    Args:
        runs: of this kind, for each worker.
        workers: that share the GPUs.
        native: whether compiled code trains them.
        measures: else sizes alone tell how many lanes torch takes.
    """
    try:
        per_lane = lane_bytes(case)
    except (Exception, SystemExit) as error:
        if is_bug(error, case.spec.plugin is not None):
            raise
        return 1  # a component that fails will fail its own run
    if native:
        return _quick_natively(case, per_lane, runs)
    if case.device.type == "cuda":
        return _most_of_gpu(per_lane, runs, case.device, workers)
    fitting = _fitting(per_lane)
    tried = min(MEASURED_LANES, runs, MEMORY // per_lane)
    if fitting >= tried or not measures or not folds(case):
        return fitting
    worth = runs * case.timeline.total
    return quickest(case, [fitting, tried], worth)


def _quick_natively(case: Case, per_lane: int, runs: int) -> int:
    """All lanes that memory holds, unless a run alone is quicker: compiled code takes them one after another.

    Memory holds weights four times, and what an evaluation puts out. Compiled code is quicker but for wide layers; with
    its gradients, weights and velocities, a small lane stays in a core's caches, and nothing needs to be measured.
    """
    weights = 4 * sum(parameter.numel() for parameter in case.build().parameters())
    most = max(2, min(MOST_LANES, runs, MEMORY // (4 * weights + LANE_BATCH * per_lane // case.spec.batch_size)))
    worth = runs * case.timeline.total
    if 4 * per_lane + 2 * weights <= WORKING_SET or worth < WORTH_MEASURING:
        return most
    together = seconds_per_lane(case, 2, native=True)
    if together * CLEARLY < step_alone(case):
        return most
    return most if together < seconds_per_lane(case, 1, native=False) else 1


def _fitting(per_lane: int) -> int:
    """The number of lanes that fill the caches of a core."""
    return max(1, min(MOST_LANES, WORKING_SET // per_lane))


def _most_of_gpu(per_lane: int, runs: int, device: torch.device, workers: int) -> int:
    """As many lanes as a GPU has memory for: each of them makes a step of the others cheaper, or no dearer.

    The fullest GPU decides; the workers that share one have each a part of its memory.
    """
    used = gpus(device)[:workers]
    sharing = -(-workers // len(used))
    room = min(memory_of(gpu)[0] for gpu in used) // sharing
    return max(1, min(MOST_LANES_OF_GPU, runs, int(MEMORY_SHARE * room) // per_lane))
