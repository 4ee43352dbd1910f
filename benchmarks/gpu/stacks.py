"""Stacks that are trained for a moment, and the time of their steps."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from typing import Any

import torch

from bnbench.components import components
from bnbench.data import Data
from bnbench.engines import StackOptions, train_stack
from bnbench.spec import RunSpec
from bnbench.training import now

FEW = 8
"""Examples of an evaluation, which is not what is timed."""


def steps_of(
    spec: RunSpec, data: Data, lanes: int, device: torch.device, steps: int, record: bool = True
) -> Iterator[list[Any]]:
    """A stack that pauses twice after so many steps: the first time it has warmed up and recorded its step."""
    few = data.validation[:FEW]
    small = replace(data, validation=few, test=few).to(device)
    every = replace(spec.evaluate, every=steps, unit="steps")
    short = replace(spec, steps=3 * steps, epochs=None, evaluate=every, lr=1e-4)
    specs = [replace(short, seed=seed) for seed in range(lanes)]
    networks = [components().build(lane, data).to(device) for lane in specs]
    return train_stack(specs, networks, [small] * lanes, options=StackOptions(record=record))


def seconds_per_step(
    spec: RunSpec, data: Data, lanes: int, device: torch.device, steps: int, record: bool = True
) -> float:
    """Seconds of a step of a stack."""
    stack = steps_of(spec, data, lanes, device, steps, record)
    next(stack)
    start = now(device)
    next(stack)
    return (now(device) - start) / steps
