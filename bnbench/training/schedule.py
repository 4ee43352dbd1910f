"""Learning-rate schedules as a multiplier per step, the same for every engine."""

from __future__ import annotations

import math

from bnbench.spec import Constant, Cosine, OneCycle, Schedule, Step


def multiplier(schedule: Schedule, step: int, steps: int) -> float:
    """The factor on the learning rate at ``step`` (from 0) of ``steps``.

    A warm-up of W steps rises linearly: step t of W (from 0) has the factor (t + 1) / (W + 1) on top of the schedule.
    """
    match schedule:
        case Constant():
            factor = 1.0
        case Cosine(final=final):
            factor = final + (1 - final) * 0.5 * (1 + math.cos(math.pi * step / steps))
        case Step(milestones=milestones, gamma=gamma):
            factor = gamma ** sum(step >= round(share * steps, 6) for share in milestones)  # 0.55 of 100 is 55
        case OneCycle(start=start, peak=peak, final=final):
            return _one_cycle(step / steps, start, peak, final)
    warmup = round(schedule.warmup * steps)
    return factor * min(1.0, (step + 1) / (warmup + 1))


def _one_cycle(share: float, start: float, peak: float, final: float) -> float:
    if share < peak:
        return start + (1 - start) * share / peak
    return 1 + (final - 1) * (share - peak) / (1 - peak)
