"""Steps to a target: the share of the seeds that have reached it, by training step."""

from __future__ import annotations

import pandas as pd

from bnbench.analysis import Convergence
from bnbench.analysis.arrivals import arrivals
from bnbench.figures.assembly import Sheet, assembled, seeds
from bnbench.figures.charts import (
    Spec,
    apart,
    at_all,
    chart,
    faint,
    layer,
    legend,
    only,
    quantity,
    records,
    series,
    steps,
)
from bnbench.figures.figure import Figure
from bnbench.figures.places import Place, places_by_part
from bnbench.text import general

BAR = "M0,-1L0,1"
"""The mark of seeds that missed, as a shape of Vega."""
SHARES = {"domain": [-0.04, 1.05], "nice": False}
COLUMNS = {
    "target": "target_val_accuracy",
    "step": "step",
    "share": "share_reached",
    "hits": "seeds_reached",
    "misses": "seeds_missed",
    "n": "seeds",
}


def target_times(numbers: Convergence, metrics: pd.DataFrame) -> Figure | str:
    """The share of each row's seeds that reached each target, by step; the reason where there is nothing to draw.

    Args:
        numbers: rows at their learning rates, and the targets.
        metrics: one line per evaluation.
    """
    if not numbers.targets:
        return "there is no target above chance"
    frame = pd.concat([_lines(numbers, metrics, *target) for target in _targets(numbers)], ignore_index=True)
    titles = {part: f"to {part}" for part in dict.fromkeys(frame["part"])}
    tuned = ", each row at its best learning rate" if numbers.choices is not None else ""
    missed = " A bar ends the line of a row of which seeds missed it." if frame["misses"].any() else ""
    sheet = Sheet(
        "steps-to-target",
        "Steps to target",
        f"Share of the seeds that have reached the target by a training step{tuned}; {seeds(frame['n'])}; lines at one"
        f" height are drawn a little apart.{missed}",
        "share of seeds that reached the target by training step",
        COLUMNS,
    )
    return assembled(sheet, frame, places_by_part(numbers.rows, frame, titles), _drawing)


def _targets(numbers: Convergence) -> list[tuple[float, list[int]]]:
    """Each target, and the rows of its dataset."""
    return [(times.target, [row.row for row in times.rows]) for times in numbers.targets]


def _lines(numbers: Convergence, metrics: pd.DataFrame, target: float, rows: list[int]) -> pd.DataFrame:
    lines = arrivals(numbers.runs[numbers.runs["row"].isin(rows)], metrics, target)
    share, part = lines["hits"] / lines["n"], f"{general(round(100 * target, 6))}%"
    return lines.assign(share=share, target=target, part=part)


def _drawing(place: Place, part: pd.DataFrame, others: pd.DataFrame) -> Spec:
    share = quantity("y", "seeds that reached the target", ".0%", scale=SHARES, axis=at_all([0, 0.25, 0.5, 0.75, 1]))
    x, y, style = steps("x"), share, series(place.members)
    at = {"x": x, "y": y}
    part, others = apart(place.members, part, "share"), others.assign(y=others["share"])
    arrived, missed = part[part["misses"] == 0], part[part["misses"] > 0]
    line = {**at, **only(style, "color", "strokeDash")}
    bar = {"shape": BAR, "filled": False, "size": 100, "strokeWidth": 2}
    return chart(
        [
            faint(_from_zero(others), x, y, interpolate="step-after"),
            layer("line", _from_zero(part), line, interpolate="step-after"),
            layer("point", records(arrived, x="step", y="y", s="s"), {**at, **only(style, "color", "shape")}),
            layer("point", records(missed, x="step", y="y", s="s"), {**at, **only(style, "color")}, **bar),
            *legend(place.members),
        ]
    )


def _from_zero(part: pd.DataFrame) -> list[Spec]:
    """Lines that begin where no seed has arrived."""
    starts = part.drop_duplicates("s").assign(step=0)
    starts["y"] -= starts["share"]
    return [*records(starts, x="step", y="y", s="s"), *records(part, x="step", y="y", s="s")]
