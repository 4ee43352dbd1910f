"""The choice of the learning rate: by mean validation accuracy over seeds, never by test accuracy."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import pandas as pd

from bnbench.analysis.accuracy import divergence

TRAINS = 0.5
"""A mean counts as trained from this share of the way from chance to the best mean on."""


@dataclass(frozen=True, slots=True)
class LearningRateChoice:
    """The learning rate at which a group of runs is shown.

    Attributes:
        code: of the level of ``lr``.
        edge: it is the lowest or highest of a grid of at least two.
        unstable: the seeds disagree there.
    """

    code: int
    edge: bool = False
    unstable: bool = False


def best_lr(counted: pd.DataFrame, by: Sequence[str], stable_first: bool = False) -> dict[Any, LearningRateChoice]:
    """Choose a learning rate for every group of runs; by the group's code or tuple of codes, in ascending order.

    Equal means go to the lower learning rate. A diverged run scores at chance.

    Args:
        counted: runs with ``val``, ``chance``, ``diverged`` and the codes of ``lr``.
        by: columns that make the groups.
        stable_first: choose one at which some seeds diverged and some did not only where no other trains.
    """
    by = list(by)
    groups = counted.groupby([*by, "lr"])
    means = groups[["val", "chance"]].mean().round(9).join(divergence(counted, [*by, "lr"])["unstable"]).reset_index()
    grid = means.groupby(by)["lr"].agg(["min", "max", "size"])
    above = means["val"] - means["chance"]
    top = above.groupby([means[name] for name in by]).transform("max")
    trains = (above > 0) & (above >= TRAINS * top - 1e-9)
    means["first"] = trains & ~means["unstable"] & stable_first
    ranked = means.sort_values([*by, "first", "val", "lr"], ascending=[*([True] * len(by)), False, False, True])
    best = ranked.drop_duplicates(by).set_index(by)
    edge = ((best["lr"] == grid["min"]) | (best["lr"] == grid["max"])) & (grid["size"] > 1)
    table = pd.DataFrame({"lr": best["lr"], "edge": edge, "unstable": best["unstable"]})
    return {
        group: LearningRateChoice(int(lr), bool(edge), bool(unstable))
        for group, lr, edge, unstable in table.itertuples()
    }


def keep_best(counted: pd.DataFrame, choices: dict[Any, LearningRateChoice], by: Sequence[str]) -> pd.DataFrame:
    """The runs at their group's chosen learning rate."""
    by = list(by)
    index = pd.MultiIndex.from_tuples(choices, names=by) if len(by) > 1 else pd.Index(list(choices), name=by[0])
    best = pd.Series([choice.code for choice in choices.values()], index=index, name="best")
    return counted[counted["lr"] == counted[by].join(best, on=by)["best"]]
