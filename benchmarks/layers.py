"""``python -m benchmarks.layers``: what each layer of a compiled training step takes on one core, and why."""

from __future__ import annotations

import time
from dataclasses import replace
from pathlib import Path
from typing import Annotated

import torch
import typer

from benchmarks.floor import product_rate
from bnbench.components import components
from bnbench.config import compose_request
from bnbench.native import NativeSteps
from bnbench.native.structures import (
    ACTIVATION,
    ADD,
    ATTENTION,
    AVERAGE,
    CHANNELS_FIRST,
    CONVOLUTION,
    CUSTOM,
    DEPTHWISE,
    DROPOUT,
    LINEAR,
    MAXIMUM,
    NORM,
    PATCHES,
    POSITIONS,
    SUBSAMPLE,
    Layer,
)
from bnbench.stacking import fold
from bnbench.stacking.optimizers import make_lane_optimizer
from bnbench.training import prepare_process
from bnbench.training.optimizer import decays

NAMES = {
    LINEAR: "linear",
    CONVOLUTION: "convolution",
    NORM: "norm",
    ACTIVATION: "activation",
    AVERAGE: "average",
    CHANNELS_FIRST: "channels first",
    ADD: "add",
    SUBSAMPLE: "subsample",
    CUSTOM: "custom",
    PATCHES: "patches",
    POSITIONS: "positions",
    ATTENTION: "attention",
    DEPTHWISE: "depthwise",
    DROPOUT: "dropout",
    MAXIMUM: "maximum",
}


def main(
    overrides: Annotated[list[str], typer.Argument(help="As for bnbench run.")],
    lanes: Annotated[int, typer.Option(help="Runs in the stack.")] = 8,
    steps: Annotated[int, typer.Option(help="Steps of a measurement.")] = 10,
    rounds: Annotated[int, typer.Option(help="Measurements, of which the quickest counts.")] = 20,
    data: Annotated[Path, typer.Option(help="Where datasets are kept.")] = Path("data"),
) -> None:
    """Time the layers of a step, forward and backward with the update of the weights."""
    prepare_process()
    parts = components()
    (spec,) = compose_request([*overrides, "optim.momentum=0.9", "lr=0.0001"], parts).specs
    loaded = parts.load(spec, data)
    specs = [replace(spec, seed=seed) for seed in range(lanes)]
    networks = [parts.build(lane, loaded) for lane in specs]
    network = fold(networks).train()
    optimizer = make_lane_optimizer(specs, network, decays(spec.optim, networks[0]))
    compiled = NativeSteps(spec, network, optimizer, loaded.shape, loaded.classes)
    x_SMCHW = torch.randn(steps, lanes * spec.batch_size, *loaded.shape)
    y_SKN = torch.randint(0, loaded.classes, (steps, lanes, spec.batch_size, *loaded.label_shape))
    lr_SK1 = torch.full((steps, lanes, 1), spec.lr)

    whole, best = float("inf"), torch.full((len(compiled.layers), 2), float("inf"), dtype=torch.float64)
    for _ in range(rounds):
        start = time.perf_counter()
        compiled.run(x_SMCHW, y_SKN, lr_SK1)
        whole = min(whole, time.perf_counter() - start)
        compiled.seconds = torch.zeros_like(best)
        compiled.run(x_SMCHW, y_SKN, lr_SK1)
        best = best.minimum(compiled.seconds)
        compiled.seconds = None
    made = steps * lanes
    print(f"a step of a lane: {whole / made * 1e6:.1f} us; the layers alone {best.sum().item() / made * 1e6:.1f} us")
    counted = [operations(layer, spec.batch_size) for layer in compiled.layers]
    first = next(index for index, counts in enumerate(counted) if counts[0])
    counted[first] = counted[first][0], counted[first][0]  # nobody asks for the images' gradient
    rate, total = product_rate(), sum(forward + backward for forward, backward in counted)
    print(f"floor by arithmetic: {total / 1e6:.2f} MFLOP at {rate / 1e9:.0f} GFLOP/s: ", end="")
    print(f"{total / rate * 1e6:.1f} us", end="")
    print(f", {total / rate / whole * made:.0%} of the step")
    for layer, seconds, counts in zip(compiled.layers, best.tolist(), counted, strict=True):
        shape = layer.shape
        print(f"{NAMES[layer.kind]:14} {shape.height}x{shape.width}x{shape.channels}", end="")
        print(f" to {shape.rows}x{shape.columns}x{shape.outputs}".ljust(16), end="")
        for way, second, count in zip(("forward", "backward"), seconds, counts, strict=True):
            told = f" at {count * made / second / 1e9:5.1f} GFLOP/s" if count else ""
            print(f"  {way} {second / made * 1e6:8.1f} us{told}", end="")
        print()


def operations(layer: Layer, batch: int) -> tuple[int, int]:
    """Floating-point operations of the products of a layer, forward and backward."""
    if layer.kind not in (LINEAR, CONVOLUTION):
        return 0, 0
    shape = layer.shape
    kernel = shape.kernel_rows * shape.kernel_columns if layer.kind == CONVOLUTION else 1
    once = 2 * batch * shape.rows * shape.columns * shape.outputs * shape.channels * kernel
    return once, 2 * once


if __name__ == "__main__":
    typer.run(main)
