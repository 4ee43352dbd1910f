"""Carrying out a plan: pending runs go to the workers, their rows into the store."""

from __future__ import annotations

import uuid
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import torch

from bnbench import store
from bnbench.engine import Record
from bnbench.environment import cores, environment, git_commit, timestamp
from bnbench.errors import InvalidRequest, nearest
from bnbench.launch import LAUNCHERS
from bnbench.session.planning import Plan
from bnbench.session.progress import Progress, Summary
from bnbench.spec import run_id
from bnbench.worker import Task, work


def execute(
    plan: Plan,
    *,
    launcher: str = "local",
    jobs: int | None = None,
    fail_fast: bool = False,
    watch: Callable[[Progress], None] = lambda progress: None,
) -> Summary:
    """Train what is pending and join the results. A finished plan changes nothing.

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
    if len(plan.finished) == len(plan.specs):
        return Summary(plan.folder, {identity: plan.known[identity] for identity in plan.specs}, 0)
    workers = worker_count(plan, jobs)
    with _entered(plan):
        known = store.statuses(plan.folder)  # another program may have finished some since the plan was made
        tasks = [task for task in _tasks(plan, workers) if known[run_id(task.spec)] not in store.RESULTS]
        ends = LAUNCHERS["inline" if workers == 1 and jobs is None else launcher](work, tasks, workers)
        ended = Counter({"impossible": len(plan.impossible)} if plan.impossible else {})
        total = len(tasks) + len(plan.impossible)
        interrupted = False
        watch(Progress(total, min(workers, len(tasks)), dict(ended)))
        try:
            for done in ends:
                task = tasks[done.index]
                status, error = done.value or _record_death(task, done.error or "")
                ended[status] += 1
                watch(Progress(total, min(workers, total - ended.total()), dict(ended), task.spec, status, error))
                if fail_fast and status in store.FAILURES:
                    break
        except KeyboardInterrupt:
            interrupted = True
        finally:
            ends.close()
    statuses = store.statuses(plan.folder)
    asked = {identity: statuses[identity] for identity in plan.specs}
    return Summary(plan.folder, asked, ended.total() - len(plan.impossible), interrupted)


def execute_run(plan: Plan, watch: Callable[[Record], None]) -> Summary:
    """Train the one run of a plan in this process and show each record to ``watch``."""
    with _entered(plan):
        (task,) = _tasks(plan, 1)
        try:
            status, _ = work(task, watch)
        except KeyboardInterrupt:
            status = "interrupted"
    return Summary(plan.folder, {run_id(task.spec): status}, 1, status == "interrupted")


def worker_count(plan: Plan, jobs: int | None = None) -> int:
    """How many worker processes train a plan: one per core or GPU unless told, and no more than there are runs."""
    default = torch.cuda.device_count() if plan.device.type == "cuda" else cores()
    return max(1, min(jobs or default, len(plan.pending)))


@contextmanager
def _entered(plan: Plan) -> Iterator[None]:
    """Hold the sweep's folder with the plan entered into its tables; join what was trained at the end."""
    with store.locked(plan.folder):
        store.join(plan.folder)
        store.plan(plan.folder, plan.request.specs, plan.impossible, _invocation(plan))
        try:
            yield
        finally:
            store.join(plan.folder)


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
        for index, spec in enumerate(plan.pending.values())
    ]


def _record_death(task: Task, error: str) -> tuple[str, str]:
    """Write the failure of a run whose worker could not."""
    with store.Segment(task.folder, f"{task.session}-session") as segment:
        segment.finish([{"run_id": run_id(task.spec), "status": "failed", "error": error, "finished_at": timestamp()}])
    return "failed", error


def _invocation(plan: Plan) -> dict[str, Any]:
    """What was asked for, and where: an entry of sweep.yaml."""
    request = plan.request
    factors = {
        key: [list(value) if isinstance(value, tuple) else value for value in values]
        for key, values in request.factors.items()
    }
    return {
        **{key: list(texts) for key, texts in request.typed.items()},
        "factors": factors,
        "runs": len(plan.specs),
        "device": str(plan.device),
        "plugin": str(plan.plugin) if plan.plugin else None,
        **environment(),
    }
