"""Whole programs on one sweep at once, and a folder that becomes read-only under one: nothing is lost or doubled."""

from __future__ import annotations

import csv
import os
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from bnbench import store
from tests import warm
from tests.budget import slowness
from tests.cli.test_disks import same_tables
from tests.conftest import Program
from tests.products import long

WORDS = (
    "sweep", "--name", "s", "--lanes", "2", "--jobs", "2", "model=mlp", "model.width=8", "norm=none,batch",
    "epochs=100", "seed=range(4)", "grad_clip=1", "evaluate.every=20",
)  # fmt: skip
"""Four stacks, which train for seconds."""


def begun() -> subprocess.Popen[str]:
    """A program of the sweep."""
    words = [sys.executable, "-m", "bnbench", *WORDS]
    process: subprocess.Popen[str] = warm.Popen(words, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    return process


def wait_until(condition: Callable[[], bool], process: subprocess.Popen[str]) -> None:
    """Wait for something to come about while a program runs."""
    deadline = time.monotonic() + 60 * slowness()
    while not condition():
        assert time.monotonic() < deadline and process.poll() is None, process.communicate()
        time.sleep(0.02)


def has_measured() -> bool:
    """Whether a run has been evaluated."""
    return any(path.stat().st_size > 300 for path in Path("results/s/segments").glob("*.metrics.csv"))


def check_whole(program: Program) -> None:
    """All runs have one row, each evaluation is there once, and they are what one program alone comes to."""
    names = [*WORDS[:2], "whole", *WORDS[3:]]
    assert program(*names).code == 0
    with Path("results/s/metrics.csv").open(newline="") as stream:
        keys = [(row["run_id"], row["step"]) for row in csv.DictReader(stream)]
    assert keys and len(keys) == len(set(keys))
    assert list(store.statuses(Path("results/s")).values()) == ["completed"] * 8
    same_tables(Path("results/s"), Path("results/whole"))
    again = program(*WORDS)
    assert again.code == 0 and "8 finished already" in again.out + again.err, again


@long
@pytest.mark.parametrize("apart", [0.0, 0.3])
def test_of_three_programs_at_once_one_trains(program: Program, apart: float) -> None:
    """The others are refused in one line, whether they begin with it or meanwhile."""
    processes = list[subprocess.Popen[str]]()
    for _ in range(3):
        processes.append(begun())
        time.sleep(apart)
    ends = [(process.communicate(timeout=120 * slowness()), process.returncode) for process in processes]
    refused = [(out, err, code) for (out, err), code in ends if code]
    assert len(refused) == 2, ends
    for out, err, code in refused:
        (line,) = [line for line in err.splitlines() if line.startswith("error: ")]
        assert code == 2 and "results/s is in use by another bnbench" in line and "Traceback" not in out + err, ends
    check_whole(program)


@long
def test_a_folder_that_becomes_read_only_while_runs_train(program: Program) -> None:
    """A mount without the right to write is put upon the sweep's folder, and taken away again."""
    folder = Path("results/s").absolute()
    process = begun()
    wait_until(has_measured, process)
    bind = ["mount", "--bind", str(folder), str(folder)]
    if os.geteuid() != 0 or subprocess.run(bind, capture_output=True, check=False).returncode:
        process.kill()
        process.communicate()
        pytest.skip("only root may mount a folder upon itself")
    try:
        subprocess.run(["mount", "-o", "remount,ro,bind", str(folder)], check=True)
        out, err = process.communicate(timeout=120 * slowness())
    finally:
        process.kill()
        subprocess.run(["umount", str(folder)], check=True)
    errors = [line for line in err.splitlines() if line.startswith("error: ")]
    assert process.returncode == 1 and len(errors) == 1 and "Traceback" not in out + err, (out, err)
    assert "Read-only file system" in errors[0] and "the same command" in errors[0], errors
    assert "failed: " not in out, out
    statuses = store.statuses(Path("results/s"))
    assert not set(statuses.values()) & {"failed"}, statuses
    finished = sum(status == "completed" for status in statuses.values())
    assert finished < 8
    again = program(*WORDS)
    assert again.code == 0, again
    check_whole(program)
