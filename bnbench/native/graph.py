"""A folded network as the layers that the compiled code knows, each with the layers whose outputs it takes.

K lanes, C channels, H, W of an image; O outputs, Y, X of what a layer makes of it.
"""

from __future__ import annotations

import ctypes
import operator
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

import torch
from torch import Tensor, fx, nn
from torch.nn import functional as F

from bnbench.errors import message_of
from bnbench.models.resnet import SubsampleAndPad
from bnbench.native import structures as c
from bnbench.norms.copying import copied
from bnbench.norms.group import GroupNorm
from bnbench.norms.instance import InstanceNorm
from bnbench.norms.lanes import PerExample
from bnbench.norms.layer import LayerNorm
from bnbench.norms.none import NoNorm
from bnbench.norms.rms import RMSNorm
from bnbench.stacking import Folded, LaneByLane, unfold
from bnbench.stacking.layers.batch_norm import FoldedBatchNorm
from bnbench.stacking.layers.convolution import FoldedConv2d
from bnbench.stacking.layers.linear import FoldedLinear
from bnbench.stacking.layers.per_lane import same_config
from bnbench.training.module_state import changed, python_state

Image = tuple[int, int, int]
"""C, H, W."""
State = Callable[[Tensor], tuple[Sequence[Tensor], bool]]
"""What an optimizer keeps of a parameter, two tensors at most, and whether weight decay applies to it."""


class NotNative(Exception):
    """The compiled code does not know a layer; the message says which."""


@dataclass(frozen=True)
class Output:
    """What a layer puts out.

    Attributes:
        index: of the layer; ``NONE`` for the images themselves.
        image: its shape for one example; a vector is an image of one position.
        vector: whether it is a vector in torch.
    """

    index: int
    image: Image
    vector: bool = False

    @property
    def shape(self) -> tuple[int, ...]:
        """Of an example in torch: [C] or [C, H, W]."""
        return self.image[:1] if self.vector else self.image


@dataclass(frozen=True)
class Own:
    """A layer that is to be translated.

    Attributes:
        index: among the layers.
        layer: of one lane.
        shape: of an example, [C] or [C, H, W].
        tensors: of all lanes; the layer that is compiled has their address.
    """

    index: int
    layer: nn.Module
    shape: tuple[int, ...]
    tensors: ctypes.Array[c.Parameter]


@dataclass
class Graph:
    """Layers, each after those whose outputs it takes; ``owns`` are those among them that are to be translated."""

    network: Folded
    state: State
    layers: list[c.Layer] = field(default_factory=list)
    owns: list[Own] = field(default_factory=list)

    @cached_property
    def alone(self) -> nn.Module:
        """The network of a lane."""
        return unfold(self.network, 0)

    def add(self, kind: int, x: Output, image: Image, other: int = c.NONE, **fields: Any) -> Output:
        """A layer that makes ``image`` of x, and of what another layer puts out."""
        (channels, height, width), (outputs, rows, columns) = x.image, image
        shape = c.Shape(height, width, channels, rows, columns, outputs, row_stride=1, column_stride=1)
        self.layers.append(c.Layer(kind=kind, takes=(x.index, other), shape=shape, **fields))
        return Output(len(self.layers) - 1, image, x.vector or kind == c.LINEAR)

    def parameter(self, tensor: Tensor | None) -> c.Parameter:
        """A tensor of all lanes."""
        if tensor is None:
            return c.Parameter()
        kept, decays = self.state(tensor)
        made = c.Parameter(tensor.data_ptr())
        made.size, made.trained, made.decays = tensor.numel() // self.network.lanes, tensor.requires_grad, decays
        for index, item in enumerate(kept):
            made.state[index] = item.data_ptr()
        return made


def graph_of(network: Folded, image: Image, state: State) -> Graph:
    """The layers of a folded network, the one that puts out the logits last.

    Raises:
        NotNative: its ``forward`` cannot be followed, or does what the compiled code does not know.
    """
    graph = Graph(network, state)
    known: dict[fx.Node, Output] = {}
    for node in _followed(network).nodes:
        if node.op == "placeholder":
            known[node] = Output(c.NONE, image)
        elif node.op == "output":
            (last,) = node.all_input_nodes
            found = known[last]
            if node.args != (last,) or (found.index, *found.image[1:]) != (len(graph.layers) - 1, 1, 1):
                raise NotNative("a network that does not put out vectors last")
        else:
            known[node] = _made(graph, node, known)
    if len({_seen(layer) for layer in graph.layers if c.NONE in layer.takes[: 1 + (layer.kind == c.ADD)]}) > 1:
        raise NotNative("a network that takes its images as such and as vectors")
    return graph


def _seen(layer: c.Layer) -> tuple[int, int]:
    """The channels and positions of what a layer takes."""
    return layer.shape.channels, layer.shape.height * layer.shape.width


