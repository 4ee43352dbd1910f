"""A map of divergence: the share of the seeds of each row that diverged, by learning rate."""

from __future__ import annotations

import pandas as pd

from bnbench.analysis import LearningRateCurves
from bnbench.figures.assembly import Sheet, assembled, seeds
from bnbench.figures.charts import Spec, chart, layer, records
from bnbench.figures.figure import Figure
from bnbench.figures.learning_rates import rate_lines
from bnbench.figures.palette import VERMILION
from bnbench.figures.places import Place, places_of
from bnbench.figures.theme import INK
from bnbench.text import general

ROW_HEIGHT = 26
"""Pixels of a line of the map."""
COLUMNS = {"lr": "lr", "diverged": "seeds_diverged", "seeds": "seeds"}


def divergence(numbers: LearningRateCurves) -> Figure | str:
    """The share of each row's seeds that diverged, by learning rate; the reason where there is nothing to draw."""
    frame = rate_lines(numbers)
    if not frame["diverged"].any():
        return "no run diverged"
    if frame["lr"].nunique() < 2:
        return "all runs have one learning rate"
    sheet = Sheet(
        "divergence",
        "Divergence by learning rate",
        f"Share of the seeds that diverged, and how many of how many; {seeds(frame['seeds'])} in a cell.",
        "share of seeds that diverged by learning rate",
        COLUMNS,
    )
    return assembled(sheet, frame, places_of(numbers.rows, set(frame["row"])), _drawing)


def _drawing(place: Place, part: pd.DataFrame, others: pd.DataFrame) -> Spec:
    labels = [general(lr) for lr in sorted(part["lr"].unique())]
    cells = part.assign(
        x=part["lr"].map(general),
        share=part["diverged"] / part["seeds"],
        text=part["diverged"].astype(str) + "/" + part["seeds"].astype(str),
    )
    x: Spec = {"field": "x", "type": "nominal", "sort": labels, "title": "learning rate", "axis": {"labelAngle": 0}}
    y: Spec = {"field": "s", "type": "nominal", "sort": [member.label for member in place.members], "title": None}
    shade = {"field": "v", "type": "quantitative", "scale": {"domain": [0, 1], "range": [0, 0.8]}, "legend": None}
    values = records(cells, x="x", s="s", v="share", t="text")
    at = {"x": x, "y": y}
    return chart(
        [
            layer("rect", values, {**at, "fillOpacity": shade}, fill=VERMILION, stroke=INK, strokeOpacity=0.25),
            layer("text", values, {**at, "text": {"field": "t"}}),
        ],
        height=ROW_HEIGHT * len(place.members),
    )
