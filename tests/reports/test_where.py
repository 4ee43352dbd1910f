"""Numbers say which runs are behind them: filtering the runs so gives the number again."""

import math
import shlex
from collections.abc import Iterator, Mapping
from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from bnbench.analysis.levels import Level, canonical, typed
from bnbench.filters import Columns, chosen, conditions
from bnbench.reports import Report, report, report_sweeps, tidy
from bnbench.reports.view import NOTHING, Cell
from tests.cli.finished import finish, make_spec

from ..analysis.frames import runs_of
from .generator import make_sweep

ACCURACIES = {"val %": "val_accuracy", "test %": "test_accuracy", "val % at best": "val_accuracy"}
TABLES = {"Validation accuracy by learning rate": "val_accuracy", "Test accuracy by batch size": "test_accuracy"}


def matching(runs: pd.DataFrame, where: Mapping[str, str]) -> pd.DataFrame:
    """The runs with some settings, compared by value; several are separated by commas."""
    for name, text in where.items():
        allowed: list[Level] = [typed(name, part) for part in text.split(",")]
        runs = runs[[canonical(value) in allowed for value in runs[name]]]
    return runs


def entries(shown: Report) -> Iterator[tuple[str, str, Cell]]:
    for view in shown.views:
        for table in view.tables:
            for row in table.rows:
                for column, cell in zip(table.columns, row, strict=True):
                    if not column.key:
                        yield table.title, column.title, cell


def mean(runs: pd.DataFrame, score: str) -> float:
    """The accuracy of runs, where a diverged one counts as chance."""
    return float(runs[score].astype(float).mask(runs["status"] == "diverged", 1 / runs["classes"]).mean())


def check(shown: Report, runs: pd.DataFrame) -> int:
    """Recompute all accuracies and shares of a report; their number."""
    count = 0
    for table, column, cell in entries(shown):
        score = ACCURACIES.get(column) or (TABLES.get(table) if column.startswith(("lr ", "batch ")) else None)
        if score and cell.unit == "percent" and isinstance(cell.value, float):
            behind = matching(runs, cell.where)
            assert (len(behind), cell.where != {}) == (cell.n, True), (table, column, cell, behind)
            assert math.isclose(mean(behind, score), cell.value, abs_tol=1e-12), (table, column, cell)
            count += 1
        elif cell.unit == "share" and cell.n:
            assert len(matching(runs, cell.where)) == cell.n, (table, column, cell)
        elif column in ("lr", "best lr") or table.startswith("Chosen"):
            behind = matching(runs, cell.where)
            assert cell == NOTHING or {*behind["lr"].map(canonical)} == {canonical(cell.value)}, (table, column, cell)
    return count


@pytest.mark.parametrize("lr", ["best", "all"])
def test_every_accuracy_is_that_of_the_runs_it_names(made_up: Report, lr: str) -> None:
    runs = made_up.runs
    assert runs is not None
    first = runs["run_id"].iloc[0]
    metrics = pd.DataFrame({"run_id": [first], "step": [1], "epoch": [1.0], "examples": [1], "val_accuracy": [1.0]})
    assert check(report(runs, metrics, baseline="norm=none", lr=lr), runs) > 40


def sweep() -> tuple[pd.DataFrame, pd.DataFrame]:
    factors = {"norm": ["none", "batch"], "batch_size": [4, 64], "lr": [0.01, 0.1], "seed": [0, 1]}
    return make_sweep(factors, np.random.default_rng(2))


def test_runs_that_differ_in_nothing_that_can_be_said_are_named() -> None:
    """A run that a later version trained again, and one without an accuracy, have the settings of those that count."""
    runs, metrics = sweep()
    again = runs.assign(run_id="r" + runs["run_id"].str[1:], val_accuracy=runs["val_accuracy"] + 0.001)
    runs = pd.concat([runs, again[again["norm"] == "batch"]], ignore_index=True)
    metrics = pd.concat([metrics, metrics.assign(run_id="r" + metrics["run_id"].str[1:])], ignore_index=True)
    runs.loc[runs.index[0], "val_accuracy"] = math.nan
    shown = report(runs, metrics)
    assert check(shown, runs) > 10
    assert any("run_id" in cell.where for _, _, cell in entries(shown))


