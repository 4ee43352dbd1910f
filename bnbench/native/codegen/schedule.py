"""The choice of values that are stored, and when: the loops of a function as its operations come.

A value is an expression of the indices of its dimensions until it is stored. It is stored where it is needed more than
once, or for more numbers than it has, as a mean over the batch is. Images [N, C, H, W] are stored with their channels
last.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Literal

from bnbench.native.codegen.indexed_values import (
    Dims,
    Index,
    Value,
    contiguous_strides,
    in_memory,
    literal,
    stored_strides,
)
from bnbench.native.codegen.loops import Buffer, Reducer, Reduction, Store

MANY = 512
"""Numbers from which a sum is taken in double."""


class Schedule:
    """Loops and the buffers that they fill."""

    def __init__(self) -> None:
        self.buffers: list[Buffer] = []
        self.loops: list[Store | Reduction] = []
        self._realized: dict[Value, Value] = {}

    def realize(self, x: Value) -> Value:
        """A value that costs nothing: stored, unless it does so already."""
        if x.free:
            return x
        if x not in self._realized:
            self._realized[x] = self._stored(x, stored_strides(x.shape))
        return self._realized[x]

    def contiguous(self, x: Value) -> str:
        """The pointer to a value that is stored with its last dimension innermost."""
        if x.memory is None or x.memory[1] != contiguous_strides(x.shape):
            x = self._stored(x, contiguous_strides(x.shape))
        assert x.memory is not None, "it is stored"
        return x.memory[0]

    def broadcast(self, operand: Value | float, shape: Dims) -> Value:
        """A tensor or number as a tensor of a shape; stored, if the shape has more numbers."""
        if not isinstance(operand, Value):
            text = literal(operand)
            return Value(shape, lambda index: text, free=True)
        x = self.realize(operand) if operand.count < math.prod(shape) else operand
        first = len(shape) - len(x.shape)

        def at(index: Index) -> str:
            return x.at([i if size > 1 else "0" for size, i in zip(x.shape, index[first:], strict=True)])

        return Value(shape, at, x.free)

    def reduce(self, x: Value, over: Sequence[int], reducer: Reducer, factor: float = 1) -> Value:
        """A sum or extreme over dimensions, which stay with a size of 1, times a factor."""
        shape = tuple(1 if dim in over else size for dim, size in enumerate(x.shape))
        count = math.prod(shape)
        total = self._buffer(count, "double" if reducer == "sum" and x.count // count > MANY else "REAL")
        result = self._buffer(count)
        self.loops.append(Reduction(reducer, x, shape, factor, total, result))
        return in_memory(result.name, shape, stored_strides(shape))

    def store(self, x: Value, pointer: str) -> None:
        """Put a value behind a pointer."""
        self.loops.append(Store(x, pointer, stored_strides(x.shape)))

    def _stored(self, x: Value, strides: Dims) -> Value:
        buffer = self._buffer(x.count)
        self.loops.append(Store(x, buffer.name, strides))
        return in_memory(buffer.name, x.shape, strides)

    def _buffer(self, count: int, kind: Literal["REAL", "double"] = "REAL") -> Buffer:
        self.buffers.append(Buffer(f"buffer{len(self.buffers)}", count, kind))
        return self.buffers[-1]
