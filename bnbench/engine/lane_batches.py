"""The training batches of a stack, a block of several steps at a time.

N batch of a lane, K lanes, S steps of a block, C channels, H, W.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import torch
from torch import Tensor

from bnbench.data import Data, Draws, augment, draw_epoch, normalize
from bnbench.engine.randomness import generator
from bnbench.spec import RunSpec

BLOCK_BYTES = 2**19
"""Size of the images of a block: small enough for a core's cache, large enough that small batches come cheaply."""


class LaneBatches:
    """The data order and augmentation of every lane: lanes with one seed share them."""

    def __init__(self, specs: Sequence[RunSpec], data: Data, dtype: torch.dtype) -> None:
        self._data, self._dtype, self._batch_size = data, dtype, specs[0].batch_size
        self._seeds = [spec.seed for spec in specs]
        self._generators = {seed: (generator(seed, "order"), generator(seed, "augment")) for seed in self._seeds}
        self._draws = Draws(torch.empty(0))
        self._block: Iterator[tuple[Tensor, Tensor]] = iter(())

    def get(self, position: int) -> tuple[Tensor, Tensor]:
        """Batch ``position`` of the epoch: x [K*N, C, H, W] and y [K, N]; batches are taken in order, 0 begins anew."""
        if position == 0:
            self._draw()
        batch = next(self._block, None)
        if batch is None:
            self._block = self._prepare(position)
            batch = next(self._block)
        return batch

    def select(self, columns: Sequence[int]) -> None:
        """Go on with some lanes only, at the beginning of an epoch or at a new block."""
        left = [
            (torch.unflatten(x, 0, (len(self._seeds), -1))[columns].flatten(0, 1), y[columns]) for x, y in self._block
        ]
        self._block = iter(left)
        self._seeds = [self._seeds[column] for column in columns]
        self._generators = {seed: pair for seed, pair in self._generators.items() if seed in self._seeds}
        index = torch.tensor(columns, device=self._draws.order.device)
        parts = (self._draws.order, self._draws.dy, self._draws.dx, self._draws.flip)
        self._draws = Draws(*(part[index] if part is not None else None for part in parts))  # type: ignore[arg-type]

    def _draw(self) -> None:
        """Draw the next epoch of every seed; ``order`` and the rest become [K, examples]."""
        count, augmentation = len(self._data.train.y), self._data.augmentation
        draws = {seed: draw_epoch(count, augmentation, *pair) for seed, pair in self._generators.items()}
        lanes = [draws[seed] for seed in self._seeds]
        parts = [[getattr(lane, name) for lane in lanes] for name in ("order", "dy", "dx", "flip")]
        joined = [None if part[0] is None else torch.stack(part) for part in parts]
        self._draws = Draws(*joined).to(self._data.train.y.device)  # type: ignore[arg-type]
        self._block = iter(())

    def _prepare(self, position: int) -> Iterator[tuple[Tensor, Tensor]]:
        """The batches of the next block; a smaller last batch of an epoch is a block of its own."""
        data, draws, size, lanes = self._data, self._draws, self._batch_size, len(self._seeds)
        bytes_of_one = self._dtype.itemsize * lanes * size * data.train.x[0].numel()
        full = draws.order.shape[1] // size - position
        steps = max(1, min(full, BLOCK_BYTES // bytes_of_one))
        here = slice(position * size, (position + steps) * size)

        def in_steps(part: Tensor) -> Tensor:
            """[K, S*N] as [S*K*N]."""
            return torch.unflatten(part[:, here], 1, (steps, -1)).transpose(0, 1).flatten()

        index = in_steps(draws.order)
        x = normalize(data.train.x[index], data.mean, data.std, self._dtype)
        if draws.dy is not None and draws.dx is not None and draws.flip is not None:
            x = augment(x, data.augmentation.pad, *map(in_steps, (draws.dy, draws.dx, draws.flip)))
        y_SKN = data.train.y[index].view(steps, lanes, -1)
        return zip(x.chunk(steps), y_SKN, strict=True)
