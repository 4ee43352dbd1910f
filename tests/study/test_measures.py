"""Each measure against a few lines of pandas on tables written by hand."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pandas as pd
import pytest

from bnbench.study.evaluation_measures import FinalAccuracy, GeneralizationGap, StepsToTarget
from bnbench.study.lr_curve import LargestLearningRate, UsableDecades, between
from bnbench.study.measure import Tables
from bnbench.study.probe_measures import PercentileDrift, ProbeValue, load_note

NOTHING = pd.DataFrame()
RUN = {
    **{"arm": "a", "cell": "all", "lr": 0.1, "refined": False, "counted": True, "diverged": False, "steps_done": 40},
    **{"val": 0.9, "test": 0.8, "chance": 0.1},
}


def tables(*runs: dict[str, Any], metrics: pd.DataFrame = NOTHING, probes: pd.DataFrame = NOTHING) -> Tables:
    rows = [{"run_id": f"r{at}", "pair": at, **RUN, **run} for at, run in enumerate(runs)]
    return Tables(pd.DataFrame(rows), metrics, probes)


def bounds(measure: Any, found: Tables) -> list[tuple[float, float]]:
    """The least and the most that each value can be."""
    table = measure.values(found).sort_index()
    return list(zip(table["low"].tolist(), table["high"].tolist(), strict=True))


def values(measure: Any, found: Tables) -> list[float]:
    """Values that are known."""
    lows, highs = zip(*bounds(measure, found), strict=True)
    assert list(lows) == pytest.approx(list(highs), nan_ok=True)
    return list(lows)


def test_accuracy_of_a_run_that_failed_is_missing():
    found = tables({}, {"test": 0.7}, {"counted": False})
    assert values(FinalAccuracy(), found) == pytest.approx([0.8, 0.7, math.nan], nan_ok=True)


def test_one_run_can_stand_for_two_arms():
    found = tables({"run_id": "r"}, {"run_id": "r", "arm": "b", "pair": 0})
    assert FinalAccuracy().values(found)["low"].to_dict() == {("a", "all", 0): 0.8, ("b", "all", 0): 0.8}


def test_steps_to_target_against_pandas():
    curves = {"r0": [0.5, 0.9, 0.95], "r1": [0.5, 0.6, 0.7], "r2": [0.95, 0.5, 0.9]}
    lines = [(run, 10 * at, value) for run, curve in curves.items() for at, value in enumerate(curve, 1)]
    metrics = pd.DataFrame(lines, columns=["run_id", "step", "val_accuracy"])
    assert bounds(StepsToTarget(0.9), tables({}, {}, {}, metrics=metrics)) == [(20, 20), (40, math.inf), (10, 10)]
    diverged = tables({}, {"diverged": True}, metrics=metrics)
    assert bounds(StepsToTarget(0.9), diverged) == [(20, 20), (math.inf, math.inf)]
    assert values(StepsToTarget(0.9), tables({"counted": False}, metrics=metrics)) == pytest.approx(
        [math.nan], nan_ok=True
    )


def test_generalization_gap_at_the_first_evaluation_with_so_small_a_training_loss():
    metrics = pd.DataFrame(
        [("r0", 30, 0.1, 0.9), ("r0", 10, 1.0, 1.2), ("r0", 20, 0.2, 0.6), ("r1", 10, 1.0, 1.0)],
        columns=["run_id", "step", "train_loss", "val_loss"],
    )
    found = tables({}, {}, metrics=metrics)
    assert bounds(GeneralizationGap(0.2), found) == [pytest.approx((0.4, 0.4)), (-math.inf, math.inf)]


def readings(*lines: tuple[Any, ...]) -> pd.DataFrame:
    return pd.DataFrame(lines, columns=["run_id", "step", "probe", "layer", "name", "value"])


@pytest.mark.parametrize(
    ("options", "expected"),
    [({"at": "first"}, 2.0), ({"at": "last"}, 8.0), ({"at": "mean"}, 5.0), ({"at": "last", "layer": "one"}, 7.0)],
)
def test_a_probe_s_value_is_the_mean_over_layers(options: dict[str, Any], expected: float):
    probes = readings(
        ("r0", 0, "gradient_flow", "one", "x", 1.0),
        ("r0", 0, "gradient_flow", "two", "x", 3.0),
        ("r0", 5, "gradient_flow", "one", "x", 7.0),
        ("r0", 5, "gradient_flow", "two", "x", 9.0),
        ("r0", 5, "gradient_flow", "two", "y", 100.0),
        ("r0", 5, "memory", "two", "x", 100.0),
    )
    found = tables({}, {}, probes=probes)
    assert values(ProbeValue("gradient_flow", "x", **options), found) == pytest.approx(
        [expected, math.nan], nan_ok=True
    )


def test_distance_from_an_ideal_is_the_same_above_and_below():
    lines = [(run, 0, "gradient_flow", "network", "x", value) for run, value in (("r0", 2.0), ("r1", 0.5), ("r2", 1.0))]
    found = tables({}, {}, {}, probes=readings(*lines))
    assert values(ProbeValue("gradient_flow", "x", ideal=1.0), found) == pytest.approx([math.log(2), math.log(2), 0])


def test_percentile_drift_against_the_recipe_of_the_documentation():
    generator = np.random.default_rng(0)
    names = ("p15", "p50", "p85", "std")
    lines = [
        (run, step, "covariate_shift_distribution", f"relu[{unit}]", name, float(generator.uniform(0.5, 2)))
        for run in ("r0", "r1") for step in (0, 5, 9) for unit in range(3) for name in names
    ]  # fmt: skip
    probes = readings(*lines)
    wide = probes.pivot_table(index=["run_id", "layer", "step"], columns="name", values="value")
    first = wide.groupby(["run_id", "layer"]).transform("first")
    drift = (wide - first)[["p15", "p50", "p85"]].abs().mean(axis=1) / first["std"]
    expected = drift.xs(9, level="step").groupby("run_id").mean().tolist()
    assert values(PercentileDrift(), tables({}, {}, probes=probes)) == pytest.approx(expected)


def test_drift_that_no_run_was_there_to_measure_is_missing():
    """As where every run failed at its first step."""
    probes = pd.DataFrame(columns=["run_id", "step", "probe", "layer", "name", "value"])
    found = tables({"counted": False}, {"counted": False, "arm": "b", "pair": 0}, probes=probes)
    assert values(PercentileDrift(), found) == pytest.approx([math.nan, math.nan], nan_ok=True)


def curve(accuracies: list[float], **run: Any) -> Tables:
    rates = [0.001, 0.01, 0.1, 1.0, 10.0]
    runs = [{"pair": 0, "lr": lr, "val": value, **run} for lr, value in zip(rates, accuracies, strict=True)]
    return tables(*runs[::-1])


@pytest.mark.parametrize(
    ("accuracies", "decades", "largest"),
    [
        ([0.3, 0.89, 0.9, 0.6, 0.1], (1.0, 3.0), (1.0, 10.0)),
        ([0.3, 0.5, 0.9, 0.3, 0.1], (0.0, 2.0), (0.1, 1.0)),
        ([0.89, 0.9, 0.6, 0.1, 0.1], (1.0, math.inf), (0.1, 1.0)),
        ([0.1, 0.2, 0.5, 0.89, 0.9], (1.0, math.inf), (10.0, math.inf)),
        ([0.1, 0.2, 0.9, 0.2, 0.6], (0.0, 2.0), (10.0, math.inf)),
        ([0.1, 0.1, 0.1, 0.1, 0.1], (0.0, 0.0), (0.0, 0.001)),
    ],
)
def test_a_learning_rate_curve_says_between_which_rates_a_limit_lies(
    accuracies: list[float], decades: tuple[float, float], largest: tuple[float, float]
):
    found = curve(accuracies)
    assert bounds(UsableDecades(), found) == [pytest.approx(decades)]
    assert bounds(LargestLearningRate(), found) == [pytest.approx(largest)]


def test_rates_between_those_of_the_grid_bring_the_limits_closer_and_move_no_best():
    found = curve([0.3, 0.89, 0.9, 0.6, 0.1])
    between = [
        {"run_id": f"s{at}", "pair": 0, "lr": lr, "val": value, "refined": True}
        for at, (lr, value) in enumerate([(0.003, 0.8), (0.3, 0.95), (0.5, 0.84), (3.0, 0.52), (5.0, 0.4)])
    ]
    closer = Tables(pd.concat([found.runs, tables(*between).runs]), NOTHING, NOTHING)
    assert bounds(UsableDecades(), closer) == [pytest.approx((math.log10(0.3 / 0.01), math.log10(0.5 / 0.003)))]
    assert bounds(LargestLearningRate(), closer) == [pytest.approx((3.0, 5.0))]


@pytest.mark.parametrize(
    ("bracket", "expected"),
    [
        ((1.0, 16.0), [2.0, 4.0, 8.0]),
        ((1.0, 1.1), []),
        ((1.0, 1.12), [1.029, 1.058, 1.089]),
        ((0.0, 1.0), []),
        ((1.0, math.inf), []),
    ],
)
def test_wide_brackets_are_divided_on_a_logarithmic_scale(bracket: tuple[float, float], expected: list[float]):
    assert between([bracket]) == expected


def test_a_curve_with_a_hole_says_nothing():
    found = curve([0.3, 0.89, 0.9, 0.6, 0.1], counted=False)
    assert values(UsableDecades(), found) == pytest.approx([math.nan], nan_ok=True)
    assert values(LargestLearningRate(), found) == pytest.approx([math.nan], nan_ok=True)


@pytest.mark.parametrize(
    ("loads", "average", "note"),
    [
        ([1.0, 1.0, 9.0], 0.5, ""),
        ([1.2, 1.2, 1.2], 3.0, ""),
        ([], 3.0, ""),
        ([1.0, 2.54, 9.0], 3.04, "they took 2.5 times their CPU time (load average 3.0 per core)."),
        ([2.54], None, "they took 2.5 times their CPU time."),
    ],
)
def test_load_is_named_where_steps_waited(loads: list[float], average: float | None, note: str):
    lines = [("r0", 0, "step_time", "network", "load", load) for load in loads]
    lines += [("r0", 0, "step_time", "network", "load_average", average)] * (average is not None)
    lines += [("r0", 0, "memory", "network", "load", 50.0)]
    probes = pd.DataFrame(lines, columns=["run_id", "step", "probe", "layer", "name", "value"])
    assert load_note(probes) == (f"The machine was busy while steps were timed: {note}" if note else "")
