"""Runs on several devices, as a sweep has them: an ordinary ablation, each failure alone, and nothing left behind."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from dataclasses import replace
from pathlib import Path

import pytest

from bnbench import session
from tests import warm
from tests.cli.test_misbehaving import check_all_ended
from tests.cli.test_sweep import rows
from tests.conftest import Program
from tests.products import long

SMALL = ("model=mlp", "model.width=16", "model.depth=2", "epochs=2", "precision=fp64")
FAULTY = """
import os
import signal
import time

import torch
from torch import Tensor, distributed, nn


class Faulty(nn.Module):
    def __init__(self, num_features: int, *, how: str = "raises") -> None:
        super().__init__()
        self.how, self.weight = how, nn.Parameter(torch.ones(num_features))
        self.register_buffer("calls", torch.tensor(0))

    def forward(self, x: Tensor) -> Tensor:
        self.calls += self.training
        if distributed.is_initialized() and distributed.get_rank() == 1 and self.calls > 5:
            if self.how == "raises":
                raise ValueError("the second one refuses")
            if self.how == "dies":
                os.kill(os.getpid(), signal.SIGKILL)
            time.sleep(3600)
        return x


NORMS = {"faulty": Faulty}
"""
FAULTY_RUN = ("--plugin", "faulty.py", "model=mlp", "model.width=8", "norm=faulty", "epochs=1")


def test_devices_are_swept_and_sync_takes_the_statistics_of_all(program: Program):
    """Batch normalization has those of a device; on one device both are one norm."""
    words = ("sweep", "--name", "s", *SMALL, "norm=batch,sync", "devices=1,2", "--jobs", "2", "--save-weights")
    result = program(*words)
    assert (result.code, result.err) == (0, ""), result.err
    assert "note: norm=sync is norm=batch: a run on one device is one process" in result.out
    table = rows("results/s/runs.csv")
    runs = {(run["norm"], run["devices"]): run for run in table}
    assert len(runs) == 4 and {run["status"] for run in table} == {"completed"}
    reasons = {devices: {runs[norm, devices]["engine_reason"] for norm in ("batch", "sync")} for devices in "12"}
    assert reasons == {"1": {""}, "2": {"a run on 2 devices is in no stack"}}
    assert {run["engine"] for run in table if run["devices"] == "2"} == {"reference"}
    loss = {key: float(run["test_loss"]) for key, run in runs.items()}
    assert loss["sync", "1"] == loss["batch", "1"] == pytest.approx(loss["sync", "2"], rel=1e-10)
    assert loss["batch", "2"] != pytest.approx(loss["batch", "1"], rel=1e-3)
    assert len(list(Path("results/s/weights").iterdir())) == 4
    assert len(rows("results/s/metrics.csv")) == 8
    again = program(*words)
    assert again.code == 0 and "4 finished already, 0 to train" in again.out
    report = program("report", "s")
    assert "devices" in report.out and report.code == 0
    assert program("ls", "s", "devices=2").out.count("completed") == 2


def test_a_run_goes_on_by_itself_from_its_spec_file(program: Program):
    assert program("run", "--name", "s", *SMALL, "norm=batch", "devices=2", "probes=[statistics_gap]").code == 0
    (first,) = rows("results/s/runs.csv")
    readings = rows("results/s/probes.csv")
    assert program("run", "--from", f"results/s/specs/{first['run_id']}.yaml", "--name", "t").code == 0
    (second,) = rows("results/t/runs.csv")
    assert first["test_loss"] == second["test_loss"] and readings == rows("results/t/probes.csv") != []


@long
@pytest.mark.parametrize(
    ("how", "status", "error", "log"),
    [
        ("raises", "failed", "ValueError: the second one refuses", "in forward"),
        ("dies", "failed", "the worker process was ended by SIGKILL", "It was process 2 of 2 of this run."),
        ("hangs", "timed_out", "nothing came from it for 9.0 s", "before any evaluation"),
    ],
)
def test_a_run_of_which_a_process_fails_fails_alone(program: Program, how: str, status: str, error: str, log: str):
    Path("faulty.py").write_text(FAULTY)
    before = warm.living()
    words = (*FAULTY_RUN, f"norm.how={how}", "--jobs", "2", *(("--timeout", "9s") if how == "hangs" else ()))
    result = program("sweep", "--name", "s", *words, "devices=1,2")
    assert result.code == 1
    runs = {run["devices"]: run for run in rows("results/s/runs.csv")}
    assert runs["1"]["status"] == "completed"
    assert runs["2"]["status"] == status and runs["2"]["error"].startswith(error), runs["2"]["error"]
    assert log in Path(f"results/s/logs/{runs['2']['run_id']}.log").read_text()
    check_all_ended(before)


@pytest.mark.skipif(sys.platform != "linux", reason="reads /proc")
@pytest.mark.parametrize("end", [signal.SIGINT, signal.SIGKILL])
@pytest.mark.parametrize("command", [("run",), pytest.param(("sweep", "--jobs", "4", "seed=0,1"), marks=long)])
def test_processes_end_with_the_program(tmp_path: Path, command: tuple[str, ...], end: signal.Signals):
    before = warm.living()
    words = [*command, "--name", "s", "model=mlp", "norm=sync", "epochs=100000", "devices=2", "--checkpoint-every", "1"]
    program = warm.Popen(
        [sys.executable, "-m", "bnbench", *words], cwd=tmp_path, env={**os.environ, "TMPDIR": str(tmp_path)},
        stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, start_new_session=True,
    )  # fmt: skip
    deadline = time.monotonic() + 120
    while not any(path.stat().st_size > 500 for path in tmp_path.glob("results/s/segments/*metrics.csv")):
        assert time.monotonic() < deadline and program.poll() is None
        time.sleep(0.1)
    assert len(warm.living() - before) >= 3
    os.killpg(program.pid, end) if end == signal.SIGINT else program.kill()
    assert program.wait(20) == (130 if end == signal.SIGINT else -signal.SIGKILL)
    check_all_ended(before)
    if end == signal.SIGINT:
        assert {run["status"] for run in rows(tmp_path / "results/s/runs.csv")} == {"interrupted"}
        assert not (tmp_path / "results/s/checkpoints").exists()


@pytest.mark.parametrize(
    ("words", "says"),
    [
        (["devices=3", "batch_size=32"], "devices=3 batch_size=32: each device takes an equal part of the batch"),
        (["devices=2", "--launcher", "ray"], "devices=2: --launcher ray gives each run one device; use --launcher "),
        (["devices=2", "--launcher", "ray", "--dry-run"], "devices=2: --launcher ray gives each run one device"),
        (["devices=2", "batch_size=2", "norm=batch"], "with devices=2, a device has 1 example of 2"),
        (["devices=1,0"], "devices=0: must be at least 1"),
        (["device=2"], "device=2: must be auto, cpu, cuda"),
    ],
)
def test_refused_before_anything_is_written(program: Program, words: list[str], says: str):
    result = program("sweep", "--name", "s", "model=mlp", *words)
    assert result.code == 2 and says in result.err and "Traceback" not in result.err
    assert not Path("results").exists()


@long
def test_runs_whose_times_are_compared_are_trained_by_themselves(program: Program):
    """In turns with others there is one process."""
    grid = session.Grid([*SMALL, "norm=batch,sync", "devices=2"])
    plan = session.plan_sweep(grid, "s", session.Paths(Path("results"), Path("data")))
    plan = replace(plan, interleaved=(tuple(plan.pending),))
    summary = session.execute(plan, session.TrainingOptions(jobs=2))
    assert set(summary.statuses.values()) == {"completed"}
    assert {(run["engine"], run["lanes"]) for run in rows("results/s/runs.csv")} == {("reference", "1")}
