"""Learning-rate schedules as tables: one multiplier per step, the same for every engine."""

from __future__ import annotations

import math

from bnbench.spec import Constant, Cosine, OneCycle, Schedule, Step


def multipliers(schedule: Schedule, steps: int) -> list[float]:
    """The factor on the learning rate at each of ``steps`` steps.

    A warm-up of W steps rises linearly: step t of W (from 0) has the factor (t + 1) / (W + 1) on top of the schedule.
    """
    match schedule:
        case Constant():
            factors = [1.0] * steps
        case Cosine(final=final):
            factors = [final + (1 - final) * 0.5 * (1 + math.cos(math.pi * step / steps)) for step in range(steps)]
        case Step(milestones=milestones, gamma=gamma):
            factors = [gamma ** sum(step >= share * steps for share in milestones) for step in range(steps)]
        case OneCycle(start=start, peak=peak, final=final):
            return [_one_cycle(step / steps, start, peak, final) for step in range(steps)]
    warmup = round(schedule.warmup * steps)
    return [factor * min(1.0, (step + 1) / (warmup + 1)) for step, factor in enumerate(factors)]


def _one_cycle(share: float, start: float, peak: float, final: float) -> float:
    if share < peak:
        return start + (1 - start) * share / peak
    return 1 + (final - 1) * (share - peak) / (1 - peak)
