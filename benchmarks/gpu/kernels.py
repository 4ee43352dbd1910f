"""What a step of a stack is made of on the device: its kernels, how long they take and what else takes time."""

from __future__ import annotations

from collections import Counter
from dataclasses import replace
from functools import partial
from pathlib import Path

import torch
from torch.profiler import ProfilerActivity, profile

from benchmarks.gpu.rows import Row, Rows
from benchmarks.gpu.stacks import steps_of
from bnbench.components import components
from bnbench.config import compose_request
from bnbench.training import now

WORDS = {
    "mlp": ["model=mlp"],
    "cnn": ["model=cnn", "dataset=synthetic", "dataset.size=28", "dataset.channels=1"],
    "resnet20": ["model=resnet20", "dataset=synthetic", "dataset.size=32", "dataset.channels=3"],
}
SIZES = ((64, 2), (64, 32), (16, 512))
"""K and N."""
SHOWN = 8
"""Kernels of a step that are named, those that take the longest."""


def kernels(device: torch.device, smoke: bool) -> Rows:
    """For each network and size of a stack the number of kernels of a step, the share of time in which they run."""
    for lanes, batch in ((2, 2),) if smoke else SIZES:
        for model in ("mlp",) if smoke else WORDS:
            yield partial(_profiled, model, lanes, batch, device, 5 if smoke else 20)


def _profiled(model: str, lanes: int, batch: int, device: torch.device, steps: int) -> Row:
    words = [*WORDS[model], "norm=batch", f"batch_size={batch}", "optim.momentum=0.9"]
    if model != "mlp":
        words.append("dataset.examples=3000")
    (spec,) = compose_request(words, components()).specs
    data = components().load(replace(spec), Path("data"))
    stack = steps_of(spec, data, lanes, device, steps)
    next(stack)
    activities = [ProfilerActivity.CUDA if device.type == "cuda" else ProfilerActivity.CPU]
    start = now(device)
    with profile(activities=activities) as found:
        next(stack)
        now(device)
    wall = 1e6 * (now(device) - start)
    times, counts = Counter[str](), Counter[str]()
    for event in found.events() or ():
        taken = event.device_time if device.type == "cuda" else event.cpu_time
        times[event.name] += taken
        counts[event.name] += 1
    next(stack)
    row: Row = {
        "model": model,
        "lanes": lanes,
        "batch": batch,
        "us of a step, profiled": wall / steps,
        "kernels": sum(counts.values()) / steps,
        "us in kernels": sum(times.values()) / steps,
    }
    for rank, (name, taken) in enumerate(times.most_common(SHOWN), 1):
        short = name.replace("void ", "").replace("at::native::", "").replace("|", "/")[:90]
        row[f"kernel {rank}"] = f"{short} x{counts[name] / steps:.3g}: {taken / steps:.1f} us"
    return row
