"""The processes that train a run together: started, listened to, and ended together, whatever becomes of one."""

from __future__ import annotations

import math
import multiprocessing
import time
import traceback
from collections.abc import Callable, Collection, Iterator, Mapping
from contextlib import closing, contextmanager
from dataclasses import dataclass
from typing import Any

from bnbench.book import failure_status
from bnbench.error_origin import foreign_line
from bnbench.launch import Line, local, prestart
from bnbench.tasks import Task
from bnbench.training import brief
from bnbench.training.distributed import meeting

GRACE = 1.0
"""Seconds from a failure until all processes are ended: another one may have failed before."""


@dataclass(frozen=True)
class Failure:
    """The end of a run of which a process failed.

    Attributes:
        status: of the run.
        error: what the process raised, or how it died.
        log: all that is known of it.
        when: on the clock that the processes of a machine share; a death, which others fail of, counts as the first.
    """

    status: str
    error: str
    log: str
    when: float


@dataclass(frozen=True)
class Seat:
    """The place of a process.

    Attributes:
        function: that it calls with this and a :class:`Line`; the first one's value is that of all.
        task: that they share.
        rank: from 0.
        port: where they find each other.
    """

    function: Callable[[Seat, Line], Any]
    task: Task
    rank: int
    port: int


def carry_out_together(
    function: Callable[[Seat, Line], Any], task: Task, size: int, heard: Callable[[Any], None]
) -> Any:
    """The value that the first of some processes comes to, or the first :class:`Failure`; none outlives this call.

    Args:
        function: of a module.
        heard: is given what they tell.

    Raises:
        NoWorkers: they cannot be started.
    """
    failures: list[Failure] = []
    deadline = math.inf

    def late(in_hand: Mapping[int, float]) -> Collection[int]:
        return in_hand if time.monotonic() > deadline else ()

    place = meeting()
    with _with_children():
        prestart(function.__module__)
        seats = [Seat(function, task, rank, place.port) for rank in range(size)]
        with closing(local(_sit_down, seats, size, heard=heard, waited=late)) as told:
            for done in told:
                if done.is_late:
                    continue
                if done.error is not None:
                    whose = f"It was process {done.index + 1} of {size} of this run."
                    log = f"{done.error}\nNo traceback was left. {whose}\n"
                    failures.append(Failure("failed", done.error, log, -math.inf))
                elif isinstance(done.value, Failure):
                    failures.append(done.value)
                elif done.index == 0:
                    return done.value
                if failures:
                    deadline = min(deadline, time.monotonic() + GRACE)
    return min(failures, key=lambda failure: failure.when)


def _sit_down(seat: Seat, line: Line) -> Any:
    """Call the function of a seat; what it raises is its value. The connections to the others stay until this ends."""
    try:
        return seat.function(seat, line)
    except BaseException as error:  # a plugin may also call sys.exit
        where = foreign_line(error).strip() if seat.task.plugin else ""
        text = brief(error) + (f" ({where})" if where else "")
        return Failure(failure_status(error), text, traceback.format_exc(), time.monotonic())


@contextmanager
def _with_children() -> Iterator[None]:
    """Let a worker start processes, which multiprocessing refuses daemons: theirs would outlive them, but ours do not.

    Each of them ends as soon as the process that started it has.
    """
    settings = multiprocessing.current_process()._config  # type: ignore[attr-defined]
    before = settings.get("daemon")
    settings["daemon"] = False
    try:
        yield
    finally:
        settings["daemon"] = before
