"""What probes measured inside the runs of each row, over their seeds."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pandas as pd

from bnbench.analysis.accuracy import without_unstable_divergence

PERCENTILES = ["p15", "p50", "p85"]
WHOLE = "network"
"""The layer of numbers that belong to none."""


def readings(runs: pd.DataFrame, probes: pd.DataFrame, probe: str, names: Sequence[str]) -> pd.DataFrame:
    """Numbers of a probe with the ``row`` of their run; runs that diverged in an unstable row are left out.

    Args:
        runs: ``run_id``, ``row`` and ``diverged`` of each result.
        probes: as in probes.csv.
        probe: its name.
        names: of the numbers.
    """
    lines = probes[(probes["probe"] == probe) & probes["name"].isin(names) & np.isfinite(probes["value"])]
    return without_unstable_divergence(runs, ["row"])[["run_id", "row"]].merge(lines, on="run_id")


def over_seeds(values: pd.DataFrame, by: Sequence[str]) -> pd.DataFrame:
    """``mean``, ``low`` and ``high`` over ``n`` seeds of the values of each group."""
    table = values.groupby(list(by), sort=False)["value"].agg(mean="mean", low="min", high="max", n="size")
    return table.reset_index().sort_values(list(by), kind="stable").reset_index(drop=True)


def gradient_norms(runs: pd.DataFrame, probes: pd.DataFrame) -> pd.DataFrame:
    """Norm of each layer's gradient before the first step and at the last pause, over the seeds of each row.

    Returns:
        ``row``, ``pause`` (``first`` or ``last``), ``place`` (of a layer with weights, from the input, 1 is the first),
        ``layer``, and the columns of :func:`over_seeds`.
    """
    lines = readings(runs, probes, "gradient_flow", ["gradient_norm"])
    lines = lines.assign(place=lines.groupby(["run_id", "step"]).cumcount() + 1)
    steps = lines.groupby("run_id")["step"]
    ends = {"first": lines["step"] == steps.transform("min"), "last": lines["step"] == steps.transform("max")}
    parts = [lines[here].assign(pause=pause) for pause, here in ends.items()]
    return over_seeds(pd.concat(parts), ["row", "pause", "place", "layer"])


def drifts(runs: pd.DataFrame, probes: pd.DataFrame) -> pd.DataFrame:
    """Drift of the inputs of activation functions since the first pause, by ``step``, over the seeds of each row.

    The drift of a unit is the mean over its 15th, 50th and 85th percentile of their distance from the first pause, in
    standard deviations of the unit there; that of a run is the mean over its units.
    """
    lines = readings(runs, probes, "covariate_shift_distribution", [*PERCENTILES, "std"])
    if lines.empty:
        return over_seeds(lines, ["row", "step"])
    wide = lines.pivot_table(index=["row", "run_id", "layer", "step"], columns="name", values="value")
    first = wide.groupby(["row", "run_id", "layer"]).transform("first")
    moved = (wide - first)[PERCENTILES].abs().mean(axis=1) / first["std"]
    of_run = moved[np.isfinite(moved)].groupby(["row", "run_id", "step"]).mean().rename("value")
    return over_seeds(of_run.reset_index(), ["row", "step"])


def landscapes(runs: pd.DataFrame, probes: pd.DataFrame) -> pd.DataFrame:
    """Means over ``n`` seeds of each row, by ``step``: ``loss``, its ``lowest`` and ``highest`` along the gradient."""
    names = {"loss": "loss", "loss_lowest": "lowest", "loss_highest": "highest"}
    lines = readings(runs, probes, "landscape", list(names))
    groups = lines.groupby(["row", "step", "name"])["value"]
    means = groups.mean().unstack("name").reindex(columns=list(names)).rename(columns=names).dropna()
    seeds = lines.groupby(["row", "step"])["run_id"].nunique().rename("n")
    return means.join(seeds).reset_index()


def costs(runs: pd.DataFrame, probes: pd.DataFrame, probe: str, name: str) -> pd.DataFrame:
    """A number of the whole network at the last pause, over the seeds of each row."""
    lines = readings(runs, probes, probe, [name])
    lines = lines[lines["layer"] == WHOLE]
    return over_seeds(lines[lines["step"] == lines.groupby("run_id")["step"].transform("max")], ["row"])
