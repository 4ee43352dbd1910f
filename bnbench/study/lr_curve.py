"""Measures of the learning-rate curve of one seed."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import ClassVar, cast

import pandas as pd

from bnbench.analysis.lr_range import LearningRateRange, usable_range
from bnbench.spec import ProbeName
from bnbench.study.measure import PLACE, Measure, Side, Tables

Place = tuple[str, str, int]
"""Arm, cell and pair."""


@dataclass(frozen=True, slots=True)
class Curve:
    """The runs of one seed at all learning rates of a cell.

    Attributes:
        lr: the learning rates, ascending.
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


def curves(runs: pd.DataFrame) -> dict[Place, Curve]:
    """The curve of each arm, cell and pair."""
    return {cast(Place, place): _curve(one) for place, one in runs.sort_values("lr").groupby(PLACE)}


def _curve(runs: pd.DataFrame) -> Curve:
    accuracies = runs["val"].round(9).tolist()
    if not runs["counted"].all():
        return Curve(runs["lr"].tolist(), None)
    best = accuracies.index(max(accuracies))
    limits = usable_range(accuracies, runs["diverged"].astype(float).tolist(), best, float(runs["chance"].iloc[0]))
    return Curve(runs["lr"].tolist(), limits)


@dataclass(frozen=True, slots=True)
class UsableDecades(Measure):
    """Width in decades of the usable learning rates: the block around the best whose accuracy is 95% of the best's.

    Zero where nothing trains, NaN where the block touches an end of the grid.
    """

    every_lr: ClassVar[bool] = True

    @property
    def phrase(self) -> str:
        """The value in a few words."""
        return "width of the usable learning rates, in decades,"

    @property
    def probes(self) -> tuple[ProbeName, ...]:
        """Nothing is measured inside training."""
        return ()

    def values(self, tables: Tables) -> pd.Series[float]:
        """Decades."""
        return _series({place: _width(curve) for place, curve in curves(tables.runs).items()})


def _width(curve: Curve) -> float:
    limits = curve.range
    if limits is None or curve.open_sides & {"low"} or limits.high == len(curve.lr) - 1:
        return math.nan
    if limits.low is None or limits.high is None:
        return 0.0
    return math.log10(curve.lr[limits.high] / curve.lr[limits.low])


@dataclass(frozen=True, slots=True)
class LargestLearningRate(Measure):
    """The largest learning rate that trains: accuracy at least halfway from chance to the best of its curve.

    Zero where nothing trains, NaN where it is the largest of the grid.
    """

    every_lr: ClassVar[bool] = True

    @property
    def phrase(self) -> str:
        """The value in a few words."""
        return "the largest learning rate that trains"

    @property
    def probes(self) -> tuple[ProbeName, ...]:
        """Nothing is measured inside training."""
        return ()

    def values(self, tables: Tables) -> pd.Series[float]:
        """Learning rate."""
        return _series({place: _largest(curve) for place, curve in curves(tables.runs).items()})


def _largest(curve: Curve) -> float:
    if curve.range is None or curve.range.largest == len(curve.lr) - 1:
        return math.nan
    return 0.0 if curve.range.largest is None else curve.lr[curve.range.largest]


def _series(values: dict[Place, float]) -> pd.Series[float]:
    index = pd.MultiIndex.from_tuples(list(values), names=PLACE)
    return pd.Series(list(values.values()), index=index, dtype=float)
