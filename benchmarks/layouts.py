"""``python -m benchmarks.layouts``: what batch normalization adds to a step, by torch alone, in both memory layouts.

The network of ``bnbench study show overhead``, of ``torch.nn`` and ``torch.optim``. Times are CPU times of the one
thread; the networks take turns, a b b a, each after a step that does not count.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass
from statistics import median
from typing import Annotated

import torch
import typer
from torch import Tensor, nn
from torch.nn import functional as F

from bnbench.training import prepare_process

LAYERS = ((1, 32, 1, 8), (32, 32, 1, 8), (32, 64, 2, 4), (64, 64, 1, 4), (64, 128, 2, 2), (128, 128, 1, 2))
"""Inputs, outputs, stride, and rows of the output of each convolution."""
BATCH, CLASSES, PIXELS = 64, 10, 8
WARM_UP = 5
LAYOUTS = {"contiguous": torch.contiguous_format, "channels last": torch.channels_last}


@dataclass(frozen=True)
class Costs:
    """CPU seconds, by layout: of a step without and with batch normalization, and of its layers alone."""

    layout: str
    without: float
    with_norm: float
    ratio: float
    norms: float

    def row(self) -> str:
        """A row of the table, in milliseconds."""
        seconds = " | ".join(f"{1000 * value:.2f}" for value in (self.without, self.with_norm, self.norms))
        return f"| {self.layout} | {seconds} | {self.ratio:.3f} |"


def main(
    turns: Annotated[int, typer.Option(help="Measurements of each network.")] = 150,
    worker: Annotated[bool, typer.Option("--worker", help="In a process like those that train runs.")] = False,
) -> None:
    """Print a Markdown table of the step and of batch normalization in it, for each layout of the images."""
    torch.set_num_threads(1)
    if worker:
        prepare_process()
    torch.manual_seed(0)
    print("| layout | without, ms | with, ms | the norms alone, ms | ratio |\n|---|--:|--:|--:|--:|")
    for layout in LAYOUTS:
        print(measure(layout, turns).row(), flush=True)


def measure(layout: str, turns: int) -> Costs:
    """Time steps with and without batch normalization in turns, and then forward and backward of its layers."""
    steps = [step(network(norm), layout) for norm in (True, False)]
    pairs = []
    for turn in range(WARM_UP + turns):
        seconds = [0.0, 0.0]
        for index in (0, 1) if turn % 2 == 0 else (1, 0):
            steps[index]()
            seconds[index] = cpu_seconds(steps[index])
        pairs.append(seconds)
    with_norm, without = (median(column) for column in zip(*pairs[WARM_UP:], strict=True))
    ratio = median(pair[0] / pair[1] for pair in pairs[WARM_UP:])
    alone = [norm_pass(outputs, rows, layout) for _, outputs, _, rows in LAYERS]
    norms = sum(median([cpu_seconds(call) for _ in range(WARM_UP + turns)][WARM_UP:]) for call in alone)
    return Costs(layout, without, with_norm, ratio, norms)


def network(norm: bool) -> nn.Sequential:
    """Six convolutions, each with its norm in place of a bias, or with a bias; then one linear layer."""
    layers: list[nn.Module] = []
    for inputs, outputs, stride, _ in LAYERS:
        layers.append(nn.Conv2d(inputs, outputs, 3, stride, padding=1, bias=not norm))
        layers += [nn.BatchNorm2d(outputs)] if norm else []
        layers.append(nn.ReLU())
    _, outputs, _, rows = LAYERS[-1]
    return nn.Sequential(*layers, nn.Flatten(), nn.Linear(outputs * rows * rows, CLASSES))


def step(model: nn.Module, layout: str) -> Callable[[], None]:
    """A training step on one batch of images; they and the weights lie in memory as the layout says."""
    model = model.to(memory_format=LAYOUTS[layout])  # type: ignore[call-overload]
    x_NCHW = in_layout(torch.randn(BATCH, 1, PIXELS, PIXELS), layout)
    y_N = torch.randint(CLASSES, (BATCH,))
    optimizer = torch.optim.SGD(model.parameters(), lr=1e-3)

    def take() -> None:
        optimizer.zero_grad()
        F.cross_entropy(model(x_NCHW), y_N).backward()  # type: ignore[no-untyped-call]
        optimizer.step()

    return take


def norm_pass(channels: int, rows: int, layout: str) -> Callable[[], None]:
    """Forward and backward pass of one batch normalization."""
    x_NCHW = in_layout(torch.randn(BATCH, channels, rows, rows), layout).requires_grad_()
    layer, gradient = nn.BatchNorm2d(channels), torch.randn_like(x_NCHW)
    return lambda: torch.autograd.backward(layer(x_NCHW), gradient)


def in_layout(x_NCHW: Tensor, layout: str) -> Tensor:
    """A copy in the layout, with its strides also where there is a single channel."""
    copy = torch.empty(x_NCHW.shape, memory_format=LAYOUTS[layout])
    return copy.copy_(x_NCHW)


def cpu_seconds(call: Callable[[], None]) -> float:
    """CPU time of this thread in a call."""
    start = time.thread_time()
    call()
    return time.thread_time() - start


if __name__ == "__main__":
    typer.run(main)
