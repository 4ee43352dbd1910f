"""Mean and deviation of images, and how float64 images become float32. N examples, C channels, H rows, W columns."""

from __future__ import annotations

from dataclasses import replace

import torch
from torch import Tensor

from bnbench.data.raw import Raw

_CHUNK = 256

TOLERATED = 2.0**-18
"""Rounding to float32, in standard deviations of a channel, above which a channel is counted from its center."""


def statistics(x_NCHW: Tensor) -> tuple[Tensor, Tensor]:
    """Mean and population standard deviation per channel, both [C] float32; a constant channel has deviation 1."""
    mean, std = _moments(x_NCHW)
    return mean.float(), std.float()


def in_float32(raw: Raw, training: Tensor) -> Raw:
    """The same data with float32 images where they are float64; other data is returned as it is.

    A channel far from zero (or as small as 1e-40) would become a few values, or one: it is counted from its mean, in
    units of its standard deviation, which is rounded to a power of two, and the mean to a multiple of it, so that whole
    numbers stay exact. Other channels are cast, so values that float32 holds exactly are always kept.

    Args:
        training: [N1] positions among ``raw.train_x`` of the training examples, which alone decide on mean and unit.
    """
    if raw.train_x.dtype != torch.float64:
        return raw
    mean_C, std_C = _moments(raw.train_x[training])
    parts = [x_NCHW for x_NCHW in (raw.train_x, raw.test_x) if x_NCHW is not None]
    rounded_C = torch.stack([_rounding(x_NCHW) for x_NCHW in parts]).amax(0)
    unit_C = torch.exp2(torch.log2(std_C).floor())
    far_C = rounded_C > TOLERATED * std_C
    center_C = torch.where(far_C, (mean_C / unit_C).round() * unit_C, 0.0)
    unit_C = torch.where(far_C, unit_C, 1.0)
    train_x, *test_x = (_counted(x_NCHW, center_C, unit_C) for x_NCHW in parts)
    return replace(raw, train_x=train_x, test_x=test_x[0] if test_x else None)


def _counted(x_NCHW: Tensor, center_C: Tensor, unit_C: Tensor) -> Tensor:
    chunks = (chunk - center_C.view(-1, 1, 1) for chunk in torch.split(x_NCHW, _CHUNK))
    return torch.cat([chunk.div_(unit_C.view(-1, 1, 1)).float() for chunk in chunks])


def _rounding(x_NCHW: Tensor) -> Tensor:
    """[C] float64, by how much float32 moves a value at most."""
    chunks = torch.split(x_NCHW, _CHUNK)
    return torch.stack([(chunk.float().double() - chunk).abs_().amax((0, 2, 3)) for chunk in chunks]).amax(0)


def _moments(x_NCHW: Tensor) -> tuple[Tensor, Tensor]:
    """Mean and standard deviation as above, both [C] float64."""
    if x_NCHW.dtype == torch.uint8 and x_NCHW.shape[1] <= 4:  # many times faster where a histogram per channel is few
        mean, variance = _histogram_moments(x_NCHW)
    else:
        count = x_NCHW.numel() // x_NCHW.shape[1]
        chunks = torch.split(x_NCHW, _CHUNK)
        mean = torch.stack([chunk.double().sum((0, 2, 3)) for chunk in chunks]).sum(0) / count
        centered = (chunk.double() - mean[:, None, None] for chunk in chunks)
        variance = torch.stack([chunk.square_().sum((0, 2, 3)) for chunk in centered]).sum(0) / count
    rounding = (mean.abs() * torch.finfo(torch.float64).eps * 8).square()
    return mean, torch.where(variance > rounding, variance.sqrt(), 1.0)


def _histogram_moments(x_NCHW: Tensor) -> tuple[Tensor, Tensor]:
    channels = [x_NCHW[:, channel].reshape(-1) for channel in range(x_NCHW.shape[1])]
    counts_CV = torch.stack([torch.bincount(values, minlength=256) for values in channels]).double()
    total, values_V = counts_CV.sum(1), torch.arange(256, dtype=torch.float64)
    mean = counts_CV @ values_V / total
    variance = (counts_CV * (values_V - mean[:, None]).square()).sum(1) / total
    return mean, variance
