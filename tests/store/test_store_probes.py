"""probes.csv: the readings of the attempt that counts, in order, each once; no file where nothing was measured."""

from __future__ import annotations

from pathlib import Path

import pandas as pd
import pytest

from bnbench.errors import Damaged, InvalidRequest
from bnbench.spec import run_id
from bnbench.store import Segment, enter_runs, join, load_probes, load_sweep_probes, load_sweeps
from bnbench.store.columns import PROBES
from tests.store.sweeps import evaluations, expected_probes, final, make_spec, readings, train

SPECS = [make_spec(seed) for seed in range(3)]


def ordered(frame: pd.DataFrame) -> pd.DataFrame:
    return frame.sort_values(["run_id", "step"], kind="stable", ignore_index=True)


def test_readings_before_and_after_joining(tmp_path: Path) -> None:
    enter_runs(tmp_path, SPECS, {}, {})
    for spec in SPECS:
        train(tmp_path, spec, f"worker{spec.seed % 2}")
    for _ in range(2):
        found = load_probes(tmp_path)
        pd.testing.assert_frame_equal(ordered(found), expected_probes(SPECS).astype(found.dtypes))
        assert found["run_id"].drop_duplicates().tolist() == [run_id(spec) for spec in SPECS]
        assert found.dtypes[["step", "value"]].tolist() == ["int64", "float64"]
        join(tmp_path)
    assert (tmp_path / "probes.csv").read_text().splitlines()[0] == ",".join(PROBES)


def test_without_readings_there_is_no_file_and_an_empty_table(tmp_path: Path) -> None:
    enter_runs(tmp_path, SPECS[:1], {}, {})
    with Segment(tmp_path, "one") as segment:
        segment.evaluation(evaluations(SPECS[0]))
        segment.readings([])
        segment.finish([final(SPECS[0])])
    assert {path.name for path in (tmp_path / "segments").iterdir()} == {"one.runs.csv", "one.metrics.csv"}
    for _ in range(2):
        assert load_probes(tmp_path).empty and list(load_probes(tmp_path).columns) == list(PROBES)
        join(tmp_path)
    assert not (tmp_path / "probes.csv").exists()


@pytest.mark.parametrize("joined", [False, True])
def test_the_readings_are_those_of_the_attempt_that_counts_and_each_counts_once(tmp_path: Path, joined: bool) -> None:
    (spec, *_) = SPECS
    enter_runs(tmp_path, [spec], {}, {})
    train(tmp_path, spec, "first", "failed", second=1)
    if joined:
        join(tmp_path)
    with Segment(tmp_path, "second") as segment:
        segment.readings([{**row, "value": 0.5} for row in readings(spec)[:3] for _ in range(2)])
        segment.finish([final(spec, second=2)])
    for _ in range(2):
        assert load_probes(tmp_path)["value"].tolist() == [0.5] * 3
        join(tmp_path)


def test_a_value_that_is_not_finite_stays_a_number(tmp_path: Path) -> None:
    enter_runs(tmp_path, SPECS[:1], {}, {})
    rows = readings(SPECS[0])[:3]
    with Segment(tmp_path, "one") as segment:
        segment.readings([{**row, "value": value} for row, value in zip(rows, ("nan", "inf", 0.1 + 0.2), strict=True)])
        segment.finish([final(SPECS[0])])
    values = load_probes(tmp_path)["value"]
    assert values.isna().tolist() == [True, False, False]
    assert values.tolist()[1:] == [float("inf"), 0.30000000000000004]


@pytest.mark.parametrize(
    ("change", "says"),
    [
        (lambda table: b"", "is empty"),
        (lambda table: table[:-5], "its end is missing"),
        (lambda table: table.replace(b"network,loss", b"network,a,loss", 1), "line 2 has 7 cells instead of 6"),
        (
            lambda table: table.replace(b",0,landscape", b",zero,landscape", 1),
            "step='zero': must be a whole number",
        ),
    ],
    ids=["empty", "cut", "cells", "step"],
)
def test_a_damaged_table_is_named_and_left_alone(tmp_path: Path, change, says: str) -> None:
    enter_runs(tmp_path, SPECS, {}, {})
    train(tmp_path, SPECS[0], "one")
    join(tmp_path)
    path = tmp_path / "probes.csv"
    path.write_bytes(change(path.read_bytes()))
    train(tmp_path, SPECS[1], "two")
    before = {file: file.read_bytes() for file in tmp_path.rglob("*") if file.is_file()}
    for use in (load_probes, join):
        with pytest.raises(Damaged) as caught:
            use(tmp_path)
        assert str(path) in str(caught.value) and says in str(caught.value)
    assert {file: file.read_bytes() for file in before} == before


@pytest.mark.parametrize("names", [("first", "second"), ("one/small", "other/small")])
def test_readings_of_several_sweeps_with_a_run_in_common(tmp_path: Path, names: tuple[str, str]) -> None:
    first, second = (tmp_path / name for name in names)
    enter_runs(first, SPECS[:2], {}, {})
    enter_runs(second, SPECS[1:], {}, {})
    train(first, SPECS[0], "one")
    train(first, SPECS[1], "one", "failed")
    train(second, SPECS[1], "one")
    train(second, SPECS[2], "one")
    folders = [first, second, first]
    found = load_sweep_probes(folders)
    pd.testing.assert_frame_equal(ordered(found), expected_probes(SPECS).astype(found.dtypes))


def test_of_no_sweep_there_is_no_table() -> None:
    for load in (load_sweeps, load_sweep_probes):
        with pytest.raises(InvalidRequest, match="name at least one sweep"):
            load([])
