"""Runs that train for longer than they may, or hang, are ended; the others are not."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.cli.test_sweep import rows
from tests.conftest import Program
from tests.products import long

PLUGIN = """
import time
from torch import nn

class Hanging(nn.Module):
    def __init__(self, num_features: int, *, seconds: float = 3600.0, above: float = 1e4) -> None:
        super().__init__()
        self.seconds, self.above, self.calls = seconds, above, 0

    def forward(self, x):
        self.calls += self.training
        if self.calls > 300 and not x.abs().max() <= self.above:  # planning makes fewer; nan is also above
            time.sleep(self.seconds)
        return x

NORMS = {"hanging": Hanging}
"""
SLOW_TO_IMPORT = """
import multiprocessing, sys
if multiprocessing.parent_process() is not None and not hasattr(sys, "has_slept"):
    sys.has_slept = True  # imports take time once in a process
    time.sleep(5)
"""
WORDS = ("--plugin", "mine.py", "model=mlp", "model.width=16", "norm=hanging", "batch_size=128", "epochs=60")
HANGING = "nothing came from it for 3.0 s, which is as long as a run may train (--timeout)"


@pytest.fixture(autouse=True)
def plugin(tmp_path: Path) -> None:
    (tmp_path / "mine.py").write_text(PLUGIN)


@long
def test_of_a_stack_the_run_that_hangs_is_ended_and_the_others_are_completed(program: Program):
    words = (*WORDS, "lr=0.01,0.02,0.03,1e6", "evaluate.every=60", "--lanes", "4", "--jobs", "1", "--timeout", "5s")
    hanging = HANGING.replace("3.0", "5.0")
    result = program("sweep", "--name", "s", *words)
    assert result.code == 1 and f"): {hanging}" in result.out
    ends = {run["lr"]: (run["status"], run["error"]) for run in rows("results/s/runs.csv")}
    assert ends.pop("1000000.0") == ("timed_out", hanging)
    assert set(ends.values()) == {("completed", "")}
    (late,) = (run["run_id"] for run in rows("results/s/runs.csv") if run["status"] == "timed_out")
    log = Path(f"results/s/logs/{late}.log").read_text()
    assert log.startswith(hanging) and "was ended before any evaluation" in log
    again = program("sweep", "--name", "s", *words)
    assert again.code == 1 and "1 failed earlier (--retry-failed)" in again.out
    assert "timed_out" in program("ls", "s").out and f"timed_out: {hanging}" in program("show", late).out
    assert "1 timed out" in program("report", "s").out


@pytest.mark.parametrize("command", [("run",), ("sweep", "--launcher", "inline"), ("sweep", "--jobs", "2")])
def test_a_run_that_trains_for_too_long_is_ended_at_an_evaluation(program: Program, command: tuple[str, ...]):
    words = (*WORDS, "norm.above=0", "norm.seconds=0.01", "--name", "s", "--timeout", "1s")
    assert program(*command, *words).code == 1
    (run,) = rows("results/s/runs.csv")
    assert run["status"] == "timed_out" and 1 < float(run["seconds"]) < 3
    assert run["error"].startswith("trained for 1.") and run["error"].endswith("s, longer than 1.0 s (--timeout)")
    assert 0 < len(rows("results/s/metrics.csv")) < 60
    assert Path(f"results/s/logs/{run['run_id']}.log").read_text().strip() == run["error"]


@pytest.mark.parametrize("command", ["run", pytest.param("sweep", marks=long)])
def test_a_single_run_that_hangs_is_ended(program: Program, command: str):
    assert program(command, *WORDS, "norm.above=0", "--name", "s", "--timeout", "3s").code == 1
    (run,) = rows("results/s/runs.csv")
    assert (run["status"], run["error"]) == ("timed_out", HANGING)


def test_a_worker_that_is_slow_to_begin_is_left_in_peace(program: Program):
    Path("mine.py").write_text(f"{PLUGIN}{SLOW_TO_IMPORT}")
    assert program("sweep", *WORDS, "norm.seconds=0", "--name", "s", "--timeout", "2s").code == 0


def test_runs_in_time_are_as_without_a_limit(program: Program):
    words = ("model=mlp", "norm=batch", "seed=0,1", "epochs=3")
    for name, limit in (("s", ("--timeout", "1h")), ("t", ())):
        assert program("sweep", "--name", name, *words, *limit).code == 0
    assert Path("results/s/metrics.csv").read_bytes() == Path("results/t/metrics.csv").read_bytes()