class _Tracer(fx.Tracer):
    """Follows a network down to the layers that there is a rule for."""

    def is_leaf_module(self, layer: nn.Module, path: str) -> bool:
        """Whether a layer is not looked into."""
        return type(layer) in RULES or "lanes_in_channels" in vars(layer) or not list(layer.children())


def _followed(folded: Folded) -> fx.Graph:
    """What a network does, the same in each step."""
    for layer in folded.network.modules():
        if (layer._forward_hooks or layer._forward_pre_hooks) and "lanes_in_channels" not in vars(layer):
            raise NotNative(f"{type(layer).__name__} with hooks")
    before = python_state(folded.network)
    try:
        graph = _Tracer().trace(folded.network)
    except Exception as error:  # a plugin's network may do anything
        raise NotNative(f"a network that cannot be followed: {message_of(error)}") from error
    if name := changed(before, python_state(folded.network)):
        raise NotNative(f"{name}, which a step changes or which cannot be compared")
    return graph


def _made(graph: Graph, node: fx.Node, known: dict[fx.Node, Output]) -> Output:
    """The layer for a node."""
    inputs = [known[taken] for taken in node.all_input_nodes]
    if not node.users:
        raise NotNative(f"{node}, which nobody takes")
    if node.op == "call_module":
        layer = graph.network.network.get_submodule(str(node.target))
        if node.kwargs or node.args != (*node.all_input_nodes,):
            raise NotNative(type(layer).__name__)
        reason = NotNative(type(layer).__name__)
        if rule := RULES.get(type(layer)):
            try:
                made: Output = rule(graph, layer, *inputs)
                return made
            except NotNative as error:
                reason = error
        if len(inputs) == 1 and _keeps_shape(graph, str(node.target), inputs[0]):
            return own(graph, str(node.target), layer, inputs[0])
        raise reason
    if node.target in SUMS and node.args == (*node.all_input_nodes,) and not node.kwargs:
        return add(graph, *inputs)
    if node.target in RELUS and len(inputs) == 1:
        return graph.add(c.ACTIVATION, inputs[0], inputs[0].image, function=c.RELU)
    if node.target in FLATTENS and node.args[1:] == (1,) and not node.kwargs:
        return flatten(graph, nn.Flatten(), inputs[0])
    raise NotNative(str(node))


def linear(graph: Graph, layer: FoldedLinear, x: Output) -> Output:
    """A product with a weight."""
    if layer.reparametrization is not None or x.image != (layer.in_features, 1, 1):
        raise NotNative(f"{type(layer).__name__} of computed weights or of images")
    weight, bias = graph.parameter(layer.weight), graph.parameter(layer.bias)
    return graph.add(c.LINEAR, x, (layer.out_features, 1, 1), weight=weight, bias=bias)


def convolution(graph: Graph, layer: FoldedConv2d, x: Output) -> Output:
    """A convolution without groups, with zeros around the images."""
    if layer.reparametrization is not None or layer.groups > 1 or layer.padding_mode != "constant":
        raise NotNative(f"{type(layer).__name__} of computed weights, in groups or with padding other than zeros")
    image = layer.out_channels, *layer.positions(*x.image[1:])
    weight, bias = graph.parameter(layer.weight), graph.parameter(layer.bias)
    made = graph.add(c.CONVOLUTION, x, image, weight=weight, bias=bias)
    shape = graph.layers[-1].shape
    shape.kernel_rows, shape.kernel_columns = layer.kernel_size
    shape.row_stride, shape.column_stride = layer.stride
    shape.row_dilation, shape.column_dilation = layer.dilation
    shape.left, shape.right, shape.top, shape.bottom = layer.margins
    return made


def batch_norm(graph: Graph, layer: FoldedBatchNorm, x: Output) -> Output:
    """Statistics of the batch or of chunks of it, or running ones where they are frozen."""
    if layer.corrections is not None:
        raise NotNative("batch renormalization")
    tracked = layer.running_mean, layer.running_var, layer.num_batches_tracked
    running_mean, running_var, batches = (None if tensor is None else tensor.data_ptr() for tensor in tracked)
    return graph.add(
        c.NORM,
        x,
        x.image,
        over=c.BATCH,
        centered=1,
        fixed=not layer.training and layer.running_mean is not None,
        groups=x.image[0],
        chunk=layer.chunk or 0,
        eps=layer.eps,
        momentum=-1.0 if layer.momentum is None else layer.momentum,
        weight=graph.parameter(layer.weight),
        bias=graph.parameter(layer.bias),
        running_mean=running_mean,
        running_var=running_var,
        batches=batches,
    )


