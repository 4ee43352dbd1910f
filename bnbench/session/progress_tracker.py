"""The progress of a sweep, told whenever a run ends and at each look at those that train."""

from __future__ import annotations

import threading
import time
from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import Path

from bnbench import store
from bnbench.isolation import SILENT_SECONDS
from bnbench.session.forecast import Forecast, Job, Reached
from bnbench.session.monitor import Silent
from bnbench.session.progress import Progress
from bnbench.spec import RunSpec, flatten, run_id, stack_key
from bnbench.tasks import End, Task

NAMED = 2
"""Stacks that are named at a time."""
MEANT = ("norm", "model", "dataset", "batch_size", "devices")
"""Columns that name a stack, as far as they vary."""


class ProgressTracker:
    """Tells the progress of a sweep from two threads, one at a time.

    Args:
        pending: by run_id, the runs to train.
        tell: is shown the progress.
        until: the runs stop after so many epochs; None trains to the end.
    """

    def __init__(
        self,
        folder: Path,
        pending: Mapping[str, RunSpec],
        impossible: int,
        tell: Callable[[Progress], None],
        until: int | None = None,
    ) -> None:
        self._pending, self._impossible, self._tell, self._until = pending, impossible, tell, until
        self._segments = store.Segments(folder)
        self._lock = threading.RLock()
        self._ended: set[str] = set()
        self._counts: Counter[str] = Counter()
        self._tasks: Sequence[Task] = ()
        self._task_of: dict[str, int] = {}
        self._varying: Sequence[str] = ()
        self._beginning = 0
        self._forecast: Forecast | None = None
        self._left: float | None = None
        self._now = "dividing runs into stacks"
        self._waiting: Silent = {}

    def prepare(self, step: str) -> None:
        """Take in the step that goes on before anything is trained."""
        self._now = step

    def wait(self, waiting: Silent) -> None:
        """Take in for how many seconds runs of a user's components have been tried, before anything is trained."""
        self._waiting = dict(waiting)

    def begin(self, tasks: Sequence[Task], workers: int, sizes: Mapping[str, float]) -> None:
        """Take in the tasks that so many workers train.

        Args:
            sizes: seconds of a run alone, by stack key, up to a factor; without them nothing is forecast.
        """
        with self._lock:
            self._tasks, self._varying, self._now = tasks, _varying(self._pending.values()), "starting workers"
            self._beginning = sum(len(task.specs) for task in tasks[:workers])
            jobs = [Job(tuple(map(run_id, task.specs)), _kind(task), _size(task, sizes)) for task in tasks]
            self._task_of = {run: index for index, job in enumerate(jobs) for run in job.runs}
            self._forecast = Forecast(jobs, workers) if all(job.size > 0 for job in jobs) else None
            self._show()

    def end(self, end: End) -> None:
        """Take in the end of a run."""
        with self._lock:
            identity = run_id(end.spec)
            self._ended.add(identity)
            self._counts[end.status] += 1
            if self._forecast is not None:
                self._forecast.end(identity, time.time())
            if len(self._ended) == len(self._pending):
                self._left, self._now = None, ""
            self._show(last=end)

    def look(self, silent: Silent) -> None:
        """Look at the runs in training; before that, among silent ones, at those that are tried."""
        if self._waiting:
            silent = {spec: seconds for spec, seconds in self._waiting.items() if seconds >= SILENT_SECONDS}
        pulses = store.pulses(self._segments)
        with self._lock:
            pulses = {
                name: pulse for name, pulse in pulses.items() if name in self._pending and name not in self._ended
            }
            if self._forecast is not None and self._now:
                reached = {
                    name: Reached(pulse.began, _share(self._pending[name], pulse, self._until), pulse.evaluated)
                    for name, pulse in pulses.items()
                }
                self._left = self._forecast.left(reached, time.time())
            self._now = self._named(pulses) or self._now
            self._show(silent=silent)

    def _show(self, last: End | None = None, silent: Silent | None = None) -> None:
        self._tell(
            Progress(
                len(self._pending),
                min(self._beginning, len(self._pending) - len(self._ended)),
                Counter(self._counts),
                self._impossible,
                last,
                silent or {},
                self._left,
                self._now,
            )
        )

    def _named(self, pulses: Mapping[str, store.Pulse]) -> str:
        """The stacks that are trained; nothing if none is."""
        trained = sorted({self._task_of[run] for run in pulses if run in self._task_of})
        named = [_named(self._tasks[index], self._varying) for index in trained[:NAMED]]
        return ", ".join([*named, *([f"{len(trained) - NAMED} more"] if len(trained) > NAMED else [])])


def _kind(task: Task) -> object:
    spec = task.specs[0]
    step = spec.norm, spec.model, spec.dataset, spec.batch_size, spec.devices, type(spec.optim)
    return step, len(set(task.specs)) > 1


def _size(task: Task, sizes: Mapping[str, float]) -> float:
    return sum(sizes.get(stack_key(spec), 0.0) for spec in dict.fromkeys(task.specs))


def _share(spec: RunSpec, pulse: store.Pulse, until: int | None) -> float:
    """The part of its training that a run had done at its last evaluation."""
    share = pulse.step / spec.steps if spec.steps is not None else pulse.epoch / (until or spec.epochs or 1)
    return min(share, 1.0)


def _varying(specs: Iterable[RunSpec]) -> list[str]:
    """The columns that name a stack: the norm, and of the others those that differ."""
    rows = [flatten(spec) for spec in specs]
    return [column for column in MEANT if column == "norm" or len({row[column] for row in rows}) > 1]


def _named(task: Task, varying: Sequence[str]) -> str:
    """``group x 32 (stack of 16)``."""
    row, runs = flatten(task.specs[0]), len(set(task.specs))
    name = " x ".join(str(row[column]) for column in varying)
    return f"{name} (stack of {runs})" if runs > 1 else name
