"""Runs tasks in worker processes on this machine.

Unlike concurrent.futures, the death of a worker (out of memory, a crash in native code) costs only the task it held,
and no worker outlives the program that started it, nor does what was started by a worker.
"""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Callable, Generator, Hashable, Mapping, Sequence
from dataclasses import dataclass, field
from multiprocessing.reduction import ForkingPickler
from typing import Any

from bnbench.errors import described
from bnbench.launch.launcher import Done, Launcher, as_it_is, same_kind
from bnbench.launch.starting import prestart, start_process
from bnbench.launch.workers import Worker, collect, dismiss, hand, heard_of

POLL_SECONDS = 1.0
"""Seconds from one look at tasks in hand to the next."""


def local(
    function: Callable[[Any], Any],
    tasks: Sequence[Any],
    jobs: int,
    kinds: Callable[[Any], Hashable] = same_kind,
    placed: Callable[[Any, int], Any] = as_it_is,
    heard: Callable[[Any], None] | None = None,
    waited: Callable[[Mapping[int, float]], None] | None = None,
) -> Generator[Done, None, None]:
    """See :class:`Launch`; up to ``jobs`` processes, none of them a copy of this one.

    ``function`` and the tasks come from modules that can be imported; the program's main module is not one of them.
    A worker has tasks of one kind, and makes room for another one when there are no more of it.

    Args:
        heard: is given what the function tells on the way; it is then called as ``function(task, tell)``.
        waited: is told every :data:`POLL_SECONDS` for how many seconds each task has been in hand. What it raises ends
            all.
    """
    assert jobs >= 1, "somebody must work"
    crew = _Crew(function, jobs, heard is not None)
    for index, task in enumerate(tasks):
        crew.waiting.setdefault(kinds(task), deque()).append(index)
    try:
        while crew.waiting or crew.in_hand():
            yield from _hand_out(crew, lambda index, place: placed(tasks[index], place))
            if waited is not None:
                waited(crew.in_hand())
            for worker in heard_of(crew.workers, None if waited is None else POLL_SECONDS):
                done = collect(worker, heard)
                if done is None:
                    continue
                if not worker.is_proven:
                    crew.workers.remove(worker)
                yield done
    finally:
        dismiss(crew.workers)


@dataclass
class _Crew:
    """The workers of a call and the tasks that wait for them.

    Attributes:
        jobs: workers that there may be at a time.
        tells: as of :func:`serve`.
        waiting: by kind, the indices of tasks that nobody has yet; no kind without any.
    """

    function: Callable[..., Any]
    jobs: int
    tells: bool
    waiting: dict[Hashable, deque[int]] = field(default_factory=dict)
    workers: list[Worker] = field(default_factory=list)

    def in_hand(self) -> Mapping[int, float]:
        """The tasks that workers have, by index, and since how many seconds."""
        now = time.monotonic()
        return {worker.index: now - worker.since for worker in self.workers if worker.index is not None}

    def idle_worker(self) -> Worker | None:
        """A worker without a task for a kind that waits, started if need be; None if all ``jobs`` of them are busy.

        Raises:
            NoWorkers: it cannot be started.
        """
        idle = [worker for worker in self.workers if worker.index is None]
        free = next((worker for worker in idle if worker.kind in self.waiting), None)
        if free is None and (idle or len(self.workers) < self.jobs):
            dismiss(idle)
            self.workers = [worker for worker in self.workers if worker not in idle]
            places = {worker.place for worker in self.workers}
            place = next(place for place in range(self.jobs) if place not in places)
            kind = min(self.waiting, key=lambda kind: self.waiting[kind][0])
            free = Worker(*start_process(self.function, self.tells), kind, place)
            self.workers.append(free)
        return free

    def take_task(self, worker: Worker) -> int:
        """Take the next task of the worker's kind from those that wait."""
        index = self.waiting[worker.kind].popleft()
        if not self.waiting[worker.kind]:
            del self.waiting[worker.kind]
        return index


def _hand_out(crew: _Crew, task_at: Callable[[int, int], Any]) -> Generator[Done, None, None]:
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


LOCAL = Launcher(local, isolates=True, compiles=False, spares_one=True, prestart=prestart)
