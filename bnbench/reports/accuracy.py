"""Accuracies of groups of runs: mean and standard deviation over seeds, with the share that diverged."""

from __future__ import annotations

from collections.abc import Sequence

import pandas as pd

from bnbench.reports.view import Cell, Mark
from bnbench.reports.wording import percent

CHANCE_NOTE = "A diverged run scores at chance (1 / classes); div 2/3: two of three seeds diverged."
NOTHING = Cell("-")


def summarize(counted: pd.DataFrame, by: Sequence[str], score: str) -> pd.DataFrame:
    """Mean, sd (n - 1 in the denominator; NaN for one seed), n and diverged runs of every group."""
    groups = counted.groupby(list(by))
    table = groups[score].agg(["mean", "std", "count"])
    return table.assign(diverged=groups["diverged"].sum())


def accuracy_cell(mean: float, sd: float, n: int, diverged: int = 0, usual: int = 0, mark: Mark = "") -> Cell:
    """``97.2 ± 0.3``, with ``div 1/3`` if runs diverged and ``n=2`` if there are fewer seeds than ``usual``."""
    if n == 0:
        return NOTHING
    parts = [percent(mean) + ("" if n == 1 else f" ± {percent(sd)}")] if diverged < n else []
    parts += [f"div {diverged}/{n}"] if diverged else []
    parts += [f"n={n}"] if n < usual else []
    spread = float(sd) if n > 1 else None
    return Cell(" ".join(parts), value=float(mean), spread=spread, n=n, mark="bad" if diverged == n else mark)


def seeds_note(usual: int, what: str) -> str:
    """How many seeds stand behind the numbers."""
    if usual <= 1:
        return f"{what} of one seed: no spread can be told."
    return f"{what}: mean ± standard deviation over {usual} seeds (n is shown where there are fewer)."
