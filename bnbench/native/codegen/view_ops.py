"""Operations that show the same numbers in another shape or order."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from torch import fx

from bnbench.native.codegen.indexed_values import Dims, Index, Untranslatable, Value, contiguous_strides, in_memory
from bnbench.native.codegen.nodes import shape_of
from bnbench.native.codegen.schedule import Schedule


def reshape(schedule: Schedule, node: fx.Node, x: Value, *arguments: Any) -> Value:
    """view, squeeze, unsqueeze: the shape is the node's."""
    shape = shape_of(node)
    if [size for size in x.shape if size > 1] == [size for size in shape if size > 1]:
        return _with_other_ones(x, shape)
    return in_memory(schedule.contiguous(x), shape, contiguous_strides(shape))


def _with_other_ones(x: Value, shape: Dims) -> Value:
    """A value with other dimensions of size 1."""
    dims = [dim for dim, size in enumerate(shape) if size > 1]

    def at(index: Index) -> str:
        rest = iter(dims)
        return x.at([index[next(rest)] if size > 1 else "0" for size in x.shape])

    return Value(shape, at, x.free)


def as_strided(schedule: Schedule, node: fx.Node, x: Value, *arguments: Any) -> Value:
    """A view of a tensor that is contiguous, as all are that are not views themselves."""
    shape = node.meta["val"].shape
    if arguments != (list(shape), list(contiguous_strides(tuple(shape)))) or x.count != shape.numel():
        raise Untranslatable(str(node.target))
    return reshape(schedule, node, x)


def expand(schedule: Schedule, node: fx.Node, x: Value, *arguments: Any) -> Value:
    """The same numbers more often."""
    return schedule.broadcast(x, shape_of(node))


def permute(schedule: Schedule, node: fx.Node, x: Value, dims: list[int]) -> Value:
    """Dimensions in another order."""
    order = [dim % len(x.shape) for dim in dims]
    places = [order.index(dim) for dim in range(len(order))]
    shape = tuple(x.shape[dim] for dim in order)
    return Value(shape, lambda index: x.at([index[place] for place in places]), x.free)


def select(schedule: Schedule, node: fx.Node, x: Value, dim: int, position: int) -> Value:
    """One position of a dimension."""
    dim, number = dim % len(x.shape), str(position % x.shape[dim])
    return Value(shape_of(node), lambda index: x.at([*index[:dim], number, *index[dim:]]), x.free)


VIEW_OPS: dict[str, Callable[..., Value]] = {
    **dict.fromkeys(("view", "unsqueeze", "squeeze"), reshape),
    "as_strided": as_strided,
    "expand": expand,
    "permute": permute,
    "select": select,
}
