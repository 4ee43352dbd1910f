"""Learning curves: validation accuracy by step, over the seeds of a row."""

from __future__ import annotations

import pandas as pd

from bnbench.analysis.accuracy import without_unstable_divergence

COLUMNS = ["row", "step", "mean", "sd", "n", "diverged"]


def learning_curves(runs: pd.DataFrame, metrics: pd.DataFrame) -> pd.DataFrame:
    """A line per row and step: ``mean`` and ``sd`` of the validation accuracy over ``n`` seeds.

    The standard deviation has n - 1 in the denominator. Of a row whose seeds disagree on whether it diverges, runs that
    diverged are left out, as in its final accuracy. A row that diverged with all seeds ends at chance, at the step at
    which the last of them ended (``diverged``).

    Args:
        runs: ``run_id``, ``row``, ``diverged``, ``chance`` and ``steps_done`` of each result.
        metrics: one line per evaluation: ``run_id``, ``step``, ``val_accuracy``.
    """
    counted = without_unstable_divergence(runs, ["row"])
    lost = counted[counted["diverged"]]
    ends = lost.groupby("row").agg(step=("steps_done", "max"), mean=("chance", "mean"), n=("run_id", "size"))
    ends = ends.reset_index().dropna(subset=["step"]).assign(sd=0.0, diverged=True).astype({"step": "int64"})
    known = metrics.loc[metrics["val_accuracy"].notna(), ["run_id", "step", "val_accuracy"]]
    evaluations = counted[["run_id", "row"]].merge(known, on="run_id")
    groups = evaluations.groupby(["row", "step"])["val_accuracy"]
    curves = groups.agg(mean="mean", sd="std", n="size").reset_index().assign(diverged=False)
    last = curves["row"].map(ends.set_index("row")["step"])
    curves = curves[~(curves["step"] >= last)]
    parts = [part[COLUMNS] for part in (curves, ends) if len(part)]
    return pd.concat(parts).sort_values(["row", "step"]).reset_index(drop=True) if parts else curves[COLUMNS]
