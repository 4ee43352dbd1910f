"""Runs tasks in worker processes on this machine.

Unlike concurrent.futures, the death of a worker (out of memory, a crash in native code) costs only the task it held,
and no worker outlives the program that started it, nor does what was started by a worker.
"""

from __future__ import annotations

import multiprocessing
import os
import pickle
import shutil
import signal
import subprocess
import sys
import tempfile
import time
import warnings
from collections import deque
from collections.abc import Callable, Generator, Hashable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from functools import cache, partial
from multiprocessing import forkserver, resource_tracker, spawn
from multiprocessing.connection import Connection, wait
from multiprocessing.process import BaseProcess
from multiprocessing.reduction import ForkingPickler
from multiprocessing.util import Finalize
from types import ModuleType
from typing import Any

from bnbench.errors import described
from bnbench.launch.launcher import Done, as_it_is, same_kind
from bnbench.launch.service import serve

SHUTDOWN_TIMEOUT = 5.0
"""Seconds that a worker has to end by itself when it is idle, or has let go of its pipe."""
LOOK = 1.0
"""Seconds from one look at tasks in hand to the next."""
LARGEST = 2**28
"""Bytes of an answer that are waited for: what claims to be larger is no answer."""
LONGEST_FOLDER = 70
"""Bytes of a folder's path with room for the name of a socket, which may have 107 in all."""
CUT = "the worker process has let go of its pipe to the program"
RUBBISH = "the worker process has written into its pipe to the program what is no answer"
WITHOUT = "bnbench sweep --launcher inline and bnbench study run --jobs 1 need none, but for a plugin"
METHOD = "forkserver" if sys.platform == "linux" else "spawn"
"""How workers start. A fork server imports once for all of them; elsewhere it is not safe with native libraries."""
FORK_SERVER = "bnbench.launch.fork_server"


class NoWorkers(OSError):
    """The system lets no worker process be started; the message says why, and what needs none."""


@dataclass(eq=False)
class _Worker:
    """A worker process.

    Attributes:
        kind: of the tasks that it may have.
        place: from 0, which it has for itself.
        index: the task in hand.
        since: when it got it.
        proven: whether it has ended a task and may have another one.
    """

    process: BaseProcess
    pipe: Connection
    kind: Hashable
    place: int
    index: int | None = None
    since: float = 0.0
    proven: bool = False


def prestart(*modules: str) -> None:
    """Let what workers will need be imported while this program still plans; calling it is never needed.

    Args:
        modules: where the functions are that they will call.

    Raises:
        NoWorkers: none can be started.
    """
    if METHOD == "forkserver":
        multiprocessing.set_forkserver_preload([FORK_SERVER, *modules])
        with _starting():
            _run_interpreter()
            with _without_interrupts():
                _keep_socket_names_short()
                forkserver.ensure_running()


@contextmanager
def _starting() -> Iterator[None]:
    """Have one error say that no process can be started, and why; without the tracker's warning that it died as well.

    Raises:
        NoWorkers: instead of what the block raises when a process is refused, or dies of what it lacks.
    """
    try:
        with warnings.catch_warnings():
            warnings.filterwarnings("ignore", "resource_tracker", UserWarning)
            yield
    except (OSError, EOFError) as error:
        raise NoWorkers(f"worker processes cannot be started: {_reason(error)}; {WITHOUT}") from error


def _reason(error: OSError | EOFError) -> str:
    """Why no process could be started: where the fork server died, the program knows only that nobody answers."""
    try:
        _run_interpreter.__wrapped__()
    except OSError as cause:
        error = cause
    if isinstance(error, (EOFError, ConnectionError)):
        return "the process that starts them has ended"
    return f"{os.fsdecode(error.filename)}: {error.strerror}" if error.filename else error.strerror or str(error)


