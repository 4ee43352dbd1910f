"""Files of a results folder that somebody or something has damaged: named, never overwritten, never taken for less."""

from __future__ import annotations

from pathlib import Path

import pandas as pd
import pytest
import yaml

from bnbench.errors import Damaged
from bnbench.spec import run_id
from bnbench.store import (
    Segment,
    belongs_to_sweep,
    enter_runs,
    join,
    load_metrics,
    load_runs,
    load_sweeps,
    read_history,
    restore_specs,
    statuses,
)
from tests.store.sweeps import EVALUATIONS, evaluations, expected_metrics, final, make_spec, train

SPECS = [make_spec(seed) for seed in range(3)]
NOISE = bytes(range(256)) * 40


@pytest.fixture
def sweep(tmp_path: Path) -> Path:
    """Three completed runs, joined."""
    folder = tmp_path / "sweep"
    enter_runs(folder, SPECS, {}, {"runs": 3})
    for spec in SPECS:
        train(folder, spec, "one")
    join(folder)
    return folder


def content(folder: Path) -> dict[Path, bytes]:
    return {path: path.read_bytes() for path in folder.rglob("*") if path.is_file()}


@pytest.mark.parametrize(
    ("change", "says"),
    [
        (lambda table: b"", "is empty"),
        (lambda table: NOISE, "runs.csv is damaged"),
        (lambda table: table.replace(b"run_id", b"id", 1), "no column run_id"),
        (lambda table: table.partition(b"\n")[2], "no column run_id"),
        (lambda table: table[:-20], "its end is missing (line 4 is cut off)"),
        (lambda table: table.replace(b"\n", b",more\n", 2), "line 3 has"),
        (lambda table: table.replace(b"none", b"\xff\xfe", 1), "line 2 cannot be read"),
    ],
    ids=["empty", "noise", "header", "headless", "cut", "cells", "bytes"],
)
def test_a_damaged_table_of_runs_is_named_and_left_alone(sweep: Path, change, says: str) -> None:
    path = sweep / "runs.csv"
    path.write_bytes(change(path.read_bytes()))
    train(sweep, SPECS[0], "two")
    before = content(sweep)
    for use in (statuses, load_runs, load_metrics, join, lambda folder: enter_runs(folder, SPECS, {}, {})):
        with pytest.raises(Damaged) as caught:
            use(sweep)
        assert str(path) in str(caught.value) and "restore it from a copy" in str(caught.value)
        assert says in str(caught.value)
    assert content(sweep) == before


@pytest.mark.parametrize(
    ("change", "says"),
    [
        (lambda table: b"", "is empty"),
        (lambda table: NOISE, "metrics.csv is damaged"),
        (lambda table: table[:-5], "its end is missing"),
        (
            lambda table: table.replace(b"\n", b",more\n", 2).replace(b",more", b"", 1),
            "line 2 has 10 cells instead of 9",
        ),
        (
            lambda table: table.replace(b",1,", b",one,", 1),
            "step='one': must be a whole number from 0 to",
        ),
    ],
    ids=["empty", "noise", "cut", "cells", "step"],
)
def test_a_damaged_table_of_metrics_is_named_and_left_alone(sweep: Path, change, says: str) -> None:
    path = sweep / "metrics.csv"
    path.write_bytes(change(path.read_bytes()))
    train(sweep, make_spec(9), "two")
    before = content(sweep)
    for use in (load_metrics, join):
        with pytest.raises(Damaged) as caught:
            use(sweep)
        assert str(path) in str(caught.value) and says in str(caught.value)
    assert content(sweep) == before


@pytest.mark.parametrize(("table", "column"), [("runs.csv", "val_loss"), ("metrics.csv", "train_loss")])
def test_a_cell_that_is_no_number_is_named(sweep: Path, table: str, column: str) -> None:
    frame = pd.read_csv(sweep / table, dtype=str, keep_default_na=False)
    frame.loc[1, column] = "much"
    frame.to_csv(sweep / table, index=False)
    with pytest.raises(Damaged) as caught:
        load_sweeps([sweep])
    assert f"{sweep / table} is damaged: {column}='much' of run {frame['run_id'][1]}" in str(caught.value)


