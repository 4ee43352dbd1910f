"""The learning rate of each replicate of an arm in a cell, chosen on validation; a grid that is too narrow grows."""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass, field

import pandas as pd

from bnbench.analysis import read_trials
from bnbench.analysis.lr_choice import best_lr
from bnbench.study.design import Group
from bnbench.study.measure import Side
from bnbench.text import plural

MOST_EXTENSIONS = 2
"""The most times that a grid may grow."""
WIDENS = 0.1
"""A grid grows where more than this share of a group's replicates choose its end."""
DOUBTFUL = 0.25
"""Choices cannot be relied on where more than this share of replicates still choose an end of the grid."""

Grids = dict[str, list[float]]
"""The learning rates that all arms of a cell are trained at, ascending."""
Choices = dict[Group, dict[int, float]]
"""The learning rate that each replicate of a group chose."""


@dataclass(frozen=True)
class Tuning:
    """The learning rates that the arms are compared at.

    Attributes:
        chosen: by arm and cell, and by replicate; without those that have no result to choose by.
        problems: why the choices of a group cannot be relied on.
    """

    chosen: Mapping[Group, Mapping[int, float]]
    problems: Mapping[Group, str] = field(default_factory=dict)


def tune(
    groups: Collection[Group],
    lr: Sequence[float],
    replicates: int,
    train: Callable[[Mapping[Group, Sequence[float]]], tuple[pd.DataFrame, pd.DataFrame]],
) -> Tuning:
    """Choose a learning rate for each replicate of each group; a single one is not tuned.

    Optima at an end of their grid widen the grid of the cell for all arms, so that their budgets stay equal.

    Args:
        lr: the grid to begin with, ascending.
        train: trains all replicates of groups at learning rates, and returns the table of these trials and that of
            their runs.
    """
    grids = {cell: list(lr) for _, cell in groups}
    if not groups or len(lr) == 1:
        return Tuning({group: dict.fromkeys(range(replicates), lr[0]) for group in groups})
    for extension in range(MOST_EXTENSIONS + 1):
        choices, missing = choose(*train({(arm, cell): grids[cell] for arm, cell in groups}))
        sides = open_sides(grids, choices)
        if not sides or extension == MOST_EXTENSIONS:
            break
        grids = widened(grids, sides)
    problems = {group: text for group in groups if (text := _problem(group, grids, choices, missing, replicates))}
    return Tuning(choices, problems)


def choose(table: pd.DataFrame, runs: pd.DataFrame) -> tuple[Choices, dict[Group, int]]:
    """The best learning rate of each replicate by mean validation accuracy, and how many runs have no result.

    Args:
        table: ``arm``, ``cell``, ``pair`` and ``run_id`` of each tuning run.
        runs: as in runs.csv.
    """
    trials = read_trials(runs)
    runs = table[["arm", "cell", "pair", "run_id"]].merge(trials.frame, on="run_id")
    best = best_lr(runs[runs["counted"]], ["arm", "cell", "pair"])
    missing = runs[~runs["counted"]].groupby(["arm", "cell"]).size()
    rates = {code: float(level or 0) for code, level in enumerate(trials.levels["lr"])}
    choices: Choices = {}
    for (arm, cell, pair), choice in best.items():
        choices.setdefault((arm, cell), {})[int(pair)] = rates[choice.code]
    return choices, dict(zip(missing.index.tolist(), missing.tolist(), strict=True))


def open_sides(grids: Grids, choices: Choices) -> set[tuple[str, Side]]:
    """The ends of grids that more than a few replicates of some group choose."""
    sides: set[tuple[str, Side]] = set()
    for (_, cell), chosen in choices.items():
        low, high = _at_ends(grids[cell], chosen)
        sides |= {(cell, "low")} if low > WIDENS * len(chosen) else set()
        sides |= {(cell, "high")} if high > WIDENS * len(chosen) else set()
    return sides


def _at_ends(grid: Sequence[float], chosen: Mapping[int, float]) -> tuple[int, int]:
    """How many replicates chose the lowest, and how many the highest learning rate."""
    return sum(lr <= grid[0] for lr in chosen.values()), sum(lr >= grid[-1] for lr in chosen.values())


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


def _problem(group: Group, grids: Grids, choices: Choices, missing: Mapping[Group, int], replicates: int) -> str:
    arm, cell = group
    grid = grids[cell]
    if group in missing or group not in choices:
        amount = plural(missing[group], "tuning run") if group in missing else "all tuning runs"
        verb = "has" if missing.get(group) == 1 else "have"
        return f"{amount} of {arm} {verb} no result, so its learning rate is open"
    at_end = max(_at_ends(grid, choices[group]))
    if at_end <= DOUBTFUL * replicates:
        return ""
    return (
        f"{at_end} of {plural(replicates, 'replicate')} of {arm} choose a learning rate at the end of the grid"
        f" {grid[0]:g} to {grid[-1]:g}, which was widened {MOST_EXTENSIONS} times"
    )
