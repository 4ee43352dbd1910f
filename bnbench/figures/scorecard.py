"""The verdicts of a scorecard as a forest plot: effects, their intervals, and the smallest effects worth the name."""

from __future__ import annotations

import math
import textwrap
from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from bnbench.figures.charts import LETTER, Spec, at_all, chart, layer, logarithmic, quantity, records
from bnbench.figures.figure import Figure, Panel
from bnbench.figures.palette import BLUE, OLIVE, VERMILION
from bnbench.figures.places import distinct, short, slug
from bnbench.figures.theme import INK, WIDTH
from bnbench.text import plural

COLOURS = {
    "supported": BLUE,
    "better": BLUE,
    "contradicted": VERMILION,
    "worse": VERMILION,
    "no difference": OLIVE,
    "inconclusive": INK,
}
LONGEST = 40
"""Letters in a line of the name of a claim, and of what was measured."""
MOST = 12 * LONGEST
"""Letters of the whole name of a claim."""
LINE, FURTHER = 22, 13
"""Pixels of a claim whose name has one line, and of each further line of one."""
PADDING = 8
"""Pixels between the name of a claim and the axes."""
MANY = 12
"""Claims of a panel beyond which one that is far from all others is cut off, so that the others can be told apart."""
FAR = 3.0
"""Interquartile ranges beyond the quartiles from which on a value is far out (Tukey 1977)."""
MARGIN = 0.08
"""Room beside the outermost end of an interval, as a share of the axis."""
COLUMNS = {
    "panel": "panel",
    "study": "study",
    "claim": "claim",
    "verdict": "verdict",
    "contrast": "contrast",
    "unit": "unit",
    "effect": "effect",
    "low": "low",
    "high": "high",
    "smallest_effect": "smallest_effect",
    "n": "replicates",
}
CAPTION = (
    "Effect of each claim (first arm against second) with its 95% interval; the grey bar is where an effect is smaller"
    " than the smallest worth the name. An arrow: it goes on beyond the axis. n = {n} replicates."
)


@dataclass(frozen=True, slots=True)
class Axis:
    """The axis of a panel.

    Attributes:
        ratio: whether effects are ratios, on a logarithmic axis.
        low: its lower end.
        high: its upper end.
    """

    ratio: bool
    low: float
    high: float

    def within(self, values: pd.Series[float]) -> pd.Series[float]:
        """Values, those beyond the axis at its ends."""
        return values.clip(self.low, self.high)


def scorecard(table: pd.DataFrame) -> Figure | str:
    """A panel for ratios, and one for differences of each unit; the reason where there is nothing to draw.

    Args:
        table: a line per claim: ``study`` (empty where all are of one), ``claim``, ``verdict``, ``effect``, ``low`` and
            ``high`` (95% interval; NaN without one), ``contrast`` (``ratio`` or ``difference``), ``smallest_effect`` (a
            factor for ratios), ``n``, ``unit`` (of differences: ``points`` are fractions).
    """
    if table.empty:
        return "there is no claim"
    names = zip(table["study"], table["claim"], strict=True)
    texts = [_wrapped(": ".join(filter(None, (study, claim)))) for study, claim in names]
    units = table["unit"].where(table["contrast"] != "ratio", "ratio")
    table = table.assign(s=distinct(texts), unit=units)
    slugs = dict(zip(dict.fromkeys(units), distinct([slug(unit) for unit in dict.fromkeys(units)], "-{}"), strict=True))
    table = table.assign(panel=table["unit"].map(slugs))
    panels = tuple(_panel(slugs[unit], unit, table[table["unit"] == unit]) for unit in slugs)
    few, many = int(table["n"].min()), int(table["n"].max())
    caption = CAPTION.format(n=many if few == many else f"{few} to {many}")
    return Figure("scorecard", "Verdicts", caption, panels, table[list(COLUMNS)].rename(columns=COLUMNS))


def _panel(name: str, unit: str, claims: pd.DataFrame) -> Panel:
    title = {"ratio": "Ratios", "points": "Differences in percentage points"}.get(
        unit, f"Differences: {short(unit, LONGEST)}"
    )
    counts = claims["verdict"].value_counts(sort=False).to_dict()
    told = ", ".join(f"{count} {verdict}" for verdict, count in counts.items())
    described = f"Effects and intervals of {plural(len(claims), 'claim')} ({title.lower()}): {told}."
    return Panel(name, title, _drawing(unit, claims), described)


def _axis(claims: pd.DataFrame, ratio: bool) -> Axis:
    """An axis with room for all finite ends, for no effect, and for the smallest effects to either side.

    Of many claims those that are far out are cut off.
    """
    smallest = claims["smallest_effect"].to_numpy(dtype=float)
    ends = claims[["effect", "low", "high"]].to_numpy(dtype=float).ravel()
    ends = ends[np.isfinite(ends) & ((ends > 0) | (not ratio))]
    sides = np.concatenate([smallest, 1 / smallest, [1.0]] if ratio else [smallest, -smallest, [0.0]])
    if ratio:
        ends, sides = np.log(ends), np.log(sides)
    values = np.concatenate([_near(ends) if len(claims) > MANY else ends, sides])
    room = MARGIN * max(float(values.max() - values.min()), 1e-9)
    low, high = float(values.min()) - room, float(values.max()) + room
    return Axis(ratio, math.exp(low), math.exp(high)) if ratio else Axis(ratio, low, high)


