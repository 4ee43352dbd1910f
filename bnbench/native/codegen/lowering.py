"""Graphs of single operations as programs of loops."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
from torch import fx

from bnbench.native.codegen.aten_ops import IDENTITIES
from bnbench.native.codegen.indexed_values import Untranslatable, Value, in_memory, stored_strides
from bnbench.native.codegen.loops import Program
from bnbench.native.codegen.nodes import c_type, tensor_of
from bnbench.native.codegen.pointwise_ops import POINTWISE_OPS, from_table
from bnbench.native.codegen.reduce_ops import REDUCE_OPS
from bnbench.native.codegen.schedule import Schedule
from bnbench.native.codegen.view_ops import VIEW_OPS

OPS: dict[str, Callable[..., Any]] = {**POINTWISE_OPS, **REDUCE_OPS, **VIEW_OPS}
"""Operations by name: from a schedule, a node and its arguments to a value, or several."""


def lower(graph: fx.Graph, dtype: torch.dtype) -> Program:
    """A graph of operations on tensors of one type, with its inputs and outputs in order.

    Raises:
        Untranslatable: an operation or a type of numbers is not known.
    """
    schedule = Schedule()
    inputs = [node for node in graph.nodes if node.op == "placeholder"]
    outputs: list[fx.Node] = []
    values: dict[fx.Node, Any] = {
        node: _input(f"in{number}", tensor_of(node), dtype) for number, node in enumerate(inputs)
    }
    for node in graph.nodes:
        if node.op == "call_function":
            values[node] = _value(schedule, node, values, dtype)
        elif node.op == "output":
            outputs += node.args[0]
            for number, output in enumerate(outputs):
                schedule.store(values[output], f"out{number}")
        elif node.op != "placeholder":
            raise Untranslatable(f"{node.op} {node.target}")
    return Program(list(map(c_type, inputs)), list(map(c_type, outputs)), schedule.buffers, schedule.loops)


def _input(pointer: str, tensor: torch.Tensor, dtype: torch.dtype) -> Value:
    shape = tuple(tensor.shape)
    if tensor.dtype == torch.int64:
        return in_memory(pointer, shape, stored_strides(shape), "(REAL)")
    if tensor.dtype != dtype:
        raise Untranslatable(f"a tensor of {tensor.dtype}")
    return in_memory(pointer, shape, stored_strides(shape))


def _value(schedule: Schedule, node: fx.Node, values: dict[fx.Node, Any], dtype: torch.dtype) -> Any:
    """The result of an operation; stored, if several others take it."""
    mapped: Any = fx.map_arg((node.args, node.kwargs), lambda other: values[other])
    arguments, options = mapped
    if getattr(node.target, "__name__", "") == "getitem":
        return arguments[0][arguments[1]]
    name = str(node.target).split(".")[1]
    if name in IDENTITIES and _loses_nothing(node, dtype):
        value = arguments[0]
    elif name in OPS:
        value = OPS[name](schedule, node, *arguments, **options)
    else:
        value = from_table(schedule, node, name, *arguments, **options)
    if isinstance(value, tuple):
        return value
    if tensor_of(node).dtype not in (dtype, torch.bool, torch.int64):  # the last for counts
        raise Untranslatable(f"a tensor of {tensor_of(node).dtype}")
    return schedule.realize(value) if len(node.users) > 1 else value


def _loses_nothing(node: fx.Node, dtype: torch.dtype) -> bool:
    """True if the result of an operation can hold all values of its input."""
    ranks = {torch.bool: 0, torch.int64: 1, dtype: 2}
    result, operand = (ranks.get(tensor_of(each).dtype) for each in (node, node.all_input_nodes[0]))
    return result is not None and operand is not None and result >= operand
