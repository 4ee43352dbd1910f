"""Tasks go to the workers, and what came of each run comes back, whatever becomes of its worker."""

from __future__ import annotations

import uuid
from collections.abc import Generator, Hashable, Sequence
from contextlib import closing
from dataclasses import replace

from bnbench import store
from bnbench.environment import timestamp
from bnbench.errors import Gone
from bnbench.launch import Launcher
from bnbench.spec import RunSpec, arm, run_id
from bnbench.worker import End, Task, work

DEATH = """{error}
No traceback was left. The worker trained this run alone, and died {at}:
{run}: {arm} batch_size={spec.batch_size} lr={spec.lr:g} seed={spec.seed}
"""
"""What is known of a run whose worker died."""


def dispatch(tasks: Sequence[Task], launch: Launcher, workers: int) -> Generator[list[End], None, None]:
    """How the runs of each task ended, as they end.

    A stack whose worker died is halved and tried again once the others are through, as :func:`work` does with a stack
    that raises: a run that ends its process fails alone.
    """
    while tasks:
        again: list[Task] = []
        with closing(launch(work, tasks, workers, _kind)) as told:
            for done in told:
                task = tasks[done.index]
                if done.error is None:
                    yield done.value
                    continue
                ends, left = _finished(task)
                if len(task.specs) > 1:
                    again += _halves(task, left)
                else:
                    ends += _record_death(task, left, done.error)
                if ends:
                    yield ends
        tasks = again


def _kind(task: Task) -> Hashable:
    """Which of a user's components a task executes: what they do to their process must reach no other run's."""
    return frozenset(
        (spec.plugin, spec.norm.name, spec.model.name, spec.dataset.name)
        for spec in task.specs
        if spec.plugin is not None
    )


def _finished(task: Task) -> tuple[list[End], list[RunSpec]]:
    """The runs that had a result before their worker died, and those that had none.

    Raises:
        Gone: the folder is no more, or another one: it does not know of these runs.
    """
    statuses = store.statuses(task.folder)
    specs = list(dict.fromkeys(task.specs))
    if not all(run_id(spec) in statuses for spec in specs):
        raise Gone(task.folder)
    ended = [End(spec, statuses[run_id(spec)]) for spec in specs if statuses[run_id(spec)] in store.RESULTS]
    return ended, [spec for spec in specs if statuses[run_id(spec)] not in store.RESULTS]


def _halves(task: Task, left: Sequence[RunSpec]) -> list[Task]:
    """Two smaller stacks, under names of their own: the rows of the attempt that failed stay apart."""
    middle = (len(left) + 1) // 2
    parts = [part for part in (left[:middle], left[middle:]) if part]
    return [replace(task, specs=tuple(part), session=uuid.uuid4().hex[:12]) for part in parts]


def _record_death(task: Task, lost: Sequence[RunSpec], error: str) -> list[End]:
    """Write the failure of runs whose worker could not, and what is known of it under logs/."""
    row = {"status": "failed", "error": error, "finished_at": timestamp()}
    pulses = store.pulses(task.folder)
    with store.Segment(task.folder, f"{task.session}-session") as segment:
        for spec in lost:
            pulse = pulses.get(run_id(spec))
            reached = f"after its evaluation at step {pulse.step}" if pulse and pulse.step else "before any evaluation"
            segment.log(run_id(spec), DEATH.format(error=error, run=run_id(spec), arm=arm(spec), spec=spec, at=reached))
        segment.finish([{"run_id": run_id(spec), **row} for spec in lost])
    return [End(spec, "failed", error) for spec in lost]
