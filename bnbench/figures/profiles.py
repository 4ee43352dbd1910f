"""Performance profiles: on how many tasks each arm is within a factor of the fastest (Dolan & Moré 2002)."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace

import numpy as np
import pandas as pd

from bnbench.analysis import Convergence, Rows
from bnbench.analysis.convergence import RowTimes
from bnbench.analysis.rows import labels
from bnbench.figures.assembly import Sheet, assembled
from bnbench.figures.charts import Spec, apart, chart, layer, legend, logarithmic, only, quantity, records, series
from bnbench.figures.figure import Figure
from bnbench.figures.places import Place, places_of, with_names
from bnbench.stats import LARGEST_RATIO, performance_profile, time_ratios
from bnbench.text import general, listing

FEWEST = 2
"""Tasks that make a profile."""
TICKS = (1.0, 1.5, 2.0, 3.0, 4.0)
COLUMNS = {
    "targets": "target_val_accuracy",
    "ratio": "steps_over_fewest_steps",
    "share": "share_of_tasks",
    "tasks": "tasks",
}
Task = tuple[str, ...]
Arms = Mapping[str, Mapping[Task, int]]
"""By arm, its row on each task."""


def profiles(numbers: Convergence) -> Figure | str:
    """The profile of each arm over tasks; the reason where there is nothing to draw.

    An arm is what the last column of names tells, a norm where norms vary; a task is all else that rows differ in. Only
    arms and tasks of which all pairs were tried are compared, as many pairs as there can be. Rows whose seeds disagree
    on divergence count as misses.
    """
    arms, tasks = _pairs(numbers.rows)
    if not arms:
        return "it takes two or more rows that were tried on the same two or more tasks"
    parts = [_profile(arms, tasks, *target) for target in _targets(numbers)]
    frame = pd.concat(parts, ignore_index=True) if parts else pd.DataFrame()
    if frame.empty:
        return "there is no target that all tasks have"
    sheet = Sheet(
        "performance-profiles",
        "Performance profiles",
        f"Share of {len(tasks)} tasks (combinations of all other settings) on which a row reaches the target within a"
        f" factor of the fewest median steps, up to {LARGEST_RATIO:g} (logarithmic); lines at one height are drawn a"
        " little apart.",
        "share of tasks within a factor of the fewest steps",
        COLUMNS,
    )
    here = places_of(numbers.rows, {rows[tasks[0]] for rows in arms.values()})
    return assembled(sheet, frame, _places(here, list(dict.fromkeys(frame["part"]))), _drawing)


def _pairs(rows: Rows) -> tuple[Arms, list[Task]]:
    """Arms and tasks of which all pairs were tried; none where either would be fewer than two.

    The tasks are those that all arms have, or those of one arm, with the arms that have them all.
    """
    arms: dict[str, dict[Task, int]] = {}
    for row, words in labels(rows).items():
        arms.setdefault(words[-1], {})[words[:-1]] = row
    every = dict.fromkeys(task for tasks in arms.values() for task in tasks)
    of_all = [task for task in every if all(task in tasks for tasks in arms.values())]
    found: tuple[Arms, list[Task]] = {}, []
    for tasks in [of_all, *map(list, arms.values())]:
        having = {arm: its for arm, its in arms.items() if all(task in its for task in tasks)}
        is_profile = len(having) >= FEWEST and len(tasks) >= FEWEST
        if is_profile and len(having) * len(tasks) > len(found[0]) * len(found[1]):
            found = having, tasks
    return found


def _targets(numbers: Convergence) -> Iterator[tuple[str, dict[int, float]]]:
    """The first targets of all datasets, then their second ones: what they are, and the median steps of each row."""
    datasets = list(dict.fromkeys(times.dataset for times in numbers.targets))
    of_dataset = [[times for times in numbers.targets if times.dataset == dataset] for dataset in datasets]
    for together in zip(*of_dataset, strict=False):
        texts = dict.fromkeys(f"{general(round(100 * times.target, 6))}%" for times in together)
        yield listing(list(texts)), {row.row: _steps(row) for times in together for row in times.rows}


def _steps(row: RowTimes) -> float:
    return math.inf if row.times is None or row.unstable else row.times.median["step"]


def _profile(arms: Arms, tasks: Sequence[Task], targets: str, steps: Mapping[int, float]) -> pd.DataFrame:
    """A line per arm and factor at which any arm rises."""
    times_AT = np.array([[steps.get(rows[task], math.inf) for task in tasks] for rows in arms.values()])
    ratios_AT = time_ratios(times_AT)
    ratios_R = np.unique([1.0, *ratios_AT[ratios_AT <= LARGEST_RATIO].tolist(), LARGEST_RATIO])
    shares_AR = performance_profile(times_AT, ratios_R)
    lines = [
        {"row": rows[tasks[0]], "ratio": ratio, "share": share}
        for rows, shares_R in zip(arms.values(), shares_AR.tolist(), strict=True)
        for ratio, share in zip(ratios_R.tolist(), shares_R, strict=True)
    ]
    return pd.DataFrame(lines).assign(targets=targets, part=f"to {targets}", tasks=len(tasks))


def _places(here: Sequence[Place], parts: Sequence[str]) -> list[Place]:
    """The panels of each target, named by it and not by the task whose rows stand for the arms."""
    pieces = [f", part {at} of {len(here)}" if len(here) > 1 else "" for at in range(1, len(here) + 1)]
    return with_names(
        [
            replace(place, title=part + piece, part=part)
            for part in parts
            for place, piece in zip(here, pieces, strict=True)
        ]
    )


def _drawing(place: Place, part: pd.DataFrame, others: pd.DataFrame) -> Spec:
    x = logarithmic("x", "steps over the fewest steps", TICKS, margin=0.02)
    y = quantity("y", "share of tasks", ".0%", scale={"domain": [-0.04, 1.05], "nice": False})
    part = apart(place.members, part, "share")
    style, lines = series(place.members), records(part, x="ratio", y="y", s="s")
    ends = records(part[part["ratio"] == LARGEST_RATIO], x="ratio", y="y", s="s")
    return chart(
        [
            layer("line", lines, {"x": x, "y": y, **only(style, "color", "strokeDash")}, interpolate="step-after"),
            layer("point", ends, {"x": x, "y": y, **only(style, "color", "shape")}),
            *legend(place.members),
        ]
    )
