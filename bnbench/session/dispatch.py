"""Tasks go to the workers, and what came of each run comes back, whatever becomes of its worker."""

from __future__ import annotations

import uuid
from collections import Counter
from collections.abc import Callable, Generator, Hashable, Sequence
from contextlib import closing
from dataclasses import replace
from functools import partial
from typing import TYPE_CHECKING

from bnbench import store
from bnbench.environment import timestamp
from bnbench.errors import Gone
from bnbench.launch import Launch
from bnbench.spec import RunSpec, arm, run_id

if TYPE_CHECKING:
    from bnbench.worker import Attempt, End, Task

DEATH = """{error}
No traceback was left. The worker trained this run alone, and died {at}:
{run}: {arm} batch_size={spec.batch_size} lr={spec.lr:g} seed={spec.seed}
"""
"""What is known of a run whose worker died."""


MOST_LOST = 3
"""Machines that may be lost with a run before it is to blame."""

Ready = Callable[["Task"], "Task"]
"""Gives a task as it is to be trained if it begins now."""


def _as_it_is(task: Task) -> Task:
    return task


def dispatch(
    tasks: Sequence[Task], launch: Launch, devices: Sequence[str], ready: Ready = _as_it_is, is_away: bool = False
) -> Generator[list[End], None, None]:
    """How the runs of each task ended, as they end.

    A stack whose worker died, or spoiled its process, is halved and tried again once the others are through, as
    :func:`work` does with a stack that raises: a run that ends its process fails alone. One whose machine was lost is
    tried again as it is.

    Args:
        devices: one per worker, which has it as long as it lives.
        ready: is asked when a worker takes a task, but for one that has failed before.
        is_away: workers have folders of their own, and what they write there is put down in the sweep's.

    Raises:
        BnbenchError: as the launcher does.
    """
    function, launch = _carrier(tasks, launch) if is_away else _worker(launch)
    losses: Counter[str] = Counter()
    while tasks:
        again: list[Task] = []
        begun: dict[int, Task] = {}
        with closing(launch(function, tasks, len(devices), _kind, _placed(devices, ready, begun))) as told:
            for done in told:
                task = begun.get(id(tasks[done.index]), tasks[done.index])
                ends, left = (done.value, _missing(task, done.value)) if done.error is None else _finished(task)
                losses.update(run_id(spec) for spec in left if done.is_lost)
                if left:
                    store.remove_checkpoint(task.folder, _attempt(task).checkpoint_name)
                if done.is_lost and all(losses[run_id(spec)] < MOST_LOST for spec in left):
                    again += [replace(task, specs=tuple(left), session=_session(), checkpoint="")] if left else []
                elif done.error is not None and len(task.specs) == 1 and _attempt(task).is_alone:
                    ends += _record_death(task, left, done.error)
                else:
                    again += _halves(task, left)
                if ends:
                    yield ends
        tasks, ready = again, _as_it_is


def _worker(launch: Launch) -> tuple[Callable[..., list[End]], Launch]:
    """The function that trains in the sweep's folder, and what launches it."""
    from bnbench.worker import work

    return work, launch


def _carrier(tasks: Sequence[Task], launch: Launch) -> tuple[Callable[..., list[End]], Launch]:
    """The function that trains in a folder elsewhere, and what launches it and puts down what it tells."""
    from bnbench.remote import work_away

    return work_away, partial(launch, heard=lambda growth: store.put_down(tasks[0].folder, growth))


def _session() -> str:
    """A name for the rows of another attempt, which stay apart."""
    return uuid.uuid4().hex[:12]


def _placed(devices: Sequence[str], ready: Ready, begun: dict[int, Task]) -> Callable[[Task, int], Task]:
    """A function that gives a task as the worker with a place has it; ``begun`` takes that, by the task's ``id``."""

    def placed(task: Task, place: int) -> Task:
        begun[id(task)] = replace(ready(task), device=devices[place])
        return begun[id(task)]

    return placed


def _missing(task: Task, ends: Sequence[End]) -> list[RunSpec]:
    """The runs whose worker could not go on to their ends."""
    ended = {end.spec for end in ends}
    return [spec for spec in task.specs if spec not in ended]


def _kind(task: Task) -> Hashable:
    """Which of a user's components a task executes: what they do to their process must reach no other run's."""
    return frozenset((spec.plugin, *spec.component_names) for spec in task.specs if spec.plugin is not None)


def _finished(task: Task) -> tuple[list[End], list[RunSpec]]:
    """The runs that had a result before their worker died, and those that had none.

    Raises:
        Gone: the folder is no more, or another one: it does not know of these runs.
    """
    from bnbench.worker import End

    statuses = store.statuses(task.folder)
    specs = task.specs
    if not all(run_id(spec) in statuses for spec in specs):
        raise Gone(task.folder)
    ended = [End(spec, statuses[run_id(spec)]) for spec in specs if statuses[run_id(spec)] in store.RESULTS]
    return ended, [spec for spec in specs if statuses[run_id(spec)] not in store.RESULTS]


def _halves(task: Task, left: Sequence[RunSpec]) -> list[Task]:
    """Two smaller stacks, under names of their own: the rows of the attempt that failed stay apart."""
    from bnbench.worker import halves

    return [
        replace(
            task,
            specs=part.specs,
            execution=replace(task.execution, engine=part.engine),
            session=_session(),
            checkpoint="",
        )
        for part in halves(_attempt(task), left)
    ]


def _attempt(task: Task) -> Attempt:
    """As which a worker begins with a task."""
    from bnbench.worker import Attempt

    return Attempt(task.specs, task.execution.engine, task.checkpoint)


def _record_death(task: Task, lost: Sequence[RunSpec], error: str) -> list[End]:
    """Write the failure of runs whose worker could not, and what is known of it under logs/."""
    from bnbench.worker import End

    row = {"status": "failed", "error": error, "finished_at": timestamp()}
    pulses = store.pulses(task.folder)
    with store.Segment(task.folder, f"{task.session}-session") as segment:
        for spec in lost:
            pulse = pulses.get(run_id(spec))
            reached = f"after its evaluation at step {pulse.step}" if pulse and pulse.step else "before any evaluation"
            segment.log(run_id(spec), DEATH.format(error=error, run=run_id(spec), arm=arm(spec), spec=spec, at=reached))
        segment.finish([{"run_id": run_id(spec), **row} for spec in lost])
    return [End(spec, "failed", error) for spec in lost]
