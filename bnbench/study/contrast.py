"""From one value per run to one difference per replicate, positive where it speaks for the claim."""

from __future__ import annotations

import math
from dataclasses import dataclass, field

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from bnbench.stats import Claim, Trained
from bnbench.study.definition import StudyClaim
from bnbench.study.design import Group

Values = NDArray[np.float64]


@dataclass(frozen=True)
class Comparison:
    """The numbers of one claim.

    A difference is arm less baseline, or the logarithm of their ratio; for two cells the first's less the second's. It
    is not yet signed by what the claim expects.

    Attributes:
        low: the least that the difference of each replicate can be ``[S]``.
        high: the most that it can be ``[S]``; the same where it is known.
        centres: mean (or median, as the measure has it) of each arm in each cell.
        missed: how many values of each arm in each cell have no upper limit, such as a target that was not reached.
        trained: which runs trained without diverging; None where the measure does not ask.
    """

    low: Values
    high: Values
    centres: dict[Group, float]
    missed: dict[Group, int] = field(default_factory=dict)
    trained: Trained | None = None


def compare(claim: StudyClaim, values: pd.DataFrame, diverged: pd.Series[bool], replicates: int) -> Comparison:
    """Compare the arms of a claim replicate by replicate.

    Args:
        values: of the claim's measure, ``low`` and ``high``, indexed by arm, cell and pair.
        diverged: whether the run of each arm, cell and pair diverged.
        replicates: how many pairs there should be; those without a value are NaN.
    """
    bounds_S = {group: _of_group(values, group, replicates) for group in claim.groups}
    differences = [_difference(claim, bounds_S, cell) for cell in claim.cells]
    low_S, high_S = differences[0] if len(differences) == 1 else _less(differences[0], differences[1])
    centre = np.median if claim.measure.estimand == "median" else np.mean
    with np.errstate(invalid="ignore"):
        centres = {group: _middle(float(centre(low)), float(centre(high))) for group, (low, high) in bounds_S.items()}
    trained = _trained(claim, diverged, replicates) if claim.measure.splits else None
    missed = {group: int(np.isposinf(high_S).sum()) for group, (_, high_S) in bounds_S.items()}
    return Comparison(low_S, high_S, centres, missed, trained)


def _of_group(values: pd.DataFrame, group: Group, replicates: int) -> tuple[Values, Values]:
    wanted = pd.MultiIndex.from_tuples([(*group, pair) for pair in range(replicates)])
    there = values.reindex(wanted)
    return there["low"].to_numpy(), there["high"].to_numpy()


def _trained(claim: StudyClaim, diverged: pd.Series[bool], replicates: int) -> Trained:
    """The replicates in which no run of an arm diverged, whatever the cell."""
    flags = diverged.to_dict()
    arm_S, baseline_S = (
        np.array([not any(flags.get((arm, cell, pair), False) for cell in claim.cells) for pair in range(replicates)])
        for arm in claim.compare
    )
    return Trained(arm_S, baseline_S, float(len(claim.cells)))


def _difference(claim: StudyClaim, bounds_S: dict[Group, tuple[Values, Values]], cell: str) -> tuple[Values, Values]:
    arm, baseline = (bounds_S[name, cell] for name in claim.compare)
    if claim.contrast == "difference":
        return _less(arm, baseline)
    with np.errstate(divide="ignore"):
        return _less((np.log(arm[0]), np.log(arm[1])), (np.log(baseline[0]), np.log(baseline[1])))


def _less(first: tuple[Values, Values], second: tuple[Values, Values]) -> tuple[Values, Values]:
    """The least and the most that a difference can be; any number if both of its terms may be infinite."""
    (low, high), (other_low, other_high) = first, second
    missing = np.isnan(low) | np.isnan(other_low)
    with np.errstate(invalid="ignore"):
        least, most = low - other_high, high - other_low
    least = np.where(np.isnan(least), -math.inf, least)
    most = np.where(np.isnan(most), math.inf, most)
    return np.where(missing, math.nan, least), np.where(missing, math.nan, most)


def _middle(low: float, high: float) -> float:
    """A value that is known within limits; a limit that is infinite is the value."""
    return low if low == high else low / 2 + high / 2


def signed(claim: StudyClaim, numbers: Comparison) -> Claim:
    """The claim to be decided: differences that are positive where they speak for it."""
    smallest = math.log(claim.smallest_effect) if claim.contrast == "ratio" else claim.smallest_effect
    low_S, high_S = (numbers.low, numbers.high) if claim.expect == "higher" else (-numbers.high, -numbers.low)
    return Claim(low_S, high_S, smallest, claim.measure.estimand, numbers.trained)


def unsigned(claim: StudyClaim, value: float) -> float:
    """A number of a decision as arm less baseline, or as their ratio."""
    natural = value if claim.expect == "higher" else -value
    if claim.contrast == "difference":
        return natural
    return math.inf if natural == math.inf else math.exp(natural)
