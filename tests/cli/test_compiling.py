"""With nothing compiled yet torch trains at once, compilers work beside it, and end with the program."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from bnbench.native import c_compiler
from tests import warm
from tests.cli.test_sweep import rows
from tests.native.test_compilation import _alive
from tests.native.test_compilation import program as executable
from tests.products import long

pytestmark = pytest.mark.skipif(c_compiler() is None, reason="there is no C compiler")

SHORT = ("model=mlp", "model.width=16", "epochs=1", "norm=batch", "seed=0,1")
LONG = ("model=mlp", "model.width=16", "batch_size=2", "norm=batch", "seed=0,1")
PROGRAM = """
import sys
from bnbench.cli import main
from bnbench.plan import readiness
readiness.WORTH_WAITING = float(sys.argv.pop(1))
main()
"""
HOLDING = """
import time
from bnbench.session.preparation import Preparation
held, begin = [], Preparation.current
def current(self, task):
    begun = begin(self, task)
    while held and self._process is not None:
        time.sleep(0.05)
        begun = begin(self, task)
    held.append(task)
    return begun
Preparation.current = current
"""
"""Only the first stack may begin before the code is ready."""
NEVER, AT_ONCE = "inf", "0"
"""Seconds of torch from which compiled code is waited for."""
NOT_READY = ("stacked", "compiled code was not ready")
QUICK = 'exec cc "$@" -O0'
SLEEPS = 'test "$1" = --version || sh -c "sleep 600; : $0"'


class Here:
    """Programs in an empty folder, with an empty cache and a compiler of the test."""

    def __init__(self, folder: Path, script: str) -> None:
        self.folder, self.command, self.program = folder, executable(folder / "compiler", script), PROGRAM
        (folder / "tmp").mkdir(0o700)
        self._environment = {
            **os.environ,
            "CC": self.command,
            "XDG_CACHE_HOME": str(folder / "cache"),
            "TMPDIR": str(folder / "tmp"),
            "PYTHONPATH": str(Path(__file__).parents[2]),
        }

    @contextmanager
    def started(self, waits: str, *words: str) -> Iterator[subprocess.Popen[str]]:
        """A program at work, in a group of its own."""
        command = [sys.executable, "-c", self.program, waits, *words]
        with warm.Popen(
            command,
            cwd=self.folder,
            env=self._environment,
            text=True,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            start_new_session=True,
        ) as process:
            yield process

    def run(self, waits: str, *words: str) -> tuple[str, str]:
        """The output of a program, and its complaints."""
        with self.started(waits, *words) as process:
            out, err = process.communicate(timeout=300)
        assert process.returncode == 0, err
        return out, err

    def engines(self, name: str = "s") -> Counter[tuple[str, str]]:
        return Counter((row["engine"], row["engine_reason"]) for row in rows(f"{self.folder}/results/{name}/runs.csv"))

    def until_it_compiles(self) -> None:
        deadline = time.monotonic() + 120
        while not any("-c" in line.split("\0") for line in _alive(self.command)):
            assert time.monotonic() < deadline
            time.sleep(0.05)

    def nobody_is_left(self, within: float) -> bool:
        """True if no compiler is left after so many seconds."""
        deadline = time.monotonic() + within
        while _alive(self.command) and time.monotonic() < deadline:
            time.sleep(0.05)
        return not _alive(self.command)


@pytest.mark.parametrize("jobs", ["1 worker", pytest.param("2 workers", marks=long)])
def test_a_sweep_that_is_over_first_waits_for_nothing(tmp_path: Path, jobs: str):
    here = Here(tmp_path, SLEEPS)
    words = ("sweep", "--name", "s", *SHORT, *(["batch_size=32,64", "--jobs", "2"] if jobs == "2 workers" else []))
    began = time.monotonic()
    _, err = here.run(NEVER, *words)
    assert time.monotonic() - began < 100 and err == "" and here.nobody_is_left(0.0)
    assert set(here.engines()) == {NOT_READY}
    assert not [path for path in (tmp_path / "cache/bnbench/native").glob("*") if path.name.startswith("scratch-")]


def test_a_dry_run_compiles_nothing_and_says_what_would_happen(tmp_path: Path):
    lines = {}
    for waits in (NEVER, AT_ONCE):  # in a cache of its own: an estimate is remembered
        (folder := tmp_path / waits).mkdir()
        here = Here(folder, f"echo >> {tmp_path}/calls; {QUICK}")
        said, _ = here.run(waits, "sweep", "--dry-run", *SHORT)
        lines[waits] = [line for line in said.splitlines() if "engine: " in line]
    assert lines == {
        NEVER: ["engine: stacked for 2 runs, up to 2 together (until compiled code is ready)"],
        AT_ONCE: ["engine: native for 2 runs, up to 2 together (compiled first, which takes some seconds)"],
    }
    assert not (tmp_path / "calls").exists()


@pytest.mark.parametrize("command", ["sweep", pytest.param("run", marks=long)])
def test_long_runs_wait_for_compiled_code(tmp_path: Path, command: str):
    """A run alone is compiled only if torch takes some seconds for it."""
    here = Here(tmp_path, QUICK)
    words = ("epochs=2", *LONG) if command == "sweep" else ("epochs=30", *LONG[:-1])
    _, err = here.run(AT_ONCE, command, "--name", "s", *words)
    assert err == "" and set(here.engines()) == {("native", "")}
    engines = here.run(NEVER, "sweep", "--dry-run", *SHORT)[0]
    assert "engine: native for 2 runs, up to 2 together\n" in engines


def test_stacks_that_begin_when_code_is_ready_are_compiled(tmp_path: Path):
    """With the same numbers as when it was there from the start."""
    here = Here(tmp_path, QUICK)
    here.program = HOLDING + PROGRAM
    grid = ("model=mlp", "epochs=1", "norm=none,batch", "seed=range(4)", "--lanes", "2", "--jobs", "2")
    here.run(NEVER, "sweep", "--name", "s", *grid)
    first = here.engines()
    assert set(first) == {NOT_READY, ("native", "")}
    here.run(NEVER, "sweep", "--name", "again", *grid)
    assert set(here.engines("again")) == {("native", "")}
    before, after = (rows(f"{tmp_path}/results/{name}/runs.csv") for name in ("s", "again"))
    compiled = {row["run_id"]: row["test_loss"] for row in before if row["engine"] == "native"}
    assert compiled.items() <= {row["run_id"]: row["test_loss"] for row in after}.items()


NORM = """
from torch import Tensor, nn


