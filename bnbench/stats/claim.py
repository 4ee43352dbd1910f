"""A claim about paired differences, and what keeps it from being decided."""

from __future__ import annotations

import math
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Self

import numpy as np
from numpy.typing import ArrayLike

from bnbench.errors import InvalidRequest
from bnbench.stats.divergence import Trained
from bnbench.stats.draws import Draws
from bnbench.stats.evidence import NO_EVIDENCE, Estimand, Evidence, gather_evidence
from bnbench.stats.interval import fewest_replicates
from bnbench.stats.values import Values
from bnbench.text import plural


@dataclass(frozen=True, slots=True)
class Claim:
    """Differences per replicate, of which the claim says that they are positive.

    Attributes:
        low: a lower bound per replicate ``[S]``, in any unit; NaN where a replicate has no value at all. For an
            interaction of the differences of differences, for a ratio of the differences of logarithms.
        high: an upper bound per replicate ``[S]``; equal to the lower one where the difference is known.
        smallest_effect: the least that is worth calling an effect, in the same unit; above zero, set beforehand.
        estimand: the mean, or the median if differences may be infinite, as those of times to a target are.
        trained: for outcomes that are bounded, as accuracies are: which runs trained. Where one diverged, the median
            is decided.
    """

    low: ArrayLike
    high: ArrayLike
    smallest_effect: float
    estimand: Estimand = "mean"
    trained: Trained | None = None

    @classmethod
    def of(
        cls,
        differences: ArrayLike,
        smallest_effect: float,
        estimand: Estimand = "mean",
        trained: Trained | None = None,
    ) -> Self:
        """A claim about differences ``[S]`` that are all known, or NaN."""
        return cls(differences, differences, smallest_effect, estimand, trained)

    @property
    def bounds(self) -> tuple[Values, Values]:
        """The lower and the upper bounds ``[S]``."""
        return np.asarray(self.low, dtype=float), np.asarray(self.high, dtype=float)

    @property
    def replicates(self) -> int:
        """The number of differences, those without a value included."""
        return np.asarray(self.low).size

    @property
    def decided(self) -> Estimand:
        """The estimand that is decided: the median where a run diverged."""
        return "median" if self.trained is not None and self.trained.diverged else self.estimand

    def evidence(self, draws: Draws, alpha: float) -> Evidence:
        """The evidence of the differences; none if some have no value, or no mean."""
        if unusable(self) or not self.replicates:
            return NO_EVIDENCE
        return gather_evidence(*self.bounds, self.smallest_effect, draws, alpha, self.decided)


def check_claims(claims: Iterable[Claim]) -> None:
    """Refuse claims that do not say which effect is worth the name, or whose arrays do not go together.

    Raises:
        InvalidRequest: smallest effects that are not above zero and finite.
        ValueError: shapes that differ, or a lower bound above the upper one.
    """
    problems = [
        f"smallest_effect={claim.smallest_effect}: must be above zero and finite; say which effect is worth the name"
        for claim in claims
        if not 0 < claim.smallest_effect < math.inf
    ]
    if problems:
        raise InvalidRequest(problems)
    for claim in claims:
        low_S, high_S = claim.bounds
        if low_S.shape != high_S.shape or (claim.trained and claim.trained.arm_S.shape != low_S.shape):
            raise ValueError("the bounds of a claim, and which runs trained, must have one value per replicate")
        if crossed := int((low_S > high_S).sum()):
            raise ValueError(f"low must not be above high, but is in {plural(crossed, 'replicate')}")


def unusable(claim: Claim) -> str:
    """The reason why nothing can be computed from the differences; empty if it can."""
    low_S, high_S = claim.bounds
    if missing := int((np.isnan(low_S) | np.isnan(high_S)).sum()):
        return f"{missing} of {plural(low_S.size, 'replicate')} without a value"
    infinite = int((np.isinf(low_S) | np.isinf(high_S)).sum())
    if infinite and claim.decided == "mean":
        count = f"{infinite} of {plural(low_S.size, 'difference')} infinite"
        return f"{count}, so they have no mean; decide their median"
    return ""


def too_few(claim: Claim, family: int, alpha: float) -> str:
    """The reason why p cannot reach alpha, if so many claims were declared together; empty if it can."""
    needed = fewest_replicates(alpha / family)
    if claim.replicates >= needed:
        return ""
    verb = "is" if claim.replicates == 1 else "are"
    together = "" if family == 1 else f" for {family} claims together"
    return f"{needed} replicates are needed to reach p <= {alpha:g}{together}; there {verb} {claim.replicates}"
