"""What the device can do at best: the floors under all other figures."""

from __future__ import annotations

from collections.abc import Callable
from statistics import median

import torch

from benchmarks.gpu.rows import Row, Rows
from bnbench.stacking.graph_capture.cuda_graph import recorder_for
from bnbench.training import now

REPEATS = 7


def seconds_of(work: Callable[[], object], device: torch.device, times: int = 1) -> float:
    """Seconds of some work, recorded ``times`` over and played back on a GPU; the median."""
    recorder = recorder_for(device)

    def repeated() -> None:
        for _ in range(times):
            work()

    if recorder is None:
        return _median(repeated, device) / times
    with recorder.stream():
        for _ in range(2):
            work()
        play = recorder.record(repeated)
        return _median(play, device) / times


def _median(work: Callable[[], object], device: torch.device) -> float:
    taken = []
    for _ in range(REPEATS + 2):
        start = now(device)
        work()
        taken.append(now(device) - start)
    return median(taken[2:])


def machine(device: torch.device, smoke: bool) -> Rows:
    """Bandwidth, arithmetic and the cost of a launch."""
    size = 2**16 if smoke else 2**29

    def copy() -> Row:
        source = torch.randn(size, device=device)
        target = torch.empty_like(source)
        seconds = seconds_of(lambda: target.copy_(source), device)
        return {"name": "copy, read and written", "value": 2 * source.nbytes / seconds / 1e9, "unit": "GB/s"}

    def product() -> Row:
        edge = 64 if smoke else 8192
        a, b = torch.randn(2, edge, edge, device=device)
        seconds = seconds_of(lambda: a @ b, device)
        return {"name": "float32 product", "value": 2 * edge**3 / seconds / 1e12, "unit": "TFLOP/s"}

    def node() -> Row:
        x = torch.zeros(1, device=device)
        seconds = seconds_of(lambda: x.add_(1), device, 1000)
        return {"name": "a node of a graph that does nothing much", "value": 1e6 * seconds, "unit": "us"}

    def launch() -> Row:
        x = torch.zeros(1, device=device)

        def adds() -> None:
            for _ in range(1000):
                x.add_(1)

        return {"name": "an operation launched from Python", "value": 1e3 * _median(adds, device), "unit": "us"}

    def to_device() -> Row:
        source = torch.zeros(2**16 if smoke else 2**26)
        seconds = _median(lambda: source.to(device), device)
        return {"name": "copy to the device, not pinned", "value": source.nbytes / seconds / 1e9, "unit": "GB/s"}

    yield from (copy, product, node, launch, to_device)
