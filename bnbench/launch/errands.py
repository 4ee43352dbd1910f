"""Tasks that outlive the program: each has a folder that its job and whoever collects it can both reach."""

from __future__ import annotations

import math
import os
import pickle
import platform
import shutil
import signal
import uuid
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from multiprocessing import resource_tracker
from multiprocessing.reduction import ForkingPickler
from pathlib import Path
from typing import Any

from bnbench.environment import decisive_versions, unlike
from bnbench.errors import described
from bnbench.launch.awake import awake_seconds
from bnbench.launch.early_warning import EarlyWarning
from bnbench.launch.host import Named
from bnbench.launch.launcher import STARTING_SECONDS, Done, Line, Spent
from bnbench.launch.processes import local
from bnbench.launch.starting import prestart

TASK, TOLD, END, JOB, PROCESS = "task", "told", "end", "job", "process"
"""The files of an errand: what to do, what was told on the way, what it came to, which job has it, and its process."""
HEAD = 8
"""Bytes in front of each value that was told: how many it has."""
GIVEN_UP = "its job was interrupted more often than launcher.requeues allows"
OF_THE_JOB = {signal.SIGTERM, signal.SIGUSR1, signal.SIGUSR2}
"""Signals by which a cluster warns all processes of a job; the job's first process alone answers them."""


@dataclass(frozen=True)
class Errand:
    """A task in a folder of its own. Called, it is carried out, in a process that may die of it.

    What an interrupted attempt has told is handed to the next one.

    Attributes:
        folder: of this errand alone.
        grace: seconds from a warning on that its machine is still there for the task.
    """

    folder: Path
    grace: float = 0.0

    def __call__(self) -> None:
        """Carry it out, and leave the end in its folder."""
        from submitit.core.utils import UncompletedJobError

        self.warning.forget()
        self._write(PROCESS, str(os.getpid()).encode())
        seconds, versions, _ = self._task()
        if problems := unlike(decisive_versions(), versions):
            self._write(END, pickle.dumps(Done(0, None, f"node {platform.node()}: {problems[0]}")))
            return
        _start_deaf_workers()
        patience = _Patience(self, seconds)
        try:
            (done,) = local(_carry_out, [self], 1, waited=None if math.isinf(patience.seconds) else patience)
        except UncompletedJobError:  # by its signal, where it would not be requeued any more
            done = Done(0, None, GIVEN_UP, is_given_up=True)
        self._write(END, pickle.dumps(done))

    def checkpoint(self) -> Any:
        """The same errand again, as submitit asks for it at an interruption; the task keeps what it has before."""
        import submitit

        self.warning.give(self.grace)
        return submitit.helpers.DelayedSubmission(self)

    @property
    def warning(self) -> EarlyWarning:
        """The warning of an interruption."""
        return EarlyWarning(self.folder)

    def read_task(self) -> Order:
        """What is to be done."""
        order: Order = pickle.loads(self._task()[2])
        return order

    def _task(self) -> tuple[float, Mapping[str, str], bytes]:
        """The patience with the task, the versions that it is for, and the order.

        Only the process that carries it out unpickles the order, and no other version.
        """
        patience, versions, content = pickle.loads((self.folder / TASK).read_bytes())
        return patience, versions, content

    def tell(self, value: Any) -> None:
        """Add a value to those that are told; when this returns, nothing can lose it."""
        content = bytes(ForkingPickler.dumps(value))
        rest = memoryview(len(content).to_bytes(HEAD, "big") + content)
        with (self.folder / TOLD).open("ab", buffering=0) as stream:
            start = stream.seek(0, os.SEEK_END)
            try:
                while rest:  # a disk that is nearly full takes a part
                    rest = rest[stream.write(rest) :]
                os.fsync(stream.fileno())
            except BaseException:
                stream.truncate(start)
                raise

    def told(self, start: int = 0) -> Iterator[tuple[Any, int]]:
        """The values that were told from a place in the file on, each with the place behind it."""
        try:
            with (self.folder / TOLD).open("rb") as stream:
                stream.seek(start)
                while len(head := stream.read(HEAD)) == HEAD:
                    size = int.from_bytes(head, "big")
                    if len(content := stream.read(size)) < size:
                        return
                    yield pickle.loads(content), stream.tell()
        except FileNotFoundError:
            return

    def is_heard(self, place: int) -> bool:
        """True if it has no end, and has told nothing behind a place in the file."""
        return not (self.folder / END).exists() and not any(True for _ in self.told(place))

    def cut(self) -> list[Any]:
        """The values that were told; what an interruption has torn is cut off."""
        values, end = [], 0
        for value, end in self.told():  # noqa: B007 - the last one counts
            values.append(value)
        if (self.folder / TOLD).exists():
            os.truncate(self.folder / TOLD, end)
        return values

    def end(self, index: int) -> Done | None:
        """The end, as of a task of an index; None as long as there is none."""
        try:
            done: Done = pickle.loads((self.folder / END).read_bytes())
        except FileNotFoundError:
            return None
        try:
            return replace(done, index=index, value=pickle.loads(done.value) if done.error is None else None)
        except Exception as problem:
            return Done(index, None, described(problem))

    @property
    def job(self) -> str | None:
        """The job that has it; None if none was told of."""
        return self._read(JOB)

    @property
    def process(self) -> int | None:
        """The process that carries it out, on the machine where that is; None if none has begun."""
        return int(text) if (text := self._read(PROCESS)) else None

    def give(self, job: str) -> None:
        """Note the job that has it."""
        self._write(JOB, job.encode())

    def forget(self) -> None:
        """Remove its folder."""
        shutil.rmtree(self.folder, ignore_errors=True)

    def _read(self, name: str) -> str | None:
        try:
            return (self.folder / name).read_text(encoding="utf-8")
        except FileNotFoundError:
            return None

    def _write(self, name: str, content: bytes) -> None:
        coming = self.folder / f".{name}"
        with coming.open("wb") as stream:
            stream.write(content)
            stream.flush()
            os.fsync(stream.fileno())
        coming.replace(self.folder / name)


