"""A rule for each type of layer that the compiled code knows, and one for layers that are to be translated.

C channels, H, W of an image.
"""

from __future__ import annotations

import ctypes
from collections.abc import Callable, Sequence

import torch
from torch import Tensor, nn

from bnbench.error_origin import is_bug
from bnbench.models.layer_scale import LayerScale
from bnbench.models.replacement import LastAxisNorm
from bnbench.models.resnet import SubsampleAndPad
from bnbench.models.tokens import Characters, ClassesFirst, FirstToken, MeanToken, Patches
from bnbench.models.transformer_block import DotProductAttention, HeadNorm
from bnbench.native import structures as c
from bnbench.native.graph import CustomLayer, Draw, Graph, Image, NotNative, Output
from bnbench.norms.common.copying import copied
from bnbench.norms.common.stacking import PerExample
from bnbench.norms.group import GroupNorm
from bnbench.norms.instance import InstanceNorm
from bnbench.norms.layer import LayerNorm
from bnbench.norms.none import NoNorm
from bnbench.norms.rms import RMSNorm
from bnbench.stacking import LaneByLane
from bnbench.stacking.layers.batch_norm import FoldedBatchNorm
from bnbench.stacking.layers.convolution import FoldedConv2d
from bnbench.stacking.layers.linear import FoldedLinear
from bnbench.stacking.layers.per_lane import same_config
from bnbench.stacking.layers.tokens import FoldedClassToken, FoldedPositions


def linear(graph: Graph, layer: FoldedLinear, x: Output) -> Output:
    """A product with a weight."""
    fits = x.image[0] == layer.in_features and (x.form == "tokens" or x.image[1:] == (1, 1))
    if layer.reparametrization is not None or not fits:
        raise NotNative(f"{type(layer).__name__} of computed weights or of images")
    weight, bias = graph.parameter(layer.weight), graph.parameter(layer.bias)
    return _linear(graph, x, (layer.out_features, *x.image[1:]), weight, bias)


def _linear(graph: Graph, x: Output, image: Image, weight: c.Parameter, bias: c.Parameter, place: int = 0) -> Output:
    """A product with as many weights of each output as there are channels, from a place among them on."""
    pitch = weight.size // image[0]
    return graph.add(c.LINEAR, x, image, weight=weight, bias=bias, pitch=pitch, place=place * x.image[0])


def convolution(graph: Graph, layer: FoldedConv2d, x: Output) -> Output:
    """A convolution without groups, or of each channel on its own, with zeros around the images."""
    if layer.reparametrization is not None or layer.padding_mode != "constant":
        raise NotNative(f"{type(layer).__name__} of computed weights or with padding other than zeros")
    each = layer.groups == layer.in_channels == layer.out_channels
    if layer.groups > 1 and not each:
        raise NotNative(f"{type(layer).__name__} in groups of channels")
    image = layer.out_channels, *layer.positions(*x.image[1:])
    weight, bias = graph.parameter(layer.weight), graph.parameter(layer.bias)
    place = 0 if _is_pointwise(layer) else _seen(layer) if x.image[1:] == image[1:] == (1, 1) else None
    if layer.groups == 1 and place is not None:  # a linear layer at each position
        return Output(_linear(graph, x, image, weight, bias, place).index, image)
    output = graph.add(c.CONVOLUTION if layer.groups == 1 else c.DEPTHWISE, x, image, weight=weight, bias=bias)
    shape = graph.layers[-1].shape
    shape.kernel_rows, shape.kernel_columns = layer.kernel_size
    shape.row_stride, shape.column_stride = layer.stride
    shape.row_dilation, shape.column_dilation = layer.dilation
    shape.left, shape.right, shape.top, shape.bottom = layer.margins
    return output


def _is_pointwise(layer: FoldedConv2d) -> bool:
    """True for kernels of one pixel that see each pixel once."""
    return layer.kernel_size == layer.stride == (1, 1) and not any(layer.margins)


