"""Results of other sweeps taken over: each run once, whole, and from where sweep.yaml says."""

from __future__ import annotations

import shutil
import time
from pathlib import Path

import pandas as pd
import pytest

from bnbench.errors import BnbenchError
from bnbench.notices import heard
from bnbench.spec import RunSpec, run_id
from bnbench.store import (
    Found,
    ResultIndex,
    Segment,
    checked_rows,
    enter_runs,
    load_probes,
    load_sweeps,
    locked,
    log_file,
    read_history,
    take_over,
    taken_over,
)
from bnbench.store.columns import METRICS, OUTCOME, RESULTS, SEGMENT
from tests.budget import slowness
from tests.cli.finished import finish
from tests.store.dying import deaths
from tests.store.sweeps import FACTS, expected_metrics, expected_probes, make_spec, train

ONE, OTHER = [make_spec(seed) for seed in (0, 1)], [make_spec(seed, "batch") for seed in (1, 3)]
WANTED = {run_id(spec): spec for spec in [*ONE, *OTHER, make_spec(4)]}
"""The last one is nowhere."""


@pytest.fixture
def results(tmp_path: Path) -> Path:
    finish(tmp_path / "one", ONE)
    finish(tmp_path / "other", OTHER)
    return tmp_path


def _sources(results: Path, target: str = "mine") -> dict[str, Path]:
    return {key: found.folder for key, found in ResultIndex(results).find([*WANTED], results / target).items()}


def _take(results: Path) -> dict[str, int]:
    return dict(take_over(results / "mine", WANTED, _sources(results)))


def _check_whole(folder: Path, specs: list[RunSpec]) -> None:
    runs, metrics = load_sweeps([folder])
    done = runs[runs["status"].isin(RESULTS)]
    assert sorted(done["run_id"]) == sorted(map(run_id, specs))
    metrics = metrics.sort_values(["run_id", "step"], ignore_index=True)
    pd.testing.assert_frame_equal(metrics, expected_metrics(specs))
    probes = load_probes(folder).sort_values(["run_id", "step"], kind="stable", ignore_index=True)
    pd.testing.assert_frame_equal(probes, expected_probes(specs))
    assert {path.stem for path in (folder / "specs").iterdir()} == set(map(run_id, specs))


def test_results_come_whole_and_from_where_sweep_yaml_says(results: Path):
    (results / "one" / "logs").mkdir()
    log_file(results / "one", run_id(ONE[0])).write_text("said something\n")
    before = (results / "one" / "runs.csv").read_bytes()
    assert _take(results) == {"one": 2, "other": 2}
    _check_whole(results / "mine", [*ONE, *OTHER])
    assert log_file(results / "mine", run_id(ONE[0])).read_text() == "said something\n"
    assert taken_over(results / "mine") == {"one": 2, "other": 2}
    rows, there = checked_rows(results / "mine"), checked_rows(results / "one")
    assert all(rows[run_id(ONE[1])][column] == there[run_id(ONE[1])].get(column, "") for column in OUTCOME)
    assert (results / "one" / "runs.csv").read_bytes() == before


def test_nothing_is_taken_twice(results: Path):
    _take(results)
    history = read_history(results / "mine")
    assert take_over(results / "mine", WANTED, _sources(results)) == {}
    assert read_history(results / "mine") == history
    _check_whole(results / "mine", [*ONE, *OTHER])


def test_what_has_no_result_is_not_found(results: Path):
    shutil.rmtree(results / "other")
    enter_runs(results / "other", OTHER, {}, {"runs": 2})
    train(results / "other", OTHER[0], "a", "failed")
    train(results / "other", OTHER[1], "b", "running")
    assert set(_sources(results)) == {run_id(spec) for spec in ONE}
    assert not _sources(results / "nowhere")


