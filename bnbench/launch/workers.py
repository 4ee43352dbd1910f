"""A worker process as the program has it: tasks into its pipe, ends out of it, until it is dismissed."""

from __future__ import annotations

import os
import signal
from collections.abc import Callable, Hashable, Sequence
from contextlib import suppress
from dataclasses import dataclass
from multiprocessing.connection import Connection, wait
from multiprocessing.process import BaseProcess
from typing import Any

from bnbench.launch.starting import start_process
from bnbench.launch.worker import Loss, Worker

SHUTDOWN_TIMEOUT = 5.0
"""Seconds that a worker has to end by itself when it is idle, or has let go of its pipe."""
LARGEST = 2**28
"""Bytes of an answer that are waited for: what claims to be larger is no answer."""
CUT = "the worker process has let go of its pipe to the program"
RUBBISH = "the worker process has written into its pipe to the program what is no answer"


class ProcessWorker(Worker):
    """A worker process of this machine."""

    def __init__(self, process: BaseProcess, pipe: Connection, kind: Hashable = None, place: int = 0) -> None:
        super().__init__(kind, place)
        self.process, self.pipe = process, pipe

    def send(self, message: bytes) -> bool:
        """Give it a task; False if it died idle. One that dies before its first task is told by its pipe."""
        try:
            self.pipe.send_bytes(message)
        except (BrokenPipeError, ConnectionResetError):
            if self.is_proven:
                self.end()
                return False
        return True

    def answer(self) -> bytes | Loss:
        """The next answer, or how it ended."""
        try:
            message = self.pipe.recv_bytes(LARGEST) if self.pipe.poll() else b""
        except (EOFError, ConnectionResetError):
            message = b""
        except OSError:  # no length that an answer has
            self.end()
            return Loss(RUBBISH)
        if message:
            return message
        self.process.join(SHUTDOWN_TIMEOUT)
        cut = self.process.is_alive()
        self.end()
        return Loss(CUT if cut else _death(self.process.exitcode))

    def end(self) -> None:
        """End it and, whether it is dead already or not, what it has started."""
        assert self.process.pid is not None, "it was started"
        self.process.kill()
        with suppress(OSError):  # there is no such group any more, or the dead worker alone is in it
            os.killpg(self.process.pid, signal.SIGKILL)
        self.process.join()


@dataclass(frozen=True)
class Processes:
    """Worker processes of this machine.

    Attributes:
        function: that they call.
        tells, starts: as of :func:`serve`.
    """

    function: Callable[..., Any]
    tells: bool
    starts: bool = False

    def start(self, kind: Hashable, place: int) -> Worker:
        """Start one.

        Raises:
            NoWorkers: it cannot be started.
        """
        return ProcessWorker(*start_process(self.function, self.tells, starts=self.starts), kind, place)

    def heard_of(self, workers: Sequence[Worker], seconds: float | None) -> Sequence[Worker]:
        """See :func:`heard_of`."""
        return heard_of([worker for worker in workers if isinstance(worker, ProcessWorker)], seconds)

    def dismiss(self, workers: Sequence[Worker]) -> None:
        """See :func:`dismiss`."""
        dismiss([worker for worker in workers if isinstance(worker, ProcessWorker)])


def heard_of(workers: Sequence[ProcessWorker], seconds: float | None) -> list[ProcessWorker]:
    """The workers that have answered or died; a pipe alone does not tell, as a worker's child may hold it open.

    Args:
        seconds: to wait for one at most.
    """
    ready = wait([end for worker in workers for end in (worker.pipe, worker.process.sentinel)], seconds)
    return [worker for worker in workers if worker.pipe in ready or worker.process.sentinel in ready]


def dismiss(workers: Sequence[ProcessWorker]) -> None:
    """End all workers: those at work at once, the idle ones by the end of their pipe."""
    for worker in workers:
        if worker.index is not None:
            worker.process.kill()
        worker.pipe.close()
    for worker in workers:
        worker.process.join(SHUTDOWN_TIMEOUT)
        worker.end()


def _death(code: int | None) -> str:
    if code is not None and code < 0:
        hint = " (often the system's answer to a lack of memory)" if -code == signal.SIGKILL else ""
        names = {known.value: known.name for known in signal.Signals}
        return f"the worker process was ended by {names.get(-code, f'signal {-code}')}{hint}"
    return f"the worker process ended with exit code {code}"