def _seen(layer: FoldedConv2d) -> int | None:
    """The place of a kernel, its rows one after another, that sees an image of one pixel; the others see zeros."""
    left, _, top, _ = layer.margins
    rows, columns = layer.kernel_size
    places = [(row, column) for row in range(rows) for column in range(columns)]
    where = top / layer.dilation[0], left / layer.dilation[1]
    return places.index(where) if where in places else None


def scale(graph: Graph, layer: LayerScale, x: Output) -> Output:
    """Each channel times a learned number, as a norm by a mean of 0 and a variance of 1 does it."""
    if x.form == "tokens":
        raise NotNative("LayerScale of tokens")
    zeros = torch.zeros_like(layer.scale, requires_grad=False)
    ones = torch.ones_like(layer.scale, requires_grad=False)
    graph.kept += [zeros, ones]
    return graph.add(
        c.NORM,
        x,
        x.image,
        over=c.BATCH,
        fixed=1,
        groups=x.image[0],
        weight=graph.parameter(layer.scale),
        running_mean=zeros.data_ptr(),
        running_var=ones.data_ptr(),
    )


def lane_by_lane(graph: Graph, layer: LaneByLane, x: Output) -> Output:
    """Dropout of vectors or tokens, whose factors each run draws from its own stream; of other layers there is no rule.

    Images are drawn in the order of their memory, which torch chooses.
    """
    if type(layer.member(0)) is not nn.Dropout or x.form == "image" or layer.vmapped or not same_config(layer):
        raise NotNative(type(layer.member(0)).__name__)
    if not layer.training:
        return x
    output = graph.add(c.DROPOUT, x, x.image)
    graph.draws.append(Draw(output.index, layer, x.shape))
    return output


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


def per_example(graph: Graph, layer: PerExample, x: Output, each_position: bool = False) -> Output:
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
        over=c.POSITION if each_position else over,
        centered=not isinstance(rule, RMSNorm),
        groups=groups,
        eps=eps,
        weight=graph.parameter(layer.weight),
        bias=graph.parameter(layer.bias),
    )


def activation(function: int) -> Callable[[Graph, nn.Module, Output], Output]:
    """A function of each number."""

    def rule(graph: Graph, layer: nn.Module, x: Output) -> Output:
        if getattr(layer, "approximate", "none") != "none":
            raise NotNative("an approximate GELU")
        return graph.add(c.ACTIVATION, x, x.image, function=function)

    return rule


def average(graph: Graph, layer: nn.AdaptiveAvgPool2d, x: Output) -> Output:
    """The mean over all positions, or over those of each part of an image."""
    if x.form != "image":
        raise NotNative("AdaptiveAvgPool2d of what are no images")
    return graph.add(c.AVERAGE, x, _pooled(layer, x))


def maximum(graph: Graph, layer: nn.MaxPool2d, x: Output) -> Output:
    """The largest number that a kernel sees of each channel; dilated kernels might see zeros only."""
    if x.form != "image" or layer.return_indices or _pair(layer.dilation) != (1, 1):
        raise NotNative("MaxPool2d of what are no images, with dilation, or with the places of what it takes")
    output = graph.add(c.MAXIMUM, x, _pooled(layer, x))
    shape = graph.layers[-1].shape
    shape.kernel_rows, shape.kernel_columns = _pair(layer.kernel_size)
    shape.row_stride, shape.column_stride = _pair(layer.stride)
    shape.row_dilation = shape.column_dilation = 1
    shape.top, shape.left = _pair(layer.padding)
    return output


def _pooled(layer: nn.Module, x: Output) -> Image:
    """The image that a layer puts out which treats each channel alike."""
    channels, height, width = x.image
    rows, columns = layer(torch.zeros(1, 1, height, width)).shape[2:]
    return channels, rows, columns


