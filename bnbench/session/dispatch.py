"""Tasks go to the workers, and what came of each run comes back, whatever becomes of its worker."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Generator, Hashable, Mapping, Sequence
from contextlib import closing
from dataclasses import dataclass, replace
from functools import partial

from bnbench import store
from bnbench.environment import timestamp
from bnbench.errors import Gone
from bnbench.imports import imported_whole
from bnbench.launch import STARTING_SECONDS, Done, Launch, WatchfulLaunch, awake_seconds
from bnbench.notices import notice
from bnbench.resumption import tasks_left
from bnbench.spec import RunSpec, arm, run_id
from bnbench.tasks import Attempt, End, Task, halves
from bnbench.text import duration, plural

SILENT = "nothing came from it for {limit}, which is as long as a run may train (--timeout)"
DEATH = """{error}
No traceback was left. The worker trained this run alone, and {how} {at}:
{run}: {arm} batch_size={spec.batch_size} lr={spec.lr:g} seed={spec.seed}
"""
"""What is known of a run whose worker died."""


GIVEN_UP = "{runs} stopped at a checkpoint: {error}; the same command goes on"
MOST_LOST = 3
"""Machines that may be lost with a run before it is to blame."""

Ready = Callable[["Task"], "Task"]
"""Gives a task as it is to be trained if it begins now."""


def _as_it_is(task: Task) -> Task:
    return task


@dataclass(frozen=True)
class Means:
    """What tasks are carried out by, and for whom.

    Attributes:
        launch: runs them.
        devices: one per worker, which has it as long as it lives.
        is_away: workers have folders of their own, and what they write there is put down in the sweep's.
        watchful: ends workers from which nothing comes, and else as ``launch``; None where none is to be ended.
        hold: of the sweep.
    """

    launch: Launch
    devices: Sequence[str]
    is_away: bool = False
    watchful: WatchfulLaunch | None = None
    hold: store.Hold = store.NO_LEASE


def dispatch(
    tasks: Sequence[Task], means: Means, ready: Ready = _as_it_is, left: Sequence[Task] = ()
) -> Generator[list[End], None, None]:
    """How the runs of each task ended, as they end.

    A stack whose worker died, or spoiled its process, is halved and tried again once the others are through, as
    :func:`work` does with a stack that raises: a run that ends its process fails alone. One whose machine was lost is
    tried again as it is, from its checkpoint if there is one. One from which nothing has come for as long as a run may
    train is ended, and halved likewise. One that was interrupted as often as it may be has no end where it has a
    checkpoint, for another program to go on.

    Args:
        ready: is asked when a worker takes a task, but for one that has failed before.
        left: those of the tasks that an earlier program has begun; one that was interrupted too often goes on here.

    Raises:
        BnbenchError: as the launcher does.
        OSError: there is no room for what the runs write; those that are not finished go on another time.
        TakenOver: a task could not be carried out, and another program has the sweep.
    """
    function, launch = _carrier(tasks, means) if means.is_away else _worker(means.launch)
    losses: Counter[str] = Counter()
    while tasks:
        again: list[Task] = []
        begun: dict[int, Task] = {}
        start = launch if means.watchful is None else partial(means.watchful, waited=_Watch(tasks))
        with closing(start(function, tasks, len(means.devices), _kind, _placed(means, ready, begun))) as told:
            for done in told:
                if done.no_room is not None:
                    raise done.no_room
                task = tasks[done.index]
                is_left = any(task is one for one in left)
                if done.error is not None:
                    means.hold()
                its = replace(begun.get(id(task), task), token=means.hold.token)
                ends, more = _outcome(its, done, losses, is_left)
                again += more
                if ends:
                    yield ends
        tasks, ready = again, _as_it_is


def _outcome(task: Task, done: Done, losses: Counter[str], is_left: bool) -> tuple[list[End], list[Task]]:
    """The ends of the runs of a task, and the tasks by which those that have none are tried again.

    Args:
        losses: by run_id, how many machines were lost with it.
        is_left: an earlier program has begun it.
    """
    ends, left = (done.value, _missing(task, done.value)) if done.error is None else _finished(task)
    if not left:
        return ends, []
    losses.update(run_id(spec) for spec in left if done.is_lost)
    if done.is_lost and all(losses[run_id(spec)] < MOST_LOST for spec in left):
        more = tasks_left(task, left, {run_id(end.spec): end.status for end in ends})
        return ends, [replace(one, session=store.attempt_name(task.session)) for one in more]
    more = _from_checkpoints(task, ends, left) if done.is_given_up else []
    if more:
        if not is_left:
            count = plural(sum(len(one.specs) for one in more), "run")
            notice(GIVEN_UP.format(runs=count, error=done.error))
        going_on = {spec for one in more for spec in one.specs}
        ends, again = _tried_again(task, done, ends, [spec for spec in left if spec not in going_on])
        return ends, [*(more if is_left else ()), *again]
    return _tried_again(task, done, ends, left)


def _from_checkpoints(task: Task, ends: Sequence[End], left: Sequence[RunSpec]) -> list[Task]:
    """The tasks by which runs that are left go on, as far as they have checkpoints."""
    more = tasks_left(task, left, {run_id(end.spec): end.status for end in ends})
    return [replace(one, session=store.attempt_name(task.session)) for one in more if one.checkpoint]


def _tried_again(task: Task, done: Done, ends: list[End], left: Sequence[RunSpec]) -> tuple[list[End], list[Task]]:
    """The same for runs that do not go on from a checkpoint."""
    if not left:
        return ends, []
    store.forget_checkpoints(task.checkpoint_place, map(run_id, left))
    if done.is_late and len(left) == 1:
        return [*ends, *_record_end(task, left, "timed_out", SILENT.format(limit=duration(task.timeout)))], []
    if done.error is not None and len(task.specs) == 1 and _attempt(task).is_alone:
        return [*ends, *_record_end(task, left, "failed", done.error)], []
    return ends, _halves(task, left)


def _worker(launch: Launch) -> tuple[Callable[..., list[End]], Launch]:
    """The function that trains in the sweep's folder, and what launches it."""
    imported_whole("bnbench.worker")
    from bnbench.worker import work

    return work, launch


