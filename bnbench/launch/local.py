"""Runs tasks in worker processes on this machine.

Unlike concurrent.futures, the death of a worker (out of memory, a crash in native code) costs only the task it held,
and no worker outlives the program that started it.
"""

from __future__ import annotations

import multiprocessing
import os
import signal
import threading
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from multiprocessing.connection import Connection, wait
from multiprocessing.context import SpawnProcess
from typing import Any

from bnbench.launch.launcher import Done


@dataclass
class _Worker:
    process: SpawnProcess
    pipe: Connection
    index: int | None = None
    """The task in hand."""


def local(function: Callable[[Any], Any], tasks: Sequence[Any], jobs: int) -> Iterator[Done]:
    """See :class:`Launcher`; up to ``jobs`` processes, each started afresh (spawn)."""
    waiting = list(enumerate(tasks))[::-1]
    workers: list[_Worker] = []
    try:
        while waiting or any(worker.index is not None for worker in workers):
            for worker in workers:
                if worker.index is None and waiting:
                    _hand(worker, waiting)
            while waiting and len(workers) < jobs:
                workers.append(_start(function))
                _hand(workers[-1], waiting)
            busy = {worker.pipe: worker for worker in workers if worker.index is not None}
            for pipe in wait(list(busy)):
                worker = busy[pipe]  # type: ignore[index]
                yield _collect(worker, workers)
    finally:
        for worker in workers:
            worker.process.kill() if worker.index is not None else worker.pipe.close()
        for worker in workers:
            worker.process.join()


def _start(function: Callable[[Any], Any]) -> _Worker:
    context = multiprocessing.get_context("spawn")
    ours, theirs = context.Pipe()
    process = context.Process(target=_serve, args=(function, theirs), daemon=True)
    process.start()
    theirs.close()
    return _Worker(process, ours)


def _hand(worker: _Worker, waiting: list[tuple[int, Any]]) -> None:
    worker.index, task = waiting.pop()
    try:
        worker.pipe.send(task)
    except (BrokenPipeError, ConnectionResetError):
        pass  # the worker died; reading its pipe tells so


def _collect(worker: _Worker, workers: list[_Worker]) -> Done:
    index = worker.index
    assert index is not None, "only busy workers are waited for"
    worker.index = None
    try:
        value, error = worker.pipe.recv()
    except (EOFError, ConnectionResetError):
        worker.process.join()
        workers.remove(worker)
        return Done(index, None, _death(worker.process.exitcode))
    return Done(index, value, error)


def _death(code: int | None) -> str:
    if code is not None and code < 0:
        hint = " (often the system's answer to a lack of memory)" if -code == signal.SIGKILL else ""
        return f"the worker process was ended by {signal.Signals(-code).name}{hint}"
    return f"the worker process ended with exit code {code}"


def _serve(function: Callable[[Any], Any], pipe: Connection) -> None:
    """A worker's life: tasks from the pipe until it closes."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # the program that started us decides
    threading.Thread(target=_die_with_parent, daemon=True).start()
    while True:
        try:
            task = pipe.recv()
        except EOFError:
            return
        try:
            pipe.send((function(task), None))
        except Exception as error:
            pipe.send((None, f"{type(error).__name__}: {error}"))


def _die_with_parent() -> None:
    parent = multiprocessing.parent_process()
    assert parent is not None, "a worker has a parent"
    wait([parent.sentinel])
    os._exit(1)
