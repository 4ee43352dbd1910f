"""The workers of a call and the tasks that wait for them, wherever the workers are.

A pool of the standard library, of loky or of Pebble would not do: a worker that dies must cost its own task alone,
what a task tells must arrive before its end, a limit must count from what was told last, and a worker has one device.
"""

from __future__ import annotations

import math
from collections import deque
from collections.abc import Callable, Collection, Generator, Hashable, Mapping, Sequence
from dataclasses import dataclass, field
from multiprocessing.reduction import ForkingPickler
from typing import Any

from bnbench.errors import described
from bnbench.launch.awake import awake_seconds
from bnbench.launch.launcher import STARTING_SECONDS, Done, Waited
from bnbench.launch.starting import NoWorkers
from bnbench.launch.worker import Loss, Staff, Worker, collect, hand

POLL_SECONDS = 1.0
"""Seconds from one look at tasks in hand to the next."""
LATE = "the worker process was ended, as nothing had come from it for too long"
MOST_FAILED_STARTS = 3
"""Workers in a row that do not even begin, after which no more are tried."""


@dataclass
class Crew:
    """The workers of a call and the tasks that wait for them.

    Attributes:
        staff: where workers come from.
        jobs: workers that there may be at a time.
        waiting: by kind, the indices of tasks that nobody has yet; no kind without any.
        failed_starts: workers in a row that have not begun.
    """

    staff: Staff
    jobs: int
    waiting: dict[Hashable, deque[int]] = field(default_factory=dict)
    workers: list[Worker] = field(default_factory=list)
    failed_starts: int = 0

    def in_hand(self) -> Mapping[int, float]:
        """The tasks that workers have, by index, and for how many seconds nothing has come from them."""
        now = awake_seconds()
        return {worker.index: now - worker.since for worker in self.workers if worker.index is not None}

    def idle_worker(self) -> Worker | None:
        """A worker without a task for a kind that waits; None if all are busy, or those that are free only begin.

        Raises:
            NoWorkers: none can be started.
        """
        while True:
            free = next((one for one in self._idle() if one.kind in self.waiting), None)
            if free is not None or not (self._idle() or len(self.workers) < self.jobs):
                return free
            if not (kinds := self._kinds_without_worker()):
                return None
            self._start(kinds[0])

    def _idle(self) -> list[Worker]:
        return [worker for worker in self.workers if worker.index is None and not worker.is_starting]

    def _kinds_without_worker(self) -> list[Hashable]:
        """The kinds for whose tasks not enough workers begin, that first which has waited longest."""
        begin = [worker.kind for worker in self.workers if worker.is_starting]
        kinds = [kind for kind, tasks in self.waiting.items() if len(tasks) > begin.count(kind)]
        return sorted(kinds, key=lambda kind: self.waiting[kind][0])

    def _start(self, kind: Hashable) -> None:
        """Start a worker of a kind, in the place of idle ones of others."""
        idle = self._idle()
        self.staff.dismiss(idle)
        self.workers = [worker for worker in self.workers if worker not in idle]
        places = {worker.place for worker in self.workers}
        place = next(place for place in range(self.jobs) if place not in places)
        self.workers.append(self.staff.start(kind, place))

    def take_task(self, worker: Worker) -> int:
        """Take the next task of the worker's kind from those that wait."""
        index = self.waiting[worker.kind].popleft()
        if not self.waiting[worker.kind]:
            del self.waiting[worker.kind]
        return index

    def look_at_beginner(self, worker: Worker) -> None:
        """Take in that a worker has begun, or never will.

        Raises:
            NoWorkers: several in a row have not.
        """
        answer = worker.answer()
        if not isinstance(answer, Loss):
            self.failed_starts = 0
            return
        self.workers.remove(worker)
        if answer.is_refused:
            return
        self.failed_starts += 1
        if self.failed_starts == MOST_FAILED_STARTS:
            raise NoWorkers(f"workers cannot be started: {answer.error}")

    def silent_for(self, patience: float) -> Waited | None:
        """What ends the tasks of which nothing was told for so many seconds, since they began; None if that is never.

        A task has begun with what is told first, or :data:`STARTING_SECONDS` after a worker had it.
        """
        if math.isinf(patience):
            return None

        def silent(in_hand: Mapping[int, float]) -> list[int]:
            begun = {worker.index for worker in self.workers if worker.has_told}
            return [
                index
                for index, seconds in in_hand.items()
                if seconds > patience + (0 if index in begun else STARTING_SECONDS)
            ]

        return silent

    def end_late(self, late: Collection[int]) -> list[Done]:
        """End the workers that have some tasks; the ends of these."""
        ended = [worker for worker in self.workers if worker.index in late]
        self.workers = [worker for worker in self.workers if worker not in ended]
        done = [Done(worker.index, None, LATE, is_late=True) for worker in ended if worker.index is not None]
        self.staff.dismiss(ended)
        return done


def carry_out(
    crew: Crew,
    tasks: Sequence[Any],
    kinds: Callable[[Any], Hashable],
    placed: Callable[[Any, int], Any],
    heard: Callable[[Any], None] | None = None,
    waited: Waited | None = None,
) -> Generator[Done, None, None]:
    """Run tasks by a crew; see :class:`Launch`.

    Args:
        waited: is told every :data:`POLL_SECONDS` for how many seconds each task has been in hand or, if it has told
            anything, silent, and returns those that are to be ended, with their workers. What it raises ends all.
    """
    assert crew.jobs >= 1, "somebody must work"
    for index, task in enumerate(tasks):
        crew.waiting.setdefault(kinds(task), deque()).append(index)
    try:
        while crew.waiting or crew.in_hand():
            yield from _hand_out(crew, lambda index, place: placed(tasks[index], place))
            if waited is not None:
                yield from crew.end_late(waited(crew.in_hand()))
            active = [worker for worker in crew.workers if worker.index is not None or worker.is_starting]
            for worker in crew.staff.heard_of(active, None if waited is None else POLL_SECONDS):
                if worker.is_starting:
                    crew.look_at_beginner(worker)
                elif (done := collect(worker, heard)) is not None:
                    if not worker.is_proven:
                        crew.workers.remove(worker)
                    yield done
    finally:
        crew.staff.dismiss(crew.workers)


def _hand_out(crew: Crew, task_at: Callable[[int, int], Any]) -> Generator[Done, None, None]:
    """Give tasks to workers as long as there are both; yields the ends of tasks that cannot be sent.

    Args:
        task_at: the task of an index as the worker of a place has it.
    """
    while crew.waiting and (worker := crew.idle_worker()):
        index = crew.take_task(worker)
        try:
            message = bytes(ForkingPickler.dumps(task_at(index, worker.place)))
        except Exception as error:
            yield Done(index, None, described(error))
            continue
        if not hand(worker, index, message):
            crew.waiting.setdefault(worker.kind, deque()).appendleft(index)
            crew.workers.remove(worker)
