"""Runs that go on from checkpoints, which an interrupted program, machine or job has left."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import cast

from bnbench import store
from bnbench.plan import Execution
from bnbench.plan.execution import Engine
from bnbench.spec import RunSpec, run_id
from bnbench.store import Checkpoint
from bnbench.tasks import Task

UNUSED = "trained from the beginning, as a checkpoint is not used: {reason}"


@dataclass(frozen=True)
class Resumption:
    """What becomes of the checkpoints in a folder.

    Attributes:
        checkpoints: from which their runs go on, together as they were; without those that have a result.
        unused: by run_id, why a run that had one begins anew.
    """

    checkpoints: Sequence[Checkpoint] = ()
    unused: Mapping[str, str] = field(default_factory=dict)

    @property
    def runs(self) -> set[str]:
        """The run_ids that go on."""
        return {identity for checkpoint in self.checkpoints for identity in checkpoint.runs}

    def notes(self, identities: Collection[str]) -> tuple[str, ...]:
        """Lines for the logs of runs that begin."""
        reasons = dict.fromkeys(reason for identity, reason in self.unused.items() if identity in identities)
        return tuple(UNUSED.format(reason=reason) for reason in reasons)


def resumption(folder: Path, pending: Collection[str], device: str, statuses: Mapping[str, str]) -> Resumption:
    """Find the checkpoints from which pending runs go on; those that are of no use any more are removed.

    Runs go on without those of their stack that have a result, or have stopped and do not go on.

    The caller holds the sweep, or alone trains these runs.

    Args:
        pending: run_ids.
        device: the type of the device that will train them.
        statuses: by run_id, as far as they are known.
    """
    found: list[Checkpoint] = []
    unused: dict[str, str] = {}
    free = set(pending)
    for name, checkpoint in store.list_checkpoints(folder):
        if checkpoint is None:
            unused[name] = "it is no checkpoint, or was damaged"
        else:
            left = tuple(run for run in checkpoint.runs if run in free or statuses.get(run) not in store.RESULTS)
            if left and free.isdisjoint(left):
                continue  # of runs that are not asked for now
            left = tuple(run for run in left if run in free or statuses.get(run) != store.STOPPED)
            if reason := _reason(checkpoint, left, free, device):
                unused |= dict.fromkeys(left, reason)
            elif left:
                found.append(replace(checkpoint, runs=left))
                free -= set(left)
                continue
        store.remove_checkpoint(folder, name)
    return Resumption(found, unused)


def _reason(checkpoint: Checkpoint, left: Sequence[str], free: Collection[str], device: str) -> str:
    """Why those runs of a checkpoint that have no result cannot go on from it; empty if they can."""
    if reason := store.unfitness(checkpoint, device):
        return reason
    if checkpoint.engine not in ("reference", "stacked", "native"):
        return f"it is of engine {checkpoint.engine!r:.40}"
    if not set(left) <= set(free):
        return "it is of a stack with other runs, which are not trained now"
    return ""


def going_on_from(task: Task, specs: Mapping[str, RunSpec], checkpoint: Checkpoint) -> Task:
    """The task by which the runs of a checkpoint go on.

    Args:
        task: has all but the runs.
        specs: by run_id.
    """
    runs = tuple(specs[identity] for identity in checkpoint.runs)
    execution = Execution(cast(Engine, checkpoint.engine), len(runs))
    return replace(task, specs=runs, execution=execution, checkpoint=checkpoint.name)


def tasks_left(task: Task, left: Sequence[RunSpec], statuses: Mapping[str, str]) -> list[Task]:
    """The tasks by which the runs that an interrupted one has left are trained: from checkpoints as far as there are.

    Args:
        statuses: by run_id, those of its other runs.
    """
    specs = {run_id(spec): spec for spec in left}
    if task.execution.engine == "interleaved":
        return [replace(task, specs=tuple(left))] if left else []
    found = resumption(task.checkpoint_place, specs, task.device.partition(":")[0], statuses)
    begun = tuple(spec for identity, spec in specs.items() if identity not in found.runs)
    notes = (*task.notes, *found.notes([run_id(spec) for spec in begun]))
    tasks = [going_on_from(task, specs, checkpoint) for checkpoint in found.checkpoints]
    return [*tasks, *([replace(task, specs=begun, checkpoint="", notes=notes)] if begun else [])]
