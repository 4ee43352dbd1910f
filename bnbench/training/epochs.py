"""The epochs of a run, drawn one after the other from the streams of its seed."""

from __future__ import annotations

from collections.abc import Sequence

from torch import Tensor

from bnbench.data import Data, Draws, Order, draw_epoch
from bnbench.training.randomness import generator


class Epochs:
    """The order and augmentation of a run's training examples.

    Args:
        order: in which an epoch takes the examples.
        data: of the run.
        seed: of the run.
    """

    def __init__(self, order: Order, data: Data, seed: int) -> None:
        self._order, self._augmentation = order, data.augmentation
        self._generators = generator(seed, "order"), generator(seed, "augment")
        self._before = self._states()

    def draw(self) -> Draws:
        """Draw the next epoch, on the CPU."""
        self._before = self._states()
        return draw_epoch(self._order, self._augmentation, *self._generators)

    def state(self, inside: bool) -> Sequence[Tensor]:
        """From which the next epoch is drawn or, inside one, that one again."""
        return self._before if inside else self._states()

    def restore(self, state: Sequence[Tensor]) -> None:
        """Draw next what came, or comes, after a state."""
        for rng, value in zip(self._generators, state, strict=True):
            rng.set_state(value)

    def _states(self) -> list[Tensor]:
        return [rng.get_state() for rng in self._generators]
