"""A residual branch, as far as a norm may want to know it."""

from __future__ import annotations

from dataclasses import dataclass

from torch import nn


@dataclass(frozen=True)
class Branch:
    """One residual branch of a network.

    Attributes:
        layers: its convolutions, in order.
        norms: the norm behind each of them.
        shortcut: the norm of the path around it, or None where that has none.
    """

    layers: tuple[nn.Conv2d, ...]
    norms: tuple[nn.Module, ...]
    shortcut: nn.Module | None = None
