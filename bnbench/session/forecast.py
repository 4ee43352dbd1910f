"""The time that a sweep will still train, from the sizes of its stacks and the pace of those that were trained."""

from __future__ import annotations

import heapq
from collections.abc import Hashable, Mapping, Sequence
from dataclasses import dataclass


@dataclass(frozen=True)
class Job:
    """Runs that a worker trains at a time.

    Attributes:
        runs: the run_ids.
        kind: jobs of one kind take equally long for their size.
        size: the seconds it would take, up to a factor that is not known yet.
    """

    runs: tuple[str, ...]
    kind: Hashable
    size: float


@dataclass(frozen=True)
class Reached:
    """The progress of a job in training.

    Attributes:
        began: a time, in seconds.
        share: of its training that was done at its last evaluation, from 0 to 1.
        evaluated: the time of that; ``began`` before the first.
    """

    began: float
    share: float
    evaluated: float


class Forecast:
    """The rest of a sweep; asked for again and again while it trains.

    Args:
        jobs: in the order in which workers take them.
        workers: how many work at a time.
    """

    def __init__(self, jobs: Sequence[Job], workers: int) -> None:
        self._jobs, self._workers = jobs, workers
        self._job_of = {run: index for index, job in enumerate(jobs) for run in job.runs}
        self._missing = [set(job.runs) for job in jobs]
        self._begun: dict[int, float] = {}
        self._ended: dict[int, float] = {}

    def end(self, run: str, now: float) -> None:
        """A run has ended, at a time on the clock of :class:`Reached`."""
        index = self._job_of[run]
        self._missing[index].discard(run)
        if not self._missing[index]:
            self._ended[index] = now

    def left(self, reached: Mapping[str, Reached], now: float) -> float | None:
        """Seconds until all jobs have ended; None while nothing is known of how fast they are.

        What is done counts by its size, not by the number of runs. A job in training is taken to go on as fast as it
        went; one that waits takes as long for its size as its kind did or, if none of it was trained, as all did.

        Args:
            reached: by run_id, of the jobs that are trained now, at least one run each.
        """
        training = {self._job_of[run]: known for run, known in reached.items()}
        training = {index: known for index, known in training.items() if index not in self._ended}
        for index, known in training.items():
            self._begun.setdefault(index, known.began)
        paces = self._paces(training, now)
        overall = self._overall(training, now)
        if overall is None:
            return None
        free = [self._remaining(index, known, paces, overall, now) for index, known in training.items()]
        free += [0.0] * (self._workers - len(free))
        heapq.heapify(free)
        for index, job in enumerate(self._jobs):
            if index not in training and index not in self._ended:
                heapq.heapreplace(free, free[0] + job.size * paces.get(job.kind, overall))
        return max(free)

    def _overall(self, training: Mapping[int, Reached], now: float) -> float | None:
        """Seconds that a worker has taken for what has size 1, of all that was done."""
        done = sum(self._jobs[index].size for index in self._ended)
        done += sum(known.share * self._jobs[index].size for index, known in training.items())
        if done == 0 or not self._begun:
            return None
        unknown = sum(now - known.evaluated for known in training.values())
        at_work = min(self._workers, len(self._jobs)) * (now - min(self._begun.values()))
        return max(at_work - unknown, 0.0) / done

    def _paces(self, training: Mapping[int, Reached], now: float) -> dict[Hashable, float]:
        """Seconds for what has size 1, by kind."""
        took: dict[Hashable, float] = {}
        done: dict[Hashable, float] = {}
        for index, begun in self._begun.items():
            job, known = self._jobs[index], training.get(index)
            seconds = self._ended.get(index, now) - begun if known is None else known.evaluated - begun
            took[job.kind] = took.get(job.kind, 0.0) + seconds
            done[job.kind] = done.get(job.kind, 0.0) + job.size * (1.0 if known is None else known.share)
        return {kind: took[kind] / size for kind, size in done.items() if size > 0}

    def _remaining(
        self, index: int, known: Reached, paces: Mapping[Hashable, float], overall: float, now: float
    ) -> float:
        job = self._jobs[index]
        whole = job.size * paces.get(job.kind, overall)
        if known.share > 0:
            whole = (known.evaluated - known.began) / known.share
        return max(whole - (now - known.began), 0.0)
