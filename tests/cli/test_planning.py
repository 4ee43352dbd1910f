"""Before anything is trained: what a path shows is refused, what is done is shown, and Ctrl-C is answered."""

from __future__ import annotations

import os
import re
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import pytest
import torch

from bnbench import store
from bnbench.components import components
from bnbench.config import compose_request
from bnbench.errors import BnbenchError
from bnbench.notices import followed
from bnbench.plan import Resources, stacks
from bnbench.plan.choice import division
from bnbench.plan.estimate import stack_seconds
from bnbench.plan.feasibility import obstacles
from bnbench.spec import run_id
from bnbench.store.lock import locked
from bnbench.study import Place, check_places, load
from tests import warm
from tests.cli.test_progress import on_a_terminal, screen
from tests.conftest import load_data, make_spec
from tests.products import long

GRID = ("model=mlp", "model.depth=1", "model.width=8", "steps=2", "norm=none,group", "seed=0,1")
COMMANDS = [("sweep", "--name", "s", *GRID), ("run", "--name", "s", "model=mlp")]
PLUGIN = """
import time
from torch import nn

class Slow(nn.Identity):
    def __init__(self, num_features: int, *, seconds: float = 3.0) -> None:
        super().__init__()
        time.sleep(seconds)

NORMS = {"slow": Slow}
"""


def garbled(name: str) -> Callable[[Path], object]:
    def damage(results: Path) -> None:
        store.enter_runs(results / "s", [make_spec()], {}, {})
        (results / "s" / name).write_bytes(b"\x00\xff{\n")

    return damage


def lost(results: Path) -> None:
    store.enter_runs(results / "s", [make_spec()], {}, {"runs": 2})


PLACES: dict[str, tuple[Callable[[Path], object], str]] = {
    "runs.csv": (garbled("runs.csv"), "results/s/runs.csv is damaged: "),
    "sweep.yaml": (garbled("sweep.yaml"), "results/s/sweep.yaml is damaged: "),
    "lost rows": (lost, "results/s/runs.csv is damaged: it has 1 run, but sweep.yaml says 2"),
    "results is a file": (Path.touch, "results is a file; choose another --results or --name"),
    "a link": (lambda results: results.symlink_to("nowhere"), "choose another --results"),
    "in use": (lambda results: None, "results/s is in use by another bnbench"),
}


@pytest.fixture(params=PLACES)
def place(request: pytest.FixtureRequest, tmp_path: Path):
    """Where no sweep can be, and what is said of it."""
    make, says = PLACES[request.param]
    make(tmp_path / "results")
    if request.param == "in use":
        with locked(tmp_path / "results/s"):
            yield says
    else:
        yield says


@pytest.mark.parametrize("words", [COMMANDS[0], pytest.param(COMMANDS[1], marks=long)], ids=lambda words: words[0])
def test_what_a_path_shows_is_refused_before_anything_large_is_imported(
    tmp_path: Path, place: str, words: tuple[str, ...]
):
    """Importing torch fails here, and Hydra as well: what was refused was refused before."""
    early = tmp_path / "early"
    early.mkdir()
    for name in ("torch", "hydra", "scipy", "sklearn"):
        (early / f"{name}.py").write_text("raise SystemExit('too late')")
    done = subprocess.run(
        [sys.executable, "-m", "bnbench", *words, "lr=-1"], cwd=tmp_path, capture_output=True, text=True, check=False,
        env={**os.environ, "PYTHONPATH": os.pathsep.join([str(early), *filter(None, sys.path)])}, timeout=120,
    )  # fmt: skip
    assert done.returncode == 2 and done.stdout.count("\n") == 1
    assert done.stderr.startswith("error: ") and place in done.stderr and done.stderr.count("\n") == 1


def test_what_a_path_shows_is_refused_before_a_study_is_planned(tmp_path: Path, place: str):
    (study,) = load(["memory"])
    results = tmp_path / "results"
    if (results / "s").is_dir():
        (results / "s").rename(results / "study-memory-smoke")
    with pytest.raises(BnbenchError, match=re.escape(place.replace("results/s", "results/study-memory-smoke"))):
        check_places([study], "smoke", Place(results, tmp_path / "data"))


@pytest.mark.parametrize("to_train", [True, False])
def test_a_sweep_in_use_can_still_be_looked_at(tmp_path: Path, to_train: bool):
    with locked(tmp_path / "s"):
        if to_train:
            with pytest.raises(BnbenchError, match="in use"):
                store.check_place(tmp_path, "s")
        else:
            store.check_place(tmp_path, "s", to_train=False)
    store.check_place(tmp_path, "s")


HASTY = "from bnbench.cli import planning; planning.PLAIN_SECONDS = 0.05; from bnbench.cli import main; main()"


def begin(here: Path, *words: str, start: Callable[..., subprocess.Popen[str]]) -> subprocess.Popen[str]:
    """The program as on a machine that remembers nothing: planning takes its time."""
    (here / "slow.py").write_text(PLUGIN)
    path = os.pathsep.join(filter(None, sys.path))
    return start(
        [sys.executable, "-c", HASTY, *words], cwd=here, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
        env={**os.environ, "PYTHONPATH": path, "XDG_CACHE_HOME": str(here / "cache")},
    )  # fmt: skip


