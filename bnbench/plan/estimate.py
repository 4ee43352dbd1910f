"""The time that a sweep will take, from a few measured steps of the stacks that it will be trained in."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from statistics import mean

import torch

from bnbench.components import Components
from bnbench.data import Data, order_of, to_device
from bnbench.errors import BnbenchError
from bnbench.foreign import is_bug
from bnbench.global_state import preserved_global_state
from bnbench.notices import step
from bnbench.plan.case import Case
from bnbench.plan.execution import ALONE, Division, Execution
from bnbench.plan.grouping import STEP_OVERHEAD, Stack
from bnbench.plan.measurement import measure_steps
from bnbench.spec import RunSpec, arm, kind_key, stack_key
from bnbench.stacking import fold
from bnbench.stacking.stack import MIN_LANES
from bnbench.training import now, prepare_process
from bnbench.training.evaluation import evaluate_lanes
from bnbench.training.timeline import timeline_of

MEASURED, FEW, SAMPLE = 10, 8, 256
"""Steps that are measured after as many that warm up; examples of the evaluations between them, and of one by itself.
"""
BRIEF, MORE = 0.05, 20
"""Seconds below which so many steps are too few to measure, and how many times as many are measured then at most."""
NATIVE_LANES = 8
"""Lanes that are measured at most where compiled code takes them one after another."""


@dataclass(frozen=True)
class _Pace:
    """Seconds of a stack, for each lane: ``step`` with what a step costs whatever its lanes as more lanes.

    Attributes:
        build: of building a network.
        begin: of a stack, by which its first steps take longer, whatever its lanes.
        warm: of a process, by which its first stack takes longer than that.
        native: whether compiled code trains it, lane by lane.
    """

    step: float
    example: float
    build: float
    begin: float
    warm: float
    native: bool


@dataclass(frozen=True)
class Measured:
    """The time that stacks take, as a process finds it.

    Attributes:
        seconds: of each stack.
        spent: seconds that were only spent on finding it: a process that trains does not need them.
    """

    seconds: list[float]
    spent: float


@dataclass(frozen=True)
class _Planned:
    """Runs and the stacks in which they are to be trained.

    Attributes:
        specs: by run_id.
        found: of the specs.
    """

    specs: Mapping[str, RunSpec]
    components: Components
    data: Callable[[RunSpec], Data]
    device: torch.device
    stacks: Sequence[Stack]
    found: Division

    def spec(self, stack: Stack) -> RunSpec:
        """One of a stack's specs, which stands for all."""
        return self.specs[stack[0]]

    def case(self, stack: Stack) -> Case:
        """The case of a stack."""
        return Case(self.spec(stack), self.components, self.data(self.spec(stack)), self.device)

    def execution(self, stack: Stack) -> Execution:
        """The way in which a stack is trained."""
        return self.found.executions.get(stack_key(self.spec(stack)), ALONE)


@preserved_global_state()
def stack_seconds(
    specs: Mapping[str, RunSpec],
    components: Components,
    data: Callable[[RunSpec], Data],
    device: torch.device,
    planned: Sequence[Stack],
    found: Division,
    budget: float = 10.0,
) -> Measured:
    """Measure the time that each stack of a plan takes a worker, without that of probes.

    Of each distinct network and batch size the largest stack is measured for a few steps until ``budget`` seconds are
    spent, those first that there is most to do of; the rest take as much longer than measured ones as they are larger.

    Args:
        specs: by run_id.
        planned: the stacks, at least one.
        found: of the specs.
    """
    prepare_process()
    for spec in specs.values():
        data(spec)  # which whoever trains must have as well
    start = now(device)
    plan = _Planned(specs, components, data, device, planned, found)
    measured = _measured(plan, start + budget)
    seconds = []
    for stack in planned:
        case = plan.case(stack)
        known = measured.get(kind_key(case.spec))
        pace = known[1] if known else _likely(case.spec, list(measured.values()), found.sizes, data)
        seconds.append(_seconds(case, _lanes(plan.execution(stack), len(stack)), pace))
    warm = next((pace.warm for _, pace in measured.values()), 0.0)
    return Measured(seconds, now(device) - start - warm)


