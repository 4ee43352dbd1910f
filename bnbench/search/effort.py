"""The epochs of a search with successive halving, and those that it saves."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from bnbench.search.halving import Rung


@dataclass(frozen=True)
class Effort:
    """The rungs of all brackets of an arm.

    Attributes:
        brackets: the rungs of each.
        runs: of one trial in all arms.
    """

    brackets: Sequence[Sequence[Rung]]
    runs: int

    @property
    def epochs(self) -> int:
        """The epochs that all runs train for, if no trial diverges."""
        return self.runs * sum(epochs_left(its) for its in self.brackets)

    @property
    def unhalved(self) -> int:
        """The epochs if all trials were trained to the end."""
        return self.runs * sum(its[0].trials * its[-1].epochs for its in self.brackets)


def epochs_left(rungs: Sequence[Rung], place: int = 0) -> int:
    """The epochs of the trials of an arm in a rung and those behind it."""
    starts = [0, *(rung.epochs for rung in rungs)]
    return sum(rung.trials * (rung.epochs - starts[at]) for at, rung in enumerate(rungs) if at >= place)


def share_left(rungs: Sequence[Rung], place: int) -> float:
    """The epochs from a rung on, as a share of those if all trials in it were trained from their begin to the end."""
    return epochs_left(rungs, place) / (rungs[place].trials * rungs[-1].epochs)
