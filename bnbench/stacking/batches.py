"""The training batches of a stack, a block of several steps at a time.

N batch of a lane, K lanes, M = K * N, S steps of a block, C channels, H, W.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import replace

import torch
from torch import Tensor

from bnbench.data import Data, Draws, Order, augment, examples_of_lanes
from bnbench.spec import RunSpec
from bnbench.training.epochs import Epochs
from bnbench.training.saving import State

BLOCK_BYTES = {"cpu": 2**19, "cuda": 2**29}
"""Size of the images of a block: on the CPU small enough for a core's cache, everywhere large enough that small batches
come cheaply; on a GPU as long as memory does not mind, for the program works between two blocks."""
NATIVE_BLOCK_BYTES = 2**22
"""For steps that take one lane after another, which reads its weights anew in each block."""


class LaneBatches:
    """The data order and augmentation of every lane, shared by lanes of one seed, and the examples of its split."""

    def __init__(
        self,
        specs: Sequence[RunSpec],
        data: Sequence[Data],
        order: Order,
        dtype: torch.dtype,
        block_bytes: int | None = None,
    ) -> None:
        self._train = examples_of_lanes(data, [lane.train for lane in data])
        self._augmentation, self._image_size = data[0].augmentation, math.prod(data[0].shape)
        self._order, self._dtype, self._batch_size = order, dtype, specs[0].batch_size
        self._block_bytes = BLOCK_BYTES[data[0].device.type] if block_bytes is None else block_bytes
        self._seeds = [spec.seed for spec in specs]
        self._epochs = {seed: Epochs(order, data[0], seed) for seed in self._seeds}
        self._draws = Draws(torch.empty(0))
        self._block: tuple[Tensor, Tensor] | None = None

    @property
    def longest(self) -> int:
        """The most steps of a block."""
        bytes_of_one = self._dtype.itemsize * len(self._seeds) * self._batch_size * self._image_size
        fitting = self._block_bytes // bytes_of_one
        return max(1, min(fitting, self._order.steps))

    def take(self, position: int, most: int) -> tuple[Tensor, Tensor]:
        """The batches from ``position`` of the epoch on, S of them, which is ``most`` or as many as are prepared.

        Batches are taken in order; 0 begins a new epoch.

        Returns:
            x [S, M, C, H, W] and y [S, K, N].
        """
        if position == 0:
            self._draw()
        x_SMCHW, y_SKN = self._prepare(position) if self._block is None else self._block
        self._block = (x_SMCHW[most:], y_SKN[most:]) if len(y_SKN) > most else None
        return x_SMCHW[:most], y_SKN[:most]

    def select(self, columns: Sequence[int]) -> None:
        """Go on with some lanes only, at the beginning of an epoch or at a new block."""
        if self._block is not None:
            x_SMCHW, y_SKN = self._block
            x_SKNCHW = torch.unflatten(x_SMCHW, 1, (len(self._seeds), -1))[:, columns]
            self._block = x_SKNCHW.flatten(1, 2), y_SKN[:, columns]
        self._seeds = [self._seeds[column] for column in columns]
        self._epochs = {seed: epochs for seed, epochs in self._epochs.items() if seed in self._seeds}
        index = torch.tensor(columns, device=self._draws.order.device)
        parts = (self._draws.order, self._draws.dy, self._draws.dx, self._draws.flip)
        self._draws = Draws(*(part[index] if part is not None else None for part in parts))  # type: ignore[arg-type]
        self._train = self._train.select(index)

    def state(self, position: int) -> State:
        """The place in the data: ``position`` steps of an epoch were taken."""
        epochs = {seed: epochs.state(inside=position > 0) for seed, epochs in self._epochs.items()}
        return {"epochs": epochs, "prepared": 0 if self._block is None else len(self._block[1])}

    def restore(self, state: State, position: int) -> None:
        """Go on from a place: what was drawn of its epoch is drawn again. Lanes that have ended may be other ones."""
        for seed, epochs in self._epochs.items():
            epochs.restore(state["epochs"][seed])
        if position:
            self._draw()
        if prepared := state["prepared"]:
            x_SMCHW, y_SKN = self._prepare(position)
            self._block = x_SMCHW[:prepared], y_SKN[:prepared]

    def _draw(self) -> None:
        """Draw the next epoch of every seed; all become [K, examples], ``order`` as places among those of all lanes."""
        draws = {seed: epochs.draw() for seed, epochs in self._epochs.items()}
        lanes = [draws[seed] for seed in self._seeds]
        parts = [[getattr(lane, name) for lane in lanes] for name in ("order", "dy", "dx", "flip")]
        stacks = [None if part[0] is None else torch.stack(part) for part in parts]
        drawn = Draws(*stacks).to(self._train.joined.y.device)  # type: ignore[arg-type]
        self._draws = replace(drawn, order=drawn.order + self._train.start_K[:, None])
        self._block = None

    def _prepare(self, position: int) -> tuple[Tensor, Tensor]:
        """The batches of the next block; a smaller last batch of an epoch is a block of its own."""
        train, draws, size = self._train, self._draws, self._batch_size
        steps = max(1, min(draws.order.shape[1] // size - position, self.longest))
        here = slice(position * size, (position + steps) * size)

        def in_steps(part: Tensor) -> Tensor:
            """[K, S*N] as [S*K*N]."""
            return torch.unflatten(part[:, here], 1, (steps, -1)).transpose(0, 1).flatten()

        index = in_steps(draws.order)
        x = train.normalize(train.joined.images(index), self._dtype, steps)
        if draws.dy is not None and draws.dx is not None and draws.flip is not None:
            x = augment(x, self._augmentation.pad, *map(in_steps, (draws.dy, draws.dx, draws.flip)))
        return torch.unflatten(x, 0, (steps, -1)), train.joined.y[index].view(steps, len(self._seeds), -1)
