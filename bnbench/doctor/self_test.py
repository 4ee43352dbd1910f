"""The same few steps by each engine, and on each GPU, whose results must agree."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Sequence
from functools import partial
from typing import TYPE_CHECKING, TypeAlias

from bnbench.doctor.finding import ABSENT, OK, WRONG, Finding
from bnbench.errors import described

if TYPE_CHECKING:
    from bnbench.training import Record

SETTINGS = ("dataset=digits", "model=mlp", "model.width=16", "norm=batch", "steps=5", "batch_size=32", "seed=0,1")
TOLERANCE = 1e-4
"""Relative difference of losses that rounding in other orders can make in so few steps."""
REMEDY = "do without it ({}), and report it with the output of bnbench doctor --json"
WITHOUT = {"reference": "another version", "stacked": "--lanes 1", "native": "BNBENCH_NATIVE=off"}
ON_A_GPU = "device=cpu, or another GPU"

Losses: TypeAlias = "Callable[[list[str]], list[float]]"
"""Trains the runs, adds to a list why steps on a GPU were not recorded, and gives the test loss of each run."""


def engines() -> Iterator[Finding]:
    """Each engine that there is, with the seconds it took and the loss that two runs came to."""
    expected: list[float] = []
    for name, losses_of in _engines().items():
        began, remedy = time.perf_counter(), REMEDY.format(WITHOUT.get(name, ON_A_GPU))
        notes: list[str] = []
        try:
            losses = losses_of(notes)
        except Exception as error:
            yield Finding("engines", name, WRONG, described(error), remedy)
            continue
        if not losses:
            yield Finding("engines", name, ABSENT, "there is no compiled code")
            continue
        expected = expected or losses
        agree = all(abs(a - b) <= TOLERANCE * abs(b) for a, b in zip(losses, expected, strict=True))
        seconds = time.perf_counter() - began
        said = "; ".join([f"test loss {', '.join(f'{loss:.6f}' for loss in losses)} in {seconds:.1f} s", *notes])
        if agree:
            yield Finding("engines", name, OK, said)
        else:
            others = ", ".join(f"{loss:.6f}" for loss in expected)
            yield Finding("engines", name, WRONG, f"{said}; the reference has {others}", remedy)


def _engines() -> dict[str, Losses]:
    """By name, what trains the runs; it gives nothing where there is no such engine."""
    from pathlib import Path

    import torch

    from bnbench.components import components
    from bnbench.config import compose_request
    from bnbench.data import to_device
    from bnbench.devices import gpus, resolved
    from bnbench.engines import StackOptions, train, train_stack
    from bnbench.native import library
    from bnbench.training import prepare_process

    prepare_process()
    parts = components()
    specs = compose_request(SETTINGS, parts).specs
    data = [parts.load(spec, Path("data")) for spec in specs]

    def reference(notes: list[str]) -> list[float]:
        networks = [parts.build(spec, split) for spec, split in zip(specs, data, strict=True)]
        ends = [[*train(*run)][-1] for run in zip(specs, networks, data, strict=True)]
        return _losses([(0, end) for end in ends])

    def stacked(notes: list[str], native: bool = False, device: str = "cpu") -> list[float]:
        if native and library(torch.float32) is None:
            return []
        there = to_device(data, torch.device(device))
        networks = [parts.build(spec, split).to(device) for spec, split in zip(specs, data, strict=True)]
        records = [*train_stack(specs, networks, there, tell=notes.append, options=StackOptions(native=native))]
        return _losses(records[-1])

    on_gpus: dict[str, Losses] = {
        f"stacked on {gpu}": partial(stacked, device=gpu.name) for gpu in gpus(resolved("auto"))
    }
    return {"reference": reference, "stacked": stacked, "native": partial(stacked, native=True), **on_gpus}


def _losses(ends: Sequence[tuple[int, Record]]) -> list[float]:
    """The test losses of the ends of runs."""
    from bnbench.training import Outcome

    return [end.test_loss for _, end in ends if isinstance(end, Outcome) and end.test_loss is not None]
