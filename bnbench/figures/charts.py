"""Parts of Vega-Lite descriptions that several figures have: axes, series, lines, bands, marks."""

from __future__ import annotations

import itertools
import math
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import pandas as pd

from bnbench.figures.places import Member
from bnbench.figures.theme import HEIGHT, INK, WIDTH
from bnbench.text import general

Spec = dict[str, Any]
CROSS = "M-0.7,-0.7L0.7,0.7M-0.7,0.7L0.7,-0.7"
"""The mark of what diverged, as a shape of Vega."""
LETTER = 6.4
"""Width of a letter of a legend in pixels, about."""
CHANCE = 0.2
"""The line at chance is drawn where something is below this share of the way from it to 1."""

MOST_TICKS = 10
SHORT_NUMBER = "datum.value < 1e-4 ? format(datum.value, '.3~e') : format(datum.value, '.6~r')"
AXIS = 56
"""Pixels from the end of the axes to the legend."""
APART, MOST_APART = 0.012, 0.06
"""Share between lines that would hide each other: of neighbours, and of all."""
SAMPLE = 24
"""Length of a line of a legend."""
PIXELS: dict[str, Spec] = {
    name: {"field": name, "type": "quantitative", "scale": None, "axis": None} for name in ("x", "y")
}


def chart(layers: Iterable[Spec], width: float = WIDTH, height: float = HEIGHT, **more: Any) -> Spec:
    """A drawing of layers, the first at the back."""
    return {"width": width, "height": height, "layer": list(layers), **more}


def layer(mark: str, values: list[Spec], encoding: Mapping[str, Spec], **properties: Any) -> Spec:
    """Marks of one kind with their data."""
    return {"mark": {"type": mark, **properties}, "data": {"values": values}, "encoding": dict(encoding)}


def records(frame: pd.DataFrame, **columns: str) -> list[Spec]:
    """Lines of a table as data, with short names: ``records(frame, x="step")``; six digits are drawn."""
    parts = {name: [_plain(value) for value in frame[column].tolist()] for name, column in columns.items()}
    return [dict(zip(parts, line, strict=True)) for line in zip(*parts.values(), strict=True)]


def _plain(value: Any) -> Any:
    if isinstance(value, float):
        return float(f"{value:.6g}") if math.isfinite(value) else None
    return value


def quantity(field: str, title: str, format: str = ".6~g", **more: Any) -> Spec:
    """An axis of numbers; ``scale`` and ``axis`` settings among ``more``."""
    axis = {"format": format, "labelOverlap": "greedy", **more.pop("axis", {})}
    scale = {"nice": True, **more.pop("scale", {})}
    if "type" not in scale and "domain" not in scale:
        scale.setdefault("zero", False)
    return {"field": field, "type": "quantitative", "title": title, "axis": axis, "scale": scale, **more}


def accuracy(field: str, which: str) -> Spec:
    """An axis of accuracies, fractions written as percent."""
    return quantity(field, f"{which} accuracy", ".1~%")


def logarithmic(field: str, title: str, ticks: Sequence[float], base: int = 10, margin: float = 0.06) -> Spec:
    """A logarithmic axis with marks at the values that were tried, ascending."""
    low, high = min(ticks), max(ticks)
    reach = max(math.log(high / low), 0.5) * margin
    domain = [low * math.exp(-reach), high * math.exp(reach)]
    scale = {"type": "log", "base": base, "domain": domain, "nice": False}
    values = at_all([float(f"{tick:.6g}") for tick in ticks]) if len(ticks) <= MOST_TICKS else {}
    overlap = "greedy" if _crowded(ticks) else False
    return quantity(field, title, scale=scale, axis={**values, "labelExpr": SHORT_NUMBER, "labelOverlap": overlap})


def at_all(ticks: Sequence[float]) -> Spec:
    """The settings of an axis that has marks at some values; without a count of its own Vega leaves some out."""
    return {"values": list(ticks), "tickCount": len(ticks)}


def _crowded(ticks: Sequence[float]) -> bool:
    """Say that numbers below a logarithmic axis may touch each other."""
    pixels = [WIDTH * math.log(tick / ticks[0]) / max(math.log(ticks[-1] / ticks[0]), 1e-9) for tick in ticks]
    room = [after - before for before, after in itertools.pairwise(pixels)]
    return len(ticks) > MOST_TICKS or min(room, default=WIDTH) < LETTER * max(len(general(tick)) for tick in ticks)


