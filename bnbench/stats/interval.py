"""Intervals, and how many replicates one takes."""

from __future__ import annotations

import math
from dataclasses import dataclass

CONFIDENCE = 0.95
ALPHA = 0.05


@dataclass(frozen=True, slots=True)
class Interval:
    """The closed interval from ``low`` to ``high``; either may be infinite."""

    low: float
    high: float

    def excludes(self, value: float) -> bool:
        """Say that a value lies outside."""
        return value < self.low or value > self.high

    def hull(self, other: Interval) -> Interval:
        """The smallest interval that holds both."""
        return Interval(min(self.low, other.low), max(self.high, other.high))


@dataclass(frozen=True, slots=True)
class Estimate:
    """A number and its confidence interval; None where there are too few values for one."""

    value: float
    interval: Interval | None


def fewest_replicates(alpha: float) -> int:
    """The fewest pairs of which the smallest possible two-sided p, ``2 / 2^n``, is not above alpha: 6 for 0.05.

    Fewer give no interval at confidence ``1 - alpha`` either, whatever their values.
    """
    return math.ceil(math.log2(2 / alpha) - 1e-9)
