"""Carrying out a plan: pending runs go to the workers, their rows into the store."""

from __future__ import annotations

from collections.abc import Callable, Generator, Iterator, Mapping, Sequence
from contextlib import closing, contextmanager
from dataclasses import replace
from functools import partial
from typing import TYPE_CHECKING, Any

from bnbench import store
from bnbench.devices import gpus
from bnbench.environment import environment
from bnbench.imports import imported_whole
from bnbench.isolation import Waits
from bnbench.launch import LAUNCHERS, Site, local
from bnbench.notices import followed, notice, step
from bnbench.plan import Division, Resources, stacks_of
from bnbench.plan.grouping import Stack
from bnbench.plan.readiness import is_worth_waiting, niceness
from bnbench.resumption import Resumption, resumption
from bnbench.session.dispatch import Means, Ready, dispatch
from bnbench.session.monitor import Silent, watched
from bnbench.session.options import TrainingOptions
from bnbench.session.plan import Plan
from bnbench.session.preparation import Preparation
from bnbench.session.progress import Progress, Summary
from bnbench.session.progress_tracker import ProgressTracker
from bnbench.session.survey import check_machines
from bnbench.session.tasks import tasks_that_begin, tasks_that_go_on
from bnbench.session.weights import tell_of_missing
from bnbench.spec import RunSpec, by_stack_key, run_id, stack_key
from bnbench.tasks import End, Task
from bnbench.text import plural

if TYPE_CHECKING:
    from bnbench.training import Record


SINGLE = TrainingOptions(jobs=1)
"""The options of a run that is trained by itself."""


def execute(plan: Plan, options: TrainingOptions, watch: Callable[[Progress], None] = lambda progress: None) -> Summary:
    """Train what is pending and join the results. A finished plan changes nothing.

    Args:
        watch: is shown the progress at the start, at the end of each run, and each second, from another thread.

    Raises:
        BnbenchError: the folder is in use, or gone before all was trained, or a GPU takes no more from this process.
    """
    options.check()
    if len(plan.finished) + len(plan.stopped) == len(plan.specs):
        with store.locked(plan.folder) as check_there:
            # a program that was killed may have left finished rows in segments
            store.join(plan.folder, check_there, adds=False)
            store.renew(plan.folder, plan.request.specs, check_there)
            store.restore_specs(plan.folder, plan.request.specs)
        return Summary(plan.folder, {identity: plan.known[identity] for identity in plan.specs}, 0)
    with _opened(plan, options) as (there, site), _entered(plan) as hold:
        known = store.statuses(plan.folder)  # another program may have finished some since the plan was made
        pending = {name: spec for name, spec in plan.pending.items() if known[name] not in store.RESULTS}
        shown = ProgressTracker(plan.folder, pending, len(plan.impossible), watch, plan.until)
        shown.look({})
        with watched(plan.folder, pending, shown.look, hold):
            ended, interrupted = _train(plan, pending, there, site, shown, hold)
    statuses = store.statuses(plan.folder)
    tell_of_missing(plan, statuses)
    begun = {run for _, checkpoint in store.list_checkpoints(plan.folder) if checkpoint for run in checkpoint.runs}
    begun &= {identity for identity, status in statuses.items() if status == "planned"}  # ended before they wrote a row
    asked = {identity: "interrupted" if identity in begun else statuses[identity] for identity in plan.specs}
    left = sum(launcher.left(plan.folder) for launcher in LAUNCHERS.values())
    return Summary(plan.folder, asked, ended, interrupted, left)


@contextmanager
def _opened(plan: Plan, options: TrainingOptions) -> Iterator[tuple[TrainingOptions, Site]]:
    """A site whose machines are fit for the runs; see :meth:`TrainingOptions.opened`."""
    with options.opened(plan) as (there, site):
        yield there, check_machines(plan, site)


