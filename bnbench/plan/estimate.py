"""How long a sweep will take, from a few measured steps."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Sequence
from statistics import mean

import torch

from bnbench.components import Components
from bnbench.data import Data, Examples, order_of
from bnbench.engine import now, prepare_process, total_steps, train
from bnbench.engine.evaluation import evaluate
from bnbench.errors import BnbenchError
from bnbench.spec import RunSpec

WARM_UP, MEASURED, SAMPLE = 3, 10, 256


def estimate_seconds(
    specs: Sequence[RunSpec],
    components: Components,
    data: Callable[[RunSpec], Data],
    device: torch.device,
    budget: float = 10.0,
) -> float:
    """Seconds of training for all specs on one worker.

    Each distinct network and batch size is measured for a few steps until ``budget`` seconds are spent; the rest are
    taken as the mean of the measured ones.
    """
    prepare_process()
    groups: dict[tuple[object, ...], list[RunSpec]] = {}
    for spec in specs:
        groups.setdefault(_alike(spec), []).append(spec)
    measured: dict[tuple[object, ...], tuple[float, float]] = {}
    start = now(device)
    for key, members in groups.items():
        if measured and now(device) - start > budget:
            break
        try:
            measured[key] = _measure(members[0], components, data(members[0]), device)
        except BnbenchError:
            raise
        except (Exception, SystemExit):  # a component that fails will fail its own run, and takes no time
            measured[key] = (0.0, 0.0)
    step_mean, example_mean = (mean(column) for column in zip(*measured.values(), strict=True))
    total = 0.0
    for key, members in groups.items():
        step, example = measured.get(key, (step_mean, example_mean))
        total += sum(_seconds(spec, data(spec), step, example) for spec in members)
    return total


def _alike(spec: RunSpec) -> tuple[object, ...]:
    """Specs with the same key take the same time per step."""
    return spec.norm.name, spec.model, spec.dataset, spec.batch_size, spec.precision, type(spec.optim)


def _measure(spec: RunSpec, components: Components, data: Data, device: torch.device) -> tuple[float, float]:
    """Seconds per training step, and per evaluated example."""
    few = Examples(data.validation.x[:SAMPLE], data.validation.y[:SAMPLE])
    small = dataclasses.replace(data, validation=few, test=few).to(device)
    network = components.build(spec, data).to(device)
    list(train(_for_steps(spec, WARM_UP), network, small))
    evaluate(spec, network, small, small.test)
    start = now(device)
    evaluate(spec, network, small, small.test)
    evaluation = now(device) - start
    start = now(device)
    list(train(_for_steps(spec, MEASURED), network, small))
    training = now(device) - start - 2 * evaluation
    return max(training, 0.0) / MEASURED, evaluation / len(few.y)


def _for_steps(spec: RunSpec, steps: int) -> RunSpec:
    every = dataclasses.replace(spec.evaluate, every=steps, unit="steps")
    return dataclasses.replace(spec, steps=steps, epochs=None, evaluate=every, divergence_factor=1e30)


def _seconds(spec: RunSpec, data: Data, step: float, example: float) -> float:
    order = order_of(spec, data.train)
    steps = total_steps(spec, order)
    interval = spec.evaluate.every * (order.steps if spec.evaluate.unit == "epochs" else 1)
    evaluated = -(-steps // interval) * len(data.validation.y) + len(data.test.y)
    return steps * step + evaluated * example
