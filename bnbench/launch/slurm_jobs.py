"""Jobs of a Slurm cluster, or of this machine in its place, by way of submitit."""

from __future__ import annotations

import os
import signal
import subprocess
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from bnbench.errors import BnbenchError, message_of
from bnbench.launch.errands import Errand
from bnbench.launch.slurm_settings import ANSWER_SECONDS, SlurmSettings, imported_submitit, refusal
from bnbench.launch.starting import without_interrupts

NAME = "bnbench"
LONGEST_WORDS = 300
LATE_SECONDS = 20.0
"""Seconds after the end of a job in which its last file may still come, as by a network."""
LOOK_SECONDS = 10.0
"""Seconds from one look at the state of a job to the next."""
LIVING = frozenset({
    "PENDING", "CONFIGURING", "RUNNING", "COMPLETING", "SUSPENDED", "STOPPED", "RESIZING", "SIGNALING", "STAGE_OUT",
    "REQUEUED", "REQUEUE_FED", "REQUEUE_HOLD", "RESV_DEL_HOLD", "SPECIAL_EXIT",
})  # fmt: skip
"""States of jobs that may still come to an end of their own."""
GONE = "GONE"
"""The state of a job of which Slurm knows nothing any more."""
ENDED = "ENDED"
"""The state of a job of this machine that an earlier program has submitted: somebody has ended its processes."""
NOT_TO_BLAME = ("NODE_FAIL", "PREEMPTED", "BOOT_FAIL", "REVOKED", "CANCELLED", GONE, ENDED)
"""States of jobs that were taken away, and would do no worse elsewhere."""


