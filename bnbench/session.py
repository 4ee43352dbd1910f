"""A sweep from request to results: what is asked for, less what is finished, goes to the workers and into the store."""

from __future__ import annotations

import uuid
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import torch

from bnbench import store
from bnbench.components import Components, components
from bnbench.config import Request, compose_request, read_spec
from bnbench.data import Data
from bnbench.engine import Record, prepare_process, resolve_device
from bnbench.environment import cores, environment, git_commit, timestamp
from bnbench.errors import InvalidRequest, nearest
from bnbench.launch import LAUNCHERS
from bnbench.plan import estimate_seconds, obstacles
from bnbench.spec import RunSpec, run_id
from bnbench.worker import Task, work

DEFAULT_NAME = "runs"


@dataclass(frozen=True)
class Plan:
    """A checked request, held against what its results folder has already. Making one writes nothing.

    Attributes:
        folder: the sweep's folder.
        known: by run_id, the status of every run in the folder.
        pending: the specs to train now.
        impossible: by run_id, why a spec cannot be trained.
    """

    request: Request
    folder: Path
    components: Components
    plugin: Path | None
    data: Path
    device: torch.device
    known: Mapping[str, str]
    pending: tuple[RunSpec, ...]
    impossible: Mapping[str, str]

    @property
    def finished(self) -> tuple[RunSpec, ...]:
        """The specs that have a result already."""
        return tuple(spec for spec in self.request.specs if self.known.get(run_id(spec)) in store.RESULTS)

    @property
    def held_back(self) -> tuple[RunSpec, ...]:
        """The specs that failed earlier and are not tried again."""
        left = {*self.pending, *self.finished}
        return tuple(spec for spec in self.request.specs if spec not in left and run_id(spec) not in self.impossible)

    @property
    def others(self) -> int:
        """How many runs the folder has that were not asked for now."""
        return len(set(self.known) - {run_id(spec) for spec in self.request.specs})

    def estimate(self) -> float:
        """Seconds that one worker would train, from a few measured steps."""
        return estimate_seconds(self.pending, self.components, self.load, self.device) if self.pending else 0.0

    def load(self, spec: RunSpec) -> Data:
        """The data of a spec."""
        return self.components.load(spec, self.data)


@dataclass(frozen=True)
class Progress:
    """How far a sweep is: runs ended, by status, of ``total``; and the run that ended last."""

    total: int
    running: int
    ended: Mapping[str, int]
    last: RunSpec | None = None
    last_status: str = ""

    @property
    def done(self) -> int:
        """Runs that ended in any way."""
        return sum(self.ended.values())

    @property
    def failed(self) -> int:
        """Runs that ended without a result."""
        return sum(count for status, count in self.ended.items() if status in store.FAILURES)


@dataclass(frozen=True)
class Summary:
    """What a sweep came to.

    Attributes:
        folder: where the results are.
        statuses: by run_id, for every run that was asked for.
        trained: how many runs were trained now.
        interrupted: whether the user stopped it.
    """

    folder: Path
    statuses: Mapping[str, str]
    trained: int
    interrupted: bool = False
    counts: Mapping[str, int] = field(init=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "counts", dict(Counter(self.statuses.values())))

    @property
    def failures(self) -> int:
        """Runs without a result."""
        return sum(count for status, count in self.counts.items() if status in store.FAILURES)


def plan_sweep(
    overrides: Sequence[str],
    name: str,
    *,
    results: Path,
    data: Path,
    zips: Sequence[str] = (),
    excludes: Sequence[str] = (),
    plugin: Path | None = None,
    retry_failed: bool = False,
) -> Plan:
    """Compose and check a sweep; writes nothing.

    Raises:
        BnbenchError: something is wrong with the request; the message says all of it.
    """
    parts = components(_absolute(plugin))
    request = compose_request(overrides, parts, zips, excludes)
    return _plan(request, parts, name, results, data, _absolute(plugin), retry_failed)


def plan_run(
    overrides: Sequence[str],
    name: str,
    *,
    results: Path,
    data: Path,
    plugin: Path | None = None,
    source: Path | None = None,
) -> Plan:
    """Compose and check one run, from overrides or from the spec file ``source``; writes nothing.

    The run is trained also if the folder has its result: asking for a run means running it.

    Raises:
        BnbenchError: as :func:`plan_sweep`, and for overrides that make more than one run.
    """
    parts = components(_absolute(plugin))
    if source is None:
        request = compose_request(overrides, parts)
    else:
        devices = [override for override in overrides if override.startswith("device=")]
        if len(devices) != len(overrides):
            raise InvalidRequest(["--from repeats a run as it was; only device=... can be set beside it"])
        request = Request((read_spec(source, parts),), {}, compose_request(devices, parts).device)
    if len(request.specs) != 1 and not request.problems:
        factors = ", ".join(request.factors)
        raise InvalidRequest(
            [f"these overrides make {len(request.specs)} runs ({factors}); use bnbench sweep --name NAME"]
        )
    return _plan(request, parts, name, results, data, _absolute(plugin), retry_failed=True, again=True)


