"""Sweeps through the program itself: every run accounted for, nothing trained twice, failures alone."""

import csv
import importlib
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml

from bnbench import store, worker
from bnbench.native import c_compiler
from bnbench.session.dispatch import dispatch
from bnbench.tasks import End
from tests import warm
from tests.conftest import Program

SMALL = ("model=mlp", "model.width=16", "epochs=1")
PLUGIN = '''
from torch import Tensor, nn

class Mine(nn.Module):
    """Subtracts the mean over the batch."""

    def __init__(self, num_features: int, *, strength: float = 1.0) -> None:
        super().__init__()
        self.strength = strength

    def forward(self, x: Tensor) -> Tensor:
        return x - self.strength * x.mean(0)

NORMS = {"mine": Mine}
'''
RAISING = '''
from torch import nn

class Fragile(nn.Module):
    """Fails at the third training step."""

    def __init__(self, num_features: int) -> None:
        super().__init__()
        self.calls = 0

    def forward(self, x):
        self.calls += x.shape[0] == 64
        if self.calls > 3:
            raise RuntimeError("out of luck")
        return x

NORMS = {"fragile": Fragile}
'''


def rows(path: str) -> list[dict[str, str]]:
    with Path(path).open() as stream:
        return list(csv.DictReader(stream))


def test_every_run_is_accounted_for_and_the_second_call_trains_nothing(program: Program):
    words = ("sweep", "--name", "s", *SMALL, "norm=none,batch", "lr=0.1,0.01", "seed=range(2)")
    first = program(*words)
    assert first.code == 0, first.err
    runs = rows("results/s/runs.csv")
    assert len(runs) == 8 and {run["status"] for run in runs} == {"completed"}
    assert {(run["norm"], run["lr"], run["seed"]) for run in runs} == {
        (norm, lr, seed) for norm in ("none", "batch") for lr in ("0.1", "0.01") for seed in "01"
    }
    metrics = rows("results/s/metrics.csv")
    assert sorted(row["run_id"] for row in metrics) == sorted(run["run_id"] for run in runs)
    report = program("report", "s", "--baseline", "norm=none")
    before = {path: path.read_bytes() for path in Path("results/s").rglob("*") if path.is_file()}
    second = program(*words)
    assert second.code == 0 and "8 finished already" in second.out and "nothing to train" in second.out
    assert program("report", "s", "--baseline", "norm=none").out == report.out
    assert {path: path.read_bytes() for path in Path("results/s").rglob("*") if path.is_file()} == before


def test_local_workers_and_inline_give_the_same_bytes(program: Program):
    for name, extra in (("local", ("--jobs", "2")), ("alone", ("--launcher", "inline"))):
        words = ("--lanes", "2", "norm=batch,ghost", "seed=0,1")
        assert program("sweep", "--name", name, *SMALL, *words, *extra).code == 0
    local, alone = (sorted(Path(f"results/{name}/metrics.csv").read_text().splitlines()) for name in ("local", "alone"))
    assert local == alone


def test_an_interrupted_sweep_ends_with_the_bytes_of_a_whole_one(program: Program, monkeypatch: pytest.MonkeyPatch):
    """What was found to be quick is kept, and the runs that are left are divided in another way."""
    words = ("model=mlp", "model.width=64", "epochs=2", "norm=batch,ghost", "seed=range(5)", "--launcher", "inline")
    assert program("sweep", "--name", "whole", *words).code == 0

    def one_stack(*arguments: Any) -> Iterator[list[End]]:
        yield next(dispatch(*arguments))
        raise KeyboardInterrupt

    with monkeypatch.context() as interrupted:
        interrupted.setattr(sys.modules["bnbench.session.execution"], "dispatch", one_stack)
        assert program("sweep", "--name", "parts", *words).code == 130
    left = {run["seed"] for run in rows("results/parts/runs.csv") if run["status"] == "planned"}
    assert left
    with monkeypatch.context() as measuring:
        measuring.setattr(importlib.import_module("bnbench.plan.choice"), "quick_lanes", None)
        assert program("sweep", "--name", "parts", *words, "--jobs", "4").code == 0
    whole, parts = (sorted(Path(f"results/{name}/metrics.csv").read_text().splitlines()) for name in ("whole", "parts"))
    assert parts == whole
    first, second = yaml.safe_load(Path("results/parts/sweep.yaml").read_text())
    assert first["lanes"] == second["lanes"] and len(first["lanes"]) == 2


