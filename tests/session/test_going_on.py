"""A sweep that is killed goes on from its checkpoints, with the results of one that was never stopped."""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

import pytest
import torch

from bnbench import store
from bnbench.checkpointing import Checkpointer
from bnbench.resumption import resumption
from bnbench.store.checkpoints import checkpoint_path
from bnbench.training.saving import Snapshot
from tests import warm
from tests.cli.test_sweep import rows
from tests.conftest import Program, RoomFor, make_spec
from tests.products import long

WORDS = (
    "sweep", "--name", "s", "--jobs", "2", "model=mlp", "model.width=64", "norm=batch", "grad_clip=null,1",
    "lr=0.1,1e9", "seed=0,1", "optim.momentum=0.9", "epochs=100", "probes=[gradient_flow]", "probe_every=20",
)  # fmt: skip
"""Stacks that lose lanes, in compiled code and, as it knows no clipped gradients, by torch."""
FOLDER = Path("results/s")


ALONE = (
    "sweep", "--name", "s", "--jobs", "2", "--lanes", "off", "model=mlp", "model.width=64", "norm=batch", "grad_clip=1",
    "lr=0.1,1e9", "seed=0,1", "optim.momentum=0.9", "epochs=100", "probes=[gradient_flow]", "probe_every=20",
)  # fmt: skip
"""Runs of the reference engine, each by itself, of which some diverge."""


def killed(folder: Path, words: tuple[str, ...], pauses: int, engine: str = "stacked") -> None:
    """Kill the command once runs of an engine, by default a stack of torch, have checkpoints after so many evaluations.

    The other stack is ahead of it. Before the first one its lost lanes are told, and the rest would be a smaller stack.
    """
    begin = [sys.executable, "-m", "bnbench", *words, "--checkpoint-every", "0.001s"]
    environment = {**os.environ, "PYTHONWARNINGS": "ignore"}
    process = warm.Popen(begin, cwd=folder, env=environment, stdout=subprocess.DEVNULL, start_new_session=True)
    deadline = time.monotonic() + 120
    while time.monotonic() < deadline and process.poll() is None:
        with suppress(FileNotFoundError):  # of a stack that has just ended
            there = [one for _, one in store.list_checkpoints(folder / FOLDER) if one is not None]
            if any(one.engine == engine and one.step >= pauses * 20 for one in there):
                break
    os.killpg(process.pid, signal.SIGKILL)
    process.wait()


@pytest.fixture(scope="module")
def places(tmp_path_factory: pytest.TempPathFactory, compiled: None) -> tuple[Path, Path]:
    """Folders with a sweep that was killed, and the same one that was not."""
    stopped, whole = tmp_path_factory.mktemp("stopped"), tmp_path_factory.mktemp("whole")
    killed(stopped, WORDS, 5)
    assert list(store.list_checkpoints(stopped / FOLDER))
    environment = {**os.environ, "PYTHONWARNINGS": "ignore"}
    warm.run(
        [sys.executable, "-m", "bnbench", *WORDS], cwd=whole, env=environment, stdout=subprocess.DEVNULL, check=True
    )
    return stopped, whole


def logs() -> str:
    return "".join(path.read_text() for path in (FOLDER / "logs").glob("*.log"))


def same_results(whole: Path) -> None:
    """The rows of evaluations and probes are the same bytes, and the outcomes the same numbers."""
    for table in ("metrics.csv", "probes.csv"):
        assert (FOLDER / table).read_bytes() == (whole / FOLDER / table).read_bytes()
    told = ("run_id", "status", "steps_done", "test_loss", "best_val_accuracy", "diverged_step", "engine")
    ours, theirs = (
        [[row[column] for column in told] for row in rows(str(place / "runs.csv"))]
        for place in (FOLDER, whole / FOLDER)
    )
    assert ours == theirs


def all_there(whole: Path) -> None:
    """Every run has its end and each of its evaluations once; runs of a smaller stack are rounded in another way."""
    told = ("run_id", "status", "steps_done", "diverged_step")
    for table, names in (("runs.csv", told), ("metrics.csv", ("run_id", "step"))):
        ours, theirs = (rows(str(place / table)) for place in (FOLDER, whole / FOLDER))
        assert [[row[name] for name in names] for row in ours] == [[row[name] for name in names] for row in theirs]


