"""A folded network as the layers that the compiled code knows, each with the layers whose outputs it takes.

K lanes, C channels, H, W of an image.
"""

from __future__ import annotations

import ctypes
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any, Literal

from torch import Tensor, nn

from bnbench.native import structures as c
from bnbench.stacking import Folded, LaneByLane, unfold

Image = tuple[int, int, int]
"""C, H, W."""
Form = Literal["image", "vector", "tokens", "logits"]
State = Callable[[Tensor], tuple[Sequence[Tensor], bool]]
"""An optimizer's state of a parameter, two tensors at most, and True if weight decay applies to it."""


class NotNative(Exception):
    """The compiled code does not know a layer; the message says which."""


class NotReady(NotNative):
    """Code that has not been compiled yet, where it may only be loaded; see :func:`only_loaded`."""


@dataclass(frozen=True)
class Output:
    """The output of a layer.

    Attributes:
        index: of the layer; ``NONE`` for the images themselves.
        image: its shape for one example; a vector is an image of one position, and tokens are the positions of one.
        form: what it is in torch; logits are tokens there with the classes first, which only the loss takes.
    """

    index: int
    image: Image
    form: Form = "image"

    @property
    def shape(self) -> tuple[int, ...]:
        """The shape of an example in torch: [C], of tokens [L, C], of logits [C, L], or [C, H, W]."""
        channels, height, width = self.image
        count = height * width
        shapes = {"image": self.image, "vector": (channels,), "tokens": (count, channels), "logits": (channels, count)}
        return shapes[self.form]


@dataclass(frozen=True)
class CustomLayer:
    """A layer that is to be translated.

    Attributes:
        index: among the layers.
        layer: of one lane.
        shape: of an example, [C], [L, C] or [C, H, W].
        tensors: of all lanes; the layer that is compiled has their address.
    """

    index: int
    layer: nn.Module
    shape: tuple[int, ...]
    tensors: ctypes.Array[c.Parameter]


@dataclass(frozen=True)
class Draw:
    """A layer that multiplies by factors which each run draws.

    Attributes:
        index: among the layers.
        layer: of all lanes.
        shape: of an example, [C] or [L, C].
    """

    index: int
    layer: LaneByLane
    shape: tuple[int, ...]


@dataclass
class Graph:
    """Layers, each after those whose outputs it takes.

    Attributes:
        custom_layers: those that are to be translated.
        draws: those that draw numbers, in the order in which a step does.
        label_shape: of the labels of an example, [] or [L].
        kept: tensors of which layers have the addresses, beside those of the network.
    """

    network: Folded
    state: State
    layers: list[c.Layer] = field(default_factory=list)
    custom_layers: list[CustomLayer] = field(default_factory=list)
    draws: list[Draw] = field(default_factory=list)
    label_shape: tuple[int, ...] = ()
    kept: list[Tensor] = field(default_factory=list)

    @cached_property
    def single(self) -> nn.Module:
        """The network of a lane."""
        return unfold(self.network, 0)

    def add(self, kind: int, x: Output, image: Image, *others: Output, **fields: Any) -> Output:
        """Add a layer that makes ``image`` of x, and of what other layers put out."""
        (channels, height, width), (outputs, rows, columns) = x.image, image
        shape = c.Shape(height, width, channels, rows, columns, outputs, row_stride=1, column_stride=1)
        indices = [each.index for each in (x, *others)]
        inputs = (*indices, *(c.NONE for _ in range(c.MOST_INPUTS - len(indices))))
        self.layers.append(c.Layer(kind=kind, inputs=inputs, shape=shape, **fields))
        form: Form = "vector" if kind == c.LINEAR and x.form == "image" else x.form
        return Output(len(self.layers) - 1, image, form)

    def parameter(self, tensor: Tensor | None) -> c.Parameter:
        """A tensor of all lanes."""
        if tensor is None:
            return c.Parameter()
        state, decays = self.state(tensor)
        parameter = c.Parameter(tensor.data_ptr())
        parameter.size, parameter.decays = tensor.numel() // self.network.lanes, decays
        parameter.trained = tensor.requires_grad
        for index, item in enumerate(state):
            parameter.state[index] = item.data_ptr()
        return parameter

    def as_labelled(self, logits_KMLO: Tensor) -> Tensor:
        """Logits of all labels as a network puts them out: [K, M, O], or [K, M, O, L] where L positions have labels."""
        return logits_KMLO.transpose(2, 3) if self.label_shape else logits_KMLO[:, :, 0]

    def constant(self, buffer: Tensor) -> c.Parameter:
        """A tensor of all lanes that no optimizer changes."""
        parameter = c.Parameter(buffer.data_ptr())
        parameter.size = buffer.nbytes // self.network.lanes // next(self.network.parameters()).itemsize
        return parameter
