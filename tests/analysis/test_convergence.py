"""Times to a target and speed-ups as numbers."""

from __future__ import annotations

import math

import pandas as pd
import pytest

from bnbench.analysis import Options, analyze_convergence, read_trials
from bnbench.analysis.convergence import RowTimes
from bnbench.analysis.rows import labels

from .frames import metrics_of, runs_of

NONE = {"norm": "none"}


def rows_of(runs: pd.DataFrame, steps: dict[str, int]) -> dict[str, RowTimes]:
    """Rows by their labels; a run reaches 0.9 after its hundreds of ``steps``."""
    metrics = metrics_of({run: [0.1] * (hundreds - 1) + [0.9] for run, hundreds in steps.items()})
    numbers = analyze_convergence(read_trials(runs, NONE), metrics, Options(NONE, (0.9,)))
    names = {row: " ".join(words) for row, words in labels(numbers.rows).items()}
    return {names[row.row]: row for table in numbers.tables for row in table.rows}


def test_times_are_over_seeds_and_a_miss_is_infinite() -> None:
    runs = runs_of(*({"norm": norm, "seed": seed} for norm in ("none", "batch") for seed in range(3)))
    rows = rows_of(runs, {"r0": 4, "r1": 6, "r3": 2, "r4": 1, "r5": 3})
    times = rows["none"].times
    assert times is not None
    assert (times.hits, times.n, times.median["step"], times.low["step"]) == (2, 3, 600.0, 400.0)
    assert math.isinf(times.high["step"])
    speed_up = rows["batch"].speed_up
    assert speed_up is not None and (speed_up.reading, speed_up.value) == ("ratio", 3.0)


@pytest.mark.parametrize(
    ("steps", "reading", "value"),
    [
        ({"r0": 4, "r1": 2}, "ratio", 2.0),
        ({"r1": 2}, "above", 5.0),
        ({"r0": 4}, "never", 0.0),
        ({}, "neither", math.nan),
    ],
)
def test_each_reading_of_a_speed_up(steps: dict[str, int], reading: str, value: float) -> None:
    rows = rows_of(runs_of(NONE, {"norm": "batch"}), steps)
    speed_ups = [row.speed_up for row in rows.values()]
    assert [one and one.reading for one in speed_ups] == ["baseline", reading]
    assert speed_ups[1] is not None and speed_ups[1].value == pytest.approx(value, nan_ok=True)
