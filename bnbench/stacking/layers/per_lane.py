"""Folding for layers that have no rule: every lane runs its own layer on its own examples, in turn or all at once.

Legend: K lanes, N batch, C channels of a lane, * any number of positions.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, contextmanager, nullcontext

import torch
from torch import Tensor, nn

from bnbench.norms.common.copying import copied
from bnbench.norms.common.stacking import joined, take_tensors
from bnbench.stacking.errors import CannotFold
from bnbench.training.module_state import state_of

Stream = AbstractContextManager[None]
LARGE = 2**18
"""Values of a lane from which an evaluation takes one lane after another: what all make at once needs memory."""


class LaneByLane(nn.Module):
    """K layers from ``[N, C, *]`` to ``[N, D, *]`` as one from ``[K * N, C, *]`` to ``[K * N, D, *]``.

    It holds the lanes' tensors joined, under their own names, and each layer sees its slices of them during a call.

    Attributes:
        averages: of the layers, see :mod:`bnbench.training.statistics`.
        vmapped: let ``torch.vmap`` make one call for all lanes, which not every layer's code allows: see
            :func:`bnbench.stacking.vmap.vmap_lanes`.
    """

    vmapped = False

    def __init__(self, lanes: Sequence[nn.Module]) -> None:
        super().__init__()
        if next(lanes[0].children(), None) is not None:
            raise CannotFold(f"{type(lanes[0]).__name__} has layers within and cannot run lane by lane")
        take_tensors(self, lanes)
        self._members = tuple(without_tensors(lane) for lane in lanes)
        self._shapes = {name: tensor.shape for name, tensor in tensors_of(lanes[0])}
        self._streams: Sequence[Stream] | None = None
        self.averages = dict(getattr(lanes[0], "averages", {}))

    def forward(self, x: Tensor) -> Tensor:
        """Map x ``[K * N, C, *]``; in training, a lane draws random numbers from its own stream if it has one."""
        parts = torch.unflatten(x, 0, (len(self._members), -1))
        if self.vmapped and (self.training or parts[0].numel() < LARGE):
            return self._forward_vmapped(parts.contiguous())
        outputs = []
        for number in range(len(self._members)):
            outputs.append(self.of_lane(number, parts[number].contiguous()))
        return torch.cat(outputs)

    def of_lane(self, number: int, x: Tensor) -> Tensor:
        """What a lane makes of its own examples x ``[N, C, *]``."""
        with self.lane(number) as member, self._stream(number):
            y: Tensor = member(x)
        return y

    def _forward_vmapped(self, x_KN: Tensor) -> Tensor:
        def call(tensors: dict[str, Tensor], x: Tensor) -> tuple[Tensor, dict[str, Tensor]]:
            with self._with_tensors(0, tensors) as member:
                y = member(x)
                return y, {name: buffer for name, buffer in member._buffers.items() if buffer is not None}

        tensors = self._by_lane()
        y_KN, buffers = torch.vmap(call)(tensors, x_KN)
        _write_back(tensors, buffers)
        return y_KN.flatten(0, 1)

    def lane_layers(self) -> tuple[nn.Module, ...]:
        """The lanes' layers, without tensors; what they keep in plain attributes is their own."""
        return self._members

    def member(self, number: int) -> nn.Module:
        """A lane's layer, without tensors; what it keeps in plain attributes is its own."""
        return self._members[number]

    def first(self, count: int) -> LaneByLane:
        """A layer of some of the lanes, without streams; it shares no tensors with this one."""
        layer = copied(self)
        layer._members, layer._streams = layer._members[:count], None
        for name, tensor in self._by_lane().items():
            part = joined(list(tensor[:count]))
            if name in self._parameters:
                layer._parameters[name] = nn.Parameter(part, tensor.requires_grad)
            else:
                layer._buffers[name] = part
        return layer

    def set_streams(self, streams: Sequence[Stream] | None) -> None:
        """Set one context manager per lane, entered around each call in training; None for no streams."""
        self._streams = streams

    @property
    def streams(self) -> Sequence[Stream] | None:
        """The streams that are set."""
        return self._streams

    @contextmanager
    def lane(self, number: int) -> Iterator[nn.Module]:
        """A lane's layer with its slices of the joint tensors; buffers that it replaces are written back."""
        slices = {name: tensor[number] for name, tensor in self._by_lane().items()}
        with self._with_tensors(number, slices) as member:
            yield member
            _write_back(slices, member._buffers)

    def _by_lane(self) -> dict[str, Tensor]:
        """The joint tensors with the lanes as a dimension of their own, the first.

        What is done in place to a buffer counts as a change for this call only, not for the other lanes' gradients.
        """
        joints = ((name, joint if name in self._parameters else joint.data) for name, joint in tensors_of(self))
        return {name: joint.view(len(self._members), *self._shapes[name]) for name, joint in joints}

    @contextmanager
    def _with_tensors(self, number: int, tensors: Mapping[str, Tensor]) -> Iterator[nn.Module]:
        """A lane's layer with these parameters and buffers."""
        member = self._members[number]
        member.training = self.training
        for name, tensor in tensors.items():
            (member._parameters if name in self._parameters else member._buffers)[name] = tensor  # type: ignore[assignment]
        try:
            yield member
        finally:
            clear_tensors(member)

    def _stream(self, number: int) -> Stream:
        return nullcontext() if self._streams is None or not self.training else self._streams[number]


@torch.no_grad()
def _write_back(tensors: Mapping[str, Tensor], buffers: Mapping[str, Tensor | None]) -> None:
    """Keep the buffers that a layer replaced, and did not change in place."""
    if late := sorted(buffers.keys() - tensors.keys()):
        raise CannotFold(f"a layer gets buffers when it is called: {', '.join(late)}")
    for name, new in buffers.items():
        if new is not None and new is not tensors[name]:
            tensors[name].copy_(new)


def tensors_of(layer: nn.Module) -> Iterator[tuple[str, Tensor]]:
    """A layer's own parameters and buffers by name."""
    for group in (layer._parameters, layer._buffers):
        yield from ((name, tensor) for name, tensor in group.items() if tensor is not None)


def without_tensors(layer: nn.Module) -> nn.Module:
    """A copy of a layer without parameters and buffers."""
    bare = copied(layer)
    clear_tensors(bare)
    return bare


def clear_tensors(layer: nn.Module) -> None:
    """Take a layer's own parameters and buffers away."""
    layer._parameters.update(dict.fromkeys(layer._parameters))
    layer._buffers.update(dict.fromkeys(layer._buffers))


def same_config(layer: LaneByLane) -> bool:
    """True if the layers of all lanes keep the same in Python."""
    first, *others = (state_of(member).digest() for member in layer.lane_layers())
    return first is not None and all(other == first for other in others)