def test_what_a_killed_program_left_finished_is_joined(program: Program, monkeypatch: pytest.MonkeyPatch):
    """Killed after its last run and before the join: the rows stand in segments, and nothing is left to train."""
    words = ("sweep", "--name", "s", *SMALL, "seed=0,1", "--launcher", "inline")
    with monkeypatch.context() as killed:
        killed.setattr(store, "join", lambda folder, *more, **adds: None)
        assert program(*words).code == 0
    assert {run["status"] for run in rows("results/s/runs.csv")} == {"planned"}
    assert "nothing to train" in program(*words).out
    assert [run["status"] for run in rows("results/s/runs.csv")] == ["completed", "completed"]
    assert len(rows("results/s/metrics.csv")) == 2
    assert not Path("results/s/segments").exists()


def test_a_name_can_be_extended_and_says_so(program: Program):
    assert program("sweep", "--name", "s", *SMALL, "norm=none").code == 0
    more = program("sweep", "--name", "s", "--extend", *SMALL, "norm=batch")
    assert more.code == 0 and "extends" in more.out
    assert [run["norm"] for run in rows("results/s/runs.csv")] == ["none", "batch"]


def test_one_raises_one_diverges_one_is_impossible_and_all_others_complete(program: Program, tmp_path: Path):
    (tmp_path / "fragile.py").write_text(RAISING)
    result = program(
        "sweep", "--name", "s", "--plugin", "fragile.py", "--jobs", "2", "model=mlp", "epochs=1",
        "norm=none,fragile,group", "norm.groups=4,7", "lr=0.01,1e6", "optim.momentum=0",
        "--exclude", "norm=fragile,group lr=1e6",
    )  # fmt: skip
    assert result.code == 1, result.err
    found = {(run["norm"], run["norm.groups"], run["lr"]): run for run in rows("results/s/runs.csv")}
    assert {key: run["status"] for key, run in found.items()} == {
        ("none", "", "0.01"): "completed",
        ("none", "", "1000000.0"): "diverged",
        ("fragile", "", "0.01"): "failed",
        ("group", "4", "0.01"): "completed",
        ("group", "7", "0.01"): "impossible",
    }
    assert "failed: norm=fragile" in result.out and "RuntimeError: out of luck" in result.out
    failed = found["fragile", "", "0.01"]
    line = f'{Path("fragile.py").absolute()}:14: raise RuntimeError("out of luck")'
    assert failed["error"] == f"RuntimeError: out of luck ({line})"
    assert 'raise RuntimeError("out of luck")' in Path(f"results/s/logs/{failed['run_id']}.log").read_text()
    assert "groups" in found["group", "7", "0.01"]["error"] and "100" in found["group", "7", "0.01"]["error"]
    assert float(found["none", "", "1000000.0"]["diverged_step"]) >= 2


def test_a_failed_run_is_tried_again_only_when_asked(program: Program, tmp_path: Path):
    (tmp_path / "fragile.py").write_text(RAISING)
    words = ("sweep", "--name", "s", "--plugin", "fragile.py", "--launcher", "inline", *SMALL, "norm=fragile,none")
    assert program(*words).code == 1
    again = program(*words)
    assert again.code == 1 and "1 failed earlier (--retry-failed), 0 to train" in again.out
    retried = program(*words, "--retry-failed")
    assert retried.code == 1 and "1 to train" in retried.out
    assert len(rows("results/s/runs.csv")) == 2


def test_fail_fast_stops_and_the_rest_stays_planned(program: Program, tmp_path: Path):
    (tmp_path / "fragile.py").write_text(RAISING)
    result = program(
        "sweep", "--name", "s", "--plugin", "fragile.py", "--jobs", "1", "--fail-fast",
        *SMALL, "norm=fragile,none",
    )  # fmt: skip
    assert result.code == 1
    assert [run["status"] for run in rows("results/s/runs.csv")] == ["failed", "planned"]


def test_a_plugin_goes_through_sweep_and_report(program: Program, tmp_path: Path):
    (tmp_path / "mine.py").write_text(PLUGIN)
    result = program(
        "sweep", "--name", "s", "--plugin", "mine.py", *SMALL, "norm=none,mine", "norm.strength=0.5,1.0", "seed=0,1"
    )
    assert result.code == 0, result.err
    runs = rows("results/s/runs.csv")
    assert [(run["norm"], run["norm.strength"]) for run in runs].count(("none", "")) == 2
    assert [run["norm.strength"] for run in runs].count("0.5") == 2
    assert {bool(run["plugin"]) for run in runs if run["norm"] == "none"} == {False}
    (source,) = {run["plugin"] for run in runs if run["norm"] == "mine"}
    assert len(source) == 64
    report = program("report", "s", "--view", "convergence", "--baseline", "norm=none")
    assert report.code == 0 and "mine" in report.out and "0.5" in report.out


