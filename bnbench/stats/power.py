"""The smallest effect that a number of seeds can detect."""

from __future__ import annotations

import math

from bnbench.stats.interval import ALPHA, seeds_needed

POWER = 0.8


def detectable_effect(n: int, alpha: float = ALPHA, power: float = POWER) -> float:
    """The smallest effect that is significant in ``power`` of all studies, in standard deviations of a difference.

    Reckoned for the two-sided paired t test of normal differences, from which the sign-flip test differs little.

    Args:
        n: seeds.
        alpha: what p must not be above; divided by their number if several claims are decided together.

    Returns:
        Infinite with fewer seeds than :func:`seeds_needed`: p cannot reach alpha.
    """
    from scipy import optimize, stats  # slow to import

    if n < seeds_needed(alpha):
        return math.inf
    critical = float(stats.t.ppf(1 - alpha / 2, n - 1))

    def lacking(effect: float) -> float:
        """Power less the one that is wanted, of an effect in standard deviations."""
        return float(stats.nct.sf(critical, n - 1, effect * math.sqrt(n))) - power

    return float(optimize.brentq(lacking, 0.0, 2 * (critical + 5) / math.sqrt(n)))
