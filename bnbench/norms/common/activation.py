"""Norms that hold an activation of their own, in place of the one right behind them.

Such a norm has ``activates = True`` and a method ``remove_activation``. A model puts no activation right behind it, and
removes its activation where none is meant to follow, as before the addition of a residual block.
"""

from __future__ import annotations

from typing import Protocol, TypeGuard

from torch import nn


class Activating(Protocol):
    """A norm that holds an activation until it is removed."""

    activates: bool

    def remove_activation(self) -> None:
        """Leave the activation out from now on; ``activates`` is False then."""
        ...


def activates(norm: object) -> TypeGuard[Activating]:
    """True if a norm holds an activation of its own: ``activates`` alone may mean something else in a user's norm."""
    return getattr(norm, "activates", False) is True and callable(getattr(norm, "remove_activation", None))


def without_activation(norm: nn.Module) -> nn.Module:
    """The same norm, its own activation removed if it holds one."""
    if activates(norm):
        norm.remove_activation()
    return norm