def test_stacking_changes_rounding_only(program: Program):
    words = (*SMALL, "norm=none,batch,renorm", "seed=0,1", "lr=0.1,0.01", "--launcher", "inline")
    assert program("sweep", "--name", "off", *words, "--lanes", "off").code == 0
    assert program("sweep", "--name", "three", *words, "--lanes", "3").code == 0
    off, three = (rows(f"results/{name}/runs.csv") for name in ("off", "three"))
    assert {(run["engine"], run["lanes"], bool(run["seconds"])) for run in off} == {("reference", "1", True)}
    assert {(run["lanes"], float(run["seconds"]) > 0) for run in three} == {("2", True)}
    chains = "native" if c_compiler() else "stacked"
    engines = {"none": chains, "batch": chains, "renorm": "stacked"}
    assert all(run["engine"] == engines[run["norm"]] for run in three)
    for alone, stacked in zip(off, three, strict=True):
        assert alone["run_id"] == stacked["run_id"]
        assert float(alone["test_loss"]) == pytest.approx(float(stacked["test_loss"]), rel=1e-3)
        assert alone["examples_done"] == stacked["examples_done"] and alone["parameters"] == stacked["parameters"]


def test_a_lane_that_raises_fails_alone(program: Program, monkeypatch: pytest.MonkeyPatch):
    def picky(engine):
        def train(specs, *rest, **options):
            if any(spec.seed == 5 for spec in (specs if isinstance(specs, tuple) else [specs])):
                raise RuntimeError("not this one")
            return engine(specs, *rest, **options)

        return train

    monkeypatch.setattr(worker, "train_stack", picky(worker.train_stack))
    monkeypatch.setattr(worker, "train", picky(worker.train))
    words = ("--launcher", "inline", "--lanes", "8", *SMALL, "lr=0.01", "seed=range(8)")
    assert program("sweep", "--name", "s", *words).code == 1
    runs = rows("results/s/runs.csv")
    assert {run["seed"]: run["error"] for run in runs if run["status"] == "failed"} == {
        "5": "RuntimeError: not this one"
    }
    assert [run["status"] for run in runs].count("completed") == len(rows("results/s/metrics.csv")) == 7


def test_a_stack_too_large_for_the_memory_is_halved(program: Program, monkeypatch: pytest.MonkeyPatch):
    original = worker.train_stack

    def scarce(specs, *rest, **options):
        records = original(specs, *rest, **options)
        yield next(records)
        if len(specs) > 2:
            raise MemoryError(f"{len(specs)} lanes")
        yield from records

    monkeypatch.setattr(worker, "train_stack", scarce)
    words = ("--launcher", "inline", "--lanes", "8", "model=mlp", "epochs=2", "seed=range(8)")
    assert program("sweep", "--name", "s", *words).code == 0
    assert {run["lanes"] for run in rows("results/s/runs.csv")} == {"2"}
    assert len(rows("results/s/metrics.csv")) == 16


def test_dry_run_tells_everything_and_writes_nothing(program: Program, tmp_path: Path):
    words = ("sweep", "--name", "s", *SMALL, "norm=batch,group", "norm.groups=4,7", "batch_size=1,64")
    result = program(*words, "--dry-run", "--exclude", "norm=group batch_size=1")
    assert result.code == 0, result.err
    assert "s: 4 runs, 2 impossible, 2 excluded, 2 to train" in result.out
    assert result.out.count("impossible:") == 2 and "groups=7" in result.out
    assert "estimated time" in result.out
    assert list(tmp_path.iterdir()) == []


def test_a_dry_run_and_the_table_say_why_no_faster_engine_trains(program: Program):
    words = ("sweep", "--name", "s", *SMALL, "seed=range(3)", "grad_clip=1", "norm=batch")
    reason = "not compiled: it knows neither bf16 nor clipped gradients"
    for _ in range(2):  # measured, and remembered
        assert f"engine: stacked for 3 runs, up to 3 together ({reason})\n" in program(*words, "--dry-run").out
    assert program(*words).code == 0
    assert {(run["engine"], run["engine_reason"]) for run in rows("results/s/runs.csv")} == {("stacked", reason)}