def decades(field: str, title: str, *frames: pd.DataFrame) -> Spec:
    """A logarithmic axis with room for ``low`` and ``high`` of some tables, above zero; marks at 1, 2 and 5."""
    low, high = min(frame["low"].min() for frame in frames), max(frame["high"].max() for frame in frames)
    first, last = math.floor(math.log10(low)), math.ceil(math.log10(high))
    digits = (1, 2, 5) if math.log10(high / low) < 2 else (1,)
    ticks = [digit * 10.0**power for power in range(first, last + 1) for digit in digits]
    axis = logarithmic(field, title, [low, high])
    shown = [tick for tick in ticks if low / 1.2 <= tick <= high * 1.2]
    return {**axis, "axis": {**axis["axis"], **at_all(shown), "labelOverlap": False}}


def steps(field: str, title: str = "training steps") -> Spec:
    """An axis of training steps from zero."""
    return quantity(field, title, ",d", scale={"zero": True, "nice": True}, axis={"tickMinStep": 1})


def series(members: Sequence[Member]) -> dict[str, Spec]:
    """Colour, dash and mark of each series, by the field ``s``."""
    domain = [member.label for member in members]
    ranges: dict[str, list[Any]] = {
        "color": [member.style.colour for member in members],
        "strokeDash": [list(member.style.dash) for member in members],
        "shape": [member.style.mark for member in members],
    }
    field = {"field": "s", "type": "nominal", "legend": None}
    return {name: {**field, "scale": {"domain": domain, "range": values}} for name, values in ranges.items()}


def legend(members: Sequence[Member], top: float = HEIGHT + AXIS, line: bool = True) -> list[Spec]:
    """The names of the series below a drawing, each with its line and its mark.

    Args:
        members: the series.
        top: pixels below the upper end of the axes.
        line: whether series are lines.
    """
    longest = max(len(member.label) for member in members)
    column = LETTER * longest + SAMPLE + 22
    columns = max(1, min(len(members), int((WIDTH + 40) / column)))
    entries: list[Spec] = [
        {"s": member.label, "x": at % columns * column, "y": top + at // columns * 17}
        for at, member in enumerate(members)
    ]
    style = series(members)
    lines = [{**entry, "x2": entry["x"] + SAMPLE} for entry in entries]
    marks = [{**entry, "x": entry["x"] + SAMPLE / 2} for entry in entries]
    words = [{**entry, "x": entry["x"] + SAMPLE + 6} for entry in entries]
    ends = {**PIXELS, "x2": {"field": "x2"}}
    return [
        *([layer("rule", lines, {**ends, **only(style, "color", "strokeDash")}, strokeWidth=1.6)] * line),
        layer("point", marks, {**PIXELS, **only(style, "color", "shape")}),
        layer("text", words, {**PIXELS, "text": {"field": "s"}}, align="left", baseline="middle"),
    ]


def apart(members: Sequence[Member], part: pd.DataFrame, share: str) -> pd.DataFrame:
    """Lines of shares with the height ``y`` at which they are drawn: no two at the same, the first one highest."""
    order = {member.label: (len(members) - 1) / 2 - at for at, member in enumerate(members)}
    return part.assign(y=part[share] + min(APART, MOST_APART / len(order)) * part["s"].map(order).astype(float))


def only(encoding: Mapping[str, Spec], *channels: str) -> dict[str, Spec]:
    """Some channels of an encoding."""
    return {name: spec for name, spec in encoding.items() if name in channels}


def faint(values: list[Spec], x: Spec, y: Spec, **properties: Any) -> Spec:
    """Lines of other series behind those of the panel, without a name."""
    encoding = {"x": x, "y": y, "detail": {"field": "s"}}
    return layer("line", values, encoding, color=INK, opacity=0.14, strokeWidth=1, **properties)


def crosses(values: list[Spec], encoding: Mapping[str, Spec]) -> Spec:
    """The marks of what diverged."""
    return layer("point", values, encoding, shape=CROSS, filled=False, size=64, strokeWidth=2)


def chance_line(chance: float, lowest: float, y: Spec) -> list[Spec]:
    """A thin line at chance, where the lowest of what is drawn comes near it."""
    return [level(chance, y)] if lowest < chance + CHANCE * (1 - chance) else []


def level(value: float, y: Spec) -> Spec:
    """A thin line across the drawing at a value."""
    return layer("rule", [{"y": value}], {"y": {**y, "field": "y"}}, opacity=0.45, strokeDash=[1, 3], strokeWidth=1)