def test_a_result_comes_in_place_of_a_failure(results: Path):
    enter_runs(results / "mine", ONE, {}, {"runs": 2})
    train(results / "mine", ONE[0], "a", "failed")
    _take(results)
    assert checked_rows(results / "mine")[run_id(ONE[0])]["status"] == "completed"


def test_a_sweep_that_is_trained_gives_what_it_has_finished(results: Path):
    """Its finished runs stand in segments until it ends; a run that goes on is left."""
    live = results / "live"
    shutil.rmtree(results / "one")
    with locked(live):
        enter_runs(live, ONE, {}, {"runs": 2})
        train(live, ONE[0], "a")
        with Segment(live, "b") as segment:
            segment.start([ONE[1]], FACTS)
            index = ResultIndex(results)
            assert index.find([run_id(spec) for spec in ONE], results / "mine") == {
                run_id(ONE[0]): Found(live, "completed")
            }
            assert _take(results) == {"live": 1, "other": 2}
    _check_whole(results / "mine", [ONE[0], *OTHER])
    assert run_id(ONE[1]) not in checked_rows(results / "mine")


def test_the_index_sees_what_has_changed(results: Path):
    index = ResultIndex(results)
    wanted = [run_id(make_spec(5))]
    assert not index.find(wanted, results / "mine")
    finish(results / "one", [make_spec(5)])
    assert index.find(wanted, results / "mine")[wanted[0]].folder == results / "one"
    assert not index.find(wanted, results / "one")


def test_a_table_that_another_program_has_saved_is_read(results: Path):
    path = results / "one" / "runs.csv"
    path.write_text("\ufeff" + path.read_text(), encoding="utf-8")
    assert {folder.name for folder in _sources(results).values()} == {"one", "other"}


@pytest.mark.parametrize(
    ("file", "text"),
    [("metrics.csv", ",".join(METRICS) + "\n"), ("sweep.yaml", "- 1\n")],
)
def test_a_damaged_sweep_gives_nothing_and_is_named(results: Path, file: str, text: str):
    (results / "one" / file).write_text(text)
    said: list[str] = []
    with heard(said.append):
        assert _take(results) == {"other": 2}
    assert any("results of one are not taken over" in sentence for sentence in said)
    _check_whole(results / "mine", OTHER)


def test_a_sweep_that_another_program_adds_to_takes_nothing(results: Path):
    with locked(results / "mine"), pytest.raises(BnbenchError, match="in use by another bnbench"):
        _take(results)


def test_a_take_over_that_died_goes_on(results: Path):
    def begin() -> None:
        shutil.rmtree(results / "mine", ignore_errors=True)

    died = []
    for step in deaths(lambda: _take(results), begin):
        died.append(step)
        if (results / "mine" / "runs.csv").exists():
            checked_rows(results / "mine")
            load_sweeps([results / "mine"])
        _take(results)
        _check_whole(results / "mine", [*ONE, *OTHER])
    assert len(died) >= 6


def test_an_index_of_many_sweeps_is_quick(tmp_path: Path):
    """Of 20 sweeps with 5,000 runs each, as long as the rows of real ones."""
    head = ",".join([*SEGMENT[:3], *(f"column{number}" for number in range(40)), *OUTCOME])
    cells = ",".join(["", *["0.123456"] * (len(head.split(",")) - 3)])
    for sweep in range(20):
        folder = tmp_path / f"sweep{sweep}"
        folder.mkdir()
        rows = "\n".join(f"r{sweep:03d}{run:08d},completed,{cells}" for run in range(5000))
        (folder / "runs.csv").write_text(f"{head}\n{rows}\n")
    wanted = [f"r019{run:08d}" for run in range(5000)]
    index = ResultIndex(tmp_path)
    began = time.process_time()
    assert len(index.find(wanted, tmp_path / "mine")) == 5000
    assert time.process_time() - began < slowness()
    began = time.process_time()
    index.find(wanted, tmp_path / "mine")
    assert time.process_time() - began < 0.1 * slowness()
