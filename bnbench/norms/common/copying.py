"""Copies of layers and networks, whatever they keep."""

from __future__ import annotations

import copy
from collections.abc import Callable
from typing import Any, TypeVar

from torch import Tensor
from torch.overrides import TorchFunctionMode

Part = TypeVar("Part")


def copied(part: Part, memo: dict[int, Any] | None = None) -> Part:
    """A deep copy that shares no tensors with a layer, a network, or what a layer keeps.

    A tensor with a history, such as the mean of the last batch that a layer keeps, is copied without it:
    ``copy.deepcopy`` alone refuses it.

    Args:
        memo: by id, what stands for a part instead of a copy of it, as for ``copy.deepcopy``.
    """
    with _WithoutHistory():
        return copy.deepcopy(part, memo)


class _WithoutHistory(TorchFunctionMode):
    """Detaches the tensors that are copied within a block, wherever a layer keeps them."""

    def __torch_function__(
        self, func: Callable[..., Any], types: Any, args: tuple[Any, ...] = (), kwargs: dict[str, Any] | None = None
    ) -> Any:
        if func is Tensor.__deepcopy__ and not args[0].is_leaf:
            return args[0].detach().clone()
        return func(*args, **(kwargs or {}))
