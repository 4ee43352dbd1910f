"""A task in a process of its own, beside what this program does."""

from __future__ import annotations

import os
import signal
from collections.abc import Callable
from contextlib import suppress
from multiprocessing.reduction import ForkingPickler
from typing import Any

from bnbench.launch.launcher import Done
from bnbench.launch.starting import start_process
from bnbench.launch.worker import collect, hand
from bnbench.launch.workers import ProcessWorker, dismiss, heard_of

GRACE = 0.5
"""Seconds that a task has to clean up when it is ended before it is done."""


class BackgroundTask:
    """One task of one process, which is asked now and then whether it is done.

    Args:
        function: as of :func:`local`.
        task: of the function.

    Raises:
        NoWorkers: the process cannot be started.
    """

    def __init__(self, function: Callable[[Any], Any], task: Any) -> None:
        message = bytes(ForkingPickler.dumps(task))
        self._worker = ProcessWorker(*start_process(function, False))
        hand(self._worker, 0, message)

    def done(self, seconds: float | None = 0.0) -> Done | None:
        """The end of the task, waited for so many seconds at most, None without end; it is told once."""
        busy = [self._worker] if self._worker.index is not None else []
        return collect(self._worker, None) if heard_of(busy, seconds) else None

    def close(self) -> None:
        """End the process and all that it has started; a task that is not done may clean up where SIGTERM tells it."""
        if self._worker.index is not None and (pid := self._worker.process.pid) is not None:
            with suppress(OSError):
                os.killpg(pid, signal.SIGTERM)
            self._worker.process.join(GRACE)
        dismiss([self._worker])