def test_a_byte_order_mark_is_no_damage(sweep: Path) -> None:
    expected = load_sweeps([sweep])
    for name in ("runs.csv", "metrics.csv"):
        (sweep / name).write_bytes(b"\xef\xbb\xbf" + (sweep / name).read_bytes().replace(b"\n", b"\r\n"))
    for _ in range(2):
        for found, table in zip(load_sweeps([sweep]), expected, strict=True):
            pd.testing.assert_frame_equal(found, table)
        train(sweep, SPECS[0], "two")
        join(sweep)


def test_a_segment_that_is_none_is_named(sweep: Path) -> None:
    train(sweep, make_spec(9), "two")
    path = sweep / "segments" / "two.runs.csv"
    path.write_bytes(NOISE)
    with pytest.raises(Damaged, match=r"two\.runs\.csv is damaged"):
        join(sweep)
    assert path.read_bytes() == NOISE


def test_noise_behind_the_rows_of_a_segment_is_passed_over(sweep: Path) -> None:
    spec = make_spec(9)
    enter_runs(sweep, [*SPECS, spec], {}, {})
    train(sweep, spec, "two")
    for path in (sweep / "segments").iterdir():
        path.write_bytes(path.read_bytes() + b"\x00\xff\n" + NOISE[:100])
    for _ in range(2):
        assert set(statuses(sweep).values()) == {"completed"}
        metrics = load_metrics(sweep).sort_values(["run_id", "step"], ignore_index=True)
        pd.testing.assert_frame_equal(metrics, expected_metrics([*SPECS, spec]))
        join(sweep)


@pytest.mark.parametrize(
    ("text", "says"),
    [("a: [", "not YAML"), ("runs: 3\n", "must hold a list"), ("- !!python/object:x.Y {}\n", "not YAML")],
)
def test_a_damaged_sweep_file_is_named_before_anything_is_written(sweep: Path, text: str, says: str) -> None:
    (sweep / "sweep.yaml").write_text(text)
    before = content(sweep)
    for use in (read_history, lambda folder: enter_runs(folder, [make_spec(9)], {}, {})):
        with pytest.raises(Damaged, match=says):
            use(sweep)
    assert content(sweep) == before


@pytest.mark.parametrize("kept", [0, EVALUATIONS - 1])
def test_completed_runs_without_their_last_evaluation_are_not_taken_for_misses(tmp_path: Path, kept: int) -> None:
    enter_runs(tmp_path, SPECS, {}, {})
    for spec in SPECS:
        with Segment(tmp_path, "one") as segment:
            segment.start([spec], {})
            segment.evaluation(evaluations(spec) if spec.seed else evaluations(spec)[:kept])
            segment.finish([final(spec, steps_done=EVALUATIONS)])
    join(tmp_path)
    lost = run_id(SPECS[0])
    with pytest.raises(Damaged) as caught:
        load_sweeps([tmp_path])
    assert f"lacks evaluations of 1 of 3 completed runs ({lost})" in str(caught.value)
    assert f"bnbench run --name {tmp_path.name} --from {tmp_path}/specs/{lost}.yaml" in str(caught.value)
    train(tmp_path, SPECS[0], "again", second=2)
    assert len(load_sweeps([tmp_path])[1]) == 3 * EVALUATIONS


def test_spec_files_that_were_deleted_or_are_empty_come_back(sweep: Path) -> None:
    """A crash of the machine may leave one empty: the disk is not waited for."""
    written = content(sweep / "specs")
    deleted, emptied, *_ = written
    deleted.unlink()
    emptied.write_bytes(b"")
    enter_runs(sweep, [*SPECS, make_spec(9)], {}, {})
    restore_specs(sweep, [*SPECS, make_spec(9)])
    assert content(sweep / "specs") == written
    assert yaml.safe_load(next(iter(written)).read_text())["lr"] == 0.003


def test_what_belongs_to_a_sweep(sweep: Path, tmp_path: Path) -> None:
    for name in ("runs.csv", "metrics.csv", "sweep.yaml", "specs/new.yaml", "logs/a.log", "segments/x"):
        assert belongs_to_sweep(sweep / name), name
    for path in (sweep / "report.md", tmp_path / "runs.csv", tmp_path / "specs" / "a.yaml"):
        assert not belongs_to_sweep(path), path