@dataclass(frozen=True)
class Order:
    """What an errand is to do.

    Attributes:
        function: is called with the task.
        tells: as of :func:`serve`.
        patience: seconds for which nothing may be told before it is ended.
    """

    function: Named
    task: Any
    tells: bool
    patience: float


@dataclass
class _Patience:
    """Ends an errand, by the rule of :func:`carry_out`, that has told nothing for so many seconds since it began.

    It has begun with what it tells first, or after :data:`STARTING_SECONDS`.
    """

    errand: Errand
    seconds: float
    _size: int | None = None
    _since: float = 0.0
    _allowance: float = STARTING_SECONDS

    def __call__(self, in_hand: Mapping[int, float]) -> list[int]:
        """The tasks to be ended."""
        now, path = awake_seconds(), self.errand.folder / TOLD
        size = path.stat().st_size if path.exists() else 0
        if size != self._size:
            self._allowance = STARTING_SECONDS if self._size is None else 0.0
            self._size, self._since = size, now
        silent = now - self._since - self._allowance
        return [index for index, seconds in in_hand.items() if min(seconds, silent) > self.seconds]


def new_errand(folder: Path, order: Order, grace: float = 0.0) -> Errand:
    """An errand in a new folder inside one. Raises what pickling the task raises.

    Args:
        grace: as of :class:`Errand`.
    """
    content = bytes(ForkingPickler.dumps(order))
    errand = Errand(folder / uuid.uuid4().hex[:12], grace)
    errand.folder.mkdir(parents=True)
    errand._write(TASK, pickle.dumps((order.patience, decisive_versions(), content)))
    return errand


def errands_in(folder: Path) -> Sequence[Errand]:
    """The errands that have a job, of this user alone: what others have written is not unpickled."""
    places = sorted(path.parent for path in folder.glob(f"*/{JOB}"))
    return [Errand(place) for place in places if all(_is_safe(place / name) for name in (TASK, TOLD, END))]


def _is_safe(path: Path) -> bool:
    try:
        status = path.stat()
    except FileNotFoundError:
        return True
    return status.st_uid == os.geteuid()


def _carry_out(errand: Errand) -> bytes:
    """Call the function of an errand; its value, pickled, as it is nothing to the process of the job."""
    order = errand.read_task()
    line = (Line(errand.tell, errand.cut(), errand.warning),) if order.tells else ()
    try:
        return bytes(ForkingPickler.dumps(order.function(order.task, *line)))
    except Spent as end:
        raise Spent(bytes(ForkingPickler.dumps(end.value)), end.reason) from None


def _start_deaf_workers() -> None:
    """Begin what starts worker processes so that neither it nor they see the signals of the job."""
    blocked = signal.pthread_sigmask(signal.SIG_BLOCK, OF_THE_JOB)
    try:
        resource_tracker.ensure_running()  # which unblocks some of them
        signal.pthread_sigmask(signal.SIG_BLOCK, OF_THE_JOB)
        prestart(__name__)
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, blocked)
