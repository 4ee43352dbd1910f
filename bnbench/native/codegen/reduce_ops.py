"""Sums, means, variances and extremes over dimensions."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from functools import partial
from typing import Any

from torch import fx

from bnbench.native.codegen.indexed_values import Value, drop_dims
from bnbench.native.codegen.loops import Reducer
from bnbench.native.codegen.schedule import Schedule

Axes = Sequence[int] | None
"""Dimensions that are reduced; all, if there are none."""


def extreme(
    reducer: Reducer, schedule: Schedule, node: fx.Node, x: Value, dims: Axes = None, keep: bool = False
) -> Value:
    """amax and amin."""
    over = _over(x, dims)
    return drop_dims(schedule.reduce(x, over, reducer), over, keep)


def total(schedule: Schedule, node: fx.Node, x: Value, dims: Axes = None, keep: bool = False, **options: Any) -> Value:
    """sum."""
    over = _over(x, dims)
    return drop_dims(schedule.reduce(x, over, "sum"), over, options.get("keepdim", keep))


def mean(schedule: Schedule, node: fx.Node, x: Value, dims: Axes = None, keep: bool = False, **options: Any) -> Value:
    """mean."""
    over = _over(x, dims)
    return drop_dims(schedule.reduce(x, over, "sum", 1 / _count(x, over)), over, options.get("keepdim", keep))


def var(schedule: Schedule, node: fx.Node, x: Value, dims: Axes = None, **options: Any) -> Value:
    """var."""
    return var_mean(schedule, node, x, dims, **options)[0]


def var_mean(schedule: Schedule, node: fx.Node, x: Value, dims: Axes = None, **options: Any) -> tuple[Value, Value]:
    """The variance about the mean, and the mean."""
    over, keep = _over(x, dims), options.get("keepdim", False)
    x, count = schedule.realize(x), _count(x, over)
    center = schedule.reduce(x, over, "sum", 1 / count)
    mean = schedule.broadcast(center, x.shape)
    squares = Value(x.shape, lambda index: f"square({x.at(index)} - {mean.at(index)})")
    correction = options.get("correction", 1)
    share = 1 / (count - (1 if correction is None else correction))
    return drop_dims(schedule.reduce(squares, over, "sum", share), over, keep), drop_dims(center, over, keep)


def _over(x: Value, dims: Axes) -> list[int]:
    return [dim % len(x.shape) for dim in (dims or range(len(x.shape)))]


def _count(x: Value, over: Sequence[int]) -> int:
    return math.prod(x.shape[dim] for dim in over)


REDUCE_OPS: dict[str, Callable[..., Any]] = {
    "amax": partial(extreme, "amax"),
    "amin": partial(extreme, "amin"),
    "sum": total,
    "mean": mean,
    "var": var,
    "var_mean": var_mean,
}
