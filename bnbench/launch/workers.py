"""A worker process as the program has it: tasks into its pipe, ends out of it, until it is dismissed."""

from __future__ import annotations

import os
import pickle
import signal
import time
from collections.abc import Callable, Hashable, Sequence
from contextlib import suppress
from dataclasses import dataclass
from multiprocessing.connection import Connection, wait
from multiprocessing.process import BaseProcess
from typing import Any

from bnbench.errors import described
from bnbench.launch.launcher import Done

SHUTDOWN_TIMEOUT = 5.0
"""Seconds that a worker has to end by itself when it is idle, or has let go of its pipe."""
LARGEST = 2**28
"""Bytes of an answer that are waited for: what claims to be larger is no answer."""
CUT = "the worker process has let go of its pipe to the program"
RUBBISH = "the worker process has written into its pipe to the program what is no answer"


@dataclass(eq=False)
class Worker:
    """A worker process.

    Attributes:
        kind: of the tasks that it may have.
        place: from 0, which it has for itself.
        index: the task in hand.
        since: when it got it.
        is_proven: it has ended a task and may have another one.
    """

    process: BaseProcess
    pipe: Connection
    kind: Hashable
    place: int
    index: int | None = None
    since: float = 0.0
    is_proven: bool = False


def hand(worker: Worker, index: int, message: bytes) -> bool:
    """Give a worker its task; False if it died idle. One that dies before its first task is told by its pipe."""
    try:
        worker.pipe.send_bytes(message)
    except (BrokenPipeError, ConnectionResetError):
        if worker.is_proven:
            _end(worker)
            return False
    worker.index, worker.since = index, time.monotonic()
    return True


def collect(worker: Worker, heard: Callable[[Any], None] | None) -> Done | None:
    """The end of a worker's task, or None if it told of something; one that died or is spent is not proven any more."""
    index = worker.index
    assert index is not None, "only busy workers are waited for"
    try:
        message = worker.pipe.recv_bytes(LARGEST) if worker.pipe.poll() else b""
    except (EOFError, ConnectionResetError):
        message = b""
    except OSError:  # no length that an answer has
        _end(worker)
        worker.index, worker.is_proven = None, False
        return Done(index, None, RUBBISH)
    worker.index = None
    if not message:
        worker.is_proven = False
        worker.process.join(SHUTDOWN_TIMEOUT)
        cut = worker.process.is_alive()
        _end(worker)
        return Done(index, None, CUT if cut else _death(worker.process.exitcode))
    worker.is_proven = True
    try:
        over, value, error, spent = pickle.loads(message)
    except Exception as problem:
        return Done(index, None, described(problem))
    if not over and heard is not None:
        worker.index = index
        heard(value)
        return None
    if spent:
        worker.is_proven = False
        _end(worker)
    return Done(index, value, error)


def heard_of(workers: Sequence[Worker], seconds: float | None) -> list[Worker]:
    """The busy workers that have answered or died; a pipe alone does not tell, as a worker's child may hold it open.

    Args:
        seconds: to wait for one at most.
    """
    busy = [worker for worker in workers if worker.index is not None]
    ready = wait([end for worker in busy for end in (worker.pipe, worker.process.sentinel)], seconds)
    return [worker for worker in busy if worker.pipe in ready or worker.process.sentinel in ready]


def _death(code: int | None) -> str:
    if code is not None and code < 0:
        hint = " (often the system's answer to a lack of memory)" if -code == signal.SIGKILL else ""
        names = {known.value: known.name for known in signal.Signals}
        return f"the worker process was ended by {names.get(-code, f'signal {-code}')}{hint}"
    return f"the worker process ended with exit code {code}"


def dismiss(workers: Sequence[Worker]) -> None:
    """End all workers: those at work at once, the idle ones by the end of their pipe."""
    for worker in workers:
        if worker.index is not None:
            worker.process.kill()
        worker.pipe.close()
    for worker in workers:
        worker.process.join(SHUTDOWN_TIMEOUT)
        _end(worker)


def _end(worker: Worker) -> None:
    """End a worker and, whether it is dead already or not, what it has started."""
    assert worker.process.pid is not None, "it was started"
    worker.process.kill()
    with suppress(OSError):  # there is no such group any more, or the dead worker alone is in it
        os.killpg(worker.process.pid, signal.SIGKILL)
    worker.process.join()
