"""Measures of the learning-rate curve of one replicate."""

from __future__ import annotations

import math
from abc import abstractmethod
from dataclasses import dataclass
from typing import ClassVar, cast

import pandas as pd

from bnbench.analysis.lr_range import LearningRateRange, usable_range
from bnbench.spec import ProbeName
from bnbench.stats import Estimand
from bnbench.study.measure import PLACE, Measure, Side, Tables

Place = tuple[str, str, int]
"""Arm, cell and pair."""
Bracket = tuple[float, float]
"""Two neighbours among the learning rates, between which a limit lies; 0 and infinity are beyond the grid."""
RESOLUTION = 1.1
"""The ratio of the ends of a bracket that is narrow enough."""


@dataclass(frozen=True, slots=True)
class Curve:
    """The runs of one replicate at all learning rates of a cell.

    Attributes:
        lr: the learning rates, ascending: those of the grid, and those tried between them.
        range: the largest that trains and the usable range; None if a run has no result.
    """

    lr: list[float]
    range: LearningRateRange | None

    @property
    def open_sides(self) -> set[Side]:
        """The ends of the grid that the usable range, or the largest learning rate, touches."""
        if self.range is None:
            return set()
        last = len(self.lr) - 1
        sides: set[Side] = {"low"} if self.range.low == 0 else set()
        return sides | ({"high"} if last in (self.range.high, self.range.largest) else set())

    def above(self, position: int) -> Bracket:
        """The learning rate at a position and the next one."""
        return self.lr[position], self.lr[position + 1] if position + 1 < len(self.lr) else math.inf

    def below(self, position: int) -> Bracket:
        """The learning rate before a position and the one there."""
        return self.lr[position - 1] if position else 0.0, self.lr[position]


def curves(runs: pd.DataFrame) -> dict[Place, Curve]:
    """The curve of each arm, cell and pair."""
    return {cast(Place, place): _curve(one) for place, one in runs.sort_values("lr").groupby(PLACE)}


def _curve(runs: pd.DataFrame) -> Curve:
    """A curve, whose best learning rate is one of the grid: what is tried in between moves no limit."""
    if not runs["counted"].all():
        return Curve(runs["lr"].tolist(), None)
    accuracies = runs["val"].round(9).tolist()
    best = int(runs["val"].round(9).mask(runs["refined"], -1.0).to_numpy().argmax())
    limits = usable_range(accuracies, runs["diverged"].astype(float).tolist(), best, float(runs["chance"].iloc[0]))
    return Curve(runs["lr"].tolist(), limits)


def between(brackets: list[Bracket]) -> list[float]:
    """Learning rates that divide wide brackets into four, on a logarithmic scale; none beyond the grid."""
    return [
        float(f"{low * (high / low) ** (part / 4):.4g}")
        for low, high in brackets
        if 0 < low and math.isfinite(high) and high > low * RESOLUTION * (1 + 1e-9)
        for part in (1, 2, 3)
    ]


@dataclass(frozen=True, slots=True)
class CurveMeasure(Measure):
    """A number of the curve of a replicate, which lies between two learning rates that were tried."""

    every_lr: ClassVar[bool] = True
    estimand: ClassVar[Estimand] = "median"
    missed: ClassVar[str] = "beyond the grid"

    @property
    def probes(self) -> tuple[ProbeName, ...]:
        """Nothing is measured inside training."""
        return ()

    @abstractmethod
    def brackets(self, curve: Curve) -> list[Bracket]:
        """The places in which the value's limits lie; none where nothing trains."""

    @abstractmethod
    def limits(self, curve: Curve) -> Bracket:
        """The least and the most that the value can be."""

    def values(self, tables: Tables) -> pd.DataFrame:
        """The limits of the value, closer the more learning rates were tried."""
        found = {
            place: self.limits(curve) if curve.range else (math.nan, math.nan)
            for place, curve in curves(tables.runs).items()
        }
        index = pd.MultiIndex.from_tuples(list(found), names=PLACE)
        return pd.DataFrame(list(found.values()), index=index, columns=["low", "high"], dtype=float)


@dataclass(frozen=True, slots=True)
class UsableDecades(CurveMeasure):
    """Width in decades of the usable learning rates: the block around the best whose accuracy is 95% of the best's.

    Zero where nothing trains; without an upper limit where the block touches an end of the grid.
    """

    @property
    def phrase(self) -> str:
        """The value in a few words."""
        return "width of the usable learning rates, in decades,"

    def brackets(self, curve: Curve) -> list[Bracket]:
        """Below the lowest and above the highest usable learning rate."""
        limits = curve.range
        if limits is None or limits.low is None or limits.high is None:
            return []
        return [curve.below(limits.low), curve.above(limits.high)]

    def limits(self, curve: Curve) -> Bracket:
        """Decades."""
        if not (brackets := self.brackets(curve)):
            return 0.0, 0.0
        (outer_low, low), (high, outer_high) = brackets
        return math.log10(high / low), math.log10(outer_high / outer_low) if outer_low else math.inf


@dataclass(frozen=True, slots=True)
class LargestLearningRate(CurveMeasure):
    """The largest learning rate that trains: accuracy at least halfway from chance to the best of its curve.

    Below the grid where nothing trains, without an upper limit where it is the largest of the grid.
    """

    @property
    def phrase(self) -> str:
        """The value in a few words."""
        return "the largest learning rate that trains"

    def brackets(self, curve: Curve) -> list[Bracket]:
        """Above the largest learning rate that trains."""
        return [] if curve.range is None or curve.range.largest is None else [curve.above(curve.range.largest)]

    def limits(self, curve: Curve) -> Bracket:
        """Learning rates."""
        brackets = self.brackets(curve)
        return brackets[0] if brackets else (0.0, curve.lr[0])
