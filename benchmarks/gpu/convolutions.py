"""The forms of a folded convolution: forward and backward of a lane.

K lanes, N batch of a lane, C input and O output channels of a lane, H = W.
"""

from __future__ import annotations

from collections.abc import Iterator

import torch
from torch import nn

from benchmarks.gpu.correctness import Row
from bnbench.engine.folding.convolution import FoldedConv2d
from bnbench.engine.forms import form_seconds

SHAPES = (
    (1, 16, 28, 1),
    (16, 32, 28, 2),
    (32, 64, 14, 2),
    (3, 16, 32, 1),
    (16, 16, 32, 1),
    (32, 32, 16, 1),
    (64, 64, 8, 1),
)
"""C, O, H and stride: the layers of the CNN on 28x28 and of ResNet-20 on 32x32."""
SIZES = ((16, 2), (128, 2), (16, 32), (64, 32), (8, 512))
"""K and N."""
REPEATS = 20


def convolutions(device: torch.device, smoke: bool) -> Iterator[Row]:
    """Microseconds of a lane by form, for each layer and size of a stack, in float32 and bfloat16."""
    for channels, outputs, size, stride in SHAPES[:2] if smoke else SHAPES:
        for lanes, batch in ((4, 2),) if smoke else SIZES:
            for dtype in (torch.float32, torch.bfloat16):
                layers = [nn.Conv2d(channels, outputs, 3, stride, 1, bias=False) for _ in range(lanes)]
                folded = FoldedConv2d(layers).to(device, dtype)
                x_MCHW = torch.randn(lanes * batch, channels, size, size, device=device, dtype=dtype)
                repeats = 2 if smoke else REPEATS
                times: dict[str, float] = {
                    form: 1e6 * form_seconds(folded, form, x_MCHW, None, repeats) / lanes for form in folded.forms
                }
                layer = f"{channels}->{outputs}, {size}x{size}, stride {stride}"
                kind = str(dtype).removeprefix("torch.")
                best = min(times, key=times.__getitem__)
                yield {"layer": layer, "lanes": lanes, "batch": batch, "type": kind, **times, "best": best}
