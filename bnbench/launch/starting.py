"""Starting worker processes, which never see Ctrl-C: the program that started them decides when they end."""

from __future__ import annotations

import multiprocessing
import os
import signal
import subprocess
import sys
import tempfile
import warnings
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from functools import cache
from multiprocessing import forkserver, resource_tracker, spawn
from multiprocessing.connection import Connection
from multiprocessing.process import BaseProcess
from multiprocessing.util import Finalize
from types import ModuleType
from typing import Any

from bnbench.launch.service import serve
from bnbench.scratch import scratch_folder

LONGEST_FOLDER = 70
"""Bytes of a folder's path with room for the name of a socket, which may have 107 in all."""
WITHOUT = "bnbench sweep --launcher inline and bnbench study run --jobs 1 need none, but for a plugin or devices=2"
METHOD = "forkserver" if sys.platform == "linux" else "spawn"
"""The start method. A fork server imports once for all workers; elsewhere it is not safe with native libraries."""
FORK_SERVER = "bnbench.launch.fork_server"


class NoWorkers(OSError):
    """The system lets no worker process be started; the message says why, and what needs none."""


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
            with without_interrupts():
                _keep_socket_names_short()
                forkserver._forkserver.ensure_running()  # the module's name is bound to one method


def start_process(
    function: Callable[..., Any], tells: bool, module: str | None = None, starts: bool = False
) -> tuple[BaseProcess, Connection]:
    """Start a process that serves tasks of a function, and never sees Ctrl-C, not even while it imports.

    Args:
        tells, starts: as of :func:`serve`.
        module: that has the function; None asks the function.

    Returns:
        the process, and the program's end of the pipe to it.

    Raises:
        NoWorkers: it cannot be started.
    """
    prestart(module or function.__module__)
    context: Any = multiprocessing.get_context(METHOD)
    ours, theirs = context.Pipe()
    process = context.Process(target=serve, args=(function, theirs, tells, starts), daemon=True)
    try:
        with _starting(), without_interrupts(), _without_main():
            process.start()
    finally:
        theirs.close()
    return process, ours


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
    """The reason that no process could be started: of a fork server that died the program knows only its silence."""
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
        files = ExitStack()
        settings["tempdir"] = str(files.enter_context(scratch_folder("/tmp")))
        Finalize(None, files.close, exitpriority=-100)


@contextmanager
def without_interrupts() -> Iterator[None]:
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
