"""The quickest number of lanes, measured in a few steps where sizes alone do not tell."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import replace

from bnbench.error_origin import is_bug
from bnbench.plan.case import Case
from bnbench.plan.measurement import measure_steps
from bnbench.training import prepare_process

STEPS = 3
"""Steps that are measured, after as many that warm up."""
MIN_SECONDS_TO_MEASURE = 30.0
"""Seconds of training, run by run, from which measuring pays."""
MIN_LANE_STEPS = 20 * STEPS
"""Lane-steps from which even a run alone is measured: that takes a tenth of so many."""
EVALUATED = 8
"""Examples of an evaluation, which is not what is measured."""


def seconds_per_lane(case: Case, lanes: int, native: bool = False) -> float:
    """Seconds of a training step for one of so many runs that are trained together on one CPU core.

    Infinite for what cannot be measured: a run that raises or diverges at once will do so again, in its own worker.
    """
    prepare_process()
    spec, data = case.spec, case.data
    few = data.validation[:EVALUATED]
    small = replace(data, validation=few, test=few)
    running = replace(spec, evaluate=replace(spec.evaluate, statistics="running"))
    specs = [replace(running, seed=seed) for seed in range(lanes)]
    engine = "reference" if lanes == 1 else "native" if native else "stacked"
    try:
        networks = [case.build(seed) for seed in range(lanes)]
        seconds = measure_steps(specs, networks, small, engine, STEPS)
    except (Exception, SystemExit) as error:
        if is_bug(error, case.spec.plugin is not None):
            raise
        return math.inf
    return math.inf if seconds is None else seconds[1] / STEPS / lanes


def quickest(case: Case, candidates: Sequence[int], worth: float) -> int:
    """The quickest of some numbers of lanes; the first without measuring if all there is to do is worth less.

    Args:
        candidates: the likeliest first.
        worth: lane-steps that there are to train on a core.
    """
    if worth < MIN_LANE_STEPS:
        return candidates[0]
    alone = seconds_per_lane(case, 1)
    if alone * worth < MIN_SECONDS_TO_MEASURE or math.isinf(alone):
        return candidates[0]
    measured = {1: alone}
    for lanes in candidates:
        if lanes not in measured:
            measured[lanes] = seconds_per_lane(case, lanes)
    return min(measured, key=measured.__getitem__)
