"""The time that a command will take from Enter to the prompt, as the sum of its parts."""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import date
from functools import partial
from statistics import fmean
from typing import Any

from bnbench.devices import CPU
from bnbench.environment import age, cores
from bnbench.imports import import_seconds, imported_whole
from bnbench.isolation import Answer, ask_at_once
from bnbench.launch import local, prestart
from bnbench.memoization import finding_seconds, machine, remembered
from bnbench.plan import Division, Resources, engine_lines, makespan, stacks_of
from bnbench.plan.grouping import Stack
from bnbench.plan.readiness import compiled_code, foreseen, is_lasting
from bnbench.session.plan import Plan
from bnbench.session.provenance import is_settled
from bnbench.spec import RunSpec, kind_key

MEASURING = "bnbench.worker", "bnbench.plan.estimate"
"""Modules of the processes that measure steps."""
ENDING = 0.1
"""Seconds in which a process lets go of its modules, for each second in which it has imported them."""
ENOUGH_KINDS = 4
"""Kinds of stacks for each process that measures, from which none is measured twice."""


@dataclass(frozen=True)
class Estimate:
    """Seconds that each part of a command will take, which a later process with the same cache has to do.

    Attributes:
        planning: until it is clear what to train; answers that are remembered cost nothing.
        loading: importing torch.
        dividing: dividing the runs into stacks, in all rounds.
        starting: from there until the workers train, in all rounds.
        training: until the last worker is through.
        engines: a line for each engine and why none that is faster.
    """

    planning: float
    loading: float = 0.0
    dividing: float = 0.0
    starting: float = 0.0
    training: float = 0.0
    engines: Sequence[str] = ()

    def of_part(self, share: float) -> Estimate:
        """The same command, where only a share of the training is done."""
        return replace(self, training=share * self.training)

    @property
    def ending(self) -> float:
        """Seconds from the last result to the prompt."""
        return ENDING * self.loading

    @property
    def seconds(self) -> float:
        """Seconds from Enter to the prompt."""
        return self.planning + self.loading + self.dividing + self.starting + self.training + self.ending


def estimate(plan: Plan, resources: Resources, rounds: int = 1) -> Estimate:
    """Estimate the time of the command that trains a plan, called by the process that has planned it.

    Steps of built-in components are measured once on this machine; the answer is taken again for the rest of the week
    or, where code was not compiled for all runs, until some is.
    No compiler is waited for.

    Args:
        rounds: parts of the plan that are trained one after the other.
    """
    planning = age() - import_seconds() - finding_seconds()
    if not plan.pending:
        return Estimate(planning)
    if plan.device != CPU or not all(map(is_settled, plan.pending.values())):
        return Estimate(planning, **_measured(plan, resources, rounds))
    about = [
        [*plan.pending],
        *(resources.workers, resources.lanes, rounds, cores(), resources.known, machine()),
        date.today().isocalendar()[:2],
    ]
    find = partial(_measured, plan, resources, rounds)
    return Estimate(planning, **remembered("estimate", about, find, is_lasting, compiled_code()))


def _measured(plan: Plan, resources: Resources, rounds: int) -> dict[str, Any]:
    """The attributes of an :class:`Estimate` beside ``planning``, measured now.

    As many processes measure a few steps as will train. They start from a server that imports torch beside this
    process, and has done so when the runs are divided, unless both share one core.
    """
    in_workers = plan.device.type == "cpu" and (
        resources.workers > 1 or any(spec.plugin is not None for spec in plan.pending.values())
    )
    if in_workers:
        prestart(*MEASURING)
    imported_whole("bnbench.plan.estimate")
    dividing, divisions = _timed_division(plan, resources)
    loading = import_seconds()
    if in_workers:
        list(local(abs, [0], 1))  # until the server can start processes
    whole = Division({}, {})
    for answer in divisions:
        whole.add(answer.value)
    groups = stacks_of(plan.pending, whole, resources)
    training, starting = _timed_steps(plan, resources, divisions, groups, in_workers)
    if in_workers and cores() == 1:
        starting += loading
    return {
        "loading": loading,
        "dividing": rounds * dividing,
        "starting": rounds * starting,
        "training": _seconds_of_rounds(plan, training, resources),
        "engines": engine_lines(plan.pending, foreseen(groups, plan.pending, whole)),
    }


