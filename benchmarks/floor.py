"""The least time of a sweep by arithmetic: what its products take at the rate of one large product on every core."""

from __future__ import annotations

import os
import time

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional as F
from torch.utils.flop_counter import FlopCounterMode

from benchmarks.cells import network
from benchmarks.measure import Case

SIZE = 512
"""Rows and columns of the large product."""
PRODUCTS = 20


def floor(case: Case) -> float:
    """Seconds of a sweep if it were nothing but its products: of each training step, of validation, and of the test.

    Operations are counted as of plain convolutions and products; less than all of them may do.
    """
    job = case.job()
    arrays = np.load(job.images)
    many = {part: len(arrays[f"y_{part}"]) for part in ("train", "val", "test")}
    x, y = (torch.from_numpy(arrays[f"{name}_train"][: case.batch_size]) for name in "xy")
    net = network(job, tuple(x.shape[1:]), int(arrays["y_train"].max()) + 1)
    step, seen = operations(net, x.float(), y.long(), True), operations(net, x.float(), y.long(), False)
    steps, shown = many["train"] // case.batch_size * job.epochs, many["val"] * job.epochs + many["test"]
    whole = case.runs * (steps * step + shown / case.batch_size * seen)
    return whole / (product_rate() * len(os.sched_getaffinity(0)))


def operations(net: nn.Module, x: Tensor, y: Tensor, backward: bool) -> int:
    """Floating-point operations of the products of a network for a batch."""
    with FlopCounterMode(display=False) as counter:
        loss = F.cross_entropy(net(x), y)
        if backward:
            loss.backward()
    return counter.get_total_flops()


def product_rate() -> float:
    """Operations a second of torch's product of two square matrices on one core."""
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    a, best = torch.randn(SIZE, SIZE), float("inf")
    for _ in range(PRODUCTS):
        start = time.perf_counter()
        torch.mm(a, a)
        best = min(best, time.perf_counter() - start)
    torch.set_num_threads(threads)
    return 2 * SIZE**3 / best
