"""Norms that hold an activation of their own, in place of the one right behind them.

Such a norm has ``activates = True`` and a method ``remove_activation``. A model puts no activation right behind it, and
removes its activation where none is meant to follow, as before the addition of a residual block.
"""

from __future__ import annotations

from typing import Protocol, TypeGuard

from torch import nn

from bnbench.errors import Impossible


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


def require_no_activation(norm: nn.Module, network: str) -> None:
    """Raise :class:`Impossible` if a norm holds its own activation, for a network that has none right behind a norm."""
    if activates(norm):
        raise Impossible(
            f"the norm holds its own activation in place of one right behind it, and {network} has none there: "
            "choose another norm, e.g. norm=layer, or another model, e.g. model=cnn"
        )
