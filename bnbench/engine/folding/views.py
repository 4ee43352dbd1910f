"""Folded tensors seen lane by lane."""

from __future__ import annotations

from torch import Tensor


def lanes_of(tensor: Tensor, lanes: int) -> Tensor:
    """A parameter, gradient or buffer of a folded network as a view ``[K, numbers of a lane]``."""
    return tensor.view(lanes, -1)