def _measured(plan: _Planned, deadline: float) -> dict[tuple[object, ...], tuple[RunSpec, _Pace]]:
    """The pace of one stack of each kind, those first that there is most to do of, one at least."""
    alike: dict[tuple[object, ...], list[Stack]] = {}
    for stack in plan.stacks:
        alike.setdefault(kind_key(plan.spec(stack)), []).append(stack)
    amounts = {
        key: sum(plan.found.sizes[stack_key(plan.spec(stack))] * len(stack) for stack in members)
        for key, members in alike.items()
    }
    measured: dict[tuple[object, ...], tuple[RunSpec, _Pace]] = {}
    for key in sorted(alike, key=amounts.__getitem__, reverse=True):
        if measured and now(plan.device) > deadline:
            break
        largest = max(alike[key], key=len)
        spec = plan.spec(largest)
        step(f"measuring {arm(spec)} batch_size={spec.batch_size} ({len(measured) + 1} of {len(alike)} kinds)")
        measured[key] = spec, _measure(plan.case(largest), plan.execution(largest), len(largest))
    return measured


def _likely(
    spec: RunSpec,
    measured: Sequence[tuple[RunSpec, _Pace]],
    sizes: Mapping[str, float],
    data: Callable[[RunSpec], Data],
) -> _Pace:
    """The pace of what was not measured: that of measured stacks, of the same model if there are any, by size."""

    def size(of: RunSpec) -> float:
        return sizes[stack_key(of)] / timeline_of(of, order_of(of, data(of).train)).total

    near = [pair for pair in measured if pair[0].model == spec.model] or measured
    larger = [size(spec) / (size(other) or 1.0) for other, _ in near]
    return _Pace(
        mean(pace.step * factor for (_, pace), factor in zip(near, larger, strict=True)),
        mean(
            pace.example * factor * other.batch_size / spec.batch_size
            for (other, pace), factor in zip(near, larger, strict=True)
        ),
        mean(pace.build for _, pace in near),
        mean(pace.begin for _, pace in near),
        0.0,
        all(pace.native for _, pace in near),
    )


def _measure(case: Case, execution: Execution, runs: int) -> _Pace:
    """The pace of a stack; a component that fails will fail its own run, and takes no time."""
    try:
        return _pace(case, execution, runs)
    except BnbenchError:
        raise
    except (Exception, SystemExit) as error:
        if is_bug(error, case.spec.plugin is not None):
            raise
        return _Pace(0.0, 0.0, 0.0, 0.0, 0.0, native=False)


def _lanes(execution: Execution, runs: int) -> int:
    """The lanes that train so many runs of a stack: a single one is trained as if it had companions."""
    return max(runs, MIN_LANES) if execution.engine == "stacked" else runs


def _pace(case: Case, execution: Execution, runs: int) -> _Pace:
    spec, data, device = case.spec, case.data, case.device
    few, sample = (data.validation[:size] for size in (FEW, SAMPLE))
    small, sampled = to_device([replace(data, validation=part, test=part) for part in (few, sample)], device)
    engine, lanes = execution.engine, _lanes(execution, runs)
    if engine == "native":
        lanes = min(lanes, NATIVE_LANES)
    members = [replace(spec, seed=seed) for seed in range(lanes)]
    start = now(device)
    networks = [case.build(member.seed).to(device) for member in members]
    built = now(device) - start
    steps = MEASURED
    first, whole = measure_steps(members, networks, small, engine, steps) or (0.0, 0.0)
    network = networks[0] if engine == "reference" else fold(networks)
    between, alone = (_evaluation(members, network, part) for part in (small, sampled))
    warm, begin = max(first - whole, 0.0), 0.0
    interval = case.timeline.interval
    if whole - between < BRIEF and interval > steps:
        more = min(BRIEF / max(whole - between, BRIEF / MORE), MORE)
        steps = min(math.ceil(more * steps), interval)
        again, whole = measure_steps(members, networks, small, engine, steps) or (0.0, 0.0)
        begin = max(again - whole, 0.0)
    training = max(whole - between, 0.0)
    step, example = training / steps / _shares(engine == "native", lanes), alone / len(sample.y) / lanes
    return _Pace(step, example, built / lanes, begin, max(warm - begin, 0.0), engine == "native")


def _evaluation(specs: list[RunSpec], network: torch.nn.Module, data: Data) -> float:
    """Seconds of an evaluation on the validation examples; the first one warms up."""
    marks = []
    for _ in range(2):
        marks.append(now(data.device))
        evaluate_lanes(specs, network, [data] * len(specs), [data.validation] * len(specs))
    return now(data.device) - marks[1]


def _seconds(case: Case, lanes: int, pace: _Pace) -> float:
    timeline, data = case.timeline, case.data
    evaluated = -(-timeline.total // timeline.interval) * len(data.validation.y) + len(data.test.y)
    trained = timeline.total * pace.step * _shares(pace.native, lanes)
    return pace.begin + trained + lanes * (pace.build + evaluated * pace.example)


def _shares(native: bool, lanes: int) -> int:
    """The time of a step, as a multiple of the pace of a lane."""
    return lanes if native else STEP_OVERHEAD + lanes
