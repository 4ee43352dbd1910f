"""How many lanes train quickest, measured in a few steps where sizes alone do not tell."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import replace

import torch

from bnbench.components import Components
from bnbench.data import Data, Examples
from bnbench.plan.measurement import measure_steps
from bnbench.spec import RunSpec
from bnbench.training import prepare_process

STEPS = 3
"""Steps that are measured, after as many that warm up."""
PAYS = 30.0
"""Seconds of training, run by run, from which measuring pays."""
FEWEST = 20 * STEPS
"""Lane-steps from which even a run alone is measured: that takes a tenth of so many."""
FEW = 8
"""Examples of an evaluation, which is not what is measured."""
CPU = torch.device("cpu")


def seconds_per_lane(spec: RunSpec, components: Components, data: Data, lanes: int, native: bool = False) -> float:
    """Seconds of a training step for one of so many runs that are trained together on one CPU core.

    Infinite for what cannot be measured: a run that raises or diverges at once will do so again, in its own worker.
    """
    prepare_process()
    few = Examples(data.validation.x[:FEW], data.validation.y[:FEW])
    small = replace(data, validation=few, test=few)
    running = replace(spec, evaluate=replace(spec.evaluate, statistics="running"))
    specs = [replace(running, seed=seed) for seed in range(lanes)]
    try:
        networks = [components.build(lane, data) for lane in specs]
        seconds = measure_steps(specs, networks, small, native, STEPS)
    except (Exception, SystemExit):
        return math.inf
    return math.inf if seconds is None else seconds[1] / STEPS / lanes


def quickest(spec: RunSpec, components: Components, data: Data, candidates: Sequence[int], worth: float) -> int:
    """The quickest of some numbers of lanes; the first without measuring if all there is to do is worth less.

    Args:
        candidates: the likeliest first.
        worth: lane-steps that there are to train on a core.
    """
    if worth < FEWEST:
        return candidates[0]
    alone = seconds_per_lane(spec, components, data, 1)
    if alone * worth < PAYS or math.isinf(alone):
        return candidates[0]
    measured = {1: alone}
    for lanes in candidates:
        if lanes not in measured:
            measured[lanes] = seconds_per_lane(spec, components, data, lanes)
    return min(measured, key=measured.__getitem__)
