"""Measures of single runs that probes take inside training."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import numpy as np
import pandas as pd

from bnbench.spec import ProbeName
from bnbench.study.measure import Measure, Tables, align, exact

PERCENTILES = ["p15", "p50", "p85"]
BUSY = 1.2
"""A step that takes more than this many times its CPU time ran beside other work."""


@dataclass(frozen=True, slots=True)
class ProbeValue(Measure):
    """A number of a probe before training, at its end, or averaged over all pauses.

    Attributes:
        name: of the number in probes.csv.
        layer: the layer to look at; without, the mean over all layers that have the number.
        ideal: if given, the value is its distance from the ideal: ``|ln(value / ideal)|``.
        called: the number in a few words, for people.
        share: the number is a share, such as an accuracy, and is written in percent.
    """

    probe: ProbeName
    name: str
    at: Literal["first", "last", "mean"] = "last"
    layer: str | None = None
    ideal: float | None = None
    called: str | None = None
    share: bool = False

    @property
    def percent(self) -> bool:
        """The value is a share; a distance from an ideal is none."""
        return self.share and self.ideal is None

    @property
    def probes(self) -> tuple[ProbeName, ...]:
        """The probe that must measure."""
        return (self.probe,)

    @property
    def phrase(self) -> str:
        """The value in a few words."""
        text = self.called or self.name.replace("_", " ")
        return text if self.ideal is None else f"the distance of {text} from {self.ideal:g} (in logarithms)"

    def values(self, tables: Tables) -> pd.DataFrame:
        """The number, in its own unit."""
        lines = tables.probes[(tables.probes["probe"] == self.probe) & (tables.probes["name"] == self.name)]
        lines = lines if self.layer is None else lines[lines["layer"] == self.layer]
        pauses = lines.groupby(["run_id", "step"])["value"].mean().groupby("run_id")
        of_run = pauses.mean() if self.at == "mean" else pauses.first() if self.at == "first" else pauses.last()
        if self.ideal is not None:
            with np.errstate(divide="ignore"):
                of_run = np.log(of_run / self.ideal).abs()
        return exact(align(tables.runs, of_run))


def load_note(probes: pd.DataFrame) -> str:
    """The load of the machine while steps were timed, if they waited for it; empty if not, and on a GPU.

    Args:
        probes: as in probes.csv.
    """
    if probes.empty:
        return ""
    rows = probes[probes["probe"] == "step_time"].groupby("name")["value"].median()
    load = float(rows.get("load", 1.0))
    if load <= BUSY:
        return ""
    average = f" (load average {rows['load_average']:.1f} per core)" if "load_average" in rows else ""
    return f"The machine was busy while steps were timed: they took {load:.1f} times their CPU time{average}."


@dataclass(frozen=True, slots=True)
class PercentileDrift(Measure):
    """Drift of the inputs of activation functions in training (Ioffe & Szegedy 2015, figure 1).

    Mean over units and the 15th, 50th and 85th percentile of ``|last - first|``, in standard deviations of the unit
    before training.
    """

    @property
    def phrase(self) -> str:
        """The value in a few words."""
        return "drift of the activations' inputs, in standard deviations,"

    @property
    def probes(self) -> tuple[ProbeName, ...]:
        """The probe that must measure."""
        return ("covariate_shift_distribution",)

    def values(self, tables: Tables) -> pd.DataFrame:
        """Drift in standard deviations."""
        lines = tables.probes[tables.probes["probe"] == self.probes[0]].sort_values("step")
        if lines.empty:  # every run failed before it was measured
            return exact(align(tables.runs, pd.Series(dtype=float)))
        ends = lines.groupby(["run_id", "layer", "name"])["value"].agg(["first", "last"]).unstack("name")
        moved = (ends["last"] - ends["first"])[PERCENTILES].abs().T.mean() / ends["first"]["std"]
        return exact(align(tables.runs, moved.groupby("run_id").mean()))
