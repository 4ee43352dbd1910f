"""Accuracies of groups of runs: mean and standard deviation over seeds, and whether the seeds agree that it trains."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import pandas as pd

from bnbench.reports.view import Cell, Mark
from bnbench.reports.wording import percent

UNSTABLE = "unstable"
CHANCE_NOTE = "div 3/3: all three seeds diverged, which counts as chance (1 / classes)."
UNSTABLE_NOTE = (
    "unstable, div 1/3: one of three seeds diverged, which rounding may decide at the edge of stability; numbers are of"
    " the n seeds that did not, nothing is compared with them, and such an lr is the best only where no stable one"
    " trains."
)
NOTHING = Cell("-")


def is_unstable(diverged: int, seeds: int) -> bool:
    """Whether some seeds diverged and some did not, so that a status is no property of what was trained."""
    return 0 < diverged < seeds


def divergence(counted: pd.DataFrame, by: Sequence[str]) -> pd.DataFrame:
    """``diverged`` runs and ``seeds`` of every group, and whether it is ``unstable``."""
    table = counted.groupby(list(by))["diverged"].agg(["sum", "size"]).set_axis(["diverged", "seeds"], axis=1)
    return table.assign(unstable=[is_unstable(diverged, seeds) for diverged, seeds in table.itertuples(index=False)])


def without_unstable_divergence(counted: pd.DataFrame, by: Sequence[str]) -> pd.DataFrame:
    """All runs but those that diverged in an unstable group."""
    unstable = counted[list(by)].join(divergence(counted, by)["unstable"], on=list(by))["unstable"]
    return counted[~(unstable & counted["diverged"])]


def summarize(counted: pd.DataFrame, by: Sequence[str], score: str) -> pd.DataFrame:
    """Mean, sd (n - 1 in the denominator; NaN for one seed) and n of every group, with its :func:`divergence`.

    Those of an unstable group are of the seeds that did not diverge: chance would be mixed into them otherwise.
    """
    scores = without_unstable_divergence(counted, by).groupby(list(by))[score].agg(["mean", "std", "count"])
    table: pd.DataFrame = scores.join(divergence(counted, by))
    return table


def accuracy_cell(summary: Sequence[Any], usual: int = 0, mark: Mark = "") -> Cell:
    """A line of :func:`summarize`: ``97.2 ± 0.3``, ``div 3/3`` or ``91.0 n=1 unstable, div 2/3``.

    ``n`` is shown where it is below ``usual``, and always in an unstable group.
    """
    mean, sd, n, diverged, seeds, unstable = summary
    share = f"div {diverged}/{seeds}"
    if n == 0:
        return Cell(f"{UNSTABLE}, {share}", n=0, mark="bad") if unstable else NOTHING
    accuracy = percent(mean) + ("" if n == 1 else f" ± {percent(sd)}")
    parts = [share if diverged == seeds else accuracy]
    parts += [f"n={n}"] if n < usual or unstable else []
    parts += [f"{UNSTABLE}, {share}"] if unstable else []
    spread = float(sd) if n > 1 else None
    return Cell(" ".join(parts), value=float(mean), spread=spread, n=int(n), mark="bad" if diverged else mark)


def divergence_notes(table: pd.DataFrame) -> list[str]:
    """What is said of diverged runs in these groups (:func:`divergence`)."""
    unstable = table["unstable"]
    alike = (table["diverged"] > 0) & ~unstable
    return [*([CHANCE_NOTE] if alike.any() else []), *([UNSTABLE_NOTE] if unstable.any() else [])]


def seeds_note(usual: int, what: str) -> str:
    """How many seeds stand behind the numbers."""
    if usual <= 1:
        return f"{what} of one seed: no spread can be told."
    return f"{what}: mean ± standard deviation over {usual} seeds (n is shown where there are fewer)."
