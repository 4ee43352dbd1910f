"""How long a sweep will take, from a few measured steps of the stacks that it will be trained in."""

from __future__ import annotations

import heapq
import itertools
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from statistics import mean
from types import MappingProxyType
from typing import Any

import torch

from bnbench.components import Components
from bnbench.data import Data, Examples, order_of
from bnbench.engine import now, prepare_process, total_steps, train, train_stack
from bnbench.engine.evaluation import evaluate_lanes
from bnbench.engine.folding import fold
from bnbench.errors import BnbenchError
from bnbench.global_state import preserved_global_state
from bnbench.plan.proofs import trains_natively
from bnbench.plan.stacks import STEP_OVERHEAD, likely_limits, stacks
from bnbench.spec import RunSpec

MEASURED, FEW, SAMPLE = 10, 8, 256
"""Steps that are measured after as many that warm up; examples of the evaluations between them, and of one by itself.
"""


@dataclass(frozen=True)
class _Pace:
    """Seconds of a stack, for each lane: ``step`` with what a step costs whatever its lanes as more lanes.

    Attributes:
        native: whether compiled code trains it, lane by lane, and a run that is there twice once.
    """

    step: float
    example: float
    native: bool

    def lanes(self, stack: Sequence[str]) -> int:
        """How many lanes are trained."""
        return len(set(stack) if self.native else stack)


def until_last(seconds: Sequence[float], workers: int) -> float:
    """Seconds until the last of the workers is through with all stacks, the longest first."""
    ends = [0.0] * workers
    for value in sorted(seconds, reverse=True):
        heapq.heapreplace(ends, ends[0] + value)
    return max(ends)


@preserved_global_state()
def stack_seconds(
    specs: Mapping[str, RunSpec],
    components: Components,
    data: Callable[[RunSpec], Data],
    device: torch.device,
    workers: int = 1,
    lanes: int | None = None,
    known: Mapping[str, int] = MappingProxyType({}),
    budget: float = 10.0,
) -> list[float]:
    """Seconds that each stack of a plan takes a worker, without what probes take.

    The specs are divided into stacks as they will be, where sizes tell how. Of each distinct network and batch size the
    largest stack is measured for a few steps until ``budget`` seconds are spent; the rest are taken as the mean of the
    measured ones.

    Args:
        specs: by run_id, at least one.
        lanes: runs per stack, as for :func:`lane_limits`.
        known: limits that were found before, by stack key.
    """
    prepare_process()
    start = now(device)
    limits = likely_limits(specs, components, data, workers, lanes, device, known)
    planned = stacks(specs, limits, workers, spread=lanes is None)
    largest: dict[tuple[object, ...], tuple[str, ...]] = {}
    for stack in planned:
        key = _alike(specs[stack[0]])
        largest[key] = max(largest.get(key, stack), stack, key=len)
    measured: dict[tuple[object, ...], _Pace] = {}
    for key, stack in largest.items():
        if measured and now(device) - start > budget:
            break
        spec = specs[stack[0]]
        measured[key] = _measure(spec, len(stack), components, data(spec), device)
    paces = measured.values()
    average = _Pace(
        mean(pace.step for pace in paces), mean(pace.example for pace in paces), all(pace.native for pace in paces)
    )
    seconds = []
    for stack in planned:
        spec = specs[stack[0]]
        pace = measured.get(_alike(spec), average)
        seconds.append(_seconds(spec, pace.lanes(stack), data(spec), pace))
    return seconds


def _alike(spec: RunSpec) -> tuple[object, ...]:
    """Specs with the same key take the same time per step."""
    return spec.norm.name, spec.model, spec.dataset, spec.batch_size, spec.precision, type(spec.optim)


def _measure(spec: RunSpec, lanes: int, components: Components, data: Data, device: torch.device) -> _Pace:
    """The pace of a stack; a component that fails will fail its own run, and takes no time."""
    try:
        return _pace(spec, lanes, components, data, device)
    except BnbenchError:
        raise
    except (Exception, SystemExit):
        return _Pace(0.0, 0.0, native=False)


def _pace(spec: RunSpec, lanes: int, components: Components, data: Data, device: torch.device) -> _Pace:
    few, sample = (Examples(data.validation.x[:size], data.validation.y[:size]) for size in (FEW, SAMPLE))
    small, sample = replace(data, validation=few, test=few).to(device), sample.to(device)
    every = replace(spec.evaluate, every=MEASURED, unit="steps")
    short = replace(spec, steps=3 * MEASURED, epochs=None, evaluate=every, divergence_factor=1e30, lr=1e-6)
    members = [replace(short, seed=seed) for seed in range(lanes)]
    networks = [components.build(member, data).to(device) for member in members]
    native = lanes > 1 and trains_natively(spec, components, data, device)
    records: Any = (
        train_stack(members, networks, small, native=native) if lanes > 1 else train(short, networks[0], small)
    )
    pauses = [now(device) for _ in itertools.islice(records, 2)]
    network = fold(networks) if lanes > 1 else networks[0]
    between, alone = (_evaluation(members, network, small, examples) for examples in (few.to(device), sample))
    training = max(pauses[1] - pauses[0] - between, 0.0) if len(pauses) == 2 else 0.0
    return _Pace(training / MEASURED / _shares(native, lanes), alone / len(sample.y) / lanes, native)


def _evaluation(specs: list[RunSpec], network: torch.nn.Module, data: Data, examples: Examples) -> float:
    """Seconds of an evaluation; the first one warms up."""
    marks = []
    for _ in range(2):
        marks.append(now(data.train.y.device))
        evaluate_lanes(specs, network, data, examples)
    return now(data.train.y.device) - marks[1]


def _seconds(spec: RunSpec, lanes: int, data: Data, pace: _Pace) -> float:
    order = order_of(spec, data.train)
    steps = total_steps(spec, order)
    interval = spec.evaluate.every * (order.steps if spec.evaluate.unit == "epochs" else 1)
    evaluated = -(-steps // interval) * len(data.validation.y) + len(data.test.y)
    return steps * pace.step * _shares(pace.native, lanes) + evaluated * pace.example * lanes


def _shares(native: bool, lanes: int) -> int:
    """What a step takes, as a multiple of the pace of a lane."""
    return lanes if native else STEP_OVERHEAD + lanes