def _pair(numbers: int | Sequence[int]) -> tuple[int, int]:
    """Numbers for rows and columns, of which one may stand for both."""
    each = (numbers,) if isinstance(numbers, int) else tuple(numbers)
    return each[0], each[-1]


def flatten(graph: Graph, layer: nn.Flatten, x: Output) -> Output:
    """Images as vectors, channels first; the images that come in are that already."""
    if (layer.start_dim, layer.end_dim) != (1, -1) or x.form == "tokens":
        raise NotNative("Flatten of some dimensions")
    channels, height, width = x.image
    if x.index != c.NONE and channels > 1 and height * width > 1:
        x = graph.add(c.CHANNELS_FIRST, x, x.image)
    return Output(x.index, (channels * height * width, 1, 1), "vector")


def add(graph: Graph, x: Output, other: Output) -> Output:
    """The sum of what two layers put out."""
    if x.image != other.image:
        raise NotNative("a sum of different shapes")
    return graph.add(c.ADD, x, x.image, other)


def subsample(graph: Graph, layer: SubsampleAndPad, x: Output) -> Output:
    """Every second row and column, with more channels."""
    channels, height, width = x.image
    output = graph.add(c.SUBSAMPLE, x, (channels + layer.channels, (height + 1) // 2, (width + 1) // 2))
    graph.layers[-1].shape.row_stride = graph.layers[-1].shape.column_stride = 2
    return output


def patches(graph: Graph, layer: Patches, x: Output) -> Output:
    """Squares of an image as tokens."""
    (channels, height, width), side = x.image, layer.side
    output = graph.add(c.PATCHES, x, (channels * side * side, height // side * (width // side), 1))
    graph.layers[-1].shape.row_stride = graph.layers[-1].shape.column_stride = side
    return Output(output.index, output.image, "tokens")


def characters(graph: Graph, layer: Characters, x: Output) -> Output:
    """Images of one row as tokens: their channels are last already."""
    channels, height, width = x.image
    if height != 1 or x.form != "image":
        raise NotNative("Characters of more than one row")
    return Output(x.index, (channels, width, 1), "tokens")


def classes_first(graph: Graph, layer: ClassesFirst, x: Output) -> Output:
    """Logits of each token; the compiled loss takes them with the classes last."""
    if x.form != "tokens":
        raise NotNative("ClassesFirst of what are no tokens")
    return Output(x.index, x.image, "logits")


def positions(graph: Graph, layer: FoldedPositions, x: Output) -> Output:
    """A vector added to each token, which is learned or fixed."""
    table = graph.parameter(layer.table) if isinstance(layer.table, nn.Parameter) else graph.constant(layer.table)
    return graph.add(c.POSITIONS, x, x.image, weight=table)


def class_token(graph: Graph, layer: FoldedClassToken, x: Output) -> Output:
    """A learned token before the others."""
    features, tokens, _ = x.image
    return graph.add(c.POSITIONS, x, (features, tokens + 1, 1), weight=graph.parameter(layer.token))


def first_token(graph: Graph, layer: FirstToken, x: Output) -> Output:
    """The first token."""
    features, tokens, _ = x.image
    output = graph.add(c.SUBSAMPLE, x, (features, 1, 1))
    graph.layers[-1].shape.row_stride = tokens
    return Output(output.index, output.image, "vector")


def mean_token(graph: Graph, layer: MeanToken, x: Output) -> Output:
    """The mean over all tokens."""
    return Output(graph.add(c.AVERAGE, x, (x.image[0], 1, 1)).index, (x.image[0], 1, 1), "vector")


def attention(graph: Graph, layer: DotProductAttention, query: Output, key: Output, value: Output) -> Output:
    """What each token takes of the values of those that it sees."""
    return graph.add(c.ATTENTION, query, query.image, key, value, groups=layer.heads, causal=layer.causal)


def norm_of_tokens(graph: Graph, path: str, layer: LastAxisNorm, x: Output) -> Output:
    """A norm at a path in the network to which tokens, or their heads, are the positions of an image, or examples."""
    norm, (features, tokens, _) = layer.norm, x.image
    seen = (features // layer.heads, tokens, layer.heads) if isinstance(layer, HeadNorm) else x.image
    as_image = Output(x.index, seen)
    if layer.each_token and isinstance(norm, PerExample):
        y = per_example(graph, norm, as_image, each_position=True)
    elif not layer.each_token:
        y = by_rule(graph, f"{path}.norm", norm, as_image)
    else:
        raise NotNative(f"{type(norm).__name__} of each token")
    return Output(y.index, x.image, "tokens")


def by_rule(graph: Graph, path: str, layer: nn.Module, *inputs: Output) -> Output:
    """The layer at a path in the network by its rule, or as one to be translated.

    Raises:
        NotNative: neither can be.
    """
    reason = NotNative(type(layer).__name__)
    if isinstance(layer, LastAxisNorm):
        return norm_of_tokens(graph, path, layer, *inputs)
    if rule := RULES.get(type(layer)):
        try:
            return rule(graph, layer, *inputs)
        except NotNative as error:
            reason = error
    if len(inputs) == 1 and keeps_shape(graph, path, inputs[0]):
        return custom_layer(graph, path, layer, inputs[0])
    raise reason


def unchanged(graph: Graph, layer: nn.Module, x: Output) -> Output:
    """A layer that changes nothing."""
    return x


def custom_layer(graph: Graph, path: str, layer: nn.Module, x: Output) -> Output:
    """A layer at a path in the network whose output has its input's shape; it is translated from what it does."""
    if isinstance(layer, LaneByLane) and not same_config(layer):
        raise NotNative(f"{type(layer.member(0)).__name__}, whose settings differ between runs or cannot be compared")
    tensors = [graph.parameter(tensor) for tensor in layer._parameters.values() if tensor is not None]
    parameters = len(tensors)
    tensors += [graph.constant(buffer) for buffer in layer._buffers.values() if buffer is not None]
    array = (c.Parameter * len(tensors))(*tensors)
    fields = {"tensors": ctypes.addressof(array), "parameter_count": parameters, "tensor_count": len(tensors)}
    output = graph.add(c.CUSTOM, x, x.image, **fields)
    single = graph.single.get_submodule(path).train(layer.training)
    graph.custom_layers.append(CustomLayer(output.index, single, x.shape, array))
    return output


def keeps_shape(graph: Graph, path: str, x: Output) -> bool:
    """True if the output of the layer at a path in the network has its input's shape."""
    layer = graph.single.get_submodule(path)
    examples = next(graph.network.parameters()).new_zeros(2, *x.shape)
    try:
        with torch.no_grad():
            y = copied(layer).eval()(examples)
    except (Exception, SystemExit) as error:  # a plugin's layer may raise anything
        if is_bug(error):
            raise
        return False
    return isinstance(y, Tensor) and y.shape == examples.shape


RULES: dict[type[nn.Module], Callable[..., Output]] = {
    FoldedLinear: linear,
    FoldedConv2d: convolution,
    FoldedBatchNorm: batch_norm,
    PerExample: per_example,
    nn.ReLU: activation(c.RELU),
    nn.ReLU6: activation(c.RELU6),
    nn.Sigmoid: activation(c.SIGMOID),
    nn.Tanh: activation(c.TANH),
    nn.GELU: activation(c.GELU),
    nn.AdaptiveAvgPool2d: average,
    nn.MaxPool2d: maximum,
    nn.Flatten: flatten,
    nn.Identity: unchanged,
    NoNorm: unchanged,
    SubsampleAndPad: subsample,
    Patches: patches,
    Characters: characters,
    ClassesFirst: classes_first,
    MeanToken: mean_token,
    FirstToken: first_token,
    DotProductAttention: attention,
    FoldedPositions: positions,
    FoldedClassToken: class_token,
    LayerScale: scale,
    LaneByLane: lane_by_lane,
}
