"""Learning curves: validation accuracy by training step, each row at its best learning rate."""

from __future__ import annotations

import pandas as pd

from bnbench.analysis import Convergence
from bnbench.analysis.learning_curves import learning_curves as curves_of
from bnbench.figures.assembly import Sheet, assembled, seeds
from bnbench.figures.charts import (
    Spec,
    accuracy,
    chance_line,
    chart,
    crosses,
    faint,
    layer,
    legend,
    only,
    records,
    series,
    steps,
)
from bnbench.figures.figure import Figure
from bnbench.figures.places import Place, places_of

MARKED = 4
"""Marks on a line, about."""


def learning_curves(numbers: Convergence, metrics: pd.DataFrame) -> Figure | str:
    """Mean and standard deviation over seeds of each row by step; the reason where there is nothing to draw.

    Args:
        numbers: rows at their learning rates.
        metrics: one line per evaluation.
    """
    frame = curves_of(numbers.runs, metrics)
    if frame.empty:
        return "no run has an evaluation"
    chance = numbers.rows.keys["chance"]
    frame = frame.assign(low=frame["mean"] - frame["sd"], high=frame["mean"] + frame["sd"])
    tuned = ", each at its best learning rate" if numbers.choices is not None else ""
    crossed = " A cross: all seeds diverged, which counts as chance (dotted line)." if frame["diverged"].any() else ""
    columns = {
        "step": "step",
        "mean": "val_accuracy_mean",
        "sd": "val_accuracy_sd",
        "n": "seeds",
        "diverged": "diverged",
    }

    def draw(place: Place, part: pd.DataFrame, others: pd.DataFrame) -> Spec:
        return _drawing(place, part, others, float(chance[place.members[0].row]))

    sheet = Sheet(
        "learning-curves",
        "Learning curves",
        f"Validation accuracy by training step{tuned}: mean and, as a band, one standard deviation over"
        f" {seeds(frame['n'])}.{crossed}",
        "validation accuracy by training step",
        columns,
    )
    return assembled(sheet, frame, places_of(numbers.rows, set(frame["row"])), draw)


def _drawing(place: Place, part: pd.DataFrame, others: pd.DataFrame, chance: float) -> Spec:
    x, y, style = steps("x"), accuracy("y", "validation"), series(place.members)
    band = {"x": x, "y": {**y, "field": "low"}, "y2": {"field": "high"}, **only(style, "color")}
    banded = part[part["n"] > 1].assign(low=part["low"].clip(0, 1), high=part["high"].clip(0, 1))
    lost, marked = part[part["diverged"]], _marked(part)
    at = {"x": x, "y": y}
    return chart(
        [
            faint(records(others, x="step", y="mean", s="s"), x, y),
            *chance_line(chance, float(part["mean"].min()), y),
            layer("area", records(banded, x="step", low="low", high="high", s="s"), band, opacity=0.16),
            layer("line", records(part, x="step", y="mean", s="s"), {**at, **only(style, "color", "strokeDash")}),
            layer("point", records(marked, x="step", y="mean", s="s"), {**at, **only(style, "color", "shape")}),
            crosses(records(lost, x="step", y="mean", s="s"), {**at, **only(style, "color")}),
            *legend(place.members),
        ]
    )


def _marked(part: pd.DataFrame) -> pd.DataFrame:
    """Some points of each line, at other places than those of its neighbours."""
    kept = []
    for number, (_, line) in enumerate(part[~part["diverged"]].groupby("s", sort=False)):
        every = max(1, round(len(line) / MARKED))
        kept.append(line.iloc[number % every :: every])
    return pd.concat(kept) if kept else part.iloc[:0]
