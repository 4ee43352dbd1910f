"""``python -m benchmarks.norms``: forward and backward pass of each norm on the CPU, beside torch.nn.BatchNorm2d.

Norms that change the layers of a network are left out: what they cost is not in a layer of theirs.
"""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from statistics import median
from typing import Annotated

import torch
import typer
from torch import Tensor, nn

from bnbench.models.preparation import prepares
from bnbench.norms import NORMS
from bnbench.training import prepare_process

SHAPES = ((32, 32, 32, 32), (64, 64, 16, 16))
LAYOUTS = {"contiguous": torch.contiguous_format, "channels last": torch.channels_last}
PEER = "torch.nn.BatchNorm2d"
MEASURED = {name: norm for name, norm in NORMS.items() if not prepares(norm)}


def main(
    rounds: Annotated[int, typer.Option(help="How often each norm is measured, in turns.")] = 30,
    norms: Annotated[list[str] | None, typer.Option(help="Names of norms; repeatable. All by default.")] = None,
) -> None:
    """Print a Markdown table per shape and layout: milliseconds, and the ratio to torch's own batch normalization."""
    if unknown := sorted({*(norms or ())} - {*MEASURED}):
        raise typer.BadParameter(f"{', '.join(unknown)}: must be of {', '.join(MEASURED)}", param_hint="--norms")
    prepare_process()
    torch.manual_seed(0)
    for shape in SHAPES:
        for layout, memory_format in LAYOUTS.items():
            x = torch.randn(shape).to(memory_format=memory_format).requires_grad_()
            layers = {PEER: nn.BatchNorm2d(shape[1]), **{name: MEASURED[name](shape[1]) for name in norms or MEASURED}}
            print(f"\n{list(shape)}, {layout}, one thread:\n\n{table(measure(layers, x, rounds))}", flush=True)


def measure(layers: Mapping[str, nn.Module], x: Tensor, rounds: int) -> dict[str, list[float]]:
    """Seconds of a forward and backward pass in each round, after two to warm up; within a round in turns."""
    gradient, seconds = torch.randn_like(x), {name: list[float]() for name in layers}
    for number in range(rounds + 2):
        for name, layer in layers.items():
            x.grad = None
            layer.zero_grad()
            start = time.perf_counter()
            layer(x).backward(gradient)
            if number >= 2:
                seconds[name].append(time.perf_counter() - start)
    return seconds


def table(seconds: Mapping[str, Sequence[float]]) -> str:
    """Markdown: median and quartiles in milliseconds, and the median of the rounds' ratios to torch's layer."""
    lines = ["| norm | ms | quartiles | ratio |", "|---|--:|--:|--:|"]
    for name, times in seconds.items():
        ordered = sorted(1000 * value for value in times)
        low, high = ordered[len(ordered) // 4], ordered[3 * len(ordered) // 4]
        ratio = median(ours / theirs for ours, theirs in zip(times, seconds[PEER], strict=True))
        lines.append(f"| {name} | {median(ordered):.2f} | {low:.2f}-{high:.2f} | {ratio:.2f} |")
    return "\n".join(lines)


if __name__ == "__main__":
    typer.run(main)
