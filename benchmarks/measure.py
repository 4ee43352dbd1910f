"""One sweep, trained by bnbench or by a peer, as a program of its own: how long it takes, and how much memory."""

from __future__ import annotations

import csv
import os
import shutil
import subprocess
import sys
import threading
import time
from dataclasses import dataclass
from pathlib import Path

from benchmarks.cells import LEARNING_RATES, MOMENTUM, SEEDS, Job, Workload, overrides
from benchmarks.peers.clock import Times, read

PEERS = ("plain", "in_memory", "lightning_script", "hydra_multirun")
ROOT = Path(__file__).resolve().parent.parent
MEMORY_SECONDS = 0.5


@dataclass(frozen=True)
class Case:
    """A workload at one batch size, with its images on disk."""

    workload: Workload
    batch_size: int
    ours: Path
    theirs: Path

    @property
    def runs(self) -> int:
        """Runs of the sweep."""
        return len(LEARNING_RATES) * self.workload.seeds

    def job(self) -> Job:
        """One run of the sweep for a peer: a few seconds of its epochs are measured, one more warms up."""
        measured = max(2, min(self.workload.epochs, {2: 4, 8: 6}.get(self.batch_size, 12)))
        return Job(
            str(self.theirs), self.workload.model, self.batch_size, LEARNING_RATES[SEEDS % 3], MOMENTUM,
            self.workload.augment, self.workload.epochs, measured, self.workload.norm,
            options=self.workload.options,
        )  # fmt: skip


@dataclass(frozen=True)
class Sweep:
    """A whole sweep by bnbench: seconds from the first to the last instruction, bytes of all its processes at most."""

    seconds: float
    peak_bytes: int
    lanes: int


def ours(case: Case, folder: Path, jobs: int | None = None) -> Sweep:
    """The sweep on the command line.

    Raises:
        RuntimeError: a run was not trained to its end.
    """
    results = folder / "results"
    shutil.rmtree(results, ignore_errors=True)
    words = [
        "sweep",
        "--results",
        str(results),
        "--name",
        "cell",
        *overrides(case.workload, case.batch_size, case.ours),
    ]
    words += ["--jobs", str(jobs)] if jobs else []
    words += ["--plugin", str(case.workload.plugin)] if case.workload.plugin else []
    start = time.perf_counter()
    process = subprocess.Popen([sys.executable, "-m", "bnbench", *words], cwd=ROOT, stdout=subprocess.DEVNULL)
    peak = PeakMemory(process.pid)
    peak.start()
    code = process.wait()
    seconds = time.perf_counter() - start
    peak.stop()
    with (results / "cell" / "runs.csv").open() as stream:
        rows = list(csv.DictReader(stream))
    if code or [row["status"] for row in rows] != ["completed"] * case.runs:
        raise RuntimeError(f"the sweep ended with exit code {code}; see {results}")
    return Sweep(seconds, peak.bytes, max(int(row["lanes"]) for row in rows))


def peer(name: str, case: Case, folder: Path) -> float:
    """Seconds that a peer takes for the sweep, from one run of it (Hydra: from one per core)."""
    job = case.job().write(folder / "job.json")
    return _multirun(case, job, folder) if name == "hydra_multirun" else _serial(name, case, job)


def _serial(name: str, case: Case, job: Path) -> float:
    start = time.perf_counter()
    done = _python(f"benchmarks.peers.{name}", str(job))
    startup = time.perf_counter() - start - _spent(times := read(done))
    return startup + case.runs * times.run(case.workload.epochs)


def _multirun(case: Case, job: Path, folder: Path) -> float:
    cores = len(os.sched_getaffinity(0))
    told = folder / "times"
    shutil.rmtree(told, ignore_errors=True)
    told.mkdir()
    start = time.perf_counter()
    _python(
        "benchmarks.peers.hydra_multirun", "--multirun", "hydra/launcher=joblib", f"hydra.launcher.n_jobs={cores}",
        f"hydra.sweep.dir={folder / 'multirun'}", f"+job={job}", f"+times={told}", f"+seed=range({cores})",
    )  # fmt: skip
    wall = time.perf_counter() - start
    runs = [read(path.read_text()) for path in told.glob("*.json")]
    startup = wall - max(map(_spent, runs))
    each = sum(times.run(case.workload.epochs) for times in runs) / len(runs)
    return startup + case.runs / cores * each


def _spent(times: Times) -> float:
    return times.build + sum(times.epochs) + times.test


def _python(module: str, *words: str) -> str:
    done = subprocess.run([sys.executable, "-m", module, *words], cwd=ROOT, capture_output=True, text=True, check=False)
    if done.returncode:
        raise RuntimeError(f"{module} failed: {done.stderr[-2000:]}")
    return done.stdout


class PeakMemory(threading.Thread):
    """The largest sum over a program's processes of the memory that each has for itself, plus its share of the rest."""

    def __init__(self, pid: int) -> None:
        super().__init__(daemon=True)
        self.bytes = 0
        self._pid, self._over = pid, threading.Event()

    def run(self) -> None:
        """Look every MEMORY_SECONDS."""
        while not self._over.wait(MEMORY_SECONDS):
            self.bytes = max(self.bytes, sum(map(_proportional_bytes, _family(self._pid))))

    def stop(self) -> None:
        """Look no more."""
        self._over.set()
        self.join()


def _family(pid: int) -> list[int]:
    try:
        children = Path(f"/proc/{pid}/task/{pid}/children").read_text().split()
    except OSError:
        return []
    return [pid, *(member for child in children for member in _family(int(child)))]


def _proportional_bytes(pid: int) -> int:
    try:
        lines = Path(f"/proc/{pid}/smaps_rollup").read_text().splitlines()
    except OSError:
        return 0
    return sum(1024 * int(line.split()[1]) for line in lines if line.startswith("Pss:"))
