"""Steps to a target when some runs end without reaching it: each missing run took longer than what it spent."""

from __future__ import annotations

import math
import warnings
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray

from bnbench.stats.interval import CONFIDENCE
from bnbench.stats.values import Values, finite


@dataclass(frozen=True, slots=True)
class SurvivalCurve:
    """The share of runs that have not reached the target after some steps.

    Attributes:
        steps_T: ascending steps at which runs reached the target or ended.
        share_T: of runs not there yet after so many steps; 1 before the first.
        low_T: lower limit of the share; NaN where it is still 1 or already 0.
        high_T: upper limit of the share; NaN in the same places.
    """

    steps_T: Values
    share_T: Values
    low_T: Values
    high_T: Values

    @property
    def median(self) -> float:
        """Steps after which half of the runs have reached the target; infinite if they never do."""
        half = np.flatnonzero(self.share_T <= 0.5 + 1e-12)
        return float(self.steps_T[half[0]]) if half.size else math.inf


def kaplan_meier(spent: ArrayLike, reached: ArrayLike, confidence: float = CONFIDENCE) -> SurvivalCurve:
    """The product-limit estimate of the share not there yet (Kaplan & Meier 1958).

    Its limits are Greenwood's on the scale of log(-log(share)).

    Args:
        spent: steps to the target, or to the end of a run that missed it ``[S]``.
        reached: whether a run reached the target ``[S]``.
        confidence: two-sided, at each step on its own.
    """
    from scipy import stats  # slow to import

    spent_S, reached_S = _aligned(spent, reached)
    curve = stats.ecdf(stats.CensoredData.right_censored(spent_S, ~reached_S)).sf
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", RuntimeWarning)  # that there are no limits at 0 and 1, which the class says
        limits = curve.confidence_interval(confidence, method="log-log")
    return SurvivalCurve(curve.quantiles, curve.probabilities, limits.low.probabilities, limits.high.probabilities)


def expected_running_time(spent: ArrayLike, reached: ArrayLike) -> float:
    """Steps of all runs over runs that reached the target (ERT, Hansen et al. 2009); infinite if none did.

    What an independent restart after each miss would spend on average until a run succeeds.

    Args:
        spent: steps to the target, or to the end of a run that missed it ``[S]``.
        reached: whether a run reached the target ``[S]``.
    """
    spent_S, reached_S = _aligned(spent, reached)
    successes = int(reached_S.sum())
    return float(spent_S.sum()) / successes if successes else math.inf


def _aligned(spent: ArrayLike, reached: ArrayLike) -> tuple[Values, NDArray[np.bool_]]:
    spent_S, reached_S = finite(spent), np.asarray(reached, dtype=bool)
    if spent_S.shape != reached_S.shape:
        raise ValueError(f"spent and reached must go together, got shapes {spent_S.shape} and {reached_S.shape}")
    return spent_S, reached_S
