"""Measures of the runs of a study: one value per arm, cell and replicate."""

from __future__ import annotations

from abc import ABC, abstractmethod
from dataclasses import dataclass
from typing import ClassVar, Literal

import pandas as pd

from bnbench.spec import ProbeName
from bnbench.stats import Estimand

PLACE = ["arm", "cell", "pair"]
"""The columns that tell the values apart; ``pair`` counts the replicates."""
Side = Literal["low", "high"]


@dataclass(frozen=True, slots=True)
class Tables:
    """The results of a study.

    Attributes:
        runs: a line per run that counts: ``arm``, ``cell``, ``pair``, ``lr``, ``run_id``, ``counted`` (it is a result),
            ``diverged``, ``val`` and ``test`` (final accuracy; a diverged run scores at ``chance``), ``steps_done``,
            ``refined`` (the learning rate lies between two of the grid).
        metrics: as in metrics.csv.
        probes: as in probes.csv.
    """

    runs: pd.DataFrame
    metrics: pd.DataFrame
    probes: pd.DataFrame


class Measure(ABC):
    """One number of a run, or of the runs of one replicate at all learning rates."""

    every_lr: ClassVar[bool] = False
    """Replicates report at every learning rate, not at the chosen one alone."""
    estimand: ClassVar[Estimand] = "mean"
    missed: ClassVar[str] = "infinite"
    """The name of a value without an upper limit."""
    splits: ClassVar[bool] = False
    """The value of a run that diverges is far from those of runs that train, so both are told."""

    @property
    def percent(self) -> bool:
        """The value is a share, written in percent."""
        return False

    @property
    @abstractmethod
    def phrase(self) -> str:
        """The value in a few words."""

    @property
    @abstractmethod
    def probes(self) -> tuple[ProbeName, ...]:
        """The probes that must measure inside training."""

    @abstractmethod
    def values(self, tables: Tables) -> pd.DataFrame:
        """The least and the most that each value can be, ``low`` and ``high``, indexed by arm, cell and pair.

        They are equal where the value is known, and NaN where a run has none.
        """


def values_of(measure: Measure, tables: Tables) -> pd.DataFrame:
    """The values of a measure; none where nothing was trained, as no learning rate could be chosen."""
    if tables.runs.empty:
        nowhere = pd.MultiIndex.from_arrays([[], [], []], names=PLACE)
        return exact(pd.Series(index=nowhere, dtype=float))
    return measure.values(tables)


def exact(values: pd.Series[float]) -> pd.DataFrame:
    """Values that are known."""
    return pd.DataFrame({"low": values, "high": values})


def align(runs: pd.DataFrame, by_run: pd.Series[float]) -> pd.Series[float]:
    """Values by run_id as values by arm, cell and pair; NaN for a run that is not a result."""
    values = runs["run_id"].map(by_run).where(runs["counted"]).astype(float)
    return values.set_axis(pd.MultiIndex.from_frame(runs[PLACE]))
