"""``python -m benchmarks.step``: where the time of one stacked training step goes on one CPU core, and its floor."""

from __future__ import annotations

import time
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Annotated

import torch
import typer
from torch.profiler import ProfilerActivity, profile

from bnbench.components import Components, components
from bnbench.config import compose_request
from bnbench.data import Data
from bnbench.engines import train, train_stack
from bnbench.spec import RunSpec
from bnbench.training import prepare_process

PASSES = 7
"""Times that a weight or its velocity is read or written in a step of SGD with momentum: the weight in the forward
pass, in the backward pass and in its update (read and written), the velocity in its update (the same) and in the
weight's."""
Spent = Mapping[str, tuple[float, float]]
"""Seconds and calls of operations, by name."""
NOTHING = 0.0, 0.0


def main(
    overrides: Annotated[list[str], typer.Argument(help="As for bnbench run.")],
    lanes: Annotated[int, typer.Option(help="Runs in the stack.")] = 30,
    steps: Annotated[int, typer.Option(help="Steps that are measured, as the difference of two lengths.")] = 200,
    data: Annotated[Path, typer.Option(help="Where datasets are kept.")] = Path("data"),
) -> None:
    """Time a step, alone and stacked, and say what it is made of."""
    prepare_process()
    parts = components()
    (spec,) = compose_request([*overrides, "optim.momentum=0.9"], parts).specs
    loaded = parts.load(spec, data)
    few = loaded.validation[:8]
    loaded = replace(loaded, validation=few, test=few)
    alone, stacked = _seconds(spec, parts, loaded, 1, steps), _seconds(spec, parts, loaded, lanes, steps)
    print(f"a step alone: {alone * 1e6:.0f} us; of {lanes} lanes: {stacked * 1e6:.0f} us, ", end="")
    print(f"{stacked / lanes * 1e6:.1f} us a lane, {alone * lanes / stacked:.1f} times as fast")
    parameters = sum(parameter.numel() for parameter in parts.build(spec, loaded).parameters())
    traffic, rate = 4 * parameters * lanes * PASSES, _bandwidth(4 * parameters * lanes)
    print(f"floor by memory: {traffic / 1e6:.1f} MB of weights and velocities at {rate / 1e9:.1f} GB/s: ", end="")
    print(f"{traffic / rate * 1e6:.0f} us, {traffic / rate / stacked:.0%} of the step")
    fewer, more = (_operations(spec, parts, loaded, lanes, count) for count in (steps, 2 * steps))
    for share, seconds, calls, name in operations(fewer, more, steps)[:14]:
        print(f"{share:6.1%}  {seconds * 1e6:7.0f} us a step  {calls:6.1f} calls  {name}")


def operations(fewer: Spent, more: Spent, steps: int) -> list[tuple[float, float, float, str]]:
    """What a step is made of, by what so many steps more take: share, seconds, calls and name, the longest first."""
    parts = [
        ((seconds - fewer.get(name, NOTHING)[0]) / steps, (calls - fewer.get(name, NOTHING)[1]) / steps, name)
        for name, (seconds, calls) in more.items()
    ]
    total = sum(seconds for seconds, _, _ in parts)
    return sorted(((seconds / total, seconds, calls, name) for seconds, calls, name in parts), reverse=True)


def _operations(spec: RunSpec, parts: Components, data: Data, lanes: int, steps: int) -> Spent:
    with profile(activities=[ProfilerActivity.CPU]) as seen:
        _train(spec, parts, data, lanes, steps)
    return {entry.key: (entry.self_cpu_time_total / 1e6, entry.count) for entry in seen.key_averages()}


def _seconds(spec: RunSpec, parts: Components, data: Data, lanes: int, steps: int) -> float:
    """Seconds of a step, as what so many steps more take.

    Building, folding and evaluating the networks take the same time for both lengths, and are in neither.
    """
    fewer, more = (_quickest(spec, parts, data, lanes, count) for count in (steps, 2 * steps))
    return (more - fewer) / steps


def _quickest(spec: RunSpec, parts: Components, data: Data, lanes: int, steps: int) -> float:
    """Seconds of whole runs, the best of three measurements after one to warm up."""
    times = []
    for _ in range(4):
        start = time.perf_counter()
        _train(spec, parts, data, lanes, steps)
        times.append(time.perf_counter() - start)
    return min(times[1:])


def _train(spec: RunSpec, parts: Components, data: Data, lanes: int, steps: int) -> None:
    every = replace(spec.evaluate, every=steps, unit="steps")
    short = replace(spec, steps=steps, epochs=None, evaluate=every, lr=1e-4)
    specs = [replace(short, seed=seed) for seed in range(lanes)]
    networks = [parts.build(lane, data) for lane in specs]
    for _ in train_stack(specs, networks, [data] * lanes) if lanes > 1 else train(short, networks[0], data):
        pass


def _bandwidth(size: int) -> float:
    """Bytes a second of reading and writing a tensor of so many bytes, between others that push it out of the cache."""
    tensor, other = torch.zeros(size // 4), torch.zeros(2**23)
    best = 0.0
    for _ in range(20):
        other.add_(1)
        start = time.perf_counter()
        tensor.mul_(0.5)
        best = max(best, 2 * size / (time.perf_counter() - start))
    return best


if __name__ == "__main__":
    typer.run(main)
