"""Tensors as expressions in C of the indices of their dimensions, and how they lie in memory."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass

Dims = tuple[int, ...]
Index = Sequence[str]
"""An expression for each dimension; 0 for those of size 1."""


class Untranslatable(Exception):
    """An operation has no counterpart; the message says which."""


@dataclass(frozen=True, eq=False)
class Value:
    """A tensor.

    Attributes:
        at: the expression at an index.
        free: whether it costs nothing to reckon it again.
        memory: where it is stored, if it is, and how far apart the numbers of each dimension are.
    """

    shape: Dims
    at: Callable[[Index], str]
    free: bool = False
    memory: tuple[str, Dims] | None = None

    @property
    def count(self) -> int:
        """How many numbers it has."""
        return math.prod(self.shape)


def literal(value: float) -> str:
    """A number of Python in C."""
    if not isinstance(value, bool | int | float):
        raise Untranslatable(f"the number {value}")
    if math.isinf(value):
        return "(-INFINITY)" if value < 0 else "INFINITY"
    return "NAN" if math.isnan(value) else f"((REAL){float(value)!r})"


def without(x: Value, dims: Sequence[int], keep: bool) -> Value:
    """A value without some dimensions of size 1."""
    if keep:
        return x
    left = [dim for dim in range(len(x.shape)) if dim not in dims]

    def at(index: Index) -> str:
        whole = ["0"] * len(x.shape)
        for dim, i in zip(left, index, strict=True):
            whole[dim] = i
        return x.at(whole)

    return Value(tuple(x.shape[dim] for dim in left), at, x.free)


def in_memory(pointer: str, shape: Dims, strides: Dims, cast: str = "") -> Value:
    """A value that is stored; what is read with a cast cannot be looked at in another shape."""
    memory = None if cast else (pointer, strides)
    return Value(shape, lambda index: f"{cast}{pointer}[{place_of(index, strides)}]", True, memory)


def place_of(index: Index, strides: Dims) -> str:
    """Where the number at an index is."""
    terms = [i if stride == 1 else f"{i} * {stride}" for i, stride in zip(index, strides, strict=True) if i != "0"]
    return " + ".join(terms) or "0"


def order_of(rank: int) -> Dims:
    """Dimensions from the outermost in memory to the innermost: images have their channels last."""
    return (0, 2, 3, 1) if rank == 4 else tuple(range(rank))


def strides_of(shape: Dims) -> Dims:
    """How far apart the numbers of each dimension are."""
    strides, step = [0] * len(shape), 1
    for dim in reversed(order_of(len(shape))):
        strides[dim], step = step, step * shape[dim]
    return tuple(strides)


def natural_strides(shape: Dims) -> Dims:
    """How far apart they are where images have their channels first."""
    return tuple(math.prod(shape[dim + 1 :]) for dim in range(len(shape)))
