"""Means and variances of sets, and what they are taken over.

Legend: N batch, C channels, * any number of positions.
"""

from __future__ import annotations

from torch import Tensor


def pooled(mean: Tensor, var: Tensor, dim: int) -> tuple[Tensor, Tensor]:
    """Mean and biased variance of equally large sets together, from those of each; the sets lie along ``dim``."""
    overall = mean.mean(dim, keepdim=True)
    return overall, (var + (mean - overall).square()).mean(dim, keepdim=True)


def channel_dims(x: Tensor) -> tuple[int, ...]:
    """The axes of a channel's statistics over a batch x ``[N, C, *]``: the batch and the positions."""
    return (0, *range(2, x.dim()))


def position_dims(x: Tensor) -> tuple[int, ...]:
    """The positions of x ``[N, C, *]``; empty for vectors ``[N, C]``."""
    return tuple(range(2, x.dim()))


def unbiased(var: Tensor, count: int) -> Tensor:
    """The unbiased variance from the biased one of ``count`` values."""
    return var * (count / (count - 1))
