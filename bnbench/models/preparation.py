"""Norms that act on more than activations: they change the layers of a network once it is built."""

from __future__ import annotations

import inspect
from collections.abc import Sequence
from typing import Any

from torch import nn

from bnbench.norms.common.branch import Branch


def prepares(kind: Any) -> bool:
    """True if a class of norms has the method ``prepare(network, branches)``.

    It is known by the names of its parameters: a user's layer may have a method of that name for something else.
    """
    method = inspect.getattr_static(kind, "prepare", None)
    return inspect.isfunction(method) and list(inspect.signature(method).parameters)[1:] == ["network", "branches"]


def prepare(norm: Any, network: nn.Module, branches: Sequence[Branch]) -> None:
    """Let a norm change a network, if it is one that does."""
    if prepares(type(norm)):
        norm.prepare(network, branches)