def _seconds_of_rounds(plan: Plan, seconds: Mapping[Stack, float], resources: Resources) -> float:
    """Seconds until the last worker is through, as runs on more devices come after those on fewer.

    So many devices are taken to be as many times as quick, as far as there are cores for them.

    Args:
        seconds: of each stack on one device.
    """
    rounds: dict[int, list[float]] = {}
    for stack, value in seconds.items():
        devices = plan.pending[stack[0]].devices
        quicker = devices if plan.device.type != "cpu" else min(devices, cores())
        rounds.setdefault(devices, []).append(value / quicker)
    return sum(makespan(values, resources.side_by_side(devices)) for devices, values in rounds.items())


def _timed_division(plan: Plan, resources: Resources) -> tuple[float, list[Answer]]:
    """Divide the runs; the seconds that it takes whoever trains, without imports and without proofs that are kept."""

    def clock() -> float:
        return time.monotonic() - import_seconds() - finding_seconds()

    start = clock()
    answers = list(plan.divide(plan.pending, replace(resources, compiles=False)))
    return clock() - start, answers


def _timed_steps(
    plan: Plan, resources: Resources, divisions: Sequence[Answer], groups: Sequence[Stack], in_workers: bool
) -> tuple[dict[Stack, float], float]:
    """Seconds of each stack, and those until workers begin with them."""
    import torch

    from bnbench.plan.estimate import stack_seconds

    times: dict[Stack, list[float]] = {}
    starts = [0.0]
    for answer in divisions:
        members = [stack for stack in groups if stack[0] in answer.specs]
        question = partial(stack_seconds, device=torch.device(plan.device.name), found=answer.value)
        start = time.monotonic()
        if in_workers:
            shares = _shares(answer.specs, members, min(resources.workers, cores()))
            questions = [(partial(question, planned=share), _representatives(answer.specs, share)) for share in shares]
            measurements = ask_at_once(questions, plan.components, plan.data)
        else:
            answers = plan.ask(
                partial(question, planned=members), _representatives(answer.specs, members), measures=True
            )
            measurements = [measurement for measurement in answers if measurement.error is None]
        for measurement in measurements:
            share = [stack for stack in members if stack[0] in measurement.specs]
            for stack, seconds in zip(share, measurement.value.seconds, strict=True):
                times.setdefault(stack, []).append(seconds)
        spent = fmean(measurement.value.spent for measurement in measurements) if measurements else 0.0
        starts.append(max(time.monotonic() - start - spent, 0.0))
    return {stack: fmean(values) for stack, values in times.items()}, max(*starts, sum(starts) / resources.workers)


def _shares(specs: Mapping[str, RunSpec], stacks: Sequence[Stack], processes: int) -> list[list[Stack]]:
    """The stacks that each process measures: kinds are dealt out if there are enough, else each measures all.

    What the others have is as much a burden on a process as what it would measure itself.
    """
    kinds = [kind_key(specs[stack[0]]) for stack in stacks]
    places = {kind: place % processes for place, kind in enumerate(dict.fromkeys(kinds))}
    if len(places) < ENOUGH_KINDS * processes:
        return [[*stacks]] * processes
    return [
        [stack for stack, kind in zip(stacks, kinds, strict=True) if places[kind] == process]
        for process in range(processes)
    ]


def _representatives(specs: Mapping[str, RunSpec], stacks: Sequence[Stack]) -> dict[str, RunSpec]:
    """The first run of each stack."""
    return {stack[0]: specs[stack[0]] for stack in stacks}
