"""Convolutions of K lanes beside each other as products, forward and backward, in few passes.

Legend: K lanes, N batch of a lane, C input and O output channels of a lane, H, W input and Y, X output positions, R, S
rows and columns of a kernel, M = N * Y * X, F = R * S * C.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from functools import cache
from typing import Any, NamedTuple

import torch
from torch import Tensor
from torch.nn import functional as F

from bnbench.stacking.layers.batched_matmul import product_into

_rooms: list[dict[Any, Tensor]] = []
"""Of the blocks of :func:`shared_zeros` that have begun and not ended."""


@contextmanager
def shared_zeros() -> Iterator[None]:
    """In this block zeros around images are written once for all images of a size with as many zeros on each side."""
    _rooms.append({})
    try:
        yield
    finally:
        _rooms.pop()


def _room(x_KNHWC: Tensor, corner: tuple[int, int], padded: tuple[int, int]) -> Tensor:
    """Zeros ``[K, N, rows, columns, C]``, but for the place of the images, which begins at a corner."""
    lanes, batch, _, _, channels = x_KNHWC.shape
    shape = lanes, batch, *padded, channels
    if not _rooms:
        return x_KNHWC.new_zeros(shape)
    key = x_KNHWC.shape, corner, padded, x_KNHWC.dtype, x_KNHWC.device
    if key not in _rooms[-1]:
        _rooms[-1][key] = x_KNHWC.new_zeros(shape)
    return _rooms[-1][key]


class Windows(NamedTuple):
    """The places at which a kernel looks: rows first in each pair.

    Attributes:
        kernel: R, S.
        stride: between two positions.
        dilation: between two values that a kernel sees.
        corner: zeros before the first row and column.
        padded: rows and columns, zeros included.
        positions: Y, X.
    """

    kernel: tuple[int, int]
    stride: tuple[int, int]
    dilation: tuple[int, int]
    corner: tuple[int, int]
    padded: tuple[int, int]
    positions: tuple[int, int]

    def patches(self, x_NHWKC: Tensor) -> Tensor:
        """Patches of each lane that the kernel sees, ``[K, M, F]``; lane after lane, so that long runs are copied."""
        _, height, width, lanes, channels = x_NHWKC.shape
        (top, left), (rows, columns) = self.corner, self.padded
        x_KNHWC = x_NHWKC.permute(3, 0, 1, 2, 4)
        values = math.prod(self.kernel) * channels
        if (rows, columns) == (height, width):
            return self._patch_view(x_KNHWC.contiguous()).reshape(lanes, -1, values)
        padded_KNHWC = _room(x_KNHWC, self.corner, self.padded)
        padded_KNHWC[:, :, top : top + height, left : left + width] = x_KNHWC
        return self._patch_view(padded_KNHWC).clone(memory_format=torch.contiguous_format).view(lanes, -1, values)

    def scatter(self, gradient_KMF: Tensor, shape: Sequence[int]) -> Tensor:
        """The gradient of x ``[N, H, W, K, C]`` from that of the patches: they are added where they overlap."""
        batch, height, width, lanes, channels = shape
        (top, left), (rows, columns) = self.corner, self.padded
        count, places = math.prod(self.kernel), math.prod(self.positions)
        gradient_BPFC = gradient_KMF.view(lanes * batch, places, count, channels)
        gradient_BFP = gradient_BPFC.permute(0, 3, 2, 1).reshape(lanes * batch, channels * count, places)
        sum_BCHW = F.fold(gradient_BFP, (rows, columns), self.kernel, self.dilation, 0, self.stride)
        sum_KNCHW = torch.unflatten(sum_BCHW[:, :, top : top + height, left : left + width], 0, (lanes, batch))
        return sum_KNCHW.permute(1, 3, 4, 0, 2)

    def _patch_view(self, padded_KNHWC: Tensor) -> Tensor:
        """The same memory as ``[K, N, Y, X, R, S, C]``."""
        lane, example, row, column, channel = padded_KNHWC.stride()
        (down, across), (far_down, far_across) = self.stride, self.dilation
        steps = row * down, column * across, row * far_down, column * far_across
        lanes, batch, _, _, channels = padded_KNHWC.shape
        shape = lanes, batch, *self.positions, *self.kernel, channels
        return padded_KNHWC.as_strided(shape, (lane, example, *steps, channel))

    def transposed(self, height: int, width: int) -> Windows:
        """The window of the gradient of images of H and W on that of the outputs, where the stride is 1."""
        down, across = (dilation * (size - 1) for dilation, size in zip(self.dilation, self.kernel, strict=True))
        corner = down - self.corner[0], across - self.corner[1]
        return Windows(self.kernel, (1, 1), self.dilation, corner, (height + down, width + across), (height, width))


def convolve_windows(x: Tensor, weight: Tensor, lanes: int, windows: Windows) -> Tensor:
    """The convolution as a product of what the kernels see and the weights.

    Args:
        x: ``[N, K * C, H, W]``.
        weight: ``[K * O, C, R, S]``.
        lanes: K.
        windows: no zeros around an image are farther out than a kernel reaches that looks at its border.

    Returns:
        ``[N, K * O, Y, X]``, channels last.
    """
    if torch.is_autocast_enabled(x.device.type):
        dtype = torch.get_autocast_dtype(x.device.type)
        x, weight = x.to(dtype), weight.to(dtype)
    x_NHWKC = torch.unflatten(x.permute(0, 2, 3, 1), 3, (lanes, -1))
    y_NYXKO: Tensor = ConvolvedWindows.apply(
        x_NHWKC, torch.unflatten(weight.permute(0, 2, 3, 1), 0, (lanes, -1)), windows
    )
    return y_NYXKO.flatten(3).permute(0, 3, 1, 2)


class ConvolvedWindows(torch.autograd.Function):
    """:func:`convolve_windows`."""

    @staticmethod
    def forward(ctx: Any, x_NHWKC: Tensor, weight_KORSC: Tensor, windows: Windows) -> Tensor:
        """Map x to ``[N, Y, X, K, O]``."""
        patches_KMF = windows.patches(x_NHWKC)
        ctx.save_for_backward(patches_KMF, weight_KORSC)
        ctx.windows, ctx.shape = windows, x_NHWKC.shape
        y_NYXKO = x_NHWKC.new_empty(len(x_NHWKC), *windows.positions, *weight_KORSC.shape[:2])
        product_into(y_NYXKO.flatten(0, 2).transpose(0, 1), patches_KMF, weight_KORSC.flatten(2).transpose(1, 2))
        return y_NYXKO

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> tuple[Tensor | None, Tensor | None, None]:
        """With stride 1 the gradient of the images is a convolution too, with the kernels turned around."""
        patches_KMF, weight_KORSC = ctx.saved_tensors
        windows, (_, height, width, *_) = ctx.windows, ctx.shape
        gradient_KMO = gradients[0].flatten(0, 2).transpose(0, 1)
        x_gradient = weight_gradient = None
        if ctx.needs_input_grad[1]:
            weight_gradient = torch.bmm(gradient_KMO.transpose(1, 2), patches_KMF).view(weight_KORSC.shape)
        if ctx.needs_input_grad[0] and windows.stride == (1, 1):
            gradient_patches_KMF = windows.transposed(height, width).patches(gradients[0])
            backwards = _backwards(math.prod(windows.kernel), weight_KORSC.device)
            turned_KFC = weight_KORSC.flatten(2, 3).transpose(1, 2).index_select(1, backwards).flatten(1, 2)
            x_gradient = gradient_patches_KMF.new_empty(ctx.shape)
            product_into(x_gradient.flatten(0, 2).transpose(0, 1), gradient_patches_KMF, turned_KFC)
        elif ctx.needs_input_grad[0]:
            x_gradient = windows.scatter(torch.bmm(gradient_KMO, weight_KORSC.flatten(2)), ctx.shape)
        return x_gradient, weight_gradient, None


@cache
def _backwards(count: int, device: torch.device) -> Tensor:
    """The numbers below a count, the largest first."""
    return torch.arange(count - 1, -1, -1, device=device)