def test_a_dry_run_says_what_is_finished(program: Program):
    assert program("sweep", "--name", "s", *SMALL, "norm=none").code == 0
    result = program("sweep", "--name", "s", *SMALL, "norm=none,batch", "--dry-run")
    assert "skip (completed)" in result.out and "1 finished already" in result.out


def test_plain_progress_in_a_pipe(program: Program):
    result = program("sweep", "--name", "s", *SMALL, "seed=0,1")
    assert "2 of 2 runs, 0 running, 0 failed" in result.out
    assert "\x1b" not in result.out


def test_two_identical_runs_have_identical_metric_bytes(program: Program):
    for name in ("a", "b"):
        assert program("run", *SMALL, "norm=renorm", "--name", name).code == 0
    assert Path("results/a/metrics.csv").read_bytes() == Path("results/b/metrics.csv").read_bytes()
    first, second = rows("results/a/runs.csv")[0], rows("results/b/runs.csv")[0]
    assert {key for key in first if first[key] != second[key]} <= {"seconds", "started_at", "finished_at"}


def test_a_run_repeats_from_its_spec_file(program: Program, tmp_path: Path):
    (tmp_path / "mine.py").write_text(PLUGIN)
    assert program("run", *SMALL, "norm=mine", "norm.strength=0.25", "--plugin", "mine.py").code == 0
    (first,) = rows("results/runs/runs.csv")
    spec = f"results/runs/specs/{first['run_id']}.yaml"
    assert program("run", "--from", spec, "--plugin", "mine.py", "--name", "again").code == 0
    (second,) = rows("results/again/runs.csv")
    assert second["run_id"] == first["run_id"] and second["test_loss"] == first["test_loss"]
    refused = program("run", "--from", spec, "--name", "third")
    assert refused.code == 2 and "--plugin" in refused.err
    (tmp_path / "mine.py").write_text(PLUGIN + "CHANGED = True\n")
    changed = program("run", "--from", spec, "--plugin", "mine.py", "--name", "third")
    assert changed.code == 2 and "changed" in changed.err and not Path("results/third").exists()


def test_seconds_stay_when_a_sweep_is_extended_and_runs_without_any_are_read(program: Program):
    words = ("sweep", "--name", "s", *SMALL, "--launcher", "inline")
    began = time.monotonic()
    assert program(*words, "norm=none,batch", "seed=0,1").code == 0
    passed = time.monotonic() - began
    first = store.load_runs(Path("results/s")).set_index("run_id")["seconds"]
    assert (first > 0).all() and first.sum() < passed
    assert program(*words, "--extend", "norm=none,batch", "seed=0,1,2").code == 0
    table = store.load_runs(Path("results/s")).set_index("run_id")
    assert table["seconds"][first.index].to_dict() == first.to_dict() and (table["seconds"] > 0).all()
    table.assign(seconds=None).reset_index().to_csv("results/s/runs.csv", index=False)
    assert program(*words, "--extend", "norm=none,batch", "seed=0,1,2,3").code == 0
    extended = store.load_runs(Path("results/s")).set_index("run_id")["seconds"]
    assert extended[table.index].isna().all() and extended.count() == 2


def test_running_a_run_again_replaces_its_row(program: Program):
    for _ in range(2):
        assert program("run", *SMALL).code == 0
    assert len(rows("results/runs/runs.csv")) == len(rows("results/runs/metrics.csv")) == 1


def test_interrupted_from_the_keyboard_a_sweep_can_go_on(tmp_path: Path):
    words = [sys.executable, "-m", "bnbench", "sweep", "--name", "s", "model=mlp", "epochs=2000", "seed=0,1"]
    environment = {**os.environ, "BNBENCH_NATIVE": "off"}  # else a compiler is waited for
    process = warm.Popen(
        words, cwd=tmp_path, env=environment, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    )
    metrics = tmp_path / "results/s/segments"
    deadline = time.monotonic() + 60
    while time.monotonic() < deadline and not any(path.stat().st_size > 200 for path in metrics.glob("*.metrics.csv")):
        time.sleep(0.2)
    process.send_signal(signal.SIGINT)
    out, err = process.communicate(timeout=30)
    assert process.returncode == 130, err
    assert "Traceback" not in err and "goes on where it stopped" in out
    assert {run["status"] for run in rows(str(tmp_path / "results/s/runs.csv"))} == {"interrupted"}
