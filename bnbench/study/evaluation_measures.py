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
from bnbench.study.measure import Measure, Tables, align, exact


@dataclass(frozen=True, slots=True)
class FinalAccuracy(Measure):
    """Accuracy on the test set at the end; a diverged run scores at chance."""

    splits: ClassVar[bool] = True

    @property
    def percent(self) -> bool:
        """Accuracies are shares."""
        return True

    @property
    def phrase(self) -> str:
        """The value in a few words."""
        return "test accuracy"

    @property
    def probes(self) -> tuple[ProbeName, ...]:
        """Nothing is measured inside training."""
        return ()

    def values(self, tables: Tables) -> pd.DataFrame:
        """Accuracy as a fraction."""
        return exact(align(tables.runs, tables.runs.drop_duplicates("run_id").set_index("run_id")["test"]))


@dataclass(frozen=True, slots=True)
class StepsToTarget(Measure):
    """Steps until the validation accuracy is not below ``target`` at an evaluation.

    A run that ends without took longer than what it spent; one that diverges before never gets there.
    """

    target: float
    estimand: ClassVar[Estimand] = "median"
    missed: ClassVar[str] = "never reached"

    @property
    def phrase(self) -> str:
        """The value in a few words."""
        return f"steps to {target(self.target)} validation accuracy"

    @property
    def probes(self) -> tuple[ProbeName, ...]:
        """Nothing is measured inside training."""
        return ()

    def values(self, tables: Tables) -> pd.DataFrame:
        """Steps."""
        hits = tables.metrics[tables.metrics["val_accuracy"] >= self.target - TOLERANCE]
        runs = tables.runs.drop_duplicates("run_id").set_index("run_id")
        first = hits.groupby("run_id")["step"].min().reindex(runs.index)
        spent = runs["steps_done"].mask(runs["diverged"], np.inf)
        low, high = first.fillna(spent), first.fillna(np.inf)
        return pd.DataFrame({"low": align(tables.runs, low), "high": align(tables.runs, high)})


@dataclass(frozen=True, slots=True)
class GeneralizationGap(Measure):
    """Validation loss less training loss at the first evaluation with a training loss of at most ``train_loss``.

    A run that never gets there could have any.
    """

    train_loss: float
    estimand: ClassVar[Estimand] = "median"
    missed: ClassVar[str] = "never got there"

    @property
    def phrase(self) -> str:
        """The value in a few words."""
        return f"validation loss less training loss, once training loss is {self.train_loss:g},"

    @property
    def probes(self) -> tuple[ProbeName, ...]:
        """Nothing is measured inside training."""
        return ()

    def values(self, tables: Tables) -> pd.DataFrame:
        """Difference of losses."""
        there = tables.metrics[tables.metrics["train_loss"] <= self.train_loss]
        first = there.sort_values("step").drop_duplicates("run_id").set_index("run_id")
        gap = (first["val_loss"] - first["train_loss"]).reindex(tables.runs["run_id"].unique())
        return pd.DataFrame(
            {"low": align(tables.runs, gap.fillna(-np.inf)), "high": align(tables.runs, gap.fillna(np.inf))}
        )
