"""The training batches of a stack, a block of several steps at a time.

N batch of a lane, K lanes, M = K * N, S steps of a block, C channels, H, W. Where positions have labels, these have
them as their last axis.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import replace
from functools import partial
from typing import NamedTuple

import torch
from torch import Tensor

from bnbench.data import Data, Draws, Order, augment, examples_of_lanes, stacked
from bnbench.spec import RunSpec
from bnbench.training.epochs import Epochs
from bnbench.training.saving import State

BLOCK_BYTES = {"cpu": 2**19, "cuda": 2**29}
"""Size of the images of a block: on the CPU small enough for a core's cache, everywhere large enough that small batches
come cheaply; on a GPU as long as memory does not mind, for the program works between two blocks."""
NATIVE_BLOCK_BYTES = 2**22
"""For steps that take one lane after another, which reads its weights anew in each block."""


class LaneBatches:
    """The data order and augmentation of every lane, and the examples of its split.

    Lanes of one seed and one order share what is drawn. Epochs of different orders may have different lengths.

    Args:
        specs: of the lanes, with one stack key.
        data: of each; the same object for lanes of one split.
        orders: of each; the same object for lanes of one split.
        dtype: of the images.
        block_bytes: size of the images of a block; None takes that of the device.
    """

    def __init__(
        self,
        specs: Sequence[RunSpec],
        data: Sequence[Data],
        orders: Sequence[Order],
        dtype: torch.dtype,
        block_bytes: int | None = None,
    ) -> None:
        self._train = examples_of_lanes(data, [lane.train for lane in data])
        self._augmentation, self._image_size = data[0].augmentation, math.prod(data[0].shape)
        self._dtype, self._batch_size = dtype, specs[0].batch_size
        self._block_bytes = BLOCK_BYTES[data[0].device.type] if block_bytes is None else block_bytes
        self._sources = [_Source(spec.seed, spec.split.seed, order) for spec, order in zip(specs, orders, strict=True)]
        self._epochs = {one: Epochs(one.order, data[0], one.seed) for one in self._sources}
        self._rest = {one: Draws(torch.empty(0, dtype=torch.int64)) for one in self._sources}
        self._draws, self._position = Draws(torch.empty(len(specs), 0, dtype=torch.int64)), 0
        self._block: tuple[Tensor, Tensor] | None = None

    @property
    def longest(self) -> int:
        """The most steps of a block."""
        bytes_of_one = self._dtype.itemsize * len(self._sources) * self._batch_size * self._image_size
        return max(1, min(self._block_bytes // bytes_of_one, *(one.order.steps for one in self._sources)))

    def take(self, most: int) -> tuple[Tensor, Tensor]:
        """The next batches, S of them, which is ``most`` or as many as are prepared.

        Returns:
            x [S, M, C, H, W] and y [S, K, N].
        """
        x_SMCHW, y_SKN = self._prepare() if self._block is None else self._block
        self._block = (x_SMCHW[most:], y_SKN[most:]) if len(y_SKN) > most else None
        return x_SMCHW[:most], y_SKN[:most]

    def look_ahead(self) -> None:
        """Draw the next epoch if this one is used up: a GPU is still at work then."""
        if self._block is None and self._position == self._draws.order.shape[1]:
            self._draw()

    def select(self, columns: Sequence[int]) -> None:
        """Go on with some lanes only."""
        if self._block is not None:
            x_SMCHW, y_SKN = self._block
            x_SKNCHW = torch.unflatten(x_SMCHW, 1, (len(self._sources), -1))[:, columns]
            self._block = x_SKNCHW.flatten(1, 2), y_SKN[:, columns]
        self._sources = [self._sources[column] for column in columns]
        self._rest = {one: rest for one, rest in self._rest.items() if one in self._sources}
        index = torch.tensor(columns, device=self._draws.order.device)
        self._draws = self._draws.each(lambda part: part[index])
        self._train = self._train.select(index)

    def state(self) -> State:
        """The place in the data: from what the epochs are drawn, and how many of their examples were taken."""
        waiting = 0 if self._block is None else _examples(self._block[1])
        ahead = self._draws.order.shape[1] - self._position + waiting
        epochs = {
            (one.seed, one.split): [self._epochs[one].state(inside=True), len(rest.order) + ahead]
            for one, rest in self._rest.items()
        }
        return {"epochs": epochs, "prepared": 0 if self._block is None else len(self._block[1])}

    def restore(self, state: State) -> None:
        """Go on from a place: what was drawn of the epochs is drawn again. Lanes that have ended may be other ones."""
        for one, epochs in self._epochs.items():
            before, left = state["epochs"][one.seed, one.split]
            epochs.restore(before)
            self._rest[one] = self._drawn(one).each(partial(_end, count=left))
        if prepared := state["prepared"]:
            x_SMCHW, y_SKN = self._prepare()
            self._block = x_SMCHW[:prepared], y_SKN[:prepared]
            self._position -= _examples(y_SKN[prepared:])

    def _drawn(self, one: _Source) -> Draws:
        """The next epoch of a source, without the examples that no batch takes."""
        return self._epochs[one].draw().each(partial(_begin, count=one.order.steps * self._batch_size))

    def _draw(self) -> None:
        """Draw the next epoch of each source that has nothing left, and take as much as there is of all of them.

        What is taken is [K, examples], ``order`` as places among those of all lanes.
        """
        self._rest = {one: rest if len(rest.order) else self._drawn(one) for one, rest in self._rest.items()}
        count = min(len(rest.order) for rest in self._rest.values())
        first = {one: rest.each(partial(_begin, count=count)) for one, rest in self._rest.items()}
        self._rest = {one: rest.each(lambda part: part[count:]) for one, rest in self._rest.items()}
        drawn = stacked([first[one] for one in self._sources])
        device = self._train.joined.y.device
        if device.type == "cuda":
            drawn = drawn.each(lambda part: part.pin_memory().to(device, non_blocking=True))
        self._draws, self._position = replace(drawn, order=drawn.order + self._train.start_K[:, None]), 0

    def _prepare(self) -> tuple[Tensor, Tensor]:
        """The batches of the next block; a smaller last batch of an epoch is a block of its own."""
        if self._position == self._draws.order.shape[1]:
            self._draw()
        train, draws, size = self._train, self._draws, self._batch_size
        steps = max(1, min((draws.order.shape[1] - self._position) // size, self.longest))
        here = slice(self._position, self._position + steps * size)

        def in_steps(part: Tensor) -> Tensor:
            """[K, S*N] as [S*K*N]."""
            return torch.unflatten(part[:, here], 1, (steps, -1)).transpose(0, 1).flatten()

        index = in_steps(draws.order)
        self._position += len(index) // len(self._sources)
        x = train.normalize(train.joined.images(index), self._dtype, steps)
        if draws.dy is not None and draws.dx is not None and draws.flip is not None:
            x = augment(x, self._augmentation.pad, *map(in_steps, (draws.dy, draws.dx, draws.flip)))
        return torch.unflatten(x, 0, (steps, -1)), torch.unflatten(
            train.joined.y[index], 0, (steps, len(self._sources), -1)
        )


class _Source(NamedTuple):
    """The origin of a lane's epochs: its seed, the seed of its split, and the order in which it takes that."""

    seed: int
    split: int
    order: Order


def _examples(y_SKN: Tensor) -> int:
    """The examples of a lane in some steps."""
    return y_SKN.shape[0] * y_SKN.shape[2]


def _begin(part: Tensor, count: int) -> Tensor:
    """The first so many of a tensor, or all."""
    return part[:count]


def _end(part: Tensor, count: int) -> Tensor:
    """The last so many of a tensor."""
    return part[len(part) - count :]
