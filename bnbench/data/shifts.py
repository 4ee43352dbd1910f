"""Images that are not as others of their dataset (Hendrycks & Dietterich 2019; Schneider et al. 2020).

N examples, C channels, H, W; images before normalization, in the units of the dataset. Nothing is clipped or rounded.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from functools import partial

import torch
from torch import Tensor
from torch.nn import functional as F

Shift = Callable[[Tensor, Tensor, torch.Generator], Tensor]
"""From images [N, C, H, W], the standard deviation of training images [C] and a CPU generator to shifted images."""


def contrast(severity: float, x_NCHW: Tensor, std_C: Tensor, rng: torch.Generator) -> Tensor:
    """Bring every image to ``severity`` times its distance from its own mean per channel."""
    mean_NC11 = x_NCHW.mean((2, 3), keepdim=True)
    return mean_NC11 + severity * (x_NCHW - mean_NC11)


def brightness(severity: float, x_NCHW: Tensor, std_C: Tensor, rng: torch.Generator) -> Tensor:
    """Add ``severity`` standard deviations of the training images."""
    return x_NCHW + severity * std_C.view(-1, 1, 1)


def noise(severity: float, x_NCHW: Tensor, std_C: Tensor, rng: torch.Generator) -> Tensor:
    """Add Gaussian noise of ``severity`` standard deviations of the training images."""
    drawn_NCHW = torch.randn(x_NCHW.shape, generator=rng).to(x_NCHW.device)
    return x_NCHW + severity * std_C.view(-1, 1, 1) * drawn_NCHW


def blur(severity: float, x_NCHW: Tensor, std_C: Tensor, rng: torch.Generator) -> Tensor:
    """Blur with a Gaussian of ``severity`` pixels, cut off after three of them; pixels at the edge are repeated."""
    radius = math.ceil(3 * severity)
    offset = torch.arange(-radius, radius + 1, device=x_NCHW.device)
    kernel = torch.exp(-0.5 * (offset / severity) ** 2)
    kernel = (kernel / kernel.sum()).expand(x_NCHW.shape[1], 1, 1, -1)
    padded = F.pad(x_NCHW, (radius, radius, radius, radius), mode="replicate")
    rows = F.conv2d(padded, kernel, groups=len(kernel))
    return F.conv2d(rows, kernel.transpose(2, 3), groups=len(kernel))


SEVERITIES = {
    contrast: (0.7, 0.4, 0.2),
    brightness: (0.5, 1.0, 2.0),
    noise: (0.5, 1.0, 2.0),
    blur: (0.5, 1.0, 2.0),
}

SHIFTS: dict[str, Shift] = {
    f"{change.__name__}_{severity:g}": partial(change, severity)
    for change, severities in SEVERITIES.items()
    for severity in severities
}
"""Shifts by name: ``contrast_0.7``, ``contrast_0.4`` and so on."""
