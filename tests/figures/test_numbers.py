"""What a figure draws is what the tables say, value for value."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pandas as pd
import pytest

from bnbench.analysis.rows import labels
from bnbench.figures import Figure
from bnbench.figures.profiles import profiles
from bnbench.figures.target_times import target_times
from bnbench.study.measure import Tables
from bnbench.study.probe_measures import PercentileDrift
from tests.analysis.frames import metrics_of, runs_of

from .made_up import Sweep, verdicts


def by_row(rows: Any, figure: Figure, panel: str = "{}") -> dict[int, pd.DataFrame]:
    """The lines of a figure by the row that they belong to: panels are batch sizes, series norms."""
    groups = dict(iter(figure.data.groupby(["panel", "series"])))
    words = labels(rows)
    return {row: groups[panel.format(f"batch-{batch}"), norm] for row, (batch, norm) in words.items()}


def same(one: Any, other: Any) -> bool:
    return bool(np.allclose(float(one), math.nan if other is None else float(other), rtol=1e-12, equal_nan=True))


def test_learning_curves_end_at_the_final_accuracy_of_the_table(sweep: Sweep, figures: dict[str, Figure]):
    numbers = sweep.convergence
    lines = by_row(numbers.rows, figures["learning-curves"])
    rows = [row for row in numbers.targets[0].rows if row.val is not None]
    assert len(rows) == 9
    for row in rows:
        last = lines[row.row].sort_values("step").iloc[-1]
        assert same(last["val_accuracy_mean"], row.val.mean) and same(last["val_accuracy_sd"], row.val.sd)
        assert last["seeds"] == row.val.n


def test_learning_curves_are_means_of_the_evaluations(sweep: Sweep, figures: dict[str, Figure]):
    numbers = sweep.convergence
    for row, lines in by_row(numbers.rows, figures["learning-curves"]).items():
        runs = numbers.runs[(numbers.runs["row"] == row) & ~numbers.runs["diverged"]]["run_id"]
        values = sweep.metrics[sweep.metrics["run_id"].isin(runs)].groupby("step")["val_accuracy"]
        drawn = lines[~lines["diverged"]].set_index("step")
        pd.testing.assert_series_equal(drawn["val_accuracy_mean"], values.mean(), check_names=False)
        pd.testing.assert_series_equal(drawn["val_accuracy_sd"], values.std(), check_names=False)


def test_shares_that_reach_a_target_and_the_median_are_those_of_the_table(sweep: Sweep, figures: dict[str, Figure]):
    numbers = sweep.convergence
    for times in numbers.targets:
        lines = by_row(numbers.rows, figures["steps-to-target"], f"to-{times.target:.0%}".replace("%", "") + "-{}")
        for row in times.rows:
            curve = lines[row.row]
            assert curve["seeds_reached"].max() == row.reached.hits and curve["seeds"].max() == row.reached.n
            assert curve["seeds_missed"].max() == row.reached.n - row.reached.hits
            over_half = curve[curve["share_reached"] > 0.5]["step"].min()
            median = row.reached.median["step"]
            assert median == (math.inf if math.isnan(over_half) else over_half)


def test_seeds_arrive_one_after_another_and_a_miss_ends_the_line():
    runs = runs_of(*({"norm": "batch", "seed": seed} for seed in range(4)))
    metrics = metrics_of({"r0": [0.1, 0.9], "r1": [0.9], "r2": [0.1, 0.9], "r3": [0.1]})
    figure = target_times(_convergence(runs, metrics, 0.9), metrics)
    assert isinstance(figure, Figure)
    lines = figure.data[["step", "share_reached", "seeds_missed"]].to_numpy().tolist()
    assert lines == [[100, 0.25, 0], [200, 0.75, 0], [1000, 0.75, 1]]


def _convergence(runs: pd.DataFrame, metrics: pd.DataFrame, target: float) -> Any:
    from bnbench.analysis import Options, analyze_convergence, read_trials

    return analyze_convergence(read_trials(runs), metrics, Options({}, (target,)))


def test_accuracies_by_learning_rate_are_those_of_the_table(sweep: Sweep, figures: dict[str, Figure]):
    numbers = sweep.learning_rate
    lines = by_row(numbers.rows, figures["learning-rates"])
    lost = by_row(numbers.rows, figures["divergence"])
    for row, curve in numbers.curves.items():
        drawn = lines[row].set_index("lr")
        assert len(drawn) == len(curve.accuracies)
        width = numbers.usable(row)
        for code, accuracy in curve.accuracies.items():
            lr = float(numbers.levels[code] or 0)
            at = drawn.loc[lr]
            assert same(at["val_accuracy_mean"], accuracy.mean) and same(at["val_accuracy_sd"], accuracy.sd)
            assert (at["seeds_diverged"], at["seeds"]) == (accuracy.diverged, accuracy.seeds)
            assert at["usable"] == (width is not None and width.low <= lr <= width.high)
            assert at["best"] == (code == curve.choice.code)
            cell = lost[row].set_index("lr").loc[lr]
            assert (cell["seeds_diverged"], cell["seeds"]) == (accuracy.diverged, accuracy.seeds)


def test_accuracies_by_batch_size_are_those_of_the_table(sweep: Sweep, figures: dict[str, Figure]):
    numbers = sweep.small_batch
    names = {row: words[-1] for row, words in labels(numbers.rows).items()}
    drawn = figures["batch-sizes"].data.set_index(["series", "batch_size"])
    assert len(drawn) == len(numbers.accuracies) == 9
    for (row, code), accuracy in numbers.accuracies.items():
        at = drawn.loc[(names[row], float(numbers.batches[code]))]
        assert same(at["test_accuracy_mean"], accuracy.mean) and same(at["test_accuracy_sd"], accuracy.sd)
        assert at["lr"] == numbers.rows.trials.levels["lr"][numbers.choices[row, code].code]
        assert (at["seeds_diverged"], at["seeds"]) == (accuracy.diverged, accuracy.seeds)


def test_profiles_are_shares_of_tasks_within_a_factor_of_the_fastest():
    steps = {("batch", 2): 1, ("none", 2): 2, ("batch", 8): 3, ("none", 8): 1, ("batch", 32): 2, ("none", 32): 9}
    runs = runs_of(*({"norm": norm, "batch_size": batch} for norm, batch in steps))
    curves = {f"r{at}": [0.1] * (hundreds - 1) + [0.9] for at, hundreds in enumerate(steps.values())}
    figure = profiles(_convergence(runs, metrics_of(curves), 0.9))
    assert isinstance(figure, Figure)
    drawn = {
        name: dict(zip(part["steps_over_fewest_steps"], part["share_of_tasks"], strict=True))
        for name, part in figure.data.groupby("series")
    }
    assert drawn["batch"] == pytest.approx({1.0: 2 / 3, 2.0: 2 / 3, 3.0: 1.0, 4.0: 1.0})
    assert drawn["none"] == pytest.approx({1.0: 1 / 3, 2.0: 2 / 3, 3.0: 2 / 3, 4.0: 2 / 3})


def test_profiles_compare_arms_on_the_tasks_that_all_of_them_have():
    """Each arm has a task of its own; an arm with one task is left out, as two of the others have two in common."""
    steps = {
        ("batch", 2): 9, ("batch", 8): 1, ("batch", 16): 2, ("layer", 8): 2, ("layer", 16): 1, ("layer", 32): 9,
        ("none", 2): 1,
    }  # fmt: skip
    runs = runs_of(*({"norm": norm, "batch_size": batch} for norm, batch in steps))
    curves = {f"r{at}": [0.1] * (hundreds - 1) + [0.9] for at, hundreds in enumerate(steps.values())}
    assert isinstance(profiles(_convergence(runs, metrics_of(curves), 0.9)), str)
    pairs = [pair for pair in steps if pair[0] != "none"]
    runs = runs_of(*({"norm": norm, "batch_size": batch} for norm, batch in pairs))
    curves = {f"r{at}": [0.1] * (steps[pair] - 1) + [0.9] for at, pair in enumerate(pairs)}
    figure = profiles(_convergence(runs, metrics_of(curves), 0.9))
    assert isinstance(figure, Figure)
    drawn = figure.data.set_index(["series", "steps_over_fewest_steps"])["share_of_tasks"]
    assert drawn.to_dict() == {
        (name, ratio): share for name in ("batch", "layer") for ratio, share in ((1.0, 0.5), (2.0, 1.0), (4.0, 1.0))
    }


@pytest.mark.parametrize(
    ("figure", "probe", "name", "column", "last"),
    [
        ("gradient_norm", "gradient_flow", "gradient_norm", "gradient_norm_mean", False),
        ("landscape", "landscape", "loss", "loss", False),
        ("landscape", "landscape", "loss_lowest", "loss_lowest", False),
        ("landscape", "landscape", "loss_highest", "loss_highest", False),
        ("costs", "step_time", "step_median", "mean_bytes_or_seconds", True),
        ("costs", "memory", "saved_bytes", "mean_bytes_or_seconds", True),
    ],
)
def test_numbers_of_probes_are_means_over_the_seeds_of_a_row(
    sweep: Sweep, figures: dict[str, Figure], figure: str, probe: str, name: str, column: str, last: bool
):
    _, _, runs = sweep.at_best
    data = figures[figure].data
    lines = sweep.probes[(sweep.probes["probe"] == probe) & (sweep.probes["name"] == name)]
    lines = lines[(lines["layer"] == "network") | (probe == "gradient_flow")]
    lines = lines[lines["step"] == 20] if last else lines
    data = data[data["quantity"] == name] if figure == "costs" else data
    places = {row: (f"batch-{batch}", norm) for row, (batch, norm) in labels(sweep.at_best.rows).items()}
    counted = 0
    for row, group in runs[~runs["diverged"]].groupby("row"):
        here = lines[lines["run_id"].isin(group["run_id"])]
        expected = here.groupby(["layer", "step"], sort=False)["value"].mean()
        panel, series = places[row]
        drawn = data[data["panel"].str.endswith(panel) & (data["series"] == series)]
        for (layer, step), value in expected.items():
            at = drawn
            if "layer" in drawn:
                at = drawn[(drawn["layer"] == layer) & (drawn["pause"] == {0: "first", 20: "last"}.get(step))]
            elif "step" in drawn:
                at = drawn[drawn["step"] == step]
            if step == 10 and "layer" in drawn:
                assert at.empty
                continue
            assert at[column].tolist() == pytest.approx([value], rel=1e-12)
            counted += 1
    assert counted >= 9


def test_drift_is_what_studies_measure(sweep: Sweep, figures: dict[str, Figure]):
    rows, _, runs = sweep.at_best
    lines = by_row(rows, figures["drift"])
    for row, group in runs[~runs["diverged"]].groupby("row"):
        trained = group.assign(arm="a", cell="all", pair=range(len(group)))
        measured = PercentileDrift().values(Tables(trained, sweep.metrics, sweep.probes))["low"]
        last = lines[row].sort_values("step").iloc[-1]
        assert same(last["drift_sd_mean"], measured.mean()) and same(last["drift_sd_highest"], measured.max())
        assert lines[row]["drift_sd_mean"].iloc[0] == 0


def test_the_forest_plot_has_the_numbers_of_the_scorecard(figures: dict[str, Figure]):
    table, drawn = verdicts(), figures["scorecard"].data
    for name in ("study", "claim", "verdict", "effect", "low", "high", "smallest_effect"):
        assert drawn[name].equals(table[name])
    assert drawn["panel"].tolist() == ["ratio", "ratio", "points", "points", "growth", "points"]
    assert [panel.name for panel in figures["scorecard"].panels] == ["ratio", "points", "growth"]


@pytest.mark.parametrize("name", ["learning-rates", "batch-sizes", "learning-curves"])
def test_the_marks_of_a_panel_are_the_numbers_of_its_data(figures: dict[str, Figure], name: str):
    figure = figures[name]
    axis, mean = {
        "learning-rates": ("lr", "val_accuracy_mean"),
        "batch-sizes": ("batch_size", "test_accuracy_mean"),
        "learning-curves": ("step", "val_accuracy_mean"),
    }[name]
    for panel in figure.panels:
        part = figure.data[figure.data["panel"] == panel.name]
        lines = [
            layer
            for layer in panel.chart["layer"]
            if layer["mark"]["type"] == "line" and "strokeDash" in layer["encoding"]
        ]
        drawn = sorted((one["s"], one["x"], one["y"]) for one in lines[-1]["data"]["values"])
        expected = sorted(zip(part["series"], part[axis].astype(float), part[mean], strict=True))
        assert [one[0] for one in drawn] == [one[0] for one in expected]
        assert np.allclose([one[1:] for one in drawn], [one[1:] for one in expected], rtol=1e-5)
