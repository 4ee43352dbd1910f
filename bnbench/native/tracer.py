"""A folded network followed through its ``forward``, down to the layers that there is a rule for."""

from __future__ import annotations

import operator
from typing import Any, cast

import torch
from torch import fx, nn
from torch.nn import functional as F

from bnbench.error_origin import is_bug
from bnbench.errors import message_of
from bnbench.models.replacement import LastAxisNorm
from bnbench.native import structures as c
from bnbench.native.graph import Graph, Image, NotNative, Output, State
from bnbench.native.layer_rules import RULES, add, average, by_rule, flatten
from bnbench.stacking import Folded
from bnbench.stacking.layers.layout import has_lanes_in_channels
from bnbench.training.module_state import changed, python_state

SUMS = {operator.add, operator.iadd, torch.add}
RELUS = {torch.relu, F.relu}
FLATTENS = {torch.flatten}
AVERAGES = {F.adaptive_avg_pool2d}


def graph_of(network: Folded, image: Image, state: State) -> Graph:
    """The layers of a folded network, the one that puts out the logits last.

    Raises:
        NotNative: its ``forward`` cannot be followed, or does what the compiled code does not know.
    """
    graph = Graph(network, state)
    outputs: dict[fx.Node, Output] = {}
    for node in _trace(network).nodes:
        if node.op == "placeholder":
            outputs[node] = Output(c.NONE, image)
        elif node.op == "output":
            (last,) = node.all_input_nodes
            logits = outputs[last]
            is_known = logits.form == "logits" or logits.image[1:] == (1, 1)
            if node.args != (last,) or logits.index != len(graph.layers) - 1 or not is_known:
                raise NotNative("a network that does not put out vectors, or logits of tokens, last")
            graph.label_shape = logits.shape[1:]
        else:
            outputs[node] = _add_node(graph, node, outputs)
    first = [layer for layer in graph.layers if c.NONE in layer.inputs[: c.WAYS.get(layer.kind, 1)]]
    if len({(layer.shape.channels, layer.shape.height * layer.shape.width) for layer in first}) > 1:
        raise NotNative("a network that takes its images as such and as vectors")
    return graph


class _Tracer(fx.Tracer):
    """Does not look into layers that there is a rule for."""

    def is_leaf_module(self, layer: nn.Module, path: str) -> bool:
        """True for layers that are not looked into."""
        known = type(layer) in RULES or isinstance(layer, LastAxisNorm)
        return known or has_lanes_in_channels(layer) or not list(layer.children())


def _trace(folded: Folded) -> fx.Graph:
    """The calls that a network makes, the same in each step."""
    for layer in folded.network.modules():
        if (layer._forward_hooks or layer._forward_pre_hooks) and not has_lanes_in_channels(layer):
            raise NotNative(f"{type(layer).__name__} with hooks")
    before = python_state(folded.network)
    try:
        graph = _Tracer().trace(folded.network)
    except (Exception, SystemExit) as error:  # a plugin's network may raise anything
        if is_bug(error):
            raise
        raise NotNative(f"a network that cannot be followed: {message_of(error)}") from error
    if name := changed(before, python_state(folded.network)):
        raise NotNative(f"{name}, which a step changes or which cannot be compared")
    return graph


def _add_node(graph: Graph, node: fx.Node, outputs: dict[fx.Node, Output]) -> Output:
    """Add the layer for a node."""
    inputs = [outputs[other] for other in node.all_input_nodes]
    if not node.users:
        raise NotNative(f"{node}, which nobody takes")
    if any(x.form == "logits" for x in inputs):
        raise NotNative(f"{node}, which takes the logits of tokens")
    if node.op == "call_module":
        return _add_module(graph, node, inputs)
    if node.target in SUMS and node.args == (*node.all_input_nodes,) and not node.kwargs:
        return add(graph, *inputs)
    if node.target in RELUS and len(inputs) == 1:
        return graph.add(c.ACTIVATION, inputs[0], inputs[0].image, function=c.RELU)
    if node.target in FLATTENS and node.args[1:] == (1,) and not node.kwargs:
        return flatten(graph, nn.Flatten(), inputs[0])
    if node.target in AVERAGES and len(node.args) == 2 and not node.kwargs and len(inputs) == 1:
        return average(graph, nn.AdaptiveAvgPool2d(cast(Any, node.args[1])), inputs[0])
    raise NotNative(str(node))


def _add_module(graph: Graph, node: fx.Node, inputs: list[Output]) -> Output:
    """Add a layer by its rule, or as one to be translated."""
    path = str(node.target)
    layer = graph.network.network.get_submodule(path)
    if node.kwargs or node.args != (*node.all_input_nodes,):
        raise NotNative(type(layer).__name__)
    return by_rule(graph, path, layer, *inputs)
