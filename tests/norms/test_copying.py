"""Copies of networks: equal to those of ``copy.deepcopy``, and without a tensor or a table in common."""

from __future__ import annotations

import copy
from collections.abc import Callable
from typing import Any

import pytest
import torch
from torch import Tensor, nn
from torch.nn.utils import parametrizations

from bnbench.norms.common.copying import copied


class Keeper(nn.Module):
    """Keeps all sorts of things, some of them twice."""

    def __init__(self) -> None:
        super().__init__()
        self.inner = nn.Linear(2, 2)
        self.again = [self.inner, {"inner": self.inner}]
        self.table = {"a": torch.ones(2)}
        self.register_buffer("seen", torch.zeros(2), persistent=False)
        self.seen_too = self.table["a"]
        self.register_module("absent", None)


class Shared(nn.Module):
    """Two layers with one table, and one weight."""

    def __init__(self) -> None:
        super().__init__()
        self.first, self.second = Keeper(), Keeper()
        self.second.table = self.first.table
        self.second.inner.weight = self.first.inner.weight


class Selfish(nn.Linear):
    """Says itself how it is copied."""

    def __deepcopy__(self, memo: dict[int, Any]) -> Selfish:
        return self


class Slotted(nn.Module):
    """Keeps something outside of its table of attributes."""

    __slots__ = ("aside",)

    def __init__(self) -> None:
        super().__init__()
        self.aside = [1]


class Stateful(nn.Module):
    """Says itself what there is to copy."""

    def __getstate__(self) -> dict[str, Any]:
        return {**self.__dict__, "copies": True}


def hooked() -> nn.Module:
    network = nn.Sequential(nn.Linear(2, 2), nn.ReLU())
    network[0].register_forward_hook(lambda layer, inputs, output: output + 1)
    return network


NETWORKS: list[Callable[[], nn.Module]] = [
    Keeper,
    Shared,
    Slotted,
    Stateful,
    hooked,
    lambda: nn.Sequential(Selfish(2, 2), nn.BatchNorm1d(2)),
    lambda: nn.Sequential(parametrizations.spectral_norm(nn.Linear(2, 2)), nn.Linear(2, 2).requires_grad_(False)),
    lambda: nn.Sequential(nn.Dropout(0.1), nn.BatchNorm1d(2)).eval(),
]


def described(value: Any, names: dict[int, int]) -> Any:
    """A value as plain data; what occurs twice is told by a number, so that equal descriptions share alike."""
    if id(value) in names:
        return f"number {names[id(value)]}"
    if isinstance(value, Tensor):
        names[id(value)] = len(names)
        return (type(value).__name__, value.tolist(), value.requires_grad)
    if isinstance(value, nn.Module):
        names[id(value)] = len(names)
        aside = [getattr(value, "aside", None)]
        return (type(value).__name__, [(name, described(item, names)) for name, item in vars(value).items()], aside)
    if isinstance(value, dict):
        names[id(value)] = len(names)
        return (type(value).__name__, [(str(key), described(item, names)) for key, item in value.items()])
    if isinstance(value, list | tuple):
        return [described(item, names) for item in value]
    return repr(value) if not callable(value) else value.__qualname__


@pytest.mark.parametrize("make", NETWORKS)
def test_a_copy_is_that_of_deepcopy(make: Callable[[], nn.Module]):
    network = make()
    ours, theirs = copied(network), copy.deepcopy(network)
    assert described(ours, {}) == described(theirs, {})
    for layer, twin in zip(network.modules(), ours.modules(), strict=True):
        if not isinstance(layer, Selfish):
            for name, value in vars(layer).items():
                assert not isinstance(value, dict | list | Tensor) or vars(twin)[name] is not value, name


def test_what_stands_for_a_part_is_taken():
    network = nn.Sequential(nn.Linear(2, 2), nn.Sequential(nn.ReLU(), nn.Linear(2, 2)))
    instead = nn.Identity()
    ours = copied(network, {id(network[1]): instead})
    assert ours[1] is instead and ours[0] is not network[0]