def _train(
    plan: Plan,
    pending: Mapping[str, RunSpec],
    options: TrainingOptions,
    site: Site,
    shown: ProgressTracker,
    hold: store.Hold,
) -> tuple[int, bool]:
    """Train what is pending; how many runs ended, and whether the user stopped it."""
    resources = options.resources(plan)
    there = {run_id(spec) for task in site.tasks for spec in task.specs}
    fresh = {name: spec for name, spec in pending.items() if name not in there}
    going_on = _resumption(plan, fresh)
    fresh = {name: spec for name, spec in fresh.items() if name not in going_on.runs}
    ended = 0
    try:
        with _grouped(plan, fresh, resources, shown) as (grouped, found, ready):
            stacked = [[fresh[name] for name in stack] for stack in grouped]
            begun = tasks_that_begin(plan, options, stacked, found.executions, going_on)
            tasks = [*site.tasks, *tasks_that_go_on(plan, options, going_on), *begun]
            shown.begin(tasks, resources.side_by_side(_fewest_devices(tasks)), found.sizes)
            with closing(_dispatched(plan, tasks, options, resources, site, ready, hold)) as told:
                for ends in told:
                    for end in (end for end in ends if run_id(end.spec) in pending):
                        ended += 1
                        shown.end(end)
                    if options.fail_fast and any(end.status in store.FAILURES for end in ends):
                        break
    except KeyboardInterrupt:
        return ended, True
    return ended, False


def _dispatched(
    plan: Plan,
    tasks: Sequence[Task],
    options: TrainingOptions,
    resources: Resources,
    site: Site,
    ready: Ready,
    hold: store.Hold,
) -> Generator[list[End], None, None]:
    """See :func:`dispatch`; runs on more devices come after those on fewer, so that all that train at a time fit."""
    by_devices: dict[int, list[Task]] = {}
    for task in tasks:
        by_devices.setdefault(task.specs[0].devices, []).append(task)
    for devices, group in sorted(by_devices.items()):
        places = _places(plan, resources.side_by_side(devices), devices, options.is_away)
        means = Means(site.launch, places, options.is_away, options.watchful(plan), hold)
        yield from dispatch(group, means, ready, site.tasks)


@contextmanager
def _grouped(
    plan: Plan, pending: Mapping[str, RunSpec], resources: Resources, shown: ProgressTracker
) -> Iterator[tuple[Sequence[Stack], Division, Ready]]:
    """The stacks of pending runs, or the groups in which they are trained in turns; see :func:`_prepared`."""
    if (groups := _interleaved(plan, pending)) or not pending:
        yield groups, Division({}, {}), lambda task: task
        return
    with followed(shown.prepare), _prepared(plan, pending, resources, shown.wait) as prepared:
        yield prepared


@contextmanager
def _prepared(
    plan: Plan, pending: Mapping[str, RunSpec], resources: Resources, waits: Waits
) -> Iterator[tuple[Sequence[Stack], Division, Ready]]:
    """The stacks of pending runs, how they are trained, and what a task becomes by code that is compiled meanwhile.

    The lanes that are found are entered in sweep.yaml, but for those of torch where compiled code is not ready.
    """
    found = _divided(plan, pending, resources, waits)
    planned = stacks_of(pending, found, resources)
    late = {name: spec for name, spec in pending.items() if found.executions[stack_key(spec)].is_unready}
    question = plan.division(replace(resources, compiles=True))
    with closing(Preparation(plan, question, late, niceness(planned, pending, found))) as preparation:
        if is_worth_waiting(planned, pending, found):
            step("compiling")
            found.add(preparation.wait())
            planned = stacks_of(pending, found, resources)
        _enter_lanes(plan, pending, found, resources)
        yield planned, found, preparation.current


def execute_run(
    plan: Plan,
    watch: Callable[[Record], None],
    tell: Callable[[Silent], None] = lambda silent: None,
    options: TrainingOptions = SINGLE,
) -> Summary:
    """Train the one run of a plan; show each record to ``watch``, and a long silence to ``tell``.

    It is trained in this process, unless a user's code takes part, which may end it, or a GPU, which may spoil it, or
    it is ended after some time.
    """
    imported_whole("bnbench.worker")
    from bnbench.worker import work

    with _entered(plan) as hold, watched(plan.folder, plan.pending, tell, hold):
        (identity,) = plan.pending
        try:
            with _task_of_run(plan, options) as (task, ready):
                if task.plugin is None and plan.device.type == "cpu" and not options.is_timed:
                    (end,) = work(replace(ready(task), token=hold.token), watch)
                else:
                    launch, places = partial(local, heard=watch), _places(plan, 1)
                    means = Means(launch, places, watchful=launch if options.is_timed else None, hold=hold)
                    with closing(dispatch([task], means, ready)) as told:
                        (end,) = next(told)
            status = end.status
        except KeyboardInterrupt:
            status = "interrupted"
    tell_of_missing(plan, {identity: status})
    return Summary(plan.folder, {identity: status}, 1, status == "interrupted")


