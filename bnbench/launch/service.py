"""The life of a worker process: tasks from a pipe, ends into it, until it closes."""

from __future__ import annotations

import gc
import multiprocessing
import os
import pickle
import signal
import sys
import threading
from collections.abc import Callable
from contextlib import suppress
from functools import partial
from multiprocessing import forkserver, resource_tracker
from multiprocessing.connection import Connection, wait
from multiprocessing.reduction import ForkingPickler
from typing import Any

from bnbench.errors import described, is_full
from bnbench.launch.launcher import Line, Spent


def serve(function: Callable[..., Any], pipe: Connection, tells: bool = False, starts: bool = False) -> None:
    """Answer each task with ``(True, value, error, spent)``, pickled; what cannot be unpickled has an error as well.

    An error is a sentence or, of a disk that takes no more, itself.

    If the function ``tells``, it is given a :class:`Line` as well, which sends ``(False, value, None, False)``. A
    process that is spent is given no further task.

    If the function ``starts`` processes, and executes no user's code, they come from the fork server that this one is
    from, which has imported what they need.

    The process leads a group of its own, which ends with it: a user's code may start others. It reads nothing from the
    terminal, and ends without waiting for threads or hooks that such code has left.
    """
    gc.freeze()  # else it looks through all that the fork server has imported, and takes pages of its own for it
    os.setsid()
    os.dup2(os.open(os.devnull, os.O_RDONLY), 0)
    (_stay_with_server if starts else _leave_server)()
    multiprocessing.current_process()._config["daemon"] = False  # type: ignore[attr-defined]  # it may start others
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    threading.Thread(target=_die_with_parent, daemon=True).start()
    code = 1
    try:
        _answer_all((lambda task: function(task, Line(partial(_tell, pipe)))) if tells else function, pipe)
        code = 0
    finally:
        for stream in (sys.stdout, sys.stderr):
            with suppress(Exception):  # it may be closed
                stream.flush()
        os._exit(code)


def _leave_server() -> None:
    """Let go of the pipe that a fork server ends by: a user's code could write into it, which ends it as well."""
    server: Any = forkserver._forkserver
    alive, server._forkserver_alive_fd = server._forkserver_alive_fd, None
    if alive is not None:
        os.close(alive)


def _stay_with_server() -> None:
    """Have the processes that are started here come from the fork server of this one: there would be one for each.

    Servers of newer Pythons ask for a key that the processes they start may not have: those start a server themselves.
    """
    server: Any = forkserver._forkserver
    if server._forkserver_alive_fd is None or getattr(server, "_forkserver_authkey", b"") is None:
        _leave_server()
    else:
        server.ensure_running = resource_tracker.ensure_running


def _answer_all(function: Callable[[Any], Any], pipe: Connection) -> None:
    original = os.getpid()
    while True:
        try:
            message = pipe.recv_bytes()
        except (EOFError, ConnectionResetError):
            return
        answer = _answer(function, message)
        if os.getpid() != original:  # a copy, which a user's code has made and let go on
            return
        pipe.send_bytes(answer)


def _tell(pipe: Connection, value: Any) -> None:
    pipe.send_bytes(ForkingPickler.dumps((False, value, None, False)))


def _answer(function: Callable[[Any], Any], message: bytes) -> bytes:
    try:
        return bytes(ForkingPickler.dumps((True, function(pickle.loads(message)), None, False)))
    except Spent as end:
        return bytes(ForkingPickler.dumps((True, end.value, None, True)))
    except BaseException as error:  # Ctrl-C is ignored here: it is the task's own
        told = OSError(*error.args[:2], error.filename) if is_full(error) else described(error)
        return bytes(ForkingPickler.dumps((True, None, told, False)))


def _die_with_parent() -> None:
    parent = multiprocessing.parent_process()
    assert parent is not None, "a worker has a parent"
    wait([parent.sentinel])
    os.killpg(0, signal.SIGKILL)
