"""The median where values may be infinite: its interval and the sign test, which agree with each other.

A run that misses its target takes infinitely long to it. Order statistics need no finite values, so misses stay in.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike

from bnbench.stats.interval import CONFIDENCE, Interval, seeds_needed
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
        None with fewer values than :func:`seeds_needed`.
    """
    from scipy import stats  # slow to import

    values_S = present(values)
    if values_S.size < seeds_needed(1 - confidence):
        return None
    limits = stats.quantile_test(values_S, q=0.0, p=0.5).confidence_interval(confidence)
    return Interval(float(limits.low), float(limits.high))


def sign_test(differences: ArrayLike, alternative: Alternative = "two-sided") -> float:
    """p of the exact test that the median difference is zero (Conover 1999, section 3.4).

    A difference of zero counts against the alternative, so that p is not above alpha exactly if the interval of the
    median at confidence ``1 - alpha`` is beyond zero.

    Args:
        differences: one per seed ``[S]``, possibly infinite.
        alternative: ``greater``: than zero.
    """
    differences_S = present(differences)
    greater = _tail(differences_S)
    return greater if alternative == "greater" else min(1.0, 2 * greater, 2 * _tail(-differences_S))


def _tail(differences_S: Values) -> float:
    from scipy import stats  # slow to import

    positive = int((differences_S > 0).sum())
    return float(stats.binomtest(positive, differences_S.size, alternative="greater").pvalue)
