"""Speed-ups of rows over their baseline."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal

import pandas as pd

from bnbench.analysis.time_to_target import Times
from bnbench.stats import RatioKind, ratio_of_medians


@dataclass(frozen=True, slots=True)
class SpeedUp:
    """Median steps of the baseline over those of a row.

    Attributes:
        reading: as :func:`bnbench.stats.ratio_of_medians` says, or why there is no ratio: the row is the ``baseline``,
            has none (``unmatched``), or either is ``unstable``.
        value: the ratio; NaN without one.
    """

    reading: RatioKind | Literal["baseline", "unmatched", "unstable"]
    value: float = math.nan


def row_speed_up(
    row: int, compared: Mapping[int, int], times: Mapping[int, Times], unstable: pd.Series[bool]
) -> SpeedUp | None:
    """The speed-up of one row; None where no rows are compared.

    Args:
        row: its number.
        compared: the row that each row is compared with.
        times: of every row with results, those that diverged in an unstable row left out.
        unstable: by row with results, that its seeds disagree on whether it diverges.
    """
    if not compared:
        return None
    other = compared.get(row)
    if other is None or row not in times or other not in times:
        return SpeedUp("unmatched")
    if other == row:
        return SpeedUp("baseline")
    if unstable[[row, other]].any():
        return SpeedUp("unstable")
    ours, theirs = times[row], times[other]
    return SpeedUp(*ratio_of_medians(ours.median["step"], theirs.median["step"], theirs.spent))
