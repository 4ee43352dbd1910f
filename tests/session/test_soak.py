"""Some signals of `make soak`, and that it sees what is wrong."""

from __future__ import annotations

import shutil
import subprocess
import sys
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import pytest

from benchmarks.soak import tables
from benchmarks.soak.sweeps import RUNS_PER_SEED, Request, Soak, soak, tracebacks
from benchmarks.soak.watcher import Watcher
from bnbench import store
from bnbench.spec import run_id
from tests import warm
from tests.products import long
from tests.store.sweeps import make_spec, train


@long
@pytest.mark.skipif(not Path("/proc/self/stat").exists(), reason="there is no /proc to find processes in")
@pytest.mark.parametrize("is_alone", [True, False], ids=["alone", "stacks"])
def test_a_sweep_that_is_killed_at_random_moments_is_the_one_that_was_not(
    tmp_path: Path, compiled: None, monkeypatch: pytest.MonkeyPatch, is_alone: bool
):
    monkeypatch.setenv("PYTHONWARNINGS", "ignore")
    warm.living()  # its orphans are found from now on
    request = Request(is_alone, 1, 0.3, warm.Popen)
    stories = []
    for name, kills in (("whole", 0), ("soaked", 6)):
        (tmp_path / name).mkdir()
        stories.append(soak(request, tmp_path / name, kills, seed=3))
    whole, soaked = stories
    assert not whole.faults and len(store.statuses(whole.sweep)) == RUNS_PER_SEED
    assert not [*soaked.faults, *tables.faults(soaked.sweep, whole.sweep, is_alone)]
    assert soaked.kills.total() > 1 and soaked.looks > 2


EARLY = """Traceback (most recent call last):
  File "<frozen runpy>", line 189, in _run_module_as_main
  File "/usr/lib/python3.11/typing.py", line 1294, in __getattr__
    def __getattr__(self, attr):

KeyboardInterrupt
"""
"""Of an interpreter that has only begun; Python 3.11 marks nothing in its last line, which is empty."""


def test_only_the_tracebacks_of_the_program_are_faults() -> None:
    late = EARLY.replace("  File", '  File "/home/me/bnbench/cli/entry.py", line 17, in main\n  File', 1)
    imported = EARLY.replace("/usr/lib/python3.11/typing.py", "/home/me/bnbench/cli/__init__.py")
    site = EARLY.replace('"<frozen runpy>", line 189, in _run_module_as_main', '"<frozen site>", line 603, in main')
    failed = EARLY.replace("KeyboardInterrupt", "ValueError: no luck")
    assert tracebacks(f"planning s ...\n{EARLY}{imported}{site}s: 2 runs\n") == []
    assert tracebacks(f"{late}s: 2 runs\n{failed}{EARLY}") == [late.rstrip(), failed.rstrip()]


@pytest.mark.parametrize(
    ("code", "said", "kills", "faults"),
    [
        (2, "error: --plugin p.py: importing it failed: the worker process was ended by SIGKILL (often ...)", 1, 0),
        (2, "error: --plugin p.py: importing it failed: the worker process was ended by SIGKILL (often ...)", 0, 1),
        (2, "error: norm=nobody: is not known", 1, 1),
        (3, "error: --plugin p.py: importing it failed: the worker process was ended by SIGKILL (often ...)", 1, 1),
        (1, "2 of 30 runs failed", 1, 0),
    ],
)
def test_a_refusal_is_a_fault_unless_signals_have_ended_what_imports_the_plugin(
    tmp_path: Path, code: int, said: str, kills: int, faults: int
) -> None:
    (tmp_path / "output.txt").write_text(f"planning ...\n{said}\n")
    story = Soak(Request(True, 1), tmp_path, frozenset(), Counter({("SIGKILL", "worker"): kills} if kills else {}))
    story.wait(subprocess.Popen([sys.executable, "-c", f"raise SystemExit({code})"]))
    assert len(story.faults) == faults


@pytest.fixture
def sweep(tmp_path: Path) -> Path:
    """A finished sweep of two runs."""
    folder, specs = tmp_path / "sweep", [make_spec(seed) for seed in range(2)]
    with store.locked(folder):
        store.enter_runs(folder, specs, {}, {})
        for spec in specs:
            train(folder, spec, "one", "completed")
        store.join(folder)
    return folder


@dataclass(frozen=True)
class Damage:
    """A table in which a line is changed: from 1, into these lines."""

    table: str
    number: int
    into: Callable[[str], list[str]]

    def do(self, folder: Path) -> None:
        path = folder / self.table
        lines = path.read_text().splitlines()
        lines[self.number : self.number + 1] = self.into(lines[self.number])
        path.write_text("\n".join(lines) + "\n")


DAMAGES = {
    "lost": Damage("runs.csv", 1, lambda line: []),
    "unfinished": Damage("runs.csv", 1, lambda line: [line.replace("completed", "planned")]),
    "changed": Damage("runs.csv", 1, lambda line: [line.replace("0.3333333333333333", "0.3333333333333334")]),
    "doubled": Damage("runs.csv", 1, lambda line: [line, line]),
    "half": Damage("runs.csv", 2, lambda line: [line[: len(line) // 2]]),
    "lost evaluation": Damage("metrics.csv", 3, lambda line: []),
    "doubled evaluation": Damage("metrics.csv", 3, lambda line: [line, line]),
    "half evaluation": Damage("metrics.csv", 3, lambda line: [line.rpartition(",")[0]]),
    "doubled reading": Damage("probes.csv", 3, lambda line: [line, line]),
}


@pytest.mark.parametrize("damage", DAMAGES.values(), ids=DAMAGES)
def test_what_is_lost_doubled_or_changed_is_seen(sweep: Path, damage: Damage):
    watcher = Watcher(sweep)
    watcher.look()
    watcher.look()
    assert not watcher.faults and len(watcher.results) == 2
    damage.do(sweep)
    watcher.look()
    assert watcher.faults


def test_a_result_of_a_segment_that_is_another_in_the_table_is_seen(tmp_path: Path):
    folder, spec = tmp_path / "sweep", make_spec(0)
    store.enter_runs(folder, [spec], {}, {})
    train(folder, spec, "one", second=1)
    watcher = Watcher(folder)
    watcher.look()
    assert set(watcher.results) == {run_id(spec)} and not watcher.faults
    train(folder, spec, "two", second=2)
    watcher.look()
    watcher.look()
    assert any("finished_at" in fault for fault in watcher.faults)


@pytest.mark.parametrize("is_exact", [True, False])
@pytest.mark.parametrize("damage", [DAMAGES[name] for name in ("lost", "unfinished", "lost evaluation")])
def test_tables_that_are_not_those_of_the_other_sweep_are_told(sweep: Path, damage: Damage, is_exact: bool):
    other = sweep.parent / "other"
    shutil.copytree(sweep, other)
    assert not list(tables.faults(sweep, other, is_exact))
    damage.do(sweep)
    assert list(tables.faults(sweep, other, is_exact))


def test_last_digits_count_where_runs_were_trained_alone(sweep: Path):
    other = sweep.parent / "other"
    shutil.copytree(sweep, other)
    DAMAGES["changed"].do(sweep)
    assert list(tables.faults(sweep, other, True)) and not list(tables.faults(sweep, other, False))
    (sweep / "segments").mkdir()
    assert "segments is left over" in list(tables.faults(sweep, other, False))