class Halving(nn.Module):
    \"\"\"A user's norm, which is translated.\"\"\"

    def __init__(self, features: int) -> None:
        super().__init__()

    def forward(self, x: Tensor) -> Tensor:
        return x - x.mean(1, keepdim=True) / 2


NORMS = {"halving": Halving}
"""


@long
def test_translated_layers_are_compiled_before_workers_need_them(tmp_path: Path):
    """For the batches of the runs, the last of an epoch too, and then for those of other runs."""
    here = Here(tmp_path, f'echo "$*" >> {tmp_path}/calls; {QUICK}')
    (tmp_path / "plugin.py").write_text(NORM)
    words = ("--plugin", "plugin.py", "model=cnn", "model.width=2", "model.depth=1", "norm=halving,frn", "seed=0,1")
    lasting = (
        "batch_size=7",
        "steps=6300",
        "evaluate.every=100",
    )  # as long as translating is worth
    _, err = here.run(AT_ONCE, "sweep", "--name", "s", *words, *lasting)
    assert err == "" and set(here.engines()) == {("native", "")}
    calls = (tmp_path / "calls").read_text()
    _, err = here.run(AT_ONCE, "sweep", "--name", "again", *words, *lasting)
    assert err == "" and set(here.engines("again")) == {("native", "")}
    assert (tmp_path / "calls").read_text().count("-shared") == calls.count("-shared")
    lines = here.run(NEVER, "sweep", "--dry-run", *words, *lasting[1:], "batch_size=9")[0].splitlines()
    assert [line for line in lines if "engine: " in line] == [
        "engine: stacked for 4 runs, up to 2 together (until compiled code is ready)"
    ]


@pytest.mark.parametrize(
    ("end", "waits"),
    [
        *[("Ctrl-C", AT_ONCE), ("kill -9", NEVER)],
        *(pytest.param(*pair, marks=long) for pair in (("Ctrl-C", NEVER), ("kill -9", AT_ONCE))),
    ],
)
def test_compilers_end_with_the_program(tmp_path: Path, waits: str, end: str):
    here = Here(tmp_path, SLEEPS)
    with here.started(waits, "sweep", "--name", "s", "epochs=100", *LONG) as process:
        here.until_it_compiles()
        if end == "Ctrl-C":
            process.send_signal(signal.SIGINT)
            assert process.wait(30) == 130 and here.nobody_is_left(0.0)
        else:
            process.kill()
            process.wait()
            assert here.nobody_is_left(10.0)


FAILS = 'test "$1" = --version || { echo "x.h:1: error: no such file" >&2; exit 1; }'


@pytest.mark.parametrize("launcher", ["local", "inline"])
def test_a_compiler_that_fails_costs_one_line(tmp_path: Path, launcher: str):
    """No worker tries again."""
    here = Here(tmp_path, f'echo "$1" >> {tmp_path}/calls; {FAILS}')
    words = ("sweep", "--name", "s", "--launcher", launcher, *SHORT, "batch_size=32,64")
    _, err = here.run(AT_ONCE, *words)
    assert err == f"note: the C compiler {here.command} fails: x.h:1: error: no such file; torch trains instead\n"
    assert set(here.engines()) == {("stacked", "not compiled: there is no C compiler that works")}
    assert len((tmp_path / "calls").read_text().splitlines()) <= 5, "its version, and a unit or so per core"
