"""The learning rate of each arm in each cell, chosen on validation; a grid that is too narrow grows."""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass, field

import pandas as pd

from bnbench.analysis import read_trials
from bnbench.analysis.lr_choice import best_lr
from bnbench.study.design import Group, Rates
from bnbench.study.measure import Side
from bnbench.text import plural

MOST_EXTENSIONS = 2
"""The most times that a grid may grow."""

Grids = dict[str, list[float]]
"""The learning rates that all arms of a cell are trained at, ascending."""


@dataclass(frozen=True)
class Tuning:
    """The learning rates that the arms are compared at.

    Attributes:
        grids: what was tried; equal for all arms of a cell.
        chosen: by arm and cell.
        problems: why a choice cannot be relied on.
    """

    grids: Grids
    chosen: Mapping[Group, float]
    problems: Mapping[Group, str] = field(default_factory=dict)


def tune(
    groups: Collection[Group], lr: Sequence[float], train: Callable[[Rates], tuple[pd.DataFrame, pd.DataFrame]]
) -> Tuning:
    """Choose a learning rate for each group; a single one is not tuned.

    An optimum at an end of its grid widens the grid of its cell for all arms, so that their budgets stay equal.

    Args:
        lr: the grid to begin with, ascending.
        train: trains groups at learning rates, and returns the table of these trials and that of their runs.
    """
    grids = {cell: list(lr) for _, cell in groups}
    if not groups or len(lr) == 1:
        return Tuning(grids, dict.fromkeys(groups, lr[0]))
    choices, missing = choose(*train({(arm, cell): grids[cell] for arm, cell in groups}))
    for _ in range(MOST_EXTENSIONS):
        sides = open_sides(grids, choices)
        if not sides:
            break
        grids = widened(grids, sides)
        choices, missing = choose(*train({(arm, cell): grids[cell] for arm, cell in groups}))
    problems = {group: text for group in groups if (text := _problem(group, grids, choices, missing))}
    return Tuning(grids, choices, problems)


def choose(table: pd.DataFrame, runs: pd.DataFrame) -> tuple[dict[Group, float], dict[Group, int]]:
    """The best learning rate of each group by mean validation accuracy, and how many of its runs have no result.

    Args:
        table: ``arm``, ``cell``, ``run_id`` of each tuning run.
        runs: as in runs.csv.
    """
    trials = read_trials(runs)
    runs = table[["arm", "cell", "run_id"]].merge(trials.frame, on="run_id")
    best = best_lr(runs[runs["counted"]], ["arm", "cell"])
    missing = runs[~runs["counted"]].groupby(["arm", "cell"]).size()
    rates = {code: float(level or 0) for code, level in enumerate(trials.levels["lr"])}
    choices = {group: rates[choice.code] for group, choice in best.items()}
    return choices, dict(zip(missing.index.tolist(), missing.tolist(), strict=True))


def open_sides(grids: Grids, choices: Mapping[Group, float]) -> set[tuple[str, Side]]:
    """The ends of grids that are somebody's choice."""
    low: set[tuple[str, Side]] = {(cell, "low") for (_, cell), lr in choices.items() if lr <= grids[cell][0]}
    return low | {(cell, "high") for (_, cell), lr in choices.items() if lr >= grids[cell][-1]}


def widened(grids: Grids, sides: Collection[tuple[str, Side]]) -> Grids:
    """Grids with one more learning rate at their open ends, as far from the last as that is from its neighbour."""
    wider = {}
    for cell, grid in grids.items():
        below = [_rounded(grid[0] * grid[0] / grid[1])] if (cell, "low") in sides else []
        above = [_rounded(grid[-1] * grid[-1] / grid[-2])] if (cell, "high") in sides else []
        wider[cell] = [*below, *grid, *above]
    return wider


def _rounded(lr: float) -> float:
    return float(f"{lr:.2g}")


def _problem(group: Group, grids: Grids, choices: Mapping[Group, float], missing: Mapping[Group, int]) -> str:
    arm, cell = group
    grid = grids[cell]
    if group in missing or group not in choices:
        amount = plural(missing[group], "tuning run") if group in missing else "all tuning runs"
        verb = "has" if missing.get(group) == 1 else "have"
        return f"{amount} of {arm} {verb} no result, so its learning rate is open"
    if grid[0] < choices[group] < grid[-1]:
        return ""
    return (
        f"the best learning rate of {arm}, {choices[group]:g}, is at the end of the grid {grid[0]:g} to {grid[-1]:g},"
        f" which was widened {MOST_EXTENSIONS} times"
    )
