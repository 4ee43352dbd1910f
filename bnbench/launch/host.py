"""A worker process on another machine, as that machine has it: beside the process that a cluster gives it."""

from __future__ import annotations

import os
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass
from importlib import import_module
from typing import Any

from bnbench.launch.starting import NoWorkers, start_process
from bnbench.launch.worker import Loss, hand
from bnbench.launch.workers import ProcessWorker, dismiss, heard_of

PATIENCE = 5.0
"""Seconds that a host listens at a time."""
ORPHAN_SECONDS = 0.5
"""Seconds between two looks whether the process that started the host is still there."""


@dataclass(frozen=True)
class Named:
    """A function by its name: what hands it on need not import it.

    Attributes:
        module: that has it.
        name: of the function there.
    """

    module: str
    name: str

    def __call__(self, *arguments: Any) -> Any:
        """Call the function."""
        return getattr(import_module(self.module), self.name)(*arguments)


def named(function: Callable[..., Any]) -> Named:
    """A function of a module by its name."""
    return Named(function.__module__, function.__qualname__)


class Host:
    """Starts a worker process when there is a task for it, and hands on what goes to it and comes from it.

    It never looks into what it hands on, so it imports nothing that its worker does.

    Args:
        function: that the worker calls.
        tells: as of :func:`serve`.
    """

    def __init__(self, function: Named, tells: bool) -> None:
        self._function, self._tells = function, tells
        self._worker: ProcessWorker | None = None
        self._failure: Loss | None = None
        threading.Thread(target=_die_with_parent, args=(os.getppid(),), daemon=True).start()

    def node(self) -> str:
        """The node that it is on, by Ray's identifier."""
        import ray

        return str(ray.get_runtime_context().get_node_id())

    def carry_out(self, message: bytes) -> None:
        """Give the worker a task, and a new worker if it has died."""
        if self._worker is not None and hand(self._worker, 0, message):
            return
        try:
            self._worker = ProcessWorker(*start_process(self._function, self._tells, self._function.module))
        except NoWorkers as error:
            self._worker, self._failure = None, Loss(str(error))
        else:
            hand(self._worker, 0, message)

    def listen(self) -> bytes | Loss | None:
        """The next answer of the worker, or how it ended; None after :data:`PATIENCE` seconds without any."""
        if self._worker is None:
            failure, self._failure = self._failure, None
            return failure or Loss("there is no worker process")
        if not heard_of([self._worker], PATIENCE):
            return None
        answer = self._worker.answer()
        self._worker.is_proven = True
        if isinstance(answer, Loss):
            self._worker = None
        return answer

    def close(self) -> None:
        """End the worker."""
        if self._worker is not None:
            dismiss([self._worker])
            self._worker = None


def _die_with_parent(parent: int) -> None:
    """End with the process that started this one: Ray looks for init as the new parent, but any subreaper can be it."""
    while os.getppid() == parent:
        time.sleep(ORPHAN_SECONDS)
    os._exit(1)
