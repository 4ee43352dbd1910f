"""Requests that a user can make of an analysis."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Literal

from bnbench.analysis.levels import Level

LearningRates = Literal["best", "all"]


@dataclass(frozen=True, slots=True)
class Options:
    """Options of an analysis.

    Attributes:
        baseline: conditions on factors that single out what other rows are compared with; empty for no comparison.
        targets: validation accuracies to reach, as fractions; empty to derive them from the results.
        lr: ``best`` shows each row at its own best learning rate (by validation), ``all`` has a row per learning rate.
    """

    baseline: Mapping[str, Level] = field(default_factory=dict)
    targets: tuple[float, ...] = ()
    lr: LearningRates = "best"
