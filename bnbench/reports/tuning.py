"""The choice of the learning rate: by mean validation accuracy over seeds, never by test accuracy."""

from __future__ import annotations

from collections.abc import Sequence

import pandas as pd

from bnbench.reports.accuracy import UNSTABLE, divergence
from bnbench.reports.levels import Level, level_texts
from bnbench.reports.view import Cell

TRAINS = 0.5
"""What a mean has to reach to count as trained: this share of the way from chance to the best mean."""

EDGE_NOTE = "edge: the best lr is the lowest or highest of its grid; a wider grid may hold a better one."


def best_lr(counted: pd.DataFrame, by: Sequence[str], stable_first: bool = False) -> pd.DataFrame:
    """Choose a learning rate for every group of runs.

    Equal means go to the lower learning rate. A diverged run scores at chance.

    Args:
        counted: runs with ``val``, ``chance``, ``diverged`` and the codes of ``lr``.
        by: columns that make the groups.
        stable_first: choose one at which some seeds diverged and some did not only where no other trains.

    Returns:
        indexed by ``by``: ``lr`` (code), ``tried`` (learning rates in the group's grid), ``edge`` (whether the choice
        is the lowest or highest of at least two) and ``unstable`` (whether the seeds disagree at the choice).
    """
    by = list(by)
    groups = counted.groupby([*by, "lr"])
    means = groups[["val", "chance"]].mean().round(9).join(divergence(counted, [*by, "lr"])["unstable"]).reset_index()
    grid = means.groupby(by)["lr"].agg(["min", "max", "size"])
    above = means["val"] - means["chance"]
    top = above.groupby([means[name] for name in by]).transform("max")
    trains = (above > 0) & (above >= TRAINS * top - 1e-9)
    means["first"] = trains & ~means["unstable"] & stable_first
    chosen = means.sort_values([*by, "first", "val", "lr"], ascending=[*([True] * len(by)), False, False, True])
    best = chosen.drop_duplicates(by).set_index(by)
    edge = ((best["lr"] == grid["min"]) | (best["lr"] == grid["max"])) & (grid["size"] > 1)
    return pd.DataFrame({"lr": best["lr"], "tried": grid["size"], "edge": edge, "unstable": best["unstable"]})


def keep_best(counted: pd.DataFrame, best: pd.DataFrame, by: Sequence[str]) -> pd.DataFrame:
    """The runs at their group's chosen learning rate."""
    chosen = counted[list(by)].join(best["lr"].rename("chosen"), on=list(by))["chosen"]
    return counted[counted["lr"] == chosen]


def lr_cell(levels: Sequence[Level], code: int, edge: bool = False, unstable: bool = False) -> Cell:
    """A chosen learning rate, marked when it is at the edge of its grid, or seeds disagree there."""
    marks = [*(["edge"] if edge else []), *([UNSTABLE] if unstable else [])]
    return Cell(" ".join([level_texts(levels)[code], *marks]), value=levels[code], mark="bad" if marks else "")
