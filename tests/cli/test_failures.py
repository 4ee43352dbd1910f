"""What a user is told of runs without a result."""

from __future__ import annotations

import re
import shlex
from pathlib import Path

import pytest

from tests.cli.test_sweep import SMALL, rows
from tests.conftest import Program
from tests.products import long

PLUGIN = """
import os, signal
from torch import nn

class Failing(nn.Module):
    def __init__(self, num_features: int, *, how: str = "raises") -> None:
        super().__init__()
        self.how, self.calls = how, 0

    def forward(self, x):
        self.calls += self.training
        if self.calls > 300:
            if self.how == "is_killed":
                os.kill(os.getpid(), signal.SIGKILL)
            if self.how == "leaves":
                os._exit(3)
            if self.how == "has_no_memory":
                raise MemoryError("no room")
            raise ValueError("no more")
        return x

NORMS = {"failing": Failing}
"""
ENDS = {
    "raises": ("failed", "ValueError: no more", "Traceback"),
    "has_no_memory": ("out_of_memory", "MemoryError: no room", "Traceback"),
    "is_killed": ("failed", "the worker process was ended by SIGKILL", "died after its evaluation at step 23"),
    "leaves": ("failed", "the worker process ended with exit code 3", "died after its evaluation at step 23"),
}


@pytest.mark.parametrize(
    "how", ["raises", "is_killed", *(pytest.param(how, marks=long) for how in ("has_no_memory", "leaves"))]
)
def test_a_failed_run_has_a_log_and_says_how_to_run_it_again(program: Program, tmp_path: Path, how: str):
    status, error, known = ENDS[how]
    (tmp_path / "my norms.py").write_text(PLUGIN)
    words = ("--plugin", "my norms.py", "model=mlp", "model.depth=2", "model.width=8", "batch_size=64", "epochs=30")
    result = program("sweep", "--name", "s", *words, "norm=failing", f"norm.how={how}", "seed=0,1")
    assert result.code == 1 and "what is known of each failure is in results/s/logs" in result.out
    for run in rows("results/s/runs.csv"):
        assert run["status"] == status and run["error"].startswith(error)
        log = Path(f"results/s/logs/{run['run_id']}.log").read_text()
        assert error in log and re.search(known.replace("23", r"\d+"), log), log
    shown = program("show", run["run_id"])
    assert shown.code == 0 and "Empty DataFrame" not in shown.out
    lines = dict(line.split(": ", 1) for line in shown.out.splitlines()[-3:])
    assert lines[status].startswith(error) and lines["log"] == f"results/s/logs/{run['run_id']}.log"
    name, *again = shlex.split(lines["again"])
    repeated = program(*again)
    assert name == "bnbench" and repeated.code == 1 and error in repeated.out


def test_what_has_no_log_promises_none(program: Program):
    program("sweep", "--name", "s", *SMALL, "norm=batch,group", "norm.groups=7")
    (impossible,) = (run for run in rows("results/s/runs.csv") if run["status"] == "impossible")
    shown = program("show", impossible["run_id"])
    assert "no evaluations\n\nimpossible: " in shown.out and "again:" not in shown.out and "log:" not in shown.out


@pytest.mark.parametrize("variable", [None, "elsewhere", "other"])
def test_a_run_is_trained_again_where_it_was(
    program: Program, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, variable: str | None
):
    """In the sweep that was looked at, whatever folder of results the settings name."""
    (tmp_path / "norms.py").write_text(PLUGIN)
    words = ("--plugin", "norms.py", "model=mlp", "model.depth=2", "model.width=8", "batch_size=64", "epochs=30")
    assert program("sweep", "--name", "s", "--results", "elsewhere", *words, "norm=failing").code == 1
    if variable:
        monkeypatch.setenv("BNBENCH_RESULTS", variable)
    (run,) = rows("elsewhere/s/runs.csv")
    shown = program("show", f"elsewhere/s/{run['run_id']}")
    (again,) = (line.removeprefix("again: bnbench ") for line in shown.out.splitlines() if line.startswith("again: "))
    before = Path("elsewhere/s/runs.csv").read_bytes()
    assert program(*shlex.split(again)).code == 1
    assert Path("elsewhere/s/runs.csv").read_bytes() != before
    assert not Path("results").exists() and not Path("other").exists()
