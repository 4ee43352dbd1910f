"""Lines of accuracy over something that was set: a learning rate, a batch size."""

from __future__ import annotations

from dataclasses import dataclass

import pandas as pd

from bnbench.figures.charts import (
    Spec,
    accuracy,
    chance_line,
    chart,
    crosses,
    faint,
    layer,
    legend,
    logarithmic,
    only,
    records,
    series,
)
from bnbench.figures.places import Place
from bnbench.figures.theme import WIDTH

BESIDE = 9
"""Pixels between the marks of runs that diverged at one setting."""


@dataclass(frozen=True, slots=True)
class Setting:
    """The axis of what was set.

    Attributes:
        column: of the table.
        title: of the axis.
        base: of its logarithm.
        which: the accuracy that was measured: ``validation`` or ``test``.
    """

    column: str
    title: str
    base: int
    which: str


def accuracy_lines(setting: Setting, place: Place, part: pd.DataFrame, others: pd.DataFrame, chance: float) -> Spec:
    """Mean accuracy with one standard deviation, the usable range thick, what diverged as a cross at chance.

    Args:
        setting: the axis below.
        place: the panel.
        part: ``s``, the column of the setting, ``mean``, ``sd``, ``n``, ``diverged``, ``seeds``, ``usable``.
        others: the same of the rows behind.
        chance: accuracy of a uniform guess.
    """
    part, others = _ready(part, setting), _ready(others, setting)
    ticks = sorted(pd.concat([part["x"], others["x"]]).unique().tolist())
    x, y = logarithmic("x", setting.title, ticks, setting.base), accuracy("y", setting.which)
    style, at = series(place.members), {"x": x, "y": y}
    known, lost = part[part["mean"].notna()], part[part["diverged"] > 0]
    trained = known[known["diverged"] < known["seeds"]]
    lowest = chance if len(lost) else float(known["mean"].min())
    bar = {"x": x, "y": {**y, "field": "low"}, "y2": {"field": "high"}, **only(style, "color")}
    spread = records(trained[trained["n"] > 1], x="x", low="low", high="high", s="s")
    usable, alone = _usable(known)
    lines = records(known, **DRAWN)
    return chart(
        [
            faint(records(others[others["mean"].notna()], **DRAWN), x, y),
            *chance_line(chance, lowest, y),
            layer("line", usable, {**at, **only(style, "color")}, strokeWidth=7, opacity=0.22),
            layer("point", alone, {**at, **only(style, "color")}, shape="circle", size=150, opacity=0.22),
            layer("rule", spread, bar, opacity=0.6),
            layer("line", lines, {**at, **only(style, "color", "strokeDash")}),
            layer("point", records(trained, **DRAWN), {**at, **only(style, "color", "shape")}),
            crosses(_beside(place, lost, ticks, chance), {**at, **only(style, "color")}),
            *legend(place.members),
        ]
    )


DRAWN = {"x": "x", "y": "mean", "s": "s"}


def _ready(lines: pd.DataFrame, setting: Setting) -> pd.DataFrame:
    """Lines in the order of the axis, with the ends of their bars."""
    low, high = (lines["mean"] - lines["sd"]).clip(0), (lines["mean"] + lines["sd"]).clip(upper=1)
    return lines.assign(x=lines[setting.column], low=low, high=high).sort_values("x", kind="stable")


def _usable(known: pd.DataFrame) -> tuple[list[Spec], list[Spec]]:
    """The points of usable ranges, and those of ranges of one point."""
    usable = known[known["usable"]]
    alone = usable.groupby("s")["s"].transform("size") == 1
    return records(usable, **DRAWN), records(usable[alone], **DRAWN)


def _beside(place: Place, lost: pd.DataFrame, ticks: list[float], chance: float) -> list[Spec]:
    """Marks of what diverged beside each other, so that none hides another."""
    reach = ticks[-1] / ticks[0]
    order = {member.label: at - (len(place.members) - 1) / 2 for at, member in enumerate(place.members)}
    shift = lost["s"].map(order).astype(float) * BESIDE / WIDTH
    return records(lost.assign(x=lost["x"] * reach**shift, y=chance), x="x", y="y", s="s")
