"""Accuracies of groups of runs: mean and standard deviation over seeds, and whether the seeds agree that it trains."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import pandas as pd


@dataclass(frozen=True, slots=True)
class Accuracy:
    """The accuracy, or the loss, of a group of runs that differ in the seed alone.

    Attributes:
        mean: over ``n`` runs, as a fraction or in nats; NaN without any. Where all diverged it is that of chance.
        sd: standard deviation (n - 1 in the denominator); None for fewer than two runs.
        n: runs behind the mean; in an unstable group those that did not diverge.
        diverged: runs that diverged.
        seeds: all runs of the group.
    """

    mean: float
    sd: float | None
    n: int
    diverged: int
    seeds: int

    @property
    def unstable(self) -> bool:
        """Some seeds diverged and some did not."""
        return is_unstable(self.diverged, self.seeds)


def is_unstable(diverged: int, seeds: int) -> bool:
    """Say that some seeds diverged and some did not, so that a status is no property of what was trained."""
    return 0 < diverged < seeds


def divergence(counted: pd.DataFrame, by: Sequence[str]) -> pd.DataFrame:
    """``diverged`` runs and ``seeds`` of every group, and whether it is ``unstable``."""
    table = counted.groupby(list(by))["diverged"].agg(["sum", "size"]).set_axis(["diverged", "seeds"], axis=1)
    return table.assign(unstable=[is_unstable(diverged, seeds) for diverged, seeds in table.itertuples(index=False)])


def without_unstable_divergence(counted: pd.DataFrame, by: Sequence[str]) -> pd.DataFrame:
    """All runs but those that diverged in an unstable group."""
    unstable = counted[list(by)].join(divergence(counted, by)["unstable"], on=list(by))["unstable"]
    return counted[~(unstable & counted["diverged"])]


def summarize(counted: pd.DataFrame, by: Sequence[str], score: str) -> dict[Any, Accuracy]:
    """The accuracy of every group, by the group's code or tuple of codes, in ascending order.

    Runs that diverged in an unstable group are left out of its mean: chance would be mixed into it otherwise.

    Args:
        counted: runs with ``diverged``, the score, and the columns of the groups.
        by: columns that make the groups.
        score: ``val``, ``test`` or ``val_loss``.
    """
    scores = without_unstable_divergence(counted, by).groupby(list(by))[score].agg(["mean", "std", "count"])
    table = scores.join(divergence(counted, by)[["diverged", "seeds"]])
    return {
        group: Accuracy(float(mean), float(sd) if n > 1 else None, int(n), int(diverged), int(seeds))
        for group, mean, sd, n, diverged, seeds in table.itertuples()
    }