@cache
def _run_interpreter() -> None:
    """Start the interpreter that workers are, which takes some milliseconds. Raises OSError if that is refused."""
    interpreter = spawn.get_executable()
    code = subprocess.run(
        [interpreter, "-V"], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, check=False
    ).returncode
    if code != 0:
        raise OSError(f"{os.fsdecode(interpreter)} ended with exit code {code}")


def _keep_socket_names_short() -> None:
    """Have multiprocessing's sockets in ``/tmp`` where the path of the usual folder leaves no room for their names."""
    settings = multiprocessing.current_process()._config  # type: ignore[attr-defined]
    if "tempdir" not in settings and len(os.fsencode(tempfile.gettempdir())) > LONGEST_FOLDER:
        folder = settings["tempdir"] = tempfile.mkdtemp(prefix="pymp-", dir="/tmp")
        Finalize(None, shutil.rmtree, args=(folder, True), exitpriority=-100)


def local(
    function: Callable[[Any], Any],
    tasks: Sequence[Any],
    jobs: int,
    kinds: Callable[[Any], Hashable] = same_kind,
    placed: Callable[[Any, int], Any] = as_it_is,
    heard: Callable[[Any], None] | None = None,
    waited: Callable[[Mapping[int, float]], None] | None = None,
) -> Generator[Done, None, None]:
    """See :class:`Launcher`; up to ``jobs`` processes, none of them a copy of this one.

    ``function`` and the tasks come from modules that can be imported; the program's main module is not one of them.
    A worker has tasks of one kind, and makes room for another one when there are no more of it.

    Args:
        heard: is given what the function tells on the way; it is then called as ``function(task, tell)``.
        waited: is told at each :data:`LOOK` for how many seconds each task has been in hand. What it raises ends all.
    """
    assert jobs >= 1, "somebody must work"
    waiting: dict[Hashable, deque[int]] = {}
    for index, task in enumerate(tasks):
        waiting.setdefault(kinds(task), deque()).append(index)
    workers: list[_Worker] = []
    try:
        while waiting or any(worker.index is not None for worker in workers):
            while waiting and (worker := _idle(workers, waiting, jobs, partial(_start, function, heard is not None))):
                index = waiting[worker.kind].popleft()
                if not waiting[worker.kind]:
                    del waiting[worker.kind]
                try:
                    message = bytes(ForkingPickler.dumps(placed(tasks[index], worker.place)))
                except Exception as error:
                    yield Done(index, None, described(error))
                    continue
                if not _hand(worker, index, message):
                    waiting.setdefault(worker.kind, deque()).appendleft(index)
                    workers.remove(worker)
            if waited is not None:
                now = time.monotonic()
                waited({worker.index: now - worker.since for worker in workers if worker.index is not None})
            for worker in _heard_of(workers, None if waited is None else LOOK):
                done = _collect(worker, heard)
                if done is None:
                    continue
                if not worker.proven:
                    workers.remove(worker)
                yield done
    finally:
        _dismiss(workers)


def _idle(
    workers: list[_Worker],
    waiting: Mapping[Hashable, deque[int]],
    jobs: int,
    start: Callable[[Hashable, int], _Worker],
) -> _Worker | None:
    """A worker without a task for a kind that waits, started if need be; None if all ``jobs`` of them are busy."""
    idle = [worker for worker in workers if worker.index is None]
    free = next((worker for worker in idle if worker.kind in waiting), None)
    if free is None and (idle or len(workers) < jobs):
        _dismiss(idle)
        workers[:] = [worker for worker in workers if worker not in idle]
        taken = {worker.place for worker in workers}
        place = next(place for place in range(jobs) if place not in taken)
        free = start(min(waiting, key=lambda kind: waiting[kind][0]), place)
        workers.append(free)
    return free


def _heard_of(workers: Sequence[_Worker], seconds: float | None) -> list[_Worker]:
    """The busy workers that have answered or died; a pipe alone does not tell, as a worker's child may hold it open.

    Args:
        seconds: to wait for one at most.
    """
    busy = [worker for worker in workers if worker.index is not None]
    ready = wait([end for worker in busy for end in (worker.pipe, worker.process.sentinel)], seconds)
    return [worker for worker in busy if worker.pipe in ready or worker.process.sentinel in ready]