def test_a_killed_sweep_goes_on(program: Program, places: tuple[Path, Path]):
    stopped, whole = places
    shutil.copytree(stopped, ".", dirs_exist_ok=True)
    there = [one for _, one in store.list_checkpoints(FOLDER) if one is not None]
    result = program(*WORDS)
    assert result.code == 0 and "go on from where an interrupted program came to" in result.err + result.out
    same_results(whole)
    for one in there:
        for identity in one.runs:
            assert f"went on from step {one.step}, " in (FOLDER / f"logs/{identity}.log").read_text()
    assert not (FOLDER / "checkpoints").exists()


@long
def test_a_killed_sweep_of_single_runs_goes_on(program: Program, tmp_path: Path):
    """In the reference engine, to the last bit."""
    whole = tmp_path / "whole"
    whole.mkdir()
    killed(tmp_path, ALONE, 5, "reference")
    there = [one for _, one in store.list_checkpoints(FOLDER) if one is not None]
    assert there and {(one.engine, len(one.runs)) for one in there} == {("reference", 1)}
    assert {store.statuses(FOLDER)[one.runs[0]] for one in there} == {"interrupted"}
    result = program(*ALONE)
    assert result.code == 0 and "go on from where an interrupted program came to" in result.err + result.out
    assert program(*ALONE, "--results", str(whole / "results")).code == 0
    same_results(whole)
    assert {row["engine"] for row in rows(str(FOLDER / "runs.csv"))} == {"reference"}
    assert {row["status"] for row in rows(str(FOLDER / "runs.csv"))} == {"completed", "diverged"}
    for one in there:
        assert f"went on from step {one.step}, " in (FOLDER / f"logs/{one.runs[0]}.log").read_text()
    assert not (FOLDER / "checkpoints").exists()


def flip(path: Path) -> None:
    content = bytearray(path.read_bytes())
    content[-100] ^= 1
    path.write_bytes(content)


def cut(path: Path) -> None:
    path.write_bytes(path.read_bytes()[:100])


def change(field: str, value: object) -> Callable[[Path], None]:
    """A checkpoint whose first line, and the digest there, say something else."""

    def changed(path: Path) -> None:
        _, body = store.read_checkpoint(path.parents[1], path.stem)
        line = {**json.loads(path.read_bytes().partition(b"\n")[0]), field: value}
        line.pop("digest")
        path.unlink()
        other = store.Checkpoint(**{**line, "runs": tuple(line["runs"])})
        store.checkpoints.write_checkpoint(path.parents[1], other, body)

    return changed


@pytest.mark.parametrize(
    ("deed", "reason"),
    [
        (cut, "it is no checkpoint, or was damaged"),
        (change("version", "bnbench 0.0.1, torch 1.0"), "it is of bnbench 0.0.1, torch 1.0, and this is bnbench"),
        (change("device", "cuda"), "it is of device=cuda, and this is cpu"),
        (change("engine", "other"), "it is of engine 'other'"),
        (change("runs", ["r00000000000", "r11111111111"]), None),
    ],
    ids=["cut", "version", "device", "engine", "runs"],
)
def test_a_checkpoint_that_does_not_fit_is_removed(
    tmp_path: Path, places: tuple[Path, Path], deed: Callable[[Path], None], reason: str | None
):
    folder = tmp_path / "s"
    shutil.copytree(places[0] / FOLDER, folder)
    there = [name for name, _ in store.list_checkpoints(folder)]
    for name in there:
        deed(checkpoint_path(folder, name))
    pending = [identity for identity, status in store.statuses(folder).items() if status not in store.RESULTS]
    found = resumption(folder, pending, "cpu", store.statuses(folder))
    assert not found.checkpoints and bool(list(store.list_checkpoints(folder))) == (reason is None)
    assert all(bool(found.notes([name])) == (reason is not None) for name in there)
    assert all(reason is not None and reason in note for name in there for note in found.notes([name]))


def test_runs_whose_checkpoint_was_changed_begin_anew_and_say_so(program: Program, places: tuple[Path, Path]):
    stopped, whole = places
    shutil.copytree(stopped, ".", dirs_exist_ok=True)
    for name, _ in list(store.list_checkpoints(FOLDER)):
        flip(checkpoint_path(FOLDER, name))
    assert program(*WORDS).code == 0
    all_there(whole)
    assert "trained from the beginning, as its checkpoint is not used: " in logs()
    assert "its content is not what was written" in logs()


def test_runs_of_a_stack_of_which_some_are_not_asked_for_begin_anew(program: Program, places: tuple[Path, Path]):
    shutil.copytree(places[0], ".", dirs_exist_ok=True)
    few = [word.replace("seed=0,1", "seed=0") for word in WORDS]
    assert program(*few).code == 0
    assert "it is of a stack with other runs, which are not trained now" in logs()


