"""A claim about paired differences, and what keeps it from being decided."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np
from numpy.random import Generator
from numpy.typing import ArrayLike

from bnbench.errors import InvalidRequest
from bnbench.stats.evidence import NO_EVIDENCE, Estimand, Evidence, gather_evidence
from bnbench.stats.interval import seeds_needed
from bnbench.text import plural


@dataclass(frozen=True, slots=True)
class Claim:
    """Differences per seed, of which the claim says that they are positive.

    Attributes:
        differences: one per seed ``[S]``, in any unit; NaN where a seed has none. For an interaction the differences
            of differences, for a ratio the differences of logarithms.
        smallest_effect: the least that is worth calling an effect, in the same unit; above zero, set beforehand.
        estimand: the mean, or the median if differences may be infinite, as those of times to a target are.
    """

    differences: ArrayLike
    smallest_effect: float
    estimand: Estimand = "mean"

    def evidence(self, generator: Generator, alpha: float) -> Evidence:
        """The evidence of the differences; none if some have no value, or no mean."""
        if unusable(self) or not self.seeds:
            return NO_EVIDENCE
        return gather_evidence(self.differences, self.smallest_effect, generator, alpha, self.estimand)

    @property
    def seeds(self) -> int:
        """The number of differences, those without a value included."""
        return np.asarray(self.differences).size


def require_smallest_effects(claims: Iterable[Claim]) -> None:
    """Raise :class:`InvalidRequest` unless every claim says which effect is worth the name."""
    problems = [
        f"smallest_effect={claim.smallest_effect}: must be above zero and finite; say which effect is worth the name"
        for claim in claims
        if not 0 < claim.smallest_effect < float("inf")
    ]
    if problems:
        raise InvalidRequest(problems)


def unusable(claim: Claim) -> str:
    """The reason why nothing can be computed from the differences; empty if it can."""
    differences_S = np.asarray(claim.differences, dtype=float)
    if missing := int(np.isnan(differences_S).sum()):
        return f"{missing} of {plural(differences_S.size, 'seed')} without a value"
    infinite = int(np.isinf(differences_S).sum())
    if infinite and claim.estimand == "mean":
        count = f"{infinite} of {plural(differences_S.size, 'difference')} infinite"
        return f"{count}, so they have no mean; decide their median"
    return ""


def too_few(claim: Claim, claims: int, alpha: float) -> str:
    """The reason why p cannot reach alpha, if so many claims are decided together; empty if it can."""
    needed = seeds_needed(alpha / claims)
    if claim.seeds >= needed:
        return ""
    verb = "is" if claim.seeds == 1 else "are"
    together = "" if claims == 1 else f" for {claims} claims together"
    return f"{needed} seeds are needed to reach p <= {alpha:g}{together}; there {verb} {claim.seeds}"
