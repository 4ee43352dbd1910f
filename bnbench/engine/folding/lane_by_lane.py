"""Folding for layers that have no rule: every lane runs its own layer on its own examples.

Legend: K lanes, N batch, C channels of a lane, * any number of positions.
"""

from __future__ import annotations

import copy
from collections.abc import Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager, nullcontext

import torch
from torch import Tensor, nn

from bnbench.engine.folding.errors import CannotFold
from bnbench.norms.lanes import take_tensors

Stream = AbstractContextManager[None]


class LaneByLane(nn.Module):
    """K layers from ``[N, C, *]`` to ``[N, D, *]`` as one from ``[K * N, C, *]`` to ``[K * N, D, *]``.

    It holds the lanes' tensors joined, under their own names, and each layer sees its slices of them during a call. A
    layer with running statistics keeps ``momentum`` and ``reset_running_stats``.
    """

    def __init__(self, lanes: Sequence[nn.Module]) -> None:
        super().__init__()
        if next(lanes[0].children(), None) is not None:
            raise CannotFold(f"{type(lanes[0]).__name__} has layers within and cannot run lane by lane")
        take_tensors(self, lanes)
        self._members = tuple(without_tensors(lane) for lane in lanes)
        self._shapes = {name: tensor.shape for name, tensor in tensors_of(lanes[0])}
        self._streams: Sequence[Stream] | None = None
        if hasattr(lanes[0], "momentum"):
            self.momentum = lanes[0].momentum
        if hasattr(lanes[0], "reset_running_stats"):
            self.reset_running_stats = self._reset_running_stats

    def forward(self, x: Tensor) -> Tensor:
        """Map x ``[K * N, C, *]``; in training, a lane draws random numbers from its own stream if it has one."""
        outputs = []
        parts = torch.unflatten(x, 0, (len(self._members), -1))
        for number in range(len(self._members)):
            with self.lane(number) as member, self._stream(number):
                outputs.append(member(parts[number].contiguous()))
        return torch.cat(outputs)

    def member(self, number: int) -> nn.Module:
        """A lane's layer, without tensors; what it keeps in plain attributes is its own."""
        return self._members[number]

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
        member, count = self._members[number], len(self._members)
        member.training = self.training
        if hasattr(self, "momentum"):
            member.momentum = self.momentum
        for name, joint in self._parameters.items():
            if joint is not None:
                member._parameters[name] = joint.view(count, *self._shapes[name])[number]  # type: ignore[assignment]
        slices = {
            name: joint.view(count, *self._shapes[name])[number]
            for name, joint in self._buffers.items()
            if joint is not None
        }
        member._buffers.update(slices)
        try:
            yield member
            with torch.no_grad():
                for name, part in slices.items():
                    new = member._buffers[name]
                    if new is not None and new is not part:
                        part.copy_(new)
        finally:
            clear_tensors(member)

    def _stream(self, number: int) -> Stream:
        return nullcontext() if self._streams is None or not self.training else self._streams[number]

    def _reset_running_stats(self) -> None:
        for number in range(len(self._members)):
            with self.lane(number) as member:
                member.reset_running_stats()  # type: ignore[operator]


def tensors_of(layer: nn.Module) -> Iterator[tuple[str, Tensor]]:
    """A layer's own parameters and buffers by name."""
    for own in (layer._parameters, layer._buffers):
        yield from ((name, tensor) for name, tensor in own.items() if tensor is not None)


def without_tensors(layer: nn.Module) -> nn.Module:
    """A copy of a layer without parameters and buffers."""
    bare = copy.deepcopy(layer)
    clear_tensors(bare)
    return bare


def clear_tensors(layer: nn.Module) -> None:
    """Take a layer's own parameters and buffers away."""
    layer._parameters.update(dict.fromkeys(layer._parameters))
    layer._buffers.update(dict.fromkeys(layer._buffers))
