"""The evidence of one comparison: effect, interval and the p-values of difference and equivalence."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Literal, Protocol, TypeAlias

import numpy as np

from bnbench.stats.draws import Draws
from bnbench.stats.interval import Interval
from bnbench.stats.mean import infer_mean
from bnbench.stats.median import MedianInference
from bnbench.stats.values import Values, present

Estimand: TypeAlias = Literal["mean", "median"]


class Inference(Protocol):
    """The interval and the tests of one mean or median; they agree with each other."""

    @property
    def estimate(self) -> float:
        """The mean or the median."""

    def interval(self, confidence: float) -> Interval | None:
        """The two-sided interval; None with too few replicates."""

    def p(self) -> float:
        """Two-sided p that it is zero."""

    def p_above(self, value: float) -> float:
        """One-sided p that it is not above a value."""

    def p_below(self, value: float) -> float:
        """One-sided p that it is not below a value."""


@dataclass(frozen=True, slots=True)
class Evidence:
    """An effect and its uncertainty.

    Attributes:
        effect: mean or median difference, in the unit of the differences. Known within bounds only it is their
            middle, or the finite bound if one is infinite; NaN if both are.
        bounds: the effect if all differences were at their lower bounds, and at their upper ones; equal if known.
        interval: of the effect, at confidence ``1 - alpha``; None with too few replicates.
        p: that there is no difference, two-sided.
        equivalence_p: that the difference is at least the smallest effect of interest, in either direction.
    """

    effect: float
    bounds: Interval
    interval: Interval | None
    p: float
    equivalence_p: float


NO_EVIDENCE = Evidence(math.nan, Interval(math.nan, math.nan), None, 1.0, 1.0)


def gather_evidence(
    low_S: Values, high_S: Values, smallest_effect: float, draws: Draws, alpha: float, estimand: Estimand
) -> Evidence:
    """Weigh the differences of one comparison: what holds at both bounds of all of them.

    Args:
        low_S: lower bounds, one per replicate ``[S]``; infinite ones only for a median.
        high_S: upper bounds, equal where the difference is known.
        smallest_effect: margin of the equivalence test.
        draws: patterns and resamples.
        alpha: one minus the confidence of the interval.
        estimand: ``mean`` with sign-flip tests and the stretched t, ``median`` with sign tests.
    """
    lowest = _infer(low_S, draws, estimand)
    highest = lowest if np.array_equal(low_S, high_S) else _infer(high_S, draws, estimand)
    low, high = lowest.interval(1 - alpha), highest.interval(1 - alpha)
    one_direction = np.sign(lowest.estimate) == np.sign(highest.estimate)
    return Evidence(
        _middle(lowest.estimate, highest.estimate),
        Interval(lowest.estimate, highest.estimate),
        Interval(low.low, high.high) if low and high else None,
        max(lowest.p(), highest.p()) if one_direction else 1.0,
        max(lowest.p_above(-smallest_effect), highest.p_below(smallest_effect)),
    )


def _infer(values_S: Values, draws: Draws, estimand: Estimand) -> Inference:
    return MedianInference(present(values_S)) if estimand == "median" else infer_mean(values_S, draws)


def _middle(low: float, high: float) -> float:
    """The middle of two bounds; the finite one if the other is infinite."""
    if low == high or math.isinf(high):
        return low if math.isfinite(low) or low == high else math.nan
    return high if math.isinf(low) else low / 2 + high / 2
