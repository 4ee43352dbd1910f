"""What a run of a sweep costs: in stacks, as a plain script, and as a single run recorded by hand."""

from __future__ import annotations

import tempfile
from collections.abc import Callable
from dataclasses import replace
from functools import cache, partial
from pathlib import Path
from statistics import median

import torch
from torch.nn import functional as F

from benchmarks.cells import LEARNING_RATES, MOMENTUM, WORKLOADS, Job, Workload, network, overrides, write_images
from benchmarks.gpu.rows import Row, Rows
from benchmarks.gpu.stacks import seconds_per_step
from benchmarks.peers import plain
from bnbench.components import components
from bnbench.config import compose_request
from bnbench.data import steps_per_epoch
from bnbench.stacking.graph_capture.cuda_graph import recorder_for
from bnbench.training import now

CELLS = ("digits-mlp", "mnist-cnn", "cifar-resnet20")
SIZES = ((64, 2, 200), (64, 32, 100), (16, 512, 10), (64, 128, 30), (250, 2, 100), (16, 2, 200), (250, 32, 30))
"""Lanes, batch size, and the steps that are timed."""


def sweeps(device: torch.device, smoke: bool) -> Rows:
    """A row for each cell, batch size and number of lanes, with microseconds of a step of one run."""
    with tempfile.TemporaryDirectory() as scratch:
        images = {}
        for name in CELLS[:1] if smoke else CELLS:
            workload = replace(WORKLOADS[name], augment=False)
            images[name] = workload, write_images(workload, Path("data"), Path(scratch))
        for lanes, batch_size, steps in ((1, 2, 10), (4, 2, 10)) if smoke else SIZES:
            for name, (workload, (mine, theirs, _)) in images.items():
                job = Job(
                    str(theirs),
                    workload.model,
                    batch_size,
                    LEARNING_RATES[0],
                    MOMENTUM,
                    False,
                    1,
                    2,
                    device=str(device),
                )
                yield partial(_cell, name, workload, job, mine, device, steps, lanes)


def _cell(name: str, workload: Workload, job: Job, images: Path, device: torch.device, steps: int, lanes: int) -> Row:
    spec = compose_request(overrides(workload, job.batch_size, images), components()).specs[0]
    data = components().load(spec, Path("data"))
    script = _plain(job) / steps_per_epoch(len(data.train.y), job.batch_size, True)
    single = _recorded_by_hand(job, data.shape, data.classes, device, steps)
    stacked = seconds_per_step(spec, data, lanes, device, steps) / lanes
    return {
        "cell": name,
        "batch": job.batch_size,
        "lanes": lanes,
        "us": 1e6 * stacked,
        "us of a stack": 1e6 * stacked * lanes,
        "us plain": 1e6 * script,
        "us single recorded": 1e6 * single,
        "x plain": script / stacked,
        "x single recorded": single / stacked,
    }


@cache
def _plain(job: Job) -> float:
    """Seconds of an epoch of a plain script, one evaluation on the validation examples included."""
    return plain.train(job).epochs[-1]


@cache
def _recorded_by_hand(job: Job, shape: tuple[int, int, int], classes: int, device: torch.device, steps: int) -> float:
    """Seconds of a step of one run on one batch that stays on the device: the least that a single run can take."""
    model = network(job, shape, classes).to(device)
    optimizer = torch.optim.SGD(model.parameters(), lr=job.lr, momentum=job.momentum)
    x_NCHW = torch.randn(job.batch_size, *shape, device=device)
    y_N = torch.zeros(job.batch_size, dtype=torch.int64, device=device)

    def step() -> None:
        optimizer.zero_grad()
        F.cross_entropy(model(x_NCHW), y_N).backward()
        optimizer.step()

    recorder = recorder_for(device)
    if recorder is None:
        return _median_seconds(step, device, steps)
    with recorder.stream():
        for _ in range(3):
            step()
        play = recorder.record(step)
        return _median_seconds(play, device, steps)


def _median_seconds(step: Callable[[], None], device: torch.device, steps: int) -> float:
    times = []
    for _ in range(5):
        start = now(device)
        for _ in range(steps):
            step()
        times.append((now(device) - start) / steps)
    return median(times)
