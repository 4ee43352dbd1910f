"""Training that is saved: weights at its end, and at its pauses all that it goes on from bit for bit."""

from __future__ import annotations

import io
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

import torch
from torch import Tensor, nn

from bnbench.training.content import Incomparable
from bnbench.training.module_state import PythonState, changed, layers_of, python_state
from bnbench.training.records import Keep

State = dict[str, Any]
"""Tensors, numbers, texts and None, and lists, tuples and dictionaries of them."""


class Unsteady(Exception):
    """Layers keep something in Python that changes while they train; the message says what."""


class Unfit(Exception):
    """A snapshot is not of the runs, or not of their networks, that are to go on from it."""


@dataclass(frozen=True)
class Snapshot:
    """Training at a pause.

    Attributes:
        step: how many steps were made.
        columns: for each column of a stack the index of its run, -1 where that has ended; of one run [0].
        state: all else.
        is_part: True if some runs that were living do not go on.
    """

    step: int
    columns: Sequence[int]
    state: State
    is_part: bool = False


class Checkpoints(Protocol):
    """Keeps snapshots, as far as it wants them.

    Attributes:
        snapshot: from which training goes on; None begins it.
    """

    snapshot: Snapshot | None

    def at_pause(self, take: Callable[[], Snapshot]) -> None:
        """Training has paused, and goes on after this call; ``take`` raises :class:`Unsteady` as it cannot be saved."""
        ...

    def at_stop(self, take: Callable[[], Snapshot]) -> None:
        """Training has stopped before its end, and may go on in another process; ``take`` as for :meth:`at_pause`."""
        ...


@dataclass(frozen=True)
class Saving:
    """Who is given what training leaves beside its records.

    Attributes:
        keep: takes each network once it is tested, before the outcome.
        checkpoints: takes the state of training at pauses; training does not depend on it.
        until: stop after so many epochs, where there is an evaluation; None trains to the end.
    """

    keep: Keep | None = None
    checkpoints: Checkpoints | None = None
    until: int | None = None

    @property
    def snapshot(self) -> Snapshot | None:
        """From which training goes on; None begins it."""
        return None if self.checkpoints is None else self.checkpoints.snapshot


NOTHING = Saving()


def encode(state: State) -> bytes:
    """A state as bytes."""
    stream = io.BytesIO()
    torch.save(state, stream)
    return stream.getvalue()


def decode(content: bytes) -> State:
    """The state in some bytes, on the CPU; nothing in them is executed.

    Raises:
        Unfit: they hold none.
    """
    try:
        state: State = torch.load(io.BytesIO(content), map_location="cpu", weights_only=True)
    except Exception as error:  # of damaged bytes torch and pickle raise anything
        raise Unfit(f"it cannot be read ({type(error).__name__})") from error
    return state


class PythonWatch:
    """Watches what the layers of a network keep in Python, which no snapshot has.

    Args:
        network: before it is trained on.
    """

    def __init__(self, network: nn.Module) -> None:
        self._start = _kept(network)
        self._change: str | None = None

    def move(self, old: nn.Module, new: nn.Module) -> None:
        """Go on with a network in the place of another one."""
        self._change = self._change or changed(self._start, _kept(old))
        self._start = _kept(new)

    def check(self, network: nn.Module) -> None:
        """Raise :class:`Unsteady` if something is not as it was, or cannot be compared."""
        change = self._change or changed(self._start, _kept(network))
        if change is not None:
            raise Unsteady(f"{change} is kept in Python, and changes or cannot be compared")


def _kept(network: nn.Module) -> PythonState:
    """What layers keep in Python.

    Buffers are no part of it, whether changed or replaced, and no modules without a state but the global generators'.
    """
    buffers = {
        f"{path} ({type(layer).__name__}).{name}" if path else f"{type(layer).__name__}.{name}"
        for path, layer in layers_of(network)
        for name in layer._buffers
    }
    state = python_state(network)
    places = {
        place: content
        for place, content in state.places.items()
        if place not in buffers and not (isinstance(content, Incomparable) and content.stateless)
    }
    return PythonState(places, state.common)


def tensors_of(network: nn.Module) -> dict[str, Tensor]:
    """All parameters and buffers by name."""
    return {name: tensor.detach() for name, tensor in _named(network)}


@torch.no_grad()
def put_tensors(network: nn.Module, tensors: Mapping[str, Tensor]) -> None:
    """Give a network's parameters and buffers other values, where they are.

    Raises:
        Unfit: these are not the tensors of such a network.
    """
    there = dict(_named(network))
    if _shapes(there) != _shapes(tensors):
        raise Unfit("its tensors are not those of the networks")
    for name, tensor in there.items():
        tensor.copy_(tensors[name])


def put_lists(old: Sequence[Tensor], new: Sequence[Tensor]) -> None:
    """Give tensors other values, where they are. Raises :class:`Unfit` if they have other shapes."""
    if [tensor.shape for tensor in old] != [tensor.shape for tensor in new]:
        raise Unfit("its tensors are not those of the optimizer")
    for tensor, value in zip(old, new, strict=True):
        tensor.copy_(value)


def _named(network: nn.Module) -> Iterable[tuple[str, Tensor]]:
    yield from network.named_parameters()
    yield from network.named_buffers()


def _shapes(tensors: Mapping[str, Tensor]) -> dict[str, object]:
    return {name: (tensor.shape, tensor.dtype) for name, tensor in tensors.items()}