def _carrier(tasks: Sequence[Task], means: Means) -> tuple[Callable[..., list[End]], Launch]:
    """The function that trains in a folder elsewhere, and what launches it and puts down what it tells."""
    imported_whole("bnbench.remote")
    from bnbench.remote import work_away

    folder, token = tasks[0].folder, means.hold.token
    return work_away, partial(means.launch, heard=lambda growth: store.put_down(folder, growth, token))


def _placed(means: Means, ready: Ready, begun: dict[int, Task]) -> Callable[[Task, int], Task]:
    """A function that gives a task as the worker with a place has it.

    A checkpoint travels with its task to a worker that does not see it.

    Args:
        begun: takes that, by the task's ``id``, but for the luggage.
    """

    def placed(task: Task, place: int) -> Task:
        there = begun[id(task)] = replace(ready(task), device=means.devices[place], token=means.hold.token)
        if not (means.is_away and there.checkpoint and there.checkpoints is None):
            return there
        return replace(there, luggage=store.luggage(there.folder, there.checkpoint))

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
    rows, specs = store.checked_rows(task.folder), task.specs
    if not all(run_id(spec) in rows for spec in specs):
        raise Gone(task.folder)
    over = {spec for spec in specs if store.is_over(rows[run_id(spec)], task.until)}
    ended = [End(spec, rows[run_id(spec)]["status"]) for spec in specs if spec in over]
    return ended, [spec for spec in specs if spec not in over]


def _halves(task: Task, left: Sequence[RunSpec]) -> list[Task]:
    """Two smaller stacks, under names of their own: the rows of the attempt that failed stay apart."""
    return [
        replace(
            task,
            specs=part.specs,
            execution=replace(task.execution, engine=part.engine),
            session=store.attempt_name(task.session),
            checkpoint="",
        )
        for part in halves(_attempt(task), left)
    ]


def _attempt(task: Task) -> Attempt:
    """As which a worker begins with a task."""
    return Attempt(task.specs, task.execution.engine, task.checkpoint)


class _Watch:
    """Knows the tasks whose runs have given no sign of life, since one of them began, for as long as one may train.

    A sign is a file that has changed since the look before, by whatever clock its machine has.

    Args:
        tasks: that begin now; what was written before is no sign of theirs.
    """

    def __init__(self, tasks: Sequence[Task]) -> None:
        self._tasks, self._segments = tasks, store.Segments(tasks[0].folder)
        self._seen = store.last_signs(self._segments)
        self._signs: dict[str, float] = {}

    def __call__(self, seconds_in_hand: Mapping[int, float]) -> list[int]:
        """The tasks to be ended, of some by their index, from the seconds that each has taken."""
        now = awake_seconds()
        for name, sign in store.last_signs(self._segments).items():
            if sign != self._seen.get(name):
                self._seen[name], self._signs[name] = sign, now

        def silence(index: int, seconds: float) -> float:
            names = map(run_id, self._tasks[index].specs)
            since = [now - self._signs[name] for name in names if name in self._signs]
            return min([one for one in since if one < seconds], default=seconds - STARTING_SECONDS)

        return [
            index for index, seconds in seconds_in_hand.items() if silence(index, seconds) > self._tasks[index].timeout
        ]


def _record_end(task: Task, lost: Sequence[RunSpec], status: str, error: str) -> list[End]:
    """Write the failure of runs whose worker could not, and what is known of it under logs/."""
    row = {"status": status, "error": error, "finished_at": timestamp()}
    pulses, how = store.pulses(store.Segments(task.folder)), "died" if status == "failed" else "was ended"
    with store.Segment(task.folder, f"{store.attempt_name(task.session)}-session", token=task.token) as segment:
        for spec in lost:
            pulse = pulses.get(run_id(spec))
            reached = f"after its evaluation at step {pulse.step}" if pulse and pulse.step else "before any evaluation"
            segment.log(
                run_id(spec), DEATH.format(error=error, how=how, run=run_id(spec), arm=arm(spec), spec=spec, at=reached)
            )
        segment.finish([{"run_id": run_id(spec), **row} for spec in lost])
    return [End(spec, status, error) for spec in lost]
