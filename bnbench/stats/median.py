"""The median where values may be infinite: its interval and the sign test, which agree with each other.

A run that misses its target takes infinitely long to it. Order statistics need no finite values, so misses stay in.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike

from bnbench.stats.interval import CONFIDENCE, Interval, fewest_replicates
from bnbench.stats.sign_flip import Alternative
from bnbench.stats.values import Values, present


def median_with_misses(values: ArrayLike) -> float:
    """The median of values ``[S]`` of which some may be infinite.

    Infinite unless more than half of the values are finite, if all misses have one sign; NaN halfway between minus
    and plus infinity.
    """
    ordered_S = np.sort(present(values))
    low, high = float(ordered_S[(ordered_S.size - 1) // 2]), float(ordered_S[ordered_S.size // 2])
    return low if low == high else low / 2 + high / 2


def median_interval(values: ArrayLike, confidence: float = CONFIDENCE) -> Interval | None:
    """The exact interval of a median between two order statistics (Conover 1999, section 3.2).

    Its coverage is at least its confidence for every distribution: 97.9% for ten values, from the second lowest to
    the second highest.

    Args:
        values: ``[S]``; a miss is infinite, and so may be a limit.
        confidence: two-sided.

    Returns:
        None with fewer values than :func:`fewest_replicates`.
    """
    from scipy import special  # slow to import

    ordered_S = np.sort(present(values))
    if ordered_S.size < fewest_replicates(1 - confidence):
        return None
    beyond_S = special.bdtr(np.arange(ordered_S.size), ordered_S.size, 0.5)
    outside = int((beyond_S <= (1 - confidence) / 2 * (1 + 1e-9)).sum())
    return Interval(float(ordered_S[outside - 1]), float(ordered_S[-outside]))


def sign_test(differences: ArrayLike, alternative: Alternative = "two-sided") -> float:
    """p of the exact test that the median difference is zero (Conover 1999, section 3.4).

    A difference of zero counts against the alternative, so that p is not above alpha exactly if the interval of the
    median at confidence ``1 - alpha`` is beyond zero.

    Args:
        differences: one per replicate ``[S]``, possibly infinite.
        alternative: ``greater``: than zero.
    """
    differences_S = present(differences)
    greater = _tail(differences_S)
    return greater if alternative == "greater" else min(1.0, 2 * greater, 2 * _tail(-differences_S))


@dataclass(frozen=True, slots=True)
class MedianInference:
    """All that is inferred of one median; :class:`bnbench.stats.evidence.Inference` says what."""

    values_S: Values

    @property
    def estimate(self) -> float:
        """The median."""
        return median_with_misses(self.values_S)

    def interval(self, confidence: float) -> Interval | None:
        """The exact interval; None with too few replicates."""
        return median_interval(self.values_S, confidence)

    def p(self) -> float:
        """Two-sided p that the median is zero."""
        return sign_test(self.values_S)

    def p_above(self, value: float) -> float:
        """One-sided p that the median is not above a value."""
        return sign_test(self.values_S - value, "greater")

    def p_below(self, value: float) -> float:
        """One-sided p that the median is not below a value."""
        return sign_test(value - self.values_S, "greater")


def _tail(differences_S: Values) -> float:
    """The chance that a fair coin says so often that differences are above zero."""
    from scipy import special  # slow to import

    not_above = int((differences_S <= 0).sum())
    return float(special.bdtr(not_above, differences_S.size, 0.5))
