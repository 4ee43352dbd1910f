"""The paired sign-flip test and the interval of all effects that it does not reject.

If two arms do not differ, each difference is as likely to have the other sign; nothing else is assumed. So the test is
exact for any distribution that is symmetric about the effect (Fisher 1935; Hartigan 1969), the normal among them.
"""

from __future__ import annotations

from typing import Literal, TypeAlias

import numpy as np
from numpy.random import Generator
from numpy.typing import ArrayLike

from bnbench.stats.draws import Draws
from bnbench.stats.interval import CONFIDENCE, Interval
from bnbench.stats.values import Values, finite

Alternative: TypeAlias = Literal["two-sided", "greater"]

TOLERANCE = 1e-12
"""Share of the sum of absolute differences within which two sums are equal."""


def sign_flip_test(
    differences: ArrayLike, generator: Generator | Draws, alternative: Alternative = "two-sided"
) -> float:
    """p: the share of the patterns of signs whose sum is at least as extreme as the sum observed.

    The pattern observed is one of them, also among random ones, so p is never 0: (1 + b) / (1 + m)
    (Phipson & Smyth 2010).

    Args:
        differences: one per replicate ``[S]``, finite.
        generator: draws patterns if there are more than 14 replicates.
        alternative: ``greater``: than zero.
    """
    differences_S = finite(differences)
    sums_P = differences_S.sum() - 2.0 * (_flips(generator, differences_S) @ differences_S)
    observed = differences_S.sum()
    if alternative == "two-sided":
        sums_P, observed = np.abs(sums_P), abs(observed)
    return float(np.mean(sums_P >= observed - TOLERANCE * np.abs(differences_S).sum()))


def sign_flip_interval(
    differences: ArrayLike, generator: Generator | Draws, confidence: float = CONFIDENCE
) -> Interval | None:
    """The mean differences that the two-sided test does not reject: an interval between two means of subsets.

    A shift by t makes a pattern's sum at least as large as the one observed if the mean of the flipped differences is
    not above t. The limits are therefore the k-th lowest and k-th highest of the means of all subsets, k being half
    of ``(1 - confidence) * 2^n`` rounded down (Hartigan 1969, typical values); the empty subset counts as one.

    Args:
        differences: one per replicate ``[S]``, finite.
        generator: draws subsets if there are more than 14 replicates.
        confidence: that the effect is inside, for differences symmetric about it.

    Returns:
        None if no p can be as small as ``1 - confidence``, as with fewer replicates than :func:`fewest_replicates`; a
        point if all differences are equal.
    """
    differences_S = finite(differences)
    flips_PS = _flips(generator, differences_S)
    sizes_P = flips_PS.sum(axis=1)
    subsets_P = sizes_P > 0
    outside = int((1 - confidence) / 2 * len(flips_PS) + 1e-9) - int((~subsets_P).sum())
    if outside < 0:
        return None
    means_P = (flips_PS @ differences_S)[subsets_P] / sizes_P[subsets_P]
    limits = np.partition(means_P, [outside, means_P.size - 1 - outside])[[outside, -1 - outside]]
    low, high = np.clip(limits, differences_S.min(), differences_S.max())
    return Interval(float(low), float(high))


def _flips(generator: Generator | Draws, differences_S: Values) -> Values:
    """Patterns of signs to flip ``[P, S]``."""
    draws = generator if isinstance(generator, Draws) else Draws(generator)
    return draws.flips_PS(differences_S.size)
