"""A trial of a search, and its value."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from statistics import fmean

from bnbench import store
from bnbench.config import Point

WORST = 0.0
"""The value of a run that diverged: no accuracy is lower."""


@dataclass(frozen=True)
class Trial:
    """A point of a search space that is trained.

    Attributes:
        arm: the value of the factor that has a search for each of its values; empty for one search.
        number: in its search, from 0.
        point: a value for each key of the space.
        value: the mean final validation accuracy of its runs, from 0 to 1; None without one.
        is_impossible: True where some of its runs cannot be trained, so that it never has a value.
        stopped: the epochs after which it did not go on, at a rung of successive halving; its value is that of then, or
            None if a run of it failed. None for one that was trained to the end.
    """

    arm: str
    number: int
    point: Point
    value: float | None = None
    is_impossible: bool = False
    stopped: int | None = None

    @property
    def is_open(self) -> bool:
        """True for a trial that may yet have a value."""
        return self.value is None and not self.is_impossible and self.stopped is None


def value_of(rows: Iterable[Mapping[str, str]]) -> float | None:
    """The value of a trial by the rows of its runs; None as long as one of them has no result.

    The mean final validation accuracy; runs that diverged count as :data:`WORST`. Test data take no part.
    """
    accuracies = []
    for row in rows:
        if row["status"] == "diverged":
            accuracies.append(WORST)
        elif row["status"] in store.RESULTS and row["val_accuracy"]:
            accuracies.append(float(row["val_accuracy"]))
        else:
            return None
    return fmean(accuracies) if accuracies else None
