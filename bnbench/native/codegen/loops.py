"""A translated function as loops in the order in which they run: what lies between operations and C."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from bnbench.native.codegen.indexed_values import Dims, Value

Reducer = Literal["sum", "amax", "amin"]


@dataclass(frozen=True)
class Buffer:
    """Numbers in scratch memory.

    Attributes:
        name: of its pointer in C.
        kind: of its numbers: REAL, or double for long sums.
    """

    name: str
    count: int
    kind: Literal["REAL", "double"] = "REAL"


@dataclass(frozen=True)
class Store:
    """Puts each number of a value where it belongs behind a pointer."""

    value: Value
    pointer: str
    strides: Dims


@dataclass(frozen=True)
class Reduction:
    """Puts sums or extremes of a value over some dimensions, times a factor, into a buffer.

    Attributes:
        shape: of the result, with a size of 1 in the dimensions that are reduced.
        total: holds the running totals.
    """

    reducer: Reducer
    value: Value
    shape: Dims
    factor: float
    total: Buffer
    result: Buffer


@dataclass(frozen=True)
class Program:
    """A function from tensors to others.

    Attributes:
        inputs: the type in C of the numbers of each input.
        outputs: the same of each output.
    """

    inputs: list[str]
    outputs: list[str]
    buffers: list[Buffer]
    loops: list[Store | Reduction]