def execute(
    plan: Plan,
    *,
    launcher: str = "local",
    jobs: int | None = None,
    fail_fast: bool = False,
    watch: Callable[[Progress], None] = lambda progress: None,
) -> Summary:
    """Train what is pending and join the results.

    Args:
        jobs: worker processes; by default one per processor core, or one per GPU.
        fail_fast: stop at the first failure.
        watch: is shown the progress at the start and at the end of each run.

    Raises:
        BnbenchError: the folder is in use.
    """
    if launcher not in LAUNCHERS:
        raise InvalidRequest([f"launcher={launcher}: unknown; {nearest(launcher, list(LAUNCHERS))}"])
    if jobs is not None and jobs < 1:
        raise InvalidRequest([f"jobs={jobs}: must be at least 1"])
    asked = [run_id(spec) for spec in plan.request.specs]
    if not plan.pending and all(plan.known.get(identity) in store.RESULTS for identity in asked):
        return Summary(plan.folder, {identity: plan.known[identity] for identity in asked}, 0)
    workers = worker_count(plan, jobs)
    if workers == 1 and jobs is None:
        launcher = "inline"
    with store.locked(plan.folder):
        store.join(plan.folder)
        store.plan(plan.folder, plan.request.specs, plan.impossible, _invocation(plan))
        known = store.statuses(plan.folder)  # another program may have finished some since the plan was made
        tasks = [task for task in _tasks(plan, workers) if known[run_id(task.spec)] not in store.RESULTS]
        ended = Counter({"impossible": len(plan.impossible)} if plan.impossible else {})
        total = len(tasks) + len(plan.impossible)
        interrupted = False
        watch(Progress(total, min(workers, len(tasks)), dict(ended)))
        ends = LAUNCHERS[launcher](work, tasks, workers)
        try:
            for done in ends:
                spec = tasks[done.index].spec
                status = done.value or _record_death(tasks[done.index], done.error or "")
                ended[status] += 1
                left = total - sum(ended.values())
                watch(Progress(total, min(workers, left), dict(ended), spec, status))
                if fail_fast and status in store.FAILURES:
                    break
        except KeyboardInterrupt:
            interrupted = True
        finally:
            ends.close()
            store.join(plan.folder)
        statuses = store.statuses(plan.folder)
    return Summary(
        plan.folder,
        {identity: statuses[identity] for identity in asked},
        sum(ended.values()) - len(plan.impossible),
        interrupted,
    )


def execute_run(plan: Plan, watch: Callable[[Record], None]) -> Summary:
    """Train the one run of a plan in this process and show each record to ``watch``."""
    with store.locked(plan.folder):
        store.join(plan.folder)
        store.plan(plan.folder, plan.request.specs, plan.impossible, _invocation(plan))
        interrupted = False
        (task,) = _tasks(plan, 1)
        try:
            status = work(task, watch)
        except KeyboardInterrupt:
            status, interrupted = "interrupted", True
        finally:
            store.join(plan.folder)
        return Summary(plan.folder, {run_id(task.spec): status}, 1, interrupted)


def _plan(
    request: Request,
    parts: Components,
    name: str,
    results: Path,
    data: Path,
    plugin: Path | None,
    retry_failed: bool,
    again: bool = False,
) -> Plan:
    if not name or name.startswith(".") or Path(name).name != name:
        raise InvalidRequest([f"name={name!r}: must be a plain folder name such as small-batch"])
    folder = results / name
    store.check_writable(folder)
    prepare_process()
    impossible = obstacles(request.specs, parts, lambda spec: parts.load(spec, data))
    if request.problems or len(impossible) == len(request.specs):
        raise InvalidRequest([*request.problems, *impossible.values()])
    device = resolve_device(request.device)
    known = store.statuses(folder)
    skip = set() if again else store.RESULTS if retry_failed else store.RESULTS | {"failed", "out_of_memory"}
    pending = [spec for spec in request.specs if run_id(spec) not in impossible and known.get(run_id(spec)) not in skip]
    return Plan(request, folder, parts, plugin, data.absolute(), device, known, tuple(pending), impossible)


def _absolute(plugin: Path | None) -> Path | None:
    return plugin.absolute() if plugin is not None else None


def worker_count(plan: Plan, jobs: int | None = None) -> int:
    """How many worker processes train a plan: one per core or GPU unless told, and no more than there are runs."""
    default = torch.cuda.device_count() if plan.device.type == "cuda" else cores()
    return max(1, min(jobs or default, len(plan.pending)))


def _tasks(plan: Plan, workers: int) -> list[Task]:
    """One task per pending run; without a GPU chosen by index, GPUs take turns."""
    session, commit = uuid.uuid4().hex[:12], git_commit()
    gpus = torch.cuda.device_count() if plan.device.type == "cuda" and ":" not in plan.request.device else 0
    return [
        Task(
            spec=spec,
            folder=plan.folder.absolute(),
            session=session,
            data=plan.data,
            plugin=plan.plugin,
            device=f"cuda:{index % min(gpus, workers)}" if gpus else str(plan.device),
            git_commit=commit,
        )
        for index, spec in enumerate(plan.pending)
    ]


def _record_death(task: Task, error: str) -> str:
    """Write the failure of a run whose worker could not."""
    with store.Segment(task.folder, f"{task.session}-session") as segment:
        segment.finish([{"run_id": run_id(task.spec), "status": "failed", "error": error, "finished_at": timestamp()}])
    return "failed"


def _invocation(plan: Plan) -> dict[str, Any]:
    request = plan.request
    return {
        **{key: list(texts) for key, texts in request.typed.items()},
        "factors": {key: [list(value) if isinstance(value, tuple) else value for value in values]
                    for key, values in request.factors.items()},
        "runs": len(request.specs),
        "device": str(plan.device),
        "plugin": str(plan.plugin) if plan.plugin else None,
        **environment(),
    }  # fmt: skip
