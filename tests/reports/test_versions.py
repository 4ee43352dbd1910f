"""Versions of a plugin's components: the newest is shown, and all of them side by side where that is asked for."""

from __future__ import annotations

from typing import Any

import pandas as pd
import pytest

from bnbench.errors import InvalidRequest
from bnbench.reports import ReportView, plain_text, report

from ..analysis.frames import metrics_of, runs_of

FIRST, SECOND = "a" * 64, "b" * 64
EDITED = (
    {"norm": "batch", "plugin": None, "started_at": "2025-01-01T10"},
    {"norm": "mine", "plugin": FIRST, "started_at": "2025-01-01T11", "val_accuracy": 0.5},
    {"norm": "mine", "plugin": FIRST, "started_at": "2025-01-01T12", "val_accuracy": 0.6, "seed": 1},
    {"norm": "mine", "plugin": SECOND, "started_at": "2025-01-02T11", "val_accuracy": 0.7},
)


def convergence(runs: pd.DataFrame, **options: Any) -> ReportView:
    metrics = metrics_of({name: [0.1, 0.95] for name in runs["run_id"]})
    (view,) = report(runs, metrics, ["convergence"], targets=["90%"], **options).views
    return view


def norms(view: ReportView) -> dict[str, list[str]]:
    """The cells of each row by its norm, or by all that names it."""
    (table,) = view.tables
    keys = sum(column.key for column in table.columns)
    return {
        " ".join(plain_text(cell) for cell in row[:keys]): [plain_text(cell) for cell in row[keys:]]
        for row in table.rows
    }


def test_the_newest_version_is_shown_and_the_others_are_told():
    view = convergence(runs_of(*EDITED))
    assert view.tables[0].columns[0].title == "norm" and [*norms(view)] == ["batch", "mine"]
    assert "70.0" in norms(view)["mine"]
    told = "norm=mine has 2 versions, as the source of its plugin differs: "
    assert f"{told}mine@1 (plugin aaaaaaaa) and mine@2 (plugin bbbbbbbb, shown)." in view.notes
    assert "Versions that are not shown have 2 runs; --versions shows all of them side by side." in view.notes


def test_all_versions_side_by_side():
    view = convergence(runs_of(*EDITED), versions=True)
    assert [*norms(view)] == ["batch", "mine@1", "mine@2"]
    assert "55.0 ± 7.1" in norms(view)["mine@1"]
    assert not any("not shown" in note for note in view.notes)


def test_the_newest_is_that_of_the_last_row_and_numbers_stay():
    """Someone who goes back to an earlier source sees that one, under its number."""
    runs = runs_of(*EDITED, {"norm": "mine", "plugin": FIRST, "started_at": "2025-01-03T11", "seed": 2})
    assert "66.7 ± 20.8" in norms(convergence(runs))["mine"]
    assert [*norms(convergence(runs, versions=True, baseline="norm=mine@2"))] == ["mine@2", "batch", "mine@1"]


def test_of_several_sweeps_the_one_trained_last_has_the_newest():
    sweeps = ["new"] * 3 + ["old"]
    swapped = [{**row, "plugin": {FIRST: SECOND, SECOND: FIRST}.get(str(row["plugin"]))} for row in EDITED]
    runs = runs_of(*swapped).assign(sweep=sweeps, started_at=["2025-02"] * 3 + ["2025-01"])
    (note,) = [note for note in convergence(runs).notes if "versions" in note and "mine@1" in note]
    assert note.endswith("mine@1 (plugin aaaaaaaa) and mine@2 (plugin bbbbbbbb, shown).")


@pytest.mark.parametrize("versions", [False, True])
@pytest.mark.parametrize(
    ("baseline", "compared"),
    [
        ("norm=mine", {False: ["mine", "batch"], True: ["mine@2", "batch", "mine@1"]}),
        ("norm=mine@2", {False: ["mine", "batch"], True: ["mine@2", "batch", "mine@1"]}),
        ("norm=mine@1", {False: ["mine@1", "batch", "mine@2"], True: ["mine@1", "batch", "mine@2"]}),
        ("norm=batch", {False: ["batch", "mine"], True: ["batch", "mine@1", "mine@2"]}),
    ],
)
def test_every_arm_is_compared_with_the_baseline(baseline: str, compared: dict[bool, list[str]], versions: bool):
    rows = norms(convergence(runs_of(*EDITED), baseline=baseline, versions=versions))
    assert [*rows] == compared[versions]
    assert [row[2] for row in rows.values()] == ["baseline", *["1.0x"] * (len(rows) - 1)]


def test_a_version_that_there_is_not():
    for name in ("mine@3", "mine@0"):
        with pytest.raises(InvalidRequest, match=f"baseline 'norm={name}': there is no such version; there is mine@1"):
            convergence(runs_of(*EDITED), baseline=f"norm={name}")


def test_models_and_datasets_have_versions_and_what_is_built_in_has_none():
    """A norm beside an edited model is the same norm."""
    rows = [
        {"norm": norm, "model": "tiny", "dataset": "blobs", "plugin": plugin, "started_at": plugin}
        for plugin in (FIRST, SECOND)
        for norm in ("batch", "none")
    ]
    newest = convergence(runs_of(*rows))
    assert [*norms(newest)] == ["batch", "none"]
    told = [note.partition(" has 2 versions")[0] for note in newest.notes if "has 2 versions" in note]
    assert told == ["model=tiny", "dataset=blobs"]
    tables = convergence(runs_of(*rows), versions=True).tables
    assert [table.title for table in tables] == [f"blobs@{number}: to 90% validation accuracy" for number in (1, 2)]
    named = [[tuple(plain_text(cell) for cell in row[:2]) for row in table.rows] for table in tables]
    assert named == [[(f"tiny@{number}", "batch"), (f"tiny@{number}", "none")] for number in (1, 2)]


def test_what_has_become_built_in_is_not_pooled_with_what_it_was():
    rows = [
        {"norm": "batch", "plugin": plugin, "started_at": at, "seed": at}
        for at, plugin in enumerate((FIRST, FIRST, None))
    ]
    view = convergence(runs_of(*rows), versions=True)
    assert [*norms(view)] == ["batch@1", "batch@2"]
    assert any("batch@1 (plugin aaaaaaaa, shown) and batch@2 (built in, shown)" in note for note in view.notes)


def test_one_source_has_no_versions():
    rows = [row for row in EDITED if row["plugin"] != SECOND]
    assert not any("version" in note for note in convergence(runs_of(*rows)).notes)
    assert [*norms(convergence(runs_of(*rows), versions=True))] == ["batch", "mine"]
    assert [*norms(convergence(runs_of(*rows), baseline="norm=mine@1"))] == ["mine", "batch"]
