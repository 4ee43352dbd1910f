"""The learning rates at which a row trains, and the usable ones around its best."""

from __future__ import annotations

from dataclasses import dataclass

from bnbench.analysis.lr_choice import TRAINS

USABLE = 0.95
"""A mean is usable from this share of the way from chance to the best mean on."""


@dataclass(frozen=True, slots=True)
class LearningRateRange:
    """Learning rates at which a row trains; positions are indices into the row's own grid, lowest learning rate first.

    Attributes:
        largest: the largest learning rate that trains; None if none does.
        low: first learning rate of the usable range; None if nothing trains.
        high: last learning rate of the usable range; None if nothing trains.
    """

    largest: int | None
    low: int | None
    high: int | None


def usable_range(means: list[float], diverged: list[float], best: int, chance: float) -> LearningRateRange:
    """Find the largest learning rate that trains, and the usable ones around the best.

    Args:
        means: mean validation accuracy per learning rate of the row's grid, ascending.
        diverged: share of the seeds that diverged, in the same order.
        best: position of the best learning rate.
        chance: accuracy of a uniform guess.
    """
    above = [(mean - chance) / (means[best] - chance) if means[best] > chance else 0.0 for mean in means]
    alive = [share == 0 for share in diverged]
    trains = [ok and share >= TRAINS - 1e-9 for ok, share in zip(alive, above, strict=True)]
    usable = [ok and share >= USABLE - 1e-9 for ok, share in zip(alive, above, strict=True)]
    largest = max((at for at, yes in enumerate(trains) if yes), default=None)
    if not usable[best]:
        return LearningRateRange(largest, None, None)
    low = high = best
    while low > 0 and usable[low - 1]:
        low -= 1
    while high + 1 < len(usable) and usable[high + 1]:
        high += 1
    return LearningRateRange(largest, low, high)
