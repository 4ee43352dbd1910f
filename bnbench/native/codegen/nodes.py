"""Nodes of a graph of operations: the tensor that each stands for."""

from __future__ import annotations

import torch
from torch import fx

from bnbench.native.codegen.indexed_values import Dims


def tensor_of(node: fx.Node) -> torch.Tensor:
    """An example of what an operation gives."""
    tensor: torch.Tensor = node.meta["val"]
    return tensor


def shape_of(node: fx.Node) -> Dims:
    """The shape of what an operation gives."""
    return tuple(tensor_of(node).shape)


def c_type(node: fx.Node) -> str:
    """The type in C of the numbers of an input or an output."""
    return "int64_t" if tensor_of(node).dtype == torch.int64 else "REAL"
