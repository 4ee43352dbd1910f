"""The life of a worker process: tasks from a pipe, ends into it, until it closes."""

from __future__ import annotations

import multiprocessing
import os
import pickle
import signal
import sys
import threading
from collections.abc import Callable
from contextlib import suppress
from multiprocessing.connection import Connection, wait
from multiprocessing.reduction import ForkingPickler
from typing import Any

from bnbench.errors import described


def serve(function: Callable[[Any], Any], pipe: Connection) -> None:
    """Answer each task with ``(value, error)``, pickled; a task that cannot be unpickled has an error as well.

    The process leads a group of its own, which ends with it: a user's code may start others. It reads nothing from the
    terminal, and ends without waiting for threads or hooks that such code has left.
    """
    os.setsid()
    os.dup2(os.open(os.devnull, os.O_RDONLY), 0)
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    threading.Thread(target=_die_with_parent, daemon=True).start()
    original = os.getpid()
    while True:
        try:
            message = pipe.recv_bytes()
        except (EOFError, ConnectionResetError):
            break
        answer = _answer(function, message)
        if os.getpid() != original:  # a copy, which a user's code has made and let go on
            os._exit(0)
        pipe.send_bytes(answer)
    with suppress(Exception):  # such code may have closed them
        sys.stdout.flush()
        sys.stderr.flush()
    os._exit(0)


def _answer(function: Callable[[Any], Any], message: bytes) -> bytes:
    try:
        return bytes(ForkingPickler.dumps((function(pickle.loads(message)), None)))
    except BaseException as error:  # Ctrl-C is ignored here: it is the task's own
        return bytes(ForkingPickler.dumps((None, described(error))))


def _die_with_parent() -> None:
    parent = multiprocessing.parent_process()
    assert parent is not None, "a worker has a parent"
    wait([parent.sentinel])
    os.killpg(0, signal.SIGKILL)
