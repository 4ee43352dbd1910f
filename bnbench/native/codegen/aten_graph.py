"""A layer on a batch of one lane, and its gradients, as graphs of single operations.

N batch of a lane, C channels, H, W.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import cache
from typing import Any

import torch
from torch import Tensor, fx, nn

from bnbench.native.codegen.indexed_values import Untranslatable
from bnbench.stacking.layers.per_lane import tensors_of
from bnbench.training.module_state import changed, state_of

COMPOUND = [torch.ops.aten.native_batch_norm, torch.ops.aten.native_group_norm, torch.ops.aten.native_layer_norm]


Call = Callable[..., list[Tensor]]


@dataclass(frozen=True)
class Calls:
    """A layer as functions of its tensors; the layer, which holds no layers, is left as it was.

    Attributes:
        forward: from x and the tensors to the output and the layer's buffers afterwards.
        backward: from x, the gradient of the output and the tensors to the gradients of x and of each parameter.
        tensors: copies of the layer's, parameters first.
    """

    forward: Call
    backward: Call
    tensors: list[Tensor]


def calls_of(layer: nn.Module) -> Calls:
    """A layer as two functions."""
    tensors = {name: tensor.detach().clone() for name, tensor in tensors_of(layer)}
    buffers = [name for name in tensors if name in layer._buffers]
    count = len(tensors) - len(buffers)

    def forward(x: Tensor, *layer_tensors: Tensor) -> list[Tensor]:
        state = dict(zip(tensors, layer_tensors, strict=True))
        y = torch.func.functional_call(layer, state, (x,))
        return [y, *(state[name] for name in buffers)]  # a buffer that the layer has replaced is the new one

    def backward(x: Tensor, gradient: Tensor, *layer_tensors: Tensor) -> list[Tensor]:
        copies = [tensor.detach().clone() for tensor in (x, *layer_tensors)]
        variables = [tensor.requires_grad_() for tensor in copies[: 1 + count]]
        gradients = torch.autograd.grad(forward(*copies)[0], variables, gradient, allow_unused=True)
        return [torch.zeros_like(tensor) if g is None else g for tensor, g in zip(variables, gradients, strict=True)]

    return Calls(forward, backward, list(tensors.values()))


def operations_of(layer: nn.Module, x: Tensor) -> tuple[fx.Graph, fx.Graph]:
    """The single operations of a layer's two functions.

    Raises:
        Exception: anything, if what the layer does depends on values.
        Untranslatable: it keeps something in Python that changes from call to call.
    """
    calls, before = calls_of(layer), state_of(layer)
    forward = _operations(calls.forward, x, *calls.tensors)
    backward = _operations(calls.backward, x, torch.ones_like(x), *calls.tensors)
    if name := changed(before, state_of(layer)):
        raise Untranslatable(f"{name}, which a step changes or which cannot be compared")
    return forward, backward


def _operations(function: Call, *inputs: Tensor) -> fx.Graph:
    """A function's operations, none of which changes anything in place."""
    from torch.fx.experimental.proxy_tensor import make_fx  # it takes a second to load

    as_written = make_fx(function)(*inputs)
    graph: fx.Graph = make_fx(torch.func.functionalize(as_written), _decompositions())(*inputs).graph
    for node in list(graph.nodes):
        if node.target is torch.ops.aten.copy_.default and not node.users:
            graph.erase_node(node)
    graph.eliminate_dead_code()
    return graph


@cache
def _decompositions() -> dict[Any, Callable[..., Any]]:
    """Compound operations as functions of single ones; to look them all up takes as long as to follow a small layer."""
    from torch._decomp import core_aten_decompositions, get_decompositions  # they take a second to load

    return {**core_aten_decompositions(), **get_decompositions(COMPOUND)}