STEPS = {
    "starting": (subprocess.Popen, "planning s: starting, elapsed 0:00", ()),
    "trying": (warm.Popen, "planning s: trying networks (of 2 runs), elapsed ", ("--plugin", "slow.py", "norm=slow")),
}


@pytest.mark.skipif(sys.platform != "linux", reason="elsewhere workers start too slowly to be caught at a step")
@pytest.mark.parametrize("step", STEPS)
def test_a_pipe_is_told_what_is_planned_and_ctrl_c_says_that_nothing_was_trained(tmp_path: Path, step: str):
    start, says, more = STEPS[step]
    grid = [word for word in GRID if not (word.startswith("norm=") and "norm=slow" in more)]
    process = begin(tmp_path, "sweep", "--name", "s", *grid, *more, start=start)
    assert process.stdout is not None
    read, deadline = [process.stdout.readline()], time.monotonic() + 120
    while not read[-1].startswith(says):
        assert read[-1] and time.monotonic() < deadline, read
        read.append(process.stdout.readline())
    process.send_signal(signal.SIGINT)
    out, err = process.communicate(timeout=60)
    assert process.returncode == 130 and err == ""
    assert read[0] == "planning s ...\n" and out.splitlines()[-1] == "interrupted; nothing was trained"
    assert not (tmp_path / "results").exists()


@pytest.mark.parametrize(
    "words",
    [
        COMMANDS[0],
        pytest.param(COMMANDS[1], marks=long),
        ("study", "run", "memory"),
        pytest.param(("study", "show", "memory"), marks=long),
    ],
    ids=" ".join,
)
def test_ctrl_c_in_planning_is_answered_by_every_command(tmp_path: Path, words: tuple[str, ...]):
    process = begin(tmp_path, *words, start=subprocess.Popen)  # it imports torch meanwhile
    assert process.stdout is not None
    assert process.stdout.readline().startswith("planning ")
    time.sleep(0.5)
    process.send_signal(signal.SIGINT)
    out, err = process.communicate(timeout=60)
    assert process.returncode == 130 and err == ""
    assert out.splitlines()[-1] == "interrupted; nothing was trained"


@pytest.mark.parametrize(("columns", "start"), [(80, warm.Popen), pytest.param(30, subprocess.Popen, marks=long)])
def test_on_a_terminal_the_steps_are_shown_and_gone_at_the_end(
    tmp_path: Path, columns: int, start: Callable[..., subprocess.Popen[bytes]]
):
    (tmp_path / "slow.py").write_text(PLUGIN)
    words = ["sweep", "--name", "s", *GRID[:-2], "norm=slow", "norm.seconds=0.3", "--plugin", "slow.py", "--dry-run"]
    written = on_a_terminal(tmp_path, columns, words, None, start=start)
    imports_torch = start is subprocess.Popen  # which takes long enough to be seen
    for step in (*(["starting"] if imports_torch else []), "trying networks (of 1 runs)"):
        shown = step if len(step) + len("  elapsed 0:00") <= columns - 4 else "trying ne...  elapsed 0:"
        assert shown.encode() in written, written
    lines = screen(written, columns)
    assert lines[0] == "planning s ..." and lines[1].startswith("s: 1 run, ")
    assert b"0/0" not in written


@pytest.mark.parametrize(
    "after", [*(pytest.param(step, marks=long) for step in (b"starting", b"trying")), b"dividing"], ids=bytes.decode
)
def test_interrupted_on_a_terminal_before_training(tmp_path: Path, after: bytes):
    (tmp_path / "slow.py").write_text(PLUGIN)
    words = ["sweep", "--name", "s", *GRID[:-2], "seed=0,1", "--plugin", "slow.py", "norm=slow", "norm.seconds=1"]
    start = subprocess.Popen if after == b"starting" else warm.Popen  # the former imports torch meanwhile
    written = on_a_terminal(tmp_path, 80, words, after, start=start)
    said = "interrupted; the same command" if after == b"dividing" else "interrupted; nothing was trained"
    lines = [line for line in screen(written, 80) if line]
    assert lines[-1].startswith(said) and b"Traceback" not in written, written
    assert b"0/0" not in written


def test_each_step_names_the_arm_and_how_many_there_are():
    parts = components()
    specs = {run_id(spec): spec for spec in compose_request(GRID, parts).specs}
    steps: list[str] = []
    with followed(steps.append):
        obstacles(specs, parts, load_data)
        found = division(specs, parts, load_data, Resources(1))
        planned = stacks(specs, found.executions, 1)
        stack_seconds(specs, parts, load_data, torch.device("cpu"), planned, found)
    arms = [f"norm={norm} model=mlp dataset=digits batch_size=64" for norm in ("none", "group")]
    assert steps[:4] == [
        f"trying {arms[0]} (run 1 of 4)",
        f"trying {arms[1]} (run 3 of 4)",
        f"proving {arms[0]} (1 of 2 kinds)",
        f"proving {arms[1]} (2 of 2 kinds)",
    ]
    assert sorted(step.split(" (")[0] for step in steps[4:]) == sorted(f"measuring {arm}" for arm in arms)
    assert steps[-1].endswith("(2 of 2 kinds)")
