import math
from typing import Any

import pandas as pd
import pytest

from bnbench.analysis import Options
from bnbench.reports import plain_text
from bnbench.reports.convergence import convergence

from ..analysis.frames import metrics_of, runs_of
from .reading import all_notes, lookup

NONE = {"norm": "none"}


def table_of(runs: pd.DataFrame, metrics: pd.DataFrame, **options: Any) -> dict[str, dict[str, Any]]:
    view = convergence(runs, metrics, Options(targets=(0.9,), **options))
    return lookup(view.tables[0])


def test_the_first_evaluation_at_the_target_counts() -> None:
    runs = runs_of(*({"seed": seed} for seed in range(3)))
    metrics = metrics_of({"r0": [0.5, 0.9, 0.8], "r1": [0.91], "r2": [0.5, 0.6, 0.7, 0.95]})
    row = table_of(runs, metrics)["all"]
    assert plain_text(row["reached"]) == "3/3"
    assert plain_text(row["steps"]) == "200 [100-400]"
    assert plain_text(row["epochs"]) == "2 [1-4]"
    assert plain_text(row["examples"]) == "12.8k [6.4k-25.6k]"
    assert (row["steps"].value, row["steps"].low, row["steps"].high) == (200, 100, 400)


def test_a_miss_counts_as_infinity() -> None:
    runs = runs_of(*({"seed": seed} for seed in range(3)))
    row = table_of(runs, metrics_of({"r0": [0.9], "r1": [0.5, 0.9], "r2": [0.5] * 9}))["all"]
    assert (plain_text(row["reached"]), plain_text(row["steps"])) == ("2/3", "200 [100-never]")
    row = table_of(runs, metrics_of({"r0": [0.9], "r1": [0.5] * 9, "r2": [0.5] * 9}))["all"]
    assert (plain_text(row["reached"]), plain_text(row["steps"])) == ("1/3", "never [100-never]")
    row = table_of(runs.iloc[:2], metrics_of({"r0": [0.9], "r1": [0.5] * 9}))["all"]
    assert (plain_text(row["reached"]), plain_text(row["steps"])) == ("1/2", "never [100-never]")


def test_a_run_without_evaluations_is_a_miss() -> None:
    runs = runs_of({}, {"seed": 1, "status": "diverged", "steps_done": 3})
    assert plain_text(table_of(runs, metrics_of({"r0": [0.9]}))["all"]["reached"]) == "1/2"


def test_speed_up_against_the_baseline_in_the_table() -> None:
    runs = runs_of({"norm": "none"}, {"norm": "batch"}, {"norm": "group"}, {"norm": "layer"}, {"norm": "none"})
    runs["model"] = ["mlp", "mlp", "mlp", "mlp", "cnn"]
    runs["steps_done"] = 640
    found = table_of(runs, metrics_of({"r0": [0.1, 0.9], "r1": [0.9], "r3": [0.5]}), baseline=NONE)
    texts = {name: plain_text(row["speed-up"]) for name, row in found.items()}
    assert texts == {
        "mlp | none": "baseline",
        "mlp | batch": "2.0x",
        "mlp | group": "never",
        "mlp | layer": "never",
        "cnn | none": "baseline",
    }
    found = table_of(runs, metrics_of({"r1": [0.1, 0.9]}), baseline=NONE)
    assert plain_text(found["mlp | batch"]["speed-up"]) == "> 3.2x"
    assert plain_text(found["mlp | group"]["speed-up"]) == "-"


def test_each_row_is_at_its_best_lr_by_validation_not_test() -> None:
    runs = runs_of(
        {"lr": 0.01, "val_accuracy": 0.7, "test_accuracy": 0.99},
        {"lr": 0.1, "val_accuracy": 0.8, "test_accuracy": 0.6},
        {"lr": 1.0, "status": "diverged", "val_accuracy": 0.99, "test_accuracy": 0.99},
    )
    metrics = metrics_of({"r0": [0.95], "r1": [0.1, 0.9]})
    row = table_of(runs, metrics)["all"]
    assert (plain_text(row["lr"]), plain_text(row["test %"]), plain_text(row["steps"])) == ("0.1", "60.0", "200")
    assert set(table_of(runs, metrics, lr="all")) == {"0.01", "0.1", "1"}