def per_example(graph: Graph, layer: PerExample, x: Output) -> Output:
    """Statistics of each example: of groups of channels, of all, of each channel, or at each position."""
    rule, channels = layer.normalize, x.image[0]
    match rule:
        case GroupNorm():
            over, groups, eps = c.EXAMPLE, rule.groups, rule.eps
        case InstanceNorm():
            over, groups, eps = c.EXAMPLE, channels, rule.eps
        case LayerNorm() | RMSNorm():
            over, groups, eps = c.EXAMPLE if rule.over == "all" else c.POSITION, 1, rule.eps
        case _:
            raise NotNative(type(rule).__name__)
    return graph.add(
        c.NORM,
        x,
        x.image,
        over=over,
        centered=not isinstance(rule, RMSNorm),
        groups=groups,
        eps=eps,
        weight=graph.parameter(layer.weight),
        bias=graph.parameter(layer.bias),
    )


def activation(function: int) -> Callable[[Graph, nn.Module, Output], Output]:
    """A function of each number."""

    def made(graph: Graph, layer: nn.Module, x: Output) -> Output:
        if getattr(layer, "approximate", "none") != "none":
            raise NotNative("an approximate GELU")
        return graph.add(c.ACTIVATION, x, x.image, function=function)

    return made


def average(graph: Graph, layer: nn.AdaptiveAvgPool2d, x: Output) -> Output:
    """The mean over all positions."""
    if layer.output_size not in (1, (1, 1)):
        raise NotNative("AdaptiveAvgPool2d to more than one position")
    return graph.add(c.AVERAGE, x, (x.image[0], 1, 1))


def flatten(graph: Graph, layer: nn.Flatten, x: Output) -> Output:
    """Images as vectors, channels first; the images that come in are that already."""
    if (layer.start_dim, layer.end_dim) != (1, -1):
        raise NotNative("Flatten of some dimensions")
    channels, height, width = x.image
    if x.index != c.NONE and channels > 1 and height * width > 1:
        x = graph.add(c.CHANNELS_FIRST, x, x.image)
    return Output(x.index, (channels * height * width, 1, 1), vector=True)


def add(graph: Graph, x: Output, other: Output) -> Output:
    """The sum of what two layers put out."""
    if x.image != other.image:
        raise NotNative("a sum of different shapes")
    return graph.add(c.ADD, x, x.image, other.index)


def subsample(graph: Graph, layer: SubsampleAndPad, x: Output) -> Output:
    """Every second row and column, with more channels."""
    channels, height, width = x.image
    made = graph.add(c.SUBSAMPLE, x, (channels + layer.channels, (height + 1) // 2, (width + 1) // 2))
    graph.layers[-1].shape.row_stride = graph.layers[-1].shape.column_stride = 2
    return made


def own(graph: Graph, path: str, layer: nn.Module, x: Output) -> Output:
    """A layer that puts out what has its input's shape; what it does is found out by following it."""
    if isinstance(layer, LaneByLane) and not same_config(layer):
        raise NotNative(f"{type(layer.member(0)).__name__}, whose settings differ between runs or cannot be compared")
    tensors = [graph.parameter(tensor) for tensor in layer._parameters.values() if tensor is not None]
    parameters, itemsize = len(tensors), next(graph.network.parameters()).itemsize
    for buffer in (buffer for buffer in layer._buffers.values() if buffer is not None):
        tensors.append(c.Parameter(buffer.data_ptr()))
        tensors[-1].size = buffer.nbytes // graph.network.lanes // itemsize
    kept = (c.Parameter * len(tensors))(*tensors)
    given = {"own": ctypes.addressof(kept), "parameters": parameters, "owned": len(tensors)}
    output = graph.add(c.TRANSLATED, x, x.image, **given)
    alone = graph.alone.get_submodule(path).train(layer.training)
    graph.owns.append(Own(output.index, alone, x.shape, kept))
    return output


def _keeps_shape(graph: Graph, path: str, x: Output) -> bool:
    """Whether what a layer puts out has its input's shape."""
    layer = graph.alone.get_submodule(path)
    examples = next(graph.network.parameters()).new_zeros(2, *x.shape)
    try:
        with torch.no_grad():
            y = copied(layer).eval()(examples)
    except (Exception, SystemExit):  # a plugin's layer may raise anything
        return False
    return isinstance(y, Tensor) and y.shape == examples.shape


def nothing(graph: Graph, layer: nn.Module, x: Output) -> Output:
    """A layer that changes nothing."""
    return x


RULES: dict[type[nn.Module], Callable[..., Output]] = {
    FoldedLinear: linear,
    FoldedConv2d: convolution,
    FoldedBatchNorm: batch_norm,
    PerExample: per_example,
    nn.ReLU: activation(c.RELU),
    nn.Sigmoid: activation(c.SIGMOID),
    nn.Tanh: activation(c.TANH),
    nn.GELU: activation(c.GELU),
    nn.AdaptiveAvgPool2d: average,
    nn.Flatten: flatten,
    nn.Identity: nothing,
    NoNorm: nothing,
    SubsampleAndPad: subsample,
}
SUMS = {operator.add, operator.iadd, torch.add}
RELUS = {torch.relu, F.relu}
FLATTENS = {torch.flatten}
