"""The time that a sweep will take, from a few measured steps of the stacks that it will be trained in."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from statistics import mean

import torch

from bnbench.components import Components
from bnbench.data import Data, order_of, to_device
from bnbench.error_origin import is_bug
from bnbench.errors import BnbenchError
from bnbench.global_state import preserved_global_state
from bnbench.native import predictions_of
from bnbench.notices import step
from bnbench.plan.case import Case
from bnbench.plan.execution import ALONE, Division, Execution
from bnbench.plan.grouping import STEP_OVERHEAD, Stack
from bnbench.plan.measurement import measure_steps
from bnbench.spec import RunSpec, arm, by_stack_key, kind_key
from bnbench.stacking import fold
from bnbench.stacking.stack import MIN_LANES
from bnbench.training import now, prepare_process
from bnbench.training.evaluation import Predictions, evaluate_lanes
from bnbench.training.timeline import timeline_of

FEWEST, MEASURED = 3, 10
"""Steps that are measured after as many that warm up, at least and at most."""
FEW, SAMPLE = 8, 256
"""Examples of the evaluations between them, and of one by itself."""
BRIEF, ENOUGH, MORE = 0.025, 0.05, 20
"""Seconds below which these steps are too few, those that are then measured, and how many times as many steps at most.
"""
NATIVE_LANES = 4
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

    @cached_property
    def keys(self) -> Mapping[str, str]:
        """The stack key of each run."""
        return {identity: key for key, identities in by_stack_key(self.specs).items() for identity in identities}

    def spec(self, stack: Stack) -> RunSpec:
        """One of a stack's specs, which stands for all."""
        return self.specs[stack[0]]

    def case(self, stack: Stack) -> Case:
        """The case of a stack."""
        return Case(self.spec(stack), self.components, self.data(self.spec(stack)), self.device)

    def size(self, stack: Stack) -> float:
        """Seconds that torch takes for each run of a stack, roughly."""
        return self.found.sizes[self.keys[stack[0]]]

    def step(self, stack: Stack) -> float:
        """Seconds that torch takes for a step of each run of a stack, roughly."""
        spec = self.spec(stack)
        return self.size(stack) / timeline_of(spec, order_of(spec, self.data(spec).train)).total

    def execution(self, stack: Stack) -> Execution:
        """The way in which a stack is trained."""
        return self.found.executions.get(self.keys[stack[0]], ALONE)