@pytest.mark.parametrize("every", [False, True], ids=["newest", "every"])
@pytest.mark.parametrize("norms", [("mine",), ("mine", "none")], ids=" ".join)
def test_versions_of_a_plugin_are_told_by_its_source(norms: tuple[str, ...], every: bool) -> None:
    lines = [
        {"norm": norm, "plugin": plugin if norm == "mine" else None, "lr": lr, "seed": seed, "batch_size": 64}
        | {"val_accuracy": 0.5 + 0.1 * lr + 0.01 * seed + (0.2 if plugin == "b" * 8 else 0), "started_at": plugin[0]}
        for norm in norms
        for plugin in ("a" * 8, "b" * 8)
        for lr in (0.1, 1.0)
        for seed in (0, 1)
        if norm == "mine" or plugin == "a" * 8
    ]
    runs = runs_of(*lines)
    shown = report(runs, pd.DataFrame(), ["learning-rate"], versions=every)
    assert check(shown, runs) > 2


def test_data_are_told_by_their_fingerprint_wherever_they_were() -> None:
    paths = {"photos": "a1", "copies": "a1", "others": "b2"}
    lines = [
        {"dataset": "imagefolder", "dataset.path": path, "data": data, "lr": lr, "seed": seed}
        | {"val_accuracy": 0.5 + 0.1 * lr + 0.01 * seed + 0.1 * (data == "a1")}
        for seed, (path, data) in enumerate(paths.items())
        for lr in (0.1, 0.123456789)
    ]
    runs = runs_of(*lines)
    assert check(report(runs, pd.DataFrame(), ["learning-rate"]), runs) > 2


def test_a_sweep_as_it_is_read_from_its_folder(tmp_path: Path) -> None:
    runs, metrics = sweep()
    runs.to_csv(tmp_path / "runs.csv", index=False)
    again = pd.read_csv(tmp_path / "runs.csv", keep_default_na=False, na_values={"val_accuracy": [""]})
    assert check(report(again, metrics), again) > 10


def is_one_of(cell: str, text: str) -> bool:
    """True where a cell of runs.csv is one of some values with commas between them, or the same number as one."""
    for allowed in text.split(","):
        try:
            same = cell == allowed or float(cell) == float(allowed)
        except ValueError:
            same = False
        if same:
            return True
    return False


def test_the_runs_behind_a_number_are_found_in_runs_csv_by_pandas_alone(tmp_path: Path) -> None:
    """As the columns of a report's CSV are read by others, who have no code of this program."""
    folder = tmp_path / "small"
    specs = [
        replace(make_spec(seed, norm), batch_size=batch, lr=lr)
        for norm in ("none", "batch")
        for batch in (4, 64)
        for lr in (0.1, 0.123456789)
        for seed in (0, 1, 2, 3, 5)  # the second diverged, the third failed
    ]
    finish(folder, specs)
    runs = pd.read_csv(folder / "runs.csv", dtype=str, keep_default_na=False)
    checked = 0
    for table, column, cell in entries(report_sweeps([folder])):
        if cell.unit != "percent" or column in ("drop", "usable") or table not in TABLES or not cell.where:
            continue
        behind = runs
        for name, text in cell.where.items():
            behind = behind[[is_one_of(value, text) for value in behind[name]]]
        assert len(behind) == cell.n, (table, column, cell)
        values = behind[TABLES[table]].astype(float)
        assert values.mean() == pytest.approx(cell.value, abs=1e-12), (table, column, cell)
        checked += 1
    assert checked >= 8


def test_the_runs_behind_a_number_are_found_by_the_words_of_its_line() -> None:
    """The texts of ``where`` are conditions: values with commas and quotes, missing ones and names like ``null``."""
    paths = ["/data/a,b.npz", '/data/it\'s "it"', "/data/a", "null", None]
    lines = [
        {"sweep": sweep, "dataset": "npz", "dataset.path": path, "lr": lr, "seed": seed}
        | {"val_accuracy": 0.5 + 0.1 * lr + 0.01 * seed}
        for sweep in ("null", "true")
        for path in paths
        for lr in (0.1, 1.0)
        for seed in (0, 1)
    ]
    runs = runs_of(*lines)
    rows = [
        {name: "" if pd.isna(value) else str(value) for name, value in row.items()} for row in runs.to_dict("records")
    ]
    checked = 0
    for line in tidy(report(runs, pd.DataFrame(), ["learning-rate"])).to_dict("records"):
        if line["unit"] == "fraction" and line["column"].startswith("lr "):
            behind = chosen(rows, conditions(shlex.split(line["where"]), Columns(rows)))
            values = [float(row["val_accuracy"]) for row in behind]
            assert (len(behind), np.mean(values)) == (line["n"], pytest.approx(line["value"], abs=1e-12)), line
            checked += 1
    assert checked >= 16