def _near(values: NDArray[np.float64]) -> NDArray[np.float64]:
    """The values that are not far out."""
    if not values.size:
        return values
    low, high = np.quantile(values, [0.25, 0.75])
    reach = FAR * (high - low)
    return np.asarray(values[(values >= low - reach) & (values <= high + reach)])


def _drawing(unit: str, claims: pd.DataFrame) -> Spec:
    axis = _axis(claims, unit == "ratio")
    smallest = claims["smallest_effect"]
    claims = claims.assign(
        from_=axis.within(claims["low"]),
        to=axis.within(claims["high"]),
        at=axis.within(claims["effect"]),
        least=1 / smallest if axis.ratio else -smallest,
        left=claims["low"] < axis.low,
        right=claims["high"] > axis.high,
    )
    x, y = _across(unit, axis), _down(claims)
    colour = {
        "field": "v",
        "type": "nominal",
        "scale": {"domain": list(COLOURS), "range": list(COLOURS.values())},
        "legend": None,
    }
    at: Mapping[str, Spec] = {"x": x, "y": y}
    known = claims[claims["at"].notna()]
    words = records(claims, s="s", v="verdict", t="verdict")
    aside: Spec = {"x": {"value": WIDTH + 10}, "y": y, "color": colour, "text": {"field": "t"}}
    return chart(
        [
            layer("bar", records(claims, x="least", x2="smallest_effect", s="s"), {**at, **TO}, **ZONE),
            layer("rule", [{"x": 1.0 if axis.ratio else 0.0}], {"x": x}, opacity=0.5, strokeWidth=1),
            layer(
                "rule",
                records(known, x="from_", x2="to", s="s", v="verdict"),
                {**at, **TO, "color": colour},
                strokeWidth=2,
            ),
            layer(
                "point", records(known, x="at", s="s", v="verdict"), {**at, "color": colour}, shape="circle", size=52
            ),
            *_arrows(claims, axis, {**at, "color": colour}),
            layer("text", words, aside, align="left"),
        ],
        height=_room(claims) * len(claims),
    )


def _wrapped(name: str) -> str:
    """The whole name of a claim, harmless, in lines."""
    return "\n".join(textwrap.wrap(short(name, MOST), LONGEST, break_on_hyphens=False))


def _room(claims: pd.DataFrame) -> int:
    """Pixels of each claim: those of the one whose name has most lines."""
    return LINE + FURTHER * max(str(name).count("\n") for name in claims["s"])


TO: dict[str, Spec] = {"x2": {"field": "x2"}}
ZONE: Spec = {"color": INK, "opacity": 0.09, "height": {"band": 1}}


def _arrows(claims: pd.DataFrame, axis: Axis, encoding: Mapping[str, Spec]) -> list[Spec]:
    """Marks of intervals that go on beyond an end of the axis."""
    ends = {"triangle-left": (axis.low, "left"), "triangle-right": (axis.high, "right")}
    return [
        layer(
            "point",
            records(claims[claims[side]].assign(x=end), x="x", s="s", v="verdict"),
            encoding,
            shape=mark,
            size=60,
        )
        for mark, (end, side) in ends.items()
    ]


def _across(unit: str, axis: Axis) -> Spec:
    if axis.ratio:
        ticks = [digit * 10.0**power for power in range(-6, 7) for digit in (1, 2, 5)]
        shown = logarithmic("x", "ratio (logarithmic)", [axis.low, axis.high], margin=0)
        return {**shown, "axis": {**shown["axis"], **at_all([tick for tick in ticks if axis.low <= tick <= axis.high])}}
    title = "difference (percentage points)" if unit == "points" else short(unit, 2 * LONGEST)
    signed = "datum.value == 0 ? '0' : format(datum.value, '+.3~r')"
    more: Spec = (
        {"axis": {"labelExpr": "datum.value == 0 ? '0' : format(100 * datum.value, '+.3~r')"}}
        if unit == "points"
        else {"axis": {"labelExpr": signed}}
    )
    return quantity("x", title, "+.3~r", scale={"domain": [axis.low, axis.high], "nice": False}, **more)


def _down(claims: pd.DataFrame) -> Spec:
    """The names of claims; Vega sets the first line of several at the middle, so that they are moved up."""
    names = [str(name) for name in claims["s"]]
    longest = max(len(line) for name in names for line in name.split("\n"))
    further = sorted({name.count("\n") for name in names} - {0})
    raised = [{"test": f"length({LINES}) == {count + 1}", "value": -FURTHER / 2 * count} for count in further]
    axis: Spec = {
        "labelExpr": LINES,
        "labelLimit": 0,
        "labelLineHeight": FURTHER,
        "labelOffset": {"condition": raised, "value": 0},
        "labelPadding": PADDING,
        "minExtent": LETTER * longest + PADDING,
    }
    return {"field": "s", "type": "nominal", "sort": names, "title": None, "axis": axis}


LINES = "split(datum.value, '\\n')"
"""The lines of a name, as Vega computes them."""
