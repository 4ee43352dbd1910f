"""Results on a disk that is small, full, or read-only: a real one, which only root may mount."""

from collections import Counter
from pathlib import Path

import pytest

from bnbench import store
from tests.cli.test_sweep import rows
from tests.conftest import Program, SmallDisk, remount
from tests.products import long

WORDS = (
    "sweep", "--name", "s", "--lanes", "off", "model=mlp", "model.width=4", "model.depth=1", "epochs=12",
    "seed=range(4)", "grad_clip=1", "evaluate.unit=steps", "evaluate.every=1",
)  # fmt: skip
NO_ROOM = "No space left on device; what was trained is kept as far as it was written; make room, and the same command"
OUTCOME = ("run_id", "status", "steps_done", "test_loss", "test_accuracy", "best_val_accuracy", "engine")


def same_tables(ours: Path, theirs: Path) -> None:
    """The evaluations are the same bytes, and the outcomes the same numbers."""
    assert (ours / "metrics.csv").read_bytes() == (theirs / "metrics.csv").read_bytes()
    outcomes = ([[row[name] for name in OUTCOME] for row in rows(str(place / "runs.csv"))] for place in (ours, theirs))
    assert next(outcomes) == next(outcomes)


@pytest.mark.parametrize("launcher", ["inline", pytest.param("local", marks=long)])
def test_a_disk_that_fills_while_runs_train(program: Program, small_disk: SmallDisk, launcher: str):
    disk = small_disk("88k")
    words = (*WORDS, "--launcher", launcher, "--results", str(disk))
    result = program(*words)
    assert result.code == 1 and result.err.count("error: ") == 1 and result.err.count(NO_ROOM) == 1, result.err
    assert f"error: {disk}/s/" in result.err and "Traceback" not in result.err + result.out
    assert "failed: " not in result.out
    counts = Counter(store.statuses(disk / "s").values())
    assert counts["completed"] and counts["interrupted"] and not counts["failed"], counts
    finished = {name for name, status in store.statuses(disk / "s").items() if status == "completed"}
    remount(disk, "size=2m")
    again = program(*words)
    assert again.code == 0 and f"{len(finished)} finished already" in again.err + again.out
    assert program(*WORDS).code == 0
    same_tables(disk / "s", Path("results/s"))


@long
def test_a_disk_that_fills_after_checkpoints(program: Program, small_disk: SmallDisk):
    """Runs go on from where they had come to."""
    disk = small_disk("120k")
    words = (*WORDS, "--launcher", "inline", "--results", str(disk), "--checkpoint-every", "0.001s")
    result = program(*words)
    assert result.code == 1 and result.err.count("error: ") == 1 and result.err.count(NO_ROOM) == 1, result.err
    there = {one.runs[0]: one.step for _, one in store.list_checkpoints(disk / "s") if one is not None}
    assert len(there) == 1 and store.statuses(disk / "s")[next(iter(there))] == "interrupted"
    remount(disk, "size=2m")
    assert program(*words).code == 0
    for identity, step in there.items():
        assert f"went on from step {step}, " in (disk / f"s/logs/{identity}.log").read_text()
    assert program(*WORDS).code == 0
    same_tables(disk / "s", Path("results/s"))


@long
def test_a_disk_that_has_no_room_for_checkpoints(program: Program, small_disk: SmallDisk):
    """Training goes on without them, and says so in the logs."""
    disk = small_disk("256k")
    words = (*(word for word in WORDS if "width" not in word), "model.width=1024")
    assert program(*words, "--launcher", "inline", "--results", str(disk), "--checkpoint-every", "0.01s").code == 0
    logs = "".join(path.read_text() for path in (disk / "s/logs").iterdir())
    assert logs.count("a checkpoint could not be written, and training went on: ") == len(store.statuses(disk / "s"))
    assert "No space left on device" in logs and not (disk / "s/checkpoints").exists()
    assert program(*words).code == 0
    same_tables(disk / "s", Path("results/s"))


@pytest.mark.parametrize("begun", [False, pytest.param(True, marks=long)])
def test_a_read_only_disk_is_refused(program: Program, small_disk: SmallDisk, begun: bool):
    disk = small_disk("1m")
    words = (*WORDS, "--launcher", "inline", "--results", str(disk))
    if begun:
        assert program(*words).code == 0
    before = {path: path.stat().st_mtime_ns for path in disk.rglob("*")}
    remount(disk, "ro")
    result = program(*words, "lr=0.01")
    place = disk / "s" if begun else disk
    assert (result.code, result.out) == (2, "planning s ...\n")
    assert (
        result.err.splitlines()[-1]
        == f"error: results folder {disk}/s: {place} is not writable; choose another --results"
    )
    assert "Traceback" not in result.err
    assert {path: path.stat().st_mtime_ns for path in disk.rglob("*")} == before
    remount(disk, "rw")
    assert program(*words).code == 0
