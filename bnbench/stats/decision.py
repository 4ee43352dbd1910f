"""Claims decided together: each with its evidence, its p-values corrected for the family, and its verdict."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.random import Generator
from numpy.typing import ArrayLike

from bnbench.stats.claim import Claim, check_claims, too_few, unusable
from bnbench.stats.divergence import Divergence, summarize
from bnbench.stats.draws import Draws, patterns_for
from bnbench.stats.evidence import Estimand, Evidence
from bnbench.stats.interval import ALPHA, Interval
from bnbench.stats.multiplicity import holm
from bnbench.stats.verdict import Corrected, Verdict, reach_verdict


@dataclass(frozen=True, slots=True)
class Decision:
    """A verdict and all that it rests on.

    Attributes:
        verdict: the claim's.
        reason: one sentence with the numbers that decided.
        effect: mean or median difference; NaN if some differences cannot be reckoned with. See :class:`Evidence` for
            differences known within bounds.
        bounds: the lowest and the highest effect that the bounds of the differences leave; equal if they are known.
        interval: of the effect at confidence ``1 - alpha``, for this claim alone; None with too few replicates.
        raw_p: that there is no difference, two-sided, for this claim alone; 1 if nothing can be tested.
        raw_equivalence_p: that the effect is at least the smallest of interest, for this claim alone; likewise.
        p: ``raw_p`` corrected for all claims that were declared together.
        equivalence_p: ``raw_equivalence_p`` corrected likewise.
        n: replicates, those without a value included.
        estimand: the one that was decided: the median in place of the mean where runs diverged.
        divergence: how many runs trained and what that comes to; None where all did, or it does not matter.
    """

    verdict: Verdict
    reason: str
    effect: float
    bounds: Interval
    interval: Interval | None
    raw_p: float
    raw_equivalence_p: float
    p: float
    equivalence_p: float
    n: int
    estimand: Estimand
    divergence: Divergence | None


def decide(
    differences: ArrayLike,
    smallest_effect: float,
    generator: Generator | Draws,
    *,
    alpha: float = ALPHA,
    estimand: Estimand = "mean",
) -> Decision:
    """Decide one claim on its own.

    Args:
        differences: one per replicate ``[S]``, positive where they speak for the claim.
        smallest_effect: the least that is worth calling an effect, in the unit of the differences.
        generator: draws patterns and resamples; one in the same state gives the same decision.
        alpha: risk of a wrong ``supported`` or ``contradicted``, and of a wrong ``no difference``.
        estimand: mean or median.

    Raises:
        InvalidRequest: the smallest effect is not above zero.
    """
    return decide_together([Claim.of(differences, smallest_effect, estimand)], generator, alpha=alpha)[0]


def decide_together(
    claims: Sequence[Claim], generator: Generator | Draws, *, alpha: float = ALPHA, family: int | None = None
) -> list[Decision]:
    """Decide claims of a study.

    Args:
        claims: all of them, those without usable differences included.
        generator: draws patterns and resamples.
        alpha: risk that any claim is wrongly ``supported`` or ``contradicted``; the same for ``no difference``.
        family: the number of claims that were declared together, those of other studies included. p is Holm's among
            the claims here, times ``family / len(claims)``: over all studies the risk is still at most alpha, and a
            verdict does not depend on which other studies are decided at the same time.

    Raises:
        InvalidRequest: smallest effects that are not above zero.
        ValueError: a family of fewer claims than there are, or arrays that do not go together.
    """
    check_claims(claims)
    size = len(claims) if family is None else family
    if size < len(claims):
        raise ValueError(f"family={size}: must be at least the number of claims, {len(claims)}")
    if not claims:
        return []
    draws = generator if isinstance(generator, Draws) else Draws(generator, patterns_for(alpha / size))
    alone = [claim.evidence(draws, alpha) for claim in claims]
    factor = size / len(claims)
    p_T = np.minimum(factor * holm([one.p for one in alone]), 1)
    equivalence_T = np.minimum(factor * holm([one.equivalence_p for one in alone]), 1)
    return [
        _decision(claim, one, Corrected(float(p), float(equivalence_p), size, alpha))
        for claim, one, p, equivalence_p in zip(claims, alone, p_T, equivalence_T, strict=True)
    ]


def _decision(claim: Claim, evidence: Evidence, corrected: Corrected) -> Decision:
    obstacle = unusable(claim) or too_few(claim, corrected.family, corrected.alpha)
    verdict, reason = reach_verdict(claim, evidence, corrected, obstacle)
    trained = claim.trained
    low_S, high_S = claim.bounds
    known_S = np.where(low_S == high_S, low_S, np.nan)
    return Decision(
        verdict=verdict,
        reason=reason,
        effect=evidence.effect,
        bounds=evidence.bounds,
        interval=evidence.interval,
        raw_p=evidence.p,
        raw_equivalence_p=evidence.equivalence_p,
        p=corrected.p,
        equivalence_p=corrected.equivalence_p,
        n=claim.replicates,
        estimand=claim.decided,
        divergence=summarize(known_S, trained, 1 - corrected.alpha) if trained and trained.diverged else None,
    )
