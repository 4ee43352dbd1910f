"""Sweeps merged into one: each run once, nothing lost, nothing contradictory."""

from __future__ import annotations

import shutil
from pathlib import Path

import pandas as pd
import pytest

from bnbench.errors import BnbenchError, InvalidRequest
from bnbench.spec import run_id
from bnbench.store import (
    change_tag,
    checked_rows,
    enter_runs,
    load_metrics,
    load_probes,
    load_sweeps,
    locked,
    merge_sweeps,
    read_history,
    read_tags,
)
from tests.cli.finished import finish
from tests.store.dying import deaths
from tests.store.sweeps import expected_metrics, expected_probes, make_spec, train

ONE, OTHER = [make_spec(seed) for seed in (0, 1, 3, 4)], [make_spec(seed, "batch") for seed in (4, 5)] + [make_spec(3)]
EVERY = list(dict.fromkeys([*ONE, *OTHER]))


@pytest.fixture
def results(tmp_path: Path) -> Path:
    finish(tmp_path / "one", ONE)
    finish(tmp_path / "other", OTHER)
    return tmp_path


def merged(results: Path, *names: str, into: str = "all"):
    return merge_sweeps([results / name for name in names], results / into, {"merged": list(names)})


def check_whole(folder: Path) -> None:
    runs, metrics = load_sweeps([folder])
    assert runs["run_id"].tolist() == [run_id(spec) for spec in EVERY]
    metrics = metrics.sort_values(["run_id", "step"], ignore_index=True)
    pd.testing.assert_frame_equal(metrics, expected_metrics(EVERY))
    probes = load_probes(folder).sort_values(["run_id", "step"], kind="stable", ignore_index=True)
    pd.testing.assert_frame_equal(probes, expected_probes(EVERY))
    assert {path.stem for path in (folder / "specs").iterdir()} == set(runs["run_id"])


def content(folder: Path) -> dict[str, bytes]:
    return {
        str(path.relative_to(folder)): path.read_bytes()
        for path in folder.rglob("*")
        if path.is_file() and not path.name.startswith(".")
    }


def test_two_sweeps_into_a_new_one(results: Path):
    before = [content(results / name) for name in ("one", "other")]
    did = merged(results, "one", "other")
    assert len(did.added) == 6 and did.same == [run_id(make_spec(3))]
    check_whole(results / "all")
    assert [content(results / name) for name in ("one", "other")] == before
    assert [entry.get("runs") for entry in read_history(results / "all")] == [4, 3, 6]


def test_again_changes_nothing(results: Path):
    merged(results, "one", "other")
    before = content(results / "all")
    did = merged(results, "one", "other")
    after = content(results / "all")
    assert not did.added and {name for name in after if after[name] != before.get(name)} == {"sweep.yaml"}


def test_into_one_of_them(results: Path):
    merged(results, "other", into="one")
    check_whole(results / "one")


def test_a_result_comes_in_place_of_what_is_none(results: Path):
    waiting = results / "waiting"
    enter_runs(waiting, [make_spec(3), make_spec(0)], {}, {"runs": 2})
    train(waiting, make_spec(3), "worker", "failed")
    train(waiting, make_spec(0), "worker2", "running")
    did = merged(results, "one", into="waiting")
    assert sorted(did.better) == sorted([run_id(make_spec(3)), run_id(make_spec(0))])
    assert {row["status"] for row in checked_rows(waiting).values()} == {"completed", "diverged"}
    back = merged(results, "waiting", into="one")
    assert not back.added and len(back.same) == 4
    enter_runs(results / "planned", ONE, {}, {"runs": 4})
    assert len(merged(results, "planned", into="one").passed) == 4


@pytest.mark.parametrize(
    ("file", "old", "new", "says"),
    [
        ("runs.csv", repr(1 / 6), "0.5", "test_accuracy is 0.16666666666666666 in one and 0.5 in other"),
        ("runs.csv", ",completed,", ",diverged,", "status is completed in one and diverged in other"),
        ("metrics.csv", ",0.034482758620689655", ",0.9", "its evaluations are not the same in one and other"),
        ("runs.csv", ",none,mlp,3,", ",none,mlp,4,", "model.depth is 3 in one and 4 in other"),
    ],
)
def test_contradicting_results_are_refused(results: Path, file: str, old: str, new: str, says: str):
    path = results / "other" / file
    text = path.read_text()
    assert old in text
    path.write_text("".join(
        line.replace(old, new, 1) if line.startswith(run_id(make_spec(3))) else line
        for line in text.splitlines(keepends=True)
    ))  # fmt: skip
    before = content(results)
    for into in ("all", "one"):
        with pytest.raises(InvalidRequest, match=f"run {run_id(make_spec(3))}: {says}") as refused:
            merged(results, *(("one", "other") if into == "all" else ("other",)), into=into)
        assert "bnbench rm SWEEP/RUN" in str(refused.value)
    assert content(results) == before and not (results / "all").exists()


def test_when_and_where_a_run_was_trained_contradicts_nothing(results: Path):
    shutil.rmtree(results / "other")
    finish(results / "other", OTHER, host="another", seconds=17.0, engine="native", device="cuda")
    merged(results, "one", "other")
    assert len(checked_rows(results / "all")) == 6


def test_tags_come_along(results: Path):
    change_tag(results / "one", [run_id(ONE[0])], "best")
    change_tag(results / "other", [run_id(OTHER[2])], "odd")
    merged(results, "one", "other")
    assert read_tags(results / "all") == {run_id(ONE[0]): ["best"], run_id(OTHER[2]): ["odd"]}


@pytest.mark.parametrize("name", ["one", "other", "all"])
def test_nothing_is_merged_while_a_program_adds(results: Path, name: str):
    with locked(results / name), pytest.raises(BnbenchError, match="in use by another bnbench"):
        merged(results, "one", "other")
    assert not (results / "all" / "runs.csv").exists()


def test_a_merge_that_died_goes_on(results: Path, tmp_path: Path):
    def begin() -> None:
        shutil.rmtree(results / "all", ignore_errors=True)

    died = []
    for step in deaths(lambda: merged(results, "one", "other"), begin):
        died.append(step)
        if (results / "all" / "runs.csv").exists():
            checked_rows(results / "all")
            load_metrics(results / "all")
        merged(results, "one", "other")
        check_whole(results / "all")
    assert len(died) >= 8
