"""Layers of a stack in the forms that there are, forward and backward, recorded and played back.

K lanes, N batch of a lane, C input and O output channels of a lane, H = W.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from benchmarks.gpu.machine import seconds_of
from benchmarks.gpu.rows import Row, Rows
from bnbench.stacking.layers.convolution import FoldedConv2d
from bnbench.stacking.layers.linear import FoldedLinear
from bnbench.stacking.layers.windows import convolve_windows

SHAPES = (
    (16, 16, 32, 1),
    (64, 64, 8, 1),
    (16, 32, 28, 2),
    (1, 16, 28, 1),
    (32, 64, 14, 2),
    (32, 32, 16, 1),
    (3, 16, 32, 1),
)
"""C, O, H and stride: the layers of ResNet-20 on 32x32 and of the CNN on 28x28."""
SIZES = ((64, 2), (64, 32), (16, 128), (16, 512))
"""K and N."""
REPEATS = 5


def forms(device: torch.device, smoke: bool) -> Rows:
    """Microseconds of all lanes together."""
    for shape in SHAPES[:1] if smoke else SHAPES:
        for lanes, batch in ((4, 2),) if smoke else SIZES:
            for lower in (None,) if smoke else (None, torch.bfloat16):
                yield partial(_convolution, shape, lanes, batch, lower, device)
    for lanes, batch in ((4, 2),) if smoke else SIZES:
        for channels, size in ((16, 32), (64, 8)):
            yield partial(_batch_norm, channels, size, lanes, batch, device)
        yield partial(_linear, lanes, batch, device)


def _convolution(
    shape: tuple[int, int, int, int], lanes: int, batch: int, lower: torch.dtype | None, device: torch.device
) -> Row:
    channels, outputs, size, stride = shape
    layers = [nn.Conv2d(channels, outputs, 3, stride, 1, bias=False) for _ in range(lanes)]
    folded = FoldedConv2d(layers).to(device)
    x_NCHW = torch.randn(batch, lanes * channels, size, size, device=device)
    windows = folded.windows(x_NCHW)
    assert windows is not None, "these layers can be products"

    def grouped(x: Tensor, weight: Tensor) -> Tensor:
        return F.conv2d(x, weight, None, stride, 1, 1, lanes)

    def product(x: Tensor, weight: Tensor) -> Tensor:
        return convolve_windows(x, weight, lanes, windows)

    times = {}
    for name, form, layout in (
        ("product", product, torch.channels_last),
        ("groups", grouped, torch.contiguous_format),
        ("groups, channels last", grouped, torch.channels_last),
    ):
        x = x_NCHW.clone(memory_format=layout).requires_grad_()
        weight = folded.weight.detach().clone(memory_format=layout).requires_grad_()

        def convolve(form: Callable[..., Tensor] = form, x: Tensor = x, weight: Tensor = weight) -> Tensor:
            with torch.autocast(device.type, lower, enabled=lower is not None):
                return form(x, weight)

        times[name] = _both_ways(convolve, (x, weight), device)
    macs = lanes * batch * outputs * channels * 9 * (size // stride) ** 2
    return {
        "layer": f"conv {channels}->{outputs}, {size}x{size}, stride {stride}, {'bf16' if lower else 'fp32'}",
        "lanes": lanes,
        "batch": batch,
        **times,
        "best": min(times, key=times.__getitem__),
        "TFLOP/s": 6 * macs / min(times.values()) / 1e6,
    }


def _batch_norm(channels: int, size: int, lanes: int, batch: int, device: torch.device) -> Row:
    layer = nn.BatchNorm2d(lanes * channels).to(device)
    x = torch.randn(batch, lanes * channels, size, size, device=device, requires_grad=True)
    last = x.detach().clone(memory_format=torch.channels_last).requires_grad_()
    times = {
        "channels first": _both_ways(lambda: layer(x), (x, *layer.parameters()), device),
        "channels last": _both_ways(lambda: layer(last), (last, *layer.parameters()), device),
    }
    with torch.backends.cudnn.flags(enabled=False):
        times["channels last, not cuDNN"] = _both_ways(lambda: layer(last), (last, *layer.parameters()), device)
    best = min(times, key=times.__getitem__)
    name = f"batch norm of {channels}x{size}x{size}"
    row: Row = {"layer": name, "lanes": lanes, "batch": batch, **times, "best": best}
    return row | {"GB/s": 4 * 8 * x.numel() / min(times.values()) / 1e3}


def _linear(lanes: int, batch: int, device: torch.device) -> Row:
    folded = FoldedLinear([nn.Linear(128, 128) for _ in range(lanes)]).to(device)
    x = torch.randn(lanes * batch, 128, device=device, requires_grad=True)
    weight = torch.randn(lanes, 128, 128, device=device, requires_grad=True)
    bias = torch.zeros(lanes, 1, 128, device=device, requires_grad=True)
    times = {
        "folded": _both_ways(lambda: folded(x), (x, *folded.parameters()), device),
        "baddbmm": _both_ways(
            lambda: torch.baddbmm(bias, x.view(lanes, batch, 128), weight), (x, weight, bias), device
        ),
    }
    best = min(times, key=times.__getitem__)
    return {"layer": "linear 128->128", "lanes": lanes, "batch": batch, **times, "best": best}


def _both_ways(forward: Callable[[], Tensor], wanted: Sequence[Tensor], device: torch.device) -> float:
    """Microseconds of forward and backward, recorded five times over; infinite where it cannot be done."""

    def work() -> None:
        y = forward()
        torch.autograd.grad(y, wanted, torch.ones_like(y))

    try:
        return 1e6 * seconds_of(work, device, REPEATS)
    except RuntimeError:
        return float("inf")
