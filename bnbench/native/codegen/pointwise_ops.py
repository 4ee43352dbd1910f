"""Operations on each number."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
from torch import fx

from bnbench.native.codegen.aten_ops import BOOLEAN, OP_TABLE
from bnbench.native.codegen.indexed_values import Untranslatable, Value, literal
from bnbench.native.codegen.nodes import shape_of, tensor_of
from bnbench.native.codegen.schedule import Schedule


def pointwise(schedule: Schedule, node: fx.Node, template: str, *operands: Any) -> Value:
    """An expression of the numbers of some operands at the same index."""
    shape = shape_of(node)
    parts = [schedule.broadcast(operand, shape) for operand in operands]
    return Value(shape, lambda index: template.format(*(part.at(index) for part in parts)))


def from_table(schedule: Schedule, node: fx.Node, name: str, *operands: Any, **options: Any) -> Value:
    """An operation of the table."""
    translatable = name in OP_TABLE and (name not in BOOLEAN or tensor_of(node).dtype == torch.bool)
    if not translatable or set(options) - {"alpha"}:
        raise Untranslatable(str(node.target))
    return pointwise(schedule, node, OP_TABLE[name], *operands)


def add(schedule: Schedule, node: fx.Node, x: Any, other: Any, **options: Any) -> Value:
    """x + alpha * other."""
    return _scaled(schedule, node, "add", x, other, **options)


def sub(schedule: Schedule, node: fx.Node, x: Any, other: Any, **options: Any) -> Value:
    """x - alpha * other."""
    return _scaled(schedule, node, "sub", x, other, **options)


def _scaled(schedule: Schedule, node: fx.Node, name: str, x: Any, other: Any, **options: Any) -> Value:
    if (alpha := options.get("alpha", 1)) == 1:
        return from_table(schedule, node, name, x, other, **options)
    sign = "-" if name == "sub" else "+"
    return pointwise(schedule, node, f"({{0}} {sign} {literal(alpha)} * {{1}})", x, other)


def power(schedule: Schedule, node: fx.Node, x: Any, exponent: Any) -> Value:
    """x ** exponent."""
    if exponent == 2:
        return pointwise(schedule, node, "square({0})", x)
    return from_table(schedule, node, "pow", x, exponent)


def clamp(schedule: Schedule, node: fx.Node, x: Value, least: Any = None, most: Any = None, **options: Any) -> Value:
    """x within limits, each of which may be missing."""
    least, most = options.get("min", least), options.get("max", most)
    x = x if least is None else pointwise(schedule, node, "largest({0}, {1})", x, least)
    return x if most is None else pointwise(schedule, node, "smallest({0}, {1})", x, most)


def copy(schedule: Schedule, node: fx.Node, target: Value, x: Value, *arguments: Any) -> Value:
    """x, which is copied into what nobody looks at afterwards."""
    return schedule.broadcast(x, shape_of(node))


def fill(schedule: Schedule, node: fx.Node, *arguments: Any, **options: Any) -> Value:
    """One number many times: the first argument of a scalar, the second of what has a shape or is like another."""
    name = str(node.target).split(".")[1]
    return schedule.broadcast(arguments[0 if name == "scalar_tensor" else 1], shape_of(node))


POINTWISE_OPS: dict[str, Callable[..., Value]] = {
    **dict.fromkeys(("full", "full_like", "scalar_tensor"), fill),
    "add": add,
    "sub": sub,
    "pow": power,
    "clamp": clamp,
    "copy_": copy,
}
"""Those that are more than a line of the table."""
