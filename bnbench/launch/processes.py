"""Runs tasks in worker processes on this machine.

Unlike concurrent.futures, the death of a worker (out of memory, a crash in native code) costs only the task it held,
and no worker outlives the program that started it, nor does what was started by a worker.
"""

from __future__ import annotations

from collections.abc import Callable, Generator, Hashable, Sequence
from typing import Any

from bnbench.launch.crew import Crew, carry_out
from bnbench.launch.launcher import Done, Waited, as_it_is, same_kind
from bnbench.launch.site import Launcher
from bnbench.launch.starting import prestart
from bnbench.launch.workers import Processes


def local(
    function: Callable[..., Any],
    tasks: Sequence[Any],
    jobs: int,
    kinds: Callable[[Any], Hashable] = same_kind,
    placed: Callable[[Any, int], Any] = as_it_is,
    heard: Callable[[Any], None] | None = None,
    waited: Waited | None = None,
) -> Generator[Done, None, None]:
    """See :class:`WatchfulLaunch`; up to ``jobs`` processes, none of them a copy of this one.

    ``function`` and the tasks come from modules that can be imported; the program's main module is not one of them.
    A worker has tasks of one kind, and makes room for another one when there are no more of it.

    Args:
        waited: see :func:`carry_out`.
    """
    crew = Crew(Processes(function, heard is not None), jobs)
    yield from carry_out(crew, tasks, kinds, placed, heard, waited)


def local_programs(
    function: Callable[..., Any], tasks: Sequence[Any], jobs: int, heard: Callable[[Any], None]
) -> Generator[Done, None, None]:
    """:func:`local` for a function that starts processes itself, and executes no user's code."""
    crew = Crew(Processes(function, True, starts=True), jobs)
    yield from carry_out(crew, tasks, same_kind, as_it_is, heard)


LOCAL = Launcher(
    local,
    "worker processes of this machine",
    isolates=True,
    compiles=False,
    spares_one=True,
    prestart=prestart,
    watchful=local,
)
