"""The share of runs that succeed."""

from __future__ import annotations

from bnbench.stats.interval import CONFIDENCE, Estimate, Interval


def success_rate(successes: int, runs: int, confidence: float = CONFIDENCE) -> Estimate:
    """Share of runs that succeed, with Wilson's score interval (Wilson 1927; Brown, Cai & DasGupta 2001).

    It stays within 0 and 1, and says something even of 0 of 10.

    Args:
        successes: runs that reached their target.
        runs: at least one.
        confidence: two-sided.
    """
    from scipy import stats  # slow to import

    limits = stats.binomtest(successes, runs).proportion_ci(confidence, method="wilson")
    return Estimate(successes / runs, Interval(float(limits.low), float(limits.high)))
