"""Costs of a training step as bars: memory that it keeps, time that it takes."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import pandas as pd

from bnbench.analysis import RowsAtBest
from bnbench.analysis.probe_readings import costs as costs_of
from bnbench.figures.assembly import Sheet, assembled, seeds
from bnbench.figures.charts import Spec, chart, layer, only, quantity, records, series
from bnbench.figures.figure import Figure
from bnbench.figures.places import Place, places_by_part

ROW_HEIGHT = 24
"""Pixels of a bar and the room around it."""


@dataclass(frozen=True, slots=True)
class Cost:
    """A number of a probe.

    Attributes:
        probe: its name.
        title: of the axis.
        units: by name, what the number is divided by; the largest that leaves the largest number above 1 is taken.
    """

    probe: str
    title: str
    units: Mapping[str, float]


BYTES = {"GB": 1e9, "MB": 1e6, "kB": 1e3, "bytes": 1.0}
SECONDS = {"s": 1.0, "ms": 1e-3, "µs": 1e-6}
COSTS = {
    "saved_bytes": Cost("memory", "kept for the backward pass", BYTES),
    "peak_bytes": Cost("memory", "peak of a training step", BYTES),
    "step_median": Cost("step_time", "time of a training step", SECONDS),
}
TITLES = {"saved_bytes": "memory", "peak_bytes": "peak memory", "step_median": "time"}
COLUMNS = {
    "part": "quantity",
    "mean": "mean_bytes_or_seconds",
    "low": "lowest_bytes_or_seconds",
    "high": "highest_bytes_or_seconds",
    "n": "seeds",
}


def costs(runs: RowsAtBest, probes: pd.DataFrame) -> Figure | str:
    """Memory and time of a training step at the end of training; the reason where there is nothing to draw.

    Args:
        runs: rows at their learning rates.
        probes: as in probes.csv.
    """
    tables = {name: costs_of(runs.runs, probes, cost.probe, name) for name, cost in COSTS.items()}
    parts = [table.assign(part=name) for name, table in tables.items() if len(table)]
    if not parts:
        return "the probes memory and step_time measured nothing"
    frame = pd.concat(parts)
    sheet = Sheet(
        "costs",
        "Costs of a training step",
        "Memory that the forward pass keeps for the backward pass, and the median time of a training step, at the end"
        f" of training: mean and, as a line, the lowest and highest of the seeds; {seeds(frame['n'])}.",
        "costs of a training step",
        COLUMNS,
    )
    titles = {name: title for name, title in TITLES.items() if (frame["part"] == name).any()}
    return assembled(sheet, frame, places_by_part(runs.rows, frame, titles), _drawing)


def _drawing(place: Place, part: pd.DataFrame, others: pd.DataFrame) -> Spec:
    cost, most = COSTS[place.part], float(part["high"].max())
    unit, size = next((unit for unit in cost.units.items() if most >= unit[1]), list(cost.units.items())[-1])
    part = part.assign(**{name: part[name] / size for name in ("mean", "low", "high")})
    y: Spec = {"field": "s", "type": "nominal", "sort": [member.label for member in place.members], "title": None}
    x = quantity("x", f"{cost.title} ({unit})", scale={"zero": True}, axis={"grid": True})
    words = part.assign(text=part["mean"].map("{:.3g}".format))
    return chart(
        [
            layer(
                "bar", records(part, x="mean", s="s"), {"x": x, "y": y, **only(series(place.members), "color")}, **BAR
            ),
            layer("rule", records(part, x="low", x2="high", s="s"), {"x": x, "x2": {"field": "x2"}, "y": y}, **END),
            layer("text", records(words, x="high", t="text", s="s"), {"x": x, "y": y, "text": {"field": "t"}}, **WORD),
        ],
        height=ROW_HEIGHT * len(place.members),
    )


BAR: Spec = {"height": {"band": 0.62}, "opacity": 0.6}
END: Spec = {"strokeWidth": 1.5}
WORD: Spec = {"align": "left", "dx": 6}
