"""Two-dimensional convolutions of K lanes, in the form that is quickest for their size.

Legend: K lanes, N batch of a lane, C input and O output channels of a lane, H, W input and Y, X output positions, R, S
rows and columns of a kernel, M = N * Y * X, F = R * S * C.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from typing import Any, Literal

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from bnbench.norms.common.stacking import take_tensors
from bnbench.stacking.layers.batched_matmul import FactoredLayer, lane_product
from bnbench.stacking.layers.layout import lanes_in_batch, lanes_in_channels
from bnbench.stacking.layers.windows import Windows, convolve_windows

Form = Literal["product", "lane_by_lane", "groups"]

PRODUCT_BYTES = 300_000
"""Patches or outputs of one lane, whichever are more, up to which a product is quicker on a CPU core.

Forward and backward of a lane in microseconds, as a product and lane by lane, at N=2, 8, 32, for 8 lanes on an AMD EPYC
core: C=32 O=64 H=W=4 stride 2: 35, 78, 270; 122, 161, 317. C=16 O=32 H=W=28 stride 2: 217, 897, 4015; 199, 579, 2024.
C=1 O=16 H=W=28: 81, 384, 1661; 85, 153, 558. On an Intel Xeon core products stay ahead up to twice the size.
"""


WIDE_PRODUCT_ROWS, LOWER_PRODUCT_ROWS = 8192, 512
"""Positions in the batch of a lane up to which a product is quicker than a convolution in groups on a GPU, in float32
and in bfloat16. ``python -m benchmarks.gpu --part forms`` measures that, and what else the form goes by.
"""


class FoldedConv2d(FactoredLayer):
    """``[K * N, C, H, W] -> [K * N, O, Y, X]`` with ``weight [K * O, C / groups, R, S]``, channels last, and ``bias``.

    It takes the form of a product of patches and weights for small images and batches, of one convolution per lane for
    large ones, and of one convolution in groups where the lanes have groups themselves, or on a GPU.

    Attributes:
        form: the form to take; None lets the size and the device decide.
        factors: takes the gradient of the weight if it is a list and the form is a product.
        reparametrization: computes the weight that is applied from the trained one, if the lanes do so.
        wide: whether it maps ``[N, K * C, H, W] -> [N, K * O, Y, X]``, channels last.
    """

    bias: Tensor | None

    def __init__(self, lanes: Sequence[nn.Conv2d]) -> None:
        super().__init__()
        first = lanes[0]
        take_tensors(self, lanes)
        self.weight.data = self.weight.data.contiguous(memory_format=torch.channels_last)
        self.lanes, self.groups = len(lanes), first.groups
        self.in_channels, self.out_channels = first.in_channels, first.out_channels
        self.kernel_size, self.stride, self.dilation = (
            _pair(first.kernel_size),
            _pair(first.stride),
            _pair(first.dilation),
        )
        self.padding_mode = "constant" if first.padding_mode == "zeros" else first.padding_mode
        (left, right), (top, bottom) = _sides(first, 1), _sides(first, 0)
        self.margins = [left, right, top, bottom]
        self.padding = (top, left) if self.padding_mode == "constant" and (top, left) == (bottom, right) else None
        self.form: Form | None = None
        self.reparametrization = getattr(first, "reparametrization", None)
        self.wide = False

    def forward(self, x: Tensor) -> Tensor:
        """Map x ``[K * N, C, H, W]``."""
        rule = self.reparametrization
        weight = self.weight if rule is None else rule.weight_of(self, self.lanes)
        if self.wide:
            y = self._wide(x, weight)
            return y if self.bias is None else y + self.bias.view(-1, 1, 1)
        y = self._form(x)(x, weight)
        if self.bias is None:
            return y
        y_KNOYX = torch.unflatten(y, 0, (self.lanes, -1)) + self.bias.view(self.lanes, 1, -1, 1, 1)
        return y_KNOYX.flatten(0, 1)

    @property
    def forms(self) -> tuple[Form, ...]:
        """The forms it may take."""
        return ("groups",) if self.groups > 1 else ("groups", "product", "lane_by_lane")

    def _form(self, x: Tensor) -> Callable[[Tensor, Tensor], Tensor]:
        forms: dict[Form, Callable[[Tensor, Tensor], Tensor]] = {
            "product": self._as_product,
            "lane_by_lane": self._lane_by_lane,
            "groups": self._in_groups,
        }
        return forms[self.form or self._quickest(x)]

    def _quickest(self, x: Tensor) -> Form:
        if self.groups > 1 or x.device.type != "cpu":
            return "groups"
        rows = len(x) // self.lanes * math.prod(self.positions(*x.shape[2:]))
        values = rows * max(self.in_channels * math.prod(self.kernel_size), self.out_channels)
        return "product" if values * x.element_size() <= PRODUCT_BYTES else "lane_by_lane"

    def _wide(self, x: Tensor, weight: Tensor) -> Tensor:
        """The form on a GPU for a network of lanes beside each other, by its size."""
        windows, lower = self.windows(x), torch.is_autocast_enabled(x.device.type)
        rows, many, strides = (
            len(x) * math.prod(self.positions(*x.shape[2:])),
            self.in_channels >= 64,
            self.stride != (1, 1),
        )
        if windows is not None and self.in_channels > 1:
            if rows <= WIDE_PRODUCT_ROWS if not lower else rows <= LOWER_PRODUCT_ROWS and (many or strides):
                return convolve_windows(x, weight, self.lanes, windows)
        x, padding = self._padded(x)
        first = strides or self.in_channels == self.groups or (many and not lower)
        layout = torch.contiguous_format if first else torch.channels_last
        x, weight = x.contiguous(memory_format=layout), weight.contiguous(memory_format=layout)
        y = F.conv2d(x, weight, None, self.stride, padding, self.dilation, self.lanes * self.groups)
        return y.contiguous(memory_format=torch.channels_last)

    def _as_product(self, x: Tensor, weight: Tensor) -> Tensor:
        positions = self.positions(*x.shape[2:])
        x = F.pad(x, self.margins, self.padding_mode) if any(self.margins) else x
        patches_KMF = Patches.apply(x, self.lanes, self.kernel_size, self.stride, self.dilation, positions)
        weight_KOF = weight.permute(0, 2, 3, 1).reshape(self.lanes, self.out_channels, -1)
        y_KMO = lane_product(patches_KMF, weight_KOF, self.factors)
        return y_KMO.view(len(x), *positions, self.out_channels).permute(0, 3, 1, 2)

    def windows(self, x: Tensor) -> Windows | None:
        """The geometry of a product in few passes, if it can be made so."""
        left, right, top, bottom = self.margins
        reach = [dilation * (size - 1) for dilation, size in zip(self.dilation, self.kernel_size, strict=True)]
        fits = max(top, bottom) <= reach[0] and max(left, right) <= reach[1]
        if not fits or self.padding_mode != "constant" or self.groups > 1:
            return None
        height, width = x.shape[2:]
        padded = height + top + bottom, width + left + right
        positions = self.positions(height, width)
        return Windows(self.kernel_size, self.stride, self.dilation, (top, left), padded, positions)

    def _lane_by_lane(self, x: Tensor, weight: Tensor) -> Tensor:
        x, padding = self._padded(x)
        parts = zip(x.chunk(self.lanes), weight.chunk(self.lanes), strict=True)
        return torch.cat([F.conv2d(part, kernel, None, self.stride, padding, self.dilation) for part, kernel in parts])

    def _in_groups(self, x: Tensor, weight: Tensor) -> Tensor:
        x, padding = self._padded(lanes_in_channels(x, self.lanes))
        y = F.conv2d(x, weight, None, self.stride, padding, self.dilation, self.lanes * self.groups)
        return lanes_in_batch(y, self.lanes)

    def _padded(self, x: Tensor) -> tuple[Tensor, tuple[int, int]]:
        """x and the zeros that a convolution is to put around it."""
        if self.padding is not None:
            return x, self.padding
        return F.pad(x, self.margins, self.padding_mode), (0, 0)

    def positions(self, height: int, width: int) -> tuple[int, int]:
        """Y and X for images of H and W."""
        left, right, top, bottom = self.margins
        height, width = height + top + bottom, width + left + right
        rows = (height - self.dilation[0] * (self.kernel_size[0] - 1) - 1) // self.stride[0] + 1
        return rows, (width - self.dilation[1] * (self.kernel_size[1] - 1) - 1) // self.stride[1] + 1


class Patches(torch.autograd.Function):
    """The patches of x ``[K * N, C, H, W]`` that a kernel sees, as rows ``[K, M, F]``."""

    @staticmethod
    def forward(
        ctx: Any,
        x: Tensor,
        lanes: int,
        kernel: tuple[int, int],
        stride: tuple[int, int],
        dilation: tuple[int, int],
        positions: tuple[int, int],
    ) -> Tensor:
        """Copy the patches of a padded x; whole rows of a kernel lie together if it has its channels last."""
        x_BHWC = x.permute(0, 2, 3, 1).contiguous()
        batch, _, _, channels = x_BHWC.shape
        example, row, column, _ = x_BHWC.stride()
        ctx.plan = x_BHWC.shape, kernel, stride, dilation, positions
        windows = x_BHWC.as_strided(
            (batch, *positions, *kernel, channels),
            (example, row * stride[0], column * stride[1], row * dilation[0], column * dilation[1], 1),
        )
        return windows.reshape(lanes, -1, kernel[0] * kernel[1] * channels)

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> tuple[Tensor | None, ...]:
        """Add the gradients of the patches where they overlap."""
        if not ctx.needs_input_grad[0]:
            return (None,) * 6
        shape, kernel, stride, dilation, positions = ctx.plan
        windows = gradients[0].view(shape[0], *positions, *kernel, shape[3])
        x_BHWC = gradients[0].new_zeros(shape)
        spans = [step * (count - 1) + 1 for step, count in zip(stride, positions, strict=True)]
        for row in range(kernel[0]):
            for column in range(kernel[1]):
                top, left = row * dilation[0], column * dilation[1]
                patch = x_BHWC[:, top : top + spans[0] : stride[0], left : left + spans[1] : stride[1]]
                patch += windows[:, :, :, row, column]
        return (x_BHWC.permute(0, 3, 1, 2), *(None,) * 5)


def _pair(sizes: tuple[int, ...]) -> tuple[int, int]:
    """Sizes of rows and of columns."""
    rows, columns = sizes
    return rows, columns


def _sides(layer: nn.Conv2d, axis: int) -> tuple[int, int]:
    """Padding before and after along an axis."""
    if isinstance(layer.padding, str):
        total = layer.dilation[axis] * (layer.kernel_size[axis] - 1) if layer.padding == "same" else 0
        return total // 2, total - total // 2
    return layer.padding[axis], layer.padding[axis]
