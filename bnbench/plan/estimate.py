"""How long a sweep will take, from a few measured steps of the stacks that it will be trained in."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from statistics import mean

import torch

from bnbench.components import Components
from bnbench.data import Data, Examples, order_of
from bnbench.errors import BnbenchError
from bnbench.global_state import preserved_global_state
from bnbench.notices import step
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
    """What stacks take, as a process finds it.

    Attributes:
        seconds: of each stack.
        spent: seconds that were only spent on finding it: a process that trains does not need them.
    """

    seconds: list[float]
    spent: float


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
    """Measure what each stack of a plan takes a worker, without what probes take.

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
    alike: dict[tuple[object, ...], list[Stack]] = {}
    for stack in planned:
        alike.setdefault(kind_key(specs[stack[0]]), []).append(stack)
    amounts = {
        key: sum(found.sizes[stack_key(specs[stack[0]])] * len(stack) for stack in members)
        for key, members in alike.items()
    }
    measured: dict[tuple[object, ...], tuple[RunSpec, _Pace]] = {}
    for key in sorted(alike, key=amounts.__getitem__, reverse=True):
        if measured and now(device) - start > budget:
            break
        largest = max(alike[key], key=len)
        spec = specs[largest[0]]
        step(f"measuring {arm(spec)} batch_size={spec.batch_size} ({len(measured) + 1} of {len(alike)} kinds)")
        execution = found.executions.get(stack_key(spec), ALONE)
        measured[key] = spec, _measure(spec, execution, len(largest), components, data(spec), device)
    seconds = []
    for stack in planned:
        spec = specs[stack[0]]
        known = measured.get(kind_key(spec))
        pace = known[1] if known else _likely(spec, list(measured.values()), found.sizes, data)
        lanes = _lanes(found.executions.get(stack_key(spec), ALONE), len(stack))
        seconds.append(_seconds(spec, lanes, data(spec), pace))
    warm = next((pace.warm for _, pace in measured.values()), 0.0)
    return Measured(seconds, now(device) - start - warm)


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


def _measure(
    spec: RunSpec, execution: Execution, runs: int, components: Components, data: Data, device: torch.device
) -> _Pace:
    """The pace of a stack; a component that fails will fail its own run, and takes no time."""
    try:
        return _pace(spec, execution, runs, components, data, device)
    except BnbenchError:
        raise
    except (Exception, SystemExit):
        return _Pace(0.0, 0.0, 0.0, 0.0, 0.0, native=False)


def _lanes(execution: Execution, runs: int) -> int:
    """How many lanes train so many runs of a stack: a single one is trained as if it had companions."""
    return max(runs, MIN_LANES) if execution.engine == "stacked" else runs


def _pace(
    spec: RunSpec, execution: Execution, runs: int, components: Components, data: Data, device: torch.device
) -> _Pace:
    few, sample = (Examples(data.validation.x[:size], data.validation.y[:size]).to(device) for size in (FEW, SAMPLE))
    small = replace(data, validation=few, test=few).to(device)
    lanes, engine = _lanes(execution, runs), execution.engine
    members = [replace(spec, seed=seed) for seed in range(lanes)]
    start = now(device)
    networks = [components.build(member, data).to(device) for member in members]
    built = now(device) - start
    steps = MEASURED
    first, whole = measure_steps(members, networks, small, engine, steps) or (0.0, 0.0)
    network = networks[0] if engine == "reference" else fold(networks)
    between, alone = (_evaluation(members, network, small, examples) for examples in (few, sample))
    warm, begin = max(first - whole, 0.0), 0.0
    interval = timeline_of(spec, order_of(spec, data.train)).interval
    if whole - between < BRIEF and interval > steps:
        steps = min(MORE * steps, interval)
        again, whole = measure_steps(members, networks, small, engine, steps) or (0.0, 0.0)
        begin = max(again - whole, 0.0)
    training = max(whole - between, 0.0)
    step, example = training / steps / _shares(engine == "native", lanes), alone / len(sample.y) / lanes
    return _Pace(step, example, built / lanes, begin, max(warm - begin, 0.0), engine == "native")


def _evaluation(specs: list[RunSpec], network: torch.nn.Module, data: Data, examples: Examples) -> float:
    """Seconds of an evaluation; the first one warms up."""
    marks = []
    for _ in range(2):
        marks.append(now(data.train.y.device))
        evaluate_lanes(specs, network, data, examples)
    return now(data.train.y.device) - marks[1]


def _seconds(spec: RunSpec, lanes: int, data: Data, pace: _Pace) -> float:
    timeline = timeline_of(spec, order_of(spec, data.train))
    evaluated = -(-timeline.total // timeline.interval) * len(data.validation.y) + len(data.test.y)
    trained = timeline.total * pace.step * _shares(pace.native, lanes)
    return pace.begin + trained + lanes * (pace.build + evaluated * pace.example)


def _shares(native: bool, lanes: int) -> int:
    """What a step takes, as a multiple of the pace of a lane."""
    return lanes if native else STEP_OVERHEAD + lanes
