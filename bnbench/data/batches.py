"""Batches of a training step: an epoch's random draws, made on the CPU, and whole batches from them.

The draws are indexed by the position in the epoch, so any engine that follows them sees the same numbers.
N examples of the epoch or the batch, C channels, H rows, W columns, P pixels of padding.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor
from torch.nn.functional import pad as pad_zeros

from bnbench.data.examples import Data
from bnbench.data.orders import Order
from bnbench.schema.augmentation import Augmentation


@dataclass(frozen=True, slots=True, eq=False)
class Draws:
    """The random numbers of one epoch.

    Attributes:
        order: [N] int64, the example at each position.
        dy: [N] int64 in 0..2P, the first row of the crop; None without augmentation, like ``dx`` and ``flip``.
        dx: [N] int64 in 0..2P, the first column of the crop.
        flip: [N] bool, mirrored or not.
    """

    order: Tensor
    dy: Tensor | None = None
    dx: Tensor | None = None
    flip: Tensor | None = None

    def each(self, change: Callable[[Tensor], Tensor]) -> Draws:
        """Draws with each of their tensors changed in a way."""
        if self.dy is None or self.dx is None or self.flip is None:
            return Draws(change(self.order))
        return Draws(change(self.order), change(self.dy), change(self.dx), change(self.flip))

    def to(self, device: torch.device | str) -> Draws:
        """The same draws on another device."""
        return self.each(lambda part: part.to(device))


def stacked(draws: Sequence[Draws]) -> Draws:
    """Draws of several lanes, equally many of each: [K, N]."""
    parts = [[getattr(lane, name) for lane in draws] for name in ("order", "dy", "dx", "flip")]
    return Draws(*(None if part[0] is None else torch.stack(part) for part in parts))  # type: ignore[arg-type]


def draw_epoch(
    order: Order, augmentation: Augmentation, order_generator: torch.Generator, augment_generator: torch.Generator
) -> Draws:
    """Draw one epoch with CPU generators; ``augment_generator`` is not used without augmentation.

    Flips are drawn before crops, so a change of ``pad`` leaves the flips as they are.
    """
    permutation = order.draw(order_generator)
    if not augmentation.active:
        return Draws(permutation)
    n = len(permutation)
    coin = torch.rand(n, generator=augment_generator) < 0.5
    dy, dx = torch.randint(0, 2 * augmentation.pad + 1, (2, n), generator=augment_generator)
    return Draws(permutation, dy, dx, coin if augmentation.flip else torch.zeros_like(coin))


def training_batch(data: Data, draws: Draws, step: int, batch_size: int, dtype: torch.dtype) -> tuple[Tensor, Tensor]:
    """Batch ``step`` (from 0) of an epoch: x [N, C, H, W] of ``dtype``, augmented, and y [N] or [N, W].

    ``draws`` must be on the device of ``data``; the last batch of an epoch may be smaller.
    """
    here = slice(step * batch_size, (step + 1) * batch_size)
    index = draws.order[here]
    x = normalize(data.train.images(index), data.mean, data.std, dtype)
    if draws.dy is not None and draws.dx is not None and draws.flip is not None:
        x = augment(x, data.augmentation.pad, draws.dy[here], draws.dx[here], draws.flip[here])
    return x, data.train.y.index_select(0, index)


def normalize(x: Tensor, mean: Tensor, std: Tensor, dtype: torch.dtype) -> Tensor:
    """(x - mean) / std per channel, computed in float32 (float64 if asked for) and returned as ``dtype``.

    Args:
        x: [*, C, H, W], not changed.
        mean: [*, C] float32, with axes of one image where several share it.
        std: likewise.
        dtype: a floating-point type.
    """
    wide = torch.float64 if dtype == torch.float64 else torch.float32
    return (x.to(wide) - mean[..., None, None]).div_(std[..., None, None]).to(dtype)


def augment(x: Tensor, pad: int, dy: Tensor, dx: Tensor, flip: Tensor) -> Tensor:
    """Crop every image of a batch at its own place after zero padding, then mirror the chosen ones.

    On normalized images the padding is the channel mean.

    Args:
        x: [N, C, H, W].
        pad: P pixels on each side.
        dy: [N] int64 in 0..2P, the first row.
        dx: [N] int64 in 0..2P, the first column.
        flip: [N] bool.
    """
    if pad == 0:
        return torch.where(flip.view(-1, 1, 1, 1), x.flip(3), x)
    n, c, h, w = x.shape
    rows, columns = torch.arange(h, device=x.device), torch.arange(w, device=x.device)
    row_NH = dy[:, None] + rows
    column_NW = dx[:, None] + torch.where(flip[:, None], w - 1 - columns, columns)
    pixel = row_NH[:, :, None] * (w + 2 * pad) + column_NW[:, None, :]
    padded = pad_zeros(x, (pad, pad, pad, pad)).flatten(2)
    return padded.gather(2, pixel.view(n, 1, h * w).expand(n, c, h * w)).view(n, c, h, w)
