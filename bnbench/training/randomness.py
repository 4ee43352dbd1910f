"""Random streams of a run, one per purpose, so that none shifts another."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from types import TracebackType
from typing import Any

import torch
from torch import nn

from bnbench.global_state import (
    advanced,
    generator_states,
    plain_states,
    seeded_generators,
    set_generator_states,
    states_of_plain,
)
from bnbench.spec import stream


def generator(seed: int, purpose: str) -> torch.Generator:
    """A CPU generator for one purpose of one seed; the same numbers whatever the device of training."""
    return torch.Generator().manual_seed(stream(seed, purpose))


def evaluation_stream(seed: int, device: torch.device) -> GlobalStream:
    """The random numbers of layers in an evaluation: the same each time, so that a network's results are its own."""
    return GlobalStream(stream(seed, "layers", "evaluation"), device)


@contextmanager
def undrawn() -> Iterator[None]:
    """Raise :class:`Drawn` if the CPU's global generators are not after a block what they were before."""
    before = generator_states()._replace(cuda=[])
    yield
    if names := advanced(before, generator_states()._replace(cuda=[])):
        raise Drawn(f"a layer draws random numbers ({', '.join(names)}) where its run has no stream of them")


class Drawn(Exception):
    """Runs that draw numbers from one generator are trained together, and would not be repeatable."""


class GlobalStream:
    """Makes the global generators continue a stream of their own inside a ``with`` block, and puts them back.

    Layers that draw from the generators of torch, Python or numpy (dropout, a plugin's norm) then see the same numbers
    whatever else the program draws.

    Args:
        seed: of the stream.
        device: on which the layers are.
        torch_only: leave Python's and numpy's alone, whose states take 0.1 ms to change.
    """

    def __init__(self, seed: int, device: torch.device, torch_only: bool = False) -> None:
        if device.type == "cuda":
            torch.cuda.init()  # type: ignore[no-untyped-call]
        self._torch_only = torch_only
        with seeded_generators(seed):
            self._state = self._outer = self._first = generator_states(torch_only)

    @property
    def drawn(self) -> tuple[str, ...]:
        """Whose generators were drawn from: ``torch``, ``Python``, ``numpy``."""
        return advanced(self._first, self._state)

    @contextmanager
    def ahead(self) -> Iterator[None]:
        """See the next numbers of the stream in a block, and leave them for those who draw."""
        state = self._state
        try:
            with self:
                yield
        finally:
            self._state = state

    def state(self) -> dict[str, Any]:
        """The place that the stream has come to, as tensors, numbers and texts."""
        return plain_states(self._state)

    def restore(self, state: Mapping[str, Any]) -> None:
        """Go on from a place that :meth:`state` has told."""
        self._state = states_of_plain(state)

    def __enter__(self) -> None:
        self._outer = generator_states(self._torch_only)
        set_generator_states(self._state)

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._state = generator_states(self._torch_only)
        set_generator_states(self._outer)


@torch.no_grad()
def randomize(network: nn.Module, rng: torch.Generator) -> None:
    """Move parameters and running statistics away from their initial values, which are often all alike."""
    for parameter in network.parameters():
        noise = torch.randn(parameter.shape, dtype=parameter.dtype, generator=rng)
        parameter.mul_(1 + 0.1 * noise).add_(0.01 * noise)
    for name, buffer in network.named_buffers():
        if name.endswith("num_batches_tracked"):
            buffer.copy_(torch.randint(100, 500, buffer.shape, generator=rng))
        elif buffer.is_floating_point():
            buffer.mul_(1 + 0.5 * torch.rand(buffer.shape, dtype=buffer.dtype, generator=rng))
            if name.endswith("running_mean"):
                buffer.add_(0.1 * torch.randn(buffer.shape, dtype=buffer.dtype, generator=rng))
