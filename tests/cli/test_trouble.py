"""Components of a plugin that end, copy or interrupt the process that trains them."""

import os
import sys
from collections import Counter
from pathlib import Path

import pytest

from bnbench.store.attempts import attempt_order
from tests import warm
from tests.cli.test_sweep import SMALL, rows
from tests.conftest import Program
from tests.products import long

PLUGIN = """
import os
import signal

from torch import nn

class Deadly(nn.Module):
    '''Ends its process once the activations explode, as they do at a large learning rate.'''

    def __init__(self, num_features: int) -> None:
        super().__init__()

    def forward(self, x):
        if x.abs().max() > 1e4:
            signal.raise_signal(signal.SIGKILL)
        return x

class Calling(nn.Module):
    '''Does something at the third training step.'''

    def __init__(self, num_features: int, *, then: str = "continue") -> None:
        super().__init__()
        self.then, self.calls = then, 0

    def forward(self, x):
        self.calls += self.training and len(x) == 64
        if self.calls == 3:
            self.calls += 1
            if self.then == "interrupt":
                raise KeyboardInterrupt
            if os.fork() == 0:
                if self.then == "raise":
                    raise RuntimeError("in the copy")
                if self.then == "leave":
                    raise SystemExit(0)
        return x

NORMS = {"deadly": Deadly, "calling": Calling}
"""


@pytest.fixture
def plugin(tmp_path: Path) -> tuple[str, str]:
    (tmp_path / "trouble.py").write_text(PLUGIN)
    return "--plugin", "trouble.py"


def test_a_run_that_kills_its_process_fails_alone(program: Program, plugin: tuple[str, str]):
    words = (*plugin, *SMALL, "norm=deadly", "seed=0,1,2", "lr=0.01,1e7", "--exclude", "lr=1e7 seed=0,2")
    result = program("sweep", "--name", "s", "--jobs", "2", "--lanes", "8", *words)
    assert result.code == 1, result.err
    runs = rows("results/s/runs.csv")
    assert [(run["lr"], run["seed"]) for run in runs if run["status"] != "completed"] == [("10000000.0", "1")]
    (failed,) = (run for run in runs if run["status"] == "failed")
    assert "ended by SIGKILL" in failed["error"]
    assert result.out.count("failed: norm=deadly") == 1 and "4 of 4 runs, 0 running, 1 failed" in result.out
    assert "tracebacks" not in result.out
    metrics = Counter((row["run_id"], row["step"]) for row in rows("results/s/metrics.csv"))
    assert {run["run_id"] for run in runs} - {failed["run_id"]} <= {identity for identity, _ in metrics}
    assert set(metrics.values()) == {1}


@long
def test_attempts_are_numbered(program: Program, plugin: tuple[str, str], monkeypatch: pytest.MonkeyPatch):
    """A stack whose worker dies is halved in later attempts, until it is told in one behind them that a run died."""
    monkeypatch.setattr("shutil.rmtree", lambda *_, **__: None)  # what was joined stays there
    words = (*plugin, *SMALL, "norm=deadly", "seed=0,1", "lr=0.01,1e7", "--exclude", "lr=1e7 seed=1")
    assert program("sweep", "--name", "s", "--jobs", "1", "--lanes", "8", *words).code == 1
    attempts: dict[str, list[tuple[int, int]]] = {}
    for path in Path("results/s").glob(".joined-*/*.runs.csv"):
        for row in rows(str(path)):
            if row["status"] in ("running", "failed"):
                attempts.setdefault(row["run_id"], []).append(attempt_order(path.name))
    (failed,) = (run["run_id"] for run in rows("results/s/runs.csv") if run["status"] == "failed")
    tries = sorted(attempts[failed])
    assert [number for number, _ in tries] == list(range(1, len(tries) + 1)) and len(tries) > 2


TRIED = (("inline", "raise"), ("local", "continue"), ("local", "leave"))
"""How a copy ends and where it is made; the rest is for ``make long``."""


@pytest.mark.parametrize(
    ("how", "then"),
    [
        pytest.param(how, then, id=f"{name}-{then}", marks=() if (name, then) in TRIED else long)
        for name, how in {"inline": ("--launcher", "inline"), "local": ("--jobs", "2", "--lanes", "off")}.items()
        for then in ("continue", "raise", "leave")
    ],
)
def test_a_copy_of_the_process_writes_nothing(tmp_path: Path, plugin: tuple[str, str], how: tuple[str, ...], then: str):
    words = [sys.executable, "-m", "bnbench", "sweep", "--name", "s", *how, *plugin, "model=mlp", "epochs=2"]
    environment = {**os.environ, "PYTHONWARNINGS": "ignore"}
    words += ["norm=calling", f"norm.then={then}", "seed=0,1"]
    result = warm.run(words, cwd=tmp_path, env=environment, capture_output=True, text=True, check=False)
    assert result.returncode == 0, result.stderr
    assert "Traceback" not in result.stderr and result.stdout.count("2 completed") == 1
    runs, metrics = (rows(str(tmp_path / f"results/s/{name}.csv")) for name in ("runs", "metrics"))
    assert [run["status"] for run in runs] == ["completed", "completed"]
    assert [row["run_id"] for row in metrics] == [run["run_id"] for run in runs for _ in range(2)]


def test_a_keyboard_interrupt_of_a_plugin_is_its_failure_in_a_worker(program: Program, plugin: tuple[str, str]):
    words = (*plugin, *SMALL, "norm=calling", "norm.then=interrupt")
    result = program("sweep", "--name", "s", "--jobs", "2", *words, "seed=0,1")
    assert result.code == 1 and "Traceback" not in result.err, result.err
    assert {run["error"].strip() for run in rows("results/s/runs.csv")} == {"KeyboardInterrupt:"}
    alone = program("run", *words)
    assert alone.code == 1 and "Traceback" not in alone.err and "failed: KeyboardInterrupt" in alone.out


def test_the_order_of_the_metrics_does_not_depend_on_the_workers(program: Program):
    tables = []
    for name, how in (("one", ("--jobs", "1")), ("two", ("--jobs", "2"))):
        words = ("--lanes", "2", "model=mlp", "epochs=3", "norm=batch,none", "lr=0.1,0.01", "batch_size=32,256")
        assert program("sweep", "--name", name, *how, *words).code == 0
        tables.append(Path(f"results/{name}/metrics.csv").read_bytes())
        assert [run["run_id"] for run in rows(f"results/{name}/runs.csv") for _ in range(3)] == [
            row["run_id"] for row in rows(f"results/{name}/metrics.csv")
        ]
    assert tables[0] == tables[1]
