"""Measures of single runs that follow from their evaluations."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import numpy as np
import pandas as pd

from bnbench.analysis.time_to_target import TOLERANCE
from bnbench.reports.wording import target
from bnbench.spec import ProbeName
from bnbench.stats import Estimand
from bnbench.study.measure import Measure, Tables, align


@dataclass(frozen=True, slots=True)
class FinalAccuracy(Measure):
    """Accuracy on the test set at the end; a diverged run scores at chance."""

    percent: ClassVar[bool] = True

    @property
    def phrase(self) -> str:
        """The value in a few words."""
        return "test accuracy"

    @property
    def probes(self) -> tuple[ProbeName, ...]:
        """Nothing is measured inside training."""
        return ()

    def values(self, tables: Tables) -> pd.Series[float]:
        """Accuracy as a fraction."""
        return align(tables.runs, tables.runs.drop_duplicates("run_id").set_index("run_id")["test"])


@dataclass(frozen=True, slots=True)
class StepsToTarget(Measure):
    """Steps until the validation accuracy is not below ``target`` at an evaluation; a miss is infinite."""

    target: float
    estimand: ClassVar[Estimand] = "median"

    @property
    def phrase(self) -> str:
        """The value in a few words."""
        return f"steps to {target(self.target)} validation accuracy"

    @property
    def probes(self) -> tuple[ProbeName, ...]:
        """Nothing is measured inside training."""
        return ()

    def values(self, tables: Tables) -> pd.Series[float]:
        """Steps."""
        hits = tables.metrics[tables.metrics["val_accuracy"] >= self.target - TOLERANCE]
        first = hits.groupby("run_id")["step"].min().reindex(tables.runs["run_id"].unique())
        return align(tables.runs, first.fillna(np.inf))


@dataclass(frozen=True, slots=True)
class GeneralizationGap(Measure):
    """Validation loss less training loss at the first evaluation with a training loss of at most ``train_loss``."""

    train_loss: float

    @property
    def phrase(self) -> str:
        """The value in a few words."""
        return f"validation loss less training loss, once training loss is {self.train_loss:g},"

    @property
    def probes(self) -> tuple[ProbeName, ...]:
        """Nothing is measured inside training."""
        return ()

    def values(self, tables: Tables) -> pd.Series[float]:
        """Difference of losses; NaN where the training loss is never reached."""
        there = tables.metrics[tables.metrics["train_loss"] <= self.train_loss]
        first = there.sort_values("step").drop_duplicates("run_id").set_index("run_id")
        return align(tables.runs, first["val_loss"] - first["train_loss"])
