"""Speed-ups: a baseline's steps to the target over an arm's."""

from __future__ import annotations

import math
from typing import Literal, TypeAlias

import numpy as np
from numpy.typing import ArrayLike

from bnbench.stats.values import Values, present

RatioKind: TypeAlias = Literal["ratio", "above", "never", "neither", "unknown"]
Bounds: TypeAlias = tuple[Values, Values]


def ratio_of_medians(arm: float, baseline: float, baseline_spent: float) -> tuple[RatioKind, float]:
    """Median steps of the baseline over median steps of the arm, when either may never reach the target.

    Args:
        arm: median steps, misses at infinity.
        baseline: the same of the baseline.
        baseline_spent: the baseline's median with each miss at the steps it spent: a lower bound of its steps.

    Returns:
        how to read it (``ratio``; ``above``: the baseline never reaches the target, so its steps spent give a lower
        bound; ``never``: only the arm never does; ``neither``; ``unknown``: no steps to divide by) and the number.
    """
    if math.isinf(arm):
        return ("neither", math.nan) if math.isinf(baseline) else ("never", 0.0)
    bound = baseline_spent if math.isinf(baseline) else baseline
    if arm == 0 or not math.isfinite(bound):
        return "unknown", math.nan
    return ("above" if math.isinf(baseline) else "ratio"), bound / arm


def speed_up_bounds(arm: ArrayLike, baseline: ArrayLike, arm_spent: ArrayLike, baseline_spent: ArrayLike) -> Bounds:
    """Bounds of the logarithm of baseline steps over arm steps, per replicate.

    A run that misses its target takes at least the steps that it spent, and at most infinitely many. So a replicate
    whose baseline alone misses is bounded from below, one whose arm alone misses from above, and one that both miss
    could have any ratio. Nothing is taken to be infinite that is not known to be, so the bounds hold the ratio that
    longer runs would show, however many miss.

    Args:
        arm: steps to the target per replicate ``[S]``, above zero; a miss is infinite.
        baseline: the same replicates of the baseline ``[S]``.
        arm_spent: steps that the runs spent in all ``[S]``, or a number for all.
        baseline_spent: the same of the baseline.

    Returns:
        lower and upper bounds ``[S]``, equal where both reach the target.

    Raises:
        ValueError: steps that are NaN or not above zero, or shapes that differ.
    """
    arm_S, baseline_S = present(arm), present(baseline)
    if arm_S.shape != baseline_S.shape or min(arm_S.min(), baseline_S.min()) <= 0:
        raise ValueError("arm and baseline must have steps above zero for the same replicates")
    least_arm_S = np.where(np.isinf(arm_S), arm_spent, arm_S)
    least_baseline_S = np.where(np.isinf(baseline_S), baseline_spent, baseline_S)
    low_S = np.where(np.isinf(arm_S), -math.inf, np.log(least_baseline_S) - np.log(arm_S))
    high_S = np.where(np.isinf(baseline_S), math.inf, np.log(baseline_S) - np.log(least_arm_S))
    return low_S, high_S