def _start(function: Callable[..., Any], tells: bool, kind: Hashable, place: int) -> _Worker:
    """Start a worker that never sees Ctrl-C, not even while it imports: the program that started it decides.

    Raises:
        NoWorkers: it cannot be started.
    """
    prestart(function.__module__)
    context: Any = multiprocessing.get_context(METHOD)
    ours, theirs = context.Pipe()
    process = context.Process(target=serve, args=(function, theirs, tells), daemon=True)
    try:
        with _starting(), _without_interrupts(), _without_main():
            process.start()
    finally:
        theirs.close()
    return _Worker(process, ours, kind, place)


@contextmanager
def _without_interrupts() -> Iterator[None]:
    """Keep the processes started in a block from seeing Ctrl-C."""
    resource_tracker.ensure_running()  # it would unblock the signal if it were started in between
    blocked = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT})
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, blocked)


@contextmanager
def _without_main() -> Iterator[None]:
    """Keep the processes started in a block from importing the main module: a script would run again in each."""
    main = sys.modules["__main__"]
    sys.modules["__main__"] = ModuleType("__main__")
    try:
        yield
    finally:
        sys.modules["__main__"] = main


def _hand(worker: _Worker, index: int, message: bytes) -> bool:
    """Give a worker its task; False if it died idle. One that dies before its first task is told by its pipe."""
    try:
        worker.pipe.send_bytes(message)
    except (BrokenPipeError, ConnectionResetError):
        if worker.proven:
            _end(worker)
            return False
    worker.index, worker.since = index, time.monotonic()
    return True


def _collect(worker: _Worker, heard: Callable[[Any], None] | None) -> Done | None:
    """The end of a worker's task, or None if it told of something; one that died or is spent is not proven any more."""
    index = worker.index
    assert index is not None, "only busy workers are waited for"
    try:
        message = worker.pipe.recv_bytes(LARGEST) if worker.pipe.poll() else b""
    except (EOFError, ConnectionResetError):
        message = b""
    except OSError:  # no length that an answer has
        _end(worker)
        worker.index, worker.proven = None, False
        return Done(index, None, RUBBISH)
    worker.index = None
    if not message:
        worker.proven = False
        worker.process.join(SHUTDOWN_TIMEOUT)
        cut = worker.process.is_alive()
        _end(worker)
        return Done(index, None, CUT if cut else _death(worker.process.exitcode))
    worker.proven = True
    try:
        over, value, error, spent = pickle.loads(message)
    except Exception as problem:
        return Done(index, None, described(problem))
    if not over and heard is not None:
        worker.index = index
        heard(value)
        return None
    if spent:
        worker.proven = False
        _end(worker)
    return Done(index, value, error)


def _death(code: int | None) -> str:
    if code is not None and code < 0:
        hint = " (often the system's answer to a lack of memory)" if -code == signal.SIGKILL else ""
        names = {known.value: known.name for known in signal.Signals}
        return f"the worker process was ended by {names.get(-code, f'signal {-code}')}{hint}"
    return f"the worker process ended with exit code {code}"


def _dismiss(workers: Sequence[_Worker]) -> None:
    """End all workers: those at work at once, the idle ones by the end of their pipe."""
    for worker in workers:
        if worker.index is not None:
            worker.process.kill()
        worker.pipe.close()
    for worker in workers:
        worker.process.join(SHUTDOWN_TIMEOUT)
        _end(worker)


def _end(worker: _Worker) -> None:
    """End a worker and, whether it is dead already or not, what it has started."""
    assert worker.process.pid is not None, "it was started"
    worker.process.kill()
    with suppress(OSError):  # there is no such group any more, or the dead worker alone is in it
        os.killpg(worker.process.pid, signal.SIGKILL)
    worker.process.join()
