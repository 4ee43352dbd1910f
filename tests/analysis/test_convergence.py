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
    return {names[row.row]: row for times in numbers.targets for row in times.rows}


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


def fastest(*rows: tuple[dict[str, object], int]) -> list[str]:
    """Labels of the fastest of some rows, given by their settings and the hundreds of steps that each took."""
    runs = runs_of(*(settings for settings, _ in rows))
    return [
        name
        for name, row in rows_of(runs, {f"r{at}": steps for at, (_, steps) in enumerate(rows) if steps}).items()
        if row.fastest
    ]


@pytest.mark.parametrize(
    "place",
    [
        {"batch_size": 16},
        {"model": "cnn"},
        {"model.depth": 5},
        {"dataset": "mnist"},
        {"dataset.augment": True},
        {"data": "1f2e"},
    ],
)
def test_the_fastest_is_that_of_the_rows_with_its_model_data_and_batch_size(place: dict[str, object]) -> None:
    usual = {"model": "mlp", "model.depth": 2, "dataset.augment": False, "data": "0a1b"}
    slow = [({**usual, "norm": "none"}, 4), ({**usual, "norm": "batch"}, 3)]
    fast = [({**usual, **place, "norm": "none"}, 2), ({**usual, **place, "norm": "batch"}, 1)]
    assert len(fastest(*slow, *fast)) == 2
    assert all(name.endswith("batch") for name in fastest(*slow, *fast))


def test_the_fastest_may_be_several_or_none() -> None:
    assert fastest(({"norm": "none"}, 2), ({"norm": "batch"}, 2), ({"norm": "group"}, 3)) == ["none", "batch"]
    assert fastest(({"norm": "none"}, 0), ({"norm": "batch"}, 0)) == []
    assert fastest(({"norm": "none", "batch_size": 16}, 1), ({"norm": "none", "batch_size": 64}, 2)) == []