def test_a_run_that_has_ended_since_keeps_its_result_and_the_others_go_on(program: Program, places: tuple[Path, Path]):
    """It was in the stack of the checkpoint: as where a machine is lost after the run has told its end."""
    stopped, whole = places
    shutil.copytree(stopped, ".", dirs_exist_ok=True)
    there = [one for _, one in store.list_checkpoints(FOLDER) if one is not None and len(one.runs) > 1]
    ended = [one.runs[0] for one in there]
    with store.Segment(FOLDER, "elsewhere") as segment:
        evaluations = (whole / FOLDER / "metrics.csv").read_text(), (whole / FOLDER / "probes.csv").read_text()
        metrics, readings = (
            "".join(line for line in text.splitlines(keepends=True) if line.partition(",")[0] in ended)
            for text in evaluations
        )
        segment.restore_series({"metrics": metrics, "readings": readings})
        segment.finish([row for row in rows(str(whole / FOLDER / "runs.csv")) if row["run_id"] in ended])
    assert there and program(*WORDS).code == 0
    same_results(whole)
    for one in there:
        log = [(FOLDER / f"logs/{identity}.log") for identity in one.runs]
        assert not log[0].exists() and f"went on from step {one.step}, " in log[1].read_text()


def test_a_checkpoint_that_is_too_large_to_travel_is_not_written(tmp_path: Path):
    (tmp_path / "s").mkdir()
    told: list[str] = []
    spec = make_spec("model=mlp")
    with store.Segment(tmp_path / "s", "one") as segment:
        keeper = Checkpointer(
            segment, "stack", [spec], "reference", torch.device("cpu"), 0.0, 2**10,
            lambda: {"results": [], "seconds": {}, "facts": {}}, told.append,
        )  # fmt: skip
        for step in (1, 2):
            keeper.at_pause(lambda: Snapshot(step, [0], {"tensor": torch.zeros(1000)}))  # noqa: B023 - called at once
    assert len(told) == 1 and told[0].startswith("no checkpoints are written: one has 0.00 GiB, and ")
    assert not (tmp_path / "s/checkpoints").exists()


def test_removed_runs_do_not_go_on(program: Program, places: tuple[Path, Path]):
    shutil.copytree(places[0], ".", dirs_exist_ok=True)
    there = {identity for _, one in store.list_checkpoints(FOLDER) if one is not None for identity in one.runs}
    assert there and program("rm", *(f"s/{identity}" for identity in there)).code == 0
    assert not list(store.list_checkpoints(FOLDER))


def test_a_disk_without_room_for_checkpoints_stops_nothing(program: Program, room_for: RoomFor):
    words = ("sweep", "--name", "s", "--launcher", "inline", "model=mlp", "model.width=256", "epochs=5")
    with room_for(100_000):
        assert program(*words, "--checkpoint-every", "0.001s").code == 0
    assert logs().count("a checkpoint could not be written, and training went on: ") == 1 and "s.csv" not in logs()
    assert not (FOLDER / "checkpoints").exists()


COUNTING = """
from torch import nn

class Counting(nn.Module):
    def __init__(self, num_features: int) -> None:
        super().__init__()
        self.calls = 0

    def forward(self, x):
        self.calls += self.training
        return x

NORMS = {"counting": Counting}
"""


def test_why_a_run_has_no_checkpoints_is_in_its_log(program: Program, tmp_path: Path):
    Path("mine.py").write_text(COUNTING)
    words = ("--plugin", "mine.py", "model=mlp", "norm=counting", "epochs=3", "--checkpoint-every", "0.001s")
    assert program("run", *words).code == 0
    (log,) = Path("results/runs/logs").glob("*.log")
    assert "no checkpoints are written: layer0.norm (Counting).calls is kept in Python" in log.read_text()


@pytest.mark.parametrize("command", ["run", "sweep"])
@pytest.mark.parametrize("option", ["--checkpoint-every", "--timeout"])
@pytest.mark.parametrize("value", ["0", "-5m", "5d", "", "nan", "inf", "1e999h"])
def test_times_that_are_none_are_refused(program: Program, command: str, option: str, value: str):
    result = program(command, "model=mlp", option, value)
    off = ", or off" if option == "--checkpoint-every" else ""
    assert result.code == 2 and not Path("results").exists()
    assert result.err.strip().endswith(f"{option} {value}: must be a time above zero, such as 90s, 10m or 1h{off}")
