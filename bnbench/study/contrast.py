"""From one value per run to one difference per seed, positive where it speaks for the claim."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from bnbench.stats import Claim
from bnbench.study.definition import StudyClaim
from bnbench.study.design import Group

Values = NDArray[np.float64]


@dataclass(frozen=True)
class Comparison:
    """The numbers of one claim.

    Attributes:
        differences: one per pair of seeds ``[S]``: arm less baseline, or the logarithm of their ratio; for two cells
            the first's less the second's. Not yet signed by what the claim expects.
        centres: mean (or median, as the measure has it) of each arm in each cell.
    """

    differences: Values
    centres: dict[Group, float]


def compare(claim: StudyClaim, values: pd.Series[float], seeds: int) -> Comparison:
    """Compare the arms of a claim seed by seed.

    Args:
        values: of the claim's measure, indexed by arm, cell and pair.
        seeds: how many pairs there should be; those without a value are NaN.
    """
    value_of = dict(zip(values.index.tolist(), values.tolist(), strict=True))
    values_S = {
        group: np.array([value_of.get((*group, pair), math.nan) for pair in range(seeds)]) for group in claim.groups
    }
    differences = [_difference(claim, values_S, cell) for cell in claim.cells]
    centre = np.median if claim.measure.estimand == "median" else np.mean
    with np.errstate(invalid="ignore"):
        both = differences[0] - differences[1] if len(differences) == 2 else differences[0]
        return Comparison(both, {group: float(centre(group_S)) for group, group_S in values_S.items()})


def _difference(claim: StudyClaim, values_S: dict[Group, Values], cell: str) -> Values:
    arm_S, baseline_S = (values_S[arm, cell] for arm in claim.compare)
    with np.errstate(divide="ignore", invalid="ignore"):
        return np.log(arm_S) - np.log(baseline_S) if claim.contrast == "ratio" else arm_S - baseline_S


def signed(claim: StudyClaim, differences: Values) -> Claim:
    """The claim to be decided: differences that are positive where they speak for it."""
    sign = 1.0 if claim.expect == "higher" else -1.0
    smallest = math.log(claim.smallest_effect) if claim.contrast == "ratio" else claim.smallest_effect
    return Claim.of(sign * differences, smallest, claim.measure.estimand)


def unsigned(claim: StudyClaim, value: float) -> float:
    """A number of a decision as arm less baseline, or as their ratio."""
    natural = value if claim.expect == "higher" else -value
    if claim.contrast == "difference":
        return natural
    return math.inf if natural == math.inf else math.exp(natural)
