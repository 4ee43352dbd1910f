"""Copies of layers and networks, whatever they keep."""

from __future__ import annotations

import copy
from collections import OrderedDict
from collections.abc import Callable
from functools import cache
from typing import Any, TypeVar, cast

import torch
from torch import Tensor, nn
from torch.overrides import TorchFunctionMode

Part = TypeVar("Part")


def copied(part: Part, memo: dict[int, Any] | None = None) -> Part:
    """A deep copy that shares no tensors with a layer, a network, or what a layer keeps.

    A tensor with a history, such as the mean of the last batch that a layer keeps, is copied without it:
    ``copy.deepcopy`` alone refuses it.

    Args:
        memo: by id, what stands for a part instead of a copy of it, as for ``copy.deepcopy``.
    """
    memo = {} if memo is None else memo
    if isinstance(part, nn.Module):
        _copy_parameters(part, memo)
    with _WithoutHistory():
        if isinstance(part, nn.Module):
            _copy_modules(part, memo)
        return copy.deepcopy(part, memo)


def _copy_parameters(root: nn.Module, memo: dict[int, Any]) -> None:
    """Enter into ``memo`` the copies of plain parameters as they copy themselves, but outside of a mode: far sooner."""
    for item in root.parameters():
        if type(item) is nn.Parameter and id(item) not in memo:
            values = item.data.clone(memory_format=torch.preserve_format)
            memo[id(item)] = nn.Parameter(values, item.requires_grad)


def _copy_modules(root: nn.Module, memo: dict[int, Any]) -> None:
    """Enter into ``memo`` the copies of a module and those in it, as ``copy.deepcopy`` makes them, but sooner.

    It spends most of its time on the empty tables of hooks that every module has. A module that says itself how it is
    copied is left to it.
    """
    copies: list[tuple[nn.Module, nn.Module]] = []
    waiting: list[nn.Module | None] = [root]
    while waiting:
        module = waiting.pop()
        if module is not None and id(module) not in memo and _is_plain(cast(Any, type(module))):
            memo[id(module)] = replica = nn.Module.__new__(type(module))
            copies.append((module, replica))
            waiting += module._modules.values()
    for module, replica in copies:
        vars(replica).update({name: _copied_value(name, value, memo) for name, value in vars(module).items()})


TABLES = frozenset(name for name, value in vars(nn.Module()).items() if isinstance(value, dict | set))
"""Names of the tables that every module has, to which nothing else refers."""


def _copied_value(name: str, value: Any, memo: dict[int, Any]) -> Any:
    """A copy of an attribute of a module."""
    if name not in TABLES or type(value) not in (dict, OrderedDict, set):
        return copy.deepcopy(value, memo)
    if not value:
        return type(value)()
    if isinstance(value, set):
        return set(value)
    return type(value)((key, copy.deepcopy(item, memo)) for key, item in value.items())


@cache
def _is_plain(kind: Any) -> bool:
    """True for a class of modules that ``copy.deepcopy`` copies attribute by attribute."""
    methods = ("__reduce__", "__reduce_ex__", "__getstate__")
    return (
        not hasattr(kind, "__deepcopy__")
        and kind.__setstate__ is nn.Module.__setstate__
        and all(getattr(kind, name) is getattr(nn.Module, name) for name in methods)
        and not any("__slots__" in vars(part) for part in kind.__mro__)
    )


class _WithoutHistory(TorchFunctionMode):
    """Detaches the tensors that are copied within a block, wherever a layer keeps them."""

    def __torch_function__(
        self, func: Callable[..., Any], types: Any, args: tuple[Any, ...] = (), kwargs: dict[str, Any] | None = None
    ) -> Any:
        if func is Tensor.__deepcopy__ and not args[0].is_leaf:
            return args[0].detach().clone()
        return func(*args, **(kwargs or {}))
