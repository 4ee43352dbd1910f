"""A user's code that ends processes, or changes them, at each place where it is executed: it does so to itself only."""

from __future__ import annotations

import csv
import os
import subprocess
import sys
import time
import uuid
from dataclasses import dataclass
from pathlib import Path

import pytest

from tests.cli.misbehaving import ENDING, HARMLESS, NORMS, RAISING

PLUGIN = Path(__file__).with_name("misbehaving.py")
SMALL = ("model=mlp", "model.width=8", "model.depth=1", "epochs=1", "batch_size=256")


@dataclass
class Outcome:
    """What a call of the program came to: its exit code, what it printed, and its runs by norm."""

    code: int
    out: str
    err: str
    runs: dict[str, dict[str, str]]


def call(folder: Path, place: str, *words: str) -> Outcome:
    """A call of the program in a folder, which must leave no process and no file behind but its results."""
    mark, temporary = uuid.uuid4().hex, folder / "temporary"
    temporary.mkdir(exist_ok=True)
    environment = {**os.environ, "MISBEHAVES": place, "MARK": mark, "TMPDIR": str(temporary)}
    done = subprocess.run(
        [sys.executable, "-m", "bnbench", *words], cwd=folder, env=environment, capture_output=True, timeout=500,
        stdin=subprocess.PIPE, text=True, check=False,
    )  # fmt: skip
    deadline = time.monotonic() + 10
    while left := marked(mark):
        assert time.monotonic() < deadline, left
        time.sleep(0.1)
    assert [path for path in temporary.iterdir() if not path.name.startswith("torchinductor")] == []  # torch's cache
    table = folder / "results/s/runs.csv"
    rows = list(csv.DictReader(table.read_text().splitlines())) if table.exists() else []
    assert not (folder / "results/s/segments").exists()
    return Outcome(done.returncode, done.stdout, done.stderr, {row["norm"]: row for row in rows})


def marked(mark: str) -> list[str]:
    """The processes whose environment has a mark."""
    found = []
    for process in Path("/proc").glob("[0-9]*"):
        try:
            if mark.encode() in (process / "environ").read_bytes():
                found.append((process / "cmdline").read_text().replace("\0", " "))
        except (FileNotFoundError, ProcessLookupError, PermissionError):
            continue
    return found


@pytest.fixture(scope="module")
def alone(tmp_path_factory: pytest.TempPathFactory) -> dict[str, str]:
    """The run of the built-in arm without a plugin."""
    found = call(tmp_path_factory.mktemp("alone"), "", "sweep", "--name", "s", *SMALL, "norm=batch,none")
    assert found.code == 0, found.err
    return found.runs["batch"]


@pytest.mark.skipif(sys.platform != "linux", reason="reads /proc")
@pytest.mark.parametrize("place", ["init", "planning", "training"])
def test_each_arm_bears_what_it_does_alone(tmp_path: Path, alone: dict[str, str], place: str):
    norms = ["leaves_0", "exits_0", "segfaults", "interrupts"] if place == "init" else [*NORMS]
    found = call(
        tmp_path, place, "sweep", "--name", "s", "--plugin", str(PLUGIN), *SMALL, f"norm=batch,none,{','.join(norms)}"
    )
    assert found.code == 1 and found.runs.keys() == {"batch", "none", *norms}, found.err[-2000:]
    assert "Traceback" not in found.err and "bug" not in found.err
    for norm in ENDING.keys() & norms:
        assert found.runs[norm]["status"] == ("failed" if place == "training" else "impossible"), norm
        assert found.runs[norm]["error"] and f"norm={norm} " in found.out, norm
    for norm in RAISING.keys() & norms:
        assert found.runs[norm]["status"] in ("failed", "out_of_memory"), norm
        assert found.runs[norm]["error"] and f"norm={norm} " in found.out, norm
    for norm in norms:
        if norm in HARMLESS and not norm.startswith("patches"):
            assert found.runs[norm]["status"] == "completed", norm
    timed = {"seconds", "started_at", "finished_at"}
    assert {key: value for key, value in found.runs["batch"].items() if key not in timed} == {
        key: value for key, value in alone.items() if key not in timed
    }


@pytest.mark.parametrize(("norm", "reason"), [
    ("leaves_0", "exit code 0"), ("segfaults", "SIGSEGV"), ("interrupts", "KeyboardInterrupt"),
])  # fmt: skip
@pytest.mark.parametrize("command", [("sweep", "--name", "s"), ("run", "--name", "s")], ids=["sweep", "run"])
def test_nothing_is_left_to_train(tmp_path: Path, command: tuple[str, ...], norm: str, reason: str):
    found = call(tmp_path, "planning", *command, "--plugin", str(PLUGIN), *SMALL, f"norm={norm}")
    assert found.code == 2 and f"norm={norm} " in found.err and reason in found.err, found.err
    assert "misbehaving.py:" in found.err and not (tmp_path / "results").exists()
