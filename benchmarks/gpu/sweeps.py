"""What a run of a sweep costs: in stacks, as a plain script, and as a single run recorded by hand."""

from __future__ import annotations

import tempfile
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from statistics import median

import torch
from torch.nn import functional as F

from benchmarks.cells import LEARNING_RATES, MOMENTUM, WORKLOADS, Job, Workload, network, overrides, write_images
from benchmarks.gpu.correctness import Row
from benchmarks.gpu.stacks import seconds_per_step
from benchmarks.peers import plain
from bnbench.components import components
from bnbench.config import compose_request
from bnbench.data import Data, steps_per_epoch
from bnbench.engine import now
from bnbench.engine.cuda_graph import recorder_for

CELLS = ("digits-mlp", "mnist-cnn", "cifar-resnet20")
STEPS = {2: 200, 512: 20}
"""By batch size, the steps that are timed."""
LANES = (1, 4, 16, 64, 256)


def sweeps(device: torch.device, smoke: bool) -> Iterator[Row]:
    """A row for each cell, batch size and number of lanes, with microseconds of a step of one run."""
    with tempfile.TemporaryDirectory() as scratch:
        for name in CELLS[:1] if smoke else CELLS:
            workload = replace(WORKLOADS[name], augment=False)
            mine, theirs, _ = write_images(workload, Path("data"), Path(scratch))
            for batch_size, steps in ((2, 10),) if smoke else STEPS.items():
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
                yield from _cell(name, workload, job, mine, device, steps, (1, 4) if smoke else LANES)


def _cell(
    name: str, workload: Workload, job: Job, images: Path, device: torch.device, steps: int, counts: tuple[int, ...]
) -> Iterator[Row]:
    spec = compose_request(overrides(workload, job.batch_size, images), components()).specs[0]
    data = components().load(spec, Path("data"))
    script = plain.train(job).epochs[-1] / steps_per_epoch(len(data.train.y), job.batch_size, True)
    single = _recorded_by_hand(job, data, device, steps)
    for lanes in counts:
        try:
            stacked = seconds_per_step(spec, data, lanes, device, steps) / lanes
            as_it_comes = seconds_per_step(spec, data, lanes, device, steps, record=False) / lanes
        except torch.OutOfMemoryError:
            return
        yield {
            "cell": name,
            "batch": job.batch_size,
            "lanes": lanes,
            "us": 1e6 * stacked,
            "us uncaptured": 1e6 * as_it_comes,
            "us plain": 1e6 * script,
            "us single recorded": 1e6 * single,
            "x plain": script / stacked,
            "x single recorded": single / stacked,
        }


def _recorded_by_hand(job: Job, data: Data, device: torch.device, steps: int) -> float:
    """Seconds of a step of one run on one batch that stays on the device: the least that a single run can take."""
    model = network(job.model, job.norm, data.shape, data.classes).to(device)
    optimizer = torch.optim.SGD(model.parameters(), lr=job.lr, momentum=job.momentum)
    x_NCHW = torch.randn(job.batch_size, *data.shape, device=device)
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
