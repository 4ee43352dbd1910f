"""Mean and deviation of images, and how float64 images become float32. N examples, C channels, H rows, W columns."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace

import torch
from torch import Tensor

from bnbench.data.raw import Raw
from bnbench.data.room import room_of

_CHUNK = 256

TOLERATED = 2.0**-18
"""Rounding to float32, in standard deviations of a channel, above which a channel is counted from its center."""


def statistics(x_NCHW: Tensor, chosen: Tensor | None = None) -> tuple[Tensor, Tensor]:
    """Mean and population standard deviation per channel, both [C] float32; a constant channel has deviation 1.

    Args:
        chosen: [M] positions of the images that count; None is all.
    """
    mean, std = _moments(x_NCHW, chosen)
    return mean.float(), std.float()


def statistics_of_counts(counts_CV: Tensor) -> tuple[Tensor, Tensor]:
    """:func:`statistics` of images with these :func:`counts`."""
    mean, std = _rounded_off(*_moments_of_counts(counts_CV))
    return mean.float(), std.float()


def are_counted(x_NCHW: Tensor) -> bool:
    """Say if the values of images are counted, which is many times faster where a histogram per channel is few."""
    return x_NCHW.dtype == torch.uint8 and x_NCHW.shape[1] <= 4


def counts(x_NCHW: Tensor, chosen: Tensor | None = None) -> Tensor:
    """[C, 256] float64, how often each channel of uint8 images has each value.

    Args:
        chosen: see :func:`statistics`.
    """
    counts_CV = torch.zeros(x_NCHW.shape[1], 256, dtype=torch.int64)
    for chunk in _chunks(x_NCHW, chosen):
        for channel, counts_V in enumerate(counts_CV):
            counts_V += torch.bincount(chunk[:, channel].reshape(-1), minlength=256)
    return counts_CV.double()


def _chunks(x_NCHW: Tensor, chosen: Tensor | None) -> Iterator[Tensor]:
    """Images, or the chosen ones, some at a time: what is read from a disk need not fit into memory."""
    if chosen is None:
        yield from torch.split(x_NCHW, _CHUNK)
    else:
        yield from (x_NCHW.index_select(0, chosen_N) for chosen_N in torch.split(chosen, _CHUNK))


@dataclass(frozen=True, slots=True)
class Scale:
    """Per channel, the value from which it is counted and the unit in which it is."""

    center: tuple[float, ...]
    unit: tuple[float, ...]


def scale_in_float32(raw: Raw, rounding_C: Tensor, training: Tensor) -> Scale:
    """The scale on which float32 tells the values of float64 images apart.

    A channel far from zero (or as small as 1e-40) would become a few values, or one: it is counted from its mean, in
    units of its standard deviation, which is rounded to a power of two, and the mean to a multiple of it, so that whole
    numbers stay exact. Other channels are cast, so values that float32 holds exactly are always kept.

    Args:
        rounding_C: see :func:`rounding`.
        training: [N1] positions among ``raw.train_x`` of the training examples, which alone decide on mean and unit.
    """
    mean_C, std_C = _moments(raw.train_x, training)
    unit_C = torch.exp2(torch.log2(std_C).floor())
    far_C = rounding_C > TOLERATED * std_C
    center_C = torch.where(far_C, (mean_C / unit_C).round() * unit_C, 0.0)
    unit_C = torch.where(far_C, unit_C, 1.0)
    return Scale(tuple(center_C.tolist()), tuple(unit_C.tolist()))


def in_float32(raw: Raw, scale: Scale) -> Raw:
    """The same data with float32 images on a scale."""
    center_C, unit_C = (torch.tensor(values, dtype=torch.float64) for values in (scale.center, scale.unit))
    test_x = None if raw.test_x is None else _counted(raw.test_x, center_C, unit_C)
    return replace(raw, train_x=_counted(raw.train_x, center_C, unit_C), test_x=test_x)


def _counted(x_NCHW: Tensor, center_C: Tensor, unit_C: Tensor) -> Tensor:
    counted_NCHW = room_of(len(x_NCHW), x_NCHW, torch.float32)
    for target, chunk in zip(torch.split(counted_NCHW, _CHUNK), torch.split(x_NCHW, _CHUNK), strict=True):
        target.copy_((chunk - center_C.view(-1, 1, 1)).div_(unit_C.view(-1, 1, 1)))
    return counted_NCHW


def rounding(raw: Raw) -> Tensor:
    """[C] float64, by how much float32 moves a value of the images at most."""
    parts = [x_NCHW for x_NCHW in (raw.train_x, raw.test_x) if x_NCHW is not None]
    most_C = torch.zeros(raw.train_x.shape[1], dtype=torch.float64)
    for chunk in (chunk for x_NCHW in parts for chunk in torch.split(x_NCHW, _CHUNK)):
        torch.maximum(most_C, (chunk.float().double() - chunk).abs_().amax((0, 2, 3)), out=most_C)
    return most_C


def _moments(x_NCHW: Tensor, chosen: Tensor | None) -> tuple[Tensor, Tensor]:
    """Mean and standard deviation as above, both [C] float64."""
    if are_counted(x_NCHW):
        return _rounded_off(*_moments_of_counts(counts(x_NCHW, chosen)))
    count = len(x_NCHW if chosen is None else chosen) * x_NCHW[0, 0].numel()
    mean = _sum(chunk.double() for chunk in _chunks(x_NCHW, chosen)) / count
    centered = (chunk.double() - mean[:, None, None] for chunk in _chunks(x_NCHW, chosen))
    variance = _sum(chunk.square_() for chunk in centered) / count
    return _rounded_off(mean, variance)


def _sum(chunks: Iterable[Tensor]) -> Tensor:
    """[C] float64, the sum of all chunks, each summed by itself.

    The sums lie together: a tensor for each could keep the memory of the chunk beside it from being used again.
    """
    return torch.tensor([chunk.sum((0, 2, 3)).tolist() for chunk in chunks], dtype=torch.float64).sum(0)


def _rounded_off(mean: Tensor, variance: Tensor) -> tuple[Tensor, Tensor]:
    """Mean and standard deviation; 1 where the variance is rounding."""
    rounding = (mean.abs() * torch.finfo(torch.float64).eps * 8).square()
    return mean, torch.where(variance > rounding, variance.sqrt(), 1.0)


def _moments_of_counts(counts_CV: Tensor) -> tuple[Tensor, Tensor]:
    """Mean and variance, both [C] float64."""
    total, values_V = counts_CV.sum(1), torch.arange(256, dtype=torch.float64)
    mean = counts_CV @ values_V / total
    variance = (counts_CV * (values_V - mean[:, None]).square()).sum(1) / total
    return mean, variance
