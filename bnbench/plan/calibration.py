"""How many lanes train quickest, measured in a few steps where sizes alone do not tell."""

from __future__ import annotations

import itertools
import math
from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import torch

from bnbench.components import Components
from bnbench.data import Data, Examples
from bnbench.engines import train, train_stack
from bnbench.spec import RunSpec
from bnbench.training import now, prepare_process

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
    every = replace(spec.evaluate, every=STEPS, unit="steps", statistics="running")
    short = replace(spec, steps=3 * STEPS, epochs=None, evaluate=every, divergence_factor=1e30, lr=1e-6)
    specs = [replace(short, seed=seed) for seed in range(lanes)]
    try:
        networks = [components.build(lane, data) for lane in specs]
        records: Any = (
            train_stack(specs, networks, small, native=native) if lanes > 1 else train(short, networks[0], small)
        )
        pauses = [now(CPU) for _ in itertools.islice(records, 2)]
    except (Exception, SystemExit):
        return math.inf
    return (pauses[1] - pauses[0]) / STEPS / lanes if len(pauses) == 2 else math.inf


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