@preserved_global_state()
def stack_seconds(
    specs: Mapping[str, RunSpec],
    components: Components,
    data: Callable[[RunSpec], Data],
    device: torch.device,
    planned: Sequence[Stack],
    found: Division,
    budget: float = 1.0,
) -> Measured:
    """Measure the time that each stack of a plan takes a worker, without that of probes.

    Of each distinct network and batch size the largest stack is measured for a few steps until ``budget`` seconds are
    spent; see :func:`_by_worth` for the order, and :func:`_likely` for the rest.

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
        pace = known[1] if known else _likely(plan, stack, list(measured.values()))
        seconds.append(_seconds(case, _lanes(plan.execution(stack), len(stack)), pace))
    warm = next((pace.warm for _, pace in measured.values()), 0.0)
    return Measured(seconds, now(device) - start - warm)


def _measured(plan: _Planned, deadline: float) -> dict[tuple[object, ...], tuple[Stack, _Pace]]:
    """The pace of one stack of each kind, in the order of :func:`_by_worth`, one at least."""
    alike: dict[tuple[object, ...], list[Stack]] = {}
    for stack in plan.stacks:
        alike.setdefault(kind_key(plan.spec(stack)), []).append(stack)
    measured: dict[tuple[object, ...], tuple[Stack, _Pace]] = {}
    for key in _by_worth(plan, alike):
        if measured and now(plan.device) > deadline:
            break
        largest = max(alike[key], key=len)
        spec = plan.spec(largest)
        step(f"measuring {arm(spec)} batch_size={spec.batch_size} ({len(measured) + 1} of {len(alike)} kinds)")
        measured[key] = largest, _measure(plan.case(largest), plan.execution(largest), len(largest), plan.step(largest))
    return measured


def _by_worth(plan: _Planned, alike: Mapping[tuple[object, ...], Sequence[Stack]]) -> list[tuple[object, ...]]:
    """The kinds of stacks, those first without which least is known: of each network the batch size with most to do.

    Those with the other end of its batch sizes come next, as a line through both tells of those between; then the rest.
    """
    amounts = {key: sum(plan.size(stack) * len(stack) for stack in members) for key, members in alike.items()}
    networks: dict[object, list[tuple[object, ...]]] = {}
    for key in sorted(alike, key=amounts.__getitem__, reverse=True):
        networks.setdefault(_network(plan.spec(alike[key][0])), []).append(key)
    ranks: dict[tuple[object, ...], int] = {}
    for keys in networks.values():
        batches = {key: math.log(plan.spec(alike[key][0]).batch_size) for key in keys}
        first = keys[0]
        other = max(keys, key=lambda key: abs(batches[key] - batches[first]))
        ranks |= {key: 0 if key == first else 1 if key == other else 2 for key in keys}
    return sorted(alike, key=lambda key: (ranks[key], -amounts[key]))


def _network(spec: RunSpec) -> tuple[object, ...]:
    """Equal for runs whose steps are of one kind but for the size of the batch."""
    return spec.norm, spec.model, spec.train, spec.dataset, spec.precision, type(spec.optim), spec.grad_clip is None


def _likely(plan: _Planned, stack: Stack, measured: Sequence[tuple[Stack, _Pace]]) -> _Pace:
    """The pace of what was not measured: that of other batch sizes of its network if there are any.

    Else that of measured stacks, of the same model if there are any, by size.
    """
    spec, network, step_seconds = plan.spec(stack), _network(plan.spec(stack)), plan.step(stack)
    same = [pair for pair in measured if _network(plan.spec(pair[0])) == network]
    near = same or [pair for pair in measured if plan.spec(pair[0]).model == spec.model] or measured
    steps = {plan.spec(other).batch_size: pace.step for other, pace in same}
    factors = [step_seconds / (plan.step(other) or 1.0) for other, _ in near]
    return _Pace(
        _at(spec.batch_size, steps)
        if len(steps) > 1
        else mean(pace.step * factor for (_, pace), factor in zip(near, factors, strict=True)),
        mean(pace.example for _, pace in same)
        if same
        else mean(
            pace.example * factor * plan.spec(other).batch_size / spec.batch_size
            for (other, pace), factor in zip(near, factors, strict=True)
        ),
        mean(pace.build for _, pace in near),
        mean(pace.begin for _, pace in near),
        0.0,
        all(pace.native for _, pace in near),
    )


def _at(batch: int, steps: Mapping[int, float]) -> float:
    """Seconds of a step with a batch, on the line through those of the two nearest batch sizes.

    Never less than in proportion to the batch of the smaller, nor less than the seconds of a smaller batch.
    """
    low, high = sorted(sorted(steps, key=lambda known: abs(math.log(known / batch)))[:2])
    line = steps[low] + (steps[high] - steps[low]) * (batch - low) / (high - low)
    return max(line, steps[low] * min(batch / low, 1.0))


def _measure(case: Case, execution: Execution, runs: int, likely: float) -> _Pace:
    """The pace of a stack; a component that fails will fail its own run, and takes no time.

    Args:
        likely: seconds that torch takes for a step of each run, roughly.
    """
    try:
        return _pace(case, execution, runs, likely)
    except BnbenchError:
        raise
    except (Exception, SystemExit) as error:
        if is_bug(error, case.spec.plugin is not None):
            raise
        return _Pace(0.0, 0.0, 0.0, 0.0, 0.0, native=False)


def _lanes(execution: Execution, runs: int) -> int:
    """The lanes that train so many runs of a stack: a single one is trained as if it had companions."""
    return max(runs, MIN_LANES) if execution.engine == "stacked" else runs


def _pace(case: Case, execution: Execution, runs: int, likely: float) -> _Pace:
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
    steps = _steps(likely * lanes, device)
    first, whole = measure_steps(members, networks, small, engine, steps) or (0.0, 0.0)
    folded = None if engine == "reference" else fold(networks)
    fast = predictions_of(spec, folded, data.shape, data.classes) if folded and engine == "native" else None
    between, alone = (_evaluation(members, folded or networks[0], part, fast) for part in (small, sampled))
    warm, begin = max(first - whole, 0.0), 0.0
    interval = case.timeline.interval
    if whole - between < BRIEF and interval > steps:
        more = min(ENOUGH / max(whole - between, ENOUGH / MORE), MORE)
        steps = min(math.ceil(more * steps), interval)
        again, whole = measure_steps(members, networks, small, engine, steps) or (0.0, 0.0)
        begin = max(again - whole, 0.0)
    training = max(whole - between, 0.0)
    step, example = training / steps / _shares(engine == "native", lanes), alone / len(sample.y) / lanes
    return _Pace(step, example, built / lanes, begin, max(warm - begin, 0.0), engine == "native")


def _steps(likely: float, device: torch.device) -> int:
    """Steps to begin with: a GPU needs as many until they are recorded; on a CPU few tell of those that take long.

    Args:
        likely: seconds that torch takes for a step of the stack on a core, roughly.
    """
    return MEASURED if device.type != "cpu" else max(FEWEST, min(MEASURED, math.ceil(2 * ENOUGH / (likely or 1.0))))


def _evaluation(specs: list[RunSpec], network: torch.nn.Module, data: Data, predictions: Predictions | None) -> float:
    """Seconds of an evaluation on the validation examples; the first one warms up."""
    marks = []
    for _ in range(2):
        marks.append(now(data.device))
        evaluate_lanes(specs, network, [data] * len(specs), [data.validation] * len(specs), predictions)
    return now(data.device) - marks[1]


def _seconds(case: Case, lanes: int, pace: _Pace) -> float:
    timeline, data = case.timeline, case.data
    evaluated = -(-timeline.total // timeline.interval) * len(data.validation.y) + len(data.test.y)
    trained = timeline.total * pace.step * _shares(pace.native, lanes)
    return pace.begin + trained + lanes * (pace.build + evaluated * pace.example)


def _shares(native: bool, lanes: int) -> int:
    """The time of a step, as a multiple of the pace of a lane."""
    return lanes if native else STEP_OVERHEAD + lanes
