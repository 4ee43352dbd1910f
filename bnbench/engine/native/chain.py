"""A folded network as a chain of layers that the compiled code knows.

K lanes, C channels, H, W of an image; O outputs, Y, X of what a layer makes of it.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

from torch import Tensor, nn

from bnbench.engine.folding import Folded
from bnbench.engine.folding.batch_norm import FoldedBatchNorm
from bnbench.engine.folding.convolution import FoldedConv2d
from bnbench.engine.folding.linear import FoldedLinear
from bnbench.engine.native import structures as c
from bnbench.norms.group import GroupNorm
from bnbench.norms.instance import InstanceNorm
from bnbench.norms.lanes import PerExample
from bnbench.norms.layer import LayerNorm
from bnbench.norms.none import NoNorm
from bnbench.norms.rms import RMSNorm

Image = tuple[int, int, int]
"""C, H, W."""
State = Callable[[Tensor], tuple[Tensor | None, bool]]
"""A parameter's velocity, and whether weight decay applies to it."""


class NotNative(Exception):
    """The compiled code does not know a layer; the message says which."""


@dataclass
class Chain:
    """Layers, and what comes out of the last one."""

    lanes: int
    state: State
    image: Image
    layers: list[c.Layer]

    def add(self, kind: int, image: Image, **fields: Any) -> c.Layer:
        """A layer that makes ``image`` of what there is."""
        (channels, height, width), (outputs, rows, columns) = self.image, image
        shape = c.Shape(height, width, channels, rows, columns, outputs)
        layer = c.Layer(kind=kind, shape=shape, **fields)
        self.layers.append(layer)
        self.image = image
        return layer

    def parameter(self, tensor: Tensor | None) -> c.Parameter:
        """A tensor of all lanes."""
        if tensor is None:
            return c.Parameter()
        velocity, decays = self.state(tensor)
        address = None if velocity is None else velocity.data_ptr()
        return c.Parameter(tensor.data_ptr(), address, tensor.numel() // self.lanes, tensor.requires_grad, decays)


def chain_of(network: Folded, image: Image, state: State) -> list[c.Layer]:
    """The layers of a folded network in their order.

    Raises:
        NotNative: it is no chain, or holds a layer that the compiled code does not know.
    """
    chain = Chain(network.lanes, state, image, [])
    for layer in leaves(network.network):
        rule = RULES.get(type(layer))
        if rule is None:
            raise NotNative(type(layer).__name__)
        rule(chain, layer)
    if chain.image[1:] != (1, 1):
        raise NotNative("a network that puts out images")
    return chain.layers


def leaves(module: nn.Module) -> Iterator[nn.Module]:
    """The layers within sequences, in their order."""
    if module._forward_hooks or module._forward_pre_hooks:
        raise NotNative(f"{type(module).__name__} with hooks")
    if isinstance(module, nn.Sequential) and type(module).forward is nn.Sequential.forward:
        for child in module:
            yield from leaves(child)
    else:
        yield module


def linear(chain: Chain, layer: FoldedLinear) -> None:
    """A product with a weight."""
    if layer.reparametrization is not None or chain.image != (layer.in_features, 1, 1):
        raise NotNative(f"{type(layer).__name__} of computed weights or of images")
    made = chain.add(c.LINEAR, (layer.out_features, 1, 1))
    made.weight, made.bias = chain.parameter(layer.weight), chain.parameter(layer.bias)


def convolution(chain: Chain, layer: FoldedConv2d) -> None:
    """A convolution without groups, with zeros around the images."""
    if layer.reparametrization is not None or layer.groups > 1 or layer.padding_mode != "constant":
        raise NotNative(f"{type(layer).__name__} of computed weights, in groups or with padding other than zeros")
    left, right, top, bottom = layer.margins
    (rows, columns), (height, width) = layer.positions(*chain.image[1:]), chain.image[1:]
    made = chain.add(c.CONVOLUTION, (layer.out_channels, rows, columns))
    made.shape = c.Shape(
        *(height, width, layer.in_channels, rows, columns, layer.out_channels),
        *(*layer.kernel_size, *layer.stride, *layer.dilation, top, left, bottom, right),
    )
    made.weight, made.bias = chain.parameter(layer.weight), chain.parameter(layer.bias)


def batch_norm(chain: Chain, layer: FoldedBatchNorm) -> None:
    """Statistics of the batch or of chunks of it, or running ones where they are frozen."""
    if layer.corrections is not None:
        raise NotNative("batch renormalization")
    made = chain.add(
        c.NORM,
        chain.image,
        over=c.BATCH,
        centered=1,
        fixed=not layer.training and layer.running_mean is not None,
        groups=chain.image[0],
        chunk=layer.chunk or 0,
        eps=layer.eps,
        momentum=-1.0 if layer.momentum is None else layer.momentum,
    )
    made.weight, made.bias = chain.parameter(layer.weight), chain.parameter(layer.bias)
    if layer.running_mean is not None and layer.running_var is not None and layer.num_batches_tracked is not None:
        made.running_mean, made.running_var = layer.running_mean.data_ptr(), layer.running_var.data_ptr()
        made.batches = layer.num_batches_tracked.data_ptr()


def per_example(chain: Chain, layer: PerExample) -> None:
    """Statistics of each example: of groups of channels, of all, of each channel, or at each position."""
    rule, channels = layer.normalize, chain.image[0]
    match rule:
        case GroupNorm():
            over, groups, eps = c.EXAMPLE, rule.groups, rule.eps
        case InstanceNorm():
            over, groups, eps = c.EXAMPLE, channels, rule.eps
        case LayerNorm() | RMSNorm():
            over, groups, eps = c.EXAMPLE if rule.over == "all" else c.POSITION, 1, rule.eps
        case _:
            raise NotNative(type(rule).__name__)
    centered = not isinstance(rule, RMSNorm)
    made = chain.add(c.NORM, chain.image, over=over, centered=centered, groups=groups, eps=eps)
    made.weight, made.bias = chain.parameter(layer.weight), chain.parameter(layer.bias)


def activation(function: int) -> Callable[[Chain, nn.Module], None]:
    """A function of each number."""

    def add(chain: Chain, layer: nn.Module) -> None:
        if getattr(layer, "approximate", "none") != "none":
            raise NotNative("an approximate GELU")
        chain.add(c.ACTIVATION, chain.image, function=function)

    return add


def average(chain: Chain, layer: nn.AdaptiveAvgPool2d) -> None:
    """The mean over all positions."""
    if layer.output_size not in (1, (1, 1)):
        raise NotNative("AdaptiveAvgPool2d to more than one position")
    chain.add(c.AVERAGE, (chain.image[0], 1, 1))


def flatten(chain: Chain, layer: nn.Flatten) -> None:
    """Images as vectors, channels first; what comes in is that already if nothing was done to it."""
    if (layer.start_dim, layer.end_dim) != (1, -1):
        raise NotNative("Flatten of some dimensions")
    channels, height, width = chain.image
    if chain.layers and channels > 1 and height * width > 1:
        chain.add(c.CHANNELS_FIRST, chain.image)
        chain.layers[-1].shape.outputs = channels
    chain.image = channels * height * width, 1, 1


def nothing(chain: Chain, layer: nn.Module) -> None:
    """A layer that changes nothing."""


RULES: dict[type[nn.Module], Callable[[Chain, Any], None]] = {
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
}
