"""The tasks of a plan: stacks that begin, and those that go on from checkpoints."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace

from bnbench import store
from bnbench.environment import git_commit
from bnbench.plan import ALONE, Execution
from bnbench.resumption import Resumption, going_on_from
from bnbench.session.options import TrainingOptions
from bnbench.session.plan import Plan
from bnbench.spec import RunSpec, run_id, stack_key
from bnbench.tasks import Task


def tasks_that_begin(
    plan: Plan,
    options: TrainingOptions,
    stacked: Sequence[Sequence[RunSpec]],
    executions: Mapping[str, Execution],
    going_on: Resumption,
) -> list[Task]:
    """One task per stack.

    Args:
        executions: by stack key.
        going_on: why some runs do not go on from checkpoints.
    """
    begin = _first(plan, options)
    default = Execution("interleaved") if plan.interleaved else ALONE
    return [
        replace(
            begin,
            specs=tuple(specs),
            execution=executions.get(stack_key(specs[0]), default),
            plugin=plan.components.plugin_of(specs),
            notes=going_on.notes([run_id(spec) for spec in specs]),
        )
        for specs in stacked
    ]


def tasks_that_go_on(plan: Plan, options: TrainingOptions, going_on: Resumption) -> list[Task]:
    """One task per checkpoint."""
    begin = _first(plan, options)
    tasks = [going_on_from(begin, plan.pending, checkpoint) for checkpoint in going_on.checkpoints]
    return [replace(task, plugin=plan.components.plugin_of(task.specs)) for task in tasks]


def _first(plan: Plan, options: TrainingOptions) -> Task:
    """A task without runs, with all that those of one call share."""
    return Task(
        specs=(),
        execution=ALONE,
        folder=plan.folder.absolute(),
        session=store.attempt_name(),
        data=plan.data,
        plugin=None,
        device=str(plan.device),
        git_commit=git_commit(),
        save_weights=plan.save_weights,
        checkpoint_every=options.checkpoint_every,
        timeout=options.timeout,
        until=plan.until,
        checkpoints=plan.folder.absolute() if options.shares_folder else None,
    )
