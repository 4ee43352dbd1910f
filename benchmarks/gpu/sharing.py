"""Several stacks on one device at a time, each in a process of its own."""

from __future__ import annotations

import multiprocessing
from functools import partial
from multiprocessing.connection import Connection
from multiprocessing.synchronize import Barrier
from pathlib import Path

import torch

from benchmarks.gpu.rows import Row, Rows
from benchmarks.gpu.stacks import steps_of
from bnbench.components import components
from bnbench.config import compose_request
from bnbench.training import now, prepare_process

WORDS = {
    "mlp": ["model=mlp", "batch_size=2"],
    "cnn": ["model=cnn", "batch_size=32"],
    "resnet20": ["model=resnet20", "batch_size=32", "dataset=synthetic", "dataset.size=32", "dataset.channels=3"],
}
PATIENCE = 120.0
"""Seconds in which every process must be ready."""


def sharing(device: torch.device, smoke: bool) -> Rows:
    """A row for each network and number of processes, with the steps of runs that all make in a second."""
    for model in ("mlp",) if smoke else WORDS:
        for lanes in (2,) if smoke else (16, 64):
            for processes in (1, 2) if smoke else (1, 2, 4):
                yield partial(_together, model, lanes, processes, str(device), 5 if smoke else 100)


def _together(model: str, lanes: int, processes: int, device: str, steps: int) -> Row:
    context = multiprocessing.get_context("spawn")
    barrier = context.Barrier(processes)
    pipes = [context.Pipe(duplex=False) for _ in range(processes)]
    started = [
        context.Process(target=_train, args=(model, lanes, device, steps, barrier, theirs), daemon=True)
        for _, theirs in pipes
    ]
    for process in started:
        process.start()
    for _, theirs in pipes:
        theirs.close()
    rates = [float(ours.recv()) for ours, _ in pipes]
    for process in started:
        process.join()
    return {"model": model, "lanes": lanes, "processes": processes, "run-steps/s": sum(rates)}


def _train(model: str, lanes: int, device: str, steps: int, barrier: Barrier, pipe: Connection) -> None:
    """Warm up, wait for the others, and say how many steps of runs a second brings."""
    prepare_process()
    (spec,) = compose_request([*WORDS[model], "optim.momentum=0.9"], components()).specs
    stack = steps_of(spec, components().load(spec, Path("data")), lanes, torch.device(device), steps)
    next(stack)
    barrier.wait(PATIENCE)
    start = now(torch.device(device))
    next(stack)
    pipe.send(lanes * steps / (now(torch.device(device)) - start))
