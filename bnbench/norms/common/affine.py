"""The affine part that all variants share: ``y = weight * x + bias`` with one weight and one bias per channel.

Legend: N batch, C channels, * any number of positions.
"""

from __future__ import annotations

from typing import Literal, TypeVar

import torch
from torch import Tensor, nn

Affine = Literal["both", "scale", "shift", "none"]
"""The parameters of a layer: ``weight`` (scale), ``bias`` (shift), both or none."""

MaybeTensor = TypeVar("MaybeTensor", Tensor, Tensor | None)


class AffineNorm(nn.Module):
    """Abstract base: ``weight [C]`` starts at one, ``bias [C]`` at zero, each None where ``affine`` leaves it out."""

    weight: nn.Parameter | None
    bias: nn.Parameter | None

    def __init__(self, num_features: int, eps: float, affine: Affine) -> None:
        super().__init__()
        self.num_features = num_features
        self.eps = eps
        self.weight = nn.Parameter(torch.ones(num_features)) if affine in ("both", "scale") else None
        self.bias = nn.Parameter(torch.zeros(num_features)) if affine in ("both", "shift") else None


def shifts(norm: nn.Module) -> bool:
    """True if the layer adds a shift per channel, which makes a bias right before it superfluous."""
    return isinstance(getattr(norm, "bias", None), Tensor)


def full_precision(value: MaybeTensor) -> MaybeTensor:
    """The value in float32, or float64 if it is float64; None stays None."""
    return value if value is None or value.dtype == torch.float64 else value.float()


def broadcast_channels(vector_C: Tensor, x: Tensor) -> Tensor:
    """A vector ``[C]`` in full precision, in the shape ``[C, 1, ...]`` that meets the channels of x ``[N, C, *]``."""
    return full_precision(vector_C).view(-1, *[1] * (x.dim() - 2))


def scale_and_shift(x: Tensor, weight_C: Tensor | None, bias_C: Tensor | None) -> Tensor:
    """``weight * x + bias`` over the channels of x ``[N, C, *]``, in the precision of x."""
    if weight_C is not None:
        x = x * broadcast_channels(weight_C, x)
    return x if bias_C is None else x + broadcast_channels(bias_C, x)
