"""Speed-ups: a baseline's steps to the target over an arm's."""

from __future__ import annotations

import math
from typing import Literal, TypeAlias

import numpy as np
from numpy.typing import ArrayLike

from bnbench.stats.interval import CONFIDENCE, Estimate, Interval
from bnbench.stats.median import median_interval, median_with_misses
from bnbench.stats.values import present

RatioKind: TypeAlias = Literal["ratio", "above", "never", "neither", "unknown"]


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


def paired_speed_up(arm: ArrayLike, baseline: ArrayLike, confidence: float = CONFIDENCE) -> Estimate:
    """Median over seeds of baseline steps / arm steps, with its order-statistic interval.

    A seed whose arm alone misses has ratio 0, one whose baseline alone misses an infinite one. If both miss, the ratio
    can be anything: it counts as 0 for the lower limit and as infinite for the upper one, and the median is NaN where
    that matters.

    Args:
        arm: steps to the target per seed ``[S]``, above zero; a miss is infinite.
        baseline: the same seeds of the baseline ``[S]``.
        confidence: two-sided.

    Returns:
        No interval with fewer seeds than :func:`seeds_needed`.

    Raises:
        ValueError: steps that are NaN or not above zero, or shapes that differ.
    """
    arm_S, baseline_S = present(arm), present(baseline)
    if arm_S.shape != baseline_S.shape or min(arm_S.min(), baseline_S.min()) <= 0:
        raise ValueError("arm and baseline must have steps above zero for the same seeds")
    unknown_S = np.isinf(arm_S) & np.isinf(baseline_S)
    ratios_S = np.where(unknown_S, 1.0, baseline_S) / np.where(unknown_S, 1.0, arm_S)
    least_S, most_S = np.where(unknown_S, 0.0, ratios_S), np.where(unknown_S, math.inf, ratios_S)
    least, most = median_with_misses(least_S), median_with_misses(most_S)
    low, high = median_interval(least_S, confidence), median_interval(most_S, confidence)
    return Estimate(least if least == most else math.nan, Interval(low.low, high.high) if low and high else None)
