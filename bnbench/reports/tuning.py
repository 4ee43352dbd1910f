"""The choice of the learning rate: by mean validation accuracy over seeds, never by test accuracy."""

from __future__ import annotations

from collections.abc import Sequence

import pandas as pd

from bnbench.reports.levels import Level, level_texts
from bnbench.reports.view import Cell

EDGE_NOTE = "edge: the best lr is the lowest or highest of its grid; a wider grid may hold a better one."


def best_lr(counted: pd.DataFrame, by: Sequence[str]) -> pd.DataFrame:
    """Choose a learning rate for every group of runs.

    Equal means go to the lower learning rate. A diverged run scores at chance.

    Args:
        counted: runs with ``val`` and the codes of ``lr``.
        by: columns that make the groups.

    Returns:
        indexed by ``by``: ``lr`` (code), ``tried`` (learning rates in the group's grid) and ``edge`` (whether the
        choice is the lowest or highest of at least two).
    """
    by = list(by)
    means = counted.groupby([*by, "lr"])["val"].mean().round(9).reset_index()
    grid = means.groupby(by)["lr"].agg(["min", "max", "size"])
    chosen = means.sort_values([*by, "val", "lr"], ascending=[*([True] * len(by)), False, True])
    best = chosen.drop_duplicates(by).set_index(by)["lr"]
    edge = ((best == grid["min"]) | (best == grid["max"])) & (grid["size"] > 1)
    return pd.DataFrame({"lr": best, "tried": grid["size"], "edge": edge})


def keep_best(counted: pd.DataFrame, best: pd.DataFrame, by: Sequence[str]) -> pd.DataFrame:
    """The runs at their group's chosen learning rate."""
    chosen = counted[list(by)].join(best["lr"].rename("chosen"), on=list(by))["chosen"]
    return counted[counted["lr"] == chosen]


def lr_cell(levels: Sequence[Level], code: int, edge: bool) -> Cell:
    """A chosen learning rate, marked when it is at the edge of its grid."""
    level = levels[code]
    text = level_texts(levels)[code]
    return Cell(f"{text} edge" if edge else text, value=level, mark="bad" if edge else "")