@dataclass
class Jobs:
    """Submits errands, and knows what became of their jobs.

    Attributes:
        settings: of the jobs.
        folder: of submitit's files.
    """

    settings: SlurmSettings
    folder: Path
    _jobs: dict[str, Any] = field(default_factory=dict)
    _over: dict[str, float] = field(default_factory=dict)
    _states: Mapping[str, str] | None = None
    _looked: float = -LOOK_SECONDS

    def submit(self, errands: Sequence[Errand], jobs: int) -> None:
        """Submit errands as arrays, of which so many jobs run at a time.

        Raises:
            BnbenchError: they are refused.
        """
        last: str | None = None
        for chunk in _chunks(errands, self.settings.array):
            executor = self._executor(jobs, last)
            with without_interrupts():  # else nobody knows of jobs that there are
                try:
                    with executor.batch():
                        submitted = [executor.submit(errand) for errand in chunk]
                except Exception as error:
                    raise BnbenchError(refusal(message_of(error))) from error
                for errand, job in zip(chunk, submitted, strict=True):
                    errand.give(job.job_id)
                    self._jobs[job.job_id] = job
            last = submitted[0].job_id.partition("_")[0]

    def loss(self, errand: Errand) -> tuple[str, bool] | None:
        """What became of the job of an errand that has no end: a sentence, and whether its machine is to blame.

        None as long as it waits or runs, or has only just ended.
        """
        job, now = errand.job or "", time.monotonic()
        state = self._state(job)
        if state is None:
            self._over.pop(job, None)
            return None
        if now - self._over.setdefault(job, now) < (LATE_SECONDS if self.settings.cluster == "slurm" else 1.0):
            return None
        log = _last_words(self._job(job).paths.stderr)
        return f"the job {job} ended without a result ({state}){log}", state in NOT_TO_BLAME

    def cancel(self, errands: Sequence[Errand]) -> None:
        """End the jobs of errands."""
        for errand in errands:
            if errand.job is not None and self.settings.cluster == "local":
                self._kill(errand)
            elif errand.job is not None:
                with suppress(Exception):  # it has ended meanwhile
                    self._job(errand.job).cancel(check=False)

    def _kill(self, errand: Errand) -> None:
        """End the processes of a job of this machine: first the one that would begin it again."""
        assert errand.job is not None, "it was submitted"
        if self._state(errand.job) is None:
            for process in (int(errand.job), errand.process):
                with suppress(ProcessLookupError):
                    if process is not None:
                        os.kill(process, signal.SIGKILL)

    def close(self) -> None:
        """Wait for the ends of processes that are jobs of this machine."""
        for job in self._jobs.values():
            process = getattr(job, "_process", None)
            if process is not None:
                process.wait()

    def _state(self, identity: str) -> str | None:
        """The state in which a job ended; None while it waits or runs, or nothing can be said of it."""
        if self.settings.cluster == "slurm":
            return self._state_in_queue(identity)
        job = self._job(identity)
        if job._process is None:  # an earlier program has submitted it
            return None if _is_controller(identity) else ENDED
        return str(job.state) if job.done() else None

    def _state_in_queue(self, identity: str) -> str | None:
        """The same by what squeue says, now and then: sacct needs accounting, which not every site has."""
        if time.monotonic() - self._looked >= LOOK_SECONDS:
            self._looked = time.monotonic()
            self._states = _queue()
        if self._states is None:
            return None
        state = self._states.get(identity, GONE)
        return None if state in LIVING else state

    def _job(self, identity: str) -> Any:
        if identity not in self._jobs:
            submitit = imported_submitit()
            kind = submitit.SlurmJob if self.settings.cluster == "slurm" else submitit.LocalJob
            self._jobs[identity] = kind(folder=self.folder, job_id=identity)
        return self._jobs[identity]

    def _executor(self, jobs: int, last: str | None) -> Any:
        """What submits, as submitit has it; behind the array ``last``, so that no more than ``jobs`` run at a time."""
        submitit, settings = imported_submitit(), self.settings
        setup = {"setup": [settings.setup]} if settings.setup else {}
        if settings.cluster == "local":
            executor = submitit.LocalExecutor(self.folder, max_num_timeout=settings.requeues)
            executor.update_parameters(timeout_min=settings.time, signal_delay_s=settings.warning, **setup)
            return executor
        behind = {"additional_parameters": {"dependency": f"afterany:{last}"}} if last else {}
        executor = submitit.SlurmExecutor(self.folder, max_num_timeout=settings.requeues)
        wishes = {name.replace("-", "_"): value for name, value in settings.asked.items()}
        executor.update_parameters(
            signal_delay_s=settings.warning, job_name=NAME, array_parallelism=jobs, **wishes, **setup, **behind
        )
        return executor


def _last_words(log: Path) -> str:
    """The last line that a job has written to its log, behind a semicolon; nothing if there is none."""
    try:
        lines = log.read_text(encoding="utf-8", errors="replace").split("\n")
    except OSError:
        return ""
    words = next((line.strip() for line in reversed(lines) if line.strip()), "")
    return f"; its last words: {words[:LONGEST_WORDS]}" if words else ""


def _chunks(errands: Sequence[Errand], most: int) -> Iterator[Sequence[Errand]]:
    for start in range(0, len(errands), most):
        yield errands[start : start + most]


def _queue() -> dict[str, str] | None:
    """The states of this user's jobs by their ids, those included that have just ended; None if nobody says."""
    words = ["squeue", "--noheader", "--array", "--states=all", f"--name={NAME}", "--me", "--format=%i %T"]
    try:
        said = subprocess.run(words, capture_output=True, text=True, timeout=ANSWER_SECONDS, check=False)
    except (OSError, subprocess.TimeoutExpired):
        return None
    pairs = [line.split() for line in said.stdout.splitlines()]
    return {pair[0]: pair[1] for pair in pairs if len(pair) == 2} if said.returncode == 0 else None


def _is_controller(identity: str) -> bool:
    """True while submitit's process of a job of this machine lives."""
    try:
        os.kill(int(identity), 0)
        return b"submitit" in Path(f"/proc/{identity}/cmdline").read_bytes()
    except (OSError, ValueError):
        return False
