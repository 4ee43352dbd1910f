from __future__ import annotations

from pathlib import Path

import pandas as pd
import pytest
import yaml

from bnbench.spec import run_id
from bnbench.store import Segment, enter_runs, join, load_metrics, load_runs, locked, statuses
from tests.store.sweeps import evaluations, expected_metrics, final, make_spec, train

SPECS = [make_spec(seed) for seed in range(4)]
IDS = [run_id(spec) for spec in SPECS]


def metrics_of(folder: Path) -> pd.DataFrame:
    return load_metrics(folder).sort_values(["run_id", "step"], ignore_index=True)


def test_a_sweep_from_plan_to_join(tmp_path: Path) -> None:
    folder = tmp_path / "sweep"
    assert statuses(folder) == {}
    enter_runs(folder, SPECS, {IDS[3]: "cannot be"}, {"runs": 4})
    assert statuses(folder) == dict(zip(IDS, ["planned", "planned", "planned", "impossible"], strict=True))
    with locked(folder):
        train(folder, SPECS[0], "one")
        train(folder, SPECS[1], "one", "failed")
        train(folder, SPECS[2], "two", "running")
        before = dict(zip(IDS, ["completed", "failed", "running", "impossible"], strict=True))
        assert statuses(folder) == before
        join(folder)
    assert statuses(folder) == {**before, IDS[2]: "interrupted"}
    assert list(load_runs(folder)["run_id"]) == IDS
    pd.testing.assert_frame_equal(metrics_of(folder), expected_metrics(SPECS[:3]))
    names = {path.name for path in folder.iterdir()}
    assert names == {"runs.csv", "metrics.csv", "probes.csv", "sweep.yaml", "specs", ".lock", ".writers"}
    assert {path.stem for path in (folder / "specs").iterdir()} == set(IDS[:3])


def test_running_without_a_program_is_interrupted(tmp_path: Path) -> None:
    enter_runs(tmp_path, SPECS[:1], {}, {})
    train(tmp_path, SPECS[0], "one", "running")
    assert statuses(tmp_path) == {IDS[0]: "interrupted"}
    with locked(tmp_path):
        assert statuses(tmp_path) == {IDS[0]: "running"}


def test_a_plan_keeps_results_and_failures_and_forgets_what_was_impossible(tmp_path: Path) -> None:
    enter_runs(tmp_path, SPECS, {IDS[2]: "cannot be", IDS[3]: "cannot be"}, {"first": 1})
    train(tmp_path, SPECS[0], "one")
    train(tmp_path, SPECS[1], "one", "failed")
    enter_runs(tmp_path, SPECS, {IDS[0]: "cannot be", IDS[3]: "still not"}, {"second": 2})
    for _ in range(2):
        assert list(statuses(tmp_path).values()) == ["completed", "failed", "planned", "impossible"]
        assert load_runs(tmp_path)["error"].fillna("").tolist() == ["", "Boom: of course", "", "still not"]
        pd.testing.assert_frame_equal(metrics_of(tmp_path), expected_metrics(SPECS[:2]))
        join(tmp_path)
    assert yaml.safe_load((tmp_path / "sweep.yaml").read_text()) == [{"first": 1}, {"second": 2}]


@pytest.mark.parametrize(
    ("first", "second", "counts"),
    [
        ("completed", "failed", 1),
        ("completed", "running", 1),
        ("completed", "completed", 2),
        ("failed", "completed", 2),
        ("failed", "failed", 2),
        ("running", "completed", 2),
    ],
)
@pytest.mark.parametrize("joined", [False, True])
def test_which_attempt_counts(tmp_path: Path, first: str, second: str, counts: int, joined: bool) -> None:
    (spec, *_), (identity, *_) = SPECS, IDS
    enter_runs(tmp_path, [spec], {}, {})
    train(tmp_path, spec, "first", first, second=1)
    if joined:
        join(tmp_path)
    with Segment(tmp_path, "second") as segment:
        segment.start([spec], {})
        segment.evaluation([{**row, "train_loss": 0.5} for row in evaluations(spec)])
        if second != "running":
            segment.finish([final(spec, second, second=2)])
    for _ in range(2):
        assert statuses(tmp_path) == {identity: "completed" if "completed" in (first, second) else "failed"}
        assert load_runs(tmp_path)["finished_at"].str[17:19].tolist() == [f"0{counts}"]
        metrics = load_metrics(tmp_path)
        assert len(metrics) == 3
        assert (metrics["train_loss"] == 0.5).all() == (counts == 2)
        join(tmp_path)


def test_a_death_told_by_another_segment_outlives_a_crash_while_joined_segments_go(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    enter_runs(tmp_path, SPECS[:1], {}, {})
    train(tmp_path, SPECS[0], "worker", "running")
    with Segment(tmp_path, "aaa") as segment:
        segment.finish([{"run_id": IDS[0], "status": "failed", "error": "killed"}])
    monkeypatch.setattr("shutil.rmtree", lambda *_, **__: None)
    join(tmp_path)
    assert statuses(tmp_path) == {IDS[0]: "failed"}
    assert len(list(tmp_path.glob(".joined-*"))) == 1
    monkeypatch.undo()
    join(tmp_path)
    assert not list(tmp_path.glob(".joined-*"))


def test_a_join_removes_what_the_dead_left_half_written_and_nothing_else(tmp_path: Path) -> None:
    enter_runs(tmp_path, SPECS[:1], {}, {})
    train(tmp_path, SPECS[0], "one")
    for name in (".runs.csv.1.tmp", ".metrics.csv.2.tmp", "specs/.abc.yaml.3.tmp", ".mine.md.4.tmp"):
        (tmp_path / name).touch()
    join(tmp_path)
    assert [path.name for path in tmp_path.rglob("*.tmp")] == [".mine.md.4.tmp"]


def test_metrics_that_were_removed_by_hand_are_missed_and_nothing_else(tmp_path: Path) -> None:
    enter_runs(tmp_path, SPECS[:2], {}, {})
    train(tmp_path, SPECS[0], "one")
    train(tmp_path, SPECS[1], "two")
    (tmp_path / "segments" / "one.metrics.csv").unlink()
    for _ in range(2):
        pd.testing.assert_frame_equal(metrics_of(tmp_path), expected_metrics(SPECS[1:2]))
        join(tmp_path)


def test_a_sweep_file_that_was_emptied_by_hand(tmp_path: Path) -> None:
    (tmp_path / "sweep.yaml").touch()
    enter_runs(tmp_path, SPECS, {}, {"runs": 4})
    assert yaml.safe_load((tmp_path / "sweep.yaml").read_text()) == [{"runs": 4}]