def test_the_edge_of_the_grid_is_marked_and_ties_go_to_the_lower_lr() -> None:
    runs = runs_of(
        {"lr": 0.01, "val_accuracy": 0.8}, {"lr": 0.1, "val_accuracy": 0.8}, {"lr": 1.0, "val_accuracy": 0.7}
    )
    view = convergence(runs, metrics_of({"r0": [0.8]}), Options(targets=(0.5,)))
    assert plain_text(lookup(view.tables[0])["all"]["lr"]) == "0.01 edge"
    assert "edge: the best lr is the lowest or highest of its grid" in all_notes(view)


def test_one_lr_is_said_not_to_be_tuned() -> None:
    view = convergence(runs_of({}), metrics_of({"r0": [0.9]}), Options())
    assert "lr is 0.1 in every run: it was not tuned." in view.notes
    assert "lr" not in [column.title for column in view.tables[0].columns]


def test_accuracies_have_their_spread_and_fewer_seeds_show() -> None:
    batch = [{"seed": seed, "val_accuracy": 0.9 + 0.01 * seed} for seed in range(3)]
    group = [{"norm": "group", "seed": 0, "status": "diverged"}, {"norm": "group", "seed": 1, "val_accuracy": 0.5}]
    found = table_of(runs_of(*batch, *group), metrics_of({"r0": [0.9]}))
    assert plain_text(found["batch"]["val %"]) == "91.0 ± 1.0"
    assert plain_text(found["group"]["val %"]) == "50.0 n=1 unstable, div 1/2"


def test_texts_have_their_loss_in_nats() -> None:
    """That of a diverged run is what a guess costs."""
    losses = (("layer", 1.25), ("layer", 1.5), ("rms", math.nan), ("rms", math.nan))
    rows = [
        {"norm": norm, "seed": at % 2, "val_loss": loss, "status": "diverged" if math.isnan(loss) else "completed"}
        for at, (norm, loss) in enumerate(losses)
    ]
    texts, digits = [{**row, "dataset": "text"} for row in rows], [{**row, "norm": "batch"} for row in rows[:2]]
    view = convergence(runs_of(*texts, *digits), metrics_of({"r0": [0.9]}), Options(targets=(0.5,)))
    by_title = {table.title.partition(":")[0]: lookup(table) for table in view.tables}
    layer, rms = by_title["text"]["layer"]["val nats"], by_title["text"]["rms"]["val nats"]
    assert (layer.value, layer.n, plain_text(layer)) == (1.375, 2, "1.375 ± 0.177")
    assert rms.value == pytest.approx(math.log(10), rel=1e-15) and plain_text(rms) == "div 2/2"
    assert "val nats" not in by_title["digits"]["batch"] and "nats per character" in all_notes(view)


def test_derived_targets_per_dataset() -> None:
    runs = runs_of({"val_accuracy": 0.972}, {"dataset": "mnist", "val_accuracy": 0.5})
    view = convergence(runs, metrics_of({"r0": [0.972], "r1": [0.5]}), Options())
    assert [table.title for table in view.tables] == [
        "digits: to 92% validation accuracy",
        "digits: to 96% validation accuracy",
        "mnist: to 47% validation accuracy",
        "mnist: to 49% validation accuracy",
    ]
    assert "Targets derived from the results" in all_notes(view)


def test_an_arm_without_results_stays_visible() -> None:
    runs = runs_of({}, {"norm": "group", "status": "impossible", "val_accuracy": math.nan})
    assert plain_text(table_of(runs, metrics_of({"r0": [0.9]}))["group"]["reached"]) == "no result"


def test_nothing_to_say() -> None:
    runs, metrics = runs_of({}), metrics_of({})
    assert convergence(runs.iloc[:0], metrics, Options()).notes == ("There are no runs.",)
    assert convergence(runs, metrics, Options()).notes == ("The runs have no evaluations on record.",)
    planned = convergence(runs.assign(status="planned"), metrics, Options())
    assert planned.notes == ("No run has finished.", "1 of 1 run is not counted: 1 planned.")
    at_chance = convergence(runs.assign(val_accuracy=0.1), metrics_of({"r0": [0.1]}), Options())
    assert "above chance" in at_chance.notes[0] and not at_chance.tables
