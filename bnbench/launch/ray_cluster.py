"""A Ray cluster: one that runs, or one of this machine alone that ends with the program."""

from __future__ import annotations

import atexit
import logging
import os
import signal
import sys
import threading
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager
from typing import Any

from bnbench.environment import cores
from bnbench.errors import BnbenchError, message_of
from bnbench.launch.ray_settings import RaySettings, imported_ray
from bnbench.scratch import scratch_folder

STORE_BYTES = 2**28
"""Memory for objects in a cluster of this machine, through which tasks and results travel."""


class _Beginning:
    """A cluster of this machine that begins in a thread, which lives as long: its processes end with it.

    Args:
        settings: of the launcher.
        jobs: workers that there is to be room for.
    """

    def __init__(self, settings: RaySettings, jobs: int | None) -> None:
        self._settings, self._jobs = settings, jobs
        self._files = ExitStack()
        self._folder = str(self._files.enter_context(scratch_folder("/tmp")))
        self.error: BaseException | None = None
        self._ready, self._over = threading.Event(), threading.Event()
        threading.Thread(target=self._live, daemon=True).start()
        atexit.register(self.close)

    def _live(self) -> None:
        try:
            _connect(imported_ray(), self._settings, self._jobs, self._folder)
        except BaseException as error:
            self.error = error
        signal.pthread_sigmask(signal.SIG_BLOCK, signal.valid_signals())  # they are the main thread's
        self._ready.set()
        self._over.wait()

    def wait(self) -> None:
        """Wait until it is there. Raises what has kept it from that."""
        while not self._ready.wait(0.2):  # so that Ctrl-C is answered
            pass
        if self.error is not None:
            raise self.error

    def close(self) -> None:
        """End it, and remove its files."""
        self._ready.wait()
        imported_ray().shutdown()
        self._over.set()
        self._files.close()
        atexit.unregister(self.close)


_beginning: list[_Beginning] = []
"""The cluster that begins while the program plans; none, or one."""
_users: list[RaySettings] = []
"""The settings of those who have the connection, each within the block of the one before."""


def begin(settings: RaySettings, jobs: int | None) -> None:
    """Let a cluster of this machine begin, if it is that which will be asked for; calling it is never needed."""
    if settings.place is None and not _beginning:
        _beginning.append(_Beginning(settings, jobs))


@contextmanager
def connected(settings: RaySettings, jobs: int | None, uses_gpu: bool) -> Iterator[int]:
    """Have a connection to a cluster, which is left as it was; a cluster of this machine ends with the block.

    Yields:
        the number of workers for which the cluster has room.

    Raises:
        BnbenchError: there is none, or it refuses this program.
    """
    ray = imported_ray()
    if _users or (ray.is_initialized() and not _beginning):
        yield _room(ray, settings, uses_gpu)
        return
    _users.append(settings)
    try:
        begin(settings, jobs)
        if _beginning:
            _beginning[0].wait()
        else:
            _connect(ray, settings, jobs, None)
        yield _room(ray, settings, uses_gpu)
    finally:
        _users.clear()
        if _beginning:
            _beginning.pop().close()
        ray.shutdown()


def _connect(ray: Any, settings: RaySettings, jobs: int | None, folder: str | None) -> None:
    """Connect to a running cluster, or begin one."""
    quiet = {"log_to_driver": False, "logging_level": logging.CRITICAL, "namespace": "bnbench"}
    try:
        if folder is None:
            with _silenced():
                ray.init(address=settings.place, **quiet)
            return
        room = max(cores(), jobs or 1) * max(settings.cpus, 1.0)
        ray.init(
            "local", num_cpus=int(room) + 1, include_dashboard=False, object_store_memory=STORE_BYTES,
            _temp_dir=folder, **quiet,
        )  # fmt: skip
    except (RuntimeError, ValueError, OSError) as error:
        where = settings.origin if folder is None else "--launcher ray"
        raise BnbenchError(f"{where}: Ray refuses: {_sentence(error)}") from error


@contextmanager
def _silenced() -> Iterator[None]:
    """Keep what native code says of each attempt from the terminal."""
    sys.stderr.flush()
    earlier, nowhere = os.dup(2), os.open(os.devnull, os.O_WRONLY)
    try:
        os.dup2(nowhere, 2)
        yield
    finally:
        os.dup2(earlier, 2)
        os.close(earlier)
        os.close(nowhere)


def _sentence(error: BaseException) -> str:
    """The message of an error in one line."""
    return " ".join(message_of(error).split())


def _room(ray: Any, settings: RaySettings, uses_gpu: bool) -> int:
    """The workers that fit into the cluster as it is now."""
    return max(1, sum(_fits(node["Resources"], settings, uses_gpu) for node in nodes(ray)))


def _fits(resources: Mapping[str, float], settings: RaySettings, uses_gpu: bool) -> int:
    """The workers that fit on a node."""
    needs = needed(settings, uses_gpu)
    counts = [
        int(resources.get(name, 0.0) / amount)
        for name, amount in (("CPU", needs["num_cpus"]), ("GPU", needs["num_gpus"]))
        if amount > 0
    ]
    return min(counts, default=cores())


def needed(settings: RaySettings, uses_gpu: bool) -> dict[str, float]:
    """The resources of a worker, as Ray names them."""
    return {"num_cpus": settings.cpus, "num_gpus": settings.gpus if uses_gpu else 0.0}


def nodes(ray: Any) -> list[dict[str, Any]]:
    """The living nodes of the cluster."""
    return [node for node in ray.nodes() if node["Alive"]]