@contextmanager
def _task_of_run(plan: Plan, options: TrainingOptions) -> Iterator[tuple[Task, Ready]]:
    """The task of a plan with one run, and what it becomes by code that is compiled meanwhile."""
    going_on = _resumption(plan, plan.pending)
    if going_on.checkpoints:
        yield tasks_that_go_on(plan, options, going_on)[0], lambda task: task
        return
    with _prepared(plan, plan.pending, options.resources(plan), lambda waiting: None) as (_, found, ready):
        (task,) = tasks_that_begin(plan, options, [list(plan.pending.values())], found.executions, going_on)
        yield task, ready


def _fewest_devices(tasks: Sequence[Task]) -> int:
    """Those of a run that begins first; 1 without any."""
    return min((task.specs[0].devices for task in tasks), default=1)


def _places(plan: Plan, workers: int, devices: int = 1, is_away: bool = False) -> list[str]:
    """Where each worker trains, or the first of its devices: the GPUs in use have the workers in turn.

    Elsewhere each sees only what it may use.
    """
    if is_away:
        return ["cpu" if plan.device.type == "cpu" else f"{plan.device.type}:0"] * workers
    used = [str(gpu) for gpu in gpus(plan.device)] or [str(plan.device)]
    firsts = first_devices(used, devices)
    return [firsts[place % len(firsts)] for place in range(workers)]


def first_devices(used: Sequence[str], devices: int) -> Sequence[str]:
    """The first of each so many devices that stand side by side; of the CPU, which has no number, itself."""
    return used[: len(used) - devices + 1 : devices] or used[:1]


@contextmanager
def _entered(plan: Plan) -> Iterator[store.Hold]:
    """Hold the sweep's folder with the plan entered into its tables; join what was trained at the end.

    Yields:
        as :func:`store.locked`.
    """
    with store.locked(plan.folder) as hold:
        store.join(plan.folder, hold, adds=bool(plan.pending))
        hold()
        store.enter_runs(plan.folder, plan.request.specs, plan.impossible, _invocation(plan), plan.trials, hold)
        store.restore_specs(plan.folder, plan.request.specs)
        try:
            yield hold
        finally:
            hold()
            store.join(plan.folder, hold, adds=bool(plan.pending))


def _interleaved(plan: Plan, pending: Mapping[str, RunSpec]) -> list[tuple[str, ...]]:
    """The pending runs of each group, then those of no group one by one; nothing for a plan without groups.

    A run on several devices is trained by itself.
    """
    groups = [
        tuple(name for name in group if name in pending and pending[name].devices == 1) for group in plan.interleaved
    ]
    inside = {name for group in groups for name in group}
    return [*filter(None, groups), *((name,) for name in pending if name not in inside)] if plan.interleaved else []


def _divided(plan: Plan, pending: Mapping[str, RunSpec], resources: Resources, waits: Waits) -> Division:
    """The division of the pending runs into stacks."""
    imported_whole("bnbench.training")
    from bnbench.training import release_memory

    whole = Division({}, {})
    for told in plan.divide(pending, resources, waits):
        whole.add(told.value)
    release_memory()  # of what was proved and measured
    return whole


def _resumption(plan: Plan, pending: Mapping[str, RunSpec]) -> Resumption:
    """The checkpoints from which pending runs go on: none of runs whose times are compared."""
    if plan.interleaved:
        return Resumption()
    statuses = store.statuses(plan.folder)
    found = resumption(plan.folder, pending, plan.device.type, statuses)
    if count := sum(statuses[identity] != store.STOPPED for identity in found.runs):
        verb = "goes" if count == 1 else "go"
        notice(f"{plural(count, 'run')} {verb} on from where an interrupted program came to")
    return found


def _enter_lanes(plan: Plan, pending: Mapping[str, RunSpec], found: Division, resources: Resources) -> None:
    """Enter in sweep.yaml how many runs are trained together, as far as that was found out."""
    if resources.lanes is not None:
        return
    groups = by_stack_key(pending)
    sure = {
        key: one.lanes
        for key, one in found.executions.items()
        if not one.is_unready and (one.lanes > 1 or len(groups.get(key, ())) > 1)
    }
    if lanes := {**resources.known, **sure}:
        store.update_last_entry(plan.folder, {"lanes": lanes})


def _invocation(plan: Plan) -> dict[str, Any]:
    """What was asked for, and where: an entry of sweep.yaml."""
    request = plan.request
    factors = {
        key: [list(value) if isinstance(value, tuple) else value for value in values]
        for key, values in request.factors.items()
    }
    return {
        **plan.asked,
        "factors": factors,
        "runs": len(plan.specs),
        "plugin": str(plan.plugin) if plan.plugin else None,
        **environment(),
    }
