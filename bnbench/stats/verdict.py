"""The rule that turns the evidence of a claim into a verdict; docs/statistics.md explains it.

- no difference: the equivalence test shows that the effect is smaller than the smallest effect of interest, and no
  replicate has one arm that diverged where the other trained;
- supported: p is not above alpha, and the effect is at least the smallest of interest; the interval is then above zero;
- contradicted: the same below zero;
- inconclusive: anything else, above all missing values and too few replicates.

Both p-values are corrected for all claims that were declared together (Holm 1979).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal, TypeAlias

from bnbench.stats.claim import Claim
from bnbench.stats.evidence import Evidence
from bnbench.text import plural

Verdict: TypeAlias = Literal["supported", "contradicted", "no difference", "inconclusive"]

ROUNDING = 1e-9
"""Share by which an effect may fall short of the smallest of interest and still equal it."""


@dataclass(frozen=True, slots=True)
class Corrected:
    """The p-values of a claim, corrected for a family of claims, and the level that they are held against."""

    p: float
    equivalence_p: float
    family: int
    alpha: float


def reach_verdict(claim: Claim, evidence: Evidence, corrected: Corrected, obstacle: str) -> tuple[Verdict, str]:
    """The verdict and its reason in one sentence; inconclusive with an obstacle, which is then the reason."""
    if obstacle:
        return "inconclusive", obstacle
    effect, smallest = _effect(evidence), f"smallest effect of interest {claim.smallest_effect:.3g}"
    p, differs = f"p = {corrected.p:.2g}", corrected.p <= corrected.alpha
    if corrected.equivalence_p <= corrected.alpha:
        if claim.trained is not None and (discordant := claim.trained.discordant):
            where = f"in {discordant} of {plural(claim.replicates, 'replicate')}"
            return "inconclusive", f"one arm diverged where the other trained, {where}"
        there = f"there is a difference ({p}), but" if differs else "the"
        return "no difference", f"{there} {effect} is below the {smallest} (p = {corrected.equivalence_p:.2g})"
    if not differs:
        return "inconclusive", f"neither a difference ({p}) nor its absence is shown; {effect}"
    if abs(evidence.effect) < claim.smallest_effect * (1 - ROUNDING):
        return "inconclusive", f"there is a difference ({p}), but it may be below the {smallest}; {effect}"
    return "supported" if evidence.effect > 0 else "contradicted", f"{effect} is at least the {smallest} ({p})"


def _effect(evidence: Evidence) -> str:
    """The effect in words, with the bounds that it is known within."""
    bounds = evidence.bounds
    known = bounds.low == bounds.high
    return f"effect {evidence.effect:.3g}" + ("" if known else f" (known within {bounds.low:.3g} to {bounds.high:.3g})")
