"""Comparisons in which some runs diverged: how many did, and what that comes to."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray

from bnbench.stats.bounded_mean import betting_interval
from bnbench.stats.interval import CONFIDENCE, Estimate
from bnbench.stats.proportion import success_rate
from bnbench.stats.values import Values


@dataclass(frozen=True, slots=True)
class Trained:
    """The runs of a comparison that trained, those that diverged being at chance.

    Attributes:
        arm: says of each replicate ``[S]`` that the arm trained: all its runs, if there are several.
        baseline: the same of the baseline.
        largest: the largest size that a difference can have: 1 for accuracies, 2 for differences of their differences.
    """

    arm: ArrayLike
    baseline: ArrayLike
    largest: float = 1.0

    @property
    def arm_S(self) -> NDArray[np.bool_]:
        """The arm's, checked.

        Raises:
            ValueError: shapes that differ.
        """
        arm_S, baseline_S = np.asarray(self.arm, dtype=bool), np.asarray(self.baseline, dtype=bool)
        if arm_S.shape != baseline_S.shape:
            raise ValueError(f"arm and baseline must go together, got shapes {arm_S.shape} and {baseline_S.shape}")
        return arm_S

    @property
    def baseline_S(self) -> NDArray[np.bool_]:
        """The baseline's."""
        return np.asarray(self.baseline, dtype=bool)

    @property
    def diverged(self) -> bool:
        """At least one run did."""
        return not (self.arm_S & self.baseline_S).all()

    @property
    def discordant(self) -> int:
        """Replicates in which one of the two trained and the other diverged."""
        return int((self.arm_S != self.baseline_S).sum())


@dataclass(frozen=True, slots=True)
class Divergence:
    """A comparison in which some runs diverged, in numbers beside its median.

    Attributes:
        arm: share of replicates in which the arm trained, with Wilson's interval.
        baseline: the same of the baseline.
        arm_trained: replicates in which the arm trained.
        baseline_trained: the same of the baseline.
        discordant: replicates in which one of the two trained and the other diverged.
        both: mean difference of the replicates in which both trained; NaN if there are none or bounds differ.
        all: mean difference of all replicates, with an interval that holds for any bounded differences; NaN and none
            where bounds differ.
    """

    arm: Estimate
    baseline: Estimate
    arm_trained: int
    baseline_trained: int
    discordant: int
    both: float
    all: Estimate


def summarize(differences_S: Values, trained: Trained, confidence: float = CONFIDENCE) -> Divergence:
    """Count the runs that trained and compare the rest.

    Args:
        differences_S: one per replicate, at most ``trained.largest`` in size; NaN where it is not known.
        trained: which runs did.
        confidence: of all intervals, two-sided.
    """
    arm_S, baseline_S, replicates = trained.arm_S, trained.baseline_S, differences_S.size
    known = bool(np.isfinite(differences_S).all())
    both_S = differences_S[arm_S & baseline_S]
    limits = betting_interval(differences_S, -trained.largest, trained.largest, confidence) if known else None
    return Divergence(
        success_rate(int(arm_S.sum()), replicates, confidence),
        success_rate(int(baseline_S.sum()), replicates, confidence),
        int(arm_S.sum()),
        int(baseline_S.sum()),
        trained.discordant,
        float(both_S.mean()) if both_S.size else math.nan,
        Estimate(float(differences_S.mean()), limits),
    )
