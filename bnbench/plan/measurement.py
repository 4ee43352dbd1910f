"""The time that steps take: a few are made and timed."""

from __future__ import annotations

import itertools
from collections.abc import Iterator, Sequence
from dataclasses import replace

from torch import nn

from bnbench.data import Data
from bnbench.engines import StackOptions, train, train_stack
from bnbench.spec import RunSpec
from bnbench.training import now

LARGEST_LOSS = 1e30
"""Times the first loss: what is only measured does not diverge."""
TINY_LR = 1e-6


def measure_steps(
    specs: Sequence[RunSpec], networks: Sequence[nn.Module], data: Data, engine: str, steps: int
) -> tuple[float, float] | None:
    """Seconds until a stack has made so many steps and an evaluation, and of as many again; None if it diverges.

    Args:
        networks: one per spec.
        data: of all specs, on the device of training.
        engine: ``reference`` for a single run, ``stacked`` or ``native``.
        steps: that are timed.
    """
    every = replace(specs[0].evaluate, every=steps, unit="steps")
    short = [
        replace(spec, steps=3 * steps, epochs=None, evaluate=every, divergence_factor=LARGEST_LOSS, lr=TINY_LR)
        for spec in specs
    ]
    start = now(data.device)
    records: Iterator[object] = (
        train_stack(short, networks, [data] * len(short), options=StackOptions(native=engine == "native"))
        if engine != "reference"
        else train(short[0], networks[0], data)
    )
    pauses = [start, *(now(data.device) for _ in itertools.islice(records, 2))]
    return (pauses[1] - pauses[0], pauses[2] - pauses[1]) if len(pauses) == 3 else None
