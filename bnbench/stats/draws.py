"""Patterns of signs and resamples, drawn once for each number of replicates and shared by all that is decided."""

from __future__ import annotations

import math
from dataclasses import dataclass, field

import numpy as np
from numpy.random import Generator

from bnbench.stats.values import Values

EXACT = 14
"""Up to so many replicates all ``2^n`` patterns of signs are tried."""
PATTERNS = 9_999
"""Random patterns above that; each also the other way round."""
RESAMPLES = 9_999
PER_CLAIM = 5
"""Random patterns for each claim over alpha: the smallest p is so many times smaller than Holm's strictest level."""
MOST_PATTERNS = 100_000
"""Random patterns at all, for a thousand claims."""


def most_claims(alpha: float) -> int:
    """The most claims of which, decided together at a level, one can still be decided by random patterns."""
    return int(alpha * (MOST_PATTERNS + 1))


def patterns_for(level: float) -> int:
    """The number of random patterns where p must be able to reach a level, such as alpha over a number of claims."""
    return min(max(PATTERNS, math.ceil(PER_CLAIM / level)), MOST_PATTERNS)


@dataclass(frozen=True, slots=True)
class Draws:
    """Random patterns and resamples by the number of replicates.

    Two statistics of the same replicates agree with each other, and many claims are decided in little time.
    """

    generator: Generator
    patterns: int = PATTERNS
    resamples: int = RESAMPLES
    exact: int = EXACT
    _flips: dict[int, Values] = field(default_factory=dict)
    _counts: dict[int, Values] = field(default_factory=dict)

    def flips_PS(self, n: int) -> Values:
        """Signs to flip (1): all patterns, or none, random ones, and the complements of these; first half ``P / 2``.

        The pattern that flips nothing is one of them. Each pattern's complement is one as well, so that a two-sided p
        is twice a one-sided one.
        """
        if n not in self._flips:
            if n <= self.exact:
                flips_PS = ((np.arange(2**n)[:, None] >> np.arange(n)) & 1).astype(float)
            else:
                half_HS = np.vstack([np.zeros(n), self.generator.integers(0, 2, (self.patterns, n))])
                flips_PS = np.vstack([half_HS, 1 - half_HS])
            self._flips[n] = flips_PS
        return self._flips[n]

    def counts_BS(self, n: int) -> Values:
        """How often each value is in each bootstrap resample of ``n``, drawn with replacement."""
        if n not in self._counts:
            self._counts[n] = self.generator.multinomial(n, np.full(n, 1 / n), size=self.resamples).astype(float)
        return self._counts[n]
