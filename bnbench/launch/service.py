"""The life of a worker process: tasks from a pipe, ends into it, until it closes."""

from __future__ import annotations

import multiprocessing
import os
import pickle
import signal
import threading
from collections.abc import Callable
from multiprocessing.connection import Connection, wait
from multiprocessing.reduction import ForkingPickler
from typing import Any

from bnbench.launch.launcher import describe


def serve(function: Callable[[Any], Any], pipe: Connection) -> None:
    """Answer each task with ``(value, error)``, pickled; a task that cannot be unpickled has an error as well."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    threading.Thread(target=_die_with_parent, daemon=True).start()
    while True:
        try:
            message = pipe.recv_bytes()
        except (EOFError, ConnectionResetError):
            return
        pipe.send_bytes(_answer(function, message))


def _answer(function: Callable[[Any], Any], message: bytes) -> bytes:
    try:
        return bytes(ForkingPickler.dumps((function(pickle.loads(message)), None)))
    except (Exception, SystemExit, KeyboardInterrupt) as error:  # Ctrl-C is ignored here: it is the task's own
        return bytes(ForkingPickler.dumps((None, describe(error))))


def _die_with_parent() -> None:
    parent = multiprocessing.parent_process()
    assert parent is not None, "a worker has a parent"
    wait([parent.sentinel])
    os._exit(1)
